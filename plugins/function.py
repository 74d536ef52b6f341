"""A plugin from one function: `@dovetail.plugins.op("acme::Clip2@1")`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from dovetail.core.contract import REQUIRED, parse_op_id
from dovetail.core.errors import DefinitionError
from dovetail.plugins.author import shown
from dovetail.plugins.declaration import check_identity, place_of
from dovetail.plugins.fields import FieldDeclaration, untyped
from dovetail.plugins.kernels import kernel
from dovetail.plugins.plugin import Plugin
from dovetail.plugins.ports import Input, Output, PortDeclaration, Weights


def op(
    identity: str = "",
    *,
    infer: Callable[..., Any] | None = None,
    outputs: Mapping[str, Output] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a plugin from a function of arrays. The function itself is unchanged and can be called and tested.

        @op("acme::Clip2@1")
        def clip2(x: Input(FLOATS), *, low: float = 0.0, high: float = 1.0):
            \"""y = min(max(x, low), high).\"""
            return np.clip(x, low, high)

        network.add_plugin("acme::Clip2@1", [x], {"high": 6.0})

    It computes on the CPU, and is the reference for further kernels, which are added before it is registered:

        @clip2.kernel(device=DeviceType.GPU)
        def clip2_on_gpu(op, inputs, outputs, workspace, stream):
            ...  # fields are attributes of op; see `kernel` for the arguments

    Parameters before the star are the inputs, annotated with Input or Weights, or not at all if any type is
    allowed; a default of None makes one optional, `*tensors` takes any number. Parameters after the star are the
    fields, annotated with their type, with a default or `field(...)`.

    Args:
        identity: "namespace::Name@version"; the version is "1" if left out.
        outputs: ports by name; if left out, one output y with the dims and type of the first input.
        infer: needed where dims differ from the first input's: takes the inputs as SymbolicTensor, and the
        fields it
            names after a star, and returns one SymbolicTensor for each output.

    Raises:
        DefinitionError: with the line of the decorator, if the op is not well formed.
    """
    where, _ = place_of(sys._getframe(1))
    if not isinstance(identity, str) or not identity:
        given = getattr(identity, "__name__", "name") or "name"
        raise DefinitionError(
            "@op does not say which op it is",
            facts=[("defined at", where)],
            hint=f'Write @op("namespace::{_camel_case(given)}@1"), with a namespace of your own.',
        )
    name, version, namespace = parse_op_id(identity)
    check_identity(name, version, namespace, where)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.isfunction(function):
            raise DefinitionError(
                f"@op makes plugins from functions, not from {shown(function)}",
                facts=[("defined at", where)],
                hint="A class is derived from dovetail.plugins.Plugin instead.",
            )
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            kind = "a coroutine (async def)" if inspect.iscoroutinefunction(function) else "a generator (yield)"
            raise DefinitionError(
                f"@op cannot take {function.__name__}, which is {kind}",
                facts=[("defined at", where)],
                hint="Write a plain function that returns its arrays.",
            )
        _check_outputs(outputs, where)
        body = _class_body(function, infer, where)
        body.update(name=name, version=version, namespace=namespace)
        inputs = [key for key, value in body.items() if isinstance(value, PortDeclaration)]
        body.update(outputs or {"y": Output(like=inputs[0]) if inputs else Output()})
        _plain_defaults(function)
        _define(function, name, body, where)
        return function

    return decorate


_METHODS = ("reference", "infer", "enqueue", "configure", "get_workspace_size", "shape_changed", "weight_dims")


def _check_outputs(outputs: Any, where: str) -> None:
    if outputs is None or (isinstance(outputs, Mapping) and all(isinstance(o, Output) for o in outputs.values())):
        return
    raise DefinitionError(
        f"outputs of an op cannot be {shown(outputs)}",
        facts=[("defined at", where)],
        hint='Name each of them: outputs={"y": Output(like="x")}.',
    )


def _camel_case(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"\W|_", name)) or "Name"


def _define(function: Any, name: str, body: dict[str, Any], where: str) -> None:
    """Attach to the function its plugin, made from `body`, and the decorator that adds a kernel."""
    plugin: Any = type(name, (Plugin,), dict(body), where=where)
    function.dovetail_plugin = plugin
    function.dovetail_spec = plugin.dovetail_spec
    function.dovetail_implementations = plugin.dovetail_implementations

    def add_kernel(*args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        mark = kernel(*args, **kwargs)

        def add(method: Any) -> Any:
            if method.__name__ in body:
                raise DefinitionError(
                    f"{function.__name__} has something called '{method.__name__}' already",
                    facts=[("defined at", where)],
                    hint="Give the kernel another name.",
                )
            _define(function, name, {**body, method.__name__: mark(method)}, where)
            return method

        return add

    function.kernel = add_kernel


def _class_body(function: Callable[..., Any], infer: Callable[..., Any] | None, where: str) -> dict[str, Any]:
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception as error:
        raise DefinitionError(
            f"the annotations of {function.__name__} cannot be read",
            facts=[("reason", f"{type(error).__name__}: {error}"), ("defined at", where)],
        ) from None
    body: dict[str, Any] = {"__doc__": function.__doc__, "__module__": function.__module__}
    body.update(__qualname__=function.__qualname__, dovetail_function=function.__name__)
    fields: dict[str, Any] = {}
    for parameter in signature.parameters.values():
        if parameter.kind == parameter.VAR_KEYWORD:
            raise DefinitionError(
                f"{function.__name__} cannot take **{parameter.name}: fields have names and types",
                facts=[("defined at", where)],
                hint=f"Name each field after the star: def {function.__name__}(x, *, alpha: float = 1.0).",
            )
        if parameter.kind == parameter.KEYWORD_ONLY:
            if parameter.annotation is parameter.empty:
                raise untyped(parameter.name, function.__name__, parameter.default, where)
            fields[parameter.name] = parameter.annotation
            if parameter.default is not parameter.empty:
                body[parameter.name] = parameter.default
        elif parameter.name in _METHODS:
            raise DefinitionError(
                f"an input of {function.__name__} cannot be called '{parameter.name}'",
                facts=[(f"'{parameter.name}'", "is a method of all plugins"), ("defined at", where)],
                hint="Choose another name.",
            )
        else:
            body[parameter.name] = _port(parameter, where)
    body["__annotations__"] = fields
    is_variadic = any(p.kind == p.VAR_POSITIONAL for p in signature.parameters.values())
    body["reference"] = _method(function, tuple(fields), is_variadic)
    if infer is not None:
        wanted = inspect.signature(infer).parameters.values()
        named = tuple(p.name for p in wanted if p.kind == p.KEYWORD_ONLY)
        unknown = set(named) - fields.keys()
        if unknown:
            raise DefinitionError(
                f"infer of {function.__name__} asks for a field '{min(unknown)}'",
                facts=[("fields", ", ".join(fields) or "none"), ("defined at", where)],
            )
        n_inputs = sum(isinstance(value, PortDeclaration) for value in body.values())
        _check_infer(infer, n_inputs, is_variadic, where)
        body["infer"] = _method(infer, named, is_variadic)
    return body


def _check_infer(infer: Callable[..., Any], n_inputs: int, is_variadic: bool, where: str) -> None:
    """Checks that it takes as many inputs as there are. Raises DefinitionError with both numbers."""
    wanted = inspect.signature(infer)
    positional = [p for p in wanted.parameters.values() if p.kind != p.KEYWORD_ONLY]
    if is_variadic or any(p.kind == p.VAR_POSITIONAL for p in positional) or len(positional) == n_inputs:
        return
    raise DefinitionError(
        f"infer{wanted} takes {len(positional)} inputs, and the op has {n_inputs}",
        facts=[("defined at", where)],
        hint="It takes the inputs as the function does, and after a star the fields that it needs.",
    )


def _plain_defaults(function: Callable[..., Any]) -> None:
    """Replace a default `field(1.0, doc=...)` by 1.0, for direct calls of the function."""
    defaults = dict(getattr(function, "__kwdefaults__", None) or {})
    for name, value in list(defaults.items()):
        if isinstance(value, FieldDeclaration):
            del defaults[name]
            if value.default is not REQUIRED:
                defaults[name] = value.default
    function.__kwdefaults__ = defaults or None


def _port(parameter: inspect.Parameter, where: str) -> PortDeclaration:
    annotation = parameter.annotation
    port = Input() if annotation is parameter.empty else annotation
    if not isinstance(port, PortDeclaration) or port.is_output:
        raise DefinitionError(
            f"input '{parameter.name}' cannot be {getattr(annotation, '__name__', annotation)}",
            facts=[
                ("inputs", "Input(...) or Weights(...)"),
                ("fields", "go after a star"),
                ("defined at", where),
            ],
            hint="Write Input(...) with its parentheses."
            if annotation in (Input, Weights)
            else "Write `x: Input(FLOATS)`, or no annotation where any type is fine; fields go after a star.",
        )
    if parameter.default is not parameter.empty and parameter.default is not None:
        value = parameter.default
        name = type(value).__name__ if type(value) in (bool, int, float, str) else "float"
        raise DefinitionError(
            f"input '{parameter.name}' cannot have the default {shown(value)}",
            facts=[("inputs", "have no default, or None where they may be absent"), ("defined at", where)],
            hint=f"A field goes after a star: *, {parameter.name}: {name} = {value!r}.",
        )
    if parameter.default is not parameter.empty:
        port.facts["optional"] = True
    if parameter.kind == parameter.VAR_POSITIONAL:
        port.facts["variadic"] = True
    return port


def _method(function: Callable[..., Any], fields: tuple[str, ...], is_variadic: bool) -> Callable[..., Any]:
    """`function` as a method of the plugin: fields come from the object, a variadic input is unpacked."""

    def method(self: Any, *inputs: Any) -> Any:
        spread = (*inputs[:-1], *inputs[-1]) if is_variadic else inputs
        return function(*spread, **{name: getattr(self, name) for name in fields})

    method.takes_any_inputs = True  # type: ignore[attr-defined]
    return method

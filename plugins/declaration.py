"""Reads a plugin class: its ports, fields, second names and add methods. Raises if the class is not well formed."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
import typing
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as member
from pathlib import PurePath
from types import FrameType
from typing import Any

from dovetail.core.contract import REQUIRED, Field, LayerProperty, Port
from dovetail.core.errors import DefinitionError
from dovetail.plugins.author import shown
from dovetail.plugins.fields import FieldDeclaration, make_field, untyped
from dovetail.plugins.ports import PORTS, PortDeclaration

IDENTITY = ("name", "version", "namespace", "purpose", "role", "scalar", "onnx", "type_rows", "device")
TAKES_INPUTS = ("infer", "weight_dims", "reference")
TAKES_ARRAYS = ("inputs", "outputs", "workspace", "stream")
TAKES_DESCS = ("configure", "get_workspace_size", "shape_changed")


@dataclass
class Declaration:
    """The declarations of a class about its op."""

    inputs: dict[str, Port] = member(default_factory=dict)
    outputs: dict[str, Port] = member(default_factory=dict)
    fields: dict[str, Field] = member(default_factory=dict)
    properties: dict[str, LayerProperty] = member(default_factory=dict)

    def update(self, other: Declaration) -> None:
        self.inputs.update(other.inputs)
        self.outputs.update(other.outputs)
        self.fields.update(other.fields)
        self.properties.update(other.properties)


def place_of(frame: FrameType | None) -> tuple[str, FrameType | None]:
    """("plugins/builtin/scale.py:24", frame) of the class statement or decorator that is being executed."""
    while frame is not None and frame.f_code.co_name == "__init_subclass__":
        frame = frame.f_back
    if frame is None:
        return "", None
    file = PurePath(frame.f_code.co_filename)
    module = str(frame.f_globals.get("__name__", "")).split(".")
    parts = module[1:] if module[0] == "dovetail" else module
    shown = "/".join(file.parts[-len(parts) :]) if len(parts) > 1 or parts[0] == file.stem else file.name
    return f"{shown}:{frame.f_lineno}", frame


def read_body(cls: type, reserved: frozenset[str], where: str, frame: FrameType | None) -> Declaration:
    """The declarations in the body of `cls`, removed from it. Base classes are not examined."""
    found = Declaration()
    for name, value in list(vars(cls).items()):
        if isinstance(value, PortDeclaration):
            (found.outputs if value.is_output else found.inputs)[name] = value.named(name)
        elif isinstance(value, LayerProperty):
            found.properties[name] = value
        else:
            continue
        delattr(cls, name)
    annotations = inspect.get_annotations(cls)
    for name, annotation in annotations.items():
        if name.startswith("_") or name in IDENTITY:
            continue
        annotation = _evaluate(name, annotation, cls, where, frame)
        if isinstance(annotation, PortDeclaration) or annotation in PORTS:
            raise DefinitionError(
                f"port '{name}' of {cls.__name__} is written as an annotation",
                facts=[("defined at", where)],
                hint=f"Assign it: {name} = {getattr(annotation, '__name__', type(annotation).__name__)}(...).",
            )
        origin: Any = typing.get_origin(annotation) or annotation
        if origin is typing.ClassVar:
            continue
        default = vars(cls).get(name, REQUIRED)
        found.fields[name] = make_field(name, annotation, default, where)
        if name in vars(cls):
            delattr(cls, name)
    for name, value in list(vars(cls).items()):
        if isinstance(value, FieldDeclaration):
            raise untyped(name, cls.__name__, value, where)
        if value in PORTS:
            raise DefinitionError(
                f"port '{name}' of {cls.__name__} is the class {value.__name__}, not a port",
                facts=[("defined at", where)],
                hint=f"Write {name} = {value.__name__}(...), with its parentheses.",
            )
    for name in (*found.inputs, *found.outputs, *found.fields, *found.properties):
        taken = name in reserved
        if taken or not name.isidentifier():
            rule = "is used by the base class of all plugins" if taken else "is not an identifier"
            raise DefinitionError(
                f"{cls.__name__} cannot have something called '{name}'",
                facts=[(f"'{name}'", rule), ("defined at", where)],
                hint="Choose another name.",
            )
    return found


def check_identity(name: Any, version: Any, namespace: Any, where: str) -> None:
    """Checks that this can be written as `namespace::Name@version`. Raises DefinitionError with the parts that cannot.

    Names become identifiers in Python (`network.add_<name>`) and names of files. Namespaces and versions may have dots.
    """
    rules = {
        "name": (name, isinstance(name, str) and name.isidentifier(), "letters, digits and _, such as HardSwish"),
        "version": (
            version,
            isinstance(version, (str, int)) and re.fullmatch(r"[\w.+-]+", str(version)) is not None,
            'such as "1"',
        ),
        "namespace": (
            namespace,
            isinstance(namespace, str) and (not namespace or all(p.isidentifier() for p in namespace.split("."))),
            'such as acme or com.acme; "" for none',
        ),
    }
    wrong = [(part, f"{value!r}, but has to be {rule}") for part, (value, fits, rule) in rules.items() if not fits]
    if wrong:
        raise DefinitionError(
            f"an op cannot be called {name if isinstance(name, str) else repr(name)!s}",
            facts=[*wrong, ("defined at", where)],
            hint='Its identity is "namespace::Name@version".',
        )


_METHODS = ("infer", "reference", "moves", "enqueue", "configure", "get_workspace_size", "shape_changed", "weight_dims")
_OTHER_NAMES = {  # by which authors call them
    "workspace": "get_workspace_size",
    "workspace_size": "get_workspace_size",
    "getWorkspaceSize": "get_workspace_size",
    "configure_plugin": "configure",
    "configurePlugin": "configure",
    "infer_shape": "infer",
    "get_output_dimensions": "infer",
}


def warn_of_near_names(cls: type, where: str) -> None:
    """Warn about what looks like a misspelt method or a field without a type: neither would be used."""
    for name, value in vars(cls).items():
        if name.startswith("_") or name in _METHODS or name in IDENTITY or hasattr(value, "dovetail_kernel"):
            continue
        if inspect.isfunction(value):
            alike = [m for m in _METHODS if m[0] == name[0] and abs(len(m) - len(name)) < 6]  # cheap, and often none
            meant = _OTHER_NAMES.get(name)
            near = [meant] if meant else difflib.get_close_matches(name, alike, n=1, cutoff=0.8)
            if near and near[0] not in vars(cls):
                _warn(f"{cls.__name__}.{name} at {where} is never called; is {near[0]} meant?")
        elif type(value) in (bool, int, float) and name.islower() and not _is_stated(cls, name):
            _warn(
                f"{name} of {cls.__name__} at {where} has no type, so it is not a field; write "
                f"`{name}: {type(value).__name__} = {value!r}`, or call it _{name} if it is a constant"
            )


def _is_stated(cls: type, name: str) -> bool:
    """True if the name is annotated, for instance as ClassVar, in the class or a base."""
    return any(name in inspect.get_annotations(base) for base in cls.__mro__)


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)


def _evaluate(name: str, annotation: Any, cls: type, where: str, frame: FrameType | None) -> Any:
    """The type that a postponed annotation names; locals of the defining function are included."""
    if not isinstance(annotation, str):
        return annotation
    module = sys.modules.get(cls.__module__)
    known: dict[str, Any] = dict(vars(module)) if module else {}
    if frame is not None:
        known = {**frame.f_globals, **known, **frame.f_locals}
    try:
        return eval(annotation, known, dict(vars(cls)))
    except Exception as error:
        raise DefinitionError(
            f"field '{name}' of {cls.__name__} has an annotation that cannot be read: {annotation}",
            facts=[("reason", f"{type(error).__name__}: {error}"), ("defined at", where)],
            field=name,
        ) from None


def check(cls: type, found: Declaration, where: str) -> None:
    """Checks that the op is complete and consistent. Raises DefinitionError with the line of the class."""

    def refuse(sentence: str, hint: str = "", **facts: str) -> DefinitionError:
        lines = [(key.replace("_", " "), text) for key, text in facts.items()]
        return DefinitionError(f"plugin {cls.__name__} {sentence}", facts=[*lines, ("defined at", where)], hint=hint)

    for name in found.inputs.keys() | found.outputs.keys():
        if name in found.fields:
            raise refuse(f"has a port and a field called '{name}'", "A port is never named like a field.")
    both = found.inputs.keys() & found.outputs.keys()
    if both:
        raise refuse(f"has an input and an output called '{min(both)}'", "Give one of them another name.")
    clash = found.properties.keys() & (found.inputs.keys() | found.outputs.keys() | found.fields.keys())
    if clash:
        raise refuse(f"has two things called '{min(clash)}'", "A second name of a field must be unique.")
    # An op whose inputs are all shapes may have no output: it states a condition, such as Assertion.
    if not found.outputs and not (found.inputs and all(port.shape for port in found.inputs.values())):
        raise refuse("has no output", "Add one to the class body: y = Output(like='x').")
    ports = list(found.inputs.values())
    for port in (*ports, *found.outputs.values()):
        if port.like is not None and port.like not in found.inputs:
            known = ", ".join(found.inputs) or "none"
            raise refuse(f"says '{port.name}' is like '{port.like}'", "Name an input.", inputs=known)
    for port in ports[:-1]:
        if port.variadic:
            raise refuse(f"has inputs after the variadic '{port.name}'", "Only the last input may be variadic.")
    for name in _METHODS:
        value = getattr(cls, name, check)
        if not callable(value):
            raise refuse(f"has {name} = {shown(value)}, which is not a method", f"Write def {name}(self, ...).")
    for method in TAKES_INPUTS:
        _check_parameters(cls, method, tuple(found.inputs), refuse)
    for name, value in vars(cls).items():
        if name == "enqueue" or hasattr(value, "dovetail_kernel"):
            _check_parameters(cls, name, TAKES_ARRAYS, refuse)
        elif name in TAKES_DESCS and inspect.isfunction(value):
            _check_count(cls, name, value, ("inputs", "outputs"), refuse)
    _check_init(cls, found, refuse)
    doc = (cls.__doc__ or "").strip()
    if not doc and sys.flags.optimize < 2:
        raise refuse("has no formula line", "Let the first line of its docstring say what it computes.")


def _check_parameters(cls: type, method: str, wanted: tuple[str, ...], refuse: Callable[..., DefinitionError]) -> None:
    function = getattr(cls, method, None)
    if function is None or getattr(function, "takes_any_inputs", False):
        return
    got = _parameters_of(function)[1:]
    if got != wanted:
        raise refuse(
            f"has {method}{inspect.signature(function)}, whose parameters are not those expected",
            f"Write def {method}({', '.join(('self', *wanted))}).",
            expected=", ".join(wanted) or "none",
            got=", ".join(got) or "none",
        )


def _parameters_of(function: Any) -> tuple[str, ...]:
    """Names of the parameters. Plain functions, which most methods are, skip `inspect.signature` (30 us)."""
    if inspect.isfunction(function) and not vars(function):  # no __wrapped__, no __signature__
        code = function.__code__
        if not code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
            return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return tuple(inspect.signature(function).parameters)


def _check_count(
    cls: type, method: str, function: Any, wanted: tuple[str, ...], refuse: Callable[..., DefinitionError]
) -> None:
    try:
        inspect.signature(function).bind("self", *wanted)
    except TypeError:
        raise refuse(
            f"has {method}{inspect.signature(function)}, which cannot be called with {' and '.join(wanted)}",
            f"Write def {method}({', '.join(('self', *wanted))}).",
        ) from None


def _check_init(cls: Any, found: Declaration, refuse: Callable[..., DefinitionError]) -> None:
    """Checks that the author's __init__ takes the arguments that objects are made with: a name and field values."""
    if not inspect.isfunction(vars(cls).get("__init__")):
        return
    try:
        inspect.signature(cls.__init__).bind("self", "layer", **dict.fromkeys(found.fields))
    except TypeError as error:
        raise refuse(
            f"has __init__{inspect.signature(cls.__init__)}, which cannot be called with a layer's name and the fields",
            "Write def __init__(self, layer_name='', /, **fields) and call super().__init__(layer_name, **fields).",
            reason=str(error),
            fields=", ".join(found.fields) or "none",
        ) from None


def snake_case(name: str) -> str:
    """`MatrixMultiply` -> `matrix_multiply`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def add_methods_of(cls: Any, found: Declaration) -> Mapping[str, Callable[..., Any]]:
    """`network.add_...` functions: class methods named add or add_*; without any, one is made from ports and fields.

    An add method made here takes inputs, then fields, by position or name; optional ones may be left out. Ops of a
    named namespace have no add method: their layers are added with `add_plugin`.
    """
    plain = f"add_{snake_case(cls.name)}"
    written: dict[str, Callable[..., Any]] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, classmethod) and (name == "add" or name.startswith("add_")):
                written[plain if name == "add" else name] = getattr(cls, name)
    if written or cls.namespace:
        return written
    return {plain: _made_add_method(cls, found)}


def _made_add_method(cls: Any, found: Declaration) -> Callable[..., Any]:
    tensors = [port.name for port in found.inputs.values() if not port.weights]
    needed = [index for index, name in enumerate(tensors) if not found.inputs[name].optional]
    n_needed = needed[-1] + 1 if needed else 0
    weights = [port.name for port in found.inputs.values() if port.weights]
    signature = inspect.Signature(
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in tensors[:n_needed]]
        + [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)
            for name in (*tensors[n_needed:], *weights, *found.fields)
        ]
    )

    def method(network: Any, *args: Any, **kwargs: Any) -> Any:
        given = dict(signature.bind(*args, **kwargs).arguments)
        inputs: list[Any] = []  # in the order of the op's, in which those that may be weights have their places
        for port in found.inputs.values():
            tensor: Any = None if port.weights else given.pop(port.name, None)
            several = () if tensor is None else tensor
            inputs.extend(several if port.variadic else [tensor])
        while inputs and inputs[-1] is None:
            inputs.pop()
        values = {name: value for name, value in given.items() if value is not None}
        return network.add_plugin(cls.name, inputs, values, version=cls.version)

    method.__doc__ = cls.__doc__
    owner = inspect.Parameter("network", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[owner, *signature.parameters.values()]
    )
    return method

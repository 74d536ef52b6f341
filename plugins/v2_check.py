"""Checks V2 classes and creators against TensorRT's contract, each mistake as early as possible."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from dovetail.core.contract import op_id
from dovetail.core.errors import DefinitionError
from dovetail.plugins.author import shown

MOST_OUTPUTS = 4096  # of one layer; kMostOutputs of the runtime is the same limit for native plugins

# The contract's methods with their parameters, as TensorRT's Python classes have them.
PLUGIN_METHODS = {
    "get_output_dimensions": ("output_index", "inputs", "expr_builder"),
    "get_output_datatype": ("index", "input_types"),
    "supports_format_combination": ("pos", "in_out", "num_inputs"),
    "configure_plugin": ("inputs", "outputs"),
    "get_workspace_size": ("input_desc", "output_desc"),
    "enqueue": ("input_desc", "output_desc", "inputs", "outputs", "workspace", "stream"),
    "attach_to_context": ("cudnn", "cublas", "allocator"),
    "detach_from_context": (),
    "initialize": (),
    "terminate": (),
    "clone": (),
    "serialize": (),
    "get_serialization_size": (),
    "destroy": (),
}
CREATOR_METHODS = {
    "create_plugin": ("name", "field_collection"),
    "deserialize_plugin": ("name", "data"),
}
NEEDED = ("get_output_dimensions", "enqueue")
NEAR = 0.88  # similarity (difflib) from which a name is considered misspelt


def check_methods(cls: type, methods: Mapping[str, tuple[str, ...]]) -> None:
    """Check the parameters of the methods in the body of `cls`. Warns about names that look misspelt.

    Raises:
        DefinitionError: a method has other parameters, or its C++ name ("getOutputDimensions").
    """
    for name, value in vars(cls).items():
        function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        if not inspect.isfunction(function):
            continue
        if name in methods:
            if not isinstance(value, staticmethod):
                _check_parameters(cls, name, function, methods[name])
        elif not name.startswith("_"):
            _check_name(cls, name, function, methods)


def _check_parameters(cls: type, name: str, function: Any, wanted: tuple[str, ...]) -> None:
    signature = inspect.signature(function)
    try:
        signature.bind("self", *wanted)
    except TypeError:
        raise DefinitionError(
            f"{cls.__name__}.{name} cannot be called as the contract says",
            facts=[
                ("expected", f"({', '.join(('self', *wanted))})"),
                ("got", str(signature)),
                ("defined at", _line_of(function)),
            ],
            hint=f"Write def {name}({', '.join(('self', *wanted))}).",
            method=name,
        ) from None


def _check_name(cls: type, name: str, function: Any, methods: Mapping[str, tuple[str, ...]]) -> None:
    plain = {known.replace("_", ""): known for known in methods}
    same = plain.get(name.replace("_", "").lower())
    if same is not None and same not in vars(cls):
        raise DefinitionError(
            f"{cls.__name__}.{name} would never be called",
            facts=[
                ("the contract", f"{same}({', '.join(('self', *methods[same]))})"),
                ("defined at", _line_of(function)),
            ],
            hint=f"Call it {same}.",
            method=name,
        )
    near = difflib.get_close_matches(name, methods, n=1, cutoff=NEAR)
    if near and near[0] not in vars(cls):
        warnings.warn(
            f"{cls.__name__}.{name} at {_line_of(function)} is not a method of the contract, which has {near[0]}; "
            f"nothing will call it",
            stacklevel=4,
        )


def by_default(method: Any) -> Any:
    """Mark a method of the contract's own classes, to distinguish it from one that an author wrote."""
    method.is_by_default = True
    return method


def writes(cls: type, method: str) -> bool:
    """True if an author wrote this method."""
    return not getattr(getattr(cls, method), "is_by_default", False)


def check_object(plugin: Any) -> None:
    """Check that the object has what a layer needs: name, version, outputs, and the two methods without a default.

    Raises:
        DefinitionError: something is missing; the message says what to write.
    """
    cls = type(plugin)
    where = _line_of(cls)

    def refuse(sentence: str, got: Any, hint: str) -> DefinitionError:
        return DefinitionError(f"{cls.__name__} {sentence}", facts=[("got", shown(got)), ("class", where)], hint=hint)

    if not isinstance(plugin.plugin_type, str) or not plugin.plugin_type:
        hint = f'Set it in the class or in __init__: self.plugin_type = "{cls.__name__}".'
        raise refuse("does not say its plugin_type", plugin.plugin_type, hint)
    if not isinstance(plugin.plugin_version, (str, int)) or isinstance(plugin.plugin_version, bool):
        raise refuse(
            "has no plugin_version that is a text", plugin.plugin_version, 'Such as self.plugin_version = "1".'
        )
    if not isinstance(plugin.plugin_namespace, str):
        raise refuse("has no plugin_namespace that is a text", plugin.plugin_namespace, 'Set it, to "" for none.')
    count = plugin.num_outputs
    if isinstance(count, bool) or not hasattr(count, "__index__") or count < 1:
        raise refuse("has no num_outputs that is a number from 1 on", count, "Such as self.num_outputs = 1.")
    if count > MOST_OUTPUTS:
        raise refuse(f"has more than {MOST_OUTPUTS} outputs", count, "Give them as one tensor, or use several layers.")
    for attribute in ("plugin_type", "plugin_version", "plugin_namespace"):
        if not _is_c_text(str(getattr(plugin, attribute))):
            hint = "Plans and plugins hold names as C strings in UTF-8: leave out NULs and halves of surrogate pairs."
            raise refuse(f"has a {attribute} that is not valid text", getattr(plugin, attribute), hint)
    check_needed(cls, NEEDED)


def _is_c_text(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def check_needed(cls: type, needed: tuple[str, ...]) -> None:
    """Check that these methods exist. Raises DefinitionError with the one to write."""
    known = PLUGIN_METHODS | CREATOR_METHODS
    for name in needed:
        if not writes(cls, name):
            own = [other for other in dir(cls) if other not in known and not other.startswith("_")]
            near = difflib.get_close_matches(name, own, n=1, cutoff=0.6)
            raise DefinitionError(
                f"{cls.__name__} does not have {name}",
                facts=[*([("near", near[0])] if near else []), ("class", _line_of(cls))],
                hint=f"Write def {name}({', '.join(('self', *known[name]))}).",
                method=name,
            )


def identity_of(plugin: Any) -> str:
    """`namespace::Name@version` of a V2 object, or of its class if the object lacks it."""
    name = plugin.plugin_type or type(plugin).__name__
    return op_id(str(name), str(plugin.plugin_version), str(plugin.plugin_namespace or ""))


def defined_at(plugin: Any, method: str) -> str:
    """ "file:line" of a method; "" if it is not written in Python."""
    code = getattr(getattr(type(plugin), method, None), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""


def _line_of(thing: Any) -> str:
    code = getattr(thing, "__code__", None)
    if code is not None:
        return f"{code.co_filename}:{code.co_firstlineno}"
    functions = [value for value in vars(thing).values() if inspect.isfunction(value)]
    name = f"{thing.__module__}.{thing.__qualname__}"
    return f"{name}, {functions[0].__code__.co_filename}" if functions else name


def parameters_of(cls: Any) -> list[inspect.Parameter]:
    """Parameters of `__init__`, without self. Raises DefinitionError if an annotation cannot be read."""
    if cls.__init__ is object.__init__:
        return []
    try:
        return list(inspect.signature(cls.__init__, eval_str=True).parameters.values())[1:]
    except Exception as error:
        raise DefinitionError(
            f"the annotations of {cls.__name__}.__init__ cannot be read",
            facts=[("reason", f"{type(error).__name__}: {error}")],
        ) from None

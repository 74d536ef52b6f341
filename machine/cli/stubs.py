"""`dovetail stubs`: typed stubs of `INetworkDefinition` with a method for each `add_<layer>` of the plugins.

network.py types the class itself. The checked-in network.pyi holds the built-in layers. What else is generated
and checked in: `--names` makes machine/api.pyi, `--native` csrc/bindings/_native.pyi, `--tables` core/_tables.pyi,
`--enumerations` csrc/kernels/spec/enumerations.hpp. `make refresh` writes them all; tests compare them.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from dovetail import _native
from dovetail.core import types
from dovetail.core.contract import Lookup
from dovetail.core.named import Named
from dovetail.machine import api, network
from dovetail.machine.cli.enumerations import enumerations_header
from dovetail.registry.loader import default_registry

_HEADER = '''"""Generated from the built-in ops by `dovetail stubs`; do not edit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dovetail.core.contract import Lookup
from dovetail.core.types import DataType
from dovetail.machine.enums import NetworkDefinitionCreationFlag
from dovetail.machine.layer import ILayer
from dovetail.machine.tensor import ITensor

class INetworkDefinition:
'''


def network_stub(lookup: Lookup, names: list[str]) -> str:
    """Text of network.pyi: the methods written in network.py, then those of the ops."""
    lines = [_HEADER.rstrip("\n")]
    tree = ast.parse(Path(inspect.getfile(network)).read_text())
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "INetworkDefinition")
    lines += ["    name: str"]
    for node in body.body:
        if isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name in _DUNDERS):
            lines += [f"    @{ast.unparse(decorator)}" for decorator in node.decorator_list]
            returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
            lines.append(f"    def {node.name}({ast.unparse(node.args)}){returns}: ...")
    for name in names:
        found = lookup.find_add_method(name)
        assert found is not None
        lines.append(f"    def {name}({_parameters(found[1])}) -> ILayer: ...")
    return "\n".join(lines) + "\n"


_DUNDERS = ("__init__", "__len__", "__getitem__", "__iter__")


def _parameters(method: Any) -> str:
    """The add method's own parameters, the network's place taken by self."""
    texts = ["self"]
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        kind = "ITensor" if parameter.name in ("input", "input1", "input2", "x") else "Any"
        default = "" if parameter.default is parameter.empty else " = ..."
        stars: dict[Any, str] = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}
        star = stars.get(parameter.kind, "")
        texts.append(f"{star}{parameter.name}: {kind}{default}")
    return ", ".join(texts)


def names_stub() -> str:
    """Text of api.pyi: where each public name is, for editors and type checkers; at run time names are found late."""
    lines = ['"""Generated from api.py by `dovetail stubs --names`; do not edit."""', ""]
    lines += ["from collections.abc import Iterable", "from typing import Any", ""]
    places = {name: (f"dovetail.{home}", there) for name, (home, there) in api._PLACES.items()}
    places |= {
        name: (f"dovetail.{api._ENUMS}", name) for name in importlib.import_module(f"dovetail.{api._ENUMS}").__all__
    }
    for name, (home, there) in sorted(places.items(), key=lambda item: (item[1][0], item[0])):
        lines.append(f"from {home} import {there} as {name}")
    lines += ["", "__version__: str"]
    tree = ast.parse(Path(inspect.getfile(api)).read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in api._OWN:
            returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
            lines.append(f"def {node.name}({ast.unparse(node.args)}){returns}: ...")
    return "\n".join(lines) + "\n"


# ---- the native module, whose functions have their signatures in the first line of their docs

_NATIVE_HEADER = '''"""Generated from the native module by `dovetail stubs --native`; do not edit."""

from collections.abc import Iterable, Sequence
from typing import Any, SupportsIndex, overload
'''
_PARAMETERS = {"Sequence": "Sequence[Any]", "Iterable": "Iterable[Any]", "list": "list[Any]"}
_RETURNS = {"object": "Any", "list": "list[Any]", "dict": "dict[str, Any]", "tuple": "tuple[Any, ...]"}


def native_stub(module: ModuleType = _native) -> str:
    """Text of _native.pyi. Integers are taken from whatever has an index, as pybind11 does."""
    lines = [_NATIVE_HEADER]
    members = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    lines += [f"{name}: {_type_of(value)}" for name, value in members.items() if not callable(value)]
    for name, value in members.items():
        if isinstance(value, type):
            own = [line for key, member in vars(value).items() for line in _member(key, member)]
            lines += ["", f"class {name}:", *(f"    {line}" for line in own or ["..."])]
    lines.append("")
    for name, value in members.items():
        if callable(value) and not isinstance(value, type):
            lines += _declared(name, value.__doc__)
    return "\n".join(lines) + "\n"


def tables_stub() -> str:
    """Text of core/_tables.pyi: the enumerations that core.types makes of the C interface's tables."""
    lines = [
        '"""Generated from the C interface by `dovetail stubs --tables`; no module at run time, see core.types."""',
        "",
    ]
    lines += ["from dovetail.core.named import Named"]
    made = {name: value for name, value in vars(types).items() if isinstance(value, type) and name == value.__name__}
    tables = {name: value for name, value in made.items() if issubclass(value, Named) and _is_of_a_table(value)}
    bases = sorted({base.__name__ for value in tables.values() for base in value.__bases__} - {"Named"})
    lines += [f"from dovetail.core.types import {', '.join(bases)}"]
    for name, value in tables.items():
        lines += ["", f"class {name}({value.__bases__[0].__name__}):"]
        lines += [f"    {member.name} = {member.value}" for member in value]
    return "\n".join(lines) + "\n"


def _is_of_a_table(enum: type[Named]) -> bool:
    """Made by a call, so no line of core.types is its definition."""
    return len(enum) > 0 and f"class {enum.__name__}(" not in inspect.getsource(types)


def _type_of(value: Any) -> str:
    """The type of a constant: tables are lists of tuples that are alike."""
    if isinstance(value, list):
        return f"list[{_type_of(value[0])}]"
    if isinstance(value, tuple):
        return f"tuple[{', '.join(_type_of(part) for part in value)}]"
    return type(value).__name__


def _member(name: str, member: Any) -> list[str]:
    if isinstance(member, property):
        returned = _signature(name, (member.fget.__doc__ or "").partition("\n")[0])[1]
        lines = ["@property", f"def {name}(self) -> {returned}: ..."]
        if member.fset is not None:
            taken = ast.unparse(
                _parsed(name, member.fset.__doc__.partition("\n")[0]).args.args[1].annotation or ast.Constant(...)
            )
            lines += [f"@{name}.setter", f"def {name}(self, value: {_taken(taken)}) -> None: ..."]
        return lines
    documented = getattr(member, "__doc__", None) or ""
    is_public = not name.startswith("_") or (name.startswith("__") and name != "__new__")
    return _declared(name, documented) if is_public and f"{name}(" in documented else []


def _declared(name: str, documented: str | None) -> list[str]:
    """One definition, or one for each overload."""
    head, _, rest = (documented or "").partition("\n")
    if "Overloaded function." not in rest:
        parameters, returned = _signature(name, head)
        return [f"def {name}({parameters}) -> {returned}: ..."]
    lines = []
    for found in re.findall(rf"^\d+\. ({name}\(.*)$", rest, re.MULTILINE):
        parameters, returned = _signature(name, found)
        lines += ["@overload", f"def {name}({parameters}) -> {returned}: ..."]
    return lines


def _parsed(name: str, line: str) -> ast.FunctionDef:
    """pybind11's line as Python: `copy(device: typing.SupportsInt, to: int) -> None`; a getter's has no name."""
    line = line.replace("dovetail._native.", "").replace("collections.abc.", "")
    line = re.sub(r"typing\.SupportsInt( \| typing\.SupportsIndex)?", "SupportsIndex", line)
    line = re.sub(r"typing\.SupportsFloat( \| typing\.SupportsIndex)?", "float", line)
    (function,) = ast.parse(f"def {name}{line[line.index('(') :]}: ...").body
    assert isinstance(function, ast.FunctionDef)
    return function


def _signature(name: str, line: str) -> tuple[str, str]:
    """Parameters and result."""
    function = _parsed(name, line)
    arguments = function.args
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + arguments.defaults
    texts = []
    for argument, default in zip(arguments.args, defaults, strict=True):
        taken = _taken(ast.unparse(argument.annotation)) if argument.annotation else "object"
        if isinstance(default, ast.Constant) and default.value is None and taken != "object":
            taken += " | None"
        value = "" if default is None else f" = {ast.unparse(default)}"
        texts.append("self" if argument.arg == "self" else f"{argument.arg}: {taken}{value}")
    texts += [f"*{arguments.vararg.arg}: object"] if arguments.vararg else []
    texts += [f"**{arguments.kwarg.arg}: object"] if arguments.kwarg else []
    returned = ast.unparse(function.returns) if function.returns else "Any"
    return ", ".join(texts), _RETURNS.get(returned, returned)


def _taken(annotation: str) -> str:
    return _PARAMETERS.get(annotation, annotation)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--built-in", action="store_true", help="leave out the layers of third parties")
    parser.add_argument("--names", action="store_true", help="the public names instead, for machine/api.pyi")
    parser.add_argument(
        "--native", action="store_true", help="the native module instead, for csrc/bindings/_native.pyi"
    )
    parser.add_argument("--tables", action="store_true", help="the C interface's enumerations, for core/_tables.pyi")
    parser.add_argument(
        "--enumerations", action="store_true", help="the enumerations of built-in layers, as C++ macros"
    )


def run(args: argparse.Namespace) -> int:
    if args.names:
        sys.stdout.write(names_stub())
        return 0
    if args.native:
        sys.stdout.write(native_stub())
        return 0
    if args.tables:
        sys.stdout.write(tables_stub())
        return 0
    registry = default_registry()
    if args.enumerations:
        sys.stdout.write(enumerations_header(registry))
        return 0
    names = built_in_add_methods(registry) if args.built_in else registry.add_methods()
    sys.stdout.write(network_stub(registry, names))
    return 0


def built_in_add_methods(registry: Any) -> list[str]:
    """Names of the `add_<layer>` methods of built-in ops."""
    return [
        name
        for name in registry.add_methods()
        if registry.record_of(registry.find_add_method(name)[0].id).kind == "built-in"
    ]

"""`dovetail stubs`: typed stubs of `INetworkDefinition` with a method for each `add_<layer>` that plugins bring.

network.py types the class itself. The checked-in network.pyi holds the built-in layers: `dovetail stubs --built-in >
machine/network.pyi`; a test compares it with what is generated.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from dovetail.core.contract import Lookup
from dovetail.machine import api, network
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
    """Text of network.pyi: the methods written in network.py, then those that the ops bring."""
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
        star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--built-in", action="store_true", help="leave out what third parties bring")
    parser.add_argument("--names", action="store_true", help="the public names instead, for machine/api.pyi")


def run(args: argparse.Namespace) -> int:
    if args.names:
        sys.stdout.write(names_stub())
        return 0
    registry = default_registry()
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

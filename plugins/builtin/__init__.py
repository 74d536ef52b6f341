"""The layers that come with dovetail, one module each, reached through the registry as anybody's are."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from dovetail.plugins import hookimpl

LIBRARY = Path("lib", "libdovetail_cpu.so")


def layer_modules() -> Iterator[ModuleType]:
    """The layers' modules, by name. Those with an underscore hold what several layers share."""
    for found in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        if not found.name.startswith("_"):
            yield importlib.import_module(f"{__name__}.{found.name}")


def layer_plugins(module: ModuleType) -> list[Any]:
    """What a module defines itself, in its order, leaving out what it imported."""
    return [
        value
        for value in vars(module).values()
        if getattr(value, "__module__", "") == module.__name__ and hasattr(value, "dovetail_spec")
    ]


@hookimpl
def dovetail_register_ops(registry: Any) -> None:
    """Offer the ops of every module."""
    for module in layer_modules():
        for plugin in layer_plugins(module):
            registry.add_op(plugin)


@hookimpl
def dovetail_native_libraries() -> list[str]:
    """The library with the CPU kernels. An editable install has it in another folder than the sources."""
    package = importlib.util.find_spec("dovetail")
    native = importlib.util.find_spec("dovetail._native")
    folders = [Path(place) for place in (package and package.submodule_search_locations) or []]
    if native is not None and native.origin:
        folders.insert(0, Path(native.origin).parent)
    candidates = [folder / LIBRARY for folder in folders]
    return [str(next((path for path in candidates if path.is_file()), candidates[0]))] if candidates else []

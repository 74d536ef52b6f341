"""The layers that come with dovetail, one module each, reached through the registry as anybody's are."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from dovetail.core.contract import Library
from dovetail.core.types import DeviceType
from dovetail.plugins import hookimpl

LIBRARY = Path("lib", "libdovetail_cpu.so")
CUDA_LIBRARY = Path("lib", "libdovetail_cuda.so")


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
def dovetail_onnx_rewrites() -> list[Any]:
    """The operators of other domains that are made of these layers: `rewrites` of the modules _onnx_*."""
    names = sorted(found.name for found in pkgutil.iter_modules(__path__) if found.name.startswith("_onnx_"))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return [row for module in modules for row in getattr(module, "rewrites", ())]


@hookimpl
def dovetail_native_libraries() -> list[str | Library]:
    """The libraries with the kernels for the CPU and for the GPU."""
    cpu, cuda = _installed(LIBRARY), _installed(CUDA_LIBRARY)
    not_built = "" if cuda.is_file() else "not built (DOVETAIL_CUDA=OFF, or no nvcc or driver at build)"
    return [str(cpu), Library(str(cuda), DeviceType.GPU, not_built)]


def _installed(library: Path) -> Path:
    """Where a library of ours lies. An editable install has it in another folder than the sources."""
    package = importlib.util.find_spec("dovetail")
    native = importlib.util.find_spec("dovetail._native")
    folders = [Path(place) for place in (package and package.submodule_search_locations) or []]
    if native is not None and native.origin:
        folders.insert(0, Path(native.origin).parent)
    places = [folder / library for folder in folders]
    return next((path for path in places if path.is_file()), places[0] if places else Path(library))

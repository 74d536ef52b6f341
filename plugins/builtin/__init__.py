"""The built-in layers, one module each. They are reached through the registry, like those of any plugin."""

import functools
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from dovetail.core.contract import Library
from dovetail.core.environment import installed_file
from dovetail.core.types import DeviceType
from dovetail.plugins import hookimpl

LIBRARY = Path("lib", "libdovetail_cpu.so")
CUDA_LIBRARY = Path("lib", "libdovetail_cuda.so")

# Rewrites of the graph in the order in which they run: name of the pass, which is in _graph_<name>.py, and the lowest
# builder_optimization_level at which it runs.
REWRITES = {
    "drop_no_ops": 1,
    "merge_moves": 1,
    "cancel_moves": 1,
    "compute_before_reshapes": 1,
    "keep_unit_axes": 1,
    "move_into_products": 1,
    "fold_into_weights": 1,
    "fold_padding": 1,
    "find_normalization": 2,
    "find_softmax": 2,
    "find_attention": 2,
    "multiply_out_powers": 1,
    "quantize_by_ranges": 0,
    "keep_integers": 1,
    "find_byte_tables": 1,
}


def layer_modules() -> Iterator[ModuleType]:
    """The modules of layers, by name. Modules with an underscore have code that several layers share."""
    for found in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        if not found.name.startswith("_"):
            yield importlib.import_module(f"{__name__}.{found.name}")


def layer_plugins(module: ModuleType) -> list[Any]:
    """The names that a module defines itself, in source order, without its imports."""
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
    """The operators that are imported as several layers: `rewrites` of the modules _onnx_*."""
    return list(_onnx_rewrites())


@functools.cache  # every import of a model asks
def _onnx_rewrites() -> tuple[Any, ...]:
    names = sorted(found.name for found in pkgutil.iter_modules(__path__) if found.name.startswith("_onnx_"))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return tuple(row for module in modules for row in getattr(module, "rewrites", ()))


@hookimpl
def dovetail_graph_passes(registry: Any) -> None:
    """Offer the rewrites, each behind the one before it; the first follows constant folding."""
    for after, name, level in zip(("fold_constants", *REWRITES), REWRITES, REWRITES.values(), strict=False):
        module = importlib.import_module(f"{__name__}._graph_{name}")
        registry.add_pass(getattr(module, name), after=after, level=level)


@hookimpl
def dovetail_native_libraries() -> list[str | Library]:
    """The libraries with the kernels for the CPU and for the GPU."""
    cpu, cuda = installed_file(LIBRARY), installed_file(CUDA_LIBRARY)
    not_built = "" if cuda.is_file() else "not built (DOVETAIL_CUDA=OFF, or no nvcc or driver at build)"
    return [str(cpu), Library(str(cuda), DeviceType.GPU, not_built)]

"""The public names: TensorRT's first, then dovetail's own.

Enumerations that belong to a layer (`ScaleMode`, `PaddingMode`, ...) are looked up in the registered ops on first use:
no layer is named here.
"""

from __future__ import annotations

import difflib
import importlib
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dovetail import _native

__version__ = _native.VERSION

# The public names by module. A module is imported when one of its names is first used, so that a program imports only
# what it needs. api.pyi has the same names for editors and type checkers; a test compares the two.
_HOMES = {
    "core": "errors",
    "core.expr": "ExprBuilder",
    "core.failures": "raise_on_error",
    "core.plugin_field": "PluginField PluginFieldCollection PluginFieldType",
    "core.tensor": "DynamicPluginTensorDesc PluginTensorDesc",
    "core.types": (
        "DataType DeviceType DimensionOperation Dims Dims2 Dims3 Dims4 DimsCHW DimsHW DimsNCHW Permutation "
        "TensorFormat TensorIOMode TensorLocation Weights bfloat16 bool float16 float32 fp8 int8 int32 int64 nptype "
        "uint8"
    ),
    "machine.algorithms": "IAlgorithm IAlgorithmContext IAlgorithmIOInfo IAlgorithmSelector IAlgorithmVariant",
    "machine.budget": "Budget",
    "machine.builder": "Builder",
    "machine.calibration.calibrators": (
        "IInt8Calibrator IInt8EntropyCalibrator IInt8EntropyCalibrator2 IInt8LegacyCalibrator IInt8MinMaxCalibrator"
    ),
    "machine.config": "IBuilderConfig IOptimizationProfile",
    "machine.context": "IExecutionContext",
    "machine.device_array": "DeviceArray",
    "machine.engine": "ICudaEngine",
    "machine.inspector": "EngineInspector",
    "machine.interfaces": "IErrorRecorder IGpuAllocator IProgressMonitor",
    "machine.layer": "ILayer",
    "machine.load": "Model load",
    "machine.logger": "ILogger Logger",
    "machine.network": "INetworkDefinition",
    "machine.onnx": "OnnxParser ParserError",
    "machine.output_allocator": "IOutputAllocator",
    "machine.plan": "IHostMemory",
    "machine.profiler": "IProfiler Profiler",
    "machine.runtime": "Runtime",
    "machine.tensor": "ITensor",
    "machine.timing_cache": "ITimingCache",
    "plugins": "Floats Input Ints Output Plugin Tensor field hookimpl op",
    "plugins.v2": "IPluginV2 IPluginV2DynamicExt IPluginV2Ext",
    "plugins.v2_creator": "IPluginCreator",
    "plugins.v2_spec": "DimsExprs",
}
_OTHER_NAMES = {  # public name -> (module, its name there)
    "IDimensionExpr": ("core.expr", "Expr"),
    "IExprBuilder": ("core.expr", "ExprBuilder"),
    "IPluginRegistry": ("registry.registry", "Registry"),
    "WeightsPort": ("plugins", "Weights"),
}
_ENUMS = "machine.enums"  # whose __all__ is public, too
_PACKAGES = ("core", "machine", "plugins", "registry", "tensorrt")
_PLACES = {name: (home, name) for home, names in _HOMES.items() for name in names.split()} | _OTHER_NAMES


def get_plugin_registry() -> Any:
    """The registry of this process, with everything that plugins have registered."""
    from dovetail.registry.loader import default_registry

    return default_registry()


def get_builder_plugin_registry(capability: Any = None) -> Any:
    """The registry of this process, which is used for every `EngineCapability`."""
    return get_plugin_registry()


def init_libnvinfer_plugins(logger: Any = None, namespace: str = "") -> bool:
    """Register plugin libraries that were opened with `ctypes.CDLL`. Returns True, as in TensorRT."""
    get_plugin_registry().adopt_opened()
    return True


def get_nv_onnx_parser_version() -> int:
    """Version of TensorRT's parser interface that `OnnxParser` follows: 100, which is 0.1.0."""
    return 100


def volume(iterable: Iterable[int]) -> int:
    """The product of extents; as in TensorRT, negative if one of them is unknown, -1. Raises DTypeError."""
    try:
        return math.prod(iterable)
    except TypeError:
        return math.prod(_module("core.arguments").integers("the extents of a volume", iterable))


def get_include() -> str:
    """Folder of the C and C++ headers that native plugins are built against."""
    return str(Path(_native.__file__).parent / "include")


def build_report(plan: Any, layer: str | None = None) -> str:
    """What a plan runs, in which formats, how long each step took, what lost and why."""
    from dovetail.machine.plan import read_plan
    from dovetail.machine.report import report_text

    return report_text(read_plan(plan), layer)


_OWN = (
    "__version__", "build_report", "get_builder_plugin_registry", "get_include", "get_nv_onnx_parser_version",
    "get_plugin_registry", "init_libnvinfer_plugins", "volume",
)  # fmt: skip


def public_names() -> list[str]:
    """All names except those of plugins, sorted: `__all__`."""
    return sorted({*_OWN, *_PLACES, *_module(_ENUMS).__all__})


def _module(name: str) -> Any:
    return importlib.import_module(f"dovetail.{name}")


def _layer_enums() -> dict[str, type[Any]]:
    """By name: enumerations of the registered ops, and classes that their add methods return."""
    specs = get_plugin_registry().specs()
    of_fields = [field.enum for spec in specs for field in spec.fields if field.enum is not None]
    return {enum.__name__: enum for enum in of_fields} | {name: e for spec in specs for name, e in spec.enums.items()}


def find(name: str) -> Any:
    """The object with a public name. Raises AttributeError, with the nearest name, if there is none."""
    if name in _PLACES:
        home, there = _PLACES[name]
        return getattr(_module(home), there)
    if name in _PACKAGES:
        for home in _HOMES:  # a package has the modules as attributes that were imported
            _module(home)
        return _module(name)
    if name in _OWN:
        return globals()[name]
    if name == "__all__":
        return public_names()
    if name.startswith("__"):
        raise AttributeError(name)
    if name in _module(_ENUMS).__all__:
        return getattr(_module(_ENUMS), name)
    return _brought(name)


def _brought(name: str) -> Any:
    """An enumeration or class of a plugin, or the stand-in for a name of TensorRT that is not available."""
    from dovetail.machine import absent
    from dovetail.machine.layer import layer_class

    enums = _layer_enums()
    if name in enums:
        return enums[name]
    if name in absent.MODULE:
        return absent.named(name)
    kind = layer_class(name, get_plugin_registry().specs())
    if kind is not None:
        return kind
    near = difflib.get_close_matches(name, [*public_names(), *enums], n=1)
    nearest = f"; did you mean '{near[0]}'?" if near else ""
    raise AttributeError(f"module 'dovetail' has no attribute '{name}'{nearest}")


def names() -> list[str]:
    """For `dir`: the public names and those of plugins."""
    return sorted([*public_names(), *_layer_enums()])


__getattr__ = find

"""The public names: TensorRT's first, then dovetail's own.

Enumerations that belong to a layer (`ScaleMode`, `PaddingMode`, ...) are found in the registered ops when they are
first asked for: no layer is named here.
"""

from __future__ import annotations

import difflib
import importlib
from enum import IntEnum
from pathlib import Path
from typing import Any

from dovetail import _native
from dovetail.core import errors
from dovetail.core.expr import Expr, ExprBuilder
from dovetail.core.failures import raise_on_error
from dovetail.core.plugin_field import PluginField, PluginFieldCollection, PluginFieldType
from dovetail.core.tensor import DynamicPluginTensorDesc, PluginTensorDesc
from dovetail.core.types import (
    DataType,
    DeviceType,
    DimensionOperation,
    Dims,
    Dims2,
    Dims3,
    Dims4,
    DimsHW,
    Permutation,
    TensorFormat,
    TensorIOMode,
    TensorLocation,
    Weights,
    bfloat16,
    bool,
    float16,
    float32,
    fp8,
    int8,
    int32,
    int64,
    nptype,
    uint8,
    volume,
)
from dovetail.machine import absent
from dovetail.machine.budget import Budget
from dovetail.machine.builder import Builder
from dovetail.machine.config import IBuilderConfig, IOptimizationProfile
from dovetail.machine.context import IExecutionContext, IOutputAllocator
from dovetail.machine.device_array import DeviceArray
from dovetail.machine.engine import EngineInspector, ICudaEngine, Runtime
from dovetail.machine.enums import *
from dovetail.machine.enums import __all__ as _enums
from dovetail.machine.interfaces import (
    IAlgorithmSelector,
    IErrorRecorder,
    IGpuAllocator,
    IInt8Calibrator,
    IInt8EntropyCalibrator,
    IInt8EntropyCalibrator2,
    IInt8LegacyCalibrator,
    IInt8MinMaxCalibrator,
    IProgressMonitor,
)
from dovetail.machine.layer import ILayer, layer_class
from dovetail.machine.load import load
from dovetail.machine.logger import ILogger, Logger
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.onnx import OnnxParser, ParserError
from dovetail.machine.plan import IHostMemory, read_plan
from dovetail.machine.profiler import IProfiler, Profiler
from dovetail.machine.report import report_text
from dovetail.machine.tensor import ITensor
from dovetail.plugins import Floats, Input, Ints, Output, Plugin, Tensor, field, hookimpl, op
from dovetail.plugins import Weights as WeightsPort
from dovetail.plugins.v2 import IPluginCreator, IPluginV2, IPluginV2DynamicExt, IPluginV2Ext
from dovetail.plugins.v2_spec import DimsExprs
from dovetail.registry.loader import default_registry
from dovetail.registry.registry import Registry

__version__ = _native.VERSION
IExprBuilder, IDimensionExpr, IPluginRegistry = ExprBuilder, Expr, Registry  # TensorRT's names


def get_plugin_registry() -> Any:
    """The registry of this process: everything that plugins brought."""
    return default_registry()


def init_libnvinfer_plugins(logger: ILogger | None = None, namespace: str = "") -> bool:
    """Register plugin libraries opened with `ctypes.CDLL`; built-in plugins are there already. True, as in TensorRT."""
    default_registry().adopt_opened()
    return True


def get_include() -> str:
    """Folder of the C and C++ headers that native plugins are built against."""
    return str(Path(_native.__file__).parent / "include")


def build_report(plan: Any, layer: str | None = None) -> str:
    """What a plan runs, in which formats, how long each step took, what lost and why."""
    return report_text(read_plan(plan), layer)


__all__ = [
    *_enums,
    "Budget",
    "Builder",
    "DataType",
    "DeviceArray",
    "DeviceType",
    "DimensionOperation",
    "Dims",
    "Dims2",
    "Dims3",
    "Dims4",
    "DimsExprs",
    "DimsHW",
    "DynamicPluginTensorDesc",
    "EngineInspector",
    "ExprBuilder",
    "Floats",
    "IAlgorithmSelector",
    "IBuilderConfig",
    "ICudaEngine",
    "IDimensionExpr",
    "IErrorRecorder",
    "IExecutionContext",
    "IExprBuilder",
    "IGpuAllocator",
    "IHostMemory",
    "IInt8Calibrator",
    "IInt8EntropyCalibrator",
    "IInt8EntropyCalibrator2",
    "IInt8LegacyCalibrator",
    "IInt8MinMaxCalibrator",
    "ILayer",
    "ILogger",
    "INetworkDefinition",
    "IOptimizationProfile",
    "IOutputAllocator",
    "IPluginCreator",
    "IPluginRegistry",
    "IPluginV2",
    "IPluginV2DynamicExt",
    "IPluginV2Ext",
    "IProfiler",
    "IProgressMonitor",
    "ITensor",
    "Input",
    "Ints",
    "Logger",
    "OnnxParser",
    "Output",
    "ParserError",
    "Permutation",
    "Plugin",
    "PluginField",
    "PluginFieldCollection",
    "PluginFieldType",
    "PluginTensorDesc",
    "Profiler",
    "Runtime",
    "Tensor",
    "TensorFormat",
    "TensorIOMode",
    "TensorLocation",
    "Weights",
    "WeightsPort",
    "__version__",
    "bfloat16",
    "bool",
    "build_report",
    "errors",
    "field",
    "float16",
    "float32",
    "fp8",
    "get_include",
    "get_plugin_registry",
    "hookimpl",
    "init_libnvinfer_plugins",
    "int32",
    "int64",
    "load",
    "int8",
    "nptype",
    "op",
    "raise_on_error",
    "uint8",
    "volume",
]  # fmt: skip


def _layer_enums() -> dict[str, type[IntEnum]]:
    """Enumerations of the registered ops' fields and fronts, by name."""
    specs = default_registry().specs()
    of_fields = [field.enum for spec in specs for field in spec.fields if field.enum is not None]
    return {enum.__name__: enum for enum in of_fields} | {name: e for spec in specs for name, e in spec.enums.items()}


def __getattr__(name: str) -> Any:
    if name == "tensorrt":
        return importlib.import_module("dovetail.tensorrt")
    if name.startswith("__"):
        raise AttributeError(name)
    enums = _layer_enums()
    if name in enums:
        return enums[name]
    if name in absent.MODULE:
        return absent.named(name)
    kind = layer_class(name, default_registry().specs())
    if kind is not None:
        return kind
    near = difflib.get_close_matches(name, [*__all__, *enums], n=1)
    nearest = f"; did you mean '{near[0]}'?" if near else ""
    raise AttributeError(f"module 'dovetail' has no attribute '{name}'{nearest}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_layer_enums()])

"""Generated from api.py by `dovetail stubs --names`; do not edit."""

from collections.abc import Iterable
from typing import Any

from dovetail.core import errors as errors
from dovetail.core.expr import ExprBuilder as ExprBuilder
from dovetail.core.expr import Expr as IDimensionExpr
from dovetail.core.expr import ExprBuilder as IExprBuilder
from dovetail.core.failures import raise_on_error as raise_on_error
from dovetail.core.plugin_field import PluginField as PluginField
from dovetail.core.plugin_field import PluginFieldCollection as PluginFieldCollection
from dovetail.core.plugin_field import PluginFieldType as PluginFieldType
from dovetail.core.tensor import DynamicPluginTensorDesc as DynamicPluginTensorDesc
from dovetail.core.tensor import PluginTensorDesc as PluginTensorDesc
from dovetail.core.types import DataType as DataType
from dovetail.core.types import DeviceType as DeviceType
from dovetail.core.types import DimensionOperation as DimensionOperation
from dovetail.core.types import Dims as Dims
from dovetail.core.types import Dims2 as Dims2
from dovetail.core.types import Dims3 as Dims3
from dovetail.core.types import Dims4 as Dims4
from dovetail.core.types import DimsCHW as DimsCHW
from dovetail.core.types import DimsHW as DimsHW
from dovetail.core.types import DimsNCHW as DimsNCHW
from dovetail.core.types import Permutation as Permutation
from dovetail.core.types import TensorFormat as TensorFormat
from dovetail.core.types import TensorIOMode as TensorIOMode
from dovetail.core.types import TensorLocation as TensorLocation
from dovetail.core.types import Weights as Weights
from dovetail.core.types import bfloat16 as bfloat16
from dovetail.core.types import bool as bool
from dovetail.core.types import float16 as float16
from dovetail.core.types import float32 as float32
from dovetail.core.types import fp8 as fp8
from dovetail.core.types import int32 as int32
from dovetail.core.types import int64 as int64
from dovetail.core.types import int8 as int8
from dovetail.core.types import nptype as nptype
from dovetail.core.types import uint8 as uint8
from dovetail.machine.algorithms import IAlgorithm as IAlgorithm
from dovetail.machine.algorithms import IAlgorithmContext as IAlgorithmContext
from dovetail.machine.algorithms import IAlgorithmIOInfo as IAlgorithmIOInfo
from dovetail.machine.algorithms import IAlgorithmSelector as IAlgorithmSelector
from dovetail.machine.algorithms import IAlgorithmVariant as IAlgorithmVariant
from dovetail.machine.budget import Budget as Budget
from dovetail.machine.builder import Builder as Builder
from dovetail.machine.calibration.calibrators import IInt8Calibrator as IInt8Calibrator
from dovetail.machine.calibration.calibrators import IInt8EntropyCalibrator as IInt8EntropyCalibrator
from dovetail.machine.calibration.calibrators import IInt8EntropyCalibrator2 as IInt8EntropyCalibrator2
from dovetail.machine.calibration.calibrators import IInt8LegacyCalibrator as IInt8LegacyCalibrator
from dovetail.machine.calibration.calibrators import IInt8MinMaxCalibrator as IInt8MinMaxCalibrator
from dovetail.machine.config import IBuilderConfig as IBuilderConfig
from dovetail.machine.config import IOptimizationProfile as IOptimizationProfile
from dovetail.machine.context import IExecutionContext as IExecutionContext
from dovetail.machine.device_array import DeviceArray as DeviceArray
from dovetail.machine.engine import ICudaEngine as ICudaEngine
from dovetail.machine.enums import BuilderFlag as BuilderFlag
from dovetail.machine.enums import CalibrationAlgoType as CalibrationAlgoType
from dovetail.machine.enums import EngineCapability as EngineCapability
from dovetail.machine.enums import ErrorCodeTRT as ErrorCodeTRT
from dovetail.machine.enums import ExecutionContextAllocationStrategy as ExecutionContextAllocationStrategy
from dovetail.machine.enums import HardwareCompatibilityLevel as HardwareCompatibilityLevel
from dovetail.machine.enums import LayerInformationFormat as LayerInformationFormat
from dovetail.machine.enums import LayerType as LayerType
from dovetail.machine.enums import LoopOutput as LoopOutput
from dovetail.machine.enums import MemoryPoolType as MemoryPoolType
from dovetail.machine.enums import NetworkDefinitionCreationFlag as NetworkDefinitionCreationFlag
from dovetail.machine.enums import OnnxParserFlag as OnnxParserFlag
from dovetail.machine.enums import PreviewFeature as PreviewFeature
from dovetail.machine.enums import ProfilingVerbosity as ProfilingVerbosity
from dovetail.machine.enums import QuantizationFlag as QuantizationFlag
from dovetail.machine.enums import RuntimePlatform as RuntimePlatform
from dovetail.machine.enums import TacticSource as TacticSource
from dovetail.machine.enums import TempfileControlFlag as TempfileControlFlag
from dovetail.machine.enums import TilingOptimizationLevel as TilingOptimizationLevel
from dovetail.machine.enums import TripLimit as TripLimit
from dovetail.machine.enums import WeightsRole as WeightsRole
from dovetail.machine.inspector import EngineInspector as EngineInspector
from dovetail.machine.interfaces import IErrorRecorder as IErrorRecorder
from dovetail.machine.interfaces import IGpuAllocator as IGpuAllocator
from dovetail.machine.interfaces import IProgressMonitor as IProgressMonitor
from dovetail.machine.layer import ILayer as ILayer
from dovetail.machine.load import Model as Model
from dovetail.machine.load import load as load
from dovetail.machine.logger import ILogger as ILogger
from dovetail.machine.logger import Logger as Logger
from dovetail.machine.network import INetworkDefinition as INetworkDefinition
from dovetail.machine.onnx import OnnxParser as OnnxParser
from dovetail.machine.onnx import ParserError as ParserError
from dovetail.machine.output_allocator import IOutputAllocator as IOutputAllocator
from dovetail.machine.plan import IHostMemory as IHostMemory
from dovetail.machine.profiler import IProfiler as IProfiler
from dovetail.machine.profiler import Profiler as Profiler
from dovetail.machine.runtime import Runtime as Runtime
from dovetail.machine.tensor import ITensor as ITensor
from dovetail.machine.timing_cache import ITimingCache as ITimingCache
from dovetail.plugins import Floats as Floats
from dovetail.plugins import Input as Input
from dovetail.plugins import Ints as Ints
from dovetail.plugins import Output as Output
from dovetail.plugins import Plugin as Plugin
from dovetail.plugins import Tensor as Tensor
from dovetail.plugins import Weights as WeightsPort
from dovetail.plugins import field as field
from dovetail.plugins import hookimpl as hookimpl
from dovetail.plugins import op as op
from dovetail.plugins.v2 import IPluginV2 as IPluginV2
from dovetail.plugins.v2 import IPluginV2DynamicExt as IPluginV2DynamicExt
from dovetail.plugins.v2 import IPluginV2Ext as IPluginV2Ext
from dovetail.plugins.v2_creator import IPluginCreator as IPluginCreator
from dovetail.plugins.v2_spec import DimsExprs as DimsExprs
from dovetail.registry.registry import Registry as IPluginRegistry

__version__: str
def get_plugin_registry() -> Any: ...
def get_builder_plugin_registry(capability: Any=None) -> Any: ...
def init_libnvinfer_plugins(logger: Any=None, namespace: str='') -> bool: ...
def get_nv_onnx_parser_version() -> int: ...
def volume(iterable: Iterable[int]) -> int: ...
def get_include() -> str: ...
def build_report(plan: Any, layer: str | None=None) -> str: ...

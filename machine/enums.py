"""Enumerations of the machine, with TensorRT 8.5's names and values, followed by those of later versions."""

from dovetail.core.named import Named
from dovetail.core.types import TypeOfLayer

__all__ = [
    "BuilderFlag",
    "CalibrationAlgoType",
    "EngineCapability",
    "ErrorCodeTRT",
    "ExecutionContextAllocationStrategy",
    "HardwareCompatibilityLevel",
    "LayerInformationFormat",
    "LayerType",
    "LoopOutput",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "OnnxParserFlag",
    "PreviewFeature",
    "ProfilingVerbosity",
    "QuantizationFlag",
    "RuntimePlatform",
    "TacticSource",
    "TempfileControlFlag",
    "TilingOptimizationLevel",
    "TripLimit",
    "WeightsRole",
]


class NetworkDefinitionCreationFlag(Named):
    """Bits of `Builder.create_network(flags)`. Every network here has an explicit batch and is strongly typed."""

    EXPLICIT_BATCH = 0
    EXPLICIT_PRECISION = 1
    STRONGLY_TYPED = 2


class BuilderFlag(Named):
    """Switches of `IBuilderConfig`. Precision flags permit kernels of that type, they do not force them."""

    FP16 = 0
    INT8 = 1
    DEBUG = 2
    GPU_FALLBACK = 3  # a layer that its device cannot run may run on the other one, with copies
    STRICT_TYPES = 4
    REFIT = 5
    DISABLE_TIMING_CACHE = 6
    TF32 = 7
    SPARSE_WEIGHTS = 8
    SAFETY_SCOPE = 9
    OBEY_PRECISION_CONSTRAINTS = 10
    PREFER_PRECISION_CONSTRAINTS = 11
    DIRECT_IO = 12
    REJECT_EMPTY_ALGORITHMS = 13
    ENABLE_TACTIC_HEURISTIC = 14
    VERSION_COMPATIBLE = 15
    EXCLUDE_LEAN_RUNTIME = 16
    FP8 = 17
    ERROR_ON_TIMING_CACHE_MISS = 18
    BF16 = 19
    DISABLE_COMPILATION_CACHE = 20
    STRIP_PLAN = 21
    REFIT_IDENTICAL = 22
    WEIGHT_STREAMING = 23
    EDITABLE_TIMING_CACHE = 24
    DISABLE_WINOGRAD = 31  # TensorRT lacks it: no row may sum products of transformed inputs, whose errors are larger


class MemoryPoolType(Named):
    """Pools of `IBuilderConfig.set_memory_pool_limit`, in bytes."""

    WORKSPACE = 0
    DLA_MANAGED_SRAM = 1
    DLA_LOCAL_DRAM = 2
    DLA_GLOBAL_DRAM = 3
    TACTIC_DRAM = 4
    TACTIC_SHARED_MEMORY = 5


class ProfilingVerbosity(Named):
    """How much the plan keeps about its layers for the inspector."""

    LAYER_NAMES_ONLY = 0
    NONE = 1
    DETAILED = 2
    DEFAULT = 0  # older names
    VERBOSE = 2


class EngineCapability(Named):
    """Kind of runtime that a plan is for; only STANDARD exists here."""

    STANDARD = 0
    SAFETY = 1
    DLA_STANDALONE = 2
    DEFAULT = 0  # names of TensorRT 7
    SAFE_GPU = 1
    SAFE_DLA = 2


class LayerInformationFormat(Named):
    """Form of the inspector's answers."""

    ONELINE = 0
    JSON = 1


class LayerType(TypeOfLayer):
    """Kinds of layers, `layer.type`. Layers that TensorRT lacks are PLUGIN_V2, like those of third-party plugins."""

    CONVOLUTION = 0
    FULLY_CONNECTED = 1
    ACTIVATION = 2
    POOLING = 3
    LRN = 4
    SCALE = 5
    SOFTMAX = 6
    DECONVOLUTION = 7
    CONCATENATION = 8
    ELEMENTWISE = 9
    PLUGIN = 10
    UNARY = 11
    PADDING = 12
    SHUFFLE = 13
    REDUCE = 14
    TOPK = 15
    GATHER = 16
    MATRIX_MULTIPLY = 17
    RAGGED_SOFTMAX = 18
    CONSTANT = 19
    RNN_V2 = 20
    IDENTITY = 21
    PLUGIN_V2 = 22
    SLICE = 23
    SHAPE = 24
    PARAMETRIC_RELU = 25
    RESIZE = 26
    TRIP_LIMIT = 27
    RECURRENCE = 28
    ITERATOR = 29
    LOOP_OUTPUT = 30
    SELECT = 31
    FILL = 32
    QUANTIZE = 33
    DEQUANTIZE = 34
    CONDITION = 35
    CONDITIONAL_INPUT = 36
    CONDITIONAL_OUTPUT = 37
    SCATTER = 38
    EINSUM = 39
    ASSERTION = 40
    ONE_HOT = 41
    NON_ZERO = 42
    GRID_SAMPLE = 43
    NMS = 44
    REVERSE_SEQUENCE = 45
    NORMALIZATION = 46
    CAST = 47
    PLUGIN_V3 = 48


class PreviewFeature(Named):
    """Switches of `config.set_preview_feature`; none has an effect here."""

    FASTER_DYNAMIC_SHAPES_0805 = 0
    DISABLE_EXTERNAL_TACTIC_SOURCES_FOR_CORE_0805 = 1
    PROFILE_SHARING_0806 = 2
    ALIASED_PLUGIN_IO_10_03 = 3
    RUNTIME_ACTIVATION_RESIZE_10_10 = 4


class TacticSource(Named):
    """Libraries of kernels, as bits of `config.set_tactic_sources`."""

    CUBLAS = 0
    CUBLAS_LT = 1
    CUDNN = 2
    EDGE_MASK_CONVOLUTIONS = 3
    JIT_CONVOLUTIONS = 4


class QuantizationFlag(Named):
    """When a network is calibrated: always before its layers are fused, with the flag and without it."""

    CALIBRATE_BEFORE_FUSION = 0


class CalibrationAlgoType(Named):
    """Kinds of calibrators."""

    LEGACY_CALIBRATION = 0
    ENTROPY_CALIBRATION = 1
    ENTROPY_CALIBRATION_2 = 2
    MINMAX_CALIBRATION = 3


class HardwareCompatibilityLevel(Named):
    """GPUs that a plan should run on, beside the one it was built on."""

    NONE = 0
    AMPERE_PLUS = 1
    SAME_COMPUTE_CAPABILITY = 2


class RuntimePlatform(Named):
    """Operating system that a plan is for."""

    SAME_AS_BUILD = 0
    WINDOWS_AMD64 = 1


class TilingOptimizationLevel(Named):
    """Effort for tiling across layers."""

    NONE = 0
    FAST = 1
    MODERATE = 2
    FULL = 3


class TripLimit(Named):
    """What ends a loop; loops are not in this version of dovetail."""

    COUNT = 0
    WHILE = 1


class LoopOutput(Named):
    """Outputs of a loop."""

    LAST_VALUE = 0
    CONCATENATE = 1
    REVERSE = 2


class WeightsRole(Named):
    """Kinds of weights of a layer for a refitter; refitting is not in this version of dovetail."""

    KERNEL = 0
    BIAS = 1
    SHIFT = 2
    SCALE = 3
    CONSTANT = 4
    ANY = 5


class ExecutionContextAllocationStrategy(Named):
    """Who allocates the memory of a context."""

    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


class OnnxParserFlag(Named):
    """Switches of `OnnxParser`; layers are imported as they are, so none has an effect."""

    NATIVE_INSTANCENORM = 0


class TempfileControlFlag(Named):
    """Whether a runtime may write temporary files; this one never does."""

    ALLOW_IN_MEMORY_FILES = 0
    ALLOW_TEMPORARY_FILES = 1


class ErrorCodeTRT(Named):
    """Codes of TensorRT's error recorders; those of dovetail's errors are `error.code`."""

    SUCCESS = 0
    UNSPECIFIED_ERROR = 1
    INTERNAL_ERROR = 2
    INVALID_ARGUMENT = 3
    INVALID_CONFIG = 4
    FAILED_ALLOCATION = 5
    FAILED_INITIALIZATION = 6
    FAILED_EXECUTION = 7
    FAILED_COMPUTATION = 8
    INVALID_STATE = 9
    UNSUPPORTED_STATE = 10

"""Enumerations of the machine, with TensorRT 8.5's names and values."""

from enum import IntEnum


class NetworkDefinitionCreationFlag(IntEnum):
    """Bits of `Builder.create_network(flags)`. Every network here has an explicit batch; both bits are accepted."""

    EXPLICIT_BATCH = 0
    EXPLICIT_PRECISION = 1


class BuilderFlag(IntEnum):
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


class MemoryPoolType(IntEnum):
    """What `IBuilderConfig.set_memory_pool_limit` bounds, in bytes."""

    WORKSPACE = 0
    DLA_MANAGED_SRAM = 1
    DLA_LOCAL_DRAM = 2
    DLA_GLOBAL_DRAM = 3


class ProfilingVerbosity(IntEnum):
    """How much the plan keeps about its layers for the inspector."""

    LAYER_NAMES_ONLY = 0
    NONE = 1
    DETAILED = 2


class EngineCapability(IntEnum):
    """Kind of run time that a plan is for; only STANDARD exists here."""

    STANDARD = 0
    SAFETY = 1
    DLA_STANDALONE = 2


class LayerInformationFormat(IntEnum):
    """Form of the inspector's answers."""

    ONELINE = 0
    JSON = 1

"""Members of `IBuilder` from before `IBuilderConfig`: settings of the builder, and the engine in one call."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dovetail import _native
from dovetail.machine.calibration.calibrators import a_calibrator
from dovetail.machine.enums import BuilderFlag, MemoryPoolType
from dovetail.machine.logger import Reporting
from dovetail.machine.settings import Check, Setting, integer, without_effect, yes_or_no

if TYPE_CHECKING:
    from dovetail.machine.config import IBuilderConfig
    from dovetail.machine.engine import ICudaEngine
    from dovetail.machine.network import INetworkDefinition

_BATCH = "every network has an explicit batch: its size is the first extent of the inputs, its range the profile's."
_THREADS = "config.num_threads is how many threads kernels are timed with, Runtime.max_threads how many they run on."


class OlderBuilder(Reporting):
    """The part of `Builder` for older scripts.

    `fp16_mode`, `int8_mode`, `strict_type_constraints`, `max_workspace_size` and the like are used by
    `build_cuda_engine` only; other builds take a config.
    """

    max_batch_size = Setting(1, integer(1), _BATCH)
    max_DLA_batch_size = Setting(1, integer(1), "DLAs are not supported.")  # noqa: N815  TensorRT's spelling
    gpu_allocator = Setting(None, None, "memory comes from the device's own allocator.")
    max_workspace_size = Setting(0, integer(0))  # bytes; 0: no limit
    fp16_mode = Setting(False, yes_or_no)
    int8_mode = Setting(False, yes_or_no)
    strict_type_constraints = Setting(False, yes_or_no)
    int8_calibrator = Setting(None, a_calibrator)
    refittable = Setting(False, yes_or_no)
    debug_sync = Setting(False, yes_or_no)
    average_find_iterations = Setting(1, integer(1))
    min_find_iterations = Setting(1, integer(1))

    _OLDER_FLAGS = {
        "fp16_mode": BuilderFlag.FP16,
        "int8_mode": BuilderFlag.INT8,
        "strict_type_constraints": BuilderFlag.STRICT_TYPES,
        "refittable": BuilderFlag.REFIT,
        "debug_sync": BuilderFlag.DEBUG,
    }
    _USED_INSTEAD = {
        **{name: f"config.set_flag(trt.BuilderFlag.{flag.name})" for name, flag in _OLDER_FLAGS.items()},
        "max_workspace_size": "config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, bytes)",
        "int8_calibrator": "config.int8_calibrator",
        "average_find_iterations": "config.avg_timing_iterations",
        "min_find_iterations": "config.min_timing_iterations",
    }
    _max_threads = 0
    _own_config: IBuilderConfig | None = None  # the last one that `build_cuda_engine` made

    @property
    def max_threads(self) -> int:
        """The number that was set, else as many as this process may use. Setting it has no effect, and warns."""
        return self._max_threads or _native.default_threads()

    @max_threads.setter
    def max_threads(self, number: int) -> None:
        self._max_threads = _threads("Builder.max_threads", number)
        self._warn(without_effect(self, "max_threads", number, _THREADS))

    def create_builder_config(self) -> IBuilderConfig:
        raise NotImplementedError

    def build_engine(self, network: INetworkDefinition, config: IBuilderConfig) -> ICudaEngine | None:
        raise NotImplementedError

    def build_cuda_engine(self, network: INetworkDefinition) -> ICudaEngine | None:
        """`build_engine` with a config made of the builder's own settings."""
        warnings.warn("Use build_serialized_network with a config instead.", DeprecationWarning, stacklevel=2)
        config = self._own_config = self.create_builder_config()
        for name, flag in self._OLDER_FLAGS.items():
            if getattr(self, name):
                config.set_flag(flag)
        if self.max_workspace_size:
            config.set_memory_pool_limit(MemoryPoolType.WORKSPACE, self.max_workspace_size)
        config.int8_calibrator = self.int8_calibrator
        config.avg_timing_iterations = self.average_find_iterations
        config.min_timing_iterations = self.min_find_iterations
        return self.build_engine(network, config)

    def _not_in(self, config: IBuilderConfig) -> Iterator[str]:
        """A sentence for each of the builder's own settings that a build with `config` ignores."""
        for name, instead in self._USED_INSTEAD.items():
            value = getattr(self, name)
            if config is not self._own_config and value != getattr(type(self), name).default:
                why = f"the build was given a config, which decides. Use {instead}."
                yield without_effect(self, name, value, why)


_threads: Check = integer(0, 1024)  # 0: as many as this process may use

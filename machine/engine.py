"""`ICudaEngine`: a plan that is ready to run."""

from __future__ import annotations

import os
from typing import Any

from dovetail import _native
from dovetail.core.arguments import text, whole
from dovetail.core.errors import BindingError
from dovetail.core.failures import returns_on_error
from dovetail.core.named import member_of
from dovetail.core.types import DataType, DeviceType, Dims, TensorFormat, TensorIOMode, TensorLocation
from dovetail.machine import absent
from dovetail.machine.context import IExecutionContext
from dovetail.machine.enums import ExecutionContextAllocationStrategy
from dovetail.machine.inspector import EngineInspector
from dovetail.machine.io_tensors import IOTensors
from dovetail.machine.logger import ILogger, Logger
from dovetail.machine.older_engine import OlderEngine
from dovetail.machine.plan import IHostMemory
from dovetail.machine.report import PlanFacts, facts_of_engine, facts_text


class ICudaEngine(OlderEngine):
    """A plan that is ready to run, on the device it was built for. Immutable: any number of contexts share it."""

    device_index: int
    device_type: DeviceType
    _absent = absent.ENGINE

    def __init__(
        self,
        plan: Any,
        n_threads: int = 0,
        device: int = -1,
        logger: ILogger | None = None,
        spin_us: int = -1,
        pins_threads: int = -1,
    ) -> None:
        self.logger = Logger() if logger is None else logger
        source = os.fspath(plan) if isinstance(plan, (str, os.PathLike)) else plan
        self._engine = _native.Engine(source, n_threads, device, spin_us, pins_threads)
        type_, self.device_index = self._engine.device  # of the GPU; 0 for the CPU
        self.device_type = DeviceType.GPU if type_ == DeviceType.GPU.dlpack_code else DeviceType.CPU
        self._tensors = IOTensors(self._engine)

    # ---- by name
    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def num_io_tensors(self) -> int:
        return len(self._tensors)

    def get_tensor_name(self, index: int) -> str | None:
        """Name of an input or output, the inputs first; None if the index is too large."""
        is_there = 0 <= whole("the index of a tensor", index) < len(self._tensors)
        return self._tensors.all[index].name if is_there else None

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        tensor = self._tensors.find(text("the name of a tensor", name))
        if tensor is None:
            return TensorIOMode.NONE
        return TensorIOMode.INPUT if tensor.is_input else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> Dims:
        """Extents; -1 if known only at run time."""
        return Dims(self._tensors.named(name).dims)

    def get_tensor_dtype(self, name: str) -> DataType:
        return self._tensors.named(name).dtype

    def get_tensor_location(self, name: str) -> TensorLocation:
        return TensorLocation.DEVICE if self._tensors.named(name).on_gpu else TensorLocation.HOST

    def is_shape_inference_io(self, name: str) -> bool:
        """True if the context reads it on the host: an input whose contents are extents."""
        return self._tensors.named(name).is_shape

    def get_tensor_format(self, name: str, profile_index: int = 0) -> TensorFormat:
        return self._tensors.named(name).format

    def get_tensor_format_desc(self, name: str, profile_index: int = 0) -> str:
        format_ = self.get_tensor_format(name)
        return f"{format_.name}, {format_.lanes} channels a vector" if format_.lanes > 1 else f"{format_.name}"

    def get_tensor_vectorized_dim(self, name: str, profile_index: int = 0) -> int:
        """Axis that is split into vectors; -1 if none is."""
        format_ = self.get_tensor_format(name)
        axis = format_.channel_axis(self._tensors.named(name).rank) if format_.lanes > 1 else None
        return -1 if axis is None else axis

    def get_tensor_components_per_element(self, name: str, profile_index: int = 0) -> int:
        format_ = self.get_tensor_format(name)
        return format_.lanes if format_.lanes > 1 else -1

    def get_tensor_bytes_per_component(self, name: str, profile_index: int = 0) -> int:
        return self.get_tensor_dtype(name).itemsize

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Dims]:
        """[min, opt, max] of an input in a profile."""
        tensor = self._tensors.named(name)
        if not tensor.is_input:
            raise BindingError(f"'{name}' is an output; profiles have shapes for inputs")
        self._check_profile(profile_index)
        return [Dims(dims) for dims in self._engine.profile(profile_index)["inputs"][tensor.index]]

    def _check_profile(self, index: int) -> None:
        if not 0 <= whole("the index of a profile", index) < self.num_optimization_profiles:
            raise BindingError(
                f"the engine has no profile {index}",
                facts=[("profiles", f"0..{self.num_optimization_profiles - 1}")],
            )

    def get_tensor_profile_values(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        """[min, opt, max] contents of a shape input."""
        tensor = self._tensors.shape_input(name)
        self._check_profile(profile_index)
        return [tuple(values) for values in self._engine.profile(profile_index)["contents"][tensor.index]]

    def __bool__(self) -> bool:
        return True

    # ---- as a whole
    @property
    def num_optimization_profiles(self) -> int:
        return self._engine.n_profiles

    @property
    def num_layers(self) -> int:
        return self._engine.n_steps

    def get_aliased_input_tensor(self, name: str) -> None:
        """Always None: no output shares the memory of an input."""
        self._tensors.named(name)

    def get_device_memory_size_for_profile(self, profile_index: int) -> int:
        """Bytes that a context needs for intermediate tensors of one profile. Raises BindingError."""
        self._check_profile(profile_index)
        return self._engine.device_memory_size(profile_index)

    @property
    def device_memory_size(self) -> int:
        """Bytes that a context needs for intermediate tensors, over all profiles."""
        return max(self._engine.device_memory_size(p) for p in range(self.num_optimization_profiles))

    @returns_on_error(None)
    def create_execution_context(
        self, strategy: ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy.STATIC
    ) -> IExecutionContext | None:
        """A context on profile 0. One thread at a time may use it; any number of contexts may run at once.

        Args:
            strategy: USER_MANAGED leaves the memory to `context.device_memory`.
        """
        strategy = member_of(ExecutionContextAllocationStrategy, strategy, "the strategy of a context")
        return self._context(strategy != ExecutionContextAllocationStrategy.USER_MANAGED)

    @returns_on_error(None)
    def create_execution_context_without_device_memory(self) -> IExecutionContext | None:
        """A context that runs once `context.device_memory` is set to memory of `device_memory_size` bytes."""
        return self._context(own_memory=False)

    def _context(self, own_memory: bool) -> IExecutionContext:
        return IExecutionContext(self, self._engine, self._tensors, own_memory)

    def create_engine_inspector(self) -> EngineInspector:
        return EngineInspector(self, self._facts)

    def serialize(self) -> IHostMemory:
        """The plan that the engine was made from."""
        return IHostMemory(self._engine.plan_bytes())

    def report(self, layer: str | None = None) -> str:
        """The build report: what runs, in which formats, how long it took, what lost and why."""
        return facts_text(self._facts(), layer)

    def _facts(self) -> PlanFacts:
        """The plan's own description, read on first use."""
        if not hasattr(self, "_known"):
            self._known = facts_of_engine(self._engine)
        return self._known

    def __str__(self) -> str:
        return self.report()

    def __del__(self) -> None:
        """Does nothing, for scripts that call it: memory is freed with the last reference."""

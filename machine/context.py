"""`IExecutionContext`: one thread's execution of an engine."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dovetail import _native
from dovetail.core.arguments import check_range, extents, whole
from dovetail.core.errors import BindingError, DovetailError
from dovetail.core.failures import failed, returns_on_error
from dovetail.core.types import DeviceType, Dims
from dovetail.machine import absent
from dovetail.machine.addresses import address_of
from dovetail.machine.arrays import ArrayFront
from dovetail.machine.device_array import event_number, stream_number
from dovetail.machine.io_tensors import IOTensors
from dovetail.machine.older_context import OlderContext
from dovetail.machine.output_allocator import IOutputAllocator, checked_allocator

if TYPE_CHECKING:
    from dovetail.machine.engine import ICudaEngine

_CUDA_STREAM = 1  # dt_stream.kind


class IExecutionContext(OlderContext):
    """Shapes, addresses and memory of one execution.

    Only one thread at a time may use it: a call from another thread meanwhile raises BindingError. Make one context for
    each thread. Methods that return a bool log their failures and return False, unless `raise_on_error(True)` makes
    them raise.
    """

    engine: ICudaEngine
    name: str
    _absent = absent.CONTEXT

    def __init__(self, engine: ICudaEngine, native: _native.Engine, tensors: IOTensors, own_memory: bool) -> None:
        """Contexts are made by `engine.create_execution_context()`."""
        self.engine, self.logger = engine, engine.logger
        self.name = ""
        self._tensors = tensors
        self._context = _native.Context(native, 0, own_memory)
        self._gpu: int | None = engine.device_index if engine.device_type == DeviceType.GPU else None
        self._arrays = ArrayFront(self._context, tensors, self._gpu)
        self._addresses: dict[str, int] = {}
        self._allocators: dict[str, IOutputAllocator | None] = {}
        self._shape_values: dict[str, np.ndarray] = {}  # of set_shape_input
        self.profiler = None

    @property
    def profiler(self) -> Any:
        """Receives the time of each layer; executions then wait for their end. None: nothing is timed."""
        return self._profiler

    @profiler.setter
    def profiler(self, profiler: Any) -> None:
        self._profiler = profiler
        # Cached for each run: the function for executions that need no work before or after.
        self._direct = self._context if profiler is None and self._gpu is None else None

    # ---- shapes
    @returns_on_error(False)
    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        """Set the extents of an input.

        Raises:
            ProfileError: outside the profile; the dimension is named.
            BindingError: no such input, or another rank.
        """
        index = self._tensors.input(name).index
        self._context.set_input_shape(index, extents(f"the shape of input '{name}'", shape))
        return True

    def get_tensor_shape(self, name: str) -> Dims:
        """The current extents; -1 if they depend on an input shape that is not set."""
        return Dims(self._context.tensor_shape(self._tensors.named(name).index))

    def infer_shapes(self) -> list[str]:
        """Names of inputs whose shape is still missing; empty if everything is known."""
        return list(self._context.infer_shapes())

    def get_max_output_size(self, name: str) -> int:
        """Bytes that an output needs for the present inputs; if its extents depend on data, the most that it can need.

        Raises:
            BindingError: inputs are missing.
        """
        return self._context.max_bytes(self._tensors.named(name).index)

    # ---- output allocators
    @returns_on_error(False)
    def set_output_allocator(self, name: str, output_allocator: IOutputAllocator | None) -> bool:
        """Let `output_allocator` allocate an output in each execution, once its extents are known.

        Raises:
            BindingError: no such output, or the object is not an allocator.
        """
        index = self._tensors.output(name).index
        if output_allocator is None:
            self._context.set_output_allocator(index, None, None)
        else:
            checked_allocator(name, output_allocator)
            self._context.set_output_allocator(index, *self._allocation_of(name))
        self._allocators[name] = output_allocator
        return True

    def _allocation_of(self, name: str) -> tuple[Any, Any]:
        """The functions that the native context calls to get memory and to report the extents of an output."""
        # The native context holds these functions, and the garbage collector cannot see a cycle through it.
        reference = weakref.ref(self)

        def allocate(n_bytes: int, alignment: int) -> int:
            context: Any = reference()
            before = context.get_tensor_address(name)
            given = context._allocators[name].reallocate_output(name, before, n_bytes, alignment)
            context._addresses[name] = 0 if given is None else address_of(given, f"output '{name}'")
            return context._addresses[name]

        def notify(dims: tuple[int, ...]) -> None:
            context: Any = reference()
            context._allocators[name].notify_shape(name, Dims(dims))

        return allocate, notify

    def get_output_allocator(self, name: str) -> IOutputAllocator | None:
        return self._allocators.get(self._tensors.output(name).name)

    # ---- profiles and memory
    @property
    def active_optimization_profile(self) -> int:
        return self._context.profile

    @active_optimization_profile.setter
    def active_optimization_profile(self, profile_index: int) -> None:
        self.set_optimization_profile_async(profile_index)

    @returns_on_error(False)
    def set_optimization_profile_async(self, profile_index: int, stream_handle: Any = 0) -> bool:
        """Switch to another profile. Input shapes have to be set again.

        Raises:
            ProfileError: no such profile.
        """
        index = whole("the index of a profile", profile_index)
        check_range("the index of a profile", [index], bits=32)
        self._context.set_profile(index)
        return True

    @property
    def device_memory(self) -> int:
        return self._context.device_memory

    @device_memory.setter
    def device_memory(self, address: int) -> None:
        """Address of at least `engine.device_memory_size` bytes, aligned to 64; the caller keeps them alive."""
        self._context.set_device_memory(address_of(address, "device_memory"), self.engine.device_memory_size)

    def set_device_memory(self, memory: int, size: int) -> None:
        """`device_memory` with its size in bytes, which is checked. Raises BindingError."""
        bytes_given = whole("the size of device memory", size)
        if not 0 <= bytes_given < 1 << 64:
            raise BindingError(f"device memory cannot have {bytes_given} bytes", got=size)
        self._context.set_device_memory(address_of(memory, "device_memory"), bytes_given)

    # ---- addresses
    @returns_on_error(False)
    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Set the address of an input or output, as a number; the caller keeps the memory alive. 0 removes it.

        Raises:
            BindingError: no such tensor.
        """
        self._tensors.named(name)
        self._set_address(name, address_of(memory, f"tensor '{name}'"))
        return True

    def _set_address(self, name: str, memory: int) -> None:
        self._context.set_address(self._tensors.named(name).index, memory)
        self._addresses[name] = memory
        self._shape_values.pop(name, None)

    def get_tensor_address(self, name: str) -> int:
        return self._addresses.get(self._tensors.named(name).name, 0)

    # ---- execution
    @property
    def debug_sync(self) -> bool:
        """Wait after every layer on a GPU, so that a fault names the layer. DOVETAIL_SYNC=1 sets it, too."""
        return self._context.debug_sync

    @debug_sync.setter
    def debug_sync(self, on: bool) -> None:
        self._context.debug_sync = bool(on)

    @returns_on_error(False)
    def set_input_consumed_event(self, event: Any) -> bool:
        """A cudaEvent_t that is recorded once the inputs may be changed again; 0 removes it."""
        self._context.input_consumed_event = event_number(event)
        return True

    def get_input_consumed_event(self) -> int:
        return self._context.input_consumed_event

    def execute_async_v3(self, stream_handle: Any = 0) -> bool:
        """Run with the addresses that were set.

        On a GPU everything is enqueued on the stream, a cudaStream_t or its number, and the call returns; it can be
        captured into a CUDA graph. On the CPU the work is done when the call returns.

        Raises:
            BindingError: an address or shape is missing; all are named. Or memory of the wrong device.
            PluginFailed: a layer's implementation failed; plugin and layer are named.
            DeviceFault: the GPU failed, perhaps in earlier work.
        """
        try:
            direct = self._direct
            if direct is None:
                self._execute(stream_number(stream_handle))
            else:
                direct.execute()
        except DovetailError as error:
            return failed(self, error, False)
        return True

    def _execute(self, stream: int) -> None:
        """Run on a stream; failures always raise, independent of `raise_on_error`."""
        if self._profiler is not None:
            self._take_times(self._context.execute_profiled(stream))
        elif self._gpu is not None:
            self._context.execute_on(_CUDA_STREAM, self._gpu, stream)
        else:
            self._context.execute()

    # ---- arrays in and out
    def run(self, inputs: Any, outputs: Mapping[str, Any] | None = None, stream: Any = 0) -> dict[str, Any]:
        """Run on arrays: `context.run({"x": array})["y"]`.

        If a tensor's format is not LINEAR, an array with its dims is reformatted, and a flat array is taken to be in
        that format. Results are flat, too, unless `outputs` has an array with dims. An output may share memory with an
        input, which is copied first.

        Objects with `__dlpack__`, the CUDA array interface or the buffer protocol are used in place if they are
        contiguous and on the engine's device, else copied. Results are new arrays, or those given in `outputs`. On a
        GPU, results are `DeviceArray`s if any input was on the GPU, and may still be being computed when the call
        returns; NumPy arrays are complete.

        Args:
            inputs: arrays by name; or a list or tuple of them in the engine's order; or the array itself, if the
                engine has one input.
            stream: a cudaStream_t or its number, for engines on a GPU. It waits for arrays that other libraries are
                still computing. Later work on other streams that reads an array given in `outputs` must wait for this
                stream.

        Raises:
            BindingError: an input is missing or unknown, a type, shape or device does not fit; both sides are named.
            ProfileError: an extent is outside the profile.
        """
        direct = self._direct
        if direct is not None:
            results = direct.run(inputs, outputs)
            if results is not None:
                return results
        results, times = self._arrays.run(inputs, outputs, stream, self._profiler is not None)
        if times:
            self._take_times(times)
        return results

"""The part of `IExecutionContext` for TensorRT's scripts: bindings by index, settings, older names, strides."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dovetail import _native
from dovetail.core.arguments import check_range, extents, integers, sequence, whole
from dovetail.core.errors import BindingError
from dovetail.core.failures import returns_on_error
from dovetail.core.types import Dims
from dovetail.machine.addresses import address_of
from dovetail.machine.device_array import event_number, stream_number
from dovetail.machine.enums import ProfilingVerbosity
from dovetail.machine.io_tensors import IOTensors
from dovetail.machine.logger import Reporting
from dovetail.machine.settings import Setting, integer, member, without_effect, yes_or_no

if TYPE_CHECKING:
    from dovetail.machine.engine import ICudaEngine

_CHANNELS_LAST = 2  # TensorFormat.kind
_BINDINGS = "Pass one address for each input and output, in binding order; context.run(inputs) takes arrays by name."


class OlderContext(Reporting):
    """Access by binding index, settings without effect, batch sizes, the times of the last execution."""

    engine: ICudaEngine
    profiler: Any
    _tensors: IOTensors
    _context: _native.Context
    _shape_values: dict[str, np.ndarray]  # of set_shape_input
    _addresses: dict[str, int]
    enqueue_emits_profile = Setting(True, yes_or_no)
    nvtx_verbosity = Setting(
        ProfilingVerbosity.LAYER_NAMES_ONLY, member(ProfilingVerbosity), "no NVTX ranges are written."
    )
    persistent_cache_limit = Setting(0, integer(0), "the L2 cache is left to the device.")
    temporary_allocator = Setting(None, None, "memory comes from the device's own allocator.")
    _batch_warned = False
    _times: Sequence[tuple[str, int]] = ()  # (layer, ns) of the last execution, until they are reported

    def get_tensor_shape(self, name: str) -> Dims:
        raise NotImplementedError

    def infer_shapes(self) -> list[str]:
        raise NotImplementedError

    def _set_address(self, name: str, memory: int) -> None:
        raise NotImplementedError

    def _execute(self, stream: int) -> None:
        raise NotImplementedError

    # ---- shapes
    @returns_on_error(False)
    def set_binding_shape(self, binding: int, shape: Sequence[int]) -> bool:
        tensor = self._tensors.input(self._tensors.binding(binding).name)
        self._context.set_input_shape(tensor.index, extents(f"the shape of input '{tensor.name}'", shape))
        return True

    def get_binding_shape(self, binding: int) -> Dims:
        return self.get_tensor_shape(self._tensors.binding(binding).name)

    @property
    def all_binding_shapes_specified(self) -> bool:
        return not self.infer_shapes()

    @property
    def all_shape_inputs_specified(self) -> bool:
        return all(self._context.address(tensor.index) for tensor in self._tensors.inputs if tensor.is_shape)

    @returns_on_error(False)
    def set_shape_input(self, binding: int, shape: Sequence[int]) -> bool:
        """Set the contents of a shape input. They are copied, and are used until others are set.

        Raises:
            BindingError: it is not a shape input, or the number of values does not fit.
            ShapeError: a value does not fit into the input's type.
        """
        tensor = self._tensors.binding(binding)
        self._tensors.input(tensor.name)
        self._tensors.shape_input(tensor.name)
        what = f"the contents of shape input '{tensor.name}'"
        given = integers(what, shape)
        check_range(what, given, bits=8 * tensor.numpy_type.itemsize)
        values = np.asarray(given, dtype=tensor.numpy_type).reshape(-1)
        if values.size != int(np.prod(tensor.dims, dtype=np.int64)):
            raise BindingError(
                f"shape input '{tensor.name}' cannot take {values.size} values",
                facts=[("dims", str(list(tensor.dims)))],
            )
        self._bind_shape_values(tensor.name, values)
        self._shape_values[tensor.name] = values
        return True

    def _bind_shape_values(self, name: str, values: np.ndarray) -> None:
        self._context.set_buffer(self._tensors.named(name).index, values)
        self._addresses[name] = values.ctypes.data

    def get_shape(self, binding: int) -> list[int]:
        """Contents of a shape input, or of an output in host memory."""
        tensor = self._tensors.binding(binding)
        dims, address = self.get_tensor_shape(tensor.name), self._context.address(tensor.index)
        if tensor.on_gpu or not address or -1 in dims:
            raise BindingError(f"the contents of '{tensor.name}' are not known", facts=[("shape", str(list(dims)))])
        data: Any = (ctypes.c_char * self._context.tensor_bytes(tensor.index)).from_address(address)
        return np.frombuffer(data, tensor.numpy_type).reshape(-1).tolist()

    def get_tensor_strides(self, name: str) -> Dims:
        """Strides in elements along each axis; in formats with vectors of channels, in vectors, as in TensorRT.

        Raises:
            BindingError: no such tensor, or an extent is not known yet.
        """
        shape, format_ = self.get_tensor_shape(name), self.engine.get_tensor_format(name)
        if -1 in shape:
            raise BindingError(f"the strides of '{name}' are not known", facts=[("shape", str(list(shape)))])
        axis = format_.channel_axis(len(shape))
        extents = list(shape)
        order = list(range(len(extents)))
        if axis is not None:
            extents[axis] = -(-extents[axis] // format_.lanes)
            if format_.kind == _CHANNELS_LAST:
                order.append(order.pop(axis))
        strides, step = [0] * len(extents), 1
        for place in reversed(order):
            strides[place], step = step, step * extents[place]
        return Dims(strides)

    def get_strides(self, binding: int) -> Dims:
        return self.get_tensor_strides(self._tensors.binding(binding).name)

    # ---- times
    def _take_times(self, times: Sequence[tuple[str, int]]) -> None:
        """Keep the times of an execution, and report them now unless the user does that with report_to_profiler."""
        self._times = times
        if self.enqueue_emits_profile:
            self.report_to_profiler()

    def report_to_profiler(self) -> bool:
        """Report the times of the last execution to the profiler. False if there are none, or they were reported."""
        profiler = self.profiler  # which may remove itself
        if profiler is None or not self._times:
            return False
        times, self._times = self._times, ()
        for layer, time_ns in times:
            profiler.report_layer_time(layer, time_ns / 1e6)
        return True

    # ---- execution
    @returns_on_error(False)
    def execute_v2(self, bindings: Sequence[int]) -> bool:
        """Run with these addresses, in binding order. Everything is done when the call returns."""
        self._bind(bindings)
        if self.profiler is not None:
            self._execute(0)
        else:
            self._context.execute()
        return True

    @returns_on_error(False)
    def execute_async_v2(self, bindings: Sequence[int], stream_handle: Any = 0, input_consumed: Any = None) -> bool:
        """`execute_async_v3` with these addresses, in binding order.

        Args:
            input_consumed: an event for `set_input_consumed_event`.
        """
        self._bind(bindings)
        if input_consumed is not None:
            self._context.input_consumed_event = event_number(input_consumed)
        self._execute(stream_number(stream_handle))
        return True

    def _bind(self, bindings: Sequence[int]) -> None:
        tensors, profile = self._tensors, self._context.profile
        sequence("the bindings of an execution", bindings, "addresses", _BINDINGS)
        if len(bindings) < len(tensors) * (profile + 1):
            raise BindingError(
                f"{len(bindings)} addresses were given for {len(tensors)} inputs and outputs",
                facts=[("bindings", ", ".join(tensor.name for tensor in tensors))],
                expected=len(tensors),
                got=len(bindings),
            )
        for tensor, address in zip(tensors, bindings[len(tensors) * profile :], strict=False):
            if tensor.name in self._shape_values:  # values of set_shape_input take precedence over the binding
                self._bind_shape_values(tensor.name, self._shape_values[tensor.name])
            else:
                self._set_address(tensor.name, address_of(address, f"tensor '{tensor.name}'"))

    def execute(self, batch_size: int = 1, bindings: Sequence[int] = ()) -> bool:
        """`execute_v2`. A `batch_size` above 1 has no effect, and warns: inputs have the batch in their shape."""
        self._warn_of_batch(batch_size)
        return self.execute_v2(bindings)

    def execute_async(
        self, batch_size: int = 1, bindings: Sequence[int] = (), stream_handle: Any = 0, input_consumed: Any = None
    ) -> bool:
        """`execute_async_v2`. A `batch_size` above 1 has no effect, and warns."""
        self._warn_of_batch(batch_size)
        return self.execute_async_v2(bindings, stream_handle, input_consumed)

    def _warn_of_batch(self, batch_size: int) -> None:
        if whole("batch_size", batch_size) > 1 and not self._batch_warned:
            self._batch_warned = True
            self._warn(f"batch_size = {batch_size} has no effect: the batch is the first extent of the inputs.")

    def set_aux_streams(self, aux_streams: Sequence[int]) -> None:
        """Without effect, and warns: an execution uses one stream."""
        streams = list(sequence("aux_streams", aux_streams, "streams"))
        self._warn(without_effect(self, "aux_streams", streams, "an execution uses one stream."))

    def __del__(self) -> None:
        """Does nothing, for scripts that call it: memory is freed with the last reference."""

"""The part of `IExecutionContext` that is there for scripts: settings, older names, strides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dovetail.core.arguments import sequence, whole
from dovetail.core.errors import BindingError
from dovetail.core.types import Dims
from dovetail.machine.enums import ProfilingVerbosity
from dovetail.machine.logger import Reporting
from dovetail.machine.settings import Setting, integer, member, without_effect, yes_or_no

if TYPE_CHECKING:
    from dovetail.machine.engine import ICudaEngine

_CHANNELS_LAST = 2  # TensorFormat.kind


class OlderContext(Reporting):
    """Settings without effect, `execute` and `execute_async` with a batch size, the times of the last execution."""

    engine: ICudaEngine
    profiler: Any
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

    def execute_v2(self, bindings: Sequence[int]) -> bool:
        raise NotImplementedError

    def execute_async_v2(self, bindings: Sequence[int], stream_handle: Any = 0, input_consumed: Any = None) -> bool:
        raise NotImplementedError

    def get_tensor_strides(self, name: str) -> Dims:
        """Elements between neighbours along each axis; of vectors of channels in formats that have them, as TensorRT.

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
        return self.get_tensor_strides(self.engine._binding(binding))

    def report_to_profiler(self) -> bool:
        """Give the profiler the times of the last execution. False if there are none, or they were given already."""
        profiler = self.profiler  # which may take itself away
        if profiler is None or not self._times:
            return False
        times, self._times = self._times, ()
        for layer, time_ns in times:
            profiler.report_layer_time(layer, time_ns / 1e6)
        return True

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
        """Nothing: scripts may call it, and memory is freed with the last reference."""

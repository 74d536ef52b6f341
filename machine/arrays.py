"""Arrays in and out of a context: NumPy, buffers, DLPack and CUDA arrays, for engines on the CPU and on a GPU.

The native context runs on NumPy arrays that it can use in place. This module converts everything else to that form:
arrays of other libraries, other layouts, memory that inputs and outputs share, GPU memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from dovetail import _native
from dovetail.core.errors import BindingError
from dovetail.core.tensor import TensorDesc, pack, unpack
from dovetail.machine.device_array import DeviceArray, Found, device_view, lies_on_gpu, stream_number
from dovetail.machine.exchange import host_view
from dovetail.machine.io_tensors import IOTensor, IOTensors

Extents = tuple[int, ...]
Times = list[tuple[str, int]]  # (layer, nanoseconds)
# The forms in which the native context takes memory: a host array, or a tuple. For an input (address, bytes, extents or
# None if they are set already, owner), for an output (address, bytes, owner).
Memory = np.ndarray | tuple[Any, ...]


class ArrayFront:
    """`context.run` for arrays that the native context cannot use as they are."""

    def __init__(self, context: _native.Context, tensors: IOTensors, device: int | None) -> None:
        """`device`: the index of the engine's GPU; None for an engine on the CPU."""
        context.set_array_types([tensor.numpy_type for tensor in tensors])
        self._context, self._tensors, self._device = context, tensors, device
        self._packed: list[tuple[IOTensor, np.ndarray, np.ndarray]] = []  # outputs to be reformatted after the run
        self._staging: dict[int, Any] = {}  # memory on the GPU for host arrays, by input or output
        self._kept: list[Any] = []  # arrays that the GPU may still be reading, until the next run

    def run(
        self, inputs: Any, outputs: Mapping[str, Any] | None, stream: Any, is_profiled: bool
    ) -> tuple[dict[str, Any], Times]:
        """The results by name, and the times of the layers in nanoseconds; empty if they are not requested.

        Raises:
            BindingError, ProfileError: as `IExecutionContext.run`.
        """
        by_name = self._tensors.inputs_by_name(inputs)
        with self._context:  # locked for the calling thread
            self._packed.clear()
            if outputs is not None:
                by_name = self._apart(by_name, outputs)
            if self._device is None:
                return self._run_on_cpu(by_name, outputs or {}, is_profiled)
            with _native.CurrentDevice(self._device):
                return self._run_on_gpu(by_name, outputs or {}, stream_number(stream), is_profiled)

    # ---- memory that inputs and outputs share
    def _apart(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The inputs; those whose memory is also that of an output are copied.

        Raises:
            BindingError: not a mapping, no such output, or two of them share memory.
        """
        targets = self._targets(outputs)
        apart = dict(inputs)
        for tensor in self._tensors.inputs if targets else ():
            if lies_on_gpu(apart[tensor.name]):
                continue
            view = _view(tensor, apart[tensor.name])
            if any(np.may_share_memory(view, target) for target in targets.values()):
                apart[tensor.name] = view.copy()
        return apart

    def _targets(self, outputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Views of the outputs on the host."""
        wanted = [tensor.name for tensor in self._tensors.outputs]
        if not isinstance(outputs, Mapping):
            raise BindingError(
                f"outputs= cannot be a {type(outputs).__name__}",
                facts=[("outputs", ", ".join(wanted))],
                hint="Give arrays by name: outputs={name: array}.",
                got=outputs,
            )
        unknown = [str(name) for name in outputs if name not in wanted]
        if unknown:
            facts = [("unknown", ", ".join(unknown)), ("outputs", ", ".join(wanted))]
            raise BindingError("the outputs given are not those of the engine", facts=facts, got=unknown)
        targets: dict[str, np.ndarray] = {}
        for tensor in self._tensors.outputs:
            value = outputs.get(tensor.name)
            if value is None or lies_on_gpu(value):
                continue
            target = host_view(value, tensor.dtype, f"output '{tensor.name}'", writable=True)
            for name, other in targets.items():
                if np.may_share_memory(target, other):
                    raise BindingError(
                        f"outputs '{name}' and '{tensor.name}' cannot lie in the same memory",
                        hint="Give each output its own memory.",
                    )
            targets[tensor.name] = target
        return targets

    # ---- on the CPU
    def _run_on_cpu(
        self, inputs: Mapping[str, Any], outputs: Mapping[str, Any], is_profiled: bool
    ) -> tuple[dict[str, Any], Times]:
        memory: list[Memory] = []
        for tensor in self._tensors.inputs:
            array, extents = _laid_out(tensor, _view(tensor, inputs[tensor.name]))
            if tensor.is_linear or extents is None:
                memory.append(array)
            else:
                memory.append((array.ctypes.data, array.nbytes, extents, array))
        given = [(tensor, outputs.get(tensor.name)) for tensor in self._tensors.outputs]
        makers = [None if array is None else partial(self._output, tensor, array) for tensor, array in given]
        results, times = self._context.run_converted(memory, makers, 0, is_profiled)
        return self._unpacked(results), times

    def _output(self, tensor: IOTensor, given: Any, extents: Extents) -> np.ndarray:
        """The user's array for an output of these extents; None if none was given."""
        what = f"output '{tensor.name}'"
        array = host_view(given, tensor.dtype, what, writable=True)
        needed = _array_shape(tensor, extents)
        if tensor.is_linear or array.ndim != tensor.rank:
            _check_output(what, array.shape, needed)
            return array
        _check_output(what, array.shape, extents)
        flat = np.empty(needed, tensor.numpy_type)
        self._packed.append((tensor, flat, array))
        return flat

    def _unpacked(self, results: dict[str, Any]) -> dict[str, Any]:
        """The results; outputs for which the user gave arrays with dims are reformatted into these."""
        for tensor, flat, target in self._packed:
            target[...] = unpack(flat, target.shape, tensor.dtype, tensor.format).view(target.dtype)
            results[tensor.name] = target
        self._packed.clear()
        return results

    # ---- on a GPU
    def _run_on_gpu(
        self, inputs: Mapping[str, Any], outputs: Mapping[str, Any], stream: int, is_profiled: bool
    ) -> tuple[dict[str, Any], Times]:
        self._kept.clear()
        found = [self._find_input(tensor, inputs[tensor.name], stream) for tensor in self._tensors.inputs]
        memory = [place for place, _ in found]
        stay = any(lay_there for _, lay_there in found)
        results: dict[str, Any] = {}
        to_host: list[tuple[int, np.ndarray]] = []
        makers: Sequence[Callable[[Extents], Memory]] = [
            partial(self._place_output, tensor, outputs.get(tensor.name), stay, stream, results, to_host)
            for tensor in self._tensors.outputs
        ]
        _, times = self._context.run_converted(memory, makers, stream, is_profiled)
        for address, array in to_host:
            _native.copy(self._device, array.ctypes.data, address, array.nbytes, stream)
        if to_host or not all(tensor.on_gpu for tensor in self._tensors):
            _native.wait_for_stream(self._device, stream)
        return self._unpacked({tensor.name: results[tensor.name] for tensor in self._tensors.outputs}), times

    def _find_input(self, tensor: IOTensor, value: Any, stream: int) -> tuple[Memory, bool]:
        """Memory of an input, and whether it was on the GPU already."""
        what = f"input '{tensor.name}'"
        found = device_view(value, tensor.dtype, self._device, stream, what) if tensor.on_gpu else None
        if found is not None:
            if not tensor.is_linear and len(found.shape) != 1:
                raise BindingError(
                    f"{what} is on the GPU with dims {list(found.shape)}, and is needed as {tensor.format.name}",
                    hint="Give a flat array in this format, or an array on the host, which is reformatted.",
                )
            return (found.address, found.n_bytes, found.shape if tensor.is_linear else None, found), True
        array, extents = _laid_out(tensor, _view(tensor, value))
        if tensor.is_linear:
            extents = array.shape  # of any rank: the context checks it
        if not tensor.on_gpu:
            return (array.ctypes.data, array.nbytes, extents, array), False
        address = self._staged(tensor, array.nbytes)
        self._kept.append(array)
        _native.copy(self._device, address, array.ctypes.data, array.nbytes, stream)
        return (address, array.nbytes, extents, self._staging[tensor.index]), False

    def _place_output(
        self,
        tensor: IOTensor,
        given: Any,
        stay: bool,
        stream: int,
        results: dict[str, Any],
        to_host: list[tuple[int, np.ndarray]],
        extents: Extents,
    ) -> Memory:
        """Memory for an output of these extents. `stay`: results remain on the GPU."""
        what, shape = f"output '{tensor.name}'", _array_shape(tensor, extents)
        if tensor.on_gpu:
            found = None if given is None else device_view(given, tensor.dtype, self._device, stream, what)
            if given is None and stay:
                given = DeviceArray(shape, tensor.dtype, self._device, stream)
                found = Found(given.pointer, shape, given.nbytes, given)
            if found is not None:
                _check_output(what, found.shape, shape)
                results[tensor.name] = given
                return found.address, found.n_bytes, found
        array = np.empty(shape, tensor.numpy_type) if given is None else self._output(tensor, given, extents)
        results[tensor.name] = array
        if not tensor.on_gpu:
            return array
        to_host.append((self._staged(tensor, array.nbytes), array))
        return to_host[-1][0], array.nbytes, self._staging[tensor.index]

    def _staged(self, tensor: IOTensor, n_bytes: int) -> int:
        """Address of memory on the GPU for a host array; kept for later runs."""
        memory = self._staging.get(tensor.index)
        if memory is None or memory.bytes < n_bytes:
            memory = self._staging[tensor.index] = _native.DeviceMemory(max(n_bytes, 256), self._device)
        return memory.address


def _view(tensor: IOTensor, value: Any) -> np.ndarray:
    """`value` as a contiguous, aligned array of the tensor's type, copied only if necessary."""
    is_fit = type(value) is np.ndarray and value.dtype == tensor.numpy_type
    if is_fit and value.flags.c_contiguous and value.flags.aligned:
        return value
    return host_view(value, tensor.dtype, f"input '{tensor.name}'")


def _laid_out(tensor: IOTensor, view: np.ndarray) -> tuple[np.ndarray, Extents | None]:
    """An input in the tensor's format, and its extents; None for a flat array, which is in that format already.

    Raises:
        BindingError: neither an array of the tensor's dims nor a flat one.
    """
    if view.ndim == tensor.rank:
        return (view if tensor.is_linear else pack(view, tensor.format)), view.shape
    if tensor.is_linear or view.ndim == 1:
        return view, None
    raise BindingError(
        f"input '{tensor.name}' cannot be an array of shape {list(view.shape)}",
        facts=[
            ("format", tensor.format.name),
            ("taken", f"{tensor.rank} dims, which are reformatted, or a flat array in this format"),
        ],
        expected=tensor.rank,
        got=view.shape,
    )


def _array_shape(tensor: IOTensor, extents: Extents) -> Extents:
    """Shape of the array that holds an output: flat if its format is not row-major."""
    if tensor.is_linear:
        return extents
    return (TensorDesc(extents, tensor.dtype, tensor.format).allocated_size // tensor.dtype.itemsize,)


def _check_output(what: str, given: Extents, needed: Extents) -> None:
    if tuple(given) != tuple(needed):
        raise BindingError(
            f"{what} cannot be written to an array of shape {list(given)}",
            facts=[("needed", str(list(needed)))],
            expected=needed,
            got=given,
        )

"""`IExecutionContext`: one thread's execution of an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dovetail import _native
from dovetail.core.errors import BindingError
from dovetail.core.tensor import TensorDesc
from dovetail.core.types import Dims
from dovetail.machine.exchange import Port, host_view

if TYPE_CHECKING:
    from dovetail.machine.engine import ICudaEngine


class IExecutionContext:
    """Shapes, addresses and memory of one execution. Not to be used by two threads at once."""

    def __init__(self, engine: ICudaEngine, own_memory: bool = True) -> None:
        self.engine = engine
        self.name = ""
        self.debug_sync = False
        self.profiler: Any = None
        self._context = _native.Context(engine._engine, 0, own_memory)
        self._profile = 0
        self._addresses: dict[str, int] = {}
        self._kept: dict[str, Any] = {}  # arrays behind addresses of the last run

    # ---- shapes
    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        """Set the extents of an input.

        Raises:
            ProfileError: outside the profile; the dimension is named.
            BindingError: no such input, or another rank.
        """
        index = self._input_index(name)
        self._context.set_input_shape(index, [int(extent) for extent in shape])
        return True

    def get_tensor_shape(self, name: str) -> Dims:
        """Extents now; -1 where they depend on an input shape that is not set."""
        self.engine._of(name)
        return Dims(self._context.tensor_shape(self.engine._index[name]))

    def infer_shapes(self) -> list[str]:
        """Names of inputs whose shape is still missing; empty if everything is known."""
        return list(self._context.infer_shapes())

    def get_max_output_size(self, name: str) -> int:
        """Bytes of an output at the profile's largest extents, or now if the shapes are known."""
        info = self.engine._of(name)
        dims = tuple(self.get_tensor_shape(name))
        if -1 in dims:
            raise BindingError(f"the size of '{name}' is not known yet", facts=[("shape", str(list(dims)))])
        return TensorDesc(dims, info.dtype, info.format).allocated_size

    def _input_index(self, name: str) -> int:
        self.engine._of(name)
        index = self.engine._index[name]
        if index >= self.engine._n_inputs:
            raise BindingError(f"'{name}' is an output: its shape follows from the inputs")
        return index

    # ---- shapes by binding
    def set_binding_shape(self, binding: int, shape: Sequence[int]) -> bool:
        return self.set_input_shape(self.engine._binding(binding), shape)

    def get_binding_shape(self, binding: int) -> Dims:
        return self.get_tensor_shape(self.engine._binding(binding))

    @property
    def all_binding_shapes_specified(self) -> bool:
        return not self.infer_shapes()

    @property
    def all_shape_inputs_specified(self) -> bool:
        return True

    # ---- profiles and memory
    @property
    def active_optimization_profile(self) -> int:
        return self._profile

    def set_optimization_profile_async(self, profile_index: int, stream_handle: Any = 0) -> bool:
        """Switch to another profile. Input shapes have to be set again.

        Raises:
            BindingError: no such profile.
        """
        self._context.set_profile(int(profile_index))
        self._profile = int(profile_index)
        return True

    @property
    def device_memory(self) -> int:
        return self._context.device_memory

    @device_memory.setter
    def device_memory(self, address: int) -> None:
        """Address of at least `engine.device_memory_size` bytes, aligned to 64; the caller keeps them alive."""
        self._context.set_device_memory(int(address), self.engine.device_memory_size)

    # ---- addresses
    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Where an input lies or an output goes, as a number; the caller keeps the memory alive.

        Raises:
            BindingError: no such tensor, or address 0.
        """
        self.engine._of(name)
        if not int(memory):
            raise BindingError(f"tensor '{name}' cannot lie at address 0", hint="Pass array.ctypes.data.")
        self._context.set_address(self.engine._index[name], int(memory))
        self._addresses[name] = int(memory)
        return True

    def get_tensor_address(self, name: str) -> int:
        self.engine._of(name)
        return self._addresses.get(name, 0)

    # ---- execution
    def execute_async_v3(self, stream_handle: Any = 0) -> bool:
        """Run with the addresses that were set. On the CPU the work is done when the call returns.

        Raises:
            BindingError: an address or shape is missing; all are named.
            PluginFailed: a layer's implementation failed; plugin and layer are named.
        """
        if self.profiler is None:
            self._context.execute()
        else:
            for layer, time_ns in self._context.execute_profiled():
                self.profiler.report_layer_time(layer, time_ns / 1e6)
        return True

    def execute_v2(self, bindings: Sequence[int]) -> bool:
        """Run with these addresses, in binding order."""
        n_io = len(self.engine._io)
        if len(bindings) < n_io * (self._profile + 1):
            names = ", ".join(info.name for info in self.engine._io)
            raise BindingError(
                f"{len(bindings)} addresses were given for {n_io} inputs and outputs",
                facts=[("bindings", names)],
                expected=n_io,
                got=len(bindings),
            )
        for info, address in zip(self.engine._io, bindings[n_io * self._profile :], strict=False):
            self.set_tensor_address(info.name, int(address))
        return self.execute_async_v3()

    def execute_async_v2(self, bindings: Sequence[int], stream_handle: Any = 0) -> bool:
        return self.execute_v2(bindings)

    # ---- arrays in and out
    def run(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None = None) -> dict[str, np.ndarray]:
        """Run on arrays: `context.run({"x": array})["y"]`.

        Anything with `__dlpack__` or the buffer protocol is taken where it lies if it is contiguous; else it is copied.
        Results are new arrays, or those given in `outputs`, written in place.

        Raises:
            BindingError: an input is missing or unknown, a type, shape or device does not fit; both sides are named.
            ProfileError: an extent is outside the profile.
        """
        ports = self.engine._ports
        n_inputs = self.engine._n_inputs
        if len(inputs) != n_inputs:
            self._check_names(inputs)
        context, kept = self._context, self._kept
        for index in range(n_inputs):
            port = ports[index]
            value = inputs.get(port.name)
            if value is None:
                self._check_names(inputs)
            view = port.view(value)
            if port.is_linear:
                context.set_input_shape(index, view.shape)
            context.set_buffer(index, view)
            kept[port.name] = view
        results = {}
        for index in range(n_inputs, len(ports)):
            port = ports[index]
            results[port.name] = self._output(index, port, outputs)
        self.execute_async_v3()
        return results

    def _check_names(self, inputs: Mapping[str, Any]) -> None:
        wanted = [port.name for port in self.engine._ports[: self.engine._n_inputs]]
        missing = [name for name in wanted if name not in inputs]
        unknown = [name for name in inputs if name not in wanted]
        if missing or unknown:
            facts = [("missing", ", ".join(missing))] if missing else []
            facts += [("unknown", ", ".join(map(str, unknown)))] if unknown else []
            raise BindingError(
                "the inputs given are not those of the engine", facts=[*facts, ("inputs", ", ".join(wanted))]
            )

    def _output(self, index: int, port: Port, outputs: Mapping[str, Any] | None) -> np.ndarray:
        shape = self._context.tensor_shape(index)
        if not port.is_linear:
            shape = (TensorDesc(shape, port.dtype, port.format).allocated_size // port.dtype.itemsize,)
        given = None if outputs is None else outputs.get(port.name)
        if given is None:
            array = np.empty(shape, port.numpy_type)
        else:
            array = host_view(given, port.dtype, f"output '{port.name}'", writable=True)
            if array.shape != tuple(shape):
                raise BindingError(
                    f"output '{port.name}' cannot be written to an array of shape {list(array.shape)}",
                    facts=[("needed", str(list(shape)))],
                    expected=shape,
                    got=array.shape,
                )
        self._kept[port.name] = array
        self._context.set_buffer(index, array)
        return array

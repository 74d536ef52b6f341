"""`IExecutionContext`: one thread's execution of an engine."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dovetail import _native
from dovetail.core.arguments import extents, integers, sequence, whole
from dovetail.core.errors import BindingError, DovetailError
from dovetail.core.failures import failed, returns_on_error
from dovetail.core.tensor import TensorDesc, unpack
from dovetail.core.types import DeviceType, Dims
from dovetail.machine import absent
from dovetail.machine.addresses import address_of
from dovetail.machine.device_array import DeviceArray, Found, device_view, handle_number, lies_on_gpu, stream_number
from dovetail.machine.exchange import Port, host_view
from dovetail.machine.older_context import OlderContext

if TYPE_CHECKING:
    from dovetail.machine.engine import ICudaEngine


_BINDINGS = "Pass one address for each input and output, in binding order; context.run(inputs) takes arrays by name."
_CUDA_STREAM = 1  # dt_stream.kind


class IOutputAllocator:
    """Gives memory for outputs whose size is known only in an execution. To be derived from."""

    def reallocate_output(self, tensor_name: str, memory: int, size: int, alignment: int) -> int:
        """Address of at least `size` bytes at a multiple of `alignment`, on the output's device; 0 is a failure.

        Args:
            memory: the address before, which may be given again if there is room.
        """
        raise TypeError(f"{type(self).__name__} has no reallocate_output")

    def notify_shape(self, tensor_name: str, shape: Dims) -> None:
        """The extents of the output in this execution."""


class IExecutionContext(OlderContext):
    """Shapes, addresses and memory of one execution.

    One thread at a time may use it: what another one calls meanwhile is a BindingError. Make one for each thread.
    Methods that return a bool log why they fail and return False, unless `raise_on_error(True)` makes them raise.
    """

    engine: ICudaEngine
    name: str
    profiler: Any
    _absent = absent.CONTEXT

    def __init__(self, engine: ICudaEngine, own_memory: bool = True) -> None:
        self.engine, self.logger = engine, engine.logger
        self.name = ""
        self.profiler = None
        self._context = _native.Context(engine._engine, 0, own_memory)
        self._profile = 0
        self._addresses: dict[str, int] = {}
        self._allocators: dict[str, IOutputAllocator | None] = {}
        # Memory of these is asked for in the execution: only the layers tell their extents, or the user gives it.
        self._is_asked_for = [info.is_sized_late for info in engine._io]
        self._asks = any(self._is_asked_for)
        self._kept: dict[str, Any] = {}  # arrays behind addresses of the last run
        self._shape_values: dict[str, np.ndarray] = {}  # of set_shape_input
        self._packed: list[tuple[Port, np.ndarray, np.ndarray]] = []  # outputs to be reformatted after the run
        self._staging: dict[int, Any] = {}  # memory on the GPU for host arrays, by input or output
        self._on_gpu = engine.device_type == DeviceType.GPU
        # What each run looks up, at once: attributes of a strict class take their time.
        self._hot = (engine._ports, engine._n_inputs, self._context, self._kept, self._is_asked_for, self._packed)
        self._cpu_context = None if self._on_gpu else self._context

    # ---- shapes
    @returns_on_error(False)
    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        """Set the extents of an input.

        Raises:
            ProfileError: outside the profile; the dimension is named.
            BindingError: no such input, or another rank.
        """
        self._set_input_shape(name, shape)
        return True

    def _set_input_shape(self, name: str, shape: Sequence[int]) -> None:
        index = self._input_index(name)
        self._context.set_input_shape(index, extents(f"the shape of input '{name}'", shape))

    def get_tensor_shape(self, name: str) -> Dims:
        """Extents now; -1 where they depend on an input shape that is not set."""
        self.engine._of(name)
        return Dims(self._context.tensor_shape(self.engine._index[name]))

    def infer_shapes(self) -> list[str]:
        """Names of inputs whose shape is still missing; empty if everything is known."""
        return list(self._context.infer_shapes())

    def get_max_output_size(self, name: str) -> int:
        """Bytes that an output needs for the present inputs: all that it can, where only the layers tell its extents.

        Raises:
            BindingError: inputs are missing.
        """
        self.engine._of(name)
        return self._context.max_bytes(self.engine._index[name])

    @returns_on_error(False)
    def set_output_allocator(self, name: str, output_allocator: IOutputAllocator | None) -> bool:
        """Let `output_allocator` give memory for an output in each execution, once its extents are known.

        Raises:
            BindingError: no such output, or the object is not an allocator.
        """
        index = self._output_index(name)
        if output_allocator is None:
            self._context.set_output_allocator(index, None, None)
            return self._remember_allocator(index, name, None)
        if isinstance(output_allocator, type) or not callable(getattr(output_allocator, "reallocate_output", None)):
            raise BindingError(
                f"output '{name}' cannot have {output_allocator!r} as its allocator",
                hint="Give an object of a class derived from IOutputAllocator, with reallocate_output.",
                got=output_allocator,
            )
        # The native context holds these functions, and nobody could see a cycle through it.
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

        self._context.set_output_allocator(index, allocate, notify)
        return self._remember_allocator(index, name, output_allocator)

    def _remember_allocator(self, index: int, name: str, allocator: IOutputAllocator | None) -> bool:
        self._allocators[name] = allocator
        self._is_asked_for[index] = self.engine._io[index].is_sized_late or allocator is not None
        self._asks = any(self._is_asked_for)
        return True

    def get_output_allocator(self, name: str) -> IOutputAllocator | None:
        self._output_index(name)
        return self._allocators.get(name)

    def _output_index(self, name: str) -> int:
        self.engine._of(name)
        index = self.engine._index[name]
        if index < self.engine._n_inputs:
            raise BindingError(f"'{name}' is an input: only outputs have allocators")
        return index

    def _input_index(self, name: str) -> int:
        self.engine._of(name)
        index = self.engine._index[name]
        if index >= self.engine._n_inputs:
            raise BindingError(f"'{name}' is an output: its shape follows from the inputs")
        return index

    # ---- shapes by binding
    @returns_on_error(False)
    def set_binding_shape(self, binding: int, shape: Sequence[int]) -> bool:
        self._set_input_shape(self.engine._binding(binding), shape)
        return True

    def get_binding_shape(self, binding: int) -> Dims:
        return self.get_tensor_shape(self.engine._binding(binding))

    @property
    def all_binding_shapes_specified(self) -> bool:
        return not self.infer_shapes()

    @property
    def all_shape_inputs_specified(self) -> bool:
        return all(
            self._context.address(index) for index in range(self.engine._n_inputs) if self.engine._io[index].is_shape
        )

    @returns_on_error(False)
    def set_shape_input(self, binding: int, shape: Sequence[int]) -> bool:
        """The contents of an input that is a shape. They are copied, and stay until others are set.

        Raises:
            BindingError: it is no shape input, or the number of values does not fit.
        """
        name = self.engine._binding(binding)
        index = self._input_index(name)
        info = self.engine._io[index]
        if not info.is_shape:
            raise BindingError(f"'{name}' is no shape input: its contents decide no extents", got=name)
        given = integers(f"the contents of shape input '{name}'", shape)
        values = np.asarray(given, dtype=self.engine._ports[index].numpy_type).reshape(-1)
        if values.size != int(np.prod(info.dims, dtype=np.int64)):
            raise BindingError(
                f"shape input '{name}' cannot take {values.size} values", facts=[("dims", str(list(info.dims)))]
            )
        self._context.set_buffer(index, values)
        self._shape_values[name] = values
        self._bind_shape_values(name)
        return True

    def _bind_shape_values(self, name: str) -> None:
        values = self._shape_values[name]
        self._context.set_buffer(self.engine._index[name], values)
        self._kept[name] = values
        self._addresses[name] = values.ctypes.data

    def get_shape(self, binding: int) -> list[int]:
        """Contents of an input or output that is a shape and lies in host memory."""
        name = self.engine._binding(binding)
        index = self.engine._index[name]
        dims, address = self.get_tensor_shape(name), self._context.address(index)
        if self.engine._ports[index].on_gpu or not address or -1 in dims:
            raise BindingError(f"the contents of '{name}' are not known", facts=[("shape", str(list(dims)))])
        data = (ctypes.c_char * self._context.tensor_bytes(index)).from_address(address)
        return np.frombuffer(data, self.engine._ports[index].numpy_type).reshape(-1).tolist()

    # ---- profiles and memory
    @property
    def active_optimization_profile(self) -> int:
        return self._profile

    @returns_on_error(False)
    def set_optimization_profile_async(self, profile_index: int, stream_handle: Any = 0) -> bool:
        """Switch to another profile. Input shapes have to be set again.

        Raises:
            BindingError: no such profile.
        """
        index = whole("the index of a profile", profile_index)
        self._context.set_profile(index)
        self._profile = index
        return True

    @active_optimization_profile.setter
    def active_optimization_profile(self, profile_index: int) -> None:
        self.set_optimization_profile_async(profile_index)

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
        if bytes_given < 0:
            raise BindingError(f"device memory cannot have {bytes_given} bytes", got=size)
        self._context.set_device_memory(address_of(memory, "device_memory"), bytes_given)

    # ---- addresses
    @returns_on_error(False)
    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Where an input lies or an output goes, as a number; the caller keeps the memory alive. 0 takes it away.

        Raises:
            BindingError: no such tensor.
        """
        self.engine._of(name)
        self._set_address(name, address_of(memory, f"tensor '{name}'"))
        return True

    def _set_address(self, name: str, memory: int) -> None:
        self._context.set_address(self.engine._index[name], memory)
        self._addresses[name] = memory
        self._shape_values.pop(name, None)

    def get_tensor_address(self, name: str) -> int:
        self.engine._of(name)
        return self._addresses.get(name, 0)

    # ---- execution
    @property
    def debug_sync(self) -> bool:
        """Wait after every layer on a GPU, so that a fault names the layer. DOVETAIL_SYNC=1 sets it from outside."""
        return self._context.debug_sync

    @debug_sync.setter
    def debug_sync(self, on: bool) -> None:
        self._context.debug_sync = bool(on)

    @returns_on_error(False)
    def set_input_consumed_event(self, event: Any) -> bool:
        """A cudaEvent_t that is recorded once the inputs may be changed again; 0 takes it away."""
        self._context.input_consumed_event = _event_number(event)
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
            context = self._cpu_context
            if context is None or self.profiler is not None:
                self._execute(stream_number(stream_handle))
            else:
                context.execute()
        except DovetailError as error:
            return failed(self, error, False)
        return True

    def _execute(self, stream: int) -> None:
        """Run on a stream; what fails is raised, whatever `raise_on_error` says."""
        if self.profiler is not None:
            self._times = self._context.execute_profiled(stream)
            if self.enqueue_emits_profile:
                self.report_to_profiler()
        elif self._on_gpu:
            self._context.execute_on(_CUDA_STREAM, self.engine.device_index, stream)
        else:
            self._context.execute()

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
        """As `execute_async_v3`, with these addresses, in binding order.

        Args:
            input_consumed: an event for `set_input_consumed_event`.
        """
        self._bind(bindings)
        if input_consumed is not None:
            self._context.input_consumed_event = _event_number(input_consumed)
        self._execute(stream_number(stream_handle))
        return True

    def _bind(self, bindings: Sequence[int]) -> None:
        n_io = len(self.engine._io)
        sequence("the bindings of an execution", bindings, "addresses", _BINDINGS)
        if len(bindings) < n_io * (self._profile + 1):
            names = ", ".join(info.name for info in self.engine._io)
            raise BindingError(
                f"{len(bindings)} addresses were given for {n_io} inputs and outputs",
                facts=[("bindings", names)],
                expected=n_io,
                got=len(bindings),
            )
        for info, address in zip(self.engine._io, bindings[n_io * self._profile :], strict=False):
            if info.name in self._shape_values:  # set_shape_input says them, wherever the binding points
                self._bind_shape_values(info.name)
            else:
                self._set_address(info.name, address_of(address, f"tensor '{info.name}'"))

    # ---- arrays in and out
    def run(self, inputs: Any, outputs: Mapping[str, Any] | None = None, stream: Any = 0) -> dict[str, Any]:
        """Run on arrays: `context.run({"x": array})["y"]`.

        Where a tensor's format is not LINEAR, an array with its dims is reformatted, a flat one lies in that format,
        as results do unless `outputs` has an array with dims. An output may lie over an input, which is copied first.

        Anything with `__dlpack__`, the CUDA array interface or the buffer protocol is taken where it lies if it is
        contiguous and on the engine's device; else it is copied. Results are new arrays, or those given in `outputs`,
        written in place. With a GPU, results are `DeviceArray`s if any input was one on the GPU, and may still be
        computed; NumPy arrays are complete.

        Args:
            inputs: arrays by name; or a list or tuple of them in the engine's order; or the array itself, where the
                engine has one input.
            stream: a cudaStream_t or its number, for engines on a GPU; arrays that other libraries are still
                computing are waited for there. Later work on other streams that reads an array given in `outputs` has
                to wait for this one.

        Raises:
            BindingError: an input is missing or unknown, a type, shape or device does not fit; both sides are named.
            ProfileError: an extent is outside the profile.
        """
        _, n_inputs, context, _, _, packed = self._hot
        if type(inputs) is not dict:
            inputs = self.engine._named_inputs(inputs)
        if len(inputs) != n_inputs:
            self._check_names(inputs)
        with context:  # the calling thread has it, to the end
            packed.clear()
            if outputs is not None:
                inputs = self._apart(inputs, outputs)
            if not self._on_gpu:
                return self._run_on_cpu(inputs, outputs)
            with _native.CurrentDevice(self.engine.device_index):
                return self._run_on_gpu(inputs, outputs or {}, stream_number(stream))

    def _run_on_cpu(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None) -> dict[str, Any]:
        ports, n_inputs, context, kept, is_asked_for, packed = self._hot
        for index in range(n_inputs):
            port = ports[index]
            value = inputs.get(port.name)
            if value is None:
                self._check_names(inputs)
            view = port.view(value)
            if port.is_linear:
                context.set_input(index, view)
            else:
                view, shape = port.laid_out(view)
                if shape is not None:
                    context.set_input_shape(index, shape)
                context.set_buffer(index, view)
            kept[port.name] = view
        results: dict[str, Any] = {}
        for index in range(n_inputs, len(ports)):
            port = ports[index]
            if is_asked_for[index]:
                self._let_allocate(index, port, outputs, results)
            elif outputs or not port.is_linear:
                results[port.name] = self._output(index, port, outputs)
            else:
                array = np.empty(context.tensor_shape(index), port.numpy_type)
                context.set_buffer(index, array)
                kept[port.name] = results[port.name] = array
        if not self._asks:
            if self.profiler is None:
                context.execute()
            else:
                self._execute(0)
            return self._unpacked(results) if packed else results
        try:
            self._execute(0)
        finally:
            self._take_back_allocators()
        return self._unpacked({port.name: results[port.name] for port in ports[n_inputs:]})

    def _apart(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The inputs, with a copy of those whose memory an output is to be written to.

        Raises:
            BindingError: not a mapping, no such output, or two of them share memory.
        """
        ports, n_inputs = self.engine._ports, self.engine._n_inputs
        wanted = [port.name for port in ports[n_inputs:]]
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
        targets: list[tuple[str, np.ndarray]] = []
        for port in ports[n_inputs:]:
            value = outputs.get(port.name)
            if value is None or lies_on_gpu(value):
                continue
            target = host_view(value, port.dtype, f"output '{port.name}'", writable=True)
            for name, other in targets:
                if np.may_share_memory(target, other):
                    raise BindingError(
                        f"outputs '{name}' and '{port.name}' cannot lie in the same memory",
                        hint="Give each output memory of its own.",
                    )
            targets.append((port.name, target))
        apart = dict(inputs)
        for port in ports[:n_inputs]:
            if not targets or lies_on_gpu(apart.get(port.name, 0)):
                continue
            view = port.view(apart[port.name]) if port.name in apart else None
            if view is not None and any(np.may_share_memory(view, target) for _, target in targets):
                apart[port.name] = view.copy()
        return apart

    def _unpacked(self, results: dict[str, Any]) -> dict[str, Any]:
        """The results, those that the user wants with dims reformatted into the arrays that were given."""
        for port, flat, target in self._packed:
            target[...] = unpack(flat, target.shape, port.dtype, port.format).view(target.dtype)
            results[port.name] = target
        self._packed.clear()
        return results

    def _let_allocate(self, index: int, port: Port, outputs: Mapping[str, Any] | None, results: dict[str, Any]) -> None:
        """Have the array of an output made when its extents are told."""

        def allocate(n_bytes: int, alignment: int) -> tuple[int, Any]:
            array = self._output_array(port, self._output_shape(index, port), (outputs or {}).get(port.name))
            self._kept[port.name] = results[port.name] = array
            return array.ctypes.data, array

        self._context.set_output_allocator(index, allocate, lambda dims: None)

    def _take_back_allocators(self) -> None:
        """Those of a `run`; the user's own, if there were any, are in force again."""
        for index in range(self.engine._n_inputs, len(self._is_asked_for)):
            name = self.engine._io[index].name
            if self._is_asked_for[index]:
                self._context.set_output_allocator(index, None, None)
                if self._allocators.get(name) is not None:
                    self.set_output_allocator(name, self._allocators[name])

    def _run_on_gpu(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any], stream: int) -> dict[str, Any]:
        self._check_names(inputs)
        ports, n_inputs = self.engine._ports, self.engine._n_inputs
        stay = [self._give_input(i, ports[i], inputs[ports[i].name], stream) for i in range(n_inputs)]
        results: dict[str, Any] = {}
        to_host: list[tuple[int, np.ndarray]] = []
        for index in range(n_inputs, len(ports)):
            port = ports[index]
            if self._is_asked_for[index]:
                self._let_allocate_on_gpu(index, port, outputs, any(stay), stream, results, to_host)
                continue
            results[port.name], staged = self._give_output(index, port, outputs.get(port.name), any(stay), stream)
            if staged:
                to_host.append((staged, results[port.name]))
        try:
            self._execute(stream)
        finally:
            self._take_back_allocators()
        device = self.engine.device_index
        for address, array in to_host:
            _native.copy(device, array.ctypes.data, address, array.nbytes, stream)
        if to_host or not all(port.on_gpu for port in ports):
            _native.wait_for_stream(device, stream)
        return self._unpacked({port.name: results[port.name] for port in ports[n_inputs:]})

    def _let_allocate_on_gpu(
        self,
        index: int,
        port: Port,
        outputs: Mapping[str, Any],
        on_gpu: bool,
        stream: int,
        results: dict[str, Any],
        to_host: list[tuple[int, np.ndarray]],
    ) -> None:
        """`_let_allocate` for an engine on a GPU, whose results may have to be copied to the host."""

        def allocate(n_bytes: int, alignment: int) -> tuple[int, Any]:
            shape = self._output_shape(index, port)
            if port.on_gpu and on_gpu and outputs.get(port.name) is None:
                results[port.name] = DeviceArray(shape, port.dtype, self.engine.device_index, stream)
                self._kept[port.name] = results[port.name]
                return results[port.name].pointer, results[port.name]
            array = self._output_array(port, shape, outputs.get(port.name))
            self._kept[port.name] = results[port.name] = array
            if not port.on_gpu:
                return array.ctypes.data, array
            to_host.append((self._staged(index, array.nbytes), array))
            return to_host[-1][0], self._staging[index]

        self._context.set_output_allocator(index, allocate, lambda dims: None)

    def _give_input(self, index: int, port: Port, value: Any, stream: int) -> bool:
        """Bind an input; true if it lay on the GPU already."""
        what, device = f"input '{port.name}'", self.engine.device_index
        found = device_view(value, port.dtype, device, stream, what) if port.on_gpu else None
        if found is not None:
            if not port.is_linear and len(found.shape) != 1:
                raise BindingError(
                    f"{what} lies on the GPU with dims {list(found.shape)}, and is needed as {port.format.name}",
                    hint="Give a flat array that lies in this format, or one on the host, which is reformatted.",
                )
            shape, address, n_bytes = found.shape if port.is_linear else None, found.address, found.n_bytes
            self._kept[port.name] = found
        else:
            view, shape = port.laid_out(port.view(value))
            n_bytes = view.nbytes
            self._kept[port.name] = view
            address = self._staged(index, n_bytes) if port.on_gpu else view.ctypes.data
            if port.on_gpu:
                _native.copy(device, address, view.ctypes.data, n_bytes, stream)
        if shape is not None or port.is_linear:
            self._context.set_input_shape(index, view.shape if shape is None else shape)
        owner = self._staging[index] if found is None and port.on_gpu else self._kept[port.name]
        self._context.set_address(index, address, n_bytes, owner)
        return found is not None

    def _give_output(self, index: int, port: Port, given: Any, on_gpu: bool, stream: int) -> tuple[Any, int]:
        """Bind an output; the result, and the address on the GPU that it is copied from, or 0."""
        what, device = f"output '{port.name}'", self.engine.device_index
        shape = self._output_shape(index, port)
        found = None if given is None or not port.on_gpu else device_view(given, port.dtype, device, stream, what)
        if given is None and on_gpu and port.on_gpu:
            given = DeviceArray(shape, port.dtype, device, stream)
            found = Found(given.pointer, shape, given.nbytes, given)
        if found is not None:
            _check_output(what, found.shape, shape)
            self._kept[port.name] = found
            self._context.set_address(index, found.address, found.n_bytes, found)
            return given, 0
        array = self._output_array(port, shape, given)
        address = self._staged(index, array.nbytes) if port.on_gpu else array.ctypes.data
        self._kept[port.name] = array
        owner = self._staging[index] if port.on_gpu else array
        self._context.set_address(index, address, array.nbytes, owner)
        return array, address if port.on_gpu else 0

    def _staged(self, index: int, n_bytes: int) -> int:
        """Address of memory on the GPU for a host array; kept for later runs."""
        memory = self._staging.get(index)
        if memory is None or memory.bytes < n_bytes:
            memory = self._staging[index] = _native.DeviceMemory(max(n_bytes, 256), self.engine.device_index)
        return memory.address

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
        given = None if outputs is None else outputs.get(port.name)
        array = self._output_array(port, self._output_shape(index, port), given)
        self._kept[port.name] = array
        self._context.set_buffer(index, array)
        return array

    def _output_shape(self, index: int, port: Port) -> tuple[int, ...]:
        """Extents of the array that holds an output: flat where its format is not row-major."""
        shape = self._context.tensor_shape(index)
        if port.is_linear:
            return shape
        return (TensorDesc(shape, port.dtype, port.format).allocated_size // port.dtype.itemsize,)

    def _output_array(self, port: Port, shape: tuple[int, ...], given: Any) -> np.ndarray:
        if given is None:
            return np.empty(shape, port.numpy_type)
        array = host_view(given, port.dtype, f"output '{port.name}'", writable=True)
        if not port.is_linear and array.ndim == port.rank:
            index = self.engine._index[port.name]
            _check_output(f"output '{port.name}'", array.shape, self._context.tensor_shape(index))
            flat = np.empty(shape, port.numpy_type)
            self._packed.append((port, flat, array))
            return flat
        _check_output(f"output '{port.name}'", array.shape, shape)
        return array


def _event_number(event: Any) -> int:
    return handle_number(event, "an event", "a cudaEvent_t or its number, or 0 for none")


def _check_output(what: str, given: tuple[int, ...], needed: tuple[int, ...]) -> None:
    if tuple(given) != tuple(needed):
        raise BindingError(
            f"{what} cannot be written to an array of shape {list(given)}",
            facts=[("needed", str(list(needed)))],
            expected=needed,
            got=given,
        )

"""`Runtime` loads plans; `ICudaEngine` answers questions about one and makes contexts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from dovetail import _native
from dovetail.core.arguments import text, whole
from dovetail.core.contract import Lookup, parse_op_id
from dovetail.core.errors import BindingError, BuildError, DTypeError, PluginNotFound
from dovetail.core.failures import failed, last_error, returns_on_error
from dovetail.core.named import member_of
from dovetail.core.types import DataType, DeviceType, Dims, TensorFormat, TensorIOMode, TensorLocation
from dovetail.machine import absent
from dovetail.machine.config_settings import refuse_dla
from dovetail.machine.context import IExecutionContext
from dovetail.machine.enums import (
    EngineCapability,
    ExecutionContextAllocationStrategy,
    HardwareCompatibilityLevel,
    LayerInformationFormat,
    ProfilingVerbosity,
)
from dovetail.machine.exchange import Port
from dovetail.machine.logger import ILogger, Logger, Reporting, checked
from dovetail.machine.plan import IHostMemory, check_is_plan
from dovetail.machine.report import report_text, steps_of, with_report
from dovetail.machine.settings import Setting, integer, yes_or_no


class Runtime(Reporting):
    """Turns plans into engines."""

    gpu_allocator = Setting(None, None, "memory comes from the device's own allocator.")
    engine_host_code_allowed = Setting(False, yes_or_no)  # a plan never holds code, so nothing follows from it
    _absent = absent.RUNTIME
    _max_threads = 0

    def __init__(self, logger: ILogger, lookup: Lookup | None = None) -> None:
        self.logger = checked(logger)
        if lookup is None:
            from dovetail.registry.loader import default_registry

            lookup = default_registry()
        self._lookup = lookup

    @property
    def max_threads(self) -> int:
        """Threads of engines for the CPU: what was set, else as many as this process may use."""
        return self._max_threads or _native.default_threads()

    @max_threads.setter
    def max_threads(self, number: int) -> None:
        self._max_threads = integer(0, 1024)("Runtime.max_threads", number)

    def deserialize_cuda_engine(self, serialized_engine: Any, device: int = -1) -> ICudaEngine | None:
        """An engine from a plan: anything with the buffer protocol, or the path of a file, which is mapped.

        A mapped file must not be changed or truncated in place while the engine lives; replacing it, as `plan.save`
        does, is fine.

        Args:
            device: for a plan for the GPU, which one; -1 is the calling thread's current device, as cudaGetDevice
                tells it.

        Raises, or returns None (see `raise_on_error`):
            PlanCorrupt, PlanVersionError: damaged, foreign, or made for another kind of machine.
            PluginNotFound: the plan needs a plugin that is not here; says which and how to get it.
            DTypeError: it is something else.
            BuildError: `serialized_engine` is None, as a build returns that failed. Not raised but returned, as an
                object that is false and raises when it is used: the error of the build is in its text.
        """
        if serialized_engine is None:
            error = _no_plan()
            return failed(self, error, NoEngine(error))
        return self._deserialize(serialized_engine, device)

    @returns_on_error(None)
    def _deserialize(self, plan: Any, device: int) -> ICudaEngine:
        if isinstance(plan, ICudaEngine):
            raise DTypeError(
                f"a plan cannot be {plan!r:.200}",
                hint="An engine needs no deserializing: builder.build_engine returns one that is ready.",
                got=plan,
            )
        check_is_plan(plan)
        device = whole("the device of an engine", device)
        try:
            return ICudaEngine(plan, self._max_threads, device, self.logger)
        except PluginNotFound as error:
            error.facts += self._left_out(getattr(error, "op", ""))
            raise

    def _left_out(self, op: str) -> list[tuple[str, str]]:
        """Plugins that are installed, and were blocked, or failed, or lie in a library that is not loaded."""
        near = self._lookup.near_misses(*parse_op_id(op)) if op else []
        return [(what, why) for what, why in near if why.startswith("known, ") or why.endswith("not loaded")]

    def get_plugin_registry(self) -> Lookup:
        return self._lookup

    @property
    def DLA_core(self) -> int:  # noqa: N802  TensorRT's spelling
        """-1: nothing here drives a DLA. Setting another value raises DefinitionError."""
        return -1

    @DLA_core.setter
    def DLA_core(self, core: int) -> None:  # noqa: N802
        refuse_dla(core)

    @property
    def num_DLA_cores(self) -> int:  # noqa: N802  TensorRT's spelling
        return 0


class NoEngine:
    """What an engine is that was deserialized from None: false, and an error wherever it is used."""

    def __init__(self, error: BuildError) -> None:
        self._error = error

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise self._error

    def __enter__(self) -> Any:
        raise self._error

    def __exit__(self, *_: object) -> None:
        """Never reached."""

    def __repr__(self) -> str:
        return "<no engine: there was no plan>"


def _no_plan() -> BuildError:
    cause = last_error()
    error = BuildError(
        "there is no plan to deserialize: None was given, as a build that fails returns",
        facts=[] if cause is None else [("last error", f"{type(cause).__name__}: {cause}")],
        hint="trt.raise_on_error(True) raises the error where it happens.",
    )
    error.__cause__ = cause
    return error


class ICudaEngine(Reporting):
    """A plan that is ready to run, on whatever device it was built for. Constant: any number of contexts share it."""

    device_index: int
    device_type: DeviceType
    _absent = absent.ENGINE

    def __init__(self, plan: Any, n_threads: int = 0, device: int = -1, logger: ILogger | None = None) -> None:
        self.logger = Logger() if logger is None else logger
        self._plan: Any = os.fspath(plan) if isinstance(plan, (str, os.PathLike)) else plan
        self._engine = _native.Engine(self._plan, n_threads, device)
        type_, self.device_index = self._engine.device  # of the GPU; 0 for the CPU
        self.device_type = DeviceType.GPU if type_ == DeviceType.GPU.dlpack_code else DeviceType.CPU
        self._io = [SimpleNamespace(**info) for info in [*self._engine.inputs, *self._engine.outputs]]
        self._n_inputs = len(self._engine.inputs)
        self._ports = [
            Port(info.name, DataType(info.dtype), TensorFormat(info.format), self._lies_on_gpu(info), len(info.dims))
            for info in self._io
        ]
        self._index = {info.name: i for i, info in enumerate(self._io)}

    # ---- by name
    @property
    def name(self) -> str:
        return self._document()["name"]

    @property
    def num_io_tensors(self) -> int:
        return len(self._io)

    def get_tensor_name(self, index: int) -> str | None:
        """Name of an input or output, the inputs first; None if there are not as many."""
        return self._io[index].name if 0 <= whole("the index of a tensor", index) < len(self._io) else None

    def _of(self, name: str) -> Any:
        try:
            return self._io[self._index[name]]
        except (KeyError, TypeError):  # or what no dict can be asked for
            shown = f"'{name}'" if isinstance(name, str) else f"{name!r:.200}"
            raise BindingError(
                f"the engine has no input or output {shown}",
                facts=[("it has", ", ".join(self._index))],
                hint="" if isinstance(name, str) else "Tensors are named by a str, as engine.get_tensor_name(i) gives.",
                got=name,
            ) from None

    def _named_inputs(self, given: Any) -> Mapping[str, Any]:
        """Arrays by input name, from a mapping, a list in the engine's order, or the one array of an only input."""
        if isinstance(given, Mapping):
            return given
        names = [info.name for info in self._io[: self._n_inputs]]
        arrays = given if isinstance(given, (list, tuple)) else [given]
        if len(arrays) != len(names):
            what = f"{len(arrays)} arrays" if isinstance(given, (list, tuple)) else f"one {type(given).__name__}"
            count = "one input" if len(names) == 1 else f"{len(names)} inputs"
            raise BindingError(
                f"run cannot match {what} with the {count} of the engine",
                facts=[("inputs", ", ".join(names) or "none")],
                hint="Numbers in a list are one array: run(np.asarray(values))."
                if len(names) == 1
                else "Pass one array for each input, in this order, or a dict of arrays by name.",
                expected=len(names),
                got=len(arrays),
            )
        return dict(zip(names, arrays, strict=True))

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        if text("the name of a tensor", name) not in self._index:
            return TensorIOMode.NONE
        return TensorIOMode.INPUT if self._index[name] < self._n_inputs else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> Dims:
        """Extents, -1 where they are not known before run time."""
        return Dims(self._of(name).dims)

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType(self._of(name).dtype)

    def get_tensor_location(self, name: str) -> TensorLocation:
        return TensorLocation.DEVICE if self._lies_on_gpu(self._of(name)) else TensorLocation.HOST

    @staticmethod
    def _lies_on_gpu(info: Any) -> bool:
        return info.device == DeviceType.GPU.dlpack_code

    def is_shape_inference_io(self, name: str) -> bool:
        """Does the context read it on the host: an input whose contents are extents?"""
        return bool(self._of(name).is_shape)

    def is_shape_binding(self, binding: int | str) -> bool:
        return self.is_shape_inference_io(self._binding(binding))

    def is_execution_binding(self, binding: int | str) -> bool:
        """Is it data to some layer? An input that is a shape may be both."""
        name = self._binding(binding)
        index = [t["name"] for t in self._document()["tensors"]].index(name)
        reads = any(index in step["inputs"] for step in self._document()["steps"])
        return reads or not self.is_shape_inference_io(name)

    def get_tensor_format(self, name: str, profile_index: int = 0) -> TensorFormat:
        return TensorFormat(self._of(name).format)

    def get_tensor_format_desc(self, name: str, profile_index: int = 0) -> str:
        format_ = self.get_tensor_format(name)
        return f"{format_.name}, {format_.lanes} channels a vector" if format_.lanes > 1 else f"{format_.name}"

    def get_tensor_vectorized_dim(self, name: str, profile_index: int = 0) -> int:
        """Axis that is split into vectors, -1 if none is."""
        format_ = self.get_tensor_format(name)
        axis = format_.channel_axis(len(self._of(name).dims)) if format_.lanes > 1 else None
        return -1 if axis is None else axis

    def get_tensor_components_per_element(self, name: str, profile_index: int = 0) -> int:
        format_ = self.get_tensor_format(name)
        return format_.lanes if format_.lanes > 1 else -1

    def get_tensor_bytes_per_component(self, name: str, profile_index: int = 0) -> int:
        return self.get_tensor_dtype(name).itemsize

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Dims]:
        """[min, opt, max] of an input in a profile."""
        self._of(name)
        if self.get_tensor_mode(name) != TensorIOMode.INPUT:
            raise BindingError(f"'{name}' is an output; profiles have shapes for inputs")
        self._check_profile(profile_index)
        ranges = self._document()["profiles"][profile_index]["inputs"][self._index[name]]
        return [Dims(dims) for dims in ranges]

    def _check_profile(self, index: int) -> None:
        if not 0 <= whole("the index of a profile", index) < self.num_optimization_profiles:
            raise BindingError(
                f"the engine has no profile {index}",
                facts=[("profiles", f"0..{self.num_optimization_profiles - 1}")],
            )

    def get_tensor_profile_values(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        """[min, opt, max] contents of an input that is a shape."""
        if not self.is_shape_inference_io(name):
            raise BindingError(f"'{name}' is no shape input: its contents decide no extents", got=name)
        self._check_profile(profile_index)
        shapes = [i for i in range(self._n_inputs) if self._io[i].is_shape]
        ranges = self._document()["profiles"][profile_index]["contents"][shapes.index(self._index[name])]
        return [tuple(values) for values in ranges]

    def get_profile_shape_input(self, profile_index: int, binding: int | str) -> list[tuple[int, ...]]:
        return self.get_tensor_profile_values(self._binding(binding), profile_index)

    # ---- by binding index; each profile has bindings of its own, as in TensorRT
    @property
    def num_bindings(self) -> int:
        return len(self._io) * self.num_optimization_profiles

    def _binding(self, index: int | str) -> str:
        if isinstance(index, str):
            return self._of(index).name
        if not 0 <= whole("a binding", index, "Give its index, or its name.") < self.num_bindings:
            last = self.num_bindings - 1
            raise BindingError(f"the engine has no binding {index}", facts=[("bindings", f"0..{last}")])
        return self._io[index % len(self._io)].name

    def get_binding_name(self, index: int) -> str:
        name = self._binding(whole("the index of a binding", index))
        profile = index // len(self._io)
        return f"{name} [profile {profile}]" if profile else name

    def get_binding_index(self, name: str) -> int:
        """Index of a binding, -1 if there is none of that name."""
        return self._index.get(text("the name of a binding", name), -1)

    def get_binding_shape(self, index: int | str) -> Dims:
        return self.get_tensor_shape(self._binding(index))

    def get_binding_dtype(self, index: int | str) -> DataType:
        return self.get_tensor_dtype(self._binding(index))

    def get_binding_format(self, index: int | str) -> TensorFormat:
        return self.get_tensor_format(self._binding(index))

    def get_binding_format_desc(self, index: int | str) -> str:
        return self.get_tensor_format_desc(self._binding(index))

    def get_binding_vectorized_dim(self, index: int | str) -> int:
        return self.get_tensor_vectorized_dim(self._binding(index))

    def get_binding_components_per_element(self, index: int | str) -> int:
        return self.get_tensor_components_per_element(self._binding(index))

    def get_binding_bytes_per_component(self, index: int | str) -> int:
        return self.get_tensor_bytes_per_component(self._binding(index))

    def get_location(self, index: int | str) -> TensorLocation:
        return self.get_tensor_location(self._binding(index))

    def binding_is_input(self, index: int | str) -> bool:
        return self.get_tensor_mode(self._binding(index)) == TensorIOMode.INPUT

    def get_profile_shape(self, profile_index: int, binding: int | str) -> list[Dims]:
        return self.get_tensor_profile_shape(self._binding(binding), profile_index)

    def __len__(self) -> int:
        return self.num_bindings

    def __getitem__(self, index: int | str) -> Any:
        """Name of a binding by index, or index by name."""
        return self.get_binding_index(index) if isinstance(index, str) else self.get_binding_name(index)

    def __iter__(self) -> Iterator[str]:
        return (self.get_binding_name(index) for index in range(self.num_bindings))

    def __bool__(self) -> bool:
        return True

    # ---- as a whole
    @property
    def num_optimization_profiles(self) -> int:
        return self._engine.n_profiles

    @property
    def num_layers(self) -> int:
        return len(self._document()["steps"])

    @property
    def max_batch_size(self) -> int:
        return 1

    @property
    def has_implicit_batch_dimension(self) -> bool:
        return False

    @property
    def refittable(self) -> bool:
        return False

    @property
    def profiling_verbosity(self) -> ProfilingVerbosity:
        """DETAILED whatever the config said: the report is part of the plan."""
        return ProfilingVerbosity.DETAILED

    @property
    def engine_capability(self) -> EngineCapability:
        return EngineCapability.STANDARD

    @property
    def hardware_compatibility_level(self) -> HardwareCompatibilityLevel:
        return HardwareCompatibilityLevel.NONE

    @property
    def tactic_sources(self) -> int:
        """0: implementations come from plugins, which `report()` lists."""
        return 0

    @property
    def num_aux_streams(self) -> int:
        return 0

    def get_aliased_input_tensor(self, name: str) -> None:
        """None: no output shares the memory of an input."""
        self._of(name)

    def get_device_memory_size_for_profile(self, profile_index: int) -> int:
        """Bytes that a context needs for intermediate tensors of one profile. Raises BindingError."""
        self._check_profile(profile_index)
        return self._engine.device_memory_size(profile_index)

    get_device_memory_size_for_profile_v2 = get_device_memory_size_for_profile

    @property
    def device_memory_size(self) -> int:
        """Bytes that a context needs for intermediate tensors, over all profiles."""
        return max(self._engine.device_memory_size(p) for p in range(self.num_optimization_profiles))

    @property
    def device_memory_size_v2(self) -> int:
        return self.device_memory_size

    @returns_on_error(None)
    def create_execution_context(
        self, strategy: ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy.STATIC
    ) -> IExecutionContext | None:
        """A context on profile 0. One thread at a time may use it; any number of contexts may run at once.

        Args:
            strategy: USER_MANAGED leaves the memory to `context.device_memory`.
        """
        strategy = member_of(ExecutionContextAllocationStrategy, strategy, "the strategy of a context")
        return IExecutionContext(self, own_memory=strategy != ExecutionContextAllocationStrategy.USER_MANAGED)

    @returns_on_error(None)
    def create_execution_context_without_device_memory(self) -> IExecutionContext | None:
        """A context that runs once `context.device_memory` is set to memory of `device_memory_size` bytes."""
        return IExecutionContext(self, own_memory=False)

    def create_engine_inspector(self) -> EngineInspector:
        return EngineInspector(self)

    def serialize(self) -> IHostMemory:
        """The plan that the engine was made from."""
        return IHostMemory(self._engine.plan_bytes())

    def report(self, layer: str | None = None) -> str:
        """The build report: what runs, in which formats, how long it took, what lost and why."""
        return report_text(self._document(), layer)

    def _document(self) -> dict[str, Any]:
        if not hasattr(self, "_parsed"):
            self._parsed = with_report(json.loads(self._engine.metadata), self._engine.report)
        return self._parsed

    def __str__(self) -> str:
        return self.report()

    def __del__(self) -> None:
        """Nothing: scripts may call it, and memory is freed with the last reference."""


class EngineInspector(Reporting):
    """Describes the layers of an engine."""

    execution_context: IExecutionContext | None

    def __init__(self, engine: ICudaEngine) -> None:
        self._engine, self.logger = engine, engine.logger
        self.execution_context = None

    def get_layer_information(self, layer_index: int, format: LayerInformationFormat) -> str:
        """One layer as a line, or as JSON with its implementation, formats, time, and what lost.

        Raises:
            BindingError: there is no such layer, or the plan has no build report.
        """
        steps = steps_of(self._engine._document())
        if not 0 <= whole("the index of a layer", layer_index) < len(steps):
            facts = [("layers", f"0..{len(steps) - 1}" if steps else "none: the plan has no build report")]
            raise BindingError(f"the inspector has no layer {layer_index}", facts=facts, got=layer_index)
        step = steps[layer_index]
        if format == LayerInformationFormat.JSON:
            return json.dumps(step, indent=1)
        inputs, outputs = " ".join(step["inputs"]), " ".join(step["outputs"])
        return f"{step['layer']} [{step['op']}] {step['runs_on']}: {inputs} -> {outputs}"

    def get_engine_information(self, format: LayerInformationFormat) -> str:
        """All layers: the report, or JSON with a list of layers and the bindings."""
        document = self._engine._document()
        if format == LayerInformationFormat.JSON:
            return json.dumps({"Layers": steps_of(document), "Bindings": list(self._engine)}, indent=1)
        return report_text(document)

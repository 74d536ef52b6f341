"""`dovetail.load`: a model or a plan as a function of arrays."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from dovetail.core.errors import BindingError, DefinitionError, DovetailError, ProfileError
from dovetail.core.strict import Strict
from dovetail.core.types import DeviceType, TensorIOMode
from dovetail.machine.builder.pipeline import build
from dovetail.machine.builder.without_effect import without_effect
from dovetail.machine.config import IBuilderConfig
from dovetail.machine.context import IExecutionContext
from dovetail.machine.engine import ICudaEngine
from dovetail.machine.logger import ILogger, Logger, Severity
from dovetail.machine.model_source import Source
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.plan import IHostMemory
from dovetail.machine.plan_cache import PlanCache, key_of
from dovetail.machine.ranges import DynamicInput, Range, Ranges, covering, given_ranges, profile_of, text_of, widened


def load(
    model: Any,
    *,
    shapes: Mapping[str, Any] | None = None,
    cache: str | os.PathLike[str] | None = None,
    device: DeviceType | str | None = None,
    configure: Callable[[IBuilderConfig], Any] | None = None,
    logger: ILogger | None = None,
) -> Model:
    """A model or a plan, ready to be called: `y = dovetail.load("model.onnx")(x)`.

    A model whose extents are all known is built at once. Another is built for `shapes`, or else for the shapes of the
    first call, and built again with wider ranges when a call does not fit (logged as INFO).

    Args:
        model: path of an ONNX model or of a plan, its bytes, or an `onnx.ModelProto`.
        shapes: by input, a shape or (min, opt, max); for an input whose contents are extents, its contents.
        cache: a folder, or a file that ends in .plan: the plan is kept there, and taken from there as long as the
            model's contents, the version of dovetail, the machine and the settings are the same.
        device: "cpu" or "gpu"; None is the default device.
        configure: called with the `IBuilderConfig`, for flags, precision, limits and threads of the build.
        logger: None is one that writes warnings to standard error.

    Raises:
        FileNotFoundError: there is no such file.
        DefinitionError: the model cannot be imported, or `shapes` does not fit it.
        BuildError: it cannot be built as asked.
        PlanError: a plan that cannot be used here.
    """
    return Model(Source(model), shapes, cache, device, configure, logger or Logger())


class Model(Strict):
    """A model or plan that is called with arrays. Made by `dovetail.load`.

    `model(x)`, `model(a, b)` in the order of `inputs`, `model(x=a)` or `model({"x": a})` by name. One output comes back
    as an array, several as a dict by name, in the model's order. Inputs of a type that networks lack (DOUBLE ...)
    are converted to the one that carries it, of which the import warns. Any number of threads may call it at once: each
    has a context of its own, kept as long as the thread lives, and a build makes the others wait.
    """

    inputs: list[str]
    outputs: list[str]

    _ranges: Ranges  # what the engine was built for

    def __init__(
        self,
        source: Source,
        shapes: Mapping[str, Any] | None,
        cache: str | os.PathLike[str] | None,
        device: DeviceType | str | None,
        configure: Callable[[IBuilderConfig], Any] | None,
        logger: ILogger,
    ) -> None:
        self._source, self._logger = source, logger
        self._lock = threading.RLock()
        self._local = threading.local()
        self._network: INetworkDefinition | None = None
        self._engine: ICudaEngine | None = None
        self._cache: PlanCache | None = None
        self._config = _config(device, configure)
        if source.is_plan:
            if shapes or cache is not None or device is not None or configure is not None:
                raise DefinitionError(
                    f"'{source.path or 'the plan'}' is a plan: it was built already",
                    hint="shapes, cache, device and configure are for models. Build it again to change them.",
                )
            self._use(ICudaEngine(source.plan))
            return
        if cache is not None:
            self._cache = PlanCache(cache, source.title, key_of(source.contents(), _settings(self._config)))
            self._take_cached()
        if self._engine is None:
            self._import()
        wanted = given_ranges(shapes, self._dynamic, self._dims)
        if self._engine is not None and covering(self._ranges, wanted):
            return
        ranges = {**self._ranges, **widened(self._ranges, wanted, with_room=False)}
        if all(one.name in ranges for one in self._dynamic):
            self._build(ranges)
        self._ranges = ranges

    # ---- what it is
    @property
    def engine(self) -> ICudaEngine | None:
        """The engine that runs now; None before the first call of a model whose extents are not known."""
        return self._engine

    def report(self, layer: str | None = None) -> str:
        """The build report: what runs, in which formats, how long it took, what lost and why.

        Raises:
            DefinitionError: nothing has been built yet.
        """
        return self._built().report(layer)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan that runs now. Raises DefinitionError if nothing has been built yet."""
        self._built().serialize().save(path)

    def _built(self) -> ICudaEngine:
        if self._engine is None:
            raise DefinitionError(
                f"{self!r} has not been built yet: extents of its inputs are not known",
                hint="Call it once, or give them: dovetail.load(model, shapes={...}).",
            )
        return self._engine

    def __repr__(self) -> str:
        return f"<dovetail model '{self._source.title}': {', '.join(self.inputs)} -> {', '.join(self.outputs)}>"

    # ---- calls
    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """The outputs for these inputs: an array, or several by name.

        Raises:
            BindingError: an input is missing or unknown, or a type or shape does not fit.
            ProfileError: an extent is outside the range that a plan was built for.
            BuildError: the model cannot be built for these shapes.
        """
        results = None if named else self._run_in_order(arrays)
        if results is None:
            results = self._run(self._by_name(arrays, named))
        return next(iter(results.values())) if len(results) == 1 else results

    def _run_in_order(self, arrays: tuple[Any, ...]) -> dict[str, Any] | None:
        """Run in the context that this thread has. None where it has none, or where the arrays do not fit."""
        local = self._local.__dict__
        context = local.get("context")
        if context is None or local["engine"] is not self._engine or len(arrays) != local["n_inputs"]:
            return None
        if len(arrays) == 1 and isinstance(arrays[0], Mapping):
            return None
        try:
            return context.run(arrays)
        except (BindingError, ProfileError):  # which `_run` may help, and else raises again
            return None

    def _run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run on inputs by name; built again where they do not fit, converted where a type has no tensors."""
        if self._engine is None:
            self._fit(inputs, None)
        while True:
            engine = self._engine
            try:
                return self._context(engine).run(inputs)
            except ProfileError:
                if not self._fit(inputs, engine):
                    raise
            except BindingError:
                carried = self._source.carried(inputs)
                if carried is None:
                    raise
                inputs = carried

    def _by_name(self, arrays: tuple[Any, ...], named: dict[str, Any]) -> Mapping[str, Any]:
        if len(arrays) == 1 and not named and isinstance(arrays[0], Mapping):
            given = dict(arrays[0])
        else:
            given = dict(zip(self.inputs, arrays, strict=False)) | named
        twice = [name for name in self.inputs[: len(arrays)] if name in named]
        missing = [name for name in self.inputs if name not in given]
        unknown = [str(name) for name in given if name not in self.inputs]
        if len(arrays) > len(self.inputs):
            unknown += [f"array {index + 1}" for index in range(len(self.inputs), len(arrays))]
        wrong = {"missing": missing, "unknown": unknown, "given twice": twice}
        if any(wrong.values()):
            raise BindingError(
                "the inputs given are not those of the model",
                facts=[(what, ", ".join(names)) for what, names in wrong.items() if names]
                + [("inputs", ", ".join(self.inputs))],
            )
        return given

    def _context(self, engine: ICudaEngine | None) -> IExecutionContext:
        assert engine is not None
        local = self._local
        if getattr(local, "engine", None) is not engine:
            context = engine.create_execution_context()
            local.engine, local.context, local.n_inputs = engine, context, len(self.inputs)
        return local.context

    # ---- builds
    def _fit(self, inputs: Mapping[str, Any], tried: ICudaEngine | None) -> bool:
        """Have an engine that takes these inputs; False if it cannot be another than the one that was tried."""
        with self._lock:
            if self._engine is not tried:
                return True  # another thread has built one meanwhile
            if self._source.is_plan:
                return False
            seen = {one.name: one.seen(inputs[one.name]) for one in self._dynamic}
            if self._engine is not None and covering(self._ranges, seen):
                return False  # it is not the ranges
            self._import()
            if self._engine is None:
                self._build(widened(self._ranges, seen, with_room=False))
            else:
                self._widen(seen)
            return True

    def _widen(self, seen: Ranges) -> None:
        """Build for wider ranges: with room for other extents if the model allows it, else for those alone."""
        wide, narrow = (widened(self._ranges, seen, with_room) for with_room in (True, False))
        before, after = text_of(self._ranges), text_of(wide)
        self._logger.log(Severity.INFO, f"'{self._source.title}' is built again: {before} becomes {after}")
        try:
            self._build(wide)
        except DovetailError as error:
            reason = str(error).partition("\n")[0]
            text = f"'{self._source.title}' has no room for more than {text_of(narrow)}: {reason}"
            self._logger.log(Severity.INFO, text)
            self._build(narrow)

    def _build(self, ranges: Ranges) -> None:
        self._import()
        assert self._network is not None
        self._config._profiles[:] = [profile_of(ranges, self._dynamic)] if self._dynamic else []
        for text in without_effect(self._network, self._config):
            self._logger.log(Severity.WARNING, text)
        plan = build(self._network, self._config, lambda line: self._logger.log(Severity.INFO, line))
        self._use(ICudaEngine(plan))
        self._ranges = ranges
        self._store(plan)
        if not self._dynamic:
            self._network = None  # its weights are in the plan

    def _import(self) -> None:
        if self._network is not None:
            return
        network = self._network = self._source.network(self._logger)
        network.name = self._cache.plan_name if self._cache is not None else network.name or self._source.title
        tensors = [network.get_input(index) for index in range(network.num_inputs)]
        self._dims = {tensor.name: tuple(tensor.shape) for tensor in tensors}
        self.inputs = list(self._dims)
        self.outputs = [network.get_output(index).name for index in range(network.num_outputs)]
        if self._engine is None:
            shape_inputs = network.shape_inputs()
            self._dynamic = [
                DynamicInput(tensor.name, tuple(tensor.shape), tensor in shape_inputs)
                for tensor in tensors
                if -1 in tensor.shape or tensor in shape_inputs
            ]
            self._ranges = {}

    # ---- plans
    def _use(self, engine: ICudaEngine) -> None:
        names = list(map(engine.get_tensor_name, range(engine.num_io_tensors)))
        self.inputs = [name for name in names if engine.get_tensor_mode(name) == TensorIOMode.INPUT]
        self.outputs = names[len(self.inputs) :]
        self._engine = engine

    def _take_cached(self) -> None:
        assert self._cache is not None
        if not self._cache.is_there():
            return
        try:
            engine = ICudaEngine(self._cache.path.read_bytes())
        except DovetailError as error:
            reason = str(error).partition("\n")[0]
            self._logger.log(Severity.INFO, f"the plan '{self._cache.path}' is not used: {reason}")
            return
        if engine.name != self._cache.plan_name:
            self._logger.log(Severity.INFO, f"the plan '{self._cache.path}' is not used: it is of '{engine.name}'")
            return
        self._use(engine)
        self._dims = {name: tuple(engine.get_tensor_shape(name)) for name in self.inputs}
        shapes = {name: engine.is_shape_inference_io(name) for name in self.inputs}
        self._dynamic = [
            DynamicInput(name, self._dims[name], is_shape)
            for name, is_shape in shapes.items()
            if is_shape or -1 in self._dims[name]
        ]
        self._ranges = {one.name: _range_of(engine, one) for one in self._dynamic}

    def _store(self, plan: IHostMemory) -> None:
        if self._cache is None:
            return
        try:
            self._cache.store(plan)
        except OSError as error:
            self._logger.log(Severity.WARNING, f"the plan cannot be kept in '{self._cache.path}': {error.strerror}")


def _range_of(engine: ICudaEngine, one: DynamicInput) -> Range:
    """What an engine was built for."""
    ask = engine.get_tensor_profile_values if one.is_shape else engine.get_tensor_profile_shape
    return Range(*(tuple(side) for side in ask(one.name, 0)))


def _config(device: DeviceType | str | None, configure: Callable[[IBuilderConfig], Any] | None) -> IBuilderConfig:
    config = IBuilderConfig()
    if device is not None:
        by_name = {one.name.lower(): one for one in (DeviceType.CPU, DeviceType.GPU)}
        found = by_name.get(device.lower()) if isinstance(device, str) else device
        if found not in by_name.values():
            raise DefinitionError(f"load cannot use the device {device!r}", hint='Give "cpu" or "gpu".', got=device)
        config.default_device_type = found
    if configure is not None:
        configure(config)
    return config


def _settings(config: IBuilderConfig) -> str:
    """What the config says, as text for the key of a cache."""
    return f"{config.default_device_type.name} {sorted(map(str, vars(config).items()))}"

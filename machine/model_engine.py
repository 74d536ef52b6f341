"""The engine of a model given to `dovetail.load`: import, builds for ranges of extents, cache of plans."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from dovetail.core.errors import DefinitionError, DovetailError
from dovetail.core.types import DeviceType, TensorIOMode
from dovetail.machine.builder.pipeline import build
from dovetail.machine.builder.without_effect import without_effect
from dovetail.machine.calibration.observe import calibration_text
from dovetail.machine.config import IBuilderConfig
from dovetail.machine.engine import ICudaEngine
from dovetail.machine.logger import ILogger, Severity
from dovetail.machine.model_source import Source, loaded_plugins
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.plan import IHostMemory
from dovetail.machine.plan_cache import PlanCache, key_of
from dovetail.machine.ranges import DynamicInput, Range, Ranges, covering, given_ranges, profile_of, text_of, widened
from dovetail.machine.runtime import Runtime


class ModelEngine:
    """Builds the engine of a model, and builds it again when inputs do not fit. A plan is used unchanged.

    Attributes:
        engine: None until extents are known.
        inputs, outputs: names, in the model's order.
    """

    engine: ICudaEngine | None
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
        max_threads: int = 0,
    ) -> None:
        self._source, self._logger, self._max_threads = source, logger, max_threads
        self._lock = threading.RLock()
        self._network: INetworkDefinition | None = None
        self.engine = None
        self._cache: PlanCache | None = None
        self._config = _config(device, configure, max_threads)
        if source.is_plan:
            if shapes or cache is not None or device is not None or configure is not None:
                raise DefinitionError(
                    f"'{source.path or 'the plan'}' is a plan: it was built already",
                    hint="shapes, cache, device and configure are for models. Build it again to change them.",
                )
            Runtime(logger)  # the plugins that the plan may need are loaded
            self._use(ICudaEngine(source.plan, max_threads))
            return
        calibrated = calibration_text(self._config.int8_calibrator)
        if cache is not None and calibrated is not None:
            key = key_of(source.contents(), _settings(self._config) + calibrated, loaded_plugins())
            self._cache = PlanCache(cache, source.title, key)
            self._take_cached()
        if self.engine is None:
            self._import()
        wanted = given_ranges(shapes, self._dynamic, self._dims)
        if self.engine is not None and covering(self._ranges, wanted):
            return
        ranges = {**self._ranges, **widened(self._ranges, wanted, with_room=False)}
        if all(one.name in ranges for one in self._dynamic):
            self._build(ranges)
        self._ranges = ranges

    # ---- builds
    def fit(self, inputs: Mapping[str, Any], tried: ICudaEngine | None) -> bool:
        """Make an engine that takes these inputs. False if there is none but `tried`, so that its error stands."""
        with self._lock:
            if self.engine is not tried:
                return True  # another thread has built one meanwhile
            if self._source.is_plan:
                return False
            seen = {one.name: one.seen(inputs[one.name]) for one in self._dynamic}
            if self.engine is not None and covering(self._ranges, seen):
                return False  # the ranges are not the reason
            self._import()
            if self.engine is None:
                self._build(widened(self._ranges, seen, with_room=False))
            else:
                self._widen(seen)
            return True

    def _widen(self, seen: Ranges) -> None:
        """Build for wider ranges: with room for other extents if the model allows it, else as narrow as possible."""
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
        self._use(ICudaEngine(plan, self._max_threads))
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
        if self.engine is None:
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
        self.engine = engine

    def _take_cached(self) -> None:
        assert self._cache is not None
        if not self._cache.is_there():
            return
        try:
            engine = ICudaEngine(self._cache.path.read_bytes(), self._max_threads)
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
    """The range of an input that an engine was built for."""
    ask = engine.get_tensor_profile_values if one.is_shape else engine.get_tensor_profile_shape
    return Range(*(tuple(side) for side in ask(one.name, 0)))


def _config(
    device: DeviceType | str | None, configure: Callable[[IBuilderConfig], Any] | None, n_threads: int
) -> IBuilderConfig:
    config = IBuilderConfig()
    if n_threads:
        config.num_threads = n_threads
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
    """The settings of the config, as text for the key of a cache."""
    values = {**vars(config), "int8_calibrator": None}  # see calibration_text
    return f"{config.default_device_type.name} {sorted(map(str, values.items()))}"

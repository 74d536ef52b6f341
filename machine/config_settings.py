"""Settings of `IBuilderConfig` for TensorRT's scripts: honoured, without effect (with a warning), or refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dovetail.core.errors import DefinitionError, DTypeError
from dovetail.core.named import member_of
from dovetail.core.strict import Strict
from dovetail.machine.algorithms import IAlgorithmSelector
from dovetail.machine.calibration.calibrators import a_calibrator
from dovetail.machine.enums import (
    EngineCapability,
    HardwareCompatibilityLevel,
    PreviewFeature,
    ProfilingVerbosity,
    QuantizationFlag,
    RuntimePlatform,
    TacticSource,
    TilingOptimizationLevel,
)
from dovetail.machine.settings import Setting, bits, integer, member, settings_without_effect

ALL_SOURCES = sum(1 << int(source) for source in TacticSource)
_TIMES_ONCE = "candidates run in turns until their times are stable, and the least time counts."


class TensorRTSettings(Strict):
    """The part of `IBuilderConfig` that exists for TensorRT's scripts."""

    engine_capability = Setting(
        EngineCapability.STANDARD, member(EngineCapability), "every plan is for the standard runtime."
    )
    avg_timing_iterations = Setting(1, integer(1), _TIMES_ONCE)
    min_timing_iterations = Setting(1, integer(1), _TIMES_ONCE)
    profiling_verbosity = Setting(ProfilingVerbosity.LAYER_NAMES_ONLY, member(ProfilingVerbosity))
    hardware_compatibility_level = Setting(
        HardwareCompatibilityLevel.NONE,
        member(HardwareCompatibilityLevel),
        "a plan is for the kind of machine that it was built on.",
    )
    int8_calibrator = Setting(None, a_calibrator)  # gives the batches for INT8, with BuilderFlag.INT8
    max_aux_streams = Setting(None, integer(0), "layers run one after the other, on one stream.")
    profile_stream = Setting(0, None, "candidates are timed on a stream of the builder's own.")
    progress_monitor = Setting(None, None, "the log shows the progress at severity INFO.")
    plugins_to_serialize = Setting((), None, "a plan never holds code; it lists the plugins that it needs.")
    tiling_optimization_level = Setting(
        TilingOptimizationLevel.NONE, member(TilingOptimizationLevel), "layers are not tiled across."
    )
    l2_limit_for_tiling = Setting(-1, integer(-1), "layers are not tiled across.")
    runtime_platform = Setting(
        RuntimePlatform.SAME_AS_BUILD, member(RuntimePlatform), "a plan is for the platform that it was built on."
    )

    def __init__(self) -> None:
        self._preview: dict[PreviewFeature, bool] = {}
        self._sources = ALL_SOURCES
        self._quantization_flags = 0
        self._algorithm_selector: IAlgorithmSelector | None = None

    # ---- refused
    @property
    def DLA_core(self) -> int:  # noqa: N802  TensorRT's spelling
        """-1: DLAs are not supported. Setting another value raises DefinitionError."""
        return -1

    @DLA_core.setter
    def DLA_core(self, core: int) -> None:  # noqa: N802
        refuse_dla(core)

    # ---- in force
    @property
    def algorithm_selector(self) -> IAlgorithmSelector | None:
        """Chooses among the algorithms of each layer, and is told what was taken. None: the builder decides alone."""
        return self._algorithm_selector

    @algorithm_selector.setter
    def algorithm_selector(self, selector: IAlgorithmSelector | None) -> None:
        if selector is not None and not isinstance(selector, IAlgorithmSelector):
            raise DTypeError(
                f"config.algorithm_selector takes an IAlgorithmSelector, got {type(selector).__name__}",
                hint="Derive its class from trt.IAlgorithmSelector, and pass an object of it.",
                got=selector,
            )
        self._algorithm_selector = selector

    # ---- without effect
    def set_preview_feature(self, feature: PreviewFeature, enable: bool) -> None:
        self._preview[_feature(feature)] = bool(enable)

    def get_preview_feature(self, feature: PreviewFeature) -> bool:
        return self._preview.get(_feature(feature), False)

    def set_tactic_sources(self, tactic_sources: int) -> bool:
        """Keep a mask of `TacticSource` bits; the build warns. Raises DefinitionError for unknown bits."""
        self._sources = bits(TacticSource)("the mask of tactic sources", tactic_sources)
        return True

    def get_tactic_sources(self) -> int:
        return self._sources

    @property
    def quantization_flags(self) -> int:
        return self._quantization_flags

    @quantization_flags.setter
    def quantization_flags(self, flags: int) -> None:
        self._quantization_flags = bits(QuantizationFlag)("quantization flags", flags)

    def set_quantization_flag(self, flag: QuantizationFlag) -> None:
        self._quantization_flags |= 1 << _quantization_flag(flag)

    def clear_quantization_flag(self, flag: QuantizationFlag) -> None:
        self._quantization_flags &= ~(1 << _quantization_flag(flag))

    def get_quantization_flag(self, flag: QuantizationFlag) -> bool:
        return bool(self._quantization_flags >> _quantization_flag(flag) & 1)

    def without_effect(self) -> Iterator[str]:
        """A sentence for each of these settings that was made and has no effect."""
        yield from settings_without_effect(self)
        for feature in (f for f, is_on in self._preview.items() if is_on):
            yield f"preview feature {feature.name} has no effect in this version: there are no previews."
        if self._sources != ALL_SOURCES:
            yield (
                "config.set_tactic_sources has no effect in this version: every implementation competes; "
                "DOVETAIL_PLUGINS_BLOCK keeps plugins out."
            )


def _feature(feature: Any) -> PreviewFeature:
    return member_of(PreviewFeature, feature, "a preview feature")


def _quantization_flag(flag: Any) -> int:
    return int(member_of(QuantizationFlag, flag, "a quantization flag"))


def refuse_dla(core: int) -> None:
    """Raises DefinitionError unless it is -1, no core."""
    if core != -1:
        raise DefinitionError(
            f"DLA core {core} cannot be used: dovetail does not support DLAs",
            hint="Use DeviceType.GPU or DeviceType.CPU.",
            got=core,
        )

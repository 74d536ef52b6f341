"""Settings of a build that have no effect: a line for each, for the log."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from dovetail.core.types import FLOATS, DataType, DeviceType
from dovetail.machine.builder.calibrate import why_not_implicit
from dovetail.machine.config import IBuilderConfig
from dovetail.machine.enums import BuilderFlag, MemoryPoolType, NetworkDefinitionCreationFlag
from dovetail.machine.layer import ILayer
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.settings import settings_without_effect

MOST_NAMES = 4  # of layers or tensors in one line

_NARROW = (
    "they compute in the types that the network states, and only those that nothing runs in FLOAT are converted. "
    "Convert where you want {0}: network.add_cast(x, {0}), or layer.set_output_type(0, {0})."
)
_TYPES = "the types of the network are kept, and reformats are inserted where they are cheaper than doing without."
_REFIT = "engines cannot be refitted. Build a new plan when weights change."
_ONE_VERSION = "a plan is read by the version of dovetail that wrote it, and holds no runtime."
FLAGS: dict[BuilderFlag, str] = {
    BuilderFlag.FP16: _NARROW.format("trt.float16"),
    BuilderFlag.BF16: _NARROW.format("trt.bfloat16"),
    BuilderFlag.FP8: "no layer computes in FP8.",
    BuilderFlag.DEBUG: "context.debug_sync or DOVETAIL_SYNC=1 waits after each layer of a run.",
    BuilderFlag.STRICT_TYPES: _TYPES,
    BuilderFlag.REFIT: _REFIT,
    BuilderFlag.REFIT_IDENTICAL: _REFIT,
    BuilderFlag.STRIP_PLAN: _REFIT,
    BuilderFlag.EDITABLE_TIMING_CACHE: "config.pin_implementation(layer, implementation) decides what runs.",
    BuilderFlag.SPARSE_WEIGHTS: "no kernel uses structured sparsity; the weights are computed with as dense ones.",
    BuilderFlag.SAFETY_SCOPE: "there is no safety runtime.",
    BuilderFlag.DIRECT_IO: _TYPES,
    BuilderFlag.ENABLE_TACTIC_HEURISTIC: "config.builder_optimization_level says how much is timed.",
    BuilderFlag.VERSION_COMPATIBLE: _ONE_VERSION,
    BuilderFlag.EXCLUDE_LEAN_RUNTIME: _ONE_VERSION,
    BuilderFlag.DISABLE_COMPILATION_CACHE: "nothing is compiled during a build.",
    BuilderFlag.WEIGHT_STREAMING: "all weights lie on the device of their layers.",
}


def without_effect(network: INetworkDefinition, config: IBuilderConfig) -> Iterator[str]:
    """A sentence for each setting of config, profiles, layers and tensors that has no effect in this build."""
    for flag, why in FLAGS.items():
        where = _where(flag, network, config)
        if config.get_flag(flag) and where:
            yield f"BuilderFlag.{flag.name} has no effect {where}: {why}"
    if config.get_flag(BuilderFlag.REJECT_EMPTY_ALGORITHMS) and config.algorithm_selector is None:
        yield (
            "BuilderFlag.REJECT_EMPTY_ALGORITHMS has no effect without a selector: set config.algorithm_selector, or "
            "clear the flag."
        )
    if config.get_flag(BuilderFlag.INT8) and not _is_quantized(network) and not _has_ranges(network, config):
        yield (
            "BuilderFlag.INT8 has no effect on this network, which has no INT8 tensor and no ranges: it runs in its "
            "own types. Set config.int8_calibrator or the dynamic_range of its tensors, add Quantize and Dequantize "
            "layers, or import an ONNX file that a quantiser wrote."
        )
    for pool in config.pools_set - {MemoryPoolType.WORKSPACE}:
        yield f"the limit of MemoryPoolType.{pool.name} has no effect in this version: nothing uses that memory."
    yield from config.without_effect()
    for profile in config.profiles:
        yield from settings_without_effect(profile)
    of_tensors = (text for tensor in network.tensors() for text in settings_without_effect(tensor))
    yield from dict.fromkeys(of_tensors)  # once, however many tensors have it
    yield from _precisions(network, config)
    yield from _ranges(network, config)
    yield from _pins(network, config)


def _where(flag: BuilderFlag, network: INetworkDefinition, config: IBuilderConfig) -> str:
    """What a flag has no effect on; "" if it has."""
    if flag not in (BuilderFlag.FP16, BuilderFlag.BF16):
        return "in this version"
    if network.get_flag(NetworkDefinitionCreationFlag.STRONGLY_TYPED):
        return "on a network that is STRONGLY_TYPED"
    return "on layers that run in FLOAT on a GPU" if DeviceType.GPU in config.devices_in_use else ""


def _is_quantized(network: INetworkDefinition) -> bool:
    return any(t.dtype == DataType.INT8 for t in network.tensors())


def _precisions(network: INetworkDefinition, config: IBuilderConfig) -> Iterator[str]:
    """Under OBEY_PRECISION_CONSTRAINTS the build raises instead."""
    if config.get_flag(BuilderFlag.OBEY_PRECISION_CONSTRAINTS):
        return
    by_ranges = _has_ranges(network, config) and not why_not_implicit(network, config)
    missed = [
        layer
        for layer in network
        if layer.precision_is_set
        and not _computes_in(layer, layer.precision)
        and not (by_ranges and layer.precision == DataType.INT8)
    ]
    if missed:
        yield (
            f"the precision set for {_listed([layer.label for layer in missed])} has no effect in this version: a "
            "layer computes in the types of its inputs. Convert them: network.add_cast(x, type); set_output_type "
            "converts outputs."
        )


def _computes_in(layer: ILayer, wanted: DataType | None) -> bool:
    tensors = [given for _, given in layer.ports_in_use() if hasattr(given, "dtype")]
    types = [tensor.dtype for tensor in [*tensors, *layer.infer()]]
    return wanted in types or (wanted == DataType.FLOAT and not any(t in FLOATS for t in types))


def _has_ranges(network: INetworkDefinition, config: IBuilderConfig) -> bool:
    return config.int8_calibrator is not None or any(t.dynamic_range is not None for t in network.tensors())


def _ranges(network: INetworkDefinition, config: IBuilderConfig) -> Iterator[str]:
    """Calibrators and ranges in builds that are not quantised by them."""
    why = why_not_implicit(network, config)
    if not why:
        return
    names = [t.name for t in network.tensors() if t.dynamic_range is not None and t.dtype != DataType.INT8]
    if names:
        yield f"the dynamic range of {_listed([repr(name) for name in names])} has no effect: {why}."
    if config.int8_calibrator is not None:
        yield f"config.int8_calibrator has no effect: {why}."


def _pins(network: INetworkDefinition, config: IBuilderConfig) -> Iterator[str]:
    """Layers that the builder adds may be pinned too: reformats, and conversions, called "conv, x as HALF"."""
    names = [layer.name for layer in network]
    for pinned, implementation in config.pins.items():
        if pinned in names or pinned.startswith(("reformat ", *(f"{name}, " for name in names))):
            continue
        near = difflib.get_close_matches(pinned, names, n=3, cutoff=0.5)
        meant = f" Nearest: {', '.join(near)}." if near else ""
        yield (
            f"pin_implementation('{pinned}', '{implementation}') has no effect on this network: none of its layers has "
            f"that name.{meant}"
        )


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")

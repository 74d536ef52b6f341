"""Implicit quantisation: which tensors of a network have a range, from calibration and from `dynamic_range`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dovetail.core.errors import BuildError
from dovetail.core.types import DataType, DeviceType
from dovetail.machine.calibration.observe import Shape, is_observed, ranges_of
from dovetail.machine.config import IBuilderConfig, copy_of
from dovetail.machine.enums import BuilderFlag, NetworkDefinitionCreationFlag
from dovetail.machine.network import INetworkDefinition

if TYPE_CHECKING:
    from dovetail.machine.builder.graph import Graph
    from dovetail.machine.context import IExecutionContext
    from dovetail.machine.plan import IHostMemory
    from dovetail.machine.tensor import ITensor

IN_FLOAT = (BuilderFlag.INT8, BuilderFlag.FP16, BuilderFlag.BF16, BuilderFlag.FP8)
Builds = Callable[[INetworkDefinition, IBuilderConfig], "IHostMemory"]
Sizes = Callable[[INetworkDefinition, IBuilderConfig], "Graph"]  # the graph with the extents of all tensors


def why_not_implicit(network: INetworkDefinition, config: IBuilderConfig) -> str:
    """Why ranges have no effect in this build; "" if they decide how tensors are stored."""
    if not config.get_flag(BuilderFlag.INT8):
        return "BuilderFlag.INT8 is not set"
    if config.default_device_type != DeviceType.CPU:
        return "layers compute in INT8 by ranges on the CPU only; give the network Quantize and Dequantize layers"
    if network.get_flag(NetworkDefinitionCreationFlag.STRONGLY_TYPED):
        return "the network is STRONGLY_TYPED"
    if any(tensor.dtype == DataType.INT8 for tensor in network.tensors()):
        return "the network has Quantize or Dequantize layers, which say what is INT8"
    return ""


def implicit_ranges(
    network: INetworkDefinition,
    config: IBuilderConfig,
    sizes: Sizes,
    builds: Builds,
    log: Callable[[str], None],
    warn: Callable[[str], None],
) -> dict[str, float]:
    """The largest magnitude that INT8 stores, by tensor; {} if the network is not quantised by ranges.

    A tensor's own `dynamic_range` goes before the calibrator's.

    Raises:
        BuildError: calibration fails. Also the errors of a build.
    """
    if why_not_implicit(network, config):
        return {}
    ranges: dict[str, float] = {}
    if config.int8_calibrator is not None:
        ranges = _calibrated(network, config, sizes, builds, log, warn)
    for tensor in network.tensors():
        if tensor.dynamic_range is not None:
            ranges[tensor.name] = max(abs(end) for end in tensor.dynamic_range)
    return ranges


def _calibrated(
    network: INetworkDefinition,
    config: IBuilderConfig,
    sizes: Sizes,
    builds: Builds,
    log: Callable[[str], None],
    warn: Callable[[str], None],
) -> dict[str, float]:
    own = _config_in_float(config)
    graph = sizes(network, own)
    shapes = {tensor.name: tensor.ranges[0][1] for tensor in graph.all_tensors() if not tensor.is_constant}
    shape_inputs = [tensor.name for tensor in network.shape_inputs()]
    if shape_inputs:
        raise BuildError(
            f"a network whose input '{shape_inputs[0]}' decides extents cannot be calibrated",
            hint="Make these extents constants of the network while you calibrate, and keep the cache.",
        )
    inputs = [(tensor.name, tensor.dtype, shapes[tensor.name]) for tensor in network.input_tensors]
    tensors = [
        (tensor, shapes[tensor.name])
        for tensor in network.tensors()
        if tensor.name in shapes and is_observed(tensor.dtype) and not tensor.is_shape_tensor
    ]

    def runs(outputs: Sequence[ITensor]) -> IExecutionContext:
        return _context_of(network, own, outputs, builds, shapes)

    assert config.int8_calibrator is not None
    return ranges_of(config.int8_calibrator, inputs, tensors, runs, log, warn)


def _config_in_float(config: IBuilderConfig) -> IBuilderConfig:
    """A config for the network that is observed: in its own types, not timed, each layer by itself."""
    profile = config.get_calibration_profile()
    own = copy_of(config, config.profiles[:1] if profile is None else [profile])
    for flag in IN_FLOAT:
        own.clear_flag(flag)
    own.builder_optimization_level = 0
    own.allow_fusion = False
    own.time_network = False
    own.algorithm_selector = None
    own.int8_calibrator = None
    return own


def _context_of(
    network: INetworkDefinition,
    config: IBuilderConfig,
    outputs: Sequence[ITensor],
    builds: Builds,
    shapes: dict[str, Shape],
) -> IExecutionContext:
    """A context of the network with these tensors as outputs, too."""
    from dovetail.machine.logger import Logger
    from dovetail.machine.runtime import Runtime

    added = [tensor for tensor in outputs if not tensor.is_network_output]
    try:
        for tensor in added:
            network.mark_output(tensor)
        plan = builds(network, config)
    finally:
        for tensor in added:
            network.unmark_output(tensor)
    runtime = Runtime(Logger(Logger.ERROR), network.lookup)
    engine = runtime.deserialize_cuda_engine(plan)
    context = None if engine is None else engine.create_execution_context()
    if context is None:
        raise BuildError("the network that calibration observes cannot be loaded")
    for tensor in network.input_tensors:
        if -1 in tensor.shape:
            context.set_input_shape(tensor.name, shapes[tensor.name])
    return context

"""The context of one build, an argument of every pass: the network, the config, and services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dovetail.core.negotiation import Target, Types
from dovetail.core.types import DeviceType
from dovetail.machine.budget import Meter
from dovetail.machine.builder.candidates import Candidates, allowed_types, weak_types
from dovetail.machine.builder.graph import Graph, GraphLayer
from dovetail.machine.builder.measurements import Measurements
from dovetail.machine.builder.progress import Progress, silent
from dovetail.machine.builder.reformats import Reformats
from dovetail.machine.builder.selection import Selection
from dovetail.machine.config import IBuilderConfig
from dovetail.machine.devices import target_for
from dovetail.machine.enums import BuilderFlag, NetworkDefinitionCreationFlag
from dovetail.machine.network import INetworkDefinition


@dataclass
class Build:
    """One build. Passes read it; their results are in the graph."""

    network: INetworkDefinition
    config: IBuilderConfig
    target: Target
    candidates: Candidates
    measurements: Measurements
    reformats: Reformats
    selection: Selection
    folding: Meter  # measures the budget for constant folding
    progress: Progress
    ranges: dict[str, float]  # largest magnitudes that INT8 stores, by tensor, where that follows from ranges

    @property
    def is_timed(self) -> bool:
        """True if candidates are measured. At builder_optimization_level 0 the first one is chosen."""
        return self.config.builder_optimization_level > 0

    @property
    def keeps_weights(self) -> bool:
        """True if weights must stay what they are, so that others can take their place in the plan."""
        return any(self.config.get_flag(flag) for flag in (BuilderFlag.REFIT, BuilderFlag.REFIT_IDENTICAL))


Pass = Callable[[Graph, Build], Graph]


def build_of(
    network: INetworkDefinition,
    config: IBuilderConfig,
    log: Callable[[str], None] | None = None,
    types: Callable[[GraphLayer, IBuilderConfig], Types] | None = None,
    ranges: dict[str, float] | None = None,
) -> Build:
    """A build of `network`, with everything that passes need.

    Args:
        log: takes a line now and then while the build takes long.
        ranges: of tensors that INT8 may store, by name: see `implicit_ranges`.
        types: says which types the tensors of a layer may have. None: as the network is typed.

    Raises:
        BuildError: a GPU is needed and none works.
    """
    target = target_of(config)
    if types is None:
        is_strong = network.get_flag(NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        types = allowed_types if is_strong else weak_types
    candidates = Candidates(network.lookup, config, target, types)
    measurements = Measurements(network.lookup, config, target)
    reformats = Reformats(candidates, measurements)
    return Build(
        network,
        config,
        target,
        candidates,
        measurements,
        reformats,
        Selection(reformats),
        config.folding_budget.meter("config.folding_budget"),
        Progress(log, network.name) if log else silent(),
        ranges or {},
    )


def target_of(config: IBuilderConfig) -> Target:
    """This machine as a target, with its GPU if the config needs one. Raises BuildError if there is none."""
    return target_for(DeviceType.GPU in config.devices_in_use, config.get_flag(BuilderFlag.GPU_FALLBACK))

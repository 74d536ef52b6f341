"""The passes, in order, and what they share. Read PIPELINE as a table of contents; each pass stands in its own file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dovetail import _native
from dovetail.core.errors import BuildError, PlanError
from dovetail.core.negotiation import Machine
from dovetail.core.types import DeviceType
from dovetail.machine.budget import Meter
from dovetail.machine.builder.absorb_quantization import absorb_quantization
from dovetail.machine.builder.candidates import list_candidates
from dovetail.machine.builder.carry_scales import carry_scales
from dovetail.machine.builder.fit_types import fit_types
from dovetail.machine.builder.fold_constants import fold_constants
from dovetail.machine.builder.graph import Graph
from dovetail.machine.builder.infer_shapes import infer_shapes
from dovetail.machine.builder.plan_memory import pack_constants, plan_memory
from dovetail.machine.builder.progress import Progress, silent
from dovetail.machine.builder.select_formats import Reformats, insert_reformats, select_formats
from dovetail.machine.builder.separate_outputs import separate_outputs
from dovetail.machine.builder.serialise import serialise
from dovetail.machine.builder.time_candidates import Timer, time_candidates
from dovetail.machine.builder.watch_chosen import watch_chosen
from dovetail.machine.config import IBuilderConfig
from dovetail.machine.devices import machine_for
from dovetail.machine.enums import BuilderFlag
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.plan import IHostMemory


@dataclass
class Build:
    """What every pass may look at: the config, the machine, and the measurements so far."""

    config: IBuilderConfig
    machine: Machine
    timer: Timer
    reformats: Reformats
    folding: Meter
    progress: Progress


Pass = Callable[[Graph, Build], Graph]

PIPELINE: tuple[tuple[str, Pass], ...] = (
    # INT8 tensors have the scales of the Quantize and Dequantize layers beside them
    ("carry_scales", lambda g, b: carry_scales(g)),
    # what depends on constants alone is computed now; dequantise layers wait for the next pass
    ("fold_constants", lambda g, b: fold_constants(g, b.config, b.machine, b.folding, keep="dequantize")),
    # layers between dequantise layers take the INT8 tensors
    ("absorb_quantization", lambda g, b: absorb_quantization(g, b.config, b.machine)),
    ("fold_remaining_constants", lambda g, b: fold_constants(g, b.config, b.machine, b.folding)),
    # outputs that no layer computes get a copying layer
    ("separate_outputs", lambda g, b: separate_outputs(g)),
    # conversions around layers that nothing runs in the types they have
    ("fit_types", lambda g, b: fit_types(g, b.config, b.machine)),
    # implementations x format rows x tactics that fit
    ("list_candidates", lambda g, b: list_candidates(g, b.config, b.machine, b.progress)),
    # each measured on this machine
    ("time_candidates", lambda g, b: time_candidates(g, b.timer, b.progress)),
    # the cheapest choice for the network as a whole, and reformats where neighbours chose differently
    ("select_formats", lambda g, b: select_formats(g, b.reformats)),
    # where nothing is timed, what third parties wrote runs once under guards, and others take its place if need be
    ("watch_chosen", lambda g, b: watch_chosen(g, b.timer, b.reformats)),
    ("insert_reformats", lambda g, b: insert_reformats(g, b.reformats)),
    # weights as the chosen kernels want them
    ("pack_constants", lambda g, b: pack_constants(g, b.config.num_threads)),
)


def build(network: INetworkDefinition, config: IBuilderConfig, log: Callable[[str], None] | None = None) -> IHostMemory:
    """Run the pipeline, and load what it wrote once, so that no plan leaves which an engine refuses.

    Args:
        log: takes a line now and then while the build takes long.

    Raises:
        BuildError: the plan cannot be loaded. And what the passes raise; the network is not changed.
    """
    progress = Progress(log, network.name) if log else silent()
    machine = machine_of(config)
    graph = infer_shapes(network, config)
    timer = Timer(config, machine)
    reformats = Reformats(graph.lookup, graph.n_profiles, timer, machine)
    folding = config.folding_budget.meter("config.folding_budget")
    shared = Build(config, machine, timer, reformats, folding, progress)
    for _, pass_ in with_plugins(graph.lookup):
        graph = pass_(graph, shared)
    plan = serialise(graph, plan_memory(graph), machine, timer.spent_s)
    if all(graph.lookup.implementations_of(layer.spec.id) for layer in graph.layers):
        check_plan(plan, config)  # else an object was given whose class is to be registered where the plan is loaded
    return plan


def check_plan(plan: IHostMemory, config: IBuilderConfig) -> None:
    """Do all that loading does. Raises BuildError where the plan would be refused."""
    try:
        _native.check_plan(plan, config.num_threads)
    except PlanError as error:
        raise BuildError(
            "the plan of this network cannot be loaded, so it is not handed out",
            facts=[("because", f"{type(error).__name__}: {error}")],
            hint="Profile, names or a plugin's answers do not go together; if they do, this is a fault of dovetail.",
        ) from error


def machine_of(config: IBuilderConfig) -> Machine:
    """This machine, with its GPU if the config has a use for one. Raises BuildError if that is missing."""
    return machine_for(DeviceType.GPU in config.devices_in_use, config.get_flag(BuilderFlag.GPU_FALLBACK))


class PassOffers:
    """What `dovetail_graph_passes` gets: takes passes over the graph, each put behind one that is named."""

    def __init__(self) -> None:
        self.pipeline = list(PIPELINE)

    def add_pass(self, function: Pass, after: str, name: str = "") -> None:
        """Run `function(graph, build) -> graph` after the pass of that name.

        Raises:
            BuildError: no pass is called `after`.
        """
        names = [known for known, _ in self.pipeline]
        if after not in names:
            raise BuildError(
                f"no pass is called '{after}'", facts=[("passes", ", ".join(names))], expected=names, got=after
            )
        self.pipeline.insert(names.index(after) + 1, (name or function.__name__, function))


def with_plugins(lookup: Any) -> list[tuple[str, Pass]]:
    """The pipeline with the passes that plugins bring. Raises BuildError, naming the plugin, if one's hook fails."""
    offers = PassOffers()
    for name, answer in lookup.collect("dovetail_graph_passes", registry=offers):
        if isinstance(answer, BaseException):
            text = f"plugin {name} failed in dovetail_graph_passes"
            raise BuildError(text, facts=[("error", str(answer))]) from answer
    return offers.pipeline

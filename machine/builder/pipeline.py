"""The passes, in order. Read PIPELINE as a table of contents; each pass is in its own file in passes/."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dovetail.core.errors import BuildError, DovetailError
from dovetail.machine.builder.build import Build, Pass, build_of
from dovetail.machine.builder.calibrate import implicit_ranges
from dovetail.machine.builder.edits import Edit
from dovetail.machine.builder.graph import Graph
from dovetail.machine.builder.passes.absorb_quantization import absorb_quantization
from dovetail.machine.builder.passes.carry_scales import carry_scales
from dovetail.machine.builder.passes.check_plan import check_plan
from dovetail.machine.builder.passes.check_profiles import check_profiles
from dovetail.machine.builder.passes.choose_likely_sizes import choose_likely_sizes
from dovetail.machine.builder.passes.fit_types import fit_types
from dovetail.machine.builder.passes.fold_constants import fold_constants, fold_remaining_constants
from dovetail.machine.builder.passes.gate_convolutions import gate_convolutions
from dovetail.machine.builder.passes.group_layers import group_layers
from dovetail.machine.builder.passes.infer_shapes import infer_shapes
from dovetail.machine.builder.passes.insert_reformats import insert_reformats
from dovetail.machine.builder.passes.join_convolutions import join_convolutions
from dovetail.machine.builder.passes.list_candidates import list_candidates
from dovetail.machine.builder.passes.note_rounding import note_rounding
from dovetail.machine.builder.passes.pack_constants import pack_constants
from dovetail.machine.builder.passes.plan_memory import plan_memory
from dovetail.machine.builder.passes.prune_candidates import prune_candidates
from dovetail.machine.builder.passes.quantize_products import quantize_products
from dovetail.machine.builder.passes.report_algorithms import report_algorithms
from dovetail.machine.builder.passes.select_algorithms import select_algorithms
from dovetail.machine.builder.passes.select_formats import select_formats
from dovetail.machine.builder.passes.separate_outputs import separate_outputs
from dovetail.machine.builder.passes.serialise import serialise
from dovetail.machine.builder.passes.share_memory import share_memory
from dovetail.machine.builder.passes.split_groups import split_groups
from dovetail.machine.builder.passes.store_once import store_once
from dovetail.machine.builder.passes.time_candidates import time_candidates
from dovetail.machine.builder.passes.time_network import time_network
from dovetail.machine.builder.passes.watch_chosen import watch_chosen
from dovetail.machine.config import IBuilderConfig
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.plan import IHostMemory

PIPELINE: tuple[Pass, ...] = (
    # ---- the network: layers and tensors, every extent an expression with its range in each profile
    infer_shapes,
    # the profiles must allow every tensor and every condition
    check_profiles,
    # values of data-dependent extents for timing
    choose_likely_sizes,
    # ---- rewrites. Those that know layers are passes of plugins, behind fold_constants: plugins/builtin/_graph_*.py
    # INT8 tensors get the scales of the Quantize and Dequantize layers next to them
    carry_scales,
    # layers with constant inputs are computed now, except dequantise layers
    fold_constants,
    # convolutions, products and additions between dequantise and quantise layers work on the integers
    quantize_products,
    # other layers between dequantise layers take the INT8 tensors directly
    absorb_quantization,
    fold_remaining_constants,
    # insert copies for outputs that no layer computes
    separate_outputs,
    # insert conversions around layers that no implementation runs in their types
    fit_types,
    # ---- the choice of kernels
    # a layer and the pointwise layers after it, for which candidates are chosen together
    group_layers,
    # implementations x format rows x tactics that fit
    list_candidates,
    # leave out candidates that are not worth timing
    prune_candidates,
    # if the config has a selector, keep what it selects
    select_algorithms,
    # measure each on this machine
    time_candidates,
    # two convolutions in one step, where that is measured to be faster
    join_convolutions,
    # a product with one value for each channel and the convolution behind it in one step, on the same condition
    gate_convolutions,
    # the cheapest choice for the network as a whole
    select_formats,
    # if nothing is timed, run chosen third-party kernels once under guards, and replace those that fail
    watch_chosen,
    # if the config has a selector, report the choice to it
    report_algorithms,
    # layers that the chosen kernels do not absorb become separate groups
    split_groups,
    # say which layers have larger rounding errors than plain sums
    note_rounding,
    # insert reformats between neighbours with different places
    insert_reformats,
    # layers that only move elements are no steps where inputs and outputs can lie in the same memory
    share_memory,
    # ---- the plan
    # pack weights for the chosen kernels
    pack_constants,
    # store each weight once: packed or unpacked
    store_once,
    # assign memory to tensors and workspaces
    plan_memory,
    # write the document and its constants
    serialise,
    # if requested, time the whole network for the report
    time_network,
    # load the plan once, so that every plan that a build returns can be loaded
    check_plan,
)


def build(
    network: INetworkDefinition,
    config: IBuilderConfig,
    log: Callable[[str], None] | None = None,
    detail: Callable[[str], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> IHostMemory:
    """The plan of `network`, which is not changed.

    Args:
        log: called with a line from time to time during a long build.
        detail: called with a line about the measurements.
        warn: called with what a user should know.

    Raises:
        BuildError: the plan cannot be loaded. Also the errors of the passes.
    """
    ranges = implicit_ranges(network, config, _sizes, build, log or _nothing, warn or _nothing)
    made = build_of(network, config, log, ranges=ranges)
    plan = run(made, with_plugins(network.lookup)).plan
    assert plan is not None
    if detail is not None:
        detail(made.measurements.summary())
    return plan


def _sizes(network: INetworkDefinition, config: IBuilderConfig) -> Graph:
    return run(build_of(network, config), with_plugins(network.lookup), until="check_profiles")


def _nothing(line: str) -> None:
    pass


def run(build: Build, passes: Sequence[tuple[str, Pass]], until: str = "") -> Graph:
    """The graph after the pass called `until`, or after the last one."""
    graph = Graph(build.network.name, build.network.lookup)
    for name, pass_ in passes:
        if isinstance(pass_, FromLevel):
            if pass_.level > build.config.builder_optimization_level:
                if name == until:
                    break
                continue
            pass_ = pass_.function
        edit = Edit(graph, name, pass_) if pass_ not in PIPELINE else None
        services = dict(vars(build))
        made = _called(name, pass_, graph, build)
        _check_services(name, pass_, services, build)
        if not isinstance(made, Graph):
            raise BuildError(
                f"pass '{name}' returned {'nothing' if made is None else 'a ' + type(made).__name__}, not a graph",
                facts=[("defined in", getattr(pass_, "__module__", "?"))],
                hint="Let it end with `return graph`.",
                got=made,
            )
        graph = made
        if edit is not None:
            edit.check(graph)
        if name == until:
            break
    return graph


def _check_services(name: str, pass_: Pass, before: dict[str, Any], build: Build) -> None:
    """Raise BuildError if a pass has put something else into the build, which the passes share."""
    changed = [one for one, value in before.items() if getattr(build, one, None) is not value]
    if changed:
        raise BuildError(
            f"pass '{name}' replaced build.{changed[0]}",
            facts=[("defined in", getattr(pass_, "__module__", "?"))],
            hint="A pass reads the build, and changes the graph: docs/adding-a-pass.md.",
            got=getattr(build, changed[0], None),
        )


def _called(name: str, pass_: Pass, graph: Graph, build: Build) -> Any:
    """What the pass returns. What a plugin's pass raises, other than errors of dovetail, becomes a BuildError."""
    if pass_ in PIPELINE:
        return pass_(graph, build)
    try:
        return pass_(graph, build)
    except DovetailError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = getattr(getattr(pass_, "__code__", None), "co_filename", "")
        at = ([frame for frame in frames if frame.filename == own] or list(frames))[-1]
        raise BuildError(
            f"pass '{name}' failed",
            facts=[(type(error).__name__, str(error) or "no text"), ("raised at", f"{at.filename}:{at.lineno}")],
        ) from error


class PassOffers:
    """What `dovetail_graph_passes` gets: takes passes over the graph, each put behind one that is named."""

    def __init__(self) -> None:
        self.pipeline = [(pass_.__name__, pass_) for pass_ in PIPELINE]

    def add_pass(self, function: Pass, after: str, name: str = "", level: int = 0) -> None:
        """Run `function(graph, build) -> graph` after the pass of that name.

        Args:
            level: the lowest `config.builder_optimization_level` at which it runs.

        Raises:
            BuildError: no pass is called `after`, or `function` cannot be called.
        """
        if not callable(function):
            raise BuildError(
                f"a pass cannot be {function!r:.60}", hint="Give a function of (graph, build).", got=function
            )
        names = [known for known, _ in self.pipeline]
        if after not in names:
            near = difflib.get_close_matches(str(after), names, n=1)
            raise BuildError(
                f"no pass is called '{after}'",
                facts=[*([("nearest", near[0])] if near else []), ("passes", ", ".join(names))],
                expected=names,
                got=after,
            )
        own = getattr(function, "__name__", type(function).__name__)  # partial functions have no name
        made = FromLevel(level, function) if level else function
        self.pipeline.insert(names.index(after) + 1, (name or own, made))


@dataclass(frozen=True)
class FromLevel:
    """A pass that runs from a builder_optimization_level on."""

    level: int
    function: Pass

    def __call__(self, graph: Graph, build: Build) -> Graph:
        return self.function(graph, build)


def with_plugins(lookup: Any) -> list[tuple[str, Pass]]:
    """The pipeline with the passes of plugins. Raises BuildError, naming the plugin, if its hook fails."""
    offers = PassOffers()
    for name, answer in lookup.collect("dovetail_graph_passes", registry=offers):
        if isinstance(answer, BaseException):
            text = f"plugin {name} failed in dovetail_graph_passes"
            raise BuildError(text, facts=[("error", str(answer))]) from answer
    return offers.pipeline

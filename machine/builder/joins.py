"""Two groups in one step where that is measured to take less time: what passes that find such groups share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dovetail.core.types import DataType, DeviceType
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.candidates import REFERENCE
from dovetail.machine.builder.graph import Block, Candidate, Graph, GraphLayer, GraphTensor, LayerGroup
from dovetail.machine.builder.measurements import note_loss

GAIN = 0.03  # of the time of both: what a time varies by would decide below it


def may_join(build: Build) -> bool:
    """Are there times to compare, and does nothing else choose?"""
    return build.is_timed and build.config.allow_fusion and build.config.algorithm_selector is None


def pairs(graph: Graph) -> Iterator[tuple[Block, LayerGroup, LayerGroup]]:
    """Groups of which the second, a convolution, takes what the first gives as x, and nothing else does.

    Neither is pinned. Pairs of a block whose first has become part of another meanwhile are left out.
    """
    takers = graph.consumers()
    for block in graph.each_block():
        for first, second in list(_pairs(block, takers)):
            if first in block.groups:
                yield block, first, second


def _pairs(block: Block, takers: dict[GraphTensor, list[LayerGroup]]) -> Iterator[tuple[LayerGroup, LayerGroup]]:
    makers = {group.outputs[0]: group for group in block.groups if len(group.outputs) == 1}
    for second in block.groups:
        between = second.head.inputs[0] if second.head.spec.role == "convolution" else None
        first = None if between is None else makers.get(between)
        if first is None or between in block.outputs:
            continue
        if takers[between] == [second] and second.inputs.count(between) == 1:
            yield first, second


def join(
    block: Block, first: LayerGroup, second: LayerGroup, head: GraphLayer, what: str, graph: Graph, build: Build
) -> None:
    """Puts one group of `head` and the tail of the second in the place of both, if it takes less time.

    `head` has become the producer of the second's outputs; if it does not stay, the second's head is again.
    """
    joined = LayerGroup(head, second.tail, second.program, second.taken, found_alone=second.found_alone)
    is_pinned = any(build.config.pinned_implementation(one.name) for one in (*first.layers, *second.layers))
    apart = [_least(group) for group in (first, second)]
    if not is_pinned and None not in apart:
        times = [one.time_ns for one in _timed(joined, graph, build)]
        total = sum(apart)  # type: ignore[arg-type]
        best = min(times, default=total)
        if times and best < total * (1 - GAIN):
            block.set_groups([joined if one is second else one for one in block.groups if one is not first])
            both = f"{best / 1e3:.2f} us instead of {total / 1e3:.2f} us"
            graph.notes.append(f"{joined.name}: {what} in one step, {both}")
            return
    for tensor in head.outputs:
        tensor.producer = second.head


def _timed(joined: LayerGroup, graph: Graph, build: Build) -> list[Candidate]:
    """Candidates that compute all of the group, with times; they become its own. Of each implementation it is the first
    that fits: rows stand best first."""
    joined.found = build.candidates.on(DeviceType.CPU, joined.head)
    fast = [one for one in joined.found.candidates if one.row.implementation.name != REFERENCE]
    joined.found.candidates = list({one.row.implementation.id: one for one in reversed(fast)}.values())
    offered = [one for one in build.candidates.absorbing(joined, joined.found) if one.n_absorbed == len(joined.tail)]
    joined.found.candidates = []
    for one, time in zip(offered, build.measurements.times([(joined, one) for one in offered]), strict=True):
        if isinstance(time, Exception):
            note_loss(graph, joined, one, time, "timed")
        else:
            joined.found.candidates.append(replace(one, time_ns=time.ns, n_runs=time.runs))
    return joined.found.candidates


def _least(group: LayerGroup) -> float | None:
    """The least time of a candidate that computes all of the group."""
    return min((one.time_ns for one in group.candidates if one.n_absorbed == len(group.tail)), default=None)


def is_plain(layer: GraphLayer) -> bool:
    """Is it a layer on tensors of float32 without scales, on the CPU, whose precision nothing sets to another?"""
    tensors = [tensor for tensor in layer.tensors if tensor is not None]
    is_float = all(tensor.dtype == DataType.FLOAT and tensor.scale < 0 for tensor in tensors)
    return is_float and layer.precision in (None, DataType.FLOAT) and layer.device == DeviceType.CPU


def is_plain_convolution(layer: GraphLayer) -> bool:
    """Of two spatial dims, with constant weights."""
    is_known = all(tensor is None or tensor.is_constant for tensor in layer.inputs[1:])
    return is_plain(layer) and is_known and len(layer.values["kernel_size_nd"]) == 2


def is_pointwise_convolution(layer: GraphLayer) -> bool:
    """A convolution of single cells, all channels with all."""
    values = layer.values
    is_single = all(n == 1 for name in ("kernel_size_nd", "stride_nd") for n in values[name] or ())
    is_padded = any(n for name in ("pre_padding", "post_padding") for n in values[name] or ())
    return is_plain_convolution(layer) and is_single and not is_padded and values["num_groups"] == 1

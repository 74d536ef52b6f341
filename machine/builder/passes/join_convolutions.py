"""A 1x1 convolution and the depthwise convolution behind it become one step where that is measured to be faster.

The step makes some rows of the tensor between them at a time, which then need not be stored as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dovetail.core.epilogue import Operand, OperandKind, Program, StepOperation
from dovetail.core.types import DataType, DeviceType
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.candidates import REFERENCE, absorbing
from dovetail.machine.builder.graph import Block, Candidate, Graph, GraphLayer, GraphTensor, LayerGroup
from dovetail.machine.builder.measurements import note_loss
from dovetail.machine.builder.own_layers import layer_of_role

ROLE = "expanded depthwise convolution"
GAIN = 0.03  # of the time of both: what a time varies by would decide below it


def join_convolutions(graph: Graph, build: Build) -> Graph:
    """Replace pairs of groups by one where it takes less time than the two take at least."""
    if build.is_timed and build.config.allow_fusion and build.config.algorithm_selector is None:
        takers = graph.consumers()
        for block in graph.each_block():
            for first, second in list(_pairs(block, takers)):
                if first in block.groups:  # it may have become part of another
                    _join(block, first, second, graph, build)
    return graph


def _pairs(block: Block, takers: dict[GraphTensor, list[LayerGroup]]) -> Iterator[tuple[LayerGroup, LayerGroup]]:
    """Groups of which the second takes what the first gives, which nothing else does."""
    makers = {group.outputs[0]: group for group in block.groups if len(group.outputs) == 1}
    for second in block.groups:
        between = second.head.inputs[0] if second.head.spec.role == "convolution" else None
        first = None if between is None else makers.get(between)
        if first is None or first.head.spec.role != "convolution" or between in block.outputs:
            continue
        if takers[between] == [second] and second.inputs.count(between) == 1:
            yield first, second


def _join(block: Block, first: LayerGroup, second: LayerGroup, graph: Graph, build: Build) -> None:
    function = _function_of(first.program)
    is_pinned = any(build.config.pinned_implementation(one.name) for one in (*first.layers, *second.layers))
    if function is None or is_pinned or any(first.taken) or not (_expands(first.head) and _is_depthwise(second.head)):
        return
    apart = [_least(group) for group in (first, second)]
    if None in apart:
        return
    x, expansion, *expansion_bias = first.head.inputs
    _, kernel, *bias = second.head.inputs
    weights = [kernel, bias[0] if bias else None, expansion, expansion_bias[0] if expansion_bias else None]
    name, outputs = f"{first.name} + {second.head.name}", second.head.outputs
    head = layer_of_role(
        graph.lookup, ROLE, name, [x, *weights], outputs, second.head.device, **second.head.values, **function
    )
    joined = LayerGroup(head, second.tail, second.program, second.taken, found_alone=second.found_alone)
    times = [one.time_ns for one in _timed(joined, graph, build)]
    total = sum(apart)  # type: ignore[arg-type]
    best = min(times, default=total)
    if times and best < total * (1 - GAIN):
        block.set_groups([joined if one is second else one for one in block.groups if one is not first])
        graph.notes.append(
            f"{joined.name}: two convolutions in one step, {best / 1e3:.2f} us instead of {total / 1e3:.2f} us"
        )
        return
    for tensor in outputs:
        tensor.producer = second.head


def _timed(joined: LayerGroup, graph: Graph, build: Build) -> list[Candidate]:
    """Candidates that compute all of the group, with times; they become its own. Of each implementation it is the first
    that fits: rows stand best first."""
    joined.found = build.candidates.on(DeviceType.CPU, joined.head)
    fast = [one for one in joined.found.candidates if one.row.implementation.name != REFERENCE]
    joined.found.candidates = list({one.row.implementation.id: one for one in reversed(fast)}.values())
    offered = [one for one in absorbing(joined, joined.found) if one.n_absorbed == len(joined.tail)]
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


def _is_plain(layer: GraphLayer) -> bool:
    """Of two spatial dims, in float32 on the CPU, with constant weights."""
    tensors = [tensor for tensor in layer.tensors if tensor is not None]
    is_float = all(tensor.dtype == DataType.FLOAT and tensor.scale < 0 for tensor in tensors)
    is_known = all(tensor is None or tensor.is_constant for tensor in layer.inputs[1:])
    is_free = layer.precision in (None, DataType.FLOAT) and layer.device == DeviceType.CPU
    return is_float and is_known and is_free and len(layer.values["kernel_size_nd"]) == 2


def _expands(layer: GraphLayer) -> bool:
    values = layer.values
    is_single = all(n == 1 for name in ("kernel_size_nd", "stride_nd") for n in values[name] or ())
    is_padded = any(n for name in ("pre_padding", "post_padding") for n in values[name] or ())
    return _is_plain(layer) and is_single and not is_padded and values["num_groups"] == 1


def _is_depthwise(layer: GraphLayer) -> bool:
    x, kernel = layer.inputs[:2]
    if not _is_plain(layer) or x is None or kernel is None:
        return False
    return layer.values["num_groups"] == layer.values["num_output_maps"] and kernel.static_dims[1] == 1


def _function_of(program: Program | None) -> dict[str, Any] | None:
    """Fields of the op that say what a program computes: x * sigmoid(x), then limits; None if it is something else."""
    found: dict[str, Any] = {}
    value, steps = Operand(OperandKind.RESULT), list(program.steps) if program else []
    at = 0
    while at < len(steps):
        step, behind = steps[at], steps[at + 1] if at + 1 < len(steps) else None
        made = Operand(OperandKind.STEP, at)
        if step.operation == StepOperation["SIGMOID"] and step.operands == (value,) and behind and not found:
            if behind.operation != StepOperation["MUL"] or set(behind.operands) != {value, made}:
                return None
            found["silu"] = True
            at += 1
            made = Operand(OperandKind.STEP, at)
        elif step.operation in (StepOperation["MIN"], StepOperation["MAX"]) and value in step.operands:
            other = next((one for one in step.operands if one.kind == OperandKind.CONSTANT), None)
            if other is None or other.value != other.value:
                return None
            _limit(found, step.operation == StepOperation["MIN"], float(other.value))
        else:
            return None
        value, at = made, at + 1
    return found


def _limit(found: dict[str, Any], is_upper: bool, limit: float) -> None:
    """Limits of max(low, min(high, x)) behind one more step, as the steps in their order give them."""
    narrower = min if is_upper else max
    for name in ("low", "high"):
        if name in found or (name == "high") == is_upper:
            found[name] = narrower(found.get(name, limit), limit)

"""A 1x1 convolution and the depthwise convolution behind it become one step where that is measured to be faster.

The step makes some rows of the tensor between them at a time, which then need not be stored as a whole.
"""

from __future__ import annotations

from typing import Any

from dovetail.core.epilogue import Operand, OperandKind, Program, StepOperation
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, GraphLayer
from dovetail.machine.builder.joins import is_plain_convolution, is_pointwise_convolution, join, may_join, pairs
from dovetail.machine.builder.own_layers import layer_of_role

ROLE = "expanded depthwise convolution"


def join_convolutions(graph: Graph, build: Build) -> Graph:
    """Replace pairs of groups by one where it takes less time than the two take at least."""
    for block, first, second in pairs(graph) if may_join(build) else ():
        function = _function_of(first.program)
        if function is None or any(first.taken) or first.head.spec.role != "convolution":
            continue
        if not (is_pointwise_convolution(first.head) and _is_depthwise(second.head)):
            continue
        x, expansion, *expansion_bias = first.head.inputs
        _, kernel, *bias = second.head.inputs
        weights = [kernel, bias[0] if bias else None, expansion, expansion_bias[0] if expansion_bias else None]
        name, values = f"{first.name} + {second.head.name}", {**second.head.values, **function}
        head = layer_of_role(graph.lookup, ROLE, name, [x, *weights], second.head.outputs, second.head.device, **values)
        join(block, first, second, head, "two convolutions", graph, build)
    return graph


def _is_depthwise(layer: GraphLayer) -> bool:
    x, kernel = layer.inputs[:2]
    if not is_plain_convolution(layer) or x is None or kernel is None:
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

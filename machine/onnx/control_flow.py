"""Imports If, Loop, Scan and SequenceMap by layers: one branch, or the body once for each step, if these are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dovetail.core.errors import DovetailError
from dovetail.machine.onnx.errors import ErrorCode, ModelError
from dovetail.machine.onnx.limits import BudgetError
from dovetail.machine.onnx.node import Node, Value
from dovetail.machine.tensor import ITensor

CONTROL_FLOW = ("If", "Loop", "Scan", "SequenceMap")
BRANCHES = {True: "then_branch", False: "else_branch"}
LARGEST_EXTENT = 1 << 20  # assumed limit of extents that are not known
MOST_STEPS = 64  # a loop with more steps would make too many layers
Values = Sequence[Value | None]
Body = Callable[[str, Values], list[Value | None]]  # (attribute that holds the graph, its inputs) -> its outputs


def followed(node: Node, body: Body) -> list[Value | None]:
    """The outputs of the node. Raises ModelError where it is not known which way it goes."""
    return {"If": _branch, "Loop": _loop, "Scan": _scan, "SequenceMap": _map}[node.op_type](node, body)


def _unsupported(node: Node, reason: str, **facts: Any) -> Exception:
    return node.fail(f"{node.op_type} is not imported yet where {reason}", code=ErrorCode.UNSUPPORTED_NODE, **facts)


def _branch(node: Node, body: Body) -> list[Value | None]:
    """The branch that is taken; both and a selection where that is not known; or the one that unknown extents mean."""
    condition = node.constant(0)
    if condition is not None:
        if condition.size != 1:
            raise node.fail("its condition is not one element", condition=list(condition.shape))
        return body(BRANCHES[bool(condition.reshape(-1)[0])], [])
    n_layers = node.network.num_layers
    try:
        return _selected(node, body(BRANCHES[True], []), body(BRANCHES[False], []))
    except BudgetError:
        raise
    except (ModelError, DovetailError) as error:
        reason = error
    node.network._forget_behind(n_layers)
    meant = _meant(node[0])
    if meant is None:
        raise _unsupported(node, f"its condition is not known before it runs, and not both branches can be: {reason}")
    _assume(node, meant)
    return body(BRANCHES[meant], [])


def _selected(node: Node, *branches: list[Value | None]) -> list[Value | None]:
    """The outputs of one of two branches. Raises ModelError if their types or shapes differ."""
    condition = node.onnx("Reshape", [node[0], np.zeros(0, np.int64)])
    results: list[Value | None] = []
    for index, pair in enumerate(zip(*branches, strict=True)):
        if not all(isinstance(value, (ITensor, np.ndarray)) for value in pair):
            raise node.fail(f"output {index} is not a tensor in both branches")
        a, b = (value if isinstance(value, ITensor) else node.as_tensor(value) for value in pair)
        if a.dtype != b.dtype or not a.symbolic.dims.same(b.symbolic.dims):
            facts = {name: f"{x.dtype.name} {x.symbolic.dims}" for name, x in (("then", a), ("else", b))}
            raise node.fail(f"output {index} is not of one type and shape in both branches", **facts)
        results.append(node.onnx("Where", [condition, a, b]))
    return results


def _meant(condition: ITensor) -> bool | None:
    """The value of a condition on extents if all unknown ones are at least 2; None if that does not decide it."""
    elements = condition.symbolic.elements()
    if elements is None or len(elements) != 1:
        return None
    ranges = [
        [(2, LARGEST_EXTENT) if extent < 0 else (extent, extent) for extent in tensor.declared_shape]
        for tensor in condition._network._inputs
    ]
    try:
        low, high = elements[0].bounds(ranges)
    except (DovetailError, IndexError, TypeError):  # the contents of an input decide it too
        return None
    return None if low <= 0 <= high and low != high else low != 0


def _assume(node: Node, meant: bool) -> None:
    """Refuse extents that would take the other branch."""
    held = node[0] if meant else node.onnx("Not", [node[0]])
    text = (
        f"If '{node.name}' was imported with its {BRANCHES[meant]}, as extents of 2 and more mean, and these extents "
        "take the other"
    )
    node.network.add_assertion(held, text).infer()


def _loop(node: Node, body: Body) -> list[Value | None]:
    """Iterations up to the trip count, or until the condition is false."""
    trips = None if node.is_absent(0) else node.constant(0)
    if trips is None and not node.is_absent(0):
        raise _unknown(node, "trip count", node[0], "M")
    if trips is not None and trips.size != 1:
        raise node.fail("its trip count is not one element", trip_count=list(trips.shape))
    most = MOST_STEPS + 1 if trips is None else int(trips.reshape(-1)[0])
    condition: Value | None = np.array(True) if node.is_absent(1) else node.value(1)
    states: list[Value | None] = [node.value(index) for index in range(2, len(node))]
    n_states = len(states)
    collected: list[list[Value | None]] = []
    for step in range(most):
        known = node.contents(condition)
        if known is None:
            raise _unknown(node, f"condition before step {step}", condition, "cond")
        if not known.reshape(-1)[0]:
            break
        if step == MOST_STEPS:
            raise _unsupported(
                node,
                f"it takes more than {MOST_STEPS} steps",
                trip_count=most if trips is not None else "without a limit",
                hint="its steps are layers of the network, so write the body for all of them at once, as an operator "
                "on a further axis, or run the loop around the network",
            )
        condition, *results = body("body", [np.array(step, np.int64), known, *states])
        states = results[:n_states]
        collected.append(results[n_states:])
    if not collected and node.n_outputs > n_states:
        raise _unsupported(node, "it takes no step, and its outputs have no type")
    return states + [_stacked(node, list(values), 0) for values in zip(*collected, strict=True)]


def _unknown(node: Node, what: str, value: Any, name: str) -> Exception:
    """What decides the steps of a loop follows from extents that are not known yet, or from data."""
    elements = value.symbolic.elements() if isinstance(value, ITensor) else None
    if elements is None or len(elements) != 1:
        source, hint = "what the network computes", "run the loop around the network, with its body as the network"
    else:
        source = f"extents or contents of inputs, {elements[0]}"
        hint = (
            "write numbers into the model (onnx.tools.update_model_dims for extents, initializers for contents) or "
            "run the loop around the network, with its body as the network"
        )
    reason = f"its {what} (input '{name}') is not known when the network is built"
    return _unsupported(node, reason, follows_from=source, steps="must be known, they become layers", hint=hint)


def _scan(node: Node, body: Body) -> list[Value | None]:
    """One step for each slice of the scanned inputs."""
    if node.opset < 9:
        raise _unsupported(node, "it has a batch, as opset 8 has it")
    n_scanned = int(node.number("num_scan_inputs", 0))
    if not 1 <= n_scanned <= len(node):
        raise node.fail(
            "num_scan_inputs is not 1 to the number of its inputs", num_scan_inputs=n_scanned, inputs=len(node)
        )
    n_states = len(node) - n_scanned
    states: list[Value | None] = [node.value(index) for index in range(n_states)]
    given = _one_each(node, "scan_input_axes", n_scanned)
    axes = [_axis(node, axis, len(node[n_states + i].shape)) for i, axis in enumerate(given)]
    backwards = _one_each(node, "scan_input_directions", n_scanned)
    lengths = {node[n_states + i].shape[axis] for i, axis in enumerate(axes)}
    if len(lengths) != 1 or not 0 < min(lengths) <= MOST_STEPS:
        raise _unsupported(node, f"it does not take 1 to {MOST_STEPS} steps", steps=sorted(lengths))
    (length,) = lengths
    collected: list[list[Value | None]] = []
    for step in range(length):
        places = [length - 1 - step if back else step for back in backwards]
        slices = [
            node.network.add_gather(node[n_states + i], node.as_tensor(np.array(place)), axis).get_output(0)
            for i, (axis, place) in enumerate(zip(axes, places, strict=True))
        ]
        results = body("body", [*states, *slices])
        if len(results) < n_states:
            raise node.fail("its body has fewer outputs than states", outputs=len(results), states=n_states)
        states = results[:n_states]
        collected.append(results[n_states:])
    columns = [list(values) for values in zip(*collected, strict=True)]
    out_axes = _one_each(node, "scan_output_axes", len(columns))
    prepended = _one_each(node, "scan_output_directions", len(columns))
    return states + [
        _stacked(node, values[::-1] if back else values, axis)
        for values, axis, back in zip(columns, out_axes, prepended, strict=True)
    ]


def _one_each(node: Node, name: str, n: int) -> tuple[int, ...]:
    """An attribute with a number for each of n inputs or outputs, 0 where it is absent."""
    given = node.numbers(name) or (0,) * n
    if len(given) != n:
        raise node.fail(f"{name} has not one number for each that is scanned", **{name: list(given)}, scanned=n)
    if name.endswith("directions") and not set(given) <= {0, 1}:
        raise node.fail(f"{name} are 0 or 1", **{name: list(given)})
    return given


def _axis(node: Node, axis: int, rank: int) -> int:
    """The axis, counted from the front."""
    if not -rank <= axis < rank:
        raise node.fail(f"it cannot use axis {axis} of a tensor with {rank} dims")
    return axis % rank


def _map(node: Node, body: Body) -> list[Value | None]:
    """One step for each tensor of the sequences; inputs that are none are the same in all of them."""
    inputs = [node.sequence(0), *(node.value(index) for index in range(1, len(node)))]
    lengths = {len(value) for value in inputs if isinstance(value, tuple)}
    if len(lengths) != 1 or max(lengths) > MOST_STEPS:
        raise _unsupported(node, f"its sequences are not of one length, {MOST_STEPS} at most", lengths=sorted(lengths))
    (length,) = lengths
    steps = [
        body("body", [value[step] if isinstance(value, tuple) else value for value in inputs]) for step in range(length)
    ]
    return [tuple(results) for results in zip(*steps, strict=True)] if steps else [()] * node.n_outputs


def _stacked(node: Node, values: Sequence[Value | None], axis: int) -> Value:
    """Tensors side by side along a new axis."""
    tensors = [node.as_tensor(value) if isinstance(value, np.ndarray) else value for value in values]
    axis = _axis(node, axis, len(tensors[0].shape) + 1)
    tall = [node.network.add_unsqueeze(tensor, [axis]).get_output(0) for tensor in tensors]
    joined = node.network.add_concatenation(tall)
    joined.axis = axis
    return joined.get_output(0)

"""The bench for rows that absorb: each also runs with pointwise layers behind it, next to the reference in float64."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from dovetail.core.contract import OpSpec, Port
from dovetail.core.epilogue import Given, Program, extended
from dovetail.core.expr import DimsExprs
from dovetail.core.scalar import evaluate, parse
from dovetail.core.types import FLOATS, DataType, nptype
from dovetail.machine.builder.candidates import n_absorbed
from dovetail.machine.builder.graph import Candidate, GraphLayer, GraphTensor, LayerGroup

# What is put behind a layer, by name: formulas over the result `x`, `s` and `t` with one value for each channel, `g`
# with one for each channel of each image, `w` with one for each place on the last axis, `c` with one for all of a last
# axis, and `r`, as large as the result. None multiplies an error by more than 3.
EPILOGUES = {
    "activation": ("max(x, 0)",),
    "value used twice": ("x * sigmoid(x)",),
    "scale": ("x * along(s, 1) + along(t, 1)",),
    "residual": ("x + r",),
    "gate": ("x * g",),
    "scale, residual and activation": ("x * along(s, 1) + along(t, 1)", "x + r", "x if x >= 0 else 0.1 * x"),
    "bias on the last axis": ("x + w", "x + r", "max(x, 0)"),
    "value of each row": ("x * c", "x + w"),
    "residual first": ("r - x", "max(-1, min(x, 6))", "tanh(x)"),
    "residual and limits": ("x + r", "min(max(x, -0.5), 6)"),
    "residual, SiLU and limit": ("x + r", "x * sigmoid(x)", "min(x, 2)"),
    "SiLU and residual": ("x * sigmoid(x)", "x + r"),
    "limits of one side": ("r + x", "max(x, 0.25)"),
    "gelu": ("0.5 * x * (1 + erf(x * 0.70710678))",),
    "gelu by tanh": ("0.5 * x * (1 + tanh(0.79788456 * (x + 0.044715 * x * x * x)))",),
    "gelu by tanh and a power": ("0.5 * x * (1 + tanh(0.79788456 * (x + 0.044715 * x ** 3)))",),
    "hard swish": ("x * max(0, min(1, x / 6 + 0.5))",),
    "softplus": ("softplus(x) - r",),
    "elu": ("x if x >= 0 else 0.5 * expm1(x)",),
}
ALONG_LAST_AXIS = {"bias on the last axis", "value of each row"}  # what rows with channels do not absorb
GROWTH = 3
FEW = ("value used twice", "scale, residual and activation")  # of these, for results of more elements than MANY
MANY = 4096


class Behind:
    """A layer with an epilogue, and what its further tensors hold."""

    def __init__(self, layer: GraphLayer, formulas: Sequence[str]) -> None:
        self.formulas = formulas
        result = layer.outputs[0]
        dims = result.ranges[0][1]
        rng = np.random.default_rng(len(formulas))
        self.arrays: dict[str, np.ndarray] = {}
        program, tail, taken = Program(result.dtype), [], []
        made = result
        for number, formula in enumerate(formulas):
            names = [name for name in "strgwc" if name in _names(formula)]
            inputs: list[GraphTensor] = [made]
            for name in names:
                ones = (1,) * len(dims)
                shape = {"r": dims, "g": dims[:2] + ones[2:], "w": ones[1:] + dims[-1:], "c": (*dims[:-1], 1)}.get(
                    name, dims[1:2]
                )
                own = result.dtype if name in "rgwc" else DataType.FLOAT
                array = rng.uniform(-1.5, 1.5, shape).astype(np.float32).astype(nptype(own))
                self.arrays[name] = array
                inputs.append(
                    GraphTensor(name, DimsExprs(shape), own, [(shape,) * 3], None, None if name in "rgwc" else array)
                )
            spec = _spec(formula, names)
            given = [Given(t.dims, t.dtype, t.constant) for t in inputs]
            program, own_taken = extended(program, spec, {}, given, {0: number - 1}, result.dims, result.dtype)
            one = GraphLayer(f"behind {number}", spec, {}, None, list(inputs))  # type: ignore[arg-type]
            one.outputs = [GraphTensor(f"made {number}", result.dims, result.dtype, result.ranges, one)]
            tail.append(one)
            taken.append(own_taken)
            made = one.outputs[0]
        self.group = LayerGroup(layer, tail, program, taken)
        self.program = program.as_native()
        self._truths: list[tuple[np.ndarray, np.ndarray]] = []

    def is_absorbed(self, candidate: Candidate) -> bool:
        """Does the row compute all of it?"""
        return n_absorbed(self.group, candidate) == len(self.formulas)

    def operands(self) -> list[np.ndarray]:
        """Contents of the further tensors, in the dims in which the program reads them."""
        return [
            self.arrays[tensor.name] if tensor.constant is None else tensor.constant for tensor in self.group.operands
        ]

    def truth(self, result: np.ndarray) -> np.ndarray:
        """What the epilogue makes of an exact result, in its type; kept for the next row that is asked for it."""
        kept = next((made for exact, made in self._truths if exact is result), None)
        if kept is None:
            kept = self._made_of(result)
            self._truths.append((result, kept))
        return kept

    def _made_of(self, result: np.ndarray) -> np.ndarray:
        known = {name: array.astype(np.float32).astype(result.dtype) for name, array in self.arrays.items()}
        for formula in self.formulas:
            names = _names(formula)
            result = np.asarray(
                evaluate(parse(formula), {"x": result, **{n: a for n, a in known.items() if n in names}})
            ).astype(result.dtype)
        return result


@functools.cache
def _names(formula: str) -> frozenset[str]:
    words = "".join(c if c.isalnum() or c == "_" else " " for c in formula).split()
    return frozenset("xstrgwc").intersection(words)


def _spec(formula: str, names: Sequence[str]) -> OpSpec:
    ports = tuple(Port(name, FLOATS) for name in ("x", *names))
    return OpSpec("Behind", inputs=ports, outputs=(Port("y", like="x"),), scalar=formula)


def epilogues_for(layer: GraphLayer) -> dict[str, Behind]:
    """Those that a layer's result may have: it is a float with channels. Of a large one, two that use all there is."""
    if len(layer.outputs) != 1 or layer.outputs[0].dtype not in FLOATS or len(layer.outputs[0].dims) < 2:
        return {}
    is_large = int(np.prod(layer.outputs[0].ranges[0][1])) > MANY
    return {name: Behind(layer, formulas) for name, formulas in EPILOGUES.items() if name in FEW or not is_large}


def absorbs(candidate: Candidate) -> bool:
    declared = candidate.row.declared
    return declared is not None and declared.absorbs

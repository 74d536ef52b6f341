"""Epilogues: the pointwise layers that follow a layer, as a program over the elements of its result.

A layer may take the result and what several earlier layers give, as in y * sigmoid(y).

Scalar formulas are compiled to the steps of `dt_epilogue` (plugin.h). An implementation computes as many of them as it
can before it stores its result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from dovetail import _native
from dovetail.core.contract import OpSpec
from dovetail.core.errors import DefinitionError
from dovetail.core.expr import DimsExprs
from dovetail.core.scalar import Along, Apply, Name, Number, Term, resolved, terms_of
from dovetail.core.types import FLOATS, DataType

_OPERATIONS = [(name, value) for name, value, _, _ in _native.STEP_OPERATIONS]
StepOperation = IntEnum("StepOperation", _OPERATIONS)  # type: ignore[misc]
_BY_FORMULA = {formula: StepOperation(value) for _, value, _, formula in _native.STEP_OPERATIONS if formula}
_TYPES = (*FLOATS, DataType.BOOL)  # of operands: steps compute in float32


class OperandKind(IntEnum):
    """Where an operand of a step comes from; the values are those of DT_OPERAND_*."""

    RESULT = 0
    STEP = 1
    CONSTANT = 2
    TENSOR = 3


@dataclass(frozen=True)
class Operand:
    """`value` is a step, the number of a tensor, or a constant."""

    kind: OperandKind
    value: float | int = 0


@dataclass(frozen=True)
class Step:
    """One operation. `layer` numbers the absorbed layers, `dtype` is the type of that layer's output."""

    operation: IntEnum
    operands: tuple[Operand, ...]
    layer: int
    dtype: DataType


@dataclass(frozen=True)
class Program:
    """Steps over a result of `result_type`; the value of the last step is stored."""

    result_type: DataType
    steps: tuple[Step, ...] = ()
    n_tensors: tuple[int, ...] = ()  # of the program up to and including each layer

    @property
    def n_layers(self) -> int:
        return len(self.n_tensors)

    def first(self, n_layers: int) -> Program:
        """The program of its first layers."""
        return replace(
            self, steps=tuple(s for s in self.steps if s.layer < n_layers), n_tensors=self.n_tensors[:n_layers]
        )

    def retyped(self, result_type: DataType) -> Program:
        """The same over a result of another type, which the layers that gave the former type then give too."""
        if result_type == self.result_type:
            return self
        steps = (replace(s, dtype=result_type) if s.dtype == self.result_type else s for s in self.steps)
        return replace(self, result_type=result_type, steps=tuple(steps))

    def value_of(self, layer: int) -> Operand:
        """What absorbed layer number `layer` gives; -1 is the result."""
        if layer < 0:
            return Operand(OperandKind.RESULT)
        return Operand(OperandKind.STEP, max(n for n, step in enumerate(self.steps) if step.layer == layer))

    def layers_in(self, n_steps: int) -> int:
        """Number of whole layers in the first steps."""
        return self.n_layers if n_steps >= len(self.steps) else self.steps[n_steps].layer

    def as_native(self) -> tuple[int, list[list[Any]]]:
        """The form that the native side takes and that a plan stores."""
        steps = [
            [int(s.operation), s.layer, int(s.dtype), [[int(o.kind), o.value] for o in s.operands]] for s in self.steps
        ]
        return int(self.result_type), steps

    def __str__(self) -> str:
        return "; ".join(f"{s.operation.name} {', '.join(map(_shown, s.operands))}" for s in self.steps)


def _shown(operand: Operand) -> str:
    if operand.kind == OperandKind.RESULT:
        return "result"
    return (
        f"{operand.value:g}" if operand.kind == OperandKind.CONSTANT else f"{operand.kind.name.lower()} {operand.value}"
    )


@dataclass(frozen=True)
class Given:
    """An input of an absorbed layer: type, dims, and contents if they are known."""

    dims: DimsExprs
    dtype: DataType
    constant: Any = None


@dataclass(frozen=True)
class Taken:
    """An input that an absorbed layer takes as a tensor: its index among the inputs, and the dims it is read with.

    `dims` is None if the tensor has as many dims as the result; only a constant may be read with other dims.
    """

    index: int
    dims: tuple[int, ...] | None


class NotAbsorbed(Exception):
    """A layer cannot be part of an epilogue; the message says why."""


def extended(
    program: Program,
    spec: OpSpec,
    values: dict[str, Any],
    inputs: Sequence[Given | None],
    made: Mapping[int, int],
    result: DimsExprs,
    dtype: DataType,
) -> tuple[Program, list[Taken]]:
    """The program with one more layer, and those of the layer's inputs that become tensors of it, in order.

    Args:
        inputs: those of the layer.
        made: for each input that is a value of the program, the number of the absorbed layer that gives it; -1 is the
            result.
        result: dims of the result, and of the layer's output.
        dtype: type of the layer's output.

    Raises:
        NotAbsorbed: the layer has no formula, or does something that steps cannot express.
    """
    return _Compiler(program, spec, inputs, made, result, dtype).run(values)


class _Compiler:
    def __init__(
        self,
        program: Program,
        spec: OpSpec,
        inputs: Sequence[Given | None],
        made: Mapping[int, int],
        result: DimsExprs,
        dtype: DataType,
    ) -> None:
        self.program, self.spec, self.inputs, self.made = program, spec, inputs, made
        self.result, self.dtype = result, dtype
        self.steps = list(program.steps)
        self.taken: dict[tuple[str, int | None], tuple[Operand, Taken | None]] = {}
        self.known: dict[Term, Operand] = {}
        self.n_before = program.n_tensors[-1] if program.n_tensors else 0

    def run(self, values: dict[str, Any]) -> tuple[Program, list[Taken]]:
        ports = self.spec.inputs
        if self.spec.scalar is None:
            raise NotAbsorbed("has no scalar formula")
        if any(port.variadic for port in ports) or len(self.inputs) > len(ports):
            raise NotAbsorbed("takes any number of inputs")
        names = [p.name for p, t in zip(ports, self.inputs, strict=False) if t is not None and not p.checked]
        try:
            term = resolved(self.spec, values, names)
        except DefinitionError as error:
            raise NotAbsorbed(error.message) from None
        self._check_types(term, names)
        before = {tensor.dtype for index in self.made if (tensor := self.inputs[index]) is not None}
        operand = self.operand(term)
        is_converted = self.dtype not in before and self.dtype != DataType.BOOL
        if self.dtype == DataType.BOOL and not (isinstance(term, Apply) and term.function in _TRUTHS):
            is_converted = True
        if is_converted or len(self.steps) == len(self.program.steps):
            self.add(StepOperation["CAST"], (operand,))
        taken = [one for _, one in self.taken.values() if one is not None]
        counts = (*self.program.n_tensors, self.n_before + len(taken))
        if len(self.steps) > _native.MAX_EPILOGUE_STEPS:
            raise NotAbsorbed(f"is behind {len(self.program.steps)} steps; {_native.MAX_EPILOGUE_STEPS} are possible")
        return replace(self.program, steps=tuple(self.steps), n_tensors=counts), taken

    def _check_types(self, term: Term, names: Sequence[str]) -> None:
        used = {one.name for one in terms_of(term) if isinstance(one, (Name, Along))}
        if not any(self.spec.inputs[index].name in used for index in self.made):
            raise NotAbsorbed("does not use the result")
        for index, (port, tensor) in enumerate(zip(self.spec.inputs, self.inputs, strict=False)):
            if tensor is None or port.name not in names:
                continue
            if port.name not in used and tensor.constant is None:
                raise NotAbsorbed(f"takes '{port.name}', which its formula does not use")
            is_rounded = tensor.dtype == DataType.INT8 and self.made.get(index, -1) >= 0  # by an earlier layer
            if port.name in used and tensor.dtype not in _TYPES and not is_rounded:
                raise NotAbsorbed(f"takes {tensor.dtype.name} as '{port.name}'; epilogues compute on floats")
        if self.dtype not in (*_TYPES, DataType.INT8):
            raise NotAbsorbed(f"gives {self.dtype.name}; epilogues give floats, INT8 and BOOL")

    def add(self, operation: IntEnum, operands: tuple[Operand, ...]) -> Operand:
        self.steps.append(Step(operation, operands, self.program.n_layers, self.dtype))
        return Operand(OperandKind.STEP, len(self.steps) - 1)

    def operand(self, term: Term) -> Operand:
        if term not in self.known:
            self.known[term] = self._operand(term)
        return self.known[term]

    def _operand(self, term: Term) -> Operand:
        if isinstance(term, Number):
            return Operand(OperandKind.CONSTANT, float(term.value))
        if isinstance(term, (Name, Along)):
            index = [port.name for port in self.spec.inputs].index(term.name)
            if index in self.made:
                if isinstance(term, Along):
                    raise NotAbsorbed("lays the result along an axis")
                return self.program.value_of(self.made[index])
            axis = term.axis if isinstance(term, Along) else None
            return self.tensor(index, int(axis.value) if isinstance(axis, Number) else None)
        assert isinstance(term, Apply)
        if term.function not in _BY_FORMULA:
            raise NotAbsorbed(f"computes '{term.function}', which epilogues do not")
        return self.add(_BY_FORMULA[term.function], tuple(self.operand(one) for one in term.arguments))

    def tensor(self, index: int, axis: int | None) -> Operand:
        """An input that is not the result: a constant if it has one value, else a tensor of the program."""
        name, tensor = self.spec.inputs[index].name, self.inputs[index]
        assert tensor is not None
        key = (name, axis)
        if key in self.taken:
            return self.taken[key][0]
        if tensor.constant is not None and tensor.constant.size == 1:
            value = float(tensor.constant.reshape(-1)[0])
            self.taken[key] = Operand(OperandKind.CONSTANT, value), None
            return self.taken[key][0]
        if any(known == name for known, _ in self.taken):
            raise NotAbsorbed(f"lays '{name}' along axes in two ways")
        dims = self._dims_of(name, tensor, axis)
        number = self.n_before + sum(one is not None for _, one in self.taken.values())
        self.taken[key] = Operand(OperandKind.TENSOR, number), Taken(index, dims)
        return self.taken[key][0]

    def _dims_of(self, name: str, tensor: Given, axis: int | None) -> tuple[int, ...] | None:
        rank = len(self.result)
        if axis is None:
            own = tuple(tensor.dims)
            if len(own) < rank and tensor.constant is not None:
                return (1,) * (rank - len(own)) + tuple(int(extent) for extent in tensor.constant.shape)
            if len(own) != rank:
                raise NotAbsorbed(f"takes '{name}' with {len(own)} dims, the result has {rank}")
            for extent, of_result in zip(own, self.result, strict=True):
                if not extent.same(1) and not extent.same(of_result):
                    raise NotAbsorbed(f"takes '{name}' {tensor.dims}, which is not repeated over {self.result}")
            return None
        if tensor.constant is None:
            raise NotAbsorbed(f"lays '{name}' along an axis, which is not a constant")
        axis %= rank
        volume, extent = tensor.constant.size, self.result[axis]
        if extent.same(volume):
            return (1,) * axis + (volume,) + (1,) * (rank - axis - 1)
        behind = [one.value for one in self.result[axis:] if one.value is not None]
        if len(behind) != rank - axis:
            raise NotAbsorbed(f"lays {volume} values of '{name}' over {self.result}, whose extents are not known")
        return (1,) * axis + tuple(behind)


_TRUTHS = {"==", "!=", "<", "<=", ">", ">=", "and", "or", "not"}

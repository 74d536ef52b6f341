"""Scalar formulas of pointwise ops: parsed, evaluated, and compared with the op's reference.

    scalar = "choice(type, RELU=max(x, 0), LEAKY_RELU=x if x >= 0 else alpha * x)"

A formula computes one element of the output. Its terms are

    x, slopes        inputs, by name. Their extents are repeated as NumPy does
    along(p, axis)   values of the input p, of which there are one, one for each extent of `axis`, or one for each
                     element of the axes from it on; `axis` is a whole number or a field and counts from the end if
                     negative. This is how per-channel parameters are written
    alpha            fields of one number
    choice(type, NAME=term, ...)   one term for each member of an enumeration that the field takes
    1.5, inf, nan    numbers
    operators        + - * / // % ** & | ^ << >>, comparisons, and or not, a if condition else b
    functions        those of `dovetail.core.functions`: min max abs exp log tanh sigmoid ...

An optional input that is absent drops the operation in which it is one of two operands: `x * scale + shift` is `x`
without both. The result is converted to the type of the output as Cast converts.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import numpy

from dovetail.core.contract import OpSpec
from dovetail.core.errors import DefinitionError
from dovetail.core.functions import FUNCTIONS, NUMBERS, converted
from dovetail.core.types import FieldType, from_numpy


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float | int


@dataclass(frozen=True)
class Name:
    """An input or a field."""

    name: str


@dataclass(frozen=True)
class Along:
    """An input whose values run along an axis of the output and those after it."""

    name: str
    axis: Number | Name


@dataclass(frozen=True)
class Apply:
    """A function or an operator of terms."""

    function: str
    arguments: tuple[Term, ...]


@dataclass(frozen=True)
class Choice:
    """A term chosen by a field."""

    field: str
    terms: tuple[tuple[str, Term], ...]


Term = Number | Name | Along | Apply | Choice

_OPERATORS: dict[type, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.And: "and",
    ast.Or: "or",
    ast.Not: "not",
    ast.USub: "negative",
}


_CALLED = sorted(name for name in FUNCTIONS if name.isalnum() and name not in {*_OPERATORS.values(), "if"})


@lru_cache(maxsize=512)
def parse(text: str) -> Term:
    """Parses a formula into a term.

    Raises:
        DefinitionError: something that formulas cannot contain, with the part of the formula.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise DefinitionError(
            f"the scalar formula {text!r} cannot be parsed", facts=[("reason", getattr(error, "msg", str(error)))]
        ) from None
    return _Parser(text.strip()).term(tree.body)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text

    def refuse(self, node: ast.AST, reason: str, hint: str = "") -> NoReturn:
        part = ast.get_source_segment(self.text, node) or self.text
        raise DefinitionError(
            f"a scalar formula cannot hold `{part}`", facts=[("reason", reason), ("formula", self.text)], hint=hint
        )

    def term(self, node: ast.expr) -> Term:
        if isinstance(node, ast.Constant):
            if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
                return Number(node.value)
            self.refuse(node, f"a {type(node.value).__name__}; terms are numbers, inputs and fields")
        if isinstance(node, ast.Name):
            return Number(NUMBERS[node.id]) if node.id in NUMBERS else Name(node.id)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return self.apply(_OPERATORS[type(node.op)], node.left, node.right)
        if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
            inner = self.term(node.operand)
            if isinstance(inner, Number) and isinstance(node.op, ast.USub):
                return Number(-inner.value)
            return Apply(_OPERATORS[type(node.op)], (inner,))
        if isinstance(node, ast.BoolOp):
            found = self.term(node.values[0])
            for value in node.values[1:]:
                found = Apply(_OPERATORS[type(node.op)], (found, self.term(value)))
            return found
        if isinstance(node, ast.Compare):
            if len(node.ops) != 1 or type(node.ops[0]) not in _OPERATORS:
                self.refuse(node, "comparisons are == != < <= > >= of two terms", "Write a < b and b < c.")
            return self.apply(_OPERATORS[type(node.ops[0])], node.left, node.comparators[0])
        if isinstance(node, ast.IfExp):
            return self.apply("if", node.test, node.body, node.orelse)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self.call(node, node.func.id)
        self.refuse(node, f"{type(node).__name__} is not a term", "See dovetail.core.scalar for what terms are.")

    def apply(self, function: str, *nodes: ast.expr) -> Apply:
        return Apply(function, tuple(self.term(node) for node in nodes))

    def call(self, node: ast.Call, name: str) -> Term:
        if name == "choice":
            return self.choice(node)
        if node.keywords:
            self.refuse(node, f"{name} takes no keywords")
        if name == "along":
            terms = [self.term(argument) for argument in node.args]
            if len(terms) != 2 or not isinstance(terms[0], Name) or not isinstance(terms[1], (Name, Number)):
                self.refuse(node, "along takes an input and an axis: a whole number or a field")
            if isinstance(terms[1], Number) and not isinstance(terms[1].value, int):
                self.refuse(node, f"an axis is a whole number, not {terms[1].value}")
            return Along(terms[0].name, terms[1])
        if name not in FUNCTIONS or not name.isalnum() or name in ("if", "and", "or", "not", "negative"):
            known = ", ".join(
                sorted(n for n in FUNCTIONS if n.isalnum() and n not in _OPERATORS.values() and n != "if")
            )
            self.refuse(node, f"there is no function {name}", f"There are {known}, along and choice.")
        wanted = FUNCTIONS[name].n_arguments
        if len(node.args) != wanted:
            self.refuse(node, f"{name} takes {wanted} argument{'s' * (wanted > 1)}, got {len(node.args)}")
        return self.apply(name, *node.args)

    def choice(self, node: ast.Call) -> Choice:
        if len(node.args) != 1 or not isinstance(node.args[0], ast.Name) or not node.keywords:
            self.refuse(node, "choice takes a field, and NAME=term for each of its members")
        return Choice(node.args[0].id, tuple((str(k.arg), self.term(k.value)) for k in node.keywords))


def checked(spec: OpSpec) -> Term | None:
    """The formula of a spec; None if it has none. What was checked once is kept in the spec.

    Raises:
        DefinitionError: it cannot be parsed, or uses a name that the spec does not have; with the line of the spec.
    """
    if spec.scalar is None:
        return None
    kept = vars(spec)  # which a frozen dataclass lets nobody assign to
    if "checked_formula" not in kept:
        kept["checked_formula"] = _newly_checked(spec)
    return kept["checked_formula"]  # type: ignore[no-any-return]


def _newly_checked(spec: OpSpec) -> Term:
    try:
        term = parse(spec.scalar) if isinstance(spec.scalar, str) else None
        if term is None:
            raise DefinitionError(f"a scalar formula is a str, not {type(spec.scalar).__name__}")
        _check_names(term, spec)
    except DefinitionError as error:
        error.facts.append(("defined at", f"{spec.where}, {spec.id}"))
        raise
    return term


def _check_names(term: Term, spec: OpSpec) -> None:
    inputs = [port.name for port in spec.inputs]
    facts = [
        ("inputs", ", ".join(inputs) or "none"),
        ("fields", ", ".join(f.name for f in spec.fields) or "none"),
        ("formula", spec.scalar),
    ]

    def refuse(what: str, hint: str = "") -> NoReturn:
        raise DefinitionError(f"the scalar formula of {spec.name} {what}", facts=facts, hint=hint)

    def check_field(name: str) -> None:
        field = spec.field_named(name)
        if field is None:
            refuse(f"names '{name}', which is neither an input nor a field")
        elif not field.is_scalar or field.wire in (FieldType.CHAR, FieldType.TENSOR, FieldType.UNKNOWN, FieldType.DIMS):
            refuse(f"names the field '{name}', which is not one number but {field.type_name}")

    if len(spec.outputs) != 1:
        refuse(f"gives one output, the op has {len(spec.outputs)}", "Leave `scalar` out.")
    for one in terms_of(term):
        if isinstance(one, Name) and one.name not in inputs:
            check_field(one.name)
        if isinstance(one, Along):
            if one.name not in inputs:
                refuse(f"lays '{one.name}' along an axis, which is not an input")
            if isinstance(one.axis, Name):
                check_field(one.axis.name)
        if isinstance(one, Choice):
            field = spec.field_named(one.field)
            if field is None or field.enum is None:
                refuse(f"chooses by '{one.field}', which is not a field with an enumeration")
            members, given = [m.name for m in field.enum], [name for name, _ in one.terms]
            if sorted(members) != sorted(given):
                missing = [n for n in members if n not in given] or [n for n in given if n not in members]
                refuse(f"chooses by '{one.field}' among other members than {field.enum.__name__} has: {missing[0]}")


def terms_of(term: Term) -> list[Term]:
    """A term and all those inside it, outer ones first."""
    found, left = [], [term]
    while left:
        one = left.pop()
        found.append(one)
        if isinstance(one, Apply):
            left += one.arguments
        elif isinstance(one, Choice):
            left += [inner for _, inner in one.terms]
    return found


def resolved(spec: OpSpec, values: Mapping[str, Any], present: Sequence[str]) -> Term:
    """The formula of a layer: field values filled in, choices made, absent inputs dropped, numbers folded.

    Raises:
        DefinitionError: an absent input drops more than an operation of two operands.
    """
    term = checked(spec)
    if term is None:
        raise DefinitionError(f"{spec.id} has no scalar formula")
    inputs = {port.name for port in spec.inputs}

    def refuse_absence() -> NoReturn:
        absent = ", ".join(sorted(inputs - set(present)))
        raise DefinitionError(
            f"the scalar formula of {spec.id} needs an input that is absent",
            facts=[("absent", absent), ("formula", spec.scalar)],
            hint="An absent input drops an operation of two operands, such as x * scale.",
        )

    def walk(one: Term) -> Term | None:
        if isinstance(one, Number):
            return one
        if isinstance(one, Choice):
            chosen = values[one.field]
            name = getattr(chosen, "name", None) or spec.field_named(one.field).enum(chosen).name  # type: ignore[union-attr, misc]
            return walk(dict(one.terms)[name])
        if isinstance(one, Along):
            if one.name not in present:
                return None
            axis = one.axis.value if isinstance(one.axis, Number) else operator.index(values[one.axis.name])
            return Along(one.name, Number(axis))
        if isinstance(one, Name):
            if one.name in inputs:
                return one if one.name in present else None
            return Number(_plain(values[one.name]))
        arguments = [walk(argument) for argument in one.arguments]
        there = [argument for argument in arguments if argument is not None]
        if len(there) != len(arguments):
            if len(arguments) == 2 and there:
                return there[0]
            return None if not there else refuse_absence()
        if all(isinstance(argument, Number) for argument in there):
            with numpy.errstate(all="ignore"):
                result = FUNCTIONS[one.function].of(*(numpy.asarray(n.value) for n in there))  # type: ignore[union-attr]
            return Number(_plain(result))
        return Apply(one.function, tuple(there))

    found = walk(term)
    return refuse_absence() if found is None else found


def _plain(value: Any) -> int | float:
    """A Python number; True is 1."""
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, int) else float(value)


def evaluate(term: Term, arrays: Mapping[str, Any]) -> Any:
    """The result of a resolved formula in NumPy; its type follows from those of the operands."""
    laid = {one.name for one in terms_of(term) if isinstance(one, Along)}
    shape = numpy.broadcast_shapes(*(array.shape for name, array in arrays.items() if name not in laid))
    kind = next((array for array in arrays.values() if array.dtype.kind != "b"), numpy.zeros(()))
    known: dict[Term, Any] = {}

    def walk(one: Term) -> Any:
        if one not in known:
            known[one] = value_of(one)
        return known[one]

    def value_of(one: Term) -> Any:
        if isinstance(one, Name):
            return arrays[one.name]
        if isinstance(one, Along):
            return spread(arrays[one.name], shape, int(one.axis.value))  # type: ignore[union-attr]
        if isinstance(one, Number):
            return _number_like(one.value, kind)
        assert isinstance(one, Apply), "choices are taken when a formula is resolved"
        return numpy.asarray(FUNCTIONS[one.function].of(*_operands(one, walk)))

    with numpy.errstate(all="ignore"):
        return walk(term)


def _operands(term: Apply, walk: Callable[[Term], Any]) -> list[Any]:
    """The arguments; numbers among them are converted to the type of the other operand."""
    operands = [walk(argument) for argument in term.arguments]
    combined = range(1 if term.function == "if" else 0, len(operands))
    numbers = [i for i in combined if isinstance(term.arguments[i], Number)]
    like = next((operands[i] for i in combined if i not in numbers), None)
    for i in numbers if like is not None else ():
        operands[i] = _number_like(term.arguments[i].value, like)  # type: ignore[union-attr]
    return operands


def _number_like(value: float | int, array: Any) -> Any:
    """A number of a formula in the type of the other operand, if that type can hold it."""
    if array.dtype.kind in "iu" and math.isfinite(value) and value == int(value):
        return numpy.asarray(int(value), array.dtype)
    if array.dtype.kind == "b" and value in (0, 1):
        return numpy.asarray(bool(value))
    return numpy.asarray(value, numpy.float64 if array.dtype.kind in "iub" else array.dtype)


def spread(values: Any, shape: Sequence[int], axis: int) -> Any:
    """The values for `axis` of `shape` and later axes, in dims that NumPy broadcasts: one, one per extent, or all."""
    if values.size == 1:
        return values.reshape(())
    axis %= len(shape)
    if values.size == shape[axis]:
        return values.reshape((-1,) + (1,) * (len(shape) - axis - 1))
    return values.reshape(tuple(shape[axis:]))


def reference_by_formula(spec: OpSpec, values: Mapping[str, Any], arrays: Sequence[Any]) -> Any:
    """The result of an op that has a formula and no reference; None is an absent input."""
    given = {p.name: a for p, a in zip(spec.inputs, arrays, strict=False) if a is not None}
    return evaluate(resolved(spec, values, tuple(given)), given)


# ---- the proof

_SPECIAL = (0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, -1.5, 2.5, 3, -7, 88, -88, 127.5, -128.5, 1e-30, -1e-30, 1e30, -1e30)
_SPECIAL_FLOATS = (*_SPECIAL, math.inf, -math.inf, math.nan)
_N_TRIALS = 8
_MANY = 1 << 14  # with this many elements, one pass of random and one of special values are enough
_RELATIVE, _ABSOLUTE = 1e-9, 1e-12  # of float64: far below float32, above the rounding of two ways to compute one thing


def prove(spec: OpSpec, values: Mapping[str, Any], arrays: Sequence[Any]) -> None:
    """Compare the formula with the reference, on these arrays and on random and special values of their shapes.

    Each choice that the formula makes by an enumeration is tried with every member that the op takes with these
    inputs. Floats are computed in float64; in float32 where the output is of integers, since that decides a tie.

    Raises:
        DefinitionError: they differ, with the element and both results.
    """
    term = checked(spec)
    if term is None or spec.reference is None or getattr(spec.reference, "is_by_formula", False):
        return
    given = [(i, a) for i, a in enumerate(arrays) if a is not None and not spec.inputs[i].checked]
    n_trials = 2 if max((array.size for _, array in given), default=0) > _MANY else _N_TRIALS
    for one in _choices(spec, term, values):
        is_own = all(one[name] == values[name] for name in values)
        for seed in range(n_trials):
            filled = list(arrays)
            for i, array in given:
                filled[i] = _trial(array, seed + i if seed else 0, is_own and seed == 0)
            try:
                _compare(spec, one, filled)
            except DefinitionError:
                raise
            except Exception:
                if is_own:
                    raise
                break  # these inputs do not fit this choice


def _choices(spec: OpSpec, term: Term, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The field values, and the same with each other member of the fields that the formula chooses by."""
    found = [dict(values)]
    for name in {one.field for one in terms_of(term) if isinstance(one, Choice)}:
        members = spec.field_named(name).enum  # type: ignore[union-attr]
        found += [{**values, name: member} for member in members if member != values[name]]  # type: ignore[union-attr]
    return found


def _trial(array: Any, seed: int, is_own: bool) -> Any:
    """An array of this shape, in a wider type: with the given values, random ones, or special ones."""
    kind = array.dtype.kind
    is_float = kind == "f" or array.dtype.name in ("bfloat16", "float8_e4m3fn")
    if is_own:
        return array.astype(numpy.float32).astype(numpy.float64) if is_float else array
    rng = numpy.random.default_rng(seed)
    if is_float:
        picked = rng.choice(_SPECIAL_FLOATS, array.shape) if seed % 2 else rng.normal(0, 10, array.shape)
        return numpy.asarray(picked, numpy.float32).astype(numpy.float64)
    if kind == "b":
        return rng.integers(0, 2, array.shape).astype(bool)
    limits = numpy.iinfo(array.dtype)
    special = [v for v in (0, 1, -1, 2, -2, 3, 7, 31, limits.min, limits.max) if limits.min <= v <= limits.max]
    return numpy.asarray(rng.choice(special, array.shape)).astype(array.dtype)


def _compare(spec: OpSpec, values: Mapping[str, Any], arrays: Sequence[Any]) -> None:
    with numpy.errstate(all="ignore"):
        wanted = numpy.asarray(spec.reference(values, *arrays))  # type: ignore[misc]
        if wanted.dtype.kind in "iu":
            arrays = [a.astype(numpy.float32) if a is not None and a.dtype.kind == "f" else a for a in arrays]
            wanted = numpy.asarray(spec.reference(values, *arrays))  # type: ignore[misc]
    got = _as_stored(reference_by_formula(spec, values, arrays), wanted.dtype)
    if got.shape != wanted.shape:
        got = numpy.broadcast_to(got, wanted.shape)
    differs = _differs(got, wanted)
    if not differs.any():
        return
    place = tuple(int(i) for i in numpy.argwhere(differs)[0])
    names = [(p.name, a) for p, a in zip(spec.inputs, arrays, strict=False) if a is not None]
    shown = ", ".join(f"{name} {_at(array, place, wanted.shape)}" for name, array in names)
    fields = ", ".join(f"{f.name} {getattr(values[f.name], 'name', values[f.name])}" for f in spec.fields)
    raise DefinitionError(
        f"the scalar formula of {spec.id} is not what its reference computes",
        facts=[
            ("formula", spec.scalar),
            ("fields", fields or "none"),
            (f"inputs at {list(place)}", shown),
            ("formula gives", got[place]),
            ("reference gives", wanted[place]),
            ("elements that differ", f"{int(differs.sum())} of {differs.size}"),
            ("defined at", spec.where),
        ],
        hint="Correct one of them; layers are fused by the formula.",
        op=spec.id,
        expected=wanted[place],
        got=got[place],
    )


def _as_stored(array: Any, dtype: Any) -> Any:
    if dtype.kind in "iu" and array.dtype.kind == "f":
        return converted(array, from_numpy(dtype))
    return array.astype(dtype)


def _differs(got: Any, wanted: Any) -> Any:
    if wanted.dtype.kind != "f":
        return got != wanted
    same = (got == wanted) | (numpy.isnan(got) & numpy.isnan(wanted))
    with numpy.errstate(all="ignore"):
        near = numpy.abs(got - wanted) <= _RELATIVE * numpy.abs(wanted) + _ABSOLUTE
    return ~(same | (near & numpy.isfinite(wanted)))


def _at(array: Any, place: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """The element of an input for an element of the output; per-channel values are shown whole if few."""
    try:
        return f"{numpy.broadcast_to(array, shape)[place]:g}"
    except (ValueError, TypeError):
        return numpy.array2string(array.reshape(-1), threshold=8, precision=6)

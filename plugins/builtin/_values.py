"""Contents of small integer tensors as expressions, so that layers can compute extents for other layers.

A layer whose result may be a shape ends its `infer` with `follow` or `follow_each`. Where the contents of every input
follow from constants and extents (`SymbolicTensor.elements`), those of the output then do too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy

from dovetail.core.contract import MAX_ELEMENTS
from dovetail.core.errors import ShapeError
from dovetail.core.expr import as_expr, maximum, minimum, require, select
from dovetail.core.scalar import Apply, Name, Number, resolved, terms_of
from dovetail.core.types import DataType, Rounding
from dovetail.plugins.builtin._fractions import NotFollowed, Ratio, constant, follow_answers, follow_ratios

INTEGERS = (DataType.INT32, DataType.INT64, DataType.INT8, DataType.UINT8, DataType.BOOL)


def contents(tensor):
    """The elements of an integer tensor as an array of expressions in its dims; None where they are not known."""
    elements = None if tensor is None else tensor.elements()
    if elements is None or not tensor.dims.is_constant:
        return None
    array = numpy.empty(len(elements), dtype=object)
    array[:] = elements
    return array.reshape([d.value for d in tensor.dims])


def follow(output, function, *inputs):
    """`output` with its contents, function(*arrays of expressions), if those of all inputs are known; else as it is.

    The function may move elements and use + - * // %; numpy.maximum and the like do not know expressions, and
    comparisons want dtype=object. More than MAX_ELEMENTS are data, and are not followed.
    """
    if output.dtype == DataType.FLOAT:
        return follow_ratios(output, function, *inputs)
    if output.dtype not in INTEGERS or not output.dims.is_constant or output.dims.volume.value > MAX_ELEMENTS:
        return output
    arrays = [contents(tensor) for tensor in inputs]
    if any(array is None for array in arrays):
        return output
    try:
        result = numpy.asarray(function(*arrays), dtype=object).reshape(-1)
    except NotFollowed:
        return output
    return replace(output, values=tuple(as_expr(element) for element in result))


def follow_each(output, function, *inputs):
    """The same with a function of single elements; extents of 1 are repeated: follow_each(y, minimum, a, b)."""
    followed = follow(output, numpy.frompyfunc(function, len(inputs), 1), *inputs)
    if output.dtype != DataType.INT32 or followed.values is None:
        return followed
    return replace(followed, values=tuple(fitting(output.dtype, element) for element in followed.values))


def fitting(dtype, element):
    """An integer that a layer computes with extents, which its type is required to hold: expressions are of 64 bits.

    Not what follows from elements of inputs: they would become shapes, whether or not they decide extents.
    """
    element = as_expr(element)
    least, most = -(2**31), 2**31 - 1
    low, high = element.range
    if dtype != DataType.INT32 or (least <= low and high <= most) or element.late or element.leaf is not None:
        return element
    text = f"the model computes {element} in int32, which does not hold it"
    require(element <= most, text)
    if low < least:
        require(element >= least, text)
    return element


def _quotient(a, b):
    divisor = select(b == 0, 1, b)
    whole = maximum(a, -a) // maximum(divisor, -divisor)
    return select(b == 0, 0, select((a < 0) == (divisor < 0), whole, -whole))


def _power(a, b):
    """By small powers that are known."""
    exponent = as_expr(b).value
    if exponent is None or not 0 <= exponent <= 8:
        raise NotFollowed
    power = as_expr(a**exponent if exponent else 1)
    if exponent > 3 and not power.late:  # which is computed in float64
        text = f"the model computes {power} in float64, whose 53 binary digits do not hold it"
        require(power <= 2**53, text)
    return power


# What the functions of scalar formulas are of extents, as `core.functions` says what they are of arrays. Those that are
# not here are not followed.
OF_EXTENTS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _quotient,
    "//": lambda a, b: select(b == 0, 0, a // select(b == 0, 1, b)),
    "%": lambda a, b: select(b == 0, 0, a - a // select(b == 0, 1, b) * b),
    "fmod": lambda a, b: select(b == 0, 0, a - _quotient(a, b) * b),
    "**": _power,
    "max": maximum,
    "min": minimum,
    "and": lambda a, b: a * b,
    "or": maximum,
    "not": lambda a: a == 0,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "abs": lambda a: maximum(a, -a),
    "negative": lambda a: -a,
    "sign": lambda a: (a > 0) - (a < 0),
    "if": select,
}
# The same of float32 numbers that follow from extents.
OF_RATIOS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: (a / b).rounded(Rounding.DOWN),
    "max": lambda a, b: a.greatest(b),
    "min": lambda a, b: a.least(b),
    "abs": lambda a: a.greatest(-a),
    "negative": lambda a: -a,
    "floor": lambda a: a.rounded(Rounding.DOWN),
    "ceil": lambda a: a.rounded(Rounding.UP),
    "round": lambda a: a.rounded(Rounding.TO_EVEN),
    "==": lambda a, b: Ratio(a.equals(b)),
    "<": lambda a, b: Ratio(a.is_less(b)),
    ">": lambda a, b: Ratio(b.is_less(a)),
    "if": lambda condition, a, b: a.chosen(b, condition.over),
}


def follow_formula(output, plugin, *inputs):
    """The same with the scalar formula of a plugin, where it is followed."""
    spec = plugin.dovetail_spec
    names = [port.name for port in spec.inputs]
    term = resolved(spec, {f.name: getattr(plugin, f.name) for f in spec.fields}, names)
    is_float = any(tensor.dtype == DataType.FLOAT for tensor in inputs)
    functions = OF_RATIOS if is_float else OF_EXTENTS
    parts = terms_of(term)
    if any(isinstance(one, Apply) and one.function not in functions for one in parts):
        return output

    def of_elements(*elements):
        def walk(one):
            if isinstance(one, Number):
                return _constant(one.value) if is_float else one.value
            if isinstance(one, Name):
                return elements[names.index(one.name)]
            return functions[one.function](*map(walk, one.arguments))

        return walk(term)

    if is_float and output.dtype == DataType.BOOL:
        return follow_answers(output, of_elements, *inputs)
    return follow_each(output, of_elements, *inputs)


def _constant(value):
    number = constant(value)
    if number is None:
        raise NotFollowed
    return number


def elements_of(label, name, tensor):
    """The contents of a tensor that is taken as a shape, as a list of expressions.

    Raises:
        ShapeError: they are data; or the tensor has another rank than 1. Naming layer and input.
    """
    if tensor.rank != 1:
        raise ShapeError(
            f"{label} cannot take '{name}' with {tensor.rank} dims",
            facts=[(name, f"{tensor.dims}, tensor '{tensor.name}'"), ("rule", "1 dim, one element for each axis")],
            expected=1,
            got=tensor.rank,
        )
    elements = tensor.elements()
    if elements is None:
        raise ShapeError(
            f"{label} cannot tell the contents of its input '{name}' while the network is built",
            facts=[(name, f"{tensor.dtype.name} {tensor.dims}, tensor '{tensor.name}'")],
            hint="They must follow from constants and extents: Constant, Shape, and layers that compute on integers or "
            "on FLOAT, not on HALF or BF16.",
            field=name,
        )
    return list(elements)

"""Contents of small integer tensors as expressions: how extents that are computed on reach the layers that take them.

A layer whose result may be a shape ends its `infer` with `follow` or `follow_each`. Where the contents of every input
follow from constants and extents (`SymbolicTensor.elements`), those of the output then do too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy

from dovetail.core.contract import MAX_ELEMENTS
from dovetail.core.errors import ShapeError
from dovetail.core.expr import as_expr
from dovetail.core.types import DataType
from dovetail.plugins.builtin._fractions import follow_ratios

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
    result = numpy.asarray(function(*arrays), dtype=object).reshape(-1)
    return replace(output, values=tuple(as_expr(element) for element in result))


def follow_each(output, function, *inputs):
    """The same with a function of single elements; extents of 1 are repeated: follow_each(y, minimum, a, b)."""
    return follow(output, numpy.frompyfunc(function, len(inputs), 1), *inputs)


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
            hint="They must follow from constants and extents: Constant, Shape, and layers that compute on integers.",
            field=name,
        )
    return list(elements)

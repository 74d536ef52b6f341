"""Layers that sum products of integers of 8 bits: types, what becomes of a sum, and numpy's formula of it."""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.core.errors import DTypeError, FieldValueError, ShapeError
from dovetail.core.types import DataType, nptype
from dovetail.plugins import all_equal, require_that

BYTES = (DataType.INT8, DataType.UINT8)
RESULTS = (DataType.INT32, DataType.FLOAT, *BYTES)
LIMITS = {DataType.INT8: (-128, 127), DataType.UINT8: (0, 255)}


def finish_rows(inputs: str) -> tuple[str, ...]:
    """Rows of types, one for each type of y: of inputs with {factor}, {bias} and {y_zero} among them."""
    n = inputs.split(" ")[0].count("|") + 1

    def row(y: str, bias: str, zero: str) -> str:
        words = {"factor": "f32", "bias": bias, "y_zero": zero}
        given = inputs.format(**{name: "|".join([word] * n) for name, word in words.items()})
        return f"{given} -> {'|'.join([y] * n)}"

    return (row("i32", "i32", "u8"), row("f32", "f32", "u8"), row("i8", "i32", "i8"), row("u8", "i32", "u8"))


def check_finish(layer: Any, columns: Any, factor: Any, bias: Any, y_zero: Any) -> None:
    """Checks that the inputs behind the products are there as the type of the result wants them.

    Raises:
        FieldValueError: the type of the result is not one that the layer gives, or its limits are none.
        ShapeError: an input is missing, is one too many, or has not one value nor one for each column.
        DTypeError: the bias or the zero point has another type than the result wants.
    """
    to = layer.to_type
    if to not in RESULTS:
        raise FieldValueError(
            f"{layer.label} cannot give {to.name}",
            facts=[("to_type", ", ".join(one.name for one in RESULTS))],
            field="to_type",
            got=to,
        )
    check_limits(layer)
    for name, given, wanted in (
        ("factor", factor, None if to == DataType.INT32 else True),
        ("y_zero", y_zero, None if to in (DataType.INT32, DataType.FLOAT) else False),
    ):
        if (given is not None) if wanted is None else (wanted and given is None):
            verb = "takes no" if wanted is None else "needs a"
            raise ShapeError(f"{layer.label} {verb} {name} where the result is {to.name}", facts=[("to_type", to.name)])
    kind = DataType.FLOAT if to == DataType.FLOAT else DataType.INT32
    if bias is not None and bias.dtype != kind:
        raise DTypeError(
            f"{layer.label} takes a bias of {kind.name} where the result is {to.name}",
            facts=[("bias", bias.dtype.name)],
            expected=kind,
            got=bias.dtype,
        )
    check_vector(layer, "factor", factor, columns)
    check_vector(layer, "bias", bias, columns)
    check_zero(layer, "y_zero", y_zero, None, to)


def check_limits(layer: Any, low: str = "low", high: str = "high") -> None:
    """Raises FieldValueError if two fields are no limits of a result."""
    lowest, highest = getattr(layer, low), getattr(layer, high)
    if lowest > highest:
        raise FieldValueError(f"{layer.label} has {low} = {lowest} above {high} = {highest}", field=low, got=lowest)


def check_finite(layer: Any, *names: str) -> None:
    """Raises FieldValueError for a factor that makes what is not a number of 0."""
    for name in names:
        value = getattr(layer, name)
        if not abs(value) <= float(numpy.finfo(numpy.float32).max):  # nan is not, either
            raise FieldValueError(
                f"{layer.label} cannot multiply by {name} = {value:g}",
                facts=[(name, "a finite number of float32")],
                field=name,
                got=value,
            )


def check_zero(layer: Any, name: str, given: Any, columns: Any, of: DataType) -> None:
    """Checks a zero point, which may be absent.

    Raises:
        DTypeError: its type is not `of`, that of the tensor whose zero it is.
        ShapeError: it has not one value nor, with `columns`, one for each.
    """
    if given is not None and given.dtype != of:
        raise DTypeError(
            f"{layer.label} needs a {name} of {of.name}, as the tensor is whose zero it is",
            facts=[(name, given.dtype.name)],
            expected=of,
            got=given.dtype,
        )
    check_vector(layer, name, given, columns)


def check_vector(layer: Any, name: str, given: Any, columns: Any) -> None:
    """Raises ShapeError unless it is absent, has one value or, with `columns`, one for each in its last dim."""
    if given is None or all(extent.same(1) for extent in given.dims):
        return
    wanted = "one value" if columns is None else f"one value, or {columns} in its last dim"
    if columns is None or not all(extent.same(1) for extent in given.dims[:-1]):
        raise ShapeError(f"{layer.label} cannot use a {name} of {given.dims}", facts=[(name, wanted)])
    require_that(
        all_equal(given.dims[-1:], (columns,)),
        f"{layer.label} cannot use a {name} of {given.dims}",
        [(name, given.dims), ("needed", wanted)],
    )


def finished(layer: Any, sums: Any, factor: Any, bias: Any, y_zero: Any, axis: int) -> Any:
    """Exact int64 sums as the result; vectors lie along `axis`, counted from the end."""

    def laid(vector: Any) -> Any:
        return vector.reshape(-1, *(1,) * (-axis - 1)) if vector.size > 1 else vector.reshape(())

    to = layer.to_type
    if bias is not None and to != DataType.FLOAT:
        sums = sums + laid(bias).astype(numpy.int64)
    whole = sums.astype(numpy.uint64).astype(numpy.uint32).astype(numpy.int32)  # modulo 2**32
    if to == DataType.INT32:
        return whole
    real = whole.astype(numpy.float32) * laid(factor).astype(numpy.float32)
    if to == DataType.FLOAT:
        return real if bias is None else real + laid(bias)
    low, high = (f(a, b) for f, a, b in zip((max, min), LIMITS[to], (layer.low, layer.high), strict=True))
    zero = 0 if y_zero is None else int(y_zero.reshape(-1)[0])
    limited = numpy.clip(real, numpy.float32(low - zero), numpy.float32(high - zero))
    return (numpy.rint(limited) + zero).astype(nptype(to))


def centred_integers(x: Any, zero: Any) -> Any:
    """Stored numbers less their zero point, which has one value or one for each element of the last axis; int64."""
    x = x.astype(numpy.int64)
    return x if zero is None else x - zero.astype(numpy.int64).reshape(-1 if zero.size > 1 else ())

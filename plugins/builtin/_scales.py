"""Scales of quantised tensors: one for the tensor, or one for each extent of an axis."""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import FieldValueError, ShapeError
from dovetail.core.expr import select
from dovetail.core.types import DataType
from dovetail.plugins import axis_of, require_that

UNSET = -1
ZERO_POINTS = (DataType.INT8, DataType.INT32, DataType.FLOAT)


def is_single(scale: SymbolicTensor) -> bool:
    """True if there is one value for the whole tensor."""
    return scale.rank == 0 or scale.dims.same((1,))


def check_scales(label: str, x: SymbolicTensor, scale: SymbolicTensor, axis: int) -> None:
    """Checks that the scales fit x.

    Raises:
        ShapeError: not one value, and not one for each extent of `axis`.
        FieldValueError: a scale that is known is not positive and finite.
    """
    if scale.constant is not None:
        values = numpy.asarray(scale.constant, dtype=numpy.float64).reshape(-1)
        wrong = values[~((values > 0) & numpy.isfinite(values))]
        if wrong.size:
            raise FieldValueError(
                f"{label} cannot use the scale {wrong[0]:g}",
                facts=[("scale", "positive and finite"), ("wrong", f"{wrong.size} of {values.size} values")],
                got=float(wrong[0]),
            )
    if is_single(scale):
        return
    if scale.rank != 1 or axis == UNSET:
        raise ShapeError(
            f"{label} cannot use a scale of {scale.dims} " + ("without an axis" if scale.rank == 1 else ""),
            facts=[
                ("scale", f"one value, or [n] with n the extent of an axis; got {scale.dims}"),
                ("x", x.dims),
            ],
            hint="Set layer.axis to the axis that the scales belong to." if scale.rank == 1 else "",
            expected=1,
            got=scale.rank,
        )
    place = axis_of(axis, x.rank, label)
    extent, length = x.dims[place], scale.dims[0]
    require_that(
        select(length == 1, 1, length == extent),
        f"{label} cannot use {length} scales for the {extent} slices of axis {place}",
        [(f"extent of axis {place}", extent), ("length of scale", length)],
        expected=extent.value,
        got=length.value,
    )


def check_zero_point(label: str, zero: SymbolicTensor | None) -> None:
    """Raises FieldValueError unless it is absent or a constant of zeros."""
    if zero is None or (zero.constant is not None and not numpy.any(zero.constant)):
        return
    known = zero.constant is not None
    raise FieldValueError(
        f"{label} cannot use a zero point " + ("other than 0" if known else "that is not a constant"),
        facts=[("zero_point", f"tensor '{zero.name}', {zero.dtype.name} {zero.dims}"), ("rule", "a constant, all 0")],
        hint="Subtract it before, and add it behind, with ElementWise layers; the ONNX parser does so.",
        field="zero_point",
    )


def spread(scale: Any, x: Any, axis: int) -> Any:
    """The scales in dims that numpy broadcasts to those of x."""
    if scale.size == 1:
        return scale.reshape(())
    return scale.reshape((-1,) + (1,) * (x.ndim - axis - 1))

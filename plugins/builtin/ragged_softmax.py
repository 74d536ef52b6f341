"""RaggedSoftMax."""

from __future__ import annotations

import numpy

from dovetail.core.errors import ShapeError
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, all_equal, require_that


class RaggedSoftMax(Plugin):
    """y[z, s] = exp(x[z, s]) / sum of exp(x[z, :n]) for s < n = bounds[z], 0 from there on

    Inputs    x       [Z..., S], float16 | bfloat16 | float32
              bounds  [Z..., 1], int32 | int64: the length of each row; below 0 counts as 0, above S as S
    Outputs   y       dims and type of x
    Numerics  the row's maximum is subtracted first; float32 whatever the type
    Errors    ShapeError if the dims of bounds are not those of x with 1 as the last
    Source    TensorRT 8.5 IRaggedSoftMaxLayer
    """

    purpose = "Normalisation"
    x = Input(FLOATS)
    bounds = Input((DataType.INT32, DataType.INT64), doc="Length of each row.")
    y = Output(like="x")

    def infer(self, x, bounds):
        wanted = (*x.dims[:-1], 1)
        fits = x.rank > 0 and bounds.rank == x.rank
        if not fits:
            raise ShapeError(
                f"{self.label} cannot use bounds of {bounds.dims} for x of {x.dims}",
                facts=[("x", x.dims), ("bounds", f"{bounds.dims}, needed {list(map(str, wanted))}")],
                expected=x.rank,
                got=bounds.rank,
            )
        require_that(
            all_equal(bounds.dims, wanted),
            f"{self.label} cannot use bounds of {bounds.dims} for x of {x.dims}",
            [("x", x.dims), ("bounds", f"{bounds.dims}, needed [{', '.join(map(str, wanted))}]")],
            hint="One length for each row of x.",
            got=str(bounds.dims),
        )
        return x.like()

    def reference(self, x, bounds):
        inside = numpy.arange(x.shape[-1]) < bounds
        wide = numpy.where(inside, x.astype(numpy.float32) if x.dtype.itemsize == 2 else x, -numpy.inf)
        largest = wide.max(axis=-1, keepdims=True, initial=-numpy.inf, where=inside)
        e = numpy.where(inside, numpy.exp(numpy.where(inside, wide - numpy.where(bounds > 0, largest, 0), 0)), 0)
        total = e.sum(axis=-1, keepdims=True)
        return numpy.divide(e, total, out=numpy.zeros_like(e), where=inside).astype(x.dtype)

    @classmethod
    def add_ragged_softmax(cls, network, input, bounds):
        """A RaggedSoftMax layer."""
        return network.add_plugin("RaggedSoftMax", [input, bounds], {})

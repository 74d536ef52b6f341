"""ReverseSequence."""

from __future__ import annotations

import numpy

from dovetail.core.errors import ShapeError
from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin, axis_of, field, require_equal
from dovetail.plugins.onnx import onnx_op

TYPES = tuple(t for t in DataType if t != DataType.FP8)
WORDS = "|".join(t.short for t in TYPES)


class ReverseSequence(Plugin):
    """y = x with the first sequence_lens[b] elements of each sequence b in reverse order

    Inputs    x              rank 2..8, any type but FP8
              sequence_lens  [extent of x along batch_axis], int32 | int64; lengths beyond 0 .. extent of the sequences
                             count as the nearer of these
    Outputs   y              dims and type of x
    Errors    ShapeError if the two axes are one or are not there, or lengths are not as many as sequences
    Source    TensorRT 8.6 IReverseSequenceLayer; ONNX ReverseSequence
    """

    purpose = "Shape and order"
    x = Input(TYPES)
    sequence_lens = Input((DataType.INT32, DataType.INT64), doc="How much of each sequence is reversed.")
    y = Output(like="x")
    batch_axis: int = field(1, low=-8, high=7, doc="Axis that numbers the sequences.")
    sequence_axis: int = field(0, low=-8, high=7, doc="Axis along which they run.")

    type_rows = (f"{WORDS} i32 -> {WORDS}", f"{WORDS} i64 -> {WORDS}")

    def infer(self, x, sequence_lens):
        batch, sequence = (axis_of(axis, x.rank, self.label) for axis in (self.batch_axis, self.sequence_axis))
        if batch == sequence:
            raise ShapeError(
                f"{self.label} cannot number sequences by the axis along which they run",
                facts=[("batch_axis", self.batch_axis), ("sequence_axis", self.sequence_axis), ("x", x.dims)],
                field="sequence_axis",
                got=sequence,
            )
        if sequence_lens.rank != 1:
            raise ShapeError(
                f"{self.label} cannot take lengths with {sequence_lens.rank} dims",
                facts=[("sequence_lens", sequence_lens.dims), ("rule", "1 dim")],
                expected=1,
                got=sequence_lens.rank,
            )
        require_equal(self.label, (f"sequences along axis {batch}", x.dims[batch]), ("lengths", sequence_lens.dims[0]))
        return x.like()

    def reference(self, x, sequence_lens):
        n = x.shape[self.sequence_axis]
        lengths = numpy.clip(sequence_lens, 0, n).astype(int).reshape(-1, 1)
        places = numpy.arange(n)
        wanted = numpy.where(places < lengths, lengths - 1 - places, places)
        first = numpy.moveaxis(x, (self.batch_axis, self.sequence_axis), (0, 1))
        y = first[numpy.arange(len(first)).reshape(-1, 1), wanted]
        return numpy.moveaxis(y, (0, 1), (self.batch_axis, self.sequence_axis))

    @classmethod
    def add_reverse_sequence(cls, network, input, sequence_lens):
        """A ReverseSequence layer: batch_axis 1, sequence_axis 0 until its fields say otherwise."""
        return network.add_plugin(cls.name, [input, sequence_lens], {})

    onnx = (onnx_op("ReverseSequence", 10, renamed={"time_axis": "sequence_axis"}),)

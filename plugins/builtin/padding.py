"""Padding."""

from __future__ import annotations

import numpy

from dovetail.core.contract import LayerProperty
from dovetail.core.errors import ShapeError
from dovetail.core.types import DataType
from dovetail.plugins import Input, Ints, Output, Plugin, field, require_that

TYPES = tuple(t for t in DataType if t != DataType.FP8)


def _nd(name):
    """`pre_padding_nd` beside `pre_padding`."""

    def write(values, value):
        values[name] = value

    return LayerProperty(lambda values: values[name], write, doc=f"The same as {name}.")


class Padding(Plugin):
    """y = x with zeros around its innermost axes, or with less of them

    Inputs    x  any type; at least as many dims as there are paddings
    Outputs   y  type of x; on each of the innermost axes the extent grows by pre + post
    Fields    negative paddings cut off. TensorRT pads two axes; any number of innermost axes is taken here
    Errors    ShapeError if pre and post differ in number, exceed the rank, or an extent would be negative
    Source    TensorRT 8.5 IPaddingLayer
    """

    purpose = "Shape and order"
    x = Input(TYPES)
    y = Output(like="x")
    pre_padding: Ints = field((0, 0), doc="Elements in front, on the innermost axes, outermost of them first.")
    post_padding: Ints = field((0, 0), doc="Elements behind.")

    pre_padding_nd = _nd("pre_padding")
    post_padding_nd = _nd("post_padding")

    def infer(self, x):
        n = len(self.pre_padding)
        if n != len(self.post_padding) or n > x.rank:
            raise ShapeError(
                f"{self.label} cannot pad {x.dims} by {list(self.pre_padding)} and {list(self.post_padding)}",
                facts=[("rule", f"as many values in front as behind, {x.rank} at most")],
                expected=n,
                got=len(self.post_padding),
            )
        dims = list(x.dims)
        for axis, before, after in zip(range(x.rank - n, x.rank), self.pre_padding, self.post_padding, strict=True):
            dims[axis] = dims[axis] + (before + after)
            require_that(
                dims[axis] >= 0,
                f"{self.label} cannot cut axis {axis} of {x.dims} down by {-before - after}",
                [("axis", axis), ("paddings", f"{before} and {after}"), ("extent", x.dims[axis])],
                axis=axis,
            )
        return x.like(dims)

    def reference(self, x):
        for axis, before, after in zip(
            range(x.ndim - len(self.pre_padding), x.ndim), self.pre_padding, self.post_padding, strict=True
        ):
            index = numpy.arange(-before, x.shape[axis] + after)
            inside = (index >= 0) & (index < x.shape[axis])
            padded = numpy.pad(x, [(0, 1) if i == axis else (0, 0) for i in range(x.ndim)])
            x = numpy.take(padded, numpy.where(inside, index, x.shape[axis]), axis)
        return x

    @classmethod
    def add_padding(cls, network, input, pre_padding, post_padding):
        """A Padding layer on the two innermost axes."""
        return cls.add_padding_nd(network, input, pre_padding, post_padding)

    @classmethod
    def add_padding_nd(cls, network, input, pre_padding, post_padding):
        """A Padding layer; zeros in front of and behind the innermost axes, negative numbers cut off."""
        fields = {"pre_padding": pre_padding, "post_padding": post_padding}
        return network.add_plugin("Padding", [input], fields)

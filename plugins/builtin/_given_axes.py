"""Axes given as a tensor, as in TensorRT 10's Squeeze and Unsqueeze."""

from __future__ import annotations

import numpy

from dovetail.core.arguments import integers
from dovetail.core.errors import ShapeError
from dovetail.plugins import axis_of
from dovetail.plugins.builtin._values import elements_of


def axes_of(label, tensor, rank):
    """The axes in ascending order. Raises ShapeError where one is unknown, outside of `rank` or named twice."""
    elements = elements_of(label, "axes", tensor)
    unknown = [str(element) for element in elements if element.value is None]
    if unknown:
        raise ShapeError(f"{label} needs to know its axes when it is built", facts=[("axes", ", ".join(unknown))])
    axes = sorted(axis_of(element.value, rank, label) for element in elements)
    if len(set(axes)) < len(axes):
        raise ShapeError(f"{label} cannot take an axis twice", facts=[("axes", axes)], got=tuple(axes))
    return axes


def axes_tensor(network, axes):
    """`axes` as a tensor of the network: itself, or a constant of a list of integers."""
    if hasattr(axes, "symbolic"):
        return axes
    values = numpy.array(integers("axes", axes), numpy.int64)
    return network.add_plugin("Constant", [], {"shape": values.shape, "weights": values}).get_output(0)

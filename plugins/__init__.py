"""Base classes and decorators for plugins written in Python."""

from pluggy import HookimplMarker

from dovetail.core.contract import Library, Moved
from dovetail.plugins.fields import Floats, Ints, Tensor, bit_mask, both, deprecated, field, renamed
from dovetail.plugins.function import op
from dovetail.plugins.kernels import kernel
from dovetail.plugins.onnx import onnx_op
from dovetail.plugins.padding import PaddingMode, convolution_extent, deconvolution_extent, dilated
from dovetail.plugins.plugin import Plugin
from dovetail.plugins.ports import Input, Output, Weights
from dovetail.plugins.shapes import all_equal, axis_of, broadcast, known_extent, require_equal, require_that
from dovetail.plugins.v2 import IPluginV2DynamicExt
from dovetail.plugins.v2_creator import IPluginCreator

hookimpl = HookimplMarker("dovetail")

__all__ = [
    "Floats",
    "IPluginCreator",
    "IPluginV2DynamicExt",
    "Input",
    "Ints",
    "Library",
    "Moved",
    "Output",
    "PaddingMode",
    "Plugin",
    "Tensor",
    "Weights",
    "all_equal",
    "axis_of",
    "bit_mask",
    "both",
    "broadcast",
    "convolution_extent",
    "deconvolution_extent",
    "deprecated",
    "dilated",
    "field",
    "hookimpl",
    "kernel",
    "known_extent",
    "onnx_op",
    "op",
    "renamed",
    "require_equal",
    "require_that",
]

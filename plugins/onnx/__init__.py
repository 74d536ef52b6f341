"""The kit for ONNX rewrites, for built-in layers and anyone's plugins alike.

A plugin says with `onnx_op` which ONNX operators it imports (in `Plugin.onnx`, or from the hook
`dovetail_onnx_rewrites`). If inputs and attributes do not map one to one to an op, a rewrite makes the layers: a
function of one node, an `OnnxNode`, that returns the node's output tensor or tensors. The rest of this package are
functions for rewrites. `x`, `y` and other values are tensors of the network, or arrays where a function says so. The
first argument of every function is the node for which it adds layers; errors name it.

Operators   onnx_op, checked_op (refuses by name what the rewrite would not honour), OnnxOp, OnnxOperators, Rewrite
The node    OnnxNode; is_given, integers, axis_given, axes_given, counts_given, given_attrs, absent
Extents     rank_of; extents: the dims as Counts, numbers where they are known and else tensors, to compute with;
            joined, replaced, as_extents, MOST_KNOWN (elements of an array that is made while a model is imported)
Dims        reshaped, transposed, with_rank, with_extent, sliced, part, off_diagonal, channels_first, channels_last
Arithmetic  cast, combined, applied, reduced by names of operations of ElementWise, Unary and Reduce; elementwise and
            unary, which take all types of ONNX and align ranks; added, lp_norm, norm_order, in_float, in_float32,
            as_float64 (FLOAT whose extents are float64 numbers), in_type, scalar,
            number_like, mask_of, aligned, all_inputs, channels, wrapped
Types       converted_to, LIMITS, UNSIGNED, ELEMENT_TYPES
Quantised   centred, stored, requantized, Blocks, has_no_zero_point, is_single, axis_of_scales, BYTES, is_affine,
            zero_of_bytes, factor_of, bytes_product
Windows     Window, window_of, known_plane, gathered_cells, overlaid

All of them raise the error made by `node.fail` if a model needs something that cannot be imported, and ShapeError,
DTypeError or FieldValueError of the layers that they add. The importer turns each into a parser error that names the
node.
"""

from dovetail.plugins.onnx.arithmetic import (
    applied,
    as_float64,
    cast,
    combined,
    in_float,
    lp_norm,
    mask_of,
    norm_order,
    number_like,
    reduced,
)
from dovetail.plugins.onnx.composed import (
    ELEMENT_TYPES,
    absent,
    added,
    channels_first,
    channels_last,
    given_attrs,
    in_float32,
    in_type,
)
from dovetail.plugins.onnx.conversion import LIMITS, converted_to
from dovetail.plugins.onnx.counts import MOST_KNOWN, Counts, extents, joined, rank_of, replaced
from dovetail.plugins.onnx.data_counts import as_extents
from dovetail.plugins.onnx.inputs import axes_given, axis_given, counts_given, integers, is_given
from dovetail.plugins.onnx.layers import off_diagonal, part, reshaped, sliced, transposed, with_extent, with_rank
from dovetail.plugins.onnx.node import OnnxNode
from dovetail.plugins.onnx.operator import OnnxOp, OnnxOperators, Rewrite, checked_op, onnx_op
from dovetail.plugins.onnx.pointwise import UNSIGNED, aligned, all_inputs, channels, elementwise, scalar, unary, wrapped
from dovetail.plugins.onnx.quantized import (
    BYTES,
    Blocks,
    axis_of_scales,
    bytes_product,
    centred,
    factor_of,
    has_no_zero_point,
    is_affine,
    is_single,
    requantized,
    stored,
    zero_of_bytes,
)
from dovetail.plugins.onnx.windows import Window, gathered_cells, known_plane, overlaid, window_of

__all__ = [
    "BYTES",
    "ELEMENT_TYPES",
    "LIMITS",
    "MOST_KNOWN",
    "UNSIGNED",
    "Blocks",
    "Counts",
    "OnnxNode",
    "OnnxOp",
    "OnnxOperators",
    "Rewrite",
    "Window",
    "absent",
    "added",
    "aligned",
    "all_inputs",
    "applied",
    "as_extents",
    "as_float64",
    "axes_given",
    "axis_given",
    "axis_of_scales",
    "bytes_product",
    "cast",
    "centred",
    "channels",
    "channels_first",
    "channels_last",
    "checked_op",
    "combined",
    "converted_to",
    "counts_given",
    "elementwise",
    "extents",
    "factor_of",
    "gathered_cells",
    "given_attrs",
    "has_no_zero_point",
    "in_float",
    "in_float32",
    "in_type",
    "integers",
    "is_affine",
    "is_given",
    "is_single",
    "joined",
    "known_plane",
    "lp_norm",
    "mask_of",
    "norm_order",
    "number_like",
    "off_diagonal",
    "onnx_op",
    "overlaid",
    "part",
    "rank_of",
    "reduced",
    "replaced",
    "requantized",
    "reshaped",
    "scalar",
    "sliced",
    "stored",
    "transposed",
    "unary",
    "window_of",
    "with_extent",
    "with_rank",
    "wrapped",
    "zero_of_bytes",
]

"""com.microsoft normalisations, including those that add a residual first and those of embeddings."""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.plugins.builtin._onnx_ms import microsoft
from dovetail.plugins.builtin._onnx_ms_pointwise import silu_of
from dovetail.plugins.onnx import (
    ELEMENT_TYPES,
    added,
    axis_given,
    channels_first,
    channels_last,
    extents,
    in_float32,
    part,
    rank_of,
    scalar,
)


def layer_norm(node: Any, x: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    return node.onnx("LayerNormalization", [x, gamma, beta], axis=-1, epsilon=epsilon)


def simplified_layer_normalization(node: Any) -> list[Any]:
    """x / sqrt(mean(x^2) + epsilon) * scale over the axes from `axis` on, and the factor of x in float32."""
    axis, epsilon = axis_given(node, rank_of(node[0]), -1), node.attr("epsilon", 1e-5)
    results = [node.onnx("RMSNormalization", [node.value(0), node.value(1)], opset=23, axis=axis, epsilon=epsilon)]
    if node.wants(1):
        x = in_float32(node, node.value(0))
        mean = node.onnx("ReduceMean", [node.onnx("Mul", [x, x])], opset=13, axes=list(range(axis, rank_of(x))))
        root = node.onnx("Sqrt", [node.onnx("Add", [mean, scalar(mean, epsilon)])])
        results.append(node.onnx("Reciprocal", [root]))
    return results


def skip_layer_normalization(node: Any) -> list[Any]:
    """input, skip, gamma, beta, bias; the last output is what is normalised."""
    _no_statistics(node)
    total = added(node, *(node.value(index) for index in (0, 1, 4)))
    y = layer_norm(node, total, node.value(2), node.value(3), node.attr("epsilon", 1e-12))
    return [y, None, None, total]


def skip_simplified_layer_normalization(node: Any) -> list[Any]:
    """input, skip, gamma, bias; the last output is what is normalised."""
    _no_statistics(node)
    total = added(node, *(node.value(index) for index in (0, 1, 3)))
    epsilon = node.attr("epsilon", 1e-12)
    y = node.onnx("RMSNormalization", [total, node.value(2)], opset=23, axis=-1, epsilon=epsilon)
    return [y, None, None, total]


def _no_statistics(node: Any) -> None:
    for index, name in ((1, "mean"), (2, "inv_std_var")):
        if node.wants(index):
            raise node.fail(f"its output {name} is for training, and not made here")


def group_norm(node: Any) -> Any:
    """x, gamma, beta."""
    return _grouped(node, node[0])


def skip_group_norm(node: Any) -> list[Any]:
    """x, gamma, beta, skip, bias; the second output is what is normalised. skip may be [N, C]."""
    skip = node[3]
    if rank_of(skip) == 2:
        axes = [1, 2] if node.attr("channels_last", 1) else [2, 3]
        skip = node.onnx("Unsqueeze", [skip, numpy.array(axes)])
    bias = node.value(4)
    if bias is not None and not node.attr("channels_last", 1):
        bias = node.onnx("Unsqueeze", [bias, numpy.array([1, 2])])
    total = added(node, node.value(0), skip, bias)
    return [_grouped(node, total), total]


def _grouped(node: Any, x: Any) -> Any:
    """Group normalisation of x, and SiLU with activation 1. Parameters may be float32 where x is narrower."""
    activation = node.attr("activation", 0)
    if activation not in (0, 1):
        raise node.fail("activation is neither 0 nor 1", activation=activation)
    is_last = bool(node.attr("channels_last", 1))
    x = channels_first(node, x) if is_last else x
    parameters = [node.onnx("CastLike", [node.value(index), x]) for index in (1, 2)]
    epsilon = node.attr("epsilon", 1e-5)
    y = node.onnx("GroupNormalization", [x, *parameters], num_groups=node.attr("groups"), epsilon=epsilon)
    y = silu_of(node, y) if activation else y
    return channels_last(node, y) if is_last else y


# ---- embeddings


def embed_layer_normalization(node: Any) -> list[Any]:
    """ids, segments, tables of words, positions and segments, gamma, beta, mask, positions."""
    tables = [node.value(index) for index in (2, 3, 4)]
    parameters = [node.value(index) for index in (5, 6)]
    y, total = _embedded(node, tables, parameters, positions=node.value(8))
    mask_index_type = node.attr("mask_index_type", 1)
    if mask_index_type not in (0, 1):
        raise node.fail("mask_index_type is neither 0 nor 1", mask_index_type=mask_index_type)
    return [y, _mask_index(node, 7), total]


def q_embed_layer_normalization(node: Any) -> list[Any]:
    """The same of quantised tables and parameters: their scales are inputs 8 to 12, their zero points 13 to 17."""
    values = [
        None
        if node.value(index) is None
        else node.onnx("DequantizeLinear", [node.value(i) for i in (index, 8 + place, 13 + place)])
        for place, index in enumerate((2, 3, 4, 5, 6))
    ]
    y, _ = _embedded(node, values[:3], values[3:], positions=None)
    return [y, _mask_index(node, 7)]


def _embedded(node: Any, tables: list[Any], parameters: list[Any], positions: Any) -> tuple[Any, Any]:
    """(layer normalisation of the sum of rows, the sum)."""
    ids, segments = node[0], node.value(1)
    words, places, kinds = tables
    if rank_of(ids) != 2:
        raise node.fail("its input_ids are not [batch, length]", input_ids=ids.symbolic.dims)
    if (segments is None) != (kinds is None):
        raise node.fail("segment_ids and segment_embedding are there together or not at all")
    if positions is None:
        table = node.as_tensor(places) if isinstance(places, numpy.ndarray) else places
        rows = part(node, table, 0, 0, extents(node, ids)[1])
    else:
        rows = node.onnx("Gather", [places, positions])
    total = added(
        node,
        node.onnx("Gather", [words, ids]),
        rows,
        None if kinds is None else node.onnx("Gather", [kinds, segments]),
    )
    gamma, beta = parameters
    return layer_norm(node, total, gamma, beta, node.attr("epsilon", 1e-12)), total


def _mask_index(node: Any, index: int) -> Any:
    """How many ones each row of the mask has; 0 without a mask. Made only where it is asked for."""
    if not node.wants(1):
        return None
    mask = node.value(index)
    if mask is None:
        batch = extents(node, node[0])[0]
        return node.onnx("ConstantOfShape", [batch.tensor()], value=numpy.zeros(1, numpy.int32))
    ones = node.onnx("Equal", [mask, numpy.ones((), numpy.int32)])
    counted = node.onnx("Cast", [ones], to=ELEMENT_TYPES["INT32"])
    return node.onnx("ReduceSum", [counted], opset=11, axes=[1], keepdims=0)


FLAT = "axis epsilon stash_type"

rewrites = (
    # onnxruntime writes this one, and LayerNormalization in models of older opsets, into the domain of ONNX itself.
    microsoft("SimplifiedLayerNormalization", simplified_layer_normalization, (2, 2), FLAT, outputs=2, domain=""),
    microsoft("SimplifiedLayerNormalization", simplified_layer_normalization, (2, 2), FLAT, outputs=2),
    microsoft("SkipLayerNormalization", skip_layer_normalization, (3, 5), "epsilon", outputs=4),
    microsoft("SkipSimplifiedLayerNormalization", skip_simplified_layer_normalization, (3, 4), "epsilon", outputs=4),
    microsoft("GroupNorm", group_norm, (3, 3), "activation channels_last epsilon", needs="groups"),
    microsoft("SkipGroupNorm", skip_group_norm, (4, 5), "activation channels_last epsilon", outputs=2, needs="groups"),
    microsoft(
        "EmbedLayerNormalization",
        embed_layer_normalization,
        (7, 9),
        "epsilon mask_index_type",
        outputs=3,
        optional=(1, 4),
    ),
    microsoft(
        "QEmbedLayerNormalization", q_embed_layer_normalization, (13, 18), "epsilon", outputs=2, optional=(1, 4, 7, 10)
    ),
)

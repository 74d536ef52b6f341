"""Plugins that NVIDIA ships with TensorRT, which scripts and models request by name, and layers that do the same.

None of them is in dovetail. The error for such a name says which layers, and which ONNX operators, replace it.
"""

from __future__ import annotations

_NMS = (
    "network.add_nms(boxes, scores, max_output_boxes_per_class), with bounding_box_format, iou_threshold and "
    "score_threshold; it gives indices, by which network.add_gather_v2(boxes, indices, trt.GatherMode.ND) "
    "fetches. In an ONNX model: NonMaxSuppression."
)
_DECODED_NMS = "Decode the boxes with network.add_elementwise and network.add_unary, then " + _NMS
_FROM_SHAPES = (
    "Its boxes depend on extents and attributes alone: compute them with NumPy, and add them with "
    "network.add_constant(shape, boxes)."
)
_DELTAS = (
    "Apply the deltas with network.add_elementwise and network.add_unary, choose with network.add_topk, then " + _NMS
)
_ROI_ALIGN = (
    "Use network.add_roi_align(x, rois, batch_indices), with output_height and output_width. In an ONNX "
    "model: RoiAlign."
)
_CROP = (
    "Use network.add_grid_sample(x, grid), whose grid says for each cell of a box where it is sampled; with "
    "cells that are averaged, network.add_roi_align(x, rois, batch_indices). In an ONNX model: GridSample."
)
_LAYER_NORM = (
    "Add with network.add_elementwise(x, skip, trt.ElementWiseOperation.SUM), then "
    "network.add_normalization(x, scale, bias, axes) over the last axis. In an ONNX model: "
    "LayerNormalization."
)
_SCATTER_ND = "Use network.add_scatter(data, indices, updates, trt.ScatterMode.ND). In an ONNX model: ScatterND."

_SAME = {  # name: what does the same with the network's methods, and which operator a model of ONNX may have
    "BatchTilePlugin_TRT": (
        "Use network.add_slice(x, start, shape, stride), with mode = trt.SampleMode.WRAP. In an ONNX model: Tile."
    ),
    "BatchedNMSDynamic_TRT": f"Use {_NMS}",
    "BatchedNMS_TRT": f"Use {_NMS}",
    "Clip_TRT": (
        "Use network.add_activation(x, trt.ActivationType.CLIP), with alpha and beta for clipMin and clipMax. "
        "In an ONNX model: Clip."
    ),
    "CoordConvAC": (
        "Use network.add_concatenation of x and coordinates, which network.add_constant adds. In an ONNX model: Concat."
    ),
    "CropAndResize": _CROP,
    "CropAndResizeDynamic": _CROP,
    "CustomEmbLayerNormPluginDynamic": (
        "Use network.add_gather(table, ids, 0) for each embedding, network.add_elementwise for their sum, "
        "then network.add_normalization(x, scale, bias, axes) over the last axis. In an ONNX model: "
        "LayerNormalization."
    ),
    "CustomFCPluginDynamic": (
        "Use network.add_matrix_multiply(x, op0, weights, op1), then network.add_elementwise. In an ONNX model: Gemm."
    ),
    "CustomGeluPluginDynamic": (
        "network.add_unary(t, trt.UnaryOperation.ERF) and network.add_elementwise make x (1 + erf(x / sqrt 2)) / 2. "
        "In an ONNX model: Gelu."
    ),
    "CustomQKVToContextPluginDynamic": (
        "Use network.add_attention(query, key, value, norm_op, causal). In an ONNX model: Attention."
    ),
    "CustomSkipLayerNormPluginDynamic": _LAYER_NORM,
    "DetectionLayer_TRT": _DELTAS,
    "EfficientNMS_Explicit_TF_TRT": f"Use {_NMS}",
    "EfficientNMS_Implicit_TF_TRT": f"Use {_NMS}",
    "EfficientNMS_ONNX_TRT": f"Use {_NMS}",
    "EfficientNMS_TRT": f"Use {_NMS}",
    "FlattenConcat_TRT": (
        "Use network.add_shuffle(x), with reshape_dims = (0, -1), for each input, then "
        "network.add_concatenation. In an ONNX model: Flatten."
    ),
    "GenerateDetection_TRT": _DELTAS,
    "GridAnchorRect_TRT": _FROM_SHAPES,
    "GridAnchor_TRT": _FROM_SHAPES,
    "GroupNormalizationPlugin": (
        "Use network.add_normalization(x, scale, bias, axes), with num_groups, and with axes the bits of all "
        "dims behind the channels. In an ONNX model: GroupNormalization."
    ),
    "InstanceNormalization_TRT": (
        "Use network.add_normalization(x, scale, bias, axes), with scale and bias of [1, channels, 1, 1] and "
        "with axes the bits of all dims behind the channels. In an ONNX model: InstanceNormalization."
    ),
    "LReLU_TRT": (
        "Use network.add_activation(x, trt.ActivationType.LEAKY_RELU), with alpha for negSlope. In an ONNX "
        "model: LeakyRelu."
    ),
    "ModulatedDeformConv2d": (
        "Use network.add_grid_sample at the offset positions, then network.add_convolution_nd. In an ONNX "
        "model: DeformConv."
    ),
    "MultilevelCropAndResize_TRT": _ROI_ALIGN,
    "MultilevelProposeROI_TRT": _DELTAS,
    "MultiscaleDeformableAttnPlugin_TRT": (
        "Use network.add_grid_sample(values, positions) for each level, then the weighted sum with "
        "network.add_elementwise and network.add_reduce. In an ONNX model: GridSample."
    ),
    "NMSDynamic_TRT": _DECODED_NMS,
    "NMS_TRT": _DECODED_NMS,
    "Normalize_TRT": (
        "network.add_reduce of the squares, network.add_unary(s, trt.UnaryOperation.SQRT) and network.add_elementwise "
        "make x / |x|. In an ONNX model: LpNormalization."
    ),
    "PillarScatterPlugin": _SCATTER_ND,
    "PriorBox_TRT": _FROM_SHAPES,
    "Proposal": _DELTAS,
    "ProposalDynamic": _DELTAS,
    "ProposalLayer_TRT": _DELTAS,
    "PyramidROIAlign_TRT": _ROI_ALIGN,
    "RNNTEncoderPlugin": "Use network.add_lstm(x, w, r, b). In an ONNX model: LSTM.",
    "ROIAlign_TRT": _ROI_ALIGN,
    "RPROI_TRT": _DELTAS + " Pool with network.add_roi_align(x, rois, batch_indices).",
    "Region_TRT": (
        "Use network.add_slice for the parts of each box, network.add_activation(x, "
        "trt.ActivationType.SIGMOID) and network.add_softmax for them, then network.add_concatenation."
    ),
    "Reorg_TRT": (
        "Use network.add_shuffle(x) twice: reshape_dims that split height and width by the stride, then "
        "second_transpose. In an ONNX model: SpaceToDepth."
    ),
    "ResizeNearest_TRT": (
        "Use network.add_resize(x), with scales and resize_mode = trt.InterpolationMode.NEAREST. In an ONNX "
        "model: Resize."
    ),
    "ScatterElements": (
        "Use network.add_scatter(data, indices, updates, trt.ScatterMode.ELEMENT). In an ONNX model: ScatterElements."
    ),
    "ScatterND": _SCATTER_ND,
    "SingleStepLSTMPlugin": "Use network.add_lstm(x, w, r, b). In an ONNX model: LSTM.",
    "SpecialSlice_TRT": "Use network.add_slice(x, start, shape, stride). In an ONNX model: Slice.",
    "Split": "Use network.add_slice(x, start, shape, stride) for each part. In an ONNX model: Split.",
}
_OWN_WORK = "No layer does the same: docs/writing-a-plugin.md shows how to write it, in Python or C++."
_WITHOUT = ("DecodeBbox3DPlugin", "DisentangledAttention_TRT", "VoxelGeneratorPlugin")

NAMES = (*_SAME, *_WITHOUT)


def instead_of(name: str) -> str:
    """Advice on what replaces NVIDIA's plugin `name`; "" if there is no such plugin."""
    return _OWN_WORK if name in _WITHOUT else _SAME.get(name, "")

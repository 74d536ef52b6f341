"""com.microsoft operators that onnxruntime's optimiser makes of a product or convolution and the layers after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dovetail.plugins.builtin._onnx_ms import microsoft
from dovetail.plugins.builtin._onnx_ms_pointwise import fast_gelu_of, gelu_of
from dovetail.plugins.onnx import added, channels_first, channels_last, given_attrs, onnx_op, rank_of, scalar

CONV = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
# Parameters of activations by name, in the order of activation_params.
PARAMETERS = {
    "Clip": ("min", "max"),
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "HardSwish": (),
    "LeakyRelu": ("alpha",),
    "Relu": (),
    "Selu": ("alpha", "gamma"),
    "Sigmoid": (),
    "Softplus": (),
    "Softsign": (),
    "Tanh": (),
    "ThresholdedRelu": ("alpha",),
}


def activated(node: Any, y: Any, parameters: dict[str, float]) -> Any:
    """y behind the activation that the node names, if it names one."""
    name = node.attr("activation", "")
    if not name:
        return y
    if name == "Gelu":
        return gelu_of(node, y)
    if name not in PARAMETERS:
        raise node.fail("its activation is not known", activation=name, known=", ".join([*PARAMETERS, "Gelu"]))
    if name == "Clip":
        limits = [scalar(y, parameters[bound]) if bound in parameters else None for bound in ("min", "max")]
        return node.onnx("Clip", [y, *limits], opset=13)
    return node.onnx(name, [y], opset=14, **{key: parameters[key] for key in PARAMETERS[name] if key in parameters})


def listed(node: Any) -> dict[str, float]:
    """activation_params, by the names that they have in ONNX."""
    given, names = node.attr("activation_params", ()), PARAMETERS.get(node.attr("activation", ""), ())
    if given and len(given) != len(names):
        facts = {"activation": node.attr("activation", "none"), "wanted": ", ".join(names) or "none"}
        raise node.fail("activation_params are not those of its activation", activation_params=given, **facts)
    return dict(zip(names, given, strict=False))


def named(node: Any) -> dict[str, float]:
    """activation_alpha, activation_beta and activation_gamma."""
    values = {name: node.attr(f"activation_{name}") for name in ("alpha", "beta", "gamma")}
    return {name: value for name, value in values.items() if value is not None}


def fused_conv(node: Any) -> Any:
    """activation(conv(x, w) + b + z)."""
    y = node.onnx("Conv", [node.value(index) for index in range(3)], **given_attrs(node, *CONV))
    return activated(node, added(node, y, node.value(3)), listed(node))


def nhwc_conv(node: Any) -> Any:
    """The same of [N, ..., C]; kernels are [M, C / group, ...] in both."""
    x = channels_first(node, node[0])
    y = node.onnx("Conv", [x, node.value(1), node.value(2)], **given_attrs(node, *CONV))
    return activated(node, added(node, channels_last(node, y), node.value(3)), listed(node))


def fused_gemm(node: Any) -> Any:
    inputs = [node.value(index) for index in range(3)]
    y = node.onnx("Gemm", inputs, opset=13, **given_attrs(node, "alpha", "beta", "transA", "transB"))
    return activated(node, y, named(node))


def fused_mat_mul(node: Any) -> Any:
    """activation(alpha * a @ b); what is one-dimensional is not transposed."""
    sides = []
    for index, side in ((0, "A"), (1, "B")):
        x = node.value(index)
        order = list(range(rank_of(x)))
        if node.attr(f"transBatch{side}", 0) and len(order) > 2:
            order = [*order[1:-1], 0, order[-1]]
        if node.attr(f"trans{side}", 0) and len(order) > 1:
            order[-2:] = reversed(order[-2:])
        sides.append(x if order == sorted(order) else node.onnx("Transpose", [x], perm=order))
    y = node.onnx("MatMul", sides, opset=13)
    alpha = node.attr("alpha", 1.0)
    y = y if alpha == 1 else node.onnx("Mul", [y, scalar(y, alpha)])
    return activated(node, y, named(node))


def gemm_fast_gelu(node: Any) -> Any:
    return fast_gelu_of(node, added(node, node.onnx("MatMul", [node.value(0), node.value(1)]), node.value(2)))


def bias_softmax(node: Any) -> Any:
    """Softmax over all axes from `axis` on, of data + bias, which has as many dims."""
    x, bias = node[0], node[1]
    if rank_of(bias) != rank_of(x):
        raise node.fail("its bias has not as many dims as its data", data=tuple(x.shape), bias=tuple(bias.shape))
    return node.onnx("Softmax", [node.onnx("Add", [x, bias])], opset=12, axis=node.attr("axis", 1))


def transposing(name: str, rewrite: Callable[[Any], Any], attrs: str) -> Any:
    return microsoft(name, rewrite, (2, 2), f"alpha transA transB {attrs}")


def blocked(node: Any) -> Any:
    """Channels in blocks as wide as the registers of the machine that wrote the model."""
    raise node.fail(
        "its layout and weights are those of one machine, as onnxruntime writes them with ORT_ENABLE_ALL; save the "
        "model with graph_optimization_level = ORT_ENABLE_EXTENDED"
    )


BLOCKED = [
    "AveragePool",
    "Conv",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "MaxPool",
    "ReorderInput",
    "ReorderOutput",
    "Upsample",
]
ACTIVATION = "activation activation_alpha activation_beta activation_gamma"

rewrites = (
    microsoft("FusedConv", fused_conv, (2, 4), f"activation activation_params {' '.join(CONV)}"),
    microsoft("NhwcFusedConv", nhwc_conv, (2, 4), f"activation activation_params {' '.join(CONV)}"),
    microsoft("NhwcConv", nhwc_conv, (2, 3), " ".join(CONV)),
    microsoft("FusedGemm", fused_gemm, (2, 3), f"alpha beta transA transB {ACTIVATION}"),
    transposing("TransposeMatMul", fused_mat_mul, ""),
    transposing("FusedMatMul", fused_mat_mul, "transBatchA transBatchB"),
    transposing("FusedMatMulActivation", fused_mat_mul, f"transBatchA transBatchB {ACTIVATION}"),
    microsoft("GemmFastGelu", gemm_fast_gelu, (2, 3)),
    microsoft("BiasSoftmax", bias_softmax, (2, 2), "axis is_inner_broadcast"),
    *(onnx_op(name, domain="com.microsoft.nchwc", rewrite=blocked) for name in BLOCKED),
)

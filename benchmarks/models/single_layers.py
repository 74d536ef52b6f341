"""Single layers by name, with the extents that they have in real networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import layers
import onnx
from catalog import INT8, Model
from int8 import quantize_dynamically, quantize_statically

SMALL_MAPS = dict(channels=8, size=9)
SMALL_CONVOLUTION = dict(fan_in=8, **SMALL_MAPS)


def quantised(
    quantise: Callable[[onnx.ModelProto], onnx.ModelProto], generator: Callable[..., onnx.ModelProto]
) -> Callable[..., onnx.ModelProto]:
    """A generator of the INT8 form of what another generates."""
    return lambda **given: quantise(generator(**given))


def _convolution(fan_in: int, channels: int, kernel: int, size: int, is_int8: bool = False, **more: Any) -> Model:
    settings = dict(fan_in=fan_in, channels=channels, kernel=kernel, size=size, **more)
    if is_int8:
        return Model(quantised(quantize_statically, layers.convolution), settings, SMALL_CONVOLUTION, tolerance=INT8)
    return Model(layers.convolution, settings, SMALL_CONVOLUTION)


def _depthwise(channels: int, kernel: int, size: int, is_int8: bool = False, **more: Any) -> Model:
    return _convolution(channels, channels, kernel, size, is_int8, depthwise=True, **more)


def _deconvolution(fan_in: int, channels: int, kernel: int, size: int) -> Model:
    settings = dict(fan_in=fan_in, channels=channels, kernel=kernel, size=size)
    return Model(layers.deconvolution, settings, SMALL_CONVOLUTION)


def _product(generator: Callable[..., onnx.ModelProto], rows: int, k: int, n: int, **more: Any) -> Model:
    return Model(generator, dict(rows=rows, k=k, n=n), dict(rows=min(rows, 5), k=24, n=20), **more)


def _attention(heads: int, rows: int, size: int, keys: int | None = None) -> Model:
    small = dict(heads=2, rows=min(rows, 5), size=8, keys=keys and 7)
    return Model(layers.products, dict(heads=heads, rows=rows, size=size, keys=keys), small)


def _heads(heads: int, rows: int, k: int, n: int) -> Model:
    return Model(layers.product, dict(heads=heads, rows=rows, k=k, n=n), dict(heads=2, rows=min(rows, 5), k=8, n=7))


def _pool(op: str, channels: int, size: int, **more: int) -> Model:
    return Model(layers.pooling, dict(op=op, channels=channels, size=size, **more), SMALL_MAPS)


def _pointwise(kind: str, *dims: int) -> Model:
    return Model(layers.pointwise, dict(kind=kind, dims=dims), dict(dims=(5, *[7] * (len(dims) - 1))))


LAYERS: Mapping[str, Model] = {
    # convolutions
    "conv3x3-64-56": _convolution(64, 64, 3, 56),
    "conv3x3-128-28": _convolution(128, 128, 3, 28),
    "conv3x3-256-14": _convolution(256, 256, 3, 14),
    "conv3x3-512-7": _convolution(512, 512, 3, 7),
    "conv3x3-32-256": _convolution(32, 32, 3, 256),
    "conv3x3-64-128": _convolution(64, 64, 3, 128),
    "conv3x3-128-64": _convolution(128, 128, 3, 64),
    "conv3x3-256-32": _convolution(256, 256, 3, 32),
    "conv3x3-s2-128-56": _convolution(128, 128, 3, 56, stride=2),
    "conv3x3-d2-256-28": _convolution(256, 256, 3, 28, dilation=2),
    "conv3x3-d12-256-28": _convolution(256, 256, 3, 28, dilation=12),
    "stem3x3-s2-224": _convolution(3, 32, 3, 224, stride=2),
    "stem7x7-s2-224": _convolution(3, 64, 7, 224, stride=2),
    "conv1x1-64-256-56": _convolution(64, 256, 1, 56),
    "conv1x1-256-64-56": _convolution(256, 64, 1, 56),
    "conv1x1-256-1024-14": _convolution(256, 1024, 1, 14),
    "conv1x1-1024-256-14": _convolution(1024, 256, 1, 14),
    "conv1x1-512-2048-7": _convolution(512, 2048, 1, 7),
    "conv1x1-s2-256-512-56": _convolution(256, 512, 1, 56, stride=2),
    "depthwise3x3-256-56": _depthwise(256, 3, 56),
    "depthwise3x3-144-56": _depthwise(144, 3, 56),
    "depthwise3x3-s2-96-112": _depthwise(96, 3, 112, stride=2),
    "depthwise5x5-672-14": _depthwise(672, 5, 14),
    "depthwise7x7-192-28": _depthwise(192, 7, 28),
    "deconv4x4-512-256-8": _deconvolution(512, 256, 4, 8),
    "deconv4x4-256-128-32": _deconvolution(256, 128, 4, 32),
    "deconv4x4-128-64-32": _deconvolution(128, 64, 4, 32),
    "deconv2x2-128-64-64": _deconvolution(128, 64, 2, 64),
    # products: by weights, of heads, with softmax between two of them
    "gemm-1-2048-1000": _product(layers.gemm, 1, 2048, 1000),
    "gemm-1-768-3072": _product(layers.gemm, 1, 768, 3072),
    "gemm-128-768-768": _product(layers.gemm, 128, 768, 768),
    "gemm-128-768-3072": _product(layers.gemm, 128, 768, 3072),
    "gemm-197-192-576": _product(layers.gemm, 197, 192, 576),
    "matmul-12-128-64-128": _heads(12, 128, 64, 128),
    "matmul-12-128-128-64": _heads(12, 128, 128, 64),
    "matmul-12-1-64-512": _heads(12, 1, 64, 512),
    "attention-12-128-64": _attention(12, 128, 64),
    "attention-3-197-64": _attention(3, 197, 64),
    "attention-8-1024-40": _attention(8, 1024, 40),
    "attention-12-1-64-of-512": _attention(12, 1, 64, keys=512),
    # what runs at the speed of memory
    "softmax-12-128-128": Model(layers.softmax, small=dict(dims=(2, 5, 7))),
    "softmax-21-64-64-channels": Model(layers.softmax, dict(dims=(21, 64, 64), axis=1), dict(dims=(5, 4, 3))),
    "layernorm-128-768": Model(layers.layer_norm, small=dict(rows=5, features=24)),
    "layernorm-3136-96": Model(layers.layer_norm, dict(rows=3136, features=96), dict(rows=5, features=24)),
    "rmsnorm-128-2048": Model(layers.rms_norm, small=dict(rows=5, features=24)),
    "groupnorm-320-32": Model(layers.group_norm, small=dict(groups=4, channels=8, size=5)),
    "instancenorm-64-128": Model(layers.group_norm, dict(groups=None, channels=64, size=128), SMALL_MAPS),
    "maxpool3x3-s2-64-112": _pool("MaxPool", 64, 112),
    "maxpool5x5-256-20": _pool("MaxPool", 256, 20, kernel=5, stride=1),
    "avgpool2x2-s2-128-56": _pool("AveragePool", 128, 56, kernel=2),
    "globalpool-2048-7": _pool("GlobalAveragePool", 2048, 7),
    "resize-nearest-128-40": Model(layers.resize, small=SMALL_MAPS),
    "resize-linear-64-64": Model(layers.resize, dict(mode="linear", channels=64, size=64), SMALL_MAPS),
    "transpose-heads-128-12-64": Model(layers.transpose, small=dict(dims=(5, 2, 8))),
    "transpose-keys-12-128-64": Model(
        layers.transpose, dict(dims=(12, 128, 64), perm=(0, 1, 3, 2)), dict(dims=(2, 5, 8))
    ),
    "transpose-last-96-56": Model(layers.transpose, dict(dims=(96, 56, 56), perm=(0, 2, 3, 1)), dict(dims=(8, 5, 5))),
    "shuffle-116-28": Model(layers.shuffle, small=SMALL_MAPS),
    "gelu-128-3072": _pointwise("gelu", 128, 3072),
    "gelu-tanh-128-3072": _pointwise("gelu_by_tanh", 128, 3072),
    "swish-96-112": _pointwise("swish", 96, 112, 112),
    "add-relu-256-56": _pointwise("add_relu", 256, 56, 56),
    "scale-672-14": _pointwise("scale", 672, 14, 14),
    # recurrent layers
    "lstm-64-256-256": Model(layers.recurrent, small=dict(length=5, fan_in=12, units=8)),
    "gru-64-256-256": Model(layers.recurrent, dict(kind="GRU"), dict(length=5, fan_in=12, units=8)),
    # with 8-bit integers
    "conv3x3-64-56-int8": _convolution(64, 64, 3, 56, is_int8=True),
    "conv3x3-256-14-int8": _convolution(256, 256, 3, 14, is_int8=True),
    "stem7x7-s2-224-int8": _convolution(3, 64, 7, 224, is_int8=True, stride=2),
    "conv1x1-64-256-56-int8": _convolution(64, 256, 1, 56, is_int8=True),
    "conv1x1-1024-256-14-int8": _convolution(1024, 256, 1, 14, is_int8=True),
    "depthwise3x3-144-56-int8": _depthwise(144, 3, 56, is_int8=True),
    "gemm-128-768-768-int8": _product(quantised(quantize_statically, layers.dense), 128, 768, 768, tolerance=INT8),
    "gemm-dynamic-1-768-3072-int8": _product(
        quantised(quantize_dynamically, layers.gemm), 1, 768, 3072, tolerance=INT8
    ),
    "gemm-dynamic-128-768-3072-int8": _product(
        quantised(quantize_dynamically, layers.gemm), 128, 768, 3072, tolerance=INT8
    ),
}

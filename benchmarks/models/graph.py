"""A small builder of ONNX models with random weights; the models beside it are written with it.

A value is its name, a str. Weights come from one generator per model, so that a seed gives the same model everywhere,
and are scaled such that activations stay near 1: He initialisation in front of a ReLU and its like, batch statistics
near those that a trained network has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

EPSILON = 1e-5  # of batch and layer normalisation
IR_VERSION = 8  # what exporters wrote for opset 13 to 18; peers refuse one that is newer than themselves
NEW_IR_VERSION = 10  # from opset 21
BYTES_OF_A_CONSTANT = 1024  # above this an array is an initializer, below a Constant node, as exporters write it


class Graph:
    """A model while it grows.

    Args:
        opset: version of the operators, 13 or newer.
        seed: of the weights.
        folded: is a batch normalisation part of the convolution before it, as after an export, or a node of its own?
    """

    def __init__(self, name: str, opset: int = 17, seed: int = 0, folded: bool = True) -> None:
        self.name, self.opset, self.folded = name, opset, folded
        self.rng = np.random.default_rng(seed)
        self.channels: dict[str, int] = {}  # extent of axis 1, or of the last axis of a row of features
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    # ---- values
    def input(self, name: str, dims: Sequence[int | str], type_: int = TensorProto.FLOAT) -> str:
        """An input; an extent that is a str is dynamic and has that name."""
        self._inputs.append(helper.make_tensor_value_info(name, type_, dims))
        if len(dims) == 4:
            self.channels[name] = dims[1]
        return name

    def output(self, value: str, name: str, dims: Sequence[int | str], type_: int = TensorProto.FLOAT) -> None:
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, type_, dims))

    def weight(self, array: np.ndarray) -> str:
        """An initializer."""
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def constant(self, content: object, dtype: type = np.int64) -> str:
        """A small constant as a node, a large one as an initializer."""
        array = np.asarray(content, dtype)
        if array.nbytes > BYTES_OF_A_CONSTANT:
            return self.weight(array)
        return self.op("Constant", value=numpy_helper.from_array(array))

    def random(self, *dims: int, std: float = 1.0) -> np.ndarray:
        return self.rng.standard_normal(dims, dtype=np.float32) * np.float32(std)

    def op(self, op_type: str, *inputs: str, n_outputs: int = 1, **attrs: object) -> str | list[str]:
        """A node; its output, or a list of them if `n_outputs` is given. An input "" is left out."""
        name = f"{op_type}_{len(self._nodes)}"
        outputs = [name] if n_outputs == 1 else [f"{name}_{index}" for index in range(n_outputs)]
        self._nodes.append(helper.make_node(op_type, inputs, outputs, name=name, **attrs))
        if inputs and inputs[0] in self.channels:
            self.channels.update(dict.fromkeys(outputs, self.channels[inputs[0]]))
        return name if n_outputs == 1 else outputs

    # ---- layers with weights
    def conv(
        self,
        x: str,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        gain: float = 2.0,
        bias: float | np.ndarray | None = None,
        normalized: bool = False,
        pad: int | None = None,
        rank: int = 2,
    ) -> str:
        """Convolution. `gain` is the variance of y over that of x, before a ReLU 2.

        Args:
            bias: one number or one per channel; None for small random ones.
            normalized: is a batch normalisation behind it?
            pad: at each side; None keeps the extents at stride 1.
            rank: number of spatial axes.
        """
        fan_in, pad = self.channels[x] // groups, kernel // 2 if pad is None else pad
        w = self.random(channels, fan_in, *[kernel] * rank, std=(gain / (fan_in * kernel**rank)) ** 0.5)
        attrs = dict(kernel_shape=[kernel] * rank, strides=[stride] * rank, group=groups, pads=[pad] * 2 * rank)
        return self._convolve("Conv", x, w, 0, channels, bias, normalized, attrs)

    def deconv(
        self,
        x: str,
        channels: int,
        kernel: int,
        stride: int,
        pad: int = 0,
        gain: float = 2.0,
        bias: float | None = None,
        normalized: bool = False,
    ) -> str:
        """Transposed convolution; see `conv`. Every output sees (kernel / stride)^2 taps."""
        taps = max(1.0, kernel / stride) ** 2
        w = self.random(self.channels[x], channels, kernel, kernel, std=(gain / (self.channels[x] * taps)) ** 0.5)
        attrs = dict(kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)
        return self._convolve("ConvTranspose", x, w, 1, channels, bias, normalized, attrs)

    def _convolve(self, op_type, x, w, channel_axis, channels, bias, normalized, attrs) -> str:
        if normalized:
            statistics = self._statistics(channels)
            if not self.folded:
                y = self._with_channels(self.op(op_type, x, self.weight(w), **attrs), channels)
                return self._batch_norm(y, *statistics)
            scale, shift, mean, variance = statistics
            factor = scale / np.sqrt(variance + np.float32(EPSILON))
            shape = [1] * w.ndim
            shape[channel_axis] = -1
            w, b = w * factor.reshape(shape), shift - mean * factor
        else:
            b = self.random(channels, std=0.1) if bias is None else np.broadcast_to(np.float32(bias), (channels,))
        y = self.op(op_type, x, self.weight(w), self.weight(b), **attrs)
        return self._with_channels(y, channels)

    def _statistics(self, channels: int) -> tuple[np.ndarray, ...]:
        """Scale, shift, mean and variance of a batch normalisation."""
        scale, variance = (self.rng.uniform(0.8, 1.2, channels).astype(np.float32) for _ in range(2))
        return scale, self.random(channels, std=0.1), self.random(channels, std=0.1), variance

    def _batch_norm(self, x: str, *statistics: np.ndarray) -> str:
        return self.op("BatchNormalization", x, *map(self.weight, statistics), epsilon=EPSILON)

    def _with_channels(self, value: str, channels: int) -> str:
        self.channels[value] = channels
        return value

    def gemm(self, x: str, features: int, gain: float = 1.0) -> str:
        """x @ w^T + b with x of two dimensions, as PyTorch's Linear there."""
        fan_in = self.channels[x]
        w, b = self.random(features, fan_in, std=(gain / fan_in) ** 0.5), self.random(features, std=0.1)
        return self._with_channels(self.op("Gemm", x, self.weight(w), self.weight(b), transB=1), features)

    def linear(self, x: str, features: int, gain: float = 1.0, biased: bool = True) -> str:
        """x @ w + b with x of more dimensions: MatMul and Add, as PyTorch's Linear there."""
        fan_in = self.channels[x]
        w, b = self.random(fan_in, features, std=(gain / fan_in) ** 0.5), self.random(features, std=0.1)
        y = self._with_channels(self.op("MatMul", x, self.weight(w)), features)
        return self._with_channels(self.op("Add", self.weight(b), y), features) if biased else y

    # ---- operators that changed with the opsets, and pairs of them
    def relu(self, x: str) -> str:
        return self.op("Relu", x)

    def relu6(self, x: str) -> str:
        return self.op("Clip", x, self.constant(0, np.float32), self.constant(6, np.float32))

    def swish(self, x: str) -> str:
        return self.op("Mul", x, self.op("Sigmoid", x))

    def concat(self, values: Sequence[str], axis: int = 1) -> str:
        y = self.op("Concat", *values, axis=axis)
        if axis == 1 and all(value in self.channels for value in values):
            self.channels[y] = sum(self.channels[value] for value in values)
        return y

    def split(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        return self.op("Split", x, self.constant(sizes), n_outputs=len(sizes), axis=axis)

    def reduce_mean(self, x: str, axes: Sequence[int], keepdims: int = 1) -> str:
        if self.opset < 18:
            return self.op("ReduceMean", x, axes=list(axes), keepdims=keepdims)
        return self.op("ReduceMean", x, self.constant(list(axes)), keepdims=keepdims)

    def unsqueeze(self, x: str, axis: int) -> str:
        return self.op("Unsqueeze", x, self.constant([axis]))

    def extent(self, x: str, axis: int) -> str:
        """Extent of an axis as one element of a shape: how exporters write x.size(axis)."""
        return self.unsqueeze(self.op("Gather", self.op("Shape", x), self.constant(axis), axis=0), 0)

    def reshape(self, x: str, *extents: int | str) -> str:
        """To these extents; a str is a value with one element, as `extent` gives it."""
        if all(isinstance(extent, int) for extent in extents):
            return self.op("Reshape", x, self.constant(extents))
        parts = [extent if isinstance(extent, str) else self.constant([extent]) for extent in extents]
        return self.op("Reshape", x, self.op("Concat", *parts, axis=0))

    def sized(self, batch: int | str, x: str) -> int | str:
        """The first extent for a view of x: the number if it is known, else a value that is read from x."""
        return batch if isinstance(batch, int) else self.extent(x, 0)

    def transpose(self, x: str, *perm: int, channels: int | None = None) -> str:
        """`channels`: the new extent of axis 1, or of the last axis of a row of features."""
        y = self.op("Transpose", x, perm=perm)
        return y if channels is None else self._with_channels(y, channels)

    def view(self, x: str, *extents: int | str, channels: int | None = None) -> str:
        """`reshape`; see `transpose` for `channels`."""
        y = self.reshape(x, *extents)
        return y if channels is None else self._with_channels(y, channels)

    def slice(self, x: str, start: int, stop: int | str, axis: int, step: int = 1) -> str:
        """x[start:stop:step] on an axis, as PyTorch writes it: one Slice for each axis."""
        stop = stop if isinstance(stop, str) else self.constant([stop])
        return self.op("Slice", x, self.constant([start]), stop, self.constant([axis]), self.constant([step]))

    def layer_norm(self, x: str) -> str:
        """Over the last axis: one node from opset 17, before that the nodes that it was made of."""
        features = self.channels[x]
        scale = self.weight(1 + self.random(features, std=0.1))
        shift = self.weight(self.random(features, std=0.1))
        if self.opset >= 17:
            return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=EPSILON)
        centred = self.op("Sub", x, self.reduce_mean(x, [-1]))
        variance = self.reduce_mean(self.op("Pow", centred, self.constant(2, np.float32)), [-1])
        deviation = self.op("Sqrt", self.op("Add", variance, self.constant(EPSILON, np.float32)))
        return self.op("Add", self.op("Mul", self.op("Div", centred, deviation), scale), shift)

    def gelu(self, x: str) -> str:
        """0.5 x (1 + erf(x / sqrt 2))"""
        root, one, half = (self.constant(value, np.float32) for value in (2**0.5, 1, 0.5))
        y = self.op("Add", self.op("Erf", self.op("Div", x, root)), one)
        return self.op("Mul", self.op("Mul", x, y), half)

    def gelu_by_tanh(self, x: str) -> str:
        """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))"""
        half, three, factor, root, one = (
            self.constant(value, np.float32) for value in (0.5, 3, 0.044715, (2 / np.pi) ** 0.5, 1)
        )
        inner = self.op("Add", x, self.op("Mul", self.op("Pow", x, three), factor))
        y = self.op("Add", self.op("Tanh", self.op("Mul", inner, root)), one)
        return self.op("Mul", self.op("Mul", x, half), y)

    # ---- the result
    def model(self) -> onnx.ModelProto:
        """The model, checked."""
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, self._weights)
        version = IR_VERSION if self.opset < 21 else NEW_IR_VERSION
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=version)
        onnx.checker.check_model(model)
        return model

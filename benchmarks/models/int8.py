"""INT8 forms of a float model: Q/DQ as static quantisers write it, and dynamic quantisation of its matrix products.

Both follow what `onnxruntime.quantization` writes. Scales are those of values near 1, which our models have: nothing is
calibrated. They differ from tensor to tensor, as calibrated ones do, and so do their zero points.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from bert import bert_base
from mobilenet import mobilenetv2
from onnx import TensorProto, helper, numpy_helper
from resnet import resnet50

FROM_ZERO = 5.0  # largest value behind an activation
BELOW, ABOVE = 4.2, 4.8  # smallest and largest elsewhere
SPREAD = 0.1  # scales differ by this share
ACTIVATIONS = ("Relu", "Clip")  # a range that starts at 0 says the same
KEEPING = ("MaxPool", "GlobalAveragePool", "Flatten")  # these keep the scale


class _Rewrite:
    """The nodes and initializers of a model while they are replaced."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        graph = self.model.graph
        self.rng = np.random.default_rng(0)
        self.arrays = {entry.name: entry for entry in graph.initializer}
        self.source = {output: node for node in graph.node for output in node.output}
        self.uses: dict[str, int] = {}
        for node in graph.node:
            for name in node.input:
                self.uses[name] = self.uses.get(name, 0) + 1
        self.nodes: list[onnx.NodeProto] = []
        self.added: list[onnx.TensorProto] = []

    def node(self, op_type: str, inputs: list[str], output: str, **attrs: object) -> str:
        self.nodes.append(helper.make_node(op_type, inputs, [output], name=output, **attrs))
        return output

    def array(self, content: object, dtype: type, name: str) -> str:
        self.added.append(numpy_helper.from_array(np.asarray(content, dtype), name))
        return name

    def weights(self, name: str) -> np.ndarray | None:
        return numpy_helper.to_array(self.arrays[name]) if name in self.arrays else None

    def finished(self) -> onnx.ModelProto:
        graph, used = self.model.graph, {name for node in self.nodes for name in node.input}
        self.nodes = [node for node in self.nodes if node.op_type != "Constant" or node.output[0] in used]
        kept = [entry for entry in [*graph.initializer, *self.added] if entry.name in used]
        for field, content in ((graph.node, self.nodes), (graph.initializer, kept)):
            del field[:]
            field.extend(content)
        onnx.checker.check_model(self.model)
        return self.model


def per_channel(w: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """int8 values, symmetric, and the scale of each channel of `axis`."""
    others = tuple(index for index in range(w.ndim) if index != axis)
    scale = np.abs(w).max(others, keepdims=True) / np.float32(127)
    return np.clip(np.rint(w / scale), -127, 127).astype(np.int8), scale.astype(np.float32).reshape(-1)


class _Static(_Rewrite):
    """Q and DQ around everything: uint8 activations with zero points, int8 weights with a scale for each channel."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__(model)
        self.known: dict[str, str] = {}  # what DequantizeLinear gives of each
        self.scales: dict[str, tuple[float, int]] = {}  # and zero points
        self.renamed: dict[str, str] = {}  # results of activations that the range of their input expresses
        self.activated = {
            n.input[0] for n in model.graph.node if n.op_type in ACTIVATIONS if self.uses[n.input[0]] == 1
        }

    def run(self) -> onnx.ModelProto:
        for node in self.model.graph.node:
            if node.op_type == "Identity":
                self.node("Identity", [self.known[self.original(node.input[0])]], node.output[0])
            elif node.op_type in ACTIVATIONS and node.input[0] in self.activated:
                self.renamed[node.output[0]] = node.input[0]
            elif node.op_type == "Constant":
                self.nodes.append(node)
            else:
                self.layer(node)
        return self.finished()

    def original(self, name: str) -> str:
        return self.renamed.get(name, name)

    def layer(self, node: onnx.NodeProto) -> None:
        first = self.quantised(self.original(node.input[0]))
        inputs = [first, *(self.quantised(self.original(name)) for name in node.input[1:] if name not in self.arrays)]
        if len(node.input) > 1 and node.input[1] in self.arrays:
            inputs += self.parameters(node)
        self.nodes.append(helper.make_node(node.op_type, inputs, node.output, name=node.name))
        self.nodes[-1].attribute.extend(node.attribute)
        self.quantised(node.output[0])

    def parameters(self, node: onnx.NodeProto) -> Iterator[str]:
        """Weights and bias of Conv or Gemm, whose channels are axis 0."""
        name, bias = node.input[1], node.input[2]
        values, scales = per_channel(self.weights(name), 0)
        yield self.dequantised(values, scales, name)
        scales = scales * np.float32(self.scales[self.original(node.input[0])][0])
        yield self.dequantised(np.rint(self.weights(bias) / scales).astype(np.int32), scales, bias)

    def dequantised(self, values: np.ndarray, scales: np.ndarray, name: str) -> str:
        inputs = [
            self.array(values, values.dtype, f"{name}_quantized"),
            self.array(scales, np.float32, f"{name}_scale"),
        ]
        inputs.append(self.array(np.zeros(len(scales)), values.dtype, f"{name}_zero_point"))
        return self.node("DequantizeLinear", inputs, f"{name}_DequantizeLinear_Output", axis=0)

    def quantised(self, name: str) -> str:
        """The tensor behind its Q and DQ, which are made once."""
        if name in self.known:
            return self.known[name]
        low, high = self.range_of(name)
        scale = (high - low) / 255
        self.scales[name] = scale, round(-low / scale)
        parameters = [self.array(scale, np.float32, f"{name}_scale")]
        parameters.append(self.array(self.scales[name][1], np.uint8, f"{name}_zero_point"))
        y = self.node("QuantizeLinear", [name, *parameters], f"{name}_QuantizeLinear_Output")
        y = self.node("DequantizeLinear", [y, *parameters], f"{name}_DequantizeLinear_Output")
        self.known[name] = y
        return y

    def range_of(self, name: str) -> tuple[float, float]:
        """Lowest and highest value: from 0 in front of an activation, and as before it behind a pool or a view."""
        source = self.source.get(name)
        if source is not None and source.op_type in KEEPING:
            scale, zero_point = self.scales[self.original(source.input[0])]
            return -zero_point * scale, (255 - zero_point) * scale
        share = float(self.rng.uniform(1 - SPREAD, 1 + SPREAD))
        return (0.0, FROM_ZERO * share) if name in self.activated else (-BELOW * share, ABOVE * share)


class _Dynamic(_Rewrite):
    """MatMul and Gemm with constant weights: DynamicQuantizeLinear, MatMulInteger, and what undoes the scales."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__(model)
        self.known: set[str] = set()

    def run(self) -> onnx.ModelProto:
        for node in self.model.graph.node:
            if node.op_type in ("MatMul", "Gemm") and node.input[1] in self.arrays:
                self.product(node)
            else:
                self.nodes.append(node)
        return self.finished()

    def product(self, node: onnx.NodeProto) -> None:
        x, name, y = node.input[0], node.input[1], node.output[0]
        w = self.weights(name)
        w = w.T if node.op_type == "Gemm" else w
        values, scales = per_channel(w, 1)
        parts = [f"{x}_quantized", f"{x}_scale", f"{x}_zero_point"]
        if x not in self.known:
            self.known.add(x)
            self.nodes.append(helper.make_node("DynamicQuantizeLinear", [x], parts, name=f"{x}_QuantizeLinear"))
        zero = self.array(np.zeros(len(scales)), np.int8, f"{name}_zero_point")
        inputs = [parts[0], self.array(values, np.int8, f"{name}_quantized"), parts[2], zero]
        total = self.node("MatMulInteger", inputs, f"{y}_output_quantized")
        total = self.node("Cast", [total], f"{y}_cast", to=TensorProto.FLOAT)
        both = self.node("Mul", [parts[1], self.array(scales, np.float32, f"{name}_scale")], f"{y}_scales")
        has_bias = node.op_type == "Gemm"
        result = self.node("Mul", [total, both], f"{y}_product" if has_bias else y)
        if has_bias:
            self.node("Add", [result, node.input[2]], y)


def quantize_statically(model: onnx.ModelProto) -> onnx.ModelProto:
    """A network of convolutions as Q/DQ."""
    return _Static(model).run()


def quantize_dynamically(model: onnx.ModelProto) -> onnx.ModelProto:
    """The products with constant weights in INT8, the rest as it is."""
    return _Dynamic(model).run()


def resnet50_int8(**given: Any) -> onnx.ModelProto:
    return quantize_statically(resnet50(**given))


def mobilenetv2_int8(**given: Any) -> onnx.ModelProto:
    return quantize_statically(mobilenetv2(**given))


def bert_int8(**given: Any) -> onnx.ModelProto:
    return quantize_dynamically(bert_base(**given))

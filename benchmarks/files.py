"""Models from files that were not written for a benchmark: extents that they leave open, and random inputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

PIXELS = 224  # in each spatial axis of a picture
LENGTH = 64  # on every other axis but the first
MOST = 1000  # indices stay below this, and below what they index
SMALL = 2  # integers whose use is not known stay below this, as types of tokens and masks do
INTEGER_OPS = (
    "QuantizeLinear",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "ConvInteger",
    "QLinearConv",
    "QLinearMatMul",
)
FREE_INITIALIZERS = 4  # from this version of the format on, an initializer needs not be an input
KEEPING = ("Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Transpose")  # indices through these


def precision(model: onnx.ModelProto) -> str:
    """What the figures are computed in, by the nodes and the weights of the file."""
    if any(node.op_type in INTEGER_OPS for node in model.graph.node):
        return "int8"
    halves = any(entry.data_type == onnx.TensorProto.FLOAT16 for entry in model.graph.initializer)
    return "fp16" if halves else "fp32"


def static(model: onnx.ModelProto, extents: Mapping[str, int]) -> onnx.ModelProto:
    """The model with every extent of its inputs set: as `extents` says by name, else 1 for the batch and what is usual.

    Initializers that are listed among the inputs, as older exporters write them, are taken off that list.
    """
    given = {entry.name for entry in model.graph.initializer}
    found = [entry for entry in model.graph.input if entry.name not in given]
    for entry in found:
        dims = entry.type.tensor_type.shape.dim
        for axis, dim in enumerate(dims):
            if dim.dim_param in extents:
                dim.dim_value = extents[dim.dim_param]
            elif not dim.dim_value:
                dim.dim_value = 1 if axis == 0 else PIXELS if len(dims) == 4 and axis > 1 else LENGTH
    kept = onnx.ModelProto()
    kept.graph.input.extend(found)
    del model.graph.input[:]
    model.graph.input.extend(kept.graph.input)
    model.ir_version = max(model.ir_version, FREE_INITIALIZERS)
    return model


def feeds(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Random inputs, the same every time: normal, any bytes, and integers that are valid where they are indices."""
    rng, below, found = np.random.default_rng(1), _limits(model), {}
    for entry in model.graph.input:
        type_ = entry.type.tensor_type
        dims = [dim.dim_value for dim in type_.shape.dim]
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(type_.elem_type))
        if dtype.kind == "f":
            content = rng.standard_normal(dims, dtype=np.float32)
        elif dtype == np.bool_:
            content = rng.integers(0, 2, dims)
        elif dtype.itemsize == 1:
            content = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, dims)
        else:
            content = rng.integers(0, below.get(entry.name, SMALL), dims)
        found[entry.name] = np.asarray(content).astype(dtype)
    return found


def _limits(model: onnx.ModelProto) -> dict[str, int]:
    """By input: what its values have to stay below, since they choose rows of a weight."""
    weights = {entry.name: entry.dims for entry in model.graph.initializer}
    source = {entry.name: entry.name for entry in model.graph.input}
    below: dict[str, int] = {}
    for node in model.graph.node:
        if node.op_type in KEEPING and node.input[0] in source:
            source[node.output[0]] = source[node.input[0]]
        elif node.op_type == "Gather" and node.input[1] in source and weights.get(node.input[0]):
            axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
            name = source[node.input[1]]
            below[name] = min(below.get(name, MOST), weights[node.input[0]][axis])
    return below

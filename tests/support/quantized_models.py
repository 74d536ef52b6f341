"""Models with quantise and dequantise nodes, what passes make of them, and what they compute."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx_models import parsed

import dovetail as trt


class Model:
    """A model that is written node by node. Names of tensors are those of the nodes that make them."""

    def __init__(self, seed=0):
        self.nodes, self.known, self.inputs, self.outputs = [], [], [], []
        self.rng = np.random.default_rng(seed)

    def constant(self, array):
        name = f"constant {len(self.known)}"
        self.known.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def input(self, name, dims):
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))
        return name

    def add(self, op, *inputs, **attrs):
        name = f"{op} {len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name, **attrs))
        return name

    def quantize(self, x, scale, zero):
        return self.add("QuantizeLinear", x, self.constant(np.float32(scale)), self.constant(zero))

    def dequantize(self, x, scale, zero, **attrs):
        return self.add("DequantizeLinear", x, self.constant(np.float32(scale)), self.constant(zero), **attrs)

    def through(self, x, scale, zero):
        return self.dequantize(self.quantize(x, scale, zero), scale, zero)

    def weights(self, dims, axis=None, zero=0, dtype=np.int8):
        """Random ones, with a scale for each element of an axis if one is given."""
        info = np.iinfo(dtype)
        stored = self.constant(self.rng.integers(info.min, info.max + 1, dims).astype(dtype))
        if axis is None:
            return self.dequantize(stored, 0.01, dtype(zero))
        scales = self.rng.uniform(0.005, 0.02, dims[axis])
        return self.dequantize(stored, scales, np.full(dims[axis], zero, dtype), axis=axis)

    def bias(self, n):
        stored = self.constant(self.rng.integers(-5000, 5000, n).astype(np.int32))
        return self.dequantize(stored, 0.0005, np.int32(0))

    def output(self, *names):
        self.outputs += [helper.make_tensor_value_info(name, 0, None) for name in names]

    def made(self):
        graph = helper.make_graph(self.nodes, "graph", self.inputs, self.outputs, self.known)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def ops_after(graph_after, name, model, precision=None, pins=()):
    """Names of the ops of a model's layers, which have this precision, after the pass. Pins are of layers by name."""
    builder, network, errors = parsed(model.made())
    assert not errors, errors
    config = builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    for layer in network if precision is not None else ():
        layer.precision = precision
    for pinned in pins:
        config.pin_implementation(pinned, "#cpu")
    return [layer.spec.name for layer in graph_after(name, network, config).layers]


def run(model, unchanged=False, level=0, **feeds):
    """Outputs; `unchanged`: with the layers as the model has them."""
    builder, network, errors = parsed(model.made())
    assert not errors, errors
    config = builder.create_builder_config()
    config.default_device_type, config.builder_optimization_level = trt.DeviceType.CPU, level
    if unchanged:
        for layer in network:
            layer.precision = trt.float32
    plan = builder.build_serialized_network(network, config)
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    return [np.array(array) for array in context.run(feeds).values()]


def near(model, x, step, level=0):
    """The same as without the pass, but for numbers in the middle of two steps."""
    got, wanted = run(model, level=level, x=x)[0], run(model, unchanged=True, x=x)[0]
    off = np.abs(got.astype(np.float64) - wanted)
    assert off.max() <= step * 1.001
    assert (off > step * 0.001).mean() < 0.01

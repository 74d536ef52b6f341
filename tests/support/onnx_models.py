"""Small ONNX models, and what the parser makes of them."""

import numpy as np
from onnx import helper, numpy_helper

import dovetail as trt


def model_of(nodes, inputs, outputs=("y",), weights=None, opset=21):
    """A model of nodes (op, inputs, outputs, attributes), each of which has the name of its first output."""
    graph = helper.make_graph(
        [helper.make_node(op, list(given), list(made), name=made[0], **attrs) for op, given, made, attrs in nodes],
        "graph",
        inputs,
        [helper.make_tensor_value_info(name, 0, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def parsed(model):
    """The builder, the network and the texts of all errors."""
    builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR))
    network = builder.create_network()
    parser = trt.OnnxParser(network, trt.Logger(trt.Logger.INTERNAL_ERROR))
    parser.parse(model.SerializeToString())
    return builder, network, [str(parser.get_error(index)) for index in range(parser.num_errors)]

"""Models of one ONNX operator: what dovetail computes of them, and ONNX Runtime where it is installed."""

import numpy as np
import onnxruntime_peer
import pytest
from onnx import helper, numpy_helper
from onnx_models import parsed

import dovetail as trt

CARRIED = {np.uint16: np.int32, np.int16: np.int32, np.float64: np.float32}  # types that networks have not
MICROSOFT = "com.microsoft"


def one_node(op, inputs, outputs=("y",), known=(), domain=MICROSOFT, main=21, version=1, dims=None, **attrs):
    """A model of one node.

    `inputs` are arrays by name, in the operator's order; None is an absent one. Those in `known` are initializers;
    "*" is all but the first. `dims` are declared extents of inputs that have others than their arrays.
    """
    if known == "*":
        known = list(inputs)[1:]
    here = {name: np.asarray(array) for name, array in inputs.items() if array is not None}
    given = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), (dims or {}).get(name, array.shape)
        )
        for name, array in here.items()
        if name not in known
    ]
    names = [name if array is not None else "" for name, array in inputs.items()]
    while names and not names[-1]:
        names.pop()
    graph = helper.make_graph(
        [helper.make_node(op, names, list(outputs), "here", domain=domain, **attrs)],
        "graph",
        given,
        [helper.make_tensor_value_info(name, 0, None) for name in outputs if name],
        [numpy_helper.from_array(here[name], name) for name in known if name in here],
    )
    imports = [helper.make_opsetid("", main), *([helper.make_opsetid(domain, version)] if domain else [])]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def feeds_of(model, inputs):
    """The arrays that are inputs of the model."""
    return {entry.name: np.asarray(inputs[entry.name]) for entry in model.graph.input}


def computed(model, inputs, shapes=None):
    """All outputs by name. `shapes` are (least, most) dims of inputs that have unknown extents."""
    builder, network, errors = parsed(model)
    assert not errors, errors
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    config.builder_optimization_level = 0
    for name, (least, most) in (shapes or {}).items():
        profile.set_shape(name, least, most, most)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    feeds = {
        name: array.astype(CARRIED.get(array.dtype.type, array.dtype))
        for name, array in feeds_of(model, inputs).items()
    }
    return {name: np.asarray(array) for name, array in context.run(feeds).items()}


def by_onnxruntime(model, inputs):
    """The same by ONNX Runtime on the CPU. Skips where it is not installed, lacks the operator, or crashes."""
    pytest.importorskip("onnxruntime")
    untyped = type(model)()
    untyped.CopyFrom(model)
    for entry in untyped.graph.output:
        entry.ClearField("type")
    try:
        arrays = onnxruntime_peer.outputs_of(untyped.SerializeToString(), feeds_of(model, inputs))
    except onnxruntime_peer.Crashed as error:
        pytest.skip(str(error))
    except RuntimeError as error:
        if "NOT_IMPLEMENTED" in str(error) or "Could not find an implementation" in str(error):
            pytest.skip(f"ONNX Runtime has no kernel: {str(error)[:90]}")
        raise
    return dict(zip((entry.name for entry in model.graph.output), arrays, strict=True))


def error_of(model):
    """The text of the only error."""
    (text,) = parsed(model)[2]
    return text

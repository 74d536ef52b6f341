"""Shrunken versions of real models (benchmarks/models), with static and with dynamic extents, against a peer.

The peer is ONNX Runtime where it is installed, else the reference evaluator of the package onnx.
"""

import functools
import importlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import dovetail as trt

pytest.importorskip("onnx")
FOLDER = Path(__file__).parents[1] / "benchmarks" / "models"
BATCHES = (1, 2, 5)
SEQUENCES = (17, 8, 32)
IN_PIXELS = ("boxes", "predictions")


@functools.cache
def module(name):
    """A module of benchmarks/models; those beside it are imported by their bare names."""
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))


catalog = functools.partial(module, "catalog")
MODELS, FLOAT32, LAYERS = catalog().MODELS, catalog().FLOAT32, module("single_layers").LAYERS


def engine_of(model, shapes=None):
    """An engine that is built for the CPU without measuring; `shapes` has (min, opt, max) by input."""
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network, config = builder.create_network(), builder.create_builder_config()
    parser = trt.OnnxParser(network, trt.Logger(trt.Logger.INTERNAL_ERROR))
    assert parser.parse(model.SerializeToString()), [str(parser.get_error(i)) for i in range(parser.num_errors)]
    config.builder_optimization_level = 0
    if shapes:
        profile = builder.create_optimization_profile()
        for name, (low, likely, high) in shapes.items():
            profile.set_shape(name, low, likely, high)
        config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    return trt.Runtime(builder.logger).deserialize_cuda_engine(plan)


def peer_of(model):
    """A function: inputs -> outputs by name."""
    names = [output.name for output in model.graph.output]
    if importlib.util.find_spec("onnxruntime"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        run = session.run
    else:
        run = reference_of(model).run
    return lambda inputs: dict(zip(names, run(None, inputs), strict=True))


def reference_of(model):
    """The evaluator of the package onnx, corrected.

    It takes BatchNormalization before opset 14 for training, and has QuantizeLinear and DequantizeLinear from opset 19
    on only, where they compute what they do before.
    """
    from onnx import ModelProto
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun

    class BatchNormalization(OpRun):
        op_domain = ""

        def _run(self, x, scale, bias, mean, variance, epsilon=None, **unused):
            column = (1, -1) + (1,) * (x.ndim - 2)
            factor = scale / np.sqrt(variance + np.float32(epsilon))
            return ((x - mean.reshape(column)) * factor.reshape(column) + bias.reshape(column),)

    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        newer = ModelProto()
        newer.CopyFrom(model)
        newer.opset_import[0].version = max(19, model.opset_import[0].version)
        model = newer
    return ReferenceEvaluator(model, new_ops=[BatchNormalization])


def check(results, expected, tolerance=FLOAT32):
    for name, wanted in expected.items():
        assert results[name].shape == wanted.shape, name
        assert results[name].dtype == wanted.dtype, name
        scale = float(np.abs(wanted).max()) if wanted.size and wanted.dtype.kind == "f" else 0.0
        np.testing.assert_allclose(results[name], wanted, rtol=0, atol=tolerance * scale, err_msg=name)


@pytest.mark.parametrize("name", MODELS)
def test_a_static_model(name):
    model = MODELS[name].make(1 if MODELS[name].is_single else 2, is_small=True)
    inputs = catalog().feeds(model)
    results = engine_of(model).create_execution_context().run(inputs)
    check(results, peer_of(model)(inputs), MODELS[name].tolerance)


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if not model.is_single])
def test_a_dynamic_model(name):
    model = MODELS[name].make("dynamic", is_small=True)
    cases = [catalog().feeds(model, *case) for case in zip(BATCHES, SEQUENCES, strict=True)]
    shapes = {key: [array.shape for array in (case[key] for case in cases)] for key in cases[0]}
    ranges = {key: (tuple(map(min, *found)), found[0], tuple(map(max, *found))) for key, found in shapes.items()}
    context, peer = engine_of(model, ranges).create_execution_context(), peer_of(model)
    for inputs in cases:
        check(context.run(inputs), peer(inputs), MODELS[name].tolerance)


@pytest.mark.parametrize("name", LAYERS)
def test_a_single_layer(name):
    layer = LAYERS[name]
    model = layer.make(1, is_small=True)
    inputs = catalog().feeds(model)
    check(engine_of(model).create_execution_context().run(inputs), peer_of(model)(inputs), layer.tolerance)


@pytest.mark.parametrize("name", ["bert-base", "yolo", "efficientnet-b0"])
@pytest.mark.parametrize("opset", [13, 18, 21])
def test_a_model_in_other_opsets(name, opset):
    model = MODELS[name].make(1, is_small=True, opset=opset)
    inputs = catalog().feeds(model)
    check(engine_of(model).create_execution_context().run(inputs), peer_of(model)(inputs))


@pytest.mark.parametrize("name", MODELS)
def test_activations_stay_near_one(name):
    """Errors of a model whose values grow or fade from layer to layer would say little."""
    model = MODELS[name].make(1, is_small=True)
    for name, values in peer_of(model)(catalog().feeds(model)).items():
        if values.dtype.kind == "f" and name not in IN_PIXELS:
            assert 0.05 < float(values.std()) < 20, name

"""Shrunken models as onnxruntime's optimiser and quantiser rewrite them, against ONNX Runtime itself."""

import importlib
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import dovetail as trt
from dovetail.machine.onnx import OnnxParser

runtime = pytest.importorskip("onnxruntime")
FOLDER = Path(__file__).parents[1] / "benchmarks" / "models"
SEQUENCE = 17


@pytest.fixture(scope="module")
def catalog():
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module("catalog")
    finally:
        sys.path.remove(str(FOLDER))


def session(path, level, written=None):
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = level
    if written is not None:
        options.optimized_model_filepath = str(written)
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def optimised(source, folder, inputs):
    session(source, runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED, folder / "optimised.onnx")
    return folder / "optimised.onnx"


def quantised_dynamically(source, folder, inputs):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(source), str(folder / "dynamic.onnx"), weight_type=QuantType.QInt8)
    return optimised(folder / "dynamic.onnx", folder, inputs)


def quantised(source, folder, inputs, layout="QOperator"):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Once(CalibrationDataReader):
        feeds = iter([inputs])

        def get_next(self):
            return next(self.feeds, None)

    path = folder / f"{layout}.onnx"
    quantize_static(str(source), str(path), Once(), quant_format=QuantFormat[layout], per_channel=True)
    return path


def quantised_and_optimised(source, folder, inputs):
    return optimised(quantised(source, folder, inputs, "QDQ"), folder, inputs)


def ours(path, inputs):
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network, config, profile = builder.create_network(), builder.create_builder_config(), None
    parser = OnnxParser(network, trt.Logger(trt.Logger.ERROR))
    parsed = parser.parse_from_file(str(path))
    assert parsed, [str(parser.get_error(index)) for index in range(parser.num_errors)]
    config.default_device_type, config.builder_optimization_level = trt.DeviceType.CPU, 0
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        if -1 in tensor.shape:
            profile.set_shape(tensor.name, *[inputs[tensor.name].shape] * 3)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    return trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context().run(inputs)


WAYS = [optimised, quantised_dynamically, quantised, quantised_and_optimised]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("name", ["resnet50", "mobilenetv2", "efficientnet-b0", "bert-base", "unet"])
def test_rewritten_models(catalog, name, way, tmp_path):
    model = catalog.MODELS[name].make("dynamic", is_small=True)
    inputs = catalog.feeds(model, 2, SEQUENCE)
    onnx.save(model, tmp_path / "model.onnx")
    path = way(tmp_path / "model.onnx", tmp_path, inputs)
    theirs = session(path, runtime.GraphOptimizationLevel.ORT_DISABLE_ALL)
    got = ours(path, inputs)
    for entry, wanted in zip(theirs.get_outputs(), theirs.run(None, inputs), strict=True):
        # What is quantised on the way may fall to either side of a tie: a step of 1/256 of the largest value.
        tolerance = (1e-5 if way is optimised else 1 / 128) * np.abs(wanted).max()
        np.testing.assert_allclose(np.asarray(got[entry.name]), wanted, rtol=0, atol=tolerance)

"""The file of a plan: what is in it, and what tools find there."""

import json

import numpy as np
import pytest
from networks import convolution_chain, new_network
from safetensors.numpy import load

import dovetail as trt
from dovetail.core import errors
from dovetail.machine import report
from dovetail.machine.plan import read_plan, write_plan
from tests.runtime.plans import constants_of


def chain_of(n):
    builder, network, config = new_network()
    config.builder_optimization_level = 0
    y = network.add_input("x", trt.float32, (4,))
    for _ in range(n):
        y = network.add_activation(y, trt.ActivationType.RELU).get_output(0)
    y.name = "y"
    network.mark_output(y)
    return builder, network, config


def load_engine(plan):
    return trt.Runtime(trt.Logger(trt.Logger.INTERNAL_ERROR)).deserialize_cuda_engine(plan)


def without_report(plan):
    kept = {k: v for k, v in read_plan(plan).items() if k not in ("report", "constants", "version")}
    return write_plan(kept, constants_of(plan))


def test_a_plan_is_a_safetensors_file_with_aligned_constants():
    builder, network, config = convolution_chain(1)
    plan = builder.build_serialized_network(network, config)
    blobs = load(bytes(plan))
    document = read_plan(plan)
    assert {entry["name"] for entry in document["constants"] if "name" in entry} == set(blobs) - {"report"}
    assert json.loads(blobs["report"].tobytes()) == document["report"]
    assert all(blob.nbytes % 64 == 0 for blob in blobs.values())


def test_equal_constants_are_stored_once():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (2, 8))
    weights = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
    for index in range(3):
        w = network.add_constant((8, 8), weights.copy()).get_output(0)
        product = network.add_matrix_multiply(x, trt.MatrixOperation.NONE, w, trt.MatrixOperation.NONE).get_output(0)
        product.name = f"y{index}"
        network.mark_output(product)
    plan = builder.build_serialized_network(network, config)
    names = [entry["name"] for entry in read_plan(plan)["constants"] if "name" in entry]
    assert len(names) == len({bytes(blob) for name, blob in load(bytes(plan)).items() if name != "report"})


def test_a_plan_without_a_report_loads_and_says_that_it_has_none():
    builder, network, config = convolution_chain(1)
    engine = load_engine(without_report(builder.build_serialized_network(network, config)))
    assert "has no build report" in engine.report()
    inspector = engine.create_engine_inspector()
    assert json.loads(inspector.get_engine_information(trt.LayerInformationFormat.JSON))["Layers"] == []
    with pytest.raises(errors.BindingError, match="the plan has no build report"):
        inspector.get_layer_information(0, trt.LayerInformationFormat.ONELINE)


def test_a_report_that_nobody_can_read_is_named():
    builder, network, config = convolution_chain(1)
    document = read_plan(builder.build_serialized_network(network, config))
    with pytest.raises(errors.PlanCorrupt, match="the build report of this plan cannot be read"):
        report.report_text({**document, "report": {"steps": [{"layer": 3}]}})


def test_the_inspector_names_the_layers_that_there_are():
    builder, network, config = convolution_chain(1)
    inspector = load_engine(builder.build_serialized_network(network, config)).create_engine_inspector()
    with pytest.raises(errors.BindingError, match="no layer 99") as raised:
        inspector.get_layer_information(99, trt.LayerInformationFormat.ONELINE)
    assert "layers  0.." in str(raised.value)


def test_a_report_that_is_too_long_is_cut_and_says_so():
    builder, network, config = convolution_chain(3)
    whole = read_plan(builder.build_serialized_network(network, config))["report"]

    def cut_to(max_bytes):
        text = report.report_json(whole, max_bytes)
        return len(text), json.loads(text)

    length, kept = cut_to(10**6)
    assert kept == whole
    shorter, without_refusals = cut_to(length - 1)
    assert shorter < length
    assert without_refusals["notes"][-1].startswith("what was refused is left out")
    assert not any(step["refused"] for step in without_refusals["steps"])
    least, without_losers = cut_to(shorter - 1)
    assert without_losers["notes"][-1].startswith("what was refused and what lost is left out")
    assert not any(step["lost"] for step in without_losers["steps"])
    _, without_layers = cut_to(least - 1)
    assert without_layers["notes"] == ["every layer is left out of this report: it would be too long for the plan"]


def test_thousands_of_layers_are_built_and_loaded():
    builder, network, config = chain_of(3000)
    config.allow_fusion = False
    engine = load_engine(builder.build_serialized_network(network, config))
    assert engine.num_layers == 3000
    y = engine.create_execution_context().run({"x": np.array([-1, 0, 1, 2], np.float32)})["y"]
    np.testing.assert_array_equal(y, [0, 0, 1, 2])


def test_bytes_with_gaps_are_no_plan():
    builder, network, config = chain_of(1)
    plan = bytes(builder.build_serialized_network(network, config))
    with trt.raise_on_error(True), pytest.raises(errors.DTypeError, match="gaps between them"):
        load_engine(memoryview(plan)[::2])
    with trt.raise_on_error(True), pytest.raises(errors.DTypeError, match="gaps between them"):
        read_plan(memoryview(plan)[::2])

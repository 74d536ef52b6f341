"""What a report is made from: the native engine, which has read the plan, or the document that tools read."""

import re
from dataclasses import replace

import numpy as np
import pytest
from networks import convolution_chain, new_network, profile_of

import dovetail as trt
from dovetail import _native
from dovetail.core.errors import DefinitionError, DTypeError
from dovetail.machine.plan import read_plan
from dovetail.machine.report import BuildReport, StepReport, facts_of_document, facts_of_engine, facts_text


def with_profiles():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (-1, 8))
    y = network.add_matrix_multiply(x, trt.MatrixOperation.NONE, x, trt.MatrixOperation.TRANSPOSE).get_output(0)
    network.mark_output(network.add_softmax(y).get_output(0))
    for most in (4, 64):
        profile_of(builder, config, x=((1, 8), (2, 8), (most, 8)))
    return builder, network, config


@pytest.mark.parametrize("make", [lambda: convolution_chain(3), with_profiles], ids=["static", "profiles"])
def test_the_engine_and_the_document_say_the_same(make):
    builder, network, config = make()
    plan = builder.build_serialized_network(network, config)
    of_engine, of_document = facts_of_engine(_native.Engine(plan)), facts_of_document(read_plan(plan))
    assert of_engine == of_document
    assert len(of_engine.steps) == of_engine.n_steps
    assert len(of_engine.arenas) == (2 if make is with_profiles else 1)
    assert facts_text(of_engine) == trt.build_report(plan)


@pytest.fixture
def facts():
    builder, network, config = convolution_chain(2)
    return facts_of_engine(_native.Engine(builder.build_serialized_network(network, config)))


def test_a_layer_has_a_page_of_its_own(facts):
    step = facts.steps[0]
    text = facts_text(facts, step.layer)
    assert text.startswith(f"{step.op} '{step.layer}' runs on the {step.device} by {step.runs_on}, ")
    assert all(f"lost     {loser}" in text for loser in step.lost)


def test_a_layer_in_a_group_is_found_by_its_own_name(facts):
    names = ["conv", "relu", "conv + relu6", "sum"]
    assert facts.report is not None
    step = replace(facts.steps[0], layer=" + ".join(names))
    grouped = replace(facts, report=replace(facts.report, steps=(step, *facts.steps[1:])))
    for name in names:
        assert facts_text(grouped, name).startswith(f"{step.op} 'conv + relu + conv + relu6 + sum' runs on")
    with pytest.raises(DefinitionError, match="has no layer 'elu'"):
        facts_text(grouped, "elu")


def test_a_layer_that_is_not_there_is_answered_with_the_nearest(facts):
    name = facts.steps[0].layer
    with pytest.raises(DefinitionError, match=re.escape(f"has no layer '{name}x'")) as error:
        facts_text(facts, f"{name}x")
    assert f"nearest  {name}, " in str(error.value)
    assert error.value.expected == [step.layer for step in facts.steps]
    with pytest.raises(DTypeError, match="the name of a layer cannot be 5"):
        facts_text(facts, 5)


def test_what_plans_of_earlier_versions_leave_out_has_a_default():
    step = dict(layer="a", op="A@1", runs_on="A@1#cpu", inputs=[], outputs=["f32"], time_ns=None, lost=[], refused=[])
    report = BuildReport.of({"steps": [step], "reformats": 0, "notes": []})
    assert report.copies == 0
    assert report.steps == (StepReport("a", "A@1", "A@1#cpu", "cpu", (), ("f32",), None, (), (), facts=step),)


def test_the_engine_answers_without_the_plans_text():
    """Names, extents, types, profiles and the number of layers come from what the native engine has read."""
    builder, network, config = with_profiles()
    engine = trt.Runtime(builder.logger).deserialize_cuda_engine(builder.build_serialized_network(network, config))
    asked = []

    class Native:
        def __init__(self, native):
            self.native = native

        def __getattr__(self, name):
            asked.append(name)
            return getattr(self.native, name)

    engine._engine = Native(engine._engine)
    assert engine.num_layers == 2
    assert engine.name == "unnamed"
    assert engine.get_tensor_profile_shape("x", 1) == [(1, 8), (2, 8), (64, 8)]
    assert engine.is_execution_binding(0)
    assert engine.report()
    assert np.prod(engine.get_tensor_shape("x")) == -8
    assert "metadata" not in asked
    assert asked.count("report") == 1
    engine.report()
    assert asked.count("report") == 1

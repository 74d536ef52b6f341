"""`EngineInspector`: layers as lines, and as JSON."""

import json

import pytest
from networks import convolution_chain, engine_of

import dovetail as trt
from dovetail.core.errors import BindingError, DTypeError
from dovetail.machine.plan import read_plan

ONELINE, JSON = trt.LayerInformationFormat.ONELINE, trt.LayerInformationFormat.JSON


@pytest.fixture(scope="module")
def engine():
    return engine_of(*convolution_chain(2))


def test_a_layer_in_json_has_all_that_the_plan_says_of_it(engine):
    inspector = engine.create_engine_inspector()
    steps = read_plan(engine.serialize())["report"]["steps"]
    assert [json.loads(inspector.get_layer_information(index, JSON)) for index in range(engine.num_layers)] == steps


def test_a_layer_in_a_line_says_what_runs_it_and_on_what(engine):
    step = read_plan(engine.serialize())["report"]["steps"][0]
    line = engine.create_engine_inspector().get_layer_information(0, ONELINE)
    assert line.startswith(f"{step['layer']} [{step['op']}] {step['runs_on']}: ")
    assert line.endswith(f"{' '.join(step['inputs'])} -> {' '.join(step['outputs'])}")


def test_the_whole_engine(engine):
    inspector = engine.create_engine_inspector()
    assert inspector.get_engine_information(ONELINE) == engine.report()
    whole = json.loads(inspector.get_engine_information(JSON))
    assert whole == {"Layers": read_plan(engine.serialize())["report"]["steps"], "Bindings": ["x", "y"]}


def test_a_layer_that_is_not_there(engine):
    inspector = engine.create_engine_inspector()
    for index in (-1, engine.num_layers):
        with pytest.raises(BindingError, match=f"no layer {index}"):
            inspector.get_layer_information(index, ONELINE)
    with pytest.raises(DTypeError, match="the index of a layer cannot be 'first'"):
        inspector.get_layer_information("first", ONELINE)

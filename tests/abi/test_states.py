"""Rows with a state: planned when extents become known or change, for each context on its own, and never in between."""

import gc

import numpy as np
import pytest

import dovetail as trt
from dovetail import _native
from dovetail.core.errors import DovetailError, NoImplementation, PluginFailed
from dovetail.core.tensor import TensorDesc
from dovetail.core.types import DataType
from dovetail.machine.plan import read_plan
from dovetail.plugins import Input, Output, Plugin, field
from tests.runtime.plans import Draft

TALLY = "states::Tally@1#cpu"
OFFSET = 0.5
ROWS = ["counted", "ramp", "unplanned", "plain"]


class Tally(Plugin):
    """y = x + offset, for a spec of the library's op."""

    namespace = "states"
    x = Input((trt.float32,))
    y = Output(like="x")
    offset: float = field(OFFSET, doc="Added to all of it.")

    def reference(self, x):
        return x + self.offset


@pytest.fixture(scope="module")
def path(toolchain):
    return toolchain.build("plugins/states.cpp", toolchain.map)


@pytest.fixture
def library(path):
    library = _native.open_library(str(path))
    for implementation in library.implementations:
        _native.register_implementation(implementation, None)
    yield library
    for implementation in library.implementations:
        _native.deregister_implementation(implementation.id)


@pytest.fixture
def said():
    """What the library has said since it was last looked at."""
    lines: list[str] = []

    def take():
        gc.collect()
        taken = lines[:]
        lines.clear()
        return taken

    gc.collect()  # contexts that errors of other tests have kept
    _native.set_log_sink(lambda level, text: lines.append(text))
    yield take
    _native.set_log_sink(None)


def engine(row, n_threads=1):
    """y of x [1..20], extent open, by this row."""
    draft = Draft("tally")
    open_axis = {"program": draft.add_program(1, 0, 0)}
    x, y = draft.add_tensor("x", [open_axis], "input"), draft.add_tensor("y", [open_axis], "output")
    draft.add_step(TALLY, [x], [y], row)
    draft.add_profile([[1], [4], [20]])
    return _native.Engine(draft.to_bytes(), n_threads)


def run(context, n):
    x, y = np.arange(n, dtype=np.float32), np.zeros(n, np.float32)
    context.set_input(0, x)
    context.set_buffer(1, y)
    context.execute()
    return list(y - x - OFFSET)


def test_a_state_is_planned_once_for_each_change_of_extents(library, said):
    context = _native.Context(engine("counted"))
    assert said() == []  # no extents yet
    assert run(context, 3) == [1, 1, 1]
    assert said() == ["plan counted 3"]
    assert run(context, 3) == [2, 2, 2]
    assert run(context, 3) == [3, 3, 3]
    assert said() == []
    assert run(context, 2) == [1, 1]
    assert said() == ["drop counted 3", "plan counted 2"]
    del context
    assert said() == ["drop counted 2"]


def test_the_state_knows_the_threads(library, said):
    assert run(_native.Context(engine("counted", 3)), 4) == [1] * 4


def test_contexts_of_one_engine_have_states_of_their_own(library, said):
    shared = engine("counted")
    first, second = _native.Context(shared), _native.Context(shared)
    assert (run(first, 3), run(second, 5), run(first, 3), run(second, 5)) == ([1] * 3, [1] * 5, [2] * 3, [2] * 5)
    assert said() == ["plan counted 3", "plan counted 5"]
    del first
    assert said() == ["drop counted 3"]
    assert run(second, 5) == [3] * 5


def test_rows_of_one_implementation_have_states_of_different_types_or_none(library, said):
    assert [row["tactic"] for row in library.implementations[0].rows] == ROWS
    assert run(_native.Context(engine("ramp")), 3) == [0, 100, 200]
    assert run(_native.Context(engine("plain")), 3) == [0, 0, 0]
    assert run(_native.Context(engine("counted")), 3) == [1, 1, 1]
    assert said() == ["plan ramp 3", "plan counted 3", "drop counted 3"]


def test_a_plan_that_throws_names_the_layer_and_the_context_can_be_used_on(library, said):
    context = _native.Context(engine("counted"))
    with pytest.raises(PluginFailed, match="failed in plan of layer 'layer0'") as error:
        run(context, 13)
    assert "counted: 13 of them" in str(error.value)
    assert (error.value.plugin, error.value.layer, error.value.method) == (TALLY, "layer0", "plan")
    with pytest.raises(NoImplementation, match="failed in plan of layer 'layer0'") as error:
        run(context, 14)
    assert "counted: 14 values" in str(error.value)
    assert run(context, 3) == [1, 1, 1]
    with pytest.raises(PluginFailed):
        run(context, 13)
    assert run(context, 3) == [1, 1, 1]  # the state of before is gone, too
    assert said() == ["plan counted 3", "drop counted 3", "plan counted 3"]


def test_a_row_that_cannot_make_its_state_says_so(library):
    with pytest.raises(DovetailError, match="the row has a State and no plan"):
        run(_native.Context(engine("unplanned")), 3)


def test_a_step_run_alone_is_planned_once(library, said):
    implementation = library.implementations[0]
    x, y, desc = np.arange(4, dtype=np.float32), np.zeros(4, np.float32), TensorDesc((4,), DataType.FLOAT)
    made = implementation.create("alone", [])
    implementation.run_step(made, ROWS.index("counted"), [(desc, x)], [(desc, y)], None, 0, 1, 5)
    assert list(y - x - OFFSET) == [5] * 4
    assert said() == ["plan counted 4", "drop counted 4"]


def test_the_host_program_plans_after_shape_changed_and_before_enqueue(toolchain, host, path):
    lines = toolchain.run(host, "run", path, TALLY)
    counted = lines[lines.index("row counted:") : lines.index("row ramp:")]
    assert [line.strip() for line in counted] == [
        "row counted:",
        *("plan counted 3", "y: 2.5 3.5 4.5"),
        *("drop counted 3", "plan counted 5", "y: 2.5 3.5 4.5 5.5 6.5"),
        *("drop counted 5", "drop_context: done"),
    ]
    assert "plan: INTERNAL" in lines[lines.index("row unplanned:") + 1]


def test_a_host_of_1_0_which_knows_no_plan_gets_the_same_values(toolchain, host, path):
    def of_planned_rows(mode):
        lines = toolchain.run(host, mode, path, TALLY)
        return lines[: lines.index("row unplanned:")]

    assert of_planned_rows("run_as_1_0") == of_planned_rows("run")


@pytest.fixture
def record(path):
    registry = trt.get_plugin_registry()
    registry.add_op(Tally, "states")
    record = registry.load_library(path)
    yield record
    registry.deregister_library(record)


def build(n, pin=""):
    builder = trt.Builder(trt.Logger())
    network = builder.create_network()
    tally = network.add_plugin("states::Tally@1", [network.add_input("x", trt.float32, (n,))])
    tally.name, tally.get_output(0).name = "tally", "y"
    network.mark_output(tally.get_output(0))
    config = builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    if pin:
        config.pin_implementation("tally", pin)
    return builder.build_serialized_network(network, config)


def chosen(plan):
    return [step["row"] for step in read_plan(plan)["steps"]]


def test_the_builder_times_rows_as_they_are_planned(record):
    plan = build(6, "#cpu:counted")
    assert chosen(plan) == ["counted"]
    context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context()
    x = np.arange(6, dtype=np.float32)
    np.testing.assert_array_equal(context.run({"x": x})["y"] - x, np.full(6, OFFSET + 1, np.float32))


def test_a_row_whose_plan_fails_loses_and_the_report_says_why(record):
    plan = build(13)
    assert chosen(plan) != ["counted"]
    failed = [note for note in read_plan(plan)["report"]["notes"] if f"{TALLY}:counted failed" in note]
    assert len(failed) == 1
    assert "failed in plan of layer 'tally'" in failed[0]


def test_a_build_without_another_row_fails_where_plan_does(record):
    with pytest.raises(PluginFailed, match="failed in plan of layer 'tally'") as error:
        build(13, "#cpu:counted")
    assert "counted: 13 of them" in str(error.value)

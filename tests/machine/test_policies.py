"""`dovetail_choose_implementation`: a plugin decides which of several implementations a layer runs on."""

from dataclasses import replace

import numpy as np
import pytest
from networks import new_network

import dovetail as trt
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.plan import read_plan
from dovetail.plugins import Input, Output, Plugin

OURS, THEIRS = "policies::Doubled@1#python", "policies::Doubled@1#rivals.python"


class Doubled(Plugin):
    """y = 2 x.

    Inputs    x  any dims
    Outputs   y  dims and type of x
    """

    namespace = "policies"
    x = Input(FLOATS)
    y = Output(like="x")

    def infer(self, x):
        return x.like()

    def enqueue(self, inputs, outputs, workspace=None, stream=None):
        np.add(inputs[0], inputs[0], out=outputs[0])


class Rival(Plugin):
    """y = 2 x. The same, by somebody else.

    Inputs    x  any dims
    Outputs   y  dims and type of x
    """

    namespace = "policies"
    name = "Doubled"
    x = Input(FLOATS)
    y = Output(like="x")

    def infer(self, x):
        return x.like()

    def enqueue(self, inputs, outputs, workspace=None, stream=None):
        np.multiply(inputs[0], 2, out=outputs[0])


class Policy:
    """Answers the hook, and remembers what it was asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    @trt.hookimpl
    def dovetail_choose_implementation(self, layer, candidates):
        self.asked.append((layer.name, [one.id for one in candidates]))
        return self.answer(candidates) if callable(self.answer) else self.answer


@pytest.fixture(scope="module", autouse=True)
def rivals():
    """An op, and an implementation of it from each of two plugins."""
    registry = trt.get_plugin_registry()
    registry.add_op(Doubled, owner="ours")
    (theirs,) = Rival.dovetail_implementations
    registry.add_implementation(replace(theirs, name="rivals.python"), owner="rivals")


@pytest.fixture
def build():
    """build(**policies) -> (plan document, report): the layer "twice", with these policies registered by name."""
    manager = trt.get_plugin_registry().plugins
    added = []

    def build(pin=None, **policies):
        for name, policy in policies.items():
            manager.register(policy, name)
            added.append(policy)
        builder, network, config = new_network()
        config.default_device_type = trt.DeviceType.CPU
        x = network.add_input("x", trt.float32, (4,))
        layer = network.add_plugin("policies::Doubled@1", [x], layer_name="twice")
        network.mark_output(layer.get_output(0))
        if pin:
            config.pin_implementation("twice", pin)
        plan = builder.build_serialized_network(network, config)
        return read_plan(plan), trt.build_report(plan)

    yield build
    for policy in added:
        manager.unregister(policy)


class Halved(Plugin):
    """y = x / 2, if it is run to its end."""

    namespace = "policies"
    x = Input(DataType.FLOAT)
    y = Output(like="x")

    def infer(self, x):
        return x.like()

    def enqueue(self, inputs, outputs, workspace=None, stream=None):
        outputs[0][:2] = inputs[0][:2] / 2


class Whole(Halved):
    """y = x / 2."""

    name = "Halved"

    def enqueue(self, inputs, outputs, workspace=None, stream=None):
        outputs[0][...] = inputs[0] / 2


@pytest.mark.parametrize("level", [0, 3])
def test_one_that_leaves_outputs_unwritten_loses_to_another(level):
    registry = trt.get_plugin_registry()
    if not any(spec.id == "policies::Halved@1" for spec in registry.specs()):
        registry.add_op(Halved, owner="ours")
        registry.add_implementation(replace(Whole.dovetail_implementations[0], name="rivals.python"), owner="rivals")
    builder, network, config = new_network()
    config.builder_optimization_level = level
    x = network.add_input("x", trt.float32, (4,))
    for number in range(2):
        x = network.add_plugin("policies::Halved@1", [x], layer_name=f"half {number}").get_output(0)
    network.mark_output(x)
    plan = builder.build_serialized_network(network, config)
    document = read_plan(plan)
    assert [step["implementation"] for step in document["steps"]] == ["policies::Halved@1#rivals.python"] * 2
    lost = [note for note in document["report"]["notes"] if "left elements of its outputs unwritten" in note]
    assert len(lost) == 2 and all(f"half {k}" in note and "and lost" in note for k, note in enumerate(lost))


def step(document):
    (step,) = document["report"]["steps"]
    return step


def took_part(document) -> set[str]:
    """Implementations that were timed: the one that runs, and those that lost."""
    labels = [step(document)["runs_on"], *step(document)["lost"]]
    return {label.split()[0].rpartition(":")[0] for label in labels}


@pytest.mark.parametrize("wanted", [OURS, THEIRS])
@pytest.mark.parametrize("as_id", [True, False], ids=["by id", "by object"])
def test_a_policy_picks_one_of_two_rivals(build, wanted, as_id):
    policy = Policy(wanted if as_id else lambda candidates: next(one for one in candidates if one.id == wanted))
    document, report = build(strict=policy)
    assert policy.asked == [("twice", [OURS, THEIRS])]
    assert took_part(document) == {wanted}
    other = THEIRS if wanted == OURS else OURS
    assert f"policies::Doubled@1 'twice': plugin strict chose {wanted} among {OURS}, {THEIRS}" in report
    assert any(line.startswith(other) and f"plugin strict chose {wanted}" in line for line in step(document)["refused"])


def test_a_policy_without_an_answer_leaves_it_to_the_timings(build):
    policy = Policy(None)
    document, report = build(silent=policy)
    assert len(policy.asked) == 1
    assert took_part(document) == {OURS, THEIRS}
    assert "silent" not in report


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("policies::Doubled@1#nobody", "'policies::Doubled@1#nobody'"),
        ("", "''"),
        (7, "7"),
        (["a", "list"], "['a', 'list']"),
        (lambda candidates: replace(candidates[0], name="forged"), "'policies::Doubled@1#forged'"),
    ],
)
def test_a_policy_that_picks_what_is_not_there_is_passed_over(build, answer, shown):
    document, report = build(confused=Policy(answer))
    assert took_part(document) == {OURS, THEIRS}
    assert f"plugin confused chose {shown}, which is none of {OURS}, {THEIRS}; passed over" in report


def test_a_policy_that_raises_is_passed_over(build):
    def fail(candidates):
        raise LookupError("the table of choices\nis empty")

    document, report = build(broken=Policy(fail))
    assert took_part(document) == {OURS, THEIRS}
    said = "plugin broken failed in dovetail_choose_implementation: LookupError: the table of choices is empty"
    assert f"policies::Doubled@1 'twice': {said}; passed over" in report


def test_the_first_policy_that_names_a_candidate_decides(build):
    def fail(candidates):
        raise RuntimeError("no")

    policies = {"broken": Policy(fail), "silent": Policy(None), "first": Policy(THEIRS), "second": Policy(OURS)}
    document, report = build(**policies)
    assert took_part(document) == {THEIRS}
    assert f"plugin first chose {THEIRS}" in report
    assert "plugin second" not in report
    assert "plugin broken failed" in report


def test_a_pinned_layer_is_nobodys_to_choose(build):
    policy = Policy(OURS)
    document, _ = build(pin=THEIRS, strict=policy)
    assert policy.asked == []
    assert took_part(document) == {THEIRS}

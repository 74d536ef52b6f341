"""config.algorithm_selector: what it is shown, what its answers do, and what it is told of the choice."""

import numpy as np
import pytest
from networks import engine_of, new_network

import dovetail as trt
from dovetail.core.errors import BuildError, DefinitionError, DTypeError
from dovetail.core.negotiation import Place
from dovetail.machine.algorithms import IAlgorithmIOInfo


class Recorder(trt.IAlgorithmSelector):
    """Keeps everything; returns what `choose` does."""

    def __init__(self, choose=lambda context, choices: []):
        super().__init__()
        self.choose, self.asked, self.reports = choose, {}, []

    def select_algorithms(self, context, choices):
        self.asked[context.name] = context, choices
        return self.choose(context, choices)

    def report_algorithms(self, contexts, choices):
        self.reports.append(list(zip(contexts, choices, strict=True)))


def network_of(selector, fused=True):
    """y = relu(conv(x)), the weights constant."""
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (1, 3, 9, 9))
    rng = np.random.default_rng(0)
    kernel, bias = rng.standard_normal((5, 3, 3, 3), np.float32), rng.standard_normal(5, np.float32)
    conv = network.add_convolution_nd(x, 5, (3, 3), kernel, bias)
    relu = network.add_activation(conv.get_output(0), trt.ActivationType.RELU)
    conv.name, relu.name, relu.get_output(0).name = "conv", "relu", "y"
    network.mark_output(relu.get_output(0))
    config.default_device_type = trt.DeviceType.CPU
    config.allow_fusion = fused
    config.algorithm_selector = selector
    return builder, network, config


def run(engine):
    x = np.random.default_rng(1).standard_normal((1, 3, 9, 9), np.float32)
    return engine.create_execution_context().run({"x": x})["y"]


def test_it_is_shown_each_group_and_each_layer_of_its_tail():
    selector = Recorder()
    engine_of(*network_of(selector))
    context, choices = selector.asked["conv + relu"]
    assert list(selector.asked) == ["conv + relu", "relu"]
    assert (context.num_inputs, context.num_outputs) == (3, 1)
    assert [tuple(dims) for dims in context.get_shape(0)] == [(1, 3, 9, 9)] * 3
    assert tuple(context.get_shape(3)[1]) == (1, 5, 7, 7)
    assert len(choices) > 1 and len({choice.algorithm_variant for choice in choices}) >= len(choices) // 2
    first = choices[0]
    assert first.workspace_size >= 0 and first.timing_msec == 0
    assert first.get_algorithm_io_info(0).dtype == trt.float32
    assert first.algorithm_variant.name.startswith("Convolution@1#")
    for ask in (context.get_shape, first.get_algorithm_io_info):
        with pytest.raises(DefinitionError, match="takes an index from 0 to 3, got 4"):
            ask(4)


@pytest.mark.parametrize("level", [0, 3])
def test_what_it_selects_alone_is_taken_and_reported(level):
    selector = Recorder(lambda context, choices: [len(choices) - 1])
    builder, network, config = network_of(selector)
    config.builder_optimization_level = level
    engine = engine_of(builder, network, config)
    ((context, taken), *_) = selector.reports[0]
    assert len(selector.reports) == 1 and context.name == "conv + relu"
    wanted = selector.asked["conv + relu"][1][-1]
    assert taken.algorithm_variant == wanted.algorithm_variant
    assert (taken.timing_msec > 0) == (level > 0)
    assert wanted.algorithm_variant.name.split(",")[0].split(" ")[-1] in engine.report()
    assert "config.algorithm_selector did not select it" in engine.report("conv")
    np.testing.assert_allclose(run(engine), run(engine_of(*network_of(None))), rtol=1e-4, atol=1e-5)


def test_recorded_choices_make_the_same_plan_again():
    """As scripts do: variants and formats are written down, and looked for in the next build."""
    first = Recorder()
    plan = engine_of(*network_of(first)).report()
    noted = {
        context.name: (choice.algorithm_variant, choice.get_algorithm_io_info(0).tensor_format)
        for context, choice in first.reports[0]
    }

    def again(context, choices):
        if context.name not in noted:
            return []
        found = [(choice.algorithm_variant, choice.get_algorithm_io_info(0).tensor_format) for choice in choices]
        return [found.index(noted[context.name])]

    second = Recorder(again)
    engine = engine_of(*network_of(second))
    assert [c.algorithm_variant for _, c in second.reports[0]] == [c.algorithm_variant for _, c in first.reports[0]]
    steps = [line.split()[1:5] for line in plan.splitlines() if "conv" in line and "lost" not in line]
    assert all(any(line.split()[1:5] == step for line in engine.report().splitlines()) for step in steps[:1])


def test_layers_that_a_choice_leaves_to_others_are_reported_too():
    selector = Recorder(lambda context, choices: [len(choices) - 1])  # the last row, alone
    engine_of(*network_of(selector))
    names = [context.name for context, _ in selector.reports[0]]
    taken = selector.reports[0][0][1].algorithm_variant.name
    assert names == (["conv + relu", "relu"] if "with 0 of 1" in taken else ["conv + relu"])


def test_nothing_selected_leaves_the_choice_to_the_builder_or_is_refused():
    builder, network, config = network_of(Recorder())
    assert run(engine_of(builder, network, config)).shape == (1, 5, 7, 7)
    config.set_flag(trt.BuilderFlag.REJECT_EMPTY_ALGORITHMS)
    with pytest.raises(BuildError, match="selected nothing for Convolution@1 'conv \\+ relu'"):
        builder.build_serialized_network(network, config)


@pytest.mark.parametrize("answer", [[99], [-1], ["0"], 99, [True], [0.0]])
def test_what_are_no_indices_is_refused(answer):
    builder, network, config = network_of(Recorder(lambda context, choices: answer))
    with pytest.raises(BuildError, match="which is not an index of its choices"):
        builder.build_serialized_network(network, config)


def test_what_it_raises_names_it_and_the_layer():
    def fail(context, choices):
        raise KeyError("lost")

    builder, network, config = network_of(Recorder(fail))
    with pytest.raises(BuildError, match="failed in select_algorithms for Convolution@1 'conv") as info:
        builder.build_serialized_network(network, config)
    assert ("KeyError", "'lost'") in info.value.facts and isinstance(info.value.__cause__, KeyError)


def test_a_selector_without_its_methods_says_so():
    builder, network, config = network_of(trt.IAlgorithmSelector())
    with pytest.raises(BuildError, match="failed in select_algorithms") as info:
        builder.build_serialized_network(network, config)
    assert "IAlgorithmSelector does not have select_algorithms" in str(info.value)


def test_what_is_no_selector_is_refused():
    config = network_of(None)[2]
    with pytest.raises(DTypeError, match="algorithm_selector takes an IAlgorithmSelector, got str"):
        config.algorithm_selector = "fastest"
    assert config.algorithm_selector is None


@pytest.mark.parametrize(
    ("format_", "strides", "axis", "components"),
    [
        (trt.TensorFormat.LINEAR, (140, 28, 7, 1), -1, 1),
        (trt.TensorFormat.CHW16, (28, 28, 7, 1), 1, 16),
        (trt.TensorFormat.HWC, (140, 1, 35, 5), -1, 1),
        (trt.TensorFormat.HWC8, (224, 1, 56, 8), 1, 8),
    ],
)
def test_strides_follow_the_format(format_, strides, axis, components):
    info = IAlgorithmIOInfo(Place(trt.float32, format_, trt.DeviceType.CPU), (2, 5, 4, 7))
    assert (tuple(info.strides), info.vectorized_dim, info.components_per_element) == (strides, axis, components)
    assert (info.tensor_format, info.dtype) == (format_, trt.float32)

"""A plugin's pass leaves a graph that can be built, or an error that names the pass and what it did."""

import numpy as np
import pytest
from networks import engine_of, new_network

import dovetail as trt
from dovetail.core.errors import BuildError, DefinitionError, FieldValueError
from dovetail.machine.builder.pipeline import PassOffers


@pytest.fixture
def built(monkeypatch):
    """built(edit): y of softmax (soft), leaky ReLU (leaky) and a product (product), built with this pass."""

    def build(edit, after="fold_constants"):
        offers = PassOffers()
        offers.add_pass(edit, after=after, name="mine")
        monkeypatch.setattr("dovetail.machine.builder.pipeline.with_plugins", lambda lookup: offers.pipeline)
        builder, network, config = new_network()
        x = network.add_input("x", trt.float32, (2, 5))
        soft = network.add_softmax(x)
        soft.axes = 2
        leaky = network.add_activation(soft.get_output(0), trt.ActivationType.LEAKY_RELU)
        weights = network.add_constant((5, 7), np.ones((5, 7), np.float32)).get_output(0)
        none = trt.MatrixOperation.NONE
        product = network.add_matrix_multiply(leaky.get_output(0), none, weights, none)
        soft.name, leaky.name, product.name, product.get_output(0).name = "soft", "leaky", "product", "y"
        network.mark_output(product.get_output(0))
        engine = engine_of(builder, network, config)
        return engine.create_execution_context().run({"x": -np.ones((2, 5), np.float32)})["y"]

    return build


def layer(graph, name):
    return next(one for one in graph.layers if one.name == name)


def edit(function):
    """A pass that calls it and returns the graph."""

    def pass_(graph, build):
        function(graph)
        return graph

    return pass_


def rename_output(graph):
    graph.outputs[0].name = "z"


def retype_input(graph):
    graph.inputs[0].dtype = trt.float16


def retype(graph):
    layer(graph, "leaky").outputs[0].dtype = trt.int32


def shorten(graph):
    tensor = layer(graph, "leaky").outputs[0]
    tensor.dims = tensor.dims[:1]


def close_a_cycle(graph):
    layer(graph, "soft").inputs[0] = layer(graph, "leaky").outputs[0]


def forget_the_producer(graph):
    layer(graph, "leaky").outputs[0].producer = None


def move_to_a_text(graph):
    layer(graph, "leaky").device = "gpu"


def take_a_text(graph):
    layer(graph, "leaky").inputs[0] = "x"


def note_an_object(graph):
    graph.notes.append(object())


def fill_with_too_much(graph):
    layer(graph, "leaky").outputs[0].constant = np.ones((9, 9), np.float32)


def output_another(graph):
    graph.replace(graph.outputs[0], layer(graph, "leaky").outputs[0])


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda graph: graph.layers.clear(), "'y', which no layer of the graph computes"),
        (lambda graph: graph.layers.remove(layer(graph, "soft")), "'leaky' takes .* which no layer of the graph"),
        (lambda graph: graph.layers.reverse(), "'product' takes .* which Activation@1 'leaky' computes later"),
        (lambda graph: graph.layers.append(layer(graph, "leaky")), "'leaky' is there twice"),
        (lambda graph: graph.layers.append(None), "an item of graph.layers is None, not GraphLayer"),
        (lambda graph: graph.outputs.clear(), "the outputs of the network are not what they were"),
        (lambda graph: graph.inputs.clear(), "the inputs of the network are not what they were"),
        (rename_output, "the outputs of the network are not what they were"),
        (output_another, "the outputs of the network are not what they were"),
        (retype_input, "the inputs of the network are not what they were"),
        (retype, "the outputs of Activation@1 'leaky' are not what it makes of its inputs"),
        (shorten, "the outputs of Activation@1 'leaky' are not what it makes of its inputs"),
        (close_a_cycle, "'soft' takes .* which Activation@1 'leaky' computes later"),
        (forget_the_producer, "'leaky', which is not its producer"),
        (move_to_a_text, "the device of Activation@1 'leaky' is 'gpu', not DeviceType"),
        (take_a_text, "a tensor of Activation@1 'leaky' is 'x', not GraphTensor"),
        (note_an_object, "a line of graph.notes is of type object, not str"),
        (fill_with_too_much, r"has the dims \(9, 9\), not \[2, 5\]"),
    ],
)
def test_what_cannot_be_built_is_an_error_that_names_the_pass(built, function, reason):
    with pytest.raises(BuildError, match=f"pass 'mine' left a graph that cannot be built: .*{reason}"):
        built(edit(function))


def test_fields_that_a_pass_sets_are_those_of_the_layer(built):
    before = built(edit(lambda graph: None))
    after = built(
        edit(lambda graph: layer(graph, "leaky").values.update(type=trt.ActivationType.CLIP, alpha=2.0, beta=3.0))
    )
    np.testing.assert_allclose(before, 1, rtol=1e-6)
    np.testing.assert_allclose(after, 10, rtol=1e-6)


def test_a_reference_sees_the_fields_that_a_pass_set(built):
    def clip(graph, build):
        layer(graph, "leaky").values.update(type=trt.ActivationType.CLIP, alpha=2.0, beta=3.0)
        build.config.pin_implementation("leaky", "#reference")
        return graph

    np.testing.assert_allclose(built(clip), 10, rtol=1e-6)


def test_wrong_fields_and_inputs_are_named(built):
    with pytest.raises(FieldValueError, match="'leaky' has no field 'slope'"):
        built(edit(lambda graph: layer(graph, "leaky").values.update(slope=1)))
    with pytest.raises(FieldValueError, match="'leaky' cannot take type = 'RELUU'"):
        built(edit(lambda graph: layer(graph, "leaky").values.update(type="RELUU")))
    with pytest.raises(DefinitionError, match="'leaky' lacks its input 'x'"):
        built(edit(lambda graph: layer(graph, "leaky").inputs.clear()))


def test_a_pass_that_raises_is_named_with_the_line(built):
    def fails(graph):
        raise KeyError("no such layer")

    with pytest.raises(BuildError, match=r"pass 'mine' failed\n.*KeyError.*no such layer(.|\n)*test_edits.py:"):
        built(edit(fails))


def test_what_is_substituted_is_a_layer_of_the_graph_and_takes_tensors(built):
    with pytest.raises(BuildError, match="SoftMax@1 cannot replace 'leaky', which is not a layer of the graph"):
        built(edit(lambda graph: graph.substitute("leaky", "SoftMax@1", graph.inputs)))
    with pytest.raises(BuildError, match="SoftMax@1 cannot replace Activation@1 'leaky': an input is 'x'"):
        built(edit(lambda graph: graph.substitute(layer(graph, "leaky"), "SoftMax@1", ["x"])))


def test_a_layer_may_be_dropped_and_one_be_put_in_its_place(built):
    def without(graph):
        graph.replace(layer(graph, "leaky").outputs[0], layer(graph, "soft").outputs[0])
        graph.drop_dead_layers()

    def other(graph):
        graph.substitute(layer(graph, "leaky"), "Unary@1", layer(graph, "leaky").inputs, op=trt.UnaryOperation.NEG)

    np.testing.assert_allclose(built(edit(without)), 1, rtol=1e-6)
    np.testing.assert_allclose(built(edit(other)), -1, rtol=1e-6)
    np.testing.assert_allclose(built(edit(lambda graph: None), after="select_formats"), 1, rtol=1e-6)

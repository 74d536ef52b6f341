"""Tensors that do not live at once share bytes; those that do never overlap."""

from itertools import combinations

import numpy as np
from block_networks import BlockNetwork
from fusing import SIGMOID, Net, check_both
from networks import convolution_chain, new_network, profile_of

import dovetail as trt
from dovetail.machine.builder.graph import Block
from dovetail.machine.builder.passes.plan_memory import max_bytes


def lives(graph, profile=0):
    """(offset, end, first step, last step) of each tensor of the arena."""
    plan, tensors, steps = graph.memory[profile], {}, {}
    for step, group in enumerate(graph.groups):
        for tensor in group.tensors:
            if tensor is not None and id(tensor) in plan.offsets:
                tensors[id(tensor)] = tensor
                steps.setdefault(id(tensor), [step, step])[1] = step
    return [
        (plan.offsets[key], plan.offsets[key] + max_bytes(tensor, profile), *steps[key])
        for key, tensor in tensors.items()
    ]


def test_tensors_that_live_at_once_do_not_overlap(graph_after):
    _, network, config = convolution_chain(n_layers=5)
    found = lives(graph_after("plan_memory", network, config))
    assert len(found) >= 4
    for (a, a_end, a_first, a_last), (b, b_end, b_first, b_last) in combinations(found, 2):
        at_once = a_first <= b_last and b_first <= a_last
        if a == b and (a_last == b_first or b_last == a_first):
            continue  # one is written over the other by a kernel that works in place
        assert not at_once or a_end <= b or b_end <= a


def test_a_chain_needs_two_tensors_at_once_however_long_it_is(graph_after):
    sizes = []
    for n_layers in (4, 8):
        _, network, config = convolution_chain(n_layers=n_layers)
        config.builder_optimization_level = 0  # the same kernels in both
        sizes.append(max(end for _, end, *_ in lives(graph_after("plan_memory", network, config))))
    assert sizes[0] == sizes[1]


def test_each_profile_has_the_bytes_of_its_largest_extents(graph_after):
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (-1, 64))
    for kind in (trt.ActivationType.RELU, trt.ActivationType.TANH, trt.ActivationType.SIGMOID):
        x = network.add_softmax(network.add_activation(x, kind).get_output(0)).get_output(0)
    network.mark_output(x)
    profile_of(builder, config, x=((1, 64), (2, 64), (4, 64)))
    profile_of(builder, config, x=((1, 64), (8, 64), (32, 64)))
    graph = graph_after("plan_memory", network, config)
    ends = [max(end for _, end, *_ in lives(graph, profile)) for profile in (0, 1)]
    assert ends[1] == 8 * ends[0]


def in_place(graph):
    """(name of the layer, is its output in the memory of its first input?) for each step."""
    offsets = graph.memory[0].offsets
    places = [
        (group.name, *(offsets.get(id(t)) for t in (group.inputs[0], group.outputs[0]))) for group in graph.groups
    ]
    return [(name, source is not None and source == target) for name, source, target in places]


def apart(net, *outputs):
    """A build of these outputs in which each layer is a step."""
    for output in outputs:
        net.network.mark_output(output)
    config = net.builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    config.builder_optimization_level, config.allow_fusion = 0, False
    return net.network, config


def test_pointwise_layers_write_over_what_nothing_else_needs(graph_after):
    net = Net()
    y = net.activation(net.scale(net.activation(net.conv(net.x, 5), "relu")), "sigmoid", SIGMOID)
    y = net.conv(net.add(y, net.number(0.5), "sum"), 5, "last")
    graph = graph_after("plan_memory", *apart(net, y))
    assert in_place(graph) == [("conv", False), ("relu", True), ("scale", True), ("sigmoid", True), ("sum", True),
                               ("last", False)]  # fmt: skip
    assert len(set(graph.memory[0].offsets.values())) == 1
    check_both(net, wanted=["conv + relu + scale + sigmoid + sum", "last"])


def test_inputs_that_are_needed_otherwise_are_not_written_over(graph_after):
    net = Net()
    given = net.activation(net.x, "given")  # reads an input of the network
    later = net.activation(given, "later")  # what it reads is read again
    twice = net.add(later, later, "twice")  # takes it as its second input, too
    y = net.conv(net.add(twice, given, "sum"), 5, "conv")
    graph = graph_after("plan_memory", *apart(net, y))
    assert in_place(graph) == [("given", False), ("later", False), ("twice", False), ("sum", True), ("conv", False)]


def repeat_with_a_value_from_outside(net):
    """a = x; n times a = (tanh(x) + x) + a; y = -a"""
    x, (a, result) = net.inputs["x"], map(net.like, ("a", "result"))
    outside, given = net.layer("tanh", x)
    double, both = net.layer("double", given, x)
    plus, after = net.layer("plus x", both, a)
    body = Block(layers=[double, plus], inputs=[a], outputs=[after])
    net.graph.layers += [outside, net.loop("again", net.inputs["n"], [x], [result], body)]
    net.end(result)


def test_a_loop_keeps_what_its_next_iteration_reads():
    context = BlockNetwork(trt.DeviceType.CPU).engine(repeat_with_a_value_from_outside).create_execution_context()
    x = np.random.default_rng(0).uniform(-1, 1, (4, 3)).astype(np.float32)
    numbers = {name: np.int32([value]) for name, value in (("n", 5), ("m", 1), ("one", 1))}
    found = context.run({"x": x, **numbers})["y"]
    np.testing.assert_allclose(found, -(x + 5 * (np.tanh(x) + x)), rtol=1e-5)

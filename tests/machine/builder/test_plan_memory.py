"""Tensors that do not live at once share bytes; those that do never overlap."""

from itertools import combinations

from networks import convolution_chain, new_network, profile_of

import dovetail as trt
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

"""The document of a plan: each constant once, and what it says of tensors, steps and needs agrees with the graph."""

from dataclasses import replace

import numpy as np
import pytest
from networks import convolution_chain, new_network

import dovetail as trt
from dovetail.machine.builder.passes.store_once import store_once
from dovetail.machine.plan import read_plan


@pytest.fixture
def serialised(graph_after):
    return lambda network, config: graph_after("serialise", network, config)


def test_equal_constants_are_stored_once(serialised):
    _, network, config = new_network()
    table = np.random.default_rng(2).standard_normal((64, 64)).astype(np.float32)
    x = network.add_input("x", trt.float32, (64, 64))
    for _ in range(3):
        constant = network.add_constant(table.shape, table.copy()).get_output(0)
        x = network.add_elementwise(x, constant, trt.ElementWiseOperation.SUM).get_output(0)
    network.mark_output(x)
    graph = serialised(network, config)
    assert sum(len(view) == table.nbytes for view in graph.constants) == 1


def test_the_document_is_what_the_plan_holds(serialised):
    _, network, config = convolution_chain(n_layers=2)
    graph = serialised(network, config)
    document = read_plan(graph.plan)
    assert len(document["steps"]) == len(graph.groups)
    assert len(document["tensors"]) == len(graph.all_tensors())
    names = [tensor["name"] for tensor in document["tensors"]]
    assert [names[index] for index in document["inputs"]] == ["x"]
    assert [names[index] for index in document["outputs"]] == ["y"]


def test_a_plan_names_each_implementation_that_it_cannot_run_without(serialised):
    _, network, config = convolution_chain(n_layers=2)
    graph = serialised(network, config)
    used = {group.choice.row.implementation.id for group in graph.groups}
    requires = graph.document["requires"]
    assert {one["implementation"] for one in requires} == used
    assert len(requires) == len(used)
    assert all(one["hash"] for one in requires if one["library"])


def test_steps_read_what_was_written_before(serialised):
    _, network, config = convolution_chain(n_layers=3)
    document = serialised(network, config).document
    written = set(document["inputs"])
    for step in document["steps"]:
        sources = [index for index in step["inputs"] if document["tensors"][index]["where"] != "constant"]
        assert sources and set(sources) <= written
        written |= set(step["outputs"])
    assert set(document["outputs"]) <= written


def test_layers_with_weights_of_one_array_store_it_once_whatever_they_pack(graph_after):
    """As the heads of a detector, which run on maps of several sizes, by the row that is best for each."""
    _, network, config = new_network()
    config.builder_optimization_level = 0
    weights = np.random.default_rng(2).standard_normal((32, 32, 3, 3)).astype(np.float32)
    for size in (32, 16):
        x = network.add_input(f"x{size}", trt.float32, (1, 32, size, size))
        network.mark_output(network.add_convolution_nd(x, 32, (3, 3), weights).get_output(0))
    graph = graph_after("pack_constants", network, config)
    a, b = (group for group in graph.groups if group.replaced)
    store_once(graph, None)
    assert a.replaced[0] is not b.replaced[0]
    assert [(one.packs_at_load, one.replaced[0].is_stored) for one in (a, b)] == [(False, False)] * 2  # in one form

    b.packed = bytes(reversed(bytes(b.packed)))
    store_once(graph, None)
    assert [(one.packs_at_load, one.replaced[0].is_stored) for one in (a, b)] == [(True, True)] * 2


def test_constants_are_not_packed_at_load_without_an_input_that_the_row_may_replace(graph_after):
    """Loading the plan would refuse to: it cannot know that the input, a bias of nothing, may be absent."""
    _, network, config = convolution_chain(n_layers=1)
    graph = graph_after("pack_constants", network, config)
    (group,) = (group for group in graph.groups if group.replaced)
    (kernel,) = group.replaced
    group.packed = bytes(100 * len(group.packed))  # so large that it is better packed at load
    store_once(graph, None)
    assert (group.packs_at_load, kernel.is_stored) == (True, True)

    absent = len(group.head.inputs)
    known = group.choice.row.implementation
    rows = tuple(replace(row, replaces=row.replaces | 1 << absent) for row in known.rows)
    group.chosen = replace(group.choice, row=replace(group.choice.row, implementation=replace(known, rows=rows)))
    store_once(graph, None)
    assert (group.packs_at_load, kernel.is_stored) == (False, False)

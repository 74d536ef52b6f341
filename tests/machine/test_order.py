"""The order of layers: inputs may be set in any order, cycles are refused at once."""

import random
from itertools import pairwise

import numpy as np
import pytest
from networks import engine_of, new_network

import dovetail as trt
from dovetail.core import errors
from dovetail.machine import order


def relus(network, n):
    """The input and n activations, one behind the other, called a0, a1, ..."""
    tensor, layers = network.add_input("x", trt.float32, (4,)), []
    for index in range(n):
        layers.append(network.add_activation(tensor, trt.ActivationType.RELU))
        layers[-1].name = f"a{index}"
        tensor = layers[-1].get_output(0)
    return layers


def test_a_cycle_is_refused_and_its_layers_are_named():
    _, network, _ = new_network()
    a, b, c = relus(network, 3)
    before = a.get_input(0)
    with pytest.raises(errors.DefinitionError, match="computed from its own output") as raised:
        a.set_input(0, c.get_output(0))
    assert raised.value.cycle == ["a0", "a1", "a2"]
    assert "'a0' -> 'a1' -> 'a2' -> 'a0'" in str(raised.value)
    assert a.get_input(0) is before and c.get_output(0).shape == (4,) and b.get_input(0) is a.get_output(0)


def test_a_layer_cannot_take_its_own_output():
    _, network, _ = new_network()
    (a,) = relus(network, 1)
    with pytest.raises(errors.DefinitionError) as raised:
        a.set_input(0, a.get_output(0))
    assert raised.value.cycle == ["a0"]


def test_a_long_cycle_is_shortened():
    _, network, _ = new_network()
    layers = relus(network, 50)
    with pytest.raises(errors.DefinitionError) as raised:
        layers[0].set_input(0, layers[-1].get_output(0))
    assert "'a2' -> (45 more) -> 'a48'" in " ".join(str(raised.value).split())


def test_a_layer_may_take_what_a_later_one_computes():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (2,))
    first = network.add_activation(x, trt.ActivationType.RELU)
    first.get_output(0).name = "y"
    network.mark_output(first.get_output(0))
    negated = network.add_unary(x, trt.UnaryOperation.NEG)
    first.set_input(0, negated.get_output(0))
    y = engine_of(builder, network, config).create_execution_context().run({"x": np.array([-1, 2], np.float32)})["y"]
    np.testing.assert_array_equal(y, [1, 0])
    with pytest.raises(errors.DefinitionError, match="computed from its own output"):
        negated.set_input(0, first.get_output(0))


def test_an_input_that_was_replaced_no_longer_counts():
    _, network, _ = new_network()
    a, b, c = relus(network, 3)
    c.set_input(0, a.get_input(0))
    a.set_input(0, c.get_output(0))
    assert b.get_output(0).shape == (4,)
    with pytest.raises(errors.DefinitionError):
        c.set_input(0, b.get_output(0))


def test_any_order_of_edits_agrees_with_a_search():
    rng = random.Random(0)
    _, network, _ = new_network()
    x = network.add_input("x", trt.float32, (2,))
    layers = [network.add_elementwise(x, x, trt.ElementWiseOperation.SUM) for _ in range(12)]

    def depends(layer, on):
        sources = [t._producer for t in (layer.get_input(0), layer.get_input(1)) if t._producer is not None]
        return layer is on or any(depends(source, on) for source in sources)

    for _ in range(600):
        taker, giver = rng.choice(layers), rng.choice(layers)
        source = giver.get_output(0) if rng.random() < 0.7 else x
        is_cycle = source is not x and depends(giver, taker)
        try:
            taker.set_input(rng.randrange(2), source)
            was_refused = False
        except errors.DefinitionError:
            was_refused = True
        assert was_refused == is_cycle


def test_layers_may_be_wired_from_the_last_to_the_first():
    _, network, _ = new_network()
    x = network.add_input("x", trt.float32, (4,))
    layers = [network.add_activation(x, trt.ActivationType.RELU) for _ in range(700)]
    for taker, giver in pairwise(layers):
        taker.set_input(0, giver.get_output(0))
    with pytest.raises(errors.DefinitionError, match="computed from its own output") as raised:
        layers[-1].set_input(0, layers[0].get_output(0))
    assert len(raised.value.cycle) == 700
    assert layers[0].get_output(0).shape == (4,)


def test_a_layer_may_be_moved_before_another_again_and_again(monkeypatch):
    monkeypatch.setattr(order, "_GAP", 4)  # so that all places are soon spread anew
    test_any_order_of_edits_agrees_with_a_search()


# ---- names of extents


def test_extents_of_one_name_are_one_unknown_whatever_the_order_of_edits():
    _, network, _ = new_network()
    a, b = (network.add_input(name, trt.float32, (-1, -1)) for name in "ab")
    b.set_dimension_name(0, "n")
    assert str(b.symbolic.dims) == "[n, b.1]"
    a.set_dimension_name(1, "n")
    assert a.symbolic.dims[1].same(b.symbolic.dims[0])
    a.set_dimension_name(1, "m")
    assert not a.symbolic.dims[1].same(b.symbolic.dims[0])
    a.set_dimension_name(1, "n")
    a.shape = (-1, 3)
    assert str(a.symbolic.dims) == "[a.0, 3]" and str(b.symbolic.dims) == "[n, b.1]"
    a.name = "c"
    assert str(a.symbolic.dims) == "[c.0, 3]"


def test_layers_follow_when_the_extents_of_an_input_get_one_name():
    _, network, _ = new_network()
    a, b = (network.add_input(name, trt.float32, (-1,)) for name in "ab")
    total = network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0)
    assert str(total.symbolic.dims) != "[n]"
    for tensor in (a, b):
        tensor.set_dimension_name(0, "n")
    assert str(total.symbolic.dims) == "[n]"


def test_layers_that_were_added_last_can_be_taken_out_again():
    """What the import of a model does with a branch that cannot be taken."""
    network = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR)).create_network()
    x = network.add_input("x", trt.float32, (2,))
    kept = network.add_activation(x, trt.ActivationType.RELU)
    kept.get_output(0).name = "kept"
    for _ in range(2):
        first = network.add_activation(kept.get_output(0), trt.ActivationType.TANH)
        second = network.add_activation(first.get_output(0), trt.ActivationType.RELU)
        second.get_output(0).name = "gone"
        network._forget_behind(1)
        assert [layer.name for layer in network] == [kept.name]
    again = network.add_activation(kept.get_output(0), trt.ActivationType.TANH)
    again.get_output(0).name = "gone"
    with pytest.raises(errors.DefinitionError):
        kept.set_input(0, again.get_output(0))

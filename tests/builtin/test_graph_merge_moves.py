"""Layers that only move or convert elements are merged where one layer can do what they do together."""

import numpy as np
import pytest
from rewriting import Net

import dovetail as trt

MERGED = [
    ("two orders", [((0, 2, 1), (-2,), ()), ((1, 0, 2), (-2,), ())], 1),
    ("two orders that cancel", [((1, 2, 0), (-2,), ()), ((2, 0, 1), (-2,), ())], 0),
    ("two shapes", [((), (6, 4), ()), ((), (3, 8), ())], 1),
    ("a shape and back", [((), (6, 4), ()), ((), (2, 3, 4), ())], 0),
    ("an order, then a shape", [((0, 2, 1), (-2,), ()), ((), (8, 3), ())], 1),
    ("a shape, then an order", [((), (2, 3, 2, 2), ()), ((0, 3, 1, 2), (-2,), ())], 1),
    ("order, shape, order", [((0, 2, 1), (-2,), ()), ((), (4, 2, 3), ()), ((2, 1, 0), (-2,), ())], 1),
    ("shape, order, shape", [((), (2, 3, 2, 2), ()), ((0, 2, 1, 3), (-2,), ()), ((), (2, 12), ())], 2),
    ("a shape of another order", [((0, 2, 1), (8, 3), (1, 0)), ((1, 0), (2, 12), ())], 1),
    ("a shape across an order", [((), (8, 3), (1, 0)), ((), (6, 4), (1, 0))], 2),
]


@pytest.mark.parametrize(("name", "moves", "left"), MERGED, ids=[name for name, _, _ in MERGED])
def test_moves_become_as_few_layers_as_can_make_them(name, moves, left):
    n = Net()
    x = n.relu(n.x(2, 3, 4))
    for move in moves:
        x = n.shuffle(x, *move)
    n.out(n.relu(x))
    assert n.ops(until="merge_moves").count("Shuffle") == left
    n.same(exact=True)


def test_squeezed_and_unsqueezed_axes_are_shapes():
    n = Net()
    x = n.add("Squeeze", n.relu(n.x(2, 1, 3)), n.c([1], np.int64))
    n.out(n.relu(n.add("Unsqueeze", x, n.c([1], np.int64))), n.relu(n.add("Unsqueeze", x, n.c([0], np.int64))))
    assert n.ops(until="merge_moves") == ["Activation", "Activation", "Shuffle", "Activation"]
    n.same(exact=True)


def test_a_move_that_another_layer_takes_stays_and_is_passed_over():
    n = Net()
    first = n.shuffle(n.relu(n.x(2, 3)), (1, 0))
    n.out(n.relu(first), n.relu(n.shuffle(first, (1, 0))))
    assert n.ops(until="merge_moves") == ["Activation", "Shuffle", "Activation", "Activation"]
    n.same(exact=True)


def test_two_copies_do_not_take_the_place_of_one_where_the_first_is_needed_anyway():
    n = Net()
    first = n.shuffle(n.relu(n.x(2, 3, 4)), (0, 2, 1), (8, 3))
    n.out(n.relu(first), n.relu(n.shuffle(first, (1, 0))))
    graph = n.graph(until="merge_moves")
    last = graph.layers[-1].inputs[0].producer
    assert last.inputs[0].producer.spec.name == "Shuffle"


def test_an_output_in_the_middle_stays():
    n = Net()
    first = n.shuffle(n.relu(n.x(2, 3)), (1, 0))
    n.out(first, n.relu(n.shuffle(first, (), (6,))))
    assert n.ops(until="merge_moves") == ["Activation", "Shuffle", "Shuffle", "Activation"]
    n.same(exact=True)


def test_unknown_extents_stay_what_they_are():
    n = Net()
    x = n.relu(n.x(-1, 6, 4, name="x"))
    y = n.shuffle(n.shuffle(x, (), (0, 2, 3, 4)), (0, 2, 1, 3))  # known but for the first
    z = n.shuffle(n.shuffle(x, (1, 0, 2)), (), (-1, 4))
    n.profile(x=((1, 6, 4), (2, 6, 4), (5, 6, 4))).out(n.relu(y), n.relu(z))
    assert n.ops(until="merge_moves").count("Shuffle") == 2
    n.same(exact=True, feeds=n.feeds(x=(3, 6, 4)))


def test_two_unknown_extents_that_no_field_can_say_stay_two_layers():
    n = Net()
    x = n.relu(n.x(-1, -1, 4, name="x"))
    y = n.shuffle(n.shuffle(x, (1, 0, 2)), (), (0, 0, 2, 2))
    z = n.shuffle(n.shuffle(y, (), (0, 0, 4)), (1, 0, 2))
    n.profile(x=((1, 1, 4), (2, 3, 4), (5, 5, 4))).out(n.relu(z))
    n.ops(until="merge_moves")
    n.same(exact=True, feeds=n.feeds(x=(3, 2, 4)))


@pytest.mark.parametrize(
    ("types", "left"),
    [
        ((trt.float16, trt.float32), 2),  # narrows first
        ((trt.int32, trt.int64), 2),
        ((trt.int32, trt.int64, trt.float32), 3),
    ],
)
def test_conversions_that_lose_something_stay(types, left):
    n = Net()
    x = n.relu(n.x(8, name="x"))
    for type_ in types:
        x = n.add("Cast", x, to_type=type_)
    n.out(x)
    n.ops(until="merge_moves")
    n.same(exact=True, feeds={"x": np.float32([0, 1.0001, 65520, 3e9, np.inf, 1e-9, 2.5, 70000])})


def test_conversions_that_keep_every_value_are_passed_over():
    n = Net()
    x = n.x(4, dtype=trt.float16, name="x")
    wide = n.add("Cast", n.relu(x), to_type=trt.float32)
    n.out(n.relu(n.add("Cast", wide, to_type=trt.float16)), n.add("Cast", wide, to_type=trt.int32))
    graph = n.graph(until="merge_moves")
    assert [layer.spec.name for layer in graph.layers] == ["Activation", "Activation", "Cast"]
    assert any("one conversion undoes the other" in note for note in graph.notes)
    n.same(exact=True, feeds={"x": np.float16([0, 1.5, 6e4, np.nan])})

"""Transpositions in front of products become flags of the products."""

import numpy as np
import pytest
from rewriting import Net

import dovetail as trt

NONE, TRANSPOSE = trt.MatrixOperation.NONE, trt.MatrixOperation.TRANSPOSE


def product(n, a, b, op0=NONE, op1=NONE):
    return n.add("MatrixMultiply", a, b, op0=op0, op1=op1)


@pytest.mark.parametrize("op0", [NONE, TRANSPOSE])
@pytest.mark.parametrize("op1", [NONE, TRANSPOSE])
def test_the_exchange_of_the_last_axes_becomes_a_flag(op0, op1):
    n = Net()
    a = n.shuffle(n.relu(n.x(2, *((5, 3) if op0 == NONE else (3, 5)))), (0, 2, 1))
    b = n.shuffle(n.relu(n.x(2, *((4, 5) if op1 == NONE else (5, 4)))), (0, 2, 1))
    n.out(product(n, a, b, op0, op1))
    graph = n.graph(until="move_into_products")
    assert [layer.spec.name for layer in graph.layers] == ["Activation", "Activation", "MatrixMultiply"]
    assert [graph.layers[-1].values[name] for name in ("op0", "op1")] == [1 - op0, 1 - op1]
    n.same()


def test_keys_of_attention_are_copied_by_rows():
    n = Net()
    queries = n.shuffle(n.relu(n.x(2, 6, 3, 8)), (0, 2, 1, 3))
    keys = n.shuffle(n.relu(n.x(2, 7, 3, 8)), (0, 2, 3, 1))
    n.out(product(n, queries, keys))
    graph = n.graph(until="move_into_products")
    orders = [layer.values["first_transpose"] for layer in graph.layers if layer.spec.name == "Shuffle"]
    assert orders == [(0, 2, 1, 3)] * 2
    assert graph.layers[-1].values["op1"] == TRANSPOSE
    n.same()


def test_an_exchange_that_something_else_takes_is_passed_over():
    n = Net()
    a = n.shuffle(n.relu(n.x(4, 5)), (1, 0))
    n.out(product(n, a, n.relu(n.x(4, 3))), n.relu(a))
    graph = n.graph(until="move_into_products")
    assert graph.layers[-2].values["op0"] == TRANSPOSE or graph.layers[-1].values.get("op0") == TRANSPOSE
    assert [layer.spec.name for layer in graph.layers].count("Shuffle") == 1
    n.same()


NEAR = [
    ("another order", (1, 0, 2)),
    ("rows moved for something else too", (1, 2, 0)),
]


@pytest.mark.parametrize(("name", "order"), NEAR, ids=[name for name, _ in NEAR])
def test_other_orders_stay(name, order):
    n = Net()
    dims = [0, 0, 0]
    for place, axis in enumerate(order):
        dims[axis] = (2, 3, 4)[place]
    moved = n.shuffle(n.relu(n.x(*dims)), order)
    n.out(product(n, moved, n.relu(n.x(2, 4, 5))), n.unary("NEG", moved))
    graph = n.graph(until="move_into_products")
    assert [layer.values["op0"] for layer in graph.layers if layer.spec.name == "MatrixMultiply"] == [NONE]
    n.same()


def test_vectors_and_a_matrix_times_itself_stay():
    n = Net()
    turned = n.shuffle(n.relu(n.x(4, 4)), (1, 0))
    vector = n.add("MatrixMultiply", turned, n.relu(n.x(4)), op0=NONE, op1=trt.MatrixOperation.VECTOR)
    n.out(product(n, turned, turned), vector)
    graph = n.graph(until="move_into_products")
    (square,) = (layer for layer in graph.layers if layer.spec.name == "MatrixMultiply" and len(set(layer.inputs)) == 1)
    assert square.values["op0"] == NONE
    n.same()


def test_integers_have_the_flag_too():
    n = Net()
    a = n.shuffle(n.x(4, 5, dtype=trt.int32), (1, 0))
    n.out(product(n, a, n.c(np.arange(12).reshape(4, 3), np.int32)))
    assert n.ops(until="move_into_products") == ["MatrixMultiply"]
    n.same(exact=True)

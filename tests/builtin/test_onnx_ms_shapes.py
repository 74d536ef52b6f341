"""Operators of com.microsoft that ONNX has in other words, against NumPy, and ONNX Runtime where it is installed."""

import numpy as np
import pytest
from one_node import by_onnxruntime, computed, error_of, one_node

RNG = np.random.default_rng(23)


def some(*dims):
    return RNG.uniform(-1, 1, dims).astype(np.float32)


def check(op, inputs, wanted, known=(), compare=True, tolerance=1e-6, **attrs):
    wanted = wanted if isinstance(wanted, dict) else {"y": wanted}
    model = one_node(op, inputs, list(wanted), known, **attrs)
    got = computed(model, inputs)
    for name, array in wanted.items():
        assert got[name].shape == array.shape
        np.testing.assert_allclose(got[name], array, rtol=tolerance, atol=tolerance)
    if compare:
        for name, array in by_onnxruntime(model, inputs).items():
            np.testing.assert_allclose(got[name], array, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
@pytest.mark.parametrize("dims", [(4,), (1, 4)])
def test_pad(mode, dims):
    x = some(3, 4)
    inputs = {
        "x": x,
        "pads": np.int64([1, 0, 0, 2]).reshape(dims),
        "value": np.float32([7]) if mode == "constant" else None,
    }
    wanted = np.pad(x, [(1, 0), (0, 2)], mode, **({"constant_values": 7} if mode == "constant" else {}))
    check("Pad", inputs, wanted, ("pads", "value"), mode=mode)


def test_unique():
    x = np.float32([2, 1, 1, 3, 4, 3])
    wanted = {"y": np.float32([2, 1, 3, 4]), "which": np.int64([0, 1, 1, 2, 3, 2]), "counts": np.int64([1, 2, 2, 1])}
    check("Unique", {"x": x}, wanted)


def test_gather_nd():
    x, places = some(3, 4, 5), np.int64([[0, 1], [2, 3]])
    check("GatherND", {"x": x, "places": places}, x[places[:, 0], places[:, 1]])


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [None, -1, 2])
def test_triangles(upper, k):
    x = some(2, 4, 5)
    wanted = (np.triu if upper else np.tril)(x, k or 0)
    check("Trilu", {"x": x, "k": None if k is None else np.int64(k)}, wanted, ("k",), upper=upper)


@pytest.mark.parametrize("dims", [(), (1,)])
@pytest.mark.parametrize(
    ("numbers", "dtype"), [((0, 5, None), np.int32), ((7, 1, -2), np.int64), ((0, 1, 0.3), np.float32)]
)
def test_range(dims, numbers, dtype):
    inputs = {
        name: None if number is None else np.full(dims, number, dtype)
        for name, number in zip(("start", "limit", "delta"), numbers, strict=True)
    }
    wanted = np.arange(numbers[0], numbers[1], 1 if numbers[2] is None else numbers[2]).astype(dtype)
    check("Range", inputs, wanted, tuple(inputs), compare=False)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_expand_dims(axis):
    x = some(3, 4)
    check("ExpandDims", {"x": x, "axis": np.int32(axis)}, np.expand_dims(x, axis), ("axis",))


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean"])
def test_distances(metric):
    a, b = some(4, 6), some(3, 6)
    squares = ((np.float64(a)[:, None] - b) ** 2).sum(-1)
    check("CDist", {"a": a, "b": b}, np.sqrt(squares) if metric == "euclidean" else squares, metric=metric)


def test_grid_sample():
    x, grid = some(1, 2, 5, 5), np.zeros((1, 1, 1, 2), np.float32)
    check("GridSample", {"x": x, "grid": grid}, x[:, :, 2:3, 2:3])


def test_what_cannot_be_honoured_is_named():
    assert "metric cosine" in error_of(one_node("CDist", {"a": some(4, 6), "b": some(3, 6)}, metric="cosine"))
    text = error_of(one_node("ExpandDims", {"x": some(3, 4), "axis": np.int32(1)}))
    assert "its axis must be one number that is known" in text

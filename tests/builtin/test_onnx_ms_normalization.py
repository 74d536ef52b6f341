"""Normalisations of com.microsoft against NumPy in float64, and ONNX Runtime where it is installed."""

import numpy as np
import pytest
from one_node import by_onnxruntime, computed, error_of, one_node

RNG = np.random.default_rng(11)


def some(*dims, dtype=np.float32):
    return RNG.standard_normal(dims).astype(dtype)


def check(op, inputs, wanted, known=(), tolerance=2e-5, compare=True, model=None, **attrs):
    outputs = list(wanted)
    while not outputs[-1]:
        outputs.pop()
    model = one_node(op, inputs, outputs, known, **attrs)
    got = computed(model, inputs)
    for name, array in wanted.items():
        if name:
            assert got[name].shape == array.shape
            np.testing.assert_allclose(got[name].astype(np.float64), array, rtol=tolerance, atol=tolerance)
    if compare:
        for name, array in by_onnxruntime(model, inputs).items():
            np.testing.assert_allclose(got[name], array, rtol=1e-4, atol=1e-4)


def layer_norm(x, gamma, beta, epsilon):
    x = np.float64(x)
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon) * gamma
    return y + (0 if beta is None else beta)


def rms_norm(x, gamma, epsilon, axis=-1):
    x = np.float64(x)
    axes = tuple(range(axis % x.ndim, x.ndim))
    return x / np.sqrt((x * x).mean(axes, keepdims=True) + epsilon) * gamma


@pytest.mark.parametrize("skip", [(2, 5, 8), (1, 5, 8), (5, 8)])
@pytest.mark.parametrize(("beta", "bias"), [(True, True), (True, False), (False, True), (False, False)])
def test_layer_norm_with_a_residual(skip, beta, bias):
    inputs = {"x": some(2, 5, 8), "skip": some(*skip), "gamma": some(8), "beta": some(8) if beta else None}
    inputs |= {"bias": some(8) if bias else None}
    total = np.float64(inputs["x"]) + inputs["skip"] + (inputs["bias"] if bias else 0)
    y = layer_norm(total, inputs["gamma"], inputs["beta"], 1e-5)
    blanks = {"": None}
    check("SkipLayerNormalization", inputs, {"y": y}, ("gamma", "beta", "bias"), epsilon=1e-5)
    model = one_node("SkipLayerNormalization", inputs, ("y", *blanks, *blanks, "total"), epsilon=1e-5)
    np.testing.assert_allclose(computed(model, inputs)["total"], total, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(by_onnxruntime(model, inputs)["total"], total, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dims", [(2, 5, 8), (5, 8)])
@pytest.mark.parametrize("bias", [True, False])
def test_rms_norm_with_a_residual(dims, bias):
    inputs = {"x": some(*dims), "skip": some(*dims), "gamma": some(8), "bias": some(8) if bias else None}
    total = np.float64(inputs["x"]) + inputs["skip"] + (inputs["bias"] if bias else 0)
    model = one_node("SkipSimplifiedLayerNormalization", inputs, ("y", "", "", "total"), epsilon=1e-6)
    got = computed(model, inputs)
    np.testing.assert_allclose(got["y"], rms_norm(total, inputs["gamma"], 1e-6), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got["total"], total, rtol=1e-6, atol=1e-6)
    for name, array in by_onnxruntime(model, inputs).items():
        np.testing.assert_allclose(got[name], array, rtol=1e-4, atol=1e-5)


def test_statistics_for_training_are_refused():
    inputs = {"x": some(2, 5, 8), "skip": some(2, 5, 8), "gamma": some(8)}
    text = error_of(one_node("SkipLayerNormalization", inputs, ("y", "mean")))
    assert "output mean is for training" in text


@pytest.mark.parametrize("main", [12, 17, 21])
@pytest.mark.parametrize("axis", [-1, 1])
def test_rms_norm_in_the_domain_of_onnx(main, axis):
    inputs = {"x": some(2, 5, 8), "scale": some(8) if axis == -1 else some(5, 8)}
    x = np.float64(inputs["x"])
    axes = tuple(range(axis % 3, 3))
    factor = 1 / np.sqrt((x * x).mean(axes, keepdims=True) + 1e-6)
    wanted = {"y": rms_norm(x, inputs["scale"], 1e-6, axis), "factor": factor}
    attrs = {"axis": axis, "epsilon": 1e-6, "stash_type": 1}
    check("SimplifiedLayerNormalization", inputs, wanted, ("scale",), domain="", main=main, **attrs)


@pytest.mark.parametrize("main", [11, 16, 17])
def test_layer_norm_in_opsets_that_have_none(main):
    inputs = {"x": some(2, 5, 8), "gamma": some(8), "beta": some(8)}
    wanted = {"y": layer_norm(inputs["x"], inputs["gamma"], inputs["beta"], 1e-12)}
    check("LayerNormalization", inputs, wanted, ("gamma", "beta"), domain="", main=main, axis=-1, epsilon=1e-12)


def group_norm(x, gamma, beta, groups, epsilon, silu):
    """[N, H, W, C]."""
    n, h, w, c = x.shape
    cells = np.float64(x).reshape(n, h, w, groups, c // groups)
    mean, deviation = cells.mean((1, 2, 4), keepdims=True), np.sqrt(cells.var((1, 2, 4), keepdims=True) + epsilon)
    y = ((cells - mean) / deviation).reshape(x.shape) * gamma + beta
    return y / (1 + np.exp(-y)) if silu else y


@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize("silu", [0, 1])
@pytest.mark.parametrize("skip", [None, (2, 4, 3, 8), (2, 8), (2, 1, 1, 8)])
def test_group_norm(channels_last, silu, skip):
    x, gamma, beta, bias = some(2, 4, 3, 8), some(8), some(8), some(8)
    total, inputs = np.float64(x), {"x": x, "gamma": gamma, "beta": beta}
    if skip is not None:
        inputs |= {"skip": some(*skip), "bias": bias}
        total = x + (inputs["skip"][:, None, None] if len(skip) == 2 else inputs["skip"]) + np.float64(bias)
    y = group_norm(total, gamma, beta, 4, 1e-5, silu)
    wanted = {"y": y} if skip is None else {"y": y, "total": total}
    if not channels_last:
        inputs = {name: np.moveaxis(array, -1, 1) if array.ndim == 4 else array for name, array in inputs.items()}
        inputs = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        wanted = {name: np.moveaxis(array, -1, 1) for name, array in wanted.items()}
    op = "GroupNorm" if skip is None else "SkipGroupNorm"
    attrs = {"groups": 4, "activation": silu, "channels_last": channels_last}
    check(op, inputs, wanted, ("gamma", "beta"), compare=False, **attrs)


# ---- embeddings


def embedding(batch=2, length=5, segments=True, mask=True, positions=None):
    inputs = {"ids": RNG.integers(0, 20, (batch, length)).astype(np.int32)}
    inputs |= {"segments": RNG.integers(0, 2, (batch, length)).astype(np.int32) if segments else None}
    inputs |= {"words": some(20, 8), "places": some(12, 8), "kinds": some(2, 8) if segments else None}
    inputs |= {"gamma": some(8), "beta": some(8), "mask": None, "positions": None}
    if mask:
        inputs["mask"] = (np.arange(length) < np.int32([[length], [2]])[:batch]).astype(np.int32)
    if positions is not None:
        inputs["positions"] = RNG.integers(0, 12, (positions, length)).astype(np.int32)
    return inputs


def embedded(inputs):
    places = inputs["places"][: inputs["ids"].shape[1]]
    places = places if inputs["positions"] is None else inputs["places"][inputs["positions"]]
    total = np.float64(inputs["words"][inputs["ids"]]) + places
    return total + (0 if inputs["segments"] is None else inputs["kinds"][inputs["segments"]])


TABLES = ("words", "places", "kinds", "gamma", "beta")


@pytest.mark.parametrize("segments", [True, False])
@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("positions", [None, 1, 2])
def test_embeddings(segments, mask, positions):
    inputs = embedding(segments=segments, mask=mask, positions=positions)
    total = embedded(inputs)
    wanted = {"y": layer_norm(total, inputs["gamma"], inputs["beta"], 1e-5)}
    wanted |= {"ends": inputs["mask"].sum(1) if mask else np.zeros(2), "total": total}
    check("EmbedLayerNormalization", inputs, wanted, TABLES, epsilon=1e-5)


def test_embeddings_of_any_length():
    inputs = embedding(mask=False)
    model = one_node("EmbedLayerNormalization", inputs, known=TABLES, dims={"ids": ("n", "s"), "segments": ("n", "s")})
    shapes = dict.fromkeys(("ids", "segments"), ((1, 1), (3, 12)))
    wanted = layer_norm(embedded(inputs), inputs["gamma"], inputs["beta"], 1e-12)
    np.testing.assert_allclose(computed(model, inputs, shapes)["y"], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("segments", [True, False])
def test_embeddings_of_quantised_tables(dtype, segments):
    inputs, info = embedding(segments=segments), np.iinfo(dtype)
    del inputs["positions"]
    plain = dict(inputs, positions=None)
    scales, zeros = {}, {}
    for name in TABLES:
        is_there = inputs[name] is not None
        if is_there:
            inputs[name] = RNG.integers(info.min, info.max, inputs[name].shape).astype(dtype)
            scales[f"{name}_scale"], zeros[f"{name}_zero"] = np.float32(RNG.uniform(0.01, 0.05)), dtype(7)
            plain[name] = (inputs[name].astype(np.float64) - 7) * scales[f"{name}_scale"]
        else:
            scales[f"{name}_scale"] = zeros[f"{name}_zero"] = None
    inputs |= scales | zeros
    wanted = {"y": layer_norm(embedded(plain), plain["gamma"], plain["beta"], 1e-5), "ends": inputs["mask"].sum(1)}
    known = [name for name in inputs if name not in ("ids", "segments", "mask")]
    check("QEmbedLayerNormalization", inputs, wanted, known, epsilon=1e-5)

"""Fused operators of com.microsoft against NumPy in float64, and ONNX Runtime where it is installed."""

import math

import numpy as np
import pytest
from one_node import by_onnxruntime, computed, error_of, one_node

RNG = np.random.default_rng(7)


def some(*dims, dtype=np.float32):
    return RNG.standard_normal(dims).astype(dtype)


def close(got, wanted, tolerance=1e-5):
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * max(1, np.abs(wanted).max(initial=0)))


def check(op, inputs, wanted, known=(), tolerance=1e-5, theirs=1e-4, outputs=("y",), compare=True, **attrs):
    model = one_node(op, inputs, outputs, known, **attrs)
    got = computed(model, inputs)
    wanted = wanted if isinstance(wanted, dict) else {"y": wanted}
    for name, array in wanted.items():
        close(got[name].astype(np.float64), array, tolerance)
    if compare:
        for name, array in by_onnxruntime(model, inputs).items():
            close(got[name].astype(np.float64), array.astype(np.float64), theirs)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def fast_gelu(x):
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


# ---- element by element


@pytest.mark.parametrize("dims", [(3, 8), (2, 3, 8), (8,)])
@pytest.mark.parametrize(
    ("op", "function", "bias"),
    [("Gelu", gelu, False), ("FastGelu", fast_gelu, False), ("FastGelu", fast_gelu, True), ("BiasGelu", gelu, True)],
)
def test_gelus(op, function, bias, dims):
    inputs = {"x": some(*dims), "b": some(8) if bias else None}
    check(op, inputs, function(np.float64(inputs["x"]) + (inputs["b"] if bias else 0)))


@pytest.mark.parametrize("alpha", [None, 1.0, 0.3])
def test_quick_gelu(alpha):
    inputs = {"x": some(3, 8)}
    factor = 1.702 if alpha is None else alpha
    attrs = {} if alpha is None else {"alpha": alpha}
    check("QuickGelu", inputs, inputs["x"] * sigmoid(np.float64(inputs["x"]) * factor), **attrs)


def test_gelu_of_halves():
    inputs = {"x": some(5, 40, dtype=np.float16)}
    y = computed(one_node("Gelu", inputs), inputs)["y"]
    assert y.dtype == np.float16
    close(y.astype(np.float64), gelu(np.float64(inputs["x"])), 2e-3)


def test_sums_with_a_bias():
    inputs = {"x": some(2, 4, 6), "b": some(6), "skip": some(2, 4, 6)}
    check("BiasAdd", inputs, sum(map(np.float64, inputs.values())), compare=False)
    left, right = np.split(np.float64(inputs["x"]) + inputs["b"], 2, axis=-1)
    del inputs["skip"]
    check("BiasSplitGelu", inputs, left * gelu(right), compare=False)


def test_dropout_drops_nothing():
    inputs = {"x": some(2, 6), "b": some(6), "r": some(2, 6), "ratio": np.float32(0.5), "training": np.bool_(False)}
    check(
        "BiasDropout", inputs, np.float64(inputs["x"]) + inputs["b"] + inputs["r"], ("ratio", "training"), compare=False
    )
    text = error_of(one_node("BiasDropout", inputs | {"training": np.bool_(True)}, known=("ratio", "training")))
    assert "training_mode must be known to be false" in text


@pytest.mark.parametrize(("dims", "bias"), [((2, 3, 4, 5), (2, 1, 4, 5)), ((2, 3, 4, 5), (1, 1, 1, 5))])
def test_softmax_of_a_sum(dims, bias):
    inputs = {"x": some(*dims), "b": some(*bias)}
    e = np.exp(np.float64(inputs["x"]) + inputs["b"])
    check("BiasSoftmax", inputs, e / e.sum(-1, keepdims=True), axis=-1, is_inner_broadcast=1, compare=False)


# ---- convolutions


def convolved(x, w, b, pads=1):
    """3 x 3 windows, stride 1."""
    x = np.pad(np.float64(x), [(0, 0), (0, 0), (pads, pads), (pads, pads)])
    view = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))
    return np.einsum("nchwij,mcij->nmhw", view, np.float64(w)) + (0 if b is None else b[:, None, None])


ACTIVATIONS = [
    ("", [], lambda x: x),
    ("Relu", [], lambda x: np.maximum(x, 0)),
    ("Sigmoid", [], sigmoid),
    ("Tanh", [], np.tanh),
    ("LeakyRelu", [0.3], lambda x: np.where(x < 0, 0.3 * x, x)),
    ("Clip", [-0.5, 1.5], lambda x: np.clip(x, -0.5, 1.5)),
    ("HardSigmoid", [0.3, 0.6], lambda x: np.clip(0.3 * x + 0.6, 0, 1)),
]


@pytest.mark.parametrize(
    ("activation", "parameters", "function"), ACTIVATIONS, ids=[row[0] or "none" for row in ACTIVATIONS]
)
@pytest.mark.parametrize("extra", ["", "b", "bz"])
def test_convolutions(activation, parameters, function, extra):
    inputs = {"x": some(2, 3, 6, 5), "w": some(4, 3, 3, 3)}
    inputs |= {"b": some(4) if "b" in extra else None, "z": some(2, 4, 6, 5) if "z" in extra else None}
    y = convolved(inputs["x"], inputs["w"], inputs["b"])
    attrs = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    attrs |= {"activation": activation} if activation else {}
    attrs |= {"activation_params": parameters} if parameters else {}
    check("FusedConv", inputs, function(y + (inputs["z"] if "z" in extra else 0)), ("w", "b"), **attrs)


@pytest.mark.parametrize("op", ["NhwcConv", "NhwcFusedConv"])
def test_convolutions_of_channels_behind(op):
    is_fused = op == "NhwcFusedConv"
    inputs = {"x": some(2, 6, 5, 3), "w": some(4, 3, 3, 3), "b": some(4), "z": some(2, 6, 5, 4) if is_fused else None}
    y = np.moveaxis(convolved(np.moveaxis(inputs["x"], -1, 1), inputs["w"], inputs["b"]), 1, -1)
    y = np.maximum(y + inputs["z"], 0) if is_fused else y
    attrs = {"activation": "Relu"} if is_fused else {}
    check(op, inputs, y, ("w", "b"), pads=[1, 1, 1, 1], compare=False, **attrs)


# ---- products


@pytest.mark.parametrize("sides", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize(
    ("activation", "attrs", "function"),
    [
        ("Relu", {}, lambda x: np.maximum(x, 0)),
        ("LeakyRelu", {"activation_alpha": 0.2}, lambda x: np.where(x < 0, 0.2 * x, x)),
        ("HardSigmoid", {"activation_alpha": 0.4, "activation_beta": 0.1}, lambda x: np.clip(0.4 * x + 0.1, 0, 1)),
        ("Elu", {"activation_alpha": 0.7}, lambda x: np.where(x < 0, 0.7 * np.expm1(x), x)),
    ],
)
def test_gemm(sides, activation, attrs, function):
    a, b = some(5, 7), some(7, 6)
    inputs = {"a": a.T.copy() if sides[0] else a, "b": b.T.copy() if sides[1] else b, "c": some(6)}
    y = function(0.5 * (np.float64(a) @ b) + 0.7 * np.float64(inputs["c"]))
    attrs = attrs | {"activation": activation, "alpha": 0.5, "beta": 0.7, "transA": sides[0], "transB": sides[1]}
    check("FusedGemm", inputs, y, ("b", "c"), **attrs)


@pytest.mark.parametrize("sides", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("op", ["FusedMatMul", "TransposeMatMul"])
@pytest.mark.parametrize("alpha", [1.0, 0.25])
def test_products(op, sides, alpha):
    a, b = some(2, 3, 5, 7), some(3, 7, 6)
    inputs = {"a": a.swapaxes(-1, -2).copy() if sides[0] else a, "b": b.swapaxes(-1, -2).copy() if sides[1] else b}
    wanted = alpha * (np.float64(a) @ np.float64(b))
    check(op, inputs, wanted, alpha=alpha, transA=sides[0], transB=sides[1])


@pytest.mark.parametrize("sides", [(0, 0), (0, 1)])
@pytest.mark.parametrize("batches", [(1, 0), (0, 1), (1, 1)])
def test_products_whose_batch_is_behind_the_rows(sides, batches):
    a, b = some(3, 4, 5, 7), some(3, 4, 7, 6)
    sides_of = [x.swapaxes(-1, -2) if side else x for x, side in zip((a, b), sides, strict=True)]
    moved = [np.moveaxis(x, -2, 0) if batch else x for x, batch in zip(sides_of, batches, strict=True)]
    inputs = dict(zip("ab", (np.ascontiguousarray(x) for x in moved), strict=True))
    attrs = {"transA": sides[0], "transB": sides[1], "transBatchA": batches[0], "transBatchB": batches[1]}
    check("FusedMatMul", inputs, np.float64(a) @ np.float64(b), **attrs)


def test_vectors_are_not_transposed():
    inputs = {"a": some(7), "b": some(7, 6)}
    check("FusedMatMul", inputs, np.float64(inputs["a"]) @ inputs["b"], transA=1)


def test_products_with_an_activation():
    inputs = {"a": some(5, 7), "b": some(7, 6)}
    y = np.tanh(2 * (np.float64(inputs["a"]) @ inputs["b"]))
    check("FusedMatMulActivation", inputs, y, alpha=2.0, activation="Tanh", compare=False)
    inputs["bias"] = some(6)
    check("GemmFastGelu", inputs, fast_gelu(np.float64(inputs["a"]) @ inputs["b"] + inputs["bias"]), compare=False)


# ---- what is refused


@pytest.mark.parametrize(
    ("op", "attrs", "words"),
    [
        ("FusedConv", {"activation": "Mish"}, ["activation Mish", "known Clip, Elu"]),
        ("FusedConv", {"activation": "Clip", "activation_params": [1.0]}, ["activation_params (1.0,)", "min, max"]),
        ("FusedConv", {"layout": "NHWC"}, ["not known: layout"]),
        ("FusedGemm", {"activation": "Relu", "activation_delta": 1.0}, ["not known: activation_delta"]),
        ("BiasSoftmax", {"axis": -1, "is_inner_broadcast": 1}, ["not as many dims", "(1, 3, 4, 4)"]),
    ],
)
def test_what_cannot_be_honoured_is_named(op, attrs, words):
    second = {"FusedConv": (2, 3, 1, 1), "FusedGemm": (4, 2), "BiasSoftmax": (4, 4)}[op]
    inputs = {"x": some(3, 4) if op == "FusedGemm" else some(1, 3, 4, 4), "w": some(*second)}
    text = error_of(one_node(op, inputs, **attrs))
    assert not [word for word in (f"({op} 'here')", *words) if word not in text], text


@pytest.mark.parametrize("op", ["Conv", "ReorderInput", "MaxPool"])
def test_layouts_of_one_machine_are_refused_with_the_way_out(op):
    text = error_of(one_node(op, {"x": some(1, 8, 4, 4), "w": some(8, 8, 1, 1)}, domain="com.microsoft.nchwc"))
    assert "ORT_ENABLE_EXTENDED" in text

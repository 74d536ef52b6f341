"""com.microsoft products of quantised numbers against NumPy in float64, and ONNX Runtime where it is installed."""

import numpy as np
import pytest
from one_node import by_onnxruntime, computed, error_of, one_node

RNG = np.random.default_rng(5)
BYTES = [np.uint8, np.int8]


def some(dims, dtype=np.uint8):
    info = np.iinfo(dtype)
    return RNG.integers(info.min, info.max + 1, dims).astype(dtype)


def close(got, wanted, tolerance=1e-5):
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * max(1, np.abs(wanted).max(initial=0)))


def check(op, inputs, wanted, known=(), tolerance=1e-5, theirs=1e-4, **attrs):
    model = one_node(op, inputs, known=known, **attrs)
    got = computed(model, inputs)["y"]
    close(got, wanted, tolerance)
    close(got, by_onnxruntime(model, inputs)["y"].astype(np.float64), theirs)


def product(a, a_scale, a_zero, b, b_scale, b_zero):
    centred = [
        x.astype(np.int64) - (0 if zero is None else zero.astype(np.int64)) for x, zero in ((a, a_zero), (b, b_zero))
    ]
    return (centred[0] @ centred[1]) * np.float64(a_scale) * np.float64(b_scale)


@pytest.mark.parametrize("b_type", BYTES)
@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dims", [((5, 7), (7, 6)), ((2, 3, 5, 7), (7, 6))])
def test_products_as_floats(b_type, by_column, bias, dims):
    n = dims[1][-1]
    inputs = {"a": some(dims[0]), "b": some(dims[1], b_type), "as": np.float32(0.02)}
    inputs |= {"bs": RNG.uniform(0.01, 0.1, n if by_column else ()).astype(np.float32), "az": np.uint8(130)}
    inputs |= {"bz": some(n, b_type) if by_column else b_type(3)}
    inputs |= {"bias": RNG.standard_normal(n).astype(np.float32) if bias else None}
    wanted = product(*(inputs[name] for name in ("a", "as", "az", "b", "bs", "bz")))
    check("MatMulIntegerToFloat", inputs, wanted + (inputs["bias"] if bias else 0), ("b", "bs", "bz", "bias"))


def test_products_without_zero_points():
    inputs = {"a": some((4, 3)), "b": some((3, 5)), "as": np.float32([0.1]), "bs": np.float32([0.2])}
    check("MatMulIntegerToFloat", inputs, product(inputs["a"], 0.1, None, inputs["b"], 0.2, None))


def quantised(x):
    """ONNX DynamicQuantizeLinear, in float32 as it is specified."""
    low, high = min(x.min(), 0), max(x.max(), 0)
    scale = np.float32((high - low) / np.float32(255))
    zero = np.clip(np.rint(-low / scale), 0, 255)
    return np.clip(np.rint(x / scale) + zero, 0, 255).astype(np.uint8), scale, np.uint8(zero)


@pytest.mark.parametrize("b_type", BYTES)
@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize(("has_zero", "bias"), [(True, True), (True, False), (False, True), (False, False)])
def test_products_of_what_is_quantised_on_the_way(b_type, by_column, has_zero, bias):
    a = RNG.standard_normal((2, 9, 16)).astype(np.float32)
    inputs = {
        "a": a,
        "b": some((16, 6), b_type),
        "bs": RNG.uniform(0.01, 0.1, 6 if by_column else 1).astype(np.float32),
    }
    inputs |= {"bz": some(6 if by_column else 1, b_type) if has_zero else None}
    inputs |= {"bias": RNG.standard_normal(6).astype(np.float32) if bias else None}
    steps, scale, zero = quantised(a)
    wanted = product(steps, scale, zero, inputs["b"], inputs["bs"], inputs["bz"])
    check("DynamicQuantizeMatMul", inputs, wanted + (inputs["bias"] if bias else 0), "*")


@pytest.mark.parametrize("types", [(np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8)])
@pytest.mark.parametrize("sides", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize(("c", "by_column", "alpha"), [(None, False, 1.0), ((6,), True, 1.0), ((5, 6), True, 0.5)])
def test_gemm(types, sides, c, by_column, alpha):
    a, b = some((5, 7), types[0]), some((7, 6), types[1])
    inputs = {"a": a.T.copy() if sides[0] else a, "as": np.float32(0.02), "az": types[0](9)}
    inputs |= {
        "b": b.T.copy() if sides[1] else b,
        "bs": RNG.uniform(0.01, 0.1, 6 if by_column else ()).astype(np.float32),
    }
    inputs |= {"bz": some(6, types[1]) if by_column else types[1](3)}
    inputs |= {"c": None if c is None else RNG.integers(-9000, 9000, c).astype(np.int32)}
    sums = (a.astype(int) - 9) @ (b.astype(int) - inputs["bz"].astype(int)) + (0 if c is None else inputs["c"])
    wanted = sums * np.float64(np.float32(0.02)) * inputs["bs"] * alpha
    known = ("as", "az", "b", "bs", "bz", "c", "ys", "yz")
    attrs = {"transA": sides[0], "transB": sides[1], "alpha": alpha}
    check("QGemm", inputs, wanted, known, **attrs)
    inputs |= {"ys": np.float32(1.7), "yz": types[0](17)}
    info = np.iinfo(types[0])
    wanted = np.clip(np.rint(wanted / np.float64(np.float32(1.7))) + 17, info.min, info.max)
    model = one_node("QGemm", inputs, known=known, **attrs)
    got = computed(model, inputs)["y"]
    assert got.dtype == types[0]
    assert np.abs(got.astype(int) - wanted).max() <= 1
    assert np.abs(got.astype(int) - by_onnxruntime(model, inputs)["y"].astype(int)).max() <= 1


def test_products_of_integers_of_16_bits():
    inputs = {"a": some((3, 4), np.int16), "b": some((4, 2), np.int16)}
    got = computed(one_node("MatMulInteger16", inputs), inputs)["y"]
    np.testing.assert_array_equal(got, (inputs["a"].astype(np.int64) @ inputs["b"].astype(np.int64)).astype(np.int32))


# ---- LSTM


def lstm(x, w, r, b, h, c, lengths=None, peepholes=None):
    """One direction, forward; w [inputs, 4 hidden], gates i, o, f, c."""
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    n = h.shape[-1]
    p_i, p_o, p_f = np.split(np.zeros(3 * n) if peepholes is None else peepholes, 3)
    y = np.zeros((len(x), *h.shape))
    for t, step in enumerate(x):
        i, o, f, g = np.split(step @ w + h @ r + b[: 4 * n] + b[4 * n :], 4, axis=-1)
        new = sigmoid(f + p_f * c) * c + sigmoid(i + p_i * c) * np.tanh(g)
        here = (np.full(len(h), len(x)) if lengths is None else lengths)[:, None] > t
        out = sigmoid(o + p_o * new) * np.tanh(new)
        h, c = np.where(here, out, h), np.where(here, new, c)
        y[t] = np.where(here, out, 0)
    return y, h, c


def lstm_inputs(directions=1, dtype=np.int8, by_column=False, hidden=6, inputs=5, steps=4, batch=3):
    shape = (directions, 4 * hidden) if by_column else (directions,)
    given = {"x": RNG.uniform(-1, 1, (steps, batch, inputs)).astype(np.float32)}
    given |= {"w": some((directions, inputs, 4 * hidden), dtype), "r": some((directions, hidden, 4 * hidden), dtype)}
    given |= {"b": RNG.uniform(-0.5, 0.5, (directions, 8 * hidden)).astype(np.float32), "lens": None, "h": None}
    given |= {"c": None, "p": None, "ws": RNG.uniform(0.003, 0.005, shape).astype(np.float32)}
    low = 0 if dtype == np.int8 else 120
    given |= {"wz": np.full(shape, low, dtype), "rs": RNG.uniform(0.003, 0.005, shape).astype(np.float32)}
    return given | {"rz": np.full(shape, low, dtype)}


def lstm_wanted(given, direction="forward"):
    results = []
    for index in range(len(given["w"])):
        weights = [
            (given[name][index].astype(float) - np.float64(given[f"{name}z"][index]))
            * np.float64(given[f"{name}s"][index])
            for name in "wr"
        ]
        is_reverse = direction == "reverse" or index == 1
        x = np.float64(given["x"][::-1] if is_reverse else given["x"])
        zero = np.zeros((x.shape[1], weights[1].shape[0]))
        h, c = (zero if given[name] is None else np.float64(given[name][index]) for name in "hc")
        p = None if given["p"] is None else np.float64(given["p"][index])
        y, h, c = lstm(x, *weights, np.float64(given["b"][index]), h, c, given["lens"], p)
        results.append((y[::-1] if is_reverse else y, h, c))
    y, h, c = zip(*results, strict=True)
    return {"y": np.stack(y, 1), "y_h": np.stack(h), "y_c": np.stack(c)}


OUTPUTS = ("y", "y_h", "y_c")


@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_lstm(dtype, by_column, direction):
    given = lstm_inputs(2 if direction == "bidirectional" else 1, dtype, by_column)
    known = [name for name in given if name != "x"]
    model = one_node("DynamicQuantizeLSTM", given, OUTPUTS, known, direction=direction, hidden_size=6)
    got = computed(model, given)
    for name, wanted in lstm_wanted(given, direction).items():
        close(got[name], wanted)
    for name, wanted in by_onnxruntime(model, given).items():  # it rounds x and h to 8 bits on the way
        np.testing.assert_allclose(got[name], wanted, atol=0.02)


def test_lstm_with_states_lengths_and_peepholes():
    given = lstm_inputs()
    given |= {"lens": np.int32([4, 1, 2]), "h": RNG.uniform(-1, 1, (1, 3, 6)).astype(np.float32)}
    given |= {
        "c": RNG.uniform(-1, 1, (1, 3, 6)).astype(np.float32),
        "p": RNG.uniform(-1, 1, (1, 18)).astype(np.float32),
    }
    model = one_node("DynamicQuantizeLSTM", given, OUTPUTS, ("w", "r", "b", "p", "ws", "wz", "rs", "rz"), hidden_size=6)
    got = computed(model, given)
    for name, wanted in lstm_wanted(given).items():
        close(got[name], wanted)


# ---- what is refused


def test_one_scale_for_each_row_of_a_is_refused():
    inputs = {"a": some((2, 3)), "b": some((3, 4)), "as": np.float32([1, 2]), "bs": np.float32(1)}
    text = error_of(one_node("MatMulIntegerToFloat", inputs))
    assert "(MatMulIntegerToFloat 'here')" in text
    assert "input 2 must have one element; shape (2,)" in text


def test_scales_of_lstm_weights_are_by_direction():
    given = lstm_inputs(2) | {"ws": np.float32([1])}
    text = error_of(one_node("DynamicQuantizeLSTM", given, direction="bidirectional", hidden_size=6))
    assert "input 8 is not [directions] or [directions, 4 * hidden_size]; shape (1,)" in text

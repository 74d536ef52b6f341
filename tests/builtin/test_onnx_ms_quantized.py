"""com.microsoft operators on quantised numbers against NumPy in float64, and ONNX Runtime where it is installed."""

import numpy as np
import pytest
from one_node import by_onnxruntime, computed, error_of, one_node

RNG = np.random.default_rng(3)
LIMITS = {np.uint8: (0, 255), np.int8: (-128, 127)}
BYTES = [np.uint8, np.int8]


def some(dims, dtype=np.uint8):
    low, high = LIMITS[dtype]
    return RNG.integers(low, high + 1, dims).astype(dtype)


def real(x, scale, zero):
    return (x.astype(np.float64) - np.float64(0 if zero is None else zero)) * np.float64(scale)


def stored(y, scale, zero, dtype):
    low, high = LIMITS[dtype]
    return np.clip(np.rint(y / np.float64(scale)) + np.float64(0 if zero is None else zero), low, high).astype(dtype)


def steps_apart(got, wanted, most=1):
    """A tie may fall to either side: at most one step, in at most one of twenty elements."""
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    difference = np.abs(got.astype(int) - wanted.astype(int))
    assert difference.max(initial=0) <= most, difference.max()
    assert np.count_nonzero(difference) <= max(1, difference.size // 20)


def check(op, inputs, wanted, known=(), most=1, **attrs):
    model = one_node(op, inputs, known=known, **attrs)
    got = computed(model, inputs)["y"]
    steps_apart(got, wanted)
    return model, inputs, got, most


def compare(model, inputs, got, most=1):
    """The same of ONNX Runtime; operators with tables of their own may be `most` steps away."""
    wanted = by_onnxruntime(model, inputs)["y"]
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    assert np.abs(got.astype(int) - wanted.astype(int)).max(initial=0) <= most


def scales(dtype, has_zero=True, one=np.float32):
    low, high = LIMITS[dtype]
    zero = dtype(RNG.integers(low // 2, high // 2)) if has_zero else None
    return np.asarray(one(RNG.uniform(0.01, 0.2))), zero


def unary_inputs(dims, dtype, has_zero, y_scale=None):
    x_scale, x_zero = scales(dtype, has_zero)
    scale, y_zero = scales(dtype, has_zero)
    scale = scale if y_scale is None else np.float32(y_scale)
    return {"x": some(dims, dtype), "xs": x_scale, "xz": x_zero, "ys": scale, "yz": y_zero}


def of_unary(inputs, function):
    y = function(real(inputs["x"], inputs["xs"], inputs["xz"]))
    return stored(y, inputs["ys"], inputs["yz"], inputs["x"].dtype.type)


# ---- element by element


@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize(
    ("op", "function"), [("QLinearAdd", np.add), ("QLinearMul", np.multiply)], ids=["add", "multiply"]
)
@pytest.mark.parametrize(
    ("a", "b", "known"),
    [((2, 3, 4), (2, 3, 4), ()), ((2, 3, 4), (4,), "*"), ((1,), (3, 5), ()), ((3, 1), (1, 5), ()), ((), (7,), ())],
)
def test_two_operands(op, function, a, b, known, dtype):
    names = ("as", "az"), ("bs", "bz"), ("ys", "yz")
    inputs = {}
    for index, operand in enumerate((a, b, None)):
        if operand is not None:
            inputs["ab"[index]] = some(operand, dtype)
        inputs[names[index][0]], inputs[names[index][1]] = scales(dtype)
    y = function(real(inputs["a"], inputs["as"], inputs["az"]), real(inputs["b"], inputs["bs"], inputs["bz"]))
    compare(*check(op, inputs, stored(y, inputs["ys"], inputs["yz"], dtype), known))


def test_absent_zero_points_are_zero():
    inputs = {"a": some((3, 4)), "as": np.float32(0.1), "az": None, "b": some(4), "bs": np.float32(0.2), "bz": None}
    inputs |= {"ys": np.float32(0.3)}
    y = real(inputs["a"], 0.1, None) + real(inputs["b"], 0.2, None)
    check("QLinearAdd", inputs, stored(y, np.float32(0.3), None, np.uint8))


@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("has_zero", [True, False])
def test_sigmoid(dtype, has_zero):
    inputs = unary_inputs((5, 40), dtype, has_zero, 1 / 256)
    found = check("QLinearSigmoid", inputs, of_unary(inputs, lambda x: 1 / (1 + np.exp(-x))))
    if has_zero:  # without zero points ONNX Runtime ends the process
        compare(*found)


@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("attrs", [{}, {"alpha": 0.2}, {"alpha": -1.5}])
def test_leaky_relu(dtype, attrs):
    inputs = unary_inputs((5, 40), dtype, True)
    alpha = np.float32(attrs.get("alpha", 0.01))
    compare(*check("QLinearLeakyRelu", inputs, of_unary(inputs, lambda x: np.where(x < 0, alpha * x, x)), **attrs))


@pytest.mark.parametrize("dtype", BYTES)
def test_where(dtype):
    inputs = {"c": RNG.integers(0, 2, (4, 1)).astype(bool), "x": some((4, 6), dtype), "xs": np.float32(0.1)}
    inputs |= {"xz": dtype(3), "w": some(6, dtype), "ws": np.float32(0.07), "wz": dtype(9)}
    inputs |= {"ys": np.float32(0.11), "yz": dtype(5)}
    y = np.where(inputs["c"], real(inputs["x"], np.float32(0.1), 3), real(inputs["w"], np.float32(0.07), 9))
    compare(*check("QLinearWhere", inputs, stored(y, np.float32(0.11), 5, dtype), ("xs", "xz", "ws", "wz", "ys", "yz")))


@pytest.mark.parametrize("dtype", BYTES)
def test_products_of_integers(dtype):
    inputs = {"a": some((3, 4), dtype), "az": dtype(3), "b": some(4, dtype), "bz": dtype(7)}
    y = computed(one_node("MulInteger", inputs), inputs)["y"]
    np.testing.assert_array_equal(y, (inputs["a"].astype(int) - 3) * (inputs["b"].astype(int) - 7))


# ---- along axes


@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize(("opset", "axis"), [(13, -1), (13, 0), (12, 1), (12, -1), (7, 2)])
def test_softmax(dtype, opset, axis):
    inputs = unary_inputs((3, 4, 10), dtype, True, 1 / 256)
    inputs["yz"] = dtype(LIMITS[dtype][0])

    def softmax(x):
        flat = x if opset >= 13 else x.reshape(*x.shape[: axis % 3], -1)
        e = np.exp(flat - flat.max(axis if opset >= 13 else -1, keepdims=True))
        return (e / e.sum(axis if opset >= 13 else -1, keepdims=True)).reshape(x.shape)

    compare(*check("QLinearSoftmax", inputs, of_unary(inputs, softmax), opset=opset, axis=axis))


@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("axis", [1, -1])
def test_concatenation(dtype, axis):
    inputs = {"ys": np.float32(0.15), "yz": dtype(10)}
    parts = []
    for index, length in enumerate((3, 1, 4)):
        inputs[f"x{index}"] = some((2, length) if axis == 1 else (2, 3, length), dtype)
        inputs[f"s{index}"], inputs[f"z{index}"] = scales(dtype)
        parts.append(real(*(inputs[f"{name}{index}"] for name in "xsz")))
    wanted = stored(np.concatenate(parts, axis), np.float32(0.15), 10, dtype)
    known = [name for name in inputs if name[0] != "x"]
    compare(*check("QLinearConcat", inputs, wanted, known, axis=axis))


@pytest.mark.parametrize("keepdims", [0, 1])
def test_means(keepdims):
    inputs = unary_inputs((2, 3, 4, 5), np.uint8, True)
    wanted = of_unary(inputs, lambda x: x.mean((1, 3), keepdims=bool(keepdims)))
    check("QLinearReduceMean", inputs, wanted, axes=[1, -1], keepdims=keepdims)


def test_sums_of_integers():
    x = some((3, 4, 5), np.int8)
    y = computed(one_node("ReduceSumInteger", {"x": x}, axes=[0, 2], keepdims=0), {"x": x})["y"]
    np.testing.assert_array_equal(y, x.astype(np.int32).sum((0, 2)))


# ---- planes


def last(x):
    return np.moveaxis(x, 1, -1)


@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize("channels_last", [0, 1])
def test_global_means(dtype, channels_last):
    inputs = unary_inputs((2, 3, 5, 4), dtype, True)
    wanted = of_unary(inputs, lambda x: x.mean((1, 2) if channels_last else (2, 3), keepdims=True))
    compare(*check("QLinearGlobalAveragePool", inputs, wanted, channels_last=channels_last))


def average(x, kernel, strides, pads, is_counted):
    """Windows of planes [N, C, H, W]."""
    ones = np.ones(x.shape[2:])
    padded = [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])]
    x = np.pad(x, padded)
    ones = np.pad(ones, padded[2:], constant_values=1 if is_counted else 0)
    rows, columns = ((x.shape[2 + i] - kernel[i]) // strides[i] + 1 for i in (0, 1))
    y = np.zeros((*x.shape[:2], rows, columns))
    for i in range(rows):
        for j in range(columns):
            place = slice(i * strides[0], i * strides[0] + kernel[0]), slice(j * strides[1], j * strides[1] + kernel[1])
            y[:, :, i, j] = x[(slice(None), slice(None), *place)].sum((2, 3)) / ones[place].sum()
    return y


@pytest.mark.parametrize("channels_last", [0, 1])
@pytest.mark.parametrize(
    ("pads", "strides", "counted"), [((0, 0, 0, 0), (1, 2), 0), ((1, 0, 1, 1), (2, 1), 0), ((1, 1, 1, 1), (2, 2), 1)]
)
def test_averages_of_windows(pads, strides, counted, channels_last):
    inputs = unary_inputs((2, 3, 7, 6), np.uint8, True)
    wanted = of_unary(inputs, lambda x: average(x, (3, 2), strides, pads, counted))
    if channels_last:
        inputs["x"], wanted = last(inputs["x"]), last(wanted)
    attrs = {"kernel_shape": [3, 2], "strides": strides, "pads": pads, "count_include_pad": counted}
    compare(*check("QLinearAveragePool", inputs, wanted, channels_last=channels_last, **attrs))


@pytest.mark.parametrize("dtype", BYTES)
def test_maxima_of_windows_behind_each_other(dtype):
    x = some((2, 7, 6, 3), dtype)
    wanted = np.max([x[:, i : i + 6 : 2, j : j + 5 : 1] for i in (0, 1) for j in (0, 1)], axis=0)
    inputs = {"x": x}
    compare(*check("NhwcMaxPool", inputs, wanted[:, :3, :5], kernel_shape=[2, 2], strides=[2, 1]))


@pytest.mark.parametrize("channels_last", [0, 1])
def test_convolutions(channels_last):
    x, w = some((2, 4, 6, 5)), some((6, 2, 1, 1), np.int8)
    inputs = {"x": last(x) if channels_last else x, "xs": np.float32(0.02), "xz": np.uint8(120), "w": w}
    inputs |= {"ws": RNG.uniform(0.01, 0.03, 6).astype(np.float32), "wz": np.zeros(6, np.int8)}
    inputs |= {"ys": np.float32(0.3), "yz": np.uint8(100), "b": RNG.integers(-900, 900, 6).astype(np.int32)}
    sums = np.einsum("ngchw,gkc->ngkhw", (x.astype(int) - 120).reshape(2, 2, 2, 6, 5), w.reshape(2, 3, 2).astype(int))
    sums = sums.reshape(2, 6, 6, 5) + inputs["b"][:, None, None]
    y = stored(sums * np.float64(np.float32(0.02)) * inputs["ws"][:, None, None], np.float32(0.3), 100, np.uint8)
    wanted = last(y) if channels_last else y
    model, *rest = check("QLinearConv", inputs, wanted, "*", channels_last=channels_last, group=2)
    if not channels_last:  # for the other ONNX Runtime has no kernel without a layout pass
        compare(model, *rest)


# ---- the two of ONNX, in the domain of onnxruntime


@pytest.mark.parametrize("zero", [np.uint8([3, 5, 7]), np.int8([3, -5, 7]), np.uint16([900, 30, 4]), None])
def test_quantise_along_an_axis_and_back(zero):
    scale = np.float32([0.1, 0.02, 0.3])
    x = RNG.uniform(-20, 20, (2, 3, 4)).astype(np.float32)
    inputs = {"x": x, "scale": scale, "zero": zero}
    got = computed(one_node("QuantizeLinear", inputs, known="*", axis=1), inputs)["y"]
    low, high = (0, 255) if zero is None else (np.iinfo(zero.dtype).min, np.iinfo(zero.dtype).max)
    offset = 0 if zero is None else zero.astype(int)[:, None]
    wanted = np.clip(np.rint(np.float64(x) / np.float64(scale)[:, None]) + offset, low, high)
    np.testing.assert_allclose(got.astype(float), wanted, atol=1)
    assert np.count_nonzero(got.astype(int) != wanted.astype(int)) <= 1
    back = {"x": got.astype(np.uint8 if zero is None else zero.dtype), "scale": scale, "zero": zero}
    y = computed(one_node("DequantizeLinear", back, known="*", axis=1), back)["y"]
    np.testing.assert_allclose(y, (wanted - offset) * np.float64(scale)[:, None], rtol=1e-6, atol=0.31)


@pytest.mark.parametrize("op", ["QuantizeLinear", "DequantizeLinear"])
def test_an_output_type_that_is_spelt_out_as_undefined(op):
    """As onnxruntime's optimiser writes it."""
    is_back = op == "DequantizeLinear"
    inputs = {"x": np.int8([-3, 5]) if is_back else np.float32([-0.3, 0.5]), "s": np.float32(0.1), "z": np.int8(1)}
    y = computed(one_node(op, inputs, known="*", domain="", main=23, output_dtype=0), inputs)["y"]
    np.testing.assert_allclose(y, [-0.4, 0.4] if is_back else [-2, 6], atol=1e-6)
    assert y.dtype == (np.float32 if is_back else np.int8)


# ---- what is refused


@pytest.mark.parametrize(
    ("op", "changes", "attrs", "words"),
    [
        ("QLinearSigmoid", {"xs": np.float32([0.1, 0.2])}, {}, ["input 1", "one element", "(2,)"]),
        ("QLinearSigmoid", {}, {"axis": 1}, ["not known: axis", "none"]),
        ("QLinearSoftmax", {}, {"opset": 0}, ["opset 0"]),
        ("QLinearGlobalAveragePool", {"ys": None, "yz": None}, {}, ["inputs 3", "4 to 5"]),
    ],
)
def test_what_cannot_be_honoured_is_named(op, changes, attrs, words):
    inputs = unary_inputs((2, 3, 4), np.uint8, True) | changes
    text = error_of(one_node(op, inputs, **attrs))
    assert not [word for word in (f"({op} 'here')", *words) if word not in text], text


def test_parts_of_a_concatenation_come_in_threes():
    inputs = {
        "ys": np.float32(1),
        "yz": np.uint8(0),
        "x": some(3),
        "xs": np.float32(1),
        "xz": np.uint8(0),
        "w": some(3),
    }
    assert "x, scale and zero point each" in error_of(one_node("QLinearConcat", inputs, axis=0))


def test_what_is_missing_is_named():
    inputs = {"ys": np.float32(1), "yz": np.uint8(0), "x": some(3), "xs": np.float32(1), "xz": np.uint8(0)}
    assert "its attribute axis is missing" in error_of(one_node("QLinearConcat", inputs))
    assert "its input 3 is missing" in error_of(one_node("QLinearConcat", inputs | {"xs": None}, axis=0))

"""Weights of a few bits in blocks, of com.microsoft, against NumPy in float64, and ONNX Runtime if it is here."""

import numpy as np
import pytest
from one_node import by_onnxruntime, computed, error_of, one_node
from onnx import TensorProto, helper

RNG = np.random.default_rng(19)


def some(*dims):
    return RNG.uniform(-1, 1, dims).astype(np.float32)


def packed(steps, bits):
    """Numbers of the last axis in bytes, the low bits first; the last byte is filled with zeros."""
    each = 8 // bits
    steps = np.pad(steps, [(0, 0)] * (steps.ndim - 1) + [(0, -steps.shape[-1] % each)])
    parts = steps.reshape(*steps.shape[:-1], -1, each).astype(np.uint32) << (np.arange(each) * bits)
    return parts.sum(-1).astype(np.uint8)


def close(got, wanted, tolerance=1e-5):
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * max(1, np.abs(wanted).max(initial=0)))


def check(op, inputs, wanted, theirs=2e-4, compare=True, **attrs):
    model = one_node(op, inputs, known="*", **attrs)
    got = computed(model, inputs)["y"]
    close(got, wanted)
    if compare:
        close(got, by_onnxruntime(model, inputs)["y"], theirs)


# ---- MatMulNBits


@pytest.mark.parametrize("bits", [4, 8, 2])
@pytest.mark.parametrize("zeros", ["none", "packed", "floats"])
@pytest.mark.parametrize(("n", "k", "block"), [(5, 64, 32), (8, 48, 16), (3, 40, 32)])
def test_products(bits, zeros, n, k, block):
    blocks = -(-k // block)
    steps, scales = RNG.integers(0, 2**bits, (n, blocks, block)), some(n, blocks)
    offsets = {"none": np.full((n, blocks), 2 ** (bits - 1)), "packed": RNG.integers(0, 2**bits, (n, blocks))}
    offset = offsets.get(zeros, some(n, blocks) * 3)
    weights = ((steps - np.float64(offset)[..., None]) * np.float64(scales)[..., None]).reshape(n, -1)[:, :k]
    inputs = {"a": some(2, 3, k), "w": packed(steps, bits), "scales": scales}
    inputs["zeros"] = {"none": None, "packed": packed(offset, bits) if zeros == "packed" else None}.get(zeros, offset)
    wanted = np.float64(inputs["a"]) @ weights.T
    compare = bits != 2 and zeros != "floats"
    check("MatMulNBits", inputs, wanted, compare=compare, N=n, K=k, bits=bits, block_size=block, accuracy_level=1)
    inputs |= {"g_idx": None, "bias": some(n)}
    check("MatMulNBits", inputs, wanted + inputs["bias"], compare=compare, N=n, K=k, bits=bits, block_size=block)


@pytest.mark.parametrize(
    ("changes", "attrs", "words"),
    [
        ({}, {"bits": 3}, ["bits 3", "2, 4 nor 8"]),
        ({}, {"N": 4}, ["weights (3, 2, 16)", "wanted (4, 2, 16)"]),
        ({}, {"weight_prepacked": 1}, ["weight_prepacked is 1"]),
        ({"zeros": None, "g_idx": np.zeros(64, np.int32)}, {}, ["input 4", "deprecated"]),
    ],
)
def test_products_that_are_refused(changes, attrs, words):
    inputs = {"a": some(2, 64), "w": RNG.integers(0, 255, (3, 2, 16)).astype(np.uint8), "scales": some(3, 2)} | changes
    text = error_of(
        one_node("MatMulNBits", inputs, known="*", **{"N": 3, "K": 64, "bits": 4, "block_size": 32, **attrs})
    )
    assert not [word for word in ("(MatMulNBits 'here')", *words) if word not in text], text


def test_weights_that_are_not_known_are_refused():
    inputs = {"a": some(2, 64), "w": RNG.integers(0, 255, (3, 2, 16)).astype(np.uint8), "scales": some(3, 2)}
    text = error_of(one_node("MatMulNBits", inputs, N=3, K=64, bits=4, block_size=32))
    assert "its weights must be known when the network is built" in text


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize(("n", "k"), [(6, 32), (5, 17)])
def test_products_with_floats_of_four_bits(kind, n, k):
    """Each value by a weight matrix of that value alone."""
    a, scale = some(4, k), some(-(-n * k // 16))
    steps = RNG.integers(0, 16, n * k)
    even = np.append(steps, 0)[: 2 * (-(-n * k // 2))].reshape(-1, 2)
    inputs = {"a": a, "w": (even[:, 0] << 4 | even[:, 1]).astype(np.uint8), "absmax": scale}
    values = {0: [0, 1 / 192, 2 / 3, 1, 1 / 3, 1 / 2, 1 / 6, 1 / 4], 1: None}[kind]
    model = one_node("MatMulBnb4", inputs, known="*", N=n, K=k, block_size=16, quant_type=kind)
    got = computed(model, inputs)["y"]
    if values is not None:
        table = np.array(values + [-v for v in values])
        weights = (table[steps] * np.repeat(np.float64(scale), 16)[: n * k]).reshape(n, k)
        close(got, np.float64(a) @ weights.T)
    close(got, by_onnxruntime(model, inputs)["y"], 1e-5)


# ---- GatherBlockQuantized


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("has_zeros", [True, False])
def test_rows_of_bytes(bits, has_zeros):
    steps, scales = RNG.integers(0, 2**bits, (7, 64)), some(7, 4)
    zeros = RNG.integers(0, 2**bits, (7, 4)) if has_zeros else np.full((7, 4), 2 ** (bits - 1))
    table = (steps - np.float64(np.repeat(zeros, 16, 1))) * np.repeat(np.float64(scales), 16, 1)
    inputs = {"data": packed(steps, bits), "places": np.int64([[1, 6], [0, -1]]), "scales": scales}
    inputs["zeros"] = packed(zeros, bits) if has_zeros else None
    model = one_node(
        "GatherBlockQuantized", inputs, known=("data", "scales", "zeros"), bits=bits, block_size=16, quantize_axis=1
    )
    got = computed(model, inputs)["y"]
    close(got, table[inputs["places"]])
    close(got, by_onnxruntime(model, inputs)["y"])


@pytest.mark.parametrize(("kind", "low"), [("UINT4", 0), ("INT4", -8)])
@pytest.mark.parametrize("axis", [0, 1])
def test_rows_of_numbers_of_four_bits(kind, low, axis):
    steps, scales = RNG.integers(low, low + 16, (6, 40)), some(6, 3)
    zeros = RNG.integers(low, low + 16, (6, 3))
    spread = [np.repeat(x, 16, 1)[:, :40] for x in (zeros, np.float64(scales))]
    table = (steps - spread[0]) * spread[1]
    inputs = {
        "data": steps.astype(np.int8),
        "places": np.int32([2, 0, 5]),
        "scales": scales,
        "zeros": zeros.astype(np.int8),
    }
    known = ("data", "scales", "zeros")
    model = one_node("GatherBlockQuantized", inputs, known=known, block_size=16, gather_axis=axis, quantize_axis=1)
    for tensor in model.graph.initializer:
        if tensor.name in ("data", "zeros"):
            values = (steps if tensor.name == "data" else zeros).reshape(-1)
            number = TensorProto.DataType.Value(kind)
            tensor.CopyFrom(helper.make_tensor(tensor.name, number, list(tensor.dims), values.tolist()))
    got = computed(model, inputs)["y"]
    close(got, np.take(table, inputs["places"], axis))
    close(got, by_onnxruntime(model, inputs)["y"])


def test_scales_of_another_shape_are_named():
    inputs = {"data": np.zeros((7, 32), np.uint8), "places": np.int64([1]), "scales": some(7, 3)}
    text = error_of(one_node("GatherBlockQuantized", inputs, known=("data", "scales"), block_size=16))
    assert "scales (7, 3); wanted (7, 4)" in text

"""Attention of com.microsoft against NumPy in float64, and ONNX Runtime where it is installed."""

import numpy as np
import pytest
from one_node import by_onnxruntime, computed, error_of, one_node

RNG = np.random.default_rng(13)
FILTER = -10000.0


def some(*dims):
    return RNG.uniform(-1, 1, dims).astype(np.float32)


def heads_of(x, heads):
    """[batch, length, heads * size] as [batch, heads, length, size]."""
    return np.float64(x).reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


def attended(q, k, v, added=0.0, causal=False, scale=None):
    """Of [batch, heads, length, size], to [batch, queries, heads * size]."""
    scores = q @ k.swapaxes(-1, -2) * (scale or q.shape[-1] ** -0.5) + added
    if causal:
        queries, keys = scores.shape[-2:]
        scores = np.where(np.arange(keys) <= np.arange(queries)[:, None] + keys - queries, scores, -np.inf)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True) @ v
    return y.swapaxes(1, 2).reshape(*y.shape[:1], y.shape[2], -1)


def check(op, inputs, wanted, known=(), tolerance=1e-5, theirs=1e-4, compare=True, shapes=None, dims=None, **attrs):
    model = one_node(op, inputs, list(wanted), known, dims=dims, **attrs)
    got = computed(model, inputs, shapes)
    for name, array in wanted.items():
        assert got[name].shape == array.shape
        np.testing.assert_allclose(got[name], array, rtol=tolerance, atol=tolerance)
    if compare:
        for name, array in by_onnxruntime(model, inputs).items():
            np.testing.assert_allclose(got[name], array, rtol=theirs, atol=theirs)


def filtered(mask, value=FILTER):
    return np.where(mask > 0, 0, value)


# [batch 2, queries 5] with `past` keys in front; each as (mask, what it adds to scores).
def masks(kind, past=0, value=FILTER):
    total, place = 5 + past, np.arange(5 + past)
    if kind == "none":
        return None, 0.0
    if kind == "ends":
        ends = np.int32([total, 3])
        return ends, filtered(place < ends[:, None], value)[:, None, None]
    if kind == "ends and beginnings":
        both = np.int32([total, 4, 1, 2])
        return both, filtered((place < both[:2, None]) & (place >= both[2:, None]), value)[:, None, None]
    if kind == "keys":
        mask = (RNG.uniform(size=(2, total)) < 0.7).astype(np.int32)
        mask[:, 0] = 1
        return mask, filtered(mask, value)[:, None, None]
    if kind == "nothing counts":
        mask = np.ones((2, total), np.int32)
        mask[1] = 0
        return mask, filtered(mask, value)[:, None, None]
    mask = (RNG.uniform(size=(2, 5, total)) < 0.7).astype(np.int32)
    mask[:, :, 0] = 1
    return mask, filtered(mask, value)[:, None]


# Scores of which 10000 is taken keep three digits behind the point in float32.
FEW = {"tolerance": 2e-3, "theirs": 2e-3}
DIGITS = {"nothing counts": FEW, "ends and beginnings": FEW}
KINDS = ["none", "ends", "ends and beginnings", "keys", "nothing counts", "queries and keys"]
WEIGHTS = ("w", "b")


def projection(hidden=8, v_hidden=8, bias=True):
    """Inputs of Attention, of rows of 6, and query, key and value by heads of two."""
    inputs = {
        "x": some(2, 5, 6),
        "w": some(6, 2 * hidden + v_hidden),
        "b": some(2 * hidden + v_hidden) if bias else None,
    }
    qkv = np.float64(inputs["x"]) @ inputs["w"] + (inputs["b"] if bias else 0)
    return inputs, [heads_of(x, 2) for x in np.split(qkv, [hidden, 2 * hidden], axis=-1)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("causal", [0, 1])
def test_masks(kind, causal):
    inputs, (q, k, v) = projection()
    mask, added = masks(kind)
    wanted = {"y": attended(q, k, v, added, causal)}
    check(
        "Attention",
        inputs | {"mask": mask},
        wanted,
        WEIGHTS,
        num_heads=2,
        unidirectional=causal,
        **DIGITS.get(kind, {}),
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("causal", [0, 1])
def test_keys_of_earlier_steps(kind, causal):
    inputs, (q, k, v) = projection()
    mask, added = masks(kind, past=3)
    past = some(2, 2, 2, 3, 4)
    k, v = (np.concatenate([np.float64(past[i]), x], 2) for i, x in ((0, k), (1, v)))
    wanted = {"y": attended(q, k, v, added, causal), "present": np.stack([k, v])}
    inputs |= {"mask": mask, "past": past}
    check("Attention", inputs, wanted, WEIGHTS, num_heads=2, unidirectional=causal, **DIGITS.get(kind, {}))


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("heads", [1, 2])
def test_what_is_added_to_scores(batch, heads):
    inputs, (q, k, v) = projection(bias=False)
    mask, added = masks("keys")
    inputs |= {"mask": mask, "past": None, "bias": some(batch, heads, 5, 5)}
    check("Attention", inputs, {"y": attended(q, k, v, added + inputs["bias"])}, ("w",), num_heads=2)


def test_values_of_another_width_and_other_settings():
    inputs, (q, k, v) = projection(v_hidden=12)
    mask, added = masks("keys", value=-3.0)
    wanted = {"y": attended(q, k, v, added, scale=0.3)}
    attrs = {"qkv_hidden_sizes": [8, 8, 12], "scale": 0.3, "mask_filter_value": -3.0}
    check("Attention", inputs | {"mask": mask}, wanted, WEIGHTS, num_heads=2, **attrs)


def test_a_mask_of_all_positions():
    inputs, (q, k, v) = projection()
    past = some(2, 2, 2, 3, 4)
    k, v = (np.concatenate([np.float64(past[i]), x], 2) for i, x in ((0, k), (1, v)))
    mask = (RNG.uniform(size=(2, 1, 12, 12)) < 0.7).astype(np.int32)
    mask[..., 0] = 1
    inputs |= {"mask": mask, "past": past}
    wanted = {"y": attended(q, k, v, filtered(mask[:, :, 3:8, :8]))}
    check("Attention", inputs, wanted, WEIGHTS, num_heads=2, compare=False)


def test_extents_that_are_known_later():
    inputs, (q, k, v) = projection()
    mask, added = masks("keys", past=3)
    past = some(2, 2, 2, 3, 4)
    k, v = (np.concatenate([np.float64(past[i]), x], 2) for i, x in ((0, k), (1, v)))
    wanted = {"y": attended(q, k, v, added, True), "present": np.stack([k, v])}
    dims = {"x": ("n", "s", 6), "mask": ("n", "t"), "past": (2, "n", 2, "p", 4)}
    shapes = {"x": ((1, 1, 6), (4, 9, 6)), "mask": ((1, 1), (4, 18)), "past": ((2, 1, 2, 0, 4), (2, 4, 2, 9, 4))}
    inputs |= {"mask": mask, "past": past}
    check("Attention", inputs, wanted, WEIGHTS, num_heads=2, unidirectional=1, shapes=shapes, dims=dims)


@pytest.mark.parametrize("w_type", [np.uint8, np.int8])
@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("past", [0, 3])
def test_quantised_weights(w_type, by_column, past):
    info = np.iinfo(w_type)
    x, w = (
        RNG.integers(0, 256, (2, 5, 6)).astype(np.uint8),
        RNG.integers(info.min, info.max + 1, (6, 24)).astype(w_type),
    )
    inputs = {"x": x, "w": w, "b": some(24), "xs": np.float32(0.01)}
    inputs |= {"ws": RNG.uniform(0.005, 0.01, 24 if by_column else 1).astype(np.float32)}
    mask, added = masks("keys", past)
    inputs |= {"mask": mask, "xz": np.uint8(120), "wz": np.full(24 if by_column else 1, 5, w_type), "past": None}
    qkv = (x.astype(float) - 120) @ (w.astype(float) - 5) * np.float64(np.float32(0.01)) * inputs["ws"] + inputs["b"]
    q, k, v = (heads_of(part, 2) for part in np.split(qkv, 3, axis=-1))
    if past:
        inputs["past"] = some(2, 2, 2, past, 4)
        k, v = (np.concatenate([np.float64(inputs["past"][i]), part], 2) for i, part in ((0, k), (1, v)))
    wanted = {"y": attended(q, k, v, added, True)} | ({"present": np.stack([k, v])} if past else {})
    check("QAttention", inputs, wanted, ("w", "b", "xs", "ws", "xz", "wz"), num_heads=2, unidirectional=1)


# ---- MultiHeadAttention


def parts(keys=5, v_size=4, bias=False):
    inputs = {"q": some(2, 5, 8), "k": some(2, keys, 8), "v": some(2, keys, 2 * v_size)}
    inputs["bias"] = some(16 + 2 * v_size) if bias else None
    biases = np.split(inputs["bias"], [8, 16]) if bias else (0, 0, 0)
    return inputs, [heads_of(inputs[n] + b, 2) for n, b in zip("qkv", biases, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [False, True])
def test_heads(kind, bias):
    if kind == "ends and beginnings":
        kind = "ends"
    inputs, (q, k, v) = parts(bias=bias)
    mask, added = masks(kind)
    inputs |= {"mask": mask}
    wanted = {"y": attended(q, k, v, added)}
    check("MultiHeadAttention", inputs, wanted, ("bias",), num_heads=2, **DIGITS.get(kind, {}))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("causal", [0, 1])
def test_heads_with_keys_of_earlier_steps(bias, causal):
    inputs, (q, k, v) = parts(bias=bias)
    mask, added = masks("keys", past=3)
    inputs |= {"mask": mask, "added": some(1, 2, 5, 8), "past_k": some(2, 2, 3, 4), "past_v": some(2, 2, 3, 4)}
    k, v = np.concatenate([inputs["past_k"], k], 2), np.concatenate([inputs["past_v"], v], 2)
    wanted = {"y": attended(q, k, v, added + inputs["added"], causal), "present_k": k, "present_v": v}
    check("MultiHeadAttention", inputs, wanted, num_heads=2, unidirectional=causal)


def test_present_without_a_past():
    inputs, (q, k, v) = parts()
    wanted = {"y": attended(q, k, v), "present_k": k, "present_v": v}
    check("MultiHeadAttention", inputs, wanted, num_heads=2)


def test_other_numbers_and_widths_of_keys():
    inputs, (q, k, v) = parts(keys=7, v_size=6)
    check("MultiHeadAttention", inputs, {"y": attended(q, k, v, scale=0.7)}, num_heads=2, scale=0.7)


def test_keys_projected_before():
    inputs, (q, k, v) = parts(keys=7)
    inputs |= {"k": np.float32(k), "v": np.float32(v)}
    check("MultiHeadAttention", inputs, {"y": attended(q, k, v)}, num_heads=2)
    bias = some(24)
    with_bias = heads_of(inputs["q"] + bias[:8], 2)
    check("MultiHeadAttention", inputs | {"bias": bias}, {"y": attended(with_bias, k, v)}, num_heads=2)


def test_packed_inputs():
    inputs, (q, k, v) = parts()
    by_head = [inputs[name].reshape(2, 5, 2, 4) for name in "qkv"]
    wanted = {"y": attended(q, k, v)}
    check("MultiHeadAttention", {"q": inputs["q"], "k": np.stack(by_head[1:], 3)}, wanted, num_heads=2, compare=False)
    check("MultiHeadAttention", {"q": np.stack(by_head, 3)}, wanted, num_heads=2, compare=False)


# ---- what is refused


@pytest.mark.parametrize(
    ("changes", "attrs", "words"),
    [
        ({}, {"do_rotary": 1}, ["do_rotary is 1", "only 0"]),
        ({}, {"past_present_share_buffer": 1}, ["past_present_share_buffer is 1"]),
        ({}, {"flash": 1}, ["not known: flash"]),
        ({}, {"num_heads": 3}, ["heads"]),
        ({}, {"num_heads": 0}, ["num_heads is 0, not 1 or more"]),
        ({"mask": np.zeros(8, np.int32)}, {}, ["mask 8", "batch 2"]),
        ({"past": None, "bias": None, "length": np.int32(3)}, {}, ["input 6", "shared buffer"]),
    ],
)
def test_what_cannot_be_honoured_is_named(changes, attrs, words):
    inputs, _ = projection()
    inputs |= {"mask": None} | changes
    text = error_of(one_node("Attention", inputs, known=WEIGHTS, **{"num_heads": 2, **attrs}))
    assert not [word for word in ("(Attention 'here')", *words) if word not in text], text


def test_scores_are_not_an_output():
    inputs, _ = parts()
    text = error_of(one_node("MultiHeadAttention", inputs, ("y", "", "", "qk"), num_heads=2))
    assert "output 3 is not made here" in text

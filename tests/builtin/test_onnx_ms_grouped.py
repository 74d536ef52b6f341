"""RotaryEmbedding and GroupQueryAttention of com.microsoft against NumPy in float64, and ONNX Runtime."""

import numpy as np
import pytest
from one_node import by_onnxruntime, computed, error_of, one_node

RNG = np.random.default_rng(17)


def some(*dims):
    return RNG.uniform(-1, 1, dims).astype(np.float32)


def caches(width=4, length=16):
    angles = np.arange(length)[:, None] * 10.0 ** -np.arange(width // 2)
    return np.float32(np.cos(angles)), np.float32(np.sin(angles))


def turned(x, cos, sin, positions, interleaved=0):
    """[batch, heads, length, size] at positions [batch, length]."""
    width = 2 * cos.shape[1]
    c, s = (np.float64(cache)[positions][:, None] for cache in (cos, sin))
    y = np.float64(x).copy()
    ends = (slice(0, width, 2), slice(1, width, 2)) if interleaved else (slice(0, width // 2), slice(width // 2, width))
    first, second = (np.float64(x)[..., end] for end in ends)
    y[..., ends[0]], y[..., ends[1]] = first * c - second * s, second * c + first * s
    return y


def close(got, wanted, tolerance=1e-5):
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


# ---- RotaryEmbedding


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("offset", [None, 3])
@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("width", [8, 4])
def test_turned_values(interleaved, offset, rank, width):
    x, (cos, sin) = some(2, 3, 5, 8), caches(width)
    positions = RNG.integers(0, 16, (2, 5)) if offset is None else np.broadcast_to(np.arange(5) + offset, (2, 5))
    inputs = {"x": x, "p": positions if offset is None else np.int64([offset]), "cos": cos, "sin": sin}
    wanted, attrs = turned(x, cos, sin, positions, interleaved), {"interleaved": interleaved}
    if width == 4:
        attrs |= {"rotary_embedding_dim": 4, "num_heads": 3}
    if rank == 3:
        inputs["x"] = np.ascontiguousarray(x.swapaxes(1, 2).reshape(2, 5, 24))
        wanted = wanted.swapaxes(1, 2).reshape(2, 5, 24)
    model = one_node("RotaryEmbedding", inputs, known=("cos", "sin"), **attrs)
    got = computed(model, inputs)["y"]
    close(got, wanted)
    close(got, by_onnxruntime(model, inputs)["y"], 1e-4)


def test_turned_values_of_any_length():
    x, (cos, sin) = some(2, 5, 24), caches(8)
    inputs = {"x": x, "p": np.int64([2]), "cos": cos, "sin": sin}
    model = one_node("RotaryEmbedding", inputs, known=("cos", "sin"), dims={"x": ("n", "s", 24)})
    by_head = x.reshape(2, 5, 3, 8).swapaxes(1, 2)
    wanted = turned(by_head, cos, sin, np.broadcast_to(np.arange(5) + 2, (2, 5))).swapaxes(1, 2).reshape(2, 5, 24)
    close(computed(model, inputs, {"x": ((1, 1, 24), (3, 9, 24))})["y"], wanted)


@pytest.mark.parametrize(
    ("attrs", "words"),
    [
        ({"scale": 2.0}, ["scale is 2.0", "only 1.0"]),
        ({"is_packed_batching": 1}, ["is_packed_batching is 1"]),
        ({"rotary_embedding_dim": 6, "num_heads": 3}, ["caches do not fit", "rotary_embedding_dim 6"]),
        ({"num_heads": 5}, ["cannot be split into heads"]),
    ],
)
def test_turned_values_that_are_refused(attrs, words):
    cos, sin = caches(8)
    text = error_of(
        one_node("RotaryEmbedding", {"x": some(2, 5, 24), "p": np.int64([0]), "cos": cos, "sin": sin}, **attrs)
    )
    assert not [word for word in ("(RotaryEmbedding 'here')", *words) if word not in text], text


# ---- GroupQueryAttention

HEADS, KV_HEADS, SIZE = 4, 2, 16


def grouped(batch=2, new=1, cache=None, lengths=None, total=None, packed=False):
    """Inputs: `cache` is the length of the cache, `lengths` how many keys each element has in the end."""
    q, k, v = (some(batch, new, n * SIZE) for n in (HEADS, KV_HEADS, KV_HEADS))
    inputs = {
        "q": np.concatenate([q, k, v], -1) if packed else q,
        "k": None if packed else k,
        "v": None if packed else v,
    }
    for name in ("past_k", "past_v"):
        inputs[name] = None if cache is None else some(batch, KV_HEADS, cache, SIZE)
    lengths = np.full(batch, new) if lengths is None else np.asarray(lengths)
    inputs |= {"ends": np.int32(lengths - 1), "total": np.int32(lengths.max() if total is None else total)}
    inputs |= dict.fromkeys(("cos", "sin", "positions", "added", "sink", "ks", "vs", "qn", "kn"))
    return inputs, (q, k, v)


def expected(inputs, parts, **attrs):
    """y, keys and values; nan where nothing is said, which is behind an element's last key."""
    q, k, v = (np.float64(x).reshape(*x.shape[:2], -1, SIZE).swapaxes(1, 2) for x in parts)
    batch, _, new, _ = q.shape
    filled = np.maximum(inputs["ends"] + 1 - new, 0)
    if inputs["qn"] is not None:
        q, k = (
            x / np.sqrt((x * x).mean(-1, keepdims=True) + attrs.get("qk_norm_epsilon", 1e-6)) * np.float64(inputs[name])
            for x, name in ((q, "qn"), (k, "kn"))
        )
    if attrs.get("do_rotary"):
        positions = filled[:, None] + np.arange(new) if inputs["positions"] is None else inputs["positions"]
        q, k = (turned(x, inputs["cos"], inputs["sin"], positions, attrs.get("rotary_interleaved", 0)) for x in (q, k))
    cache = 0 if inputs["past_k"] is None else inputs["past_k"].shape[2]
    total = max(cache, int(inputs["total"]))
    present = [np.full((batch, KV_HEADS, total, SIZE), np.nan) for _ in range(2)]
    y = np.full((batch, new, HEADS * SIZE), np.nan)
    window = attrs.get("local_window_size", -1)
    for b in range(batch):
        for index, x in enumerate((k, v)):
            if cache:
                present[index][b, :, : filled[b]] = inputs[("past_k", "past_v")[index]][b, :, : filled[b]]
            present[index][b, :, filled[b] : filled[b] + new] = x[b]
        for i in range(min(new, inputs["ends"][b] + 1)):
            end = filled[b] + i + 1 if attrs.get("causal", 1) else filled[b] + new
            start = max(0, end - window) if window > 0 else 0
            for h in range(HEADS):
                keys, values = (x[b, h // (HEADS // KV_HEADS), start:end] for x in present)
                scores = keys @ q[b, h, i] * (attrs.get("scale") or SIZE**-0.5)
                if attrs.get("softcap"):
                    scores = np.tanh(scores / attrs["softcap"]) * attrs["softcap"]
                if inputs["added"] is not None:
                    scores = scores + np.broadcast_to(inputs["added"], (batch, HEADS, new, total))[b, h, i, start:end]
                e = np.exp(scores - scores.max())
                rest = 0.0
                if inputs["sink"] is not None:
                    rest = np.exp(inputs["sink"][h] - scores.max())
                elif attrs.get("smooth_softmax", -1) > 0:
                    rest = np.exp(-scores.max())
                y[b, i, h * SIZE : (h + 1) * SIZE] = e @ values / (e.sum() + rest)
    return {"y": y, "present_k": present[0], "present_v": present[1]}


def agree(got, wanted, tolerance):
    assert got.shape == wanted.shape
    there = np.isfinite(wanted)
    np.testing.assert_allclose(got[there], wanted[there], rtol=tolerance, atol=tolerance)


def check(inputs, parts, compare=True, shapes=None, dims=None, known=(), **attrs):
    wanted = expected(inputs, parts, **attrs)
    attrs = {"num_heads": HEADS, "kv_num_heads": KV_HEADS, **attrs}
    model = one_node("GroupQueryAttention", inputs, list(wanted), known, dims=dims, **attrs)
    got = computed(model, inputs, shapes)
    for name, array in wanted.items():
        agree(got[name], array, 2e-5)
    if compare:
        for name, array in by_onnxruntime(model, inputs).items():
            agree(array, wanted[name], 1e-4)


STATES = {
    "prompt without a cache": {"new": 5},
    "padded prompts": {"new": 5, "lengths": (5, 3)},
    "prompt into a cache": {"new": 5, "cache": 12, "lengths": (5, 3), "total": 5},
    "one more": {"cache": 6, "lengths": (7, 7)},
    "one more in a cache of fixed length": {"cache": 12, "lengths": (7, 3)},
    "one more of caches of several lengths": {"cache": 6, "lengths": (7, 3)},
    "several more": {"batch": 1, "new": 3, "cache": 12, "lengths": (7,)},
    "several more at the end of a cache": {"batch": 1, "new": 3, "cache": 4, "lengths": (7,)},
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("packed", [False, True])
def test_states_of_the_cache(state, packed):
    inputs, parts = grouped(**STATES[state], packed=packed)
    check(inputs, parts, known=("total",))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("interleaved", [0, 1])
def test_turned_queries_and_keys(state, interleaved):
    inputs, parts = grouped(**STATES[state])
    inputs["cos"], inputs["sin"] = caches(SIZE)
    check(inputs, parts, known=("total", "cos", "sin"), do_rotary=1, rotary_interleaved=interleaved)


@pytest.mark.parametrize("state", ["prompt without a cache", "one more", "several more"])
@pytest.mark.parametrize(
    "attrs",
    [
        {"local_window_size": 2},
        {"softcap": 0.7},
        {"scale": 0.2},
        {"smooth_softmax": 1},
        {"smooth_softmax": 1, "local_window_size": 2},
    ],
    ids=lambda attrs: " ".join(attrs),
)
def test_settings(state, attrs):
    inputs, parts = grouped(**STATES[state])
    check(inputs, parts, known=("total",), **attrs)


@pytest.mark.parametrize("state", ["prompt without a cache", "one more in a cache of fixed length", "several more"])
@pytest.mark.parametrize("window", [-1, 2])
def test_sinks(state, window):
    inputs, parts = grouped(**STATES[state])
    inputs["sink"] = some(HEADS)
    check(inputs, parts, known=("total", "sink"), local_window_size=window)


@pytest.mark.parametrize("heads", [1, HEADS])
@pytest.mark.parametrize("sink", [False, True])
def test_what_is_added_to_scores(heads, sink):
    inputs, parts = grouped(batch=1, new=3, cache=4, lengths=(7,))
    inputs["added"] = some(1, heads, 3, 7)
    inputs["sink"] = some(HEADS) if sink else None
    check(inputs, parts, known=("total",))


def test_normalised_heads():
    inputs, parts = grouped(cache=6, lengths=(7, 7))
    inputs |= {"qn": some(SIZE) + 1, "kn": some(SIZE) + 1}
    check(inputs, parts, known=("total", "qn", "kn"), qk_norm_epsilon=1e-5, compare=False)


def test_given_positions():
    inputs, parts = grouped(cache=6, lengths=(7, 7))
    inputs["cos"], inputs["sin"] = caches(SIZE)
    inputs["positions"] = np.int64([[6], [6]])
    check(inputs, parts, known=("total",), do_rotary=1)


def test_extents_that_are_known_later():
    inputs, parts = grouped(cache=6, lengths=(7, 7))
    inputs["cos"], inputs["sin"] = caches(SIZE)
    dims = {"q": ("n", "s", HEADS * SIZE)} | dict.fromkeys("kv", ("n", "s", KV_HEADS * SIZE))
    dims |= dict.fromkeys(("past_k", "past_v"), ("n", KV_HEADS, "p", SIZE)) | {"ends": ("n",)}
    shapes = {name: ((1, 1, dims[name][2]), (3, 2, dims[name][2])) for name in "qkv"}
    shapes |= dict.fromkeys(("past_k", "past_v"), ((1, KV_HEADS, 6, SIZE), (3, KV_HEADS, 9, SIZE)))
    shapes |= {"ends": ((1,), (3,))}
    check(inputs, parts, dims=dims, shapes=shapes, known=("total", "cos", "sin"), do_rotary=1)


@pytest.mark.parametrize(
    ("changes", "attrs", "words"),
    [
        ({}, {"qk_output": 1}, ["qk_output is 1"]),
        ({}, {"k_quant_type": "PER_TENSOR"}, ["k_quant_type is PER_TENSOR", "only NONE"]),
        ({"ks": np.float32([1])}, {}, ["input 12", "quantised keys"]),
        ({"length": np.int32([1, 1])}, {}, ["input 16", "padded"]),
        ({}, {"do_rotary": 1}, ["cos_cache and sin_cache"]),
        ({"past_v": None}, {}, ["past_key and past_value"]),
        ({"qn": np.ones(SIZE, np.float32)}, {}, ["q_norm_weight and k_norm_weight"]),
    ],
)
def test_what_cannot_be_honoured_is_named(changes, attrs, words):
    inputs, _ = grouped(cache=6, lengths=(7, 7))
    inputs |= changes
    model = one_node("GroupQueryAttention", inputs, known=("total",), num_heads=HEADS, kv_num_heads=KV_HEADS, **attrs)
    text = error_of(model)
    assert not [word for word in ("(GroupQueryAttention 'here')", *words) if word not in text], text

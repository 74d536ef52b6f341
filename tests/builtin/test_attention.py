"""Attention. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from networks import engine_of, new_network

import dovetail as trt
from dovetail.core.errors import ShapeError
from dovetail.core.types import FLOATS
from dovetail.machine.testing import Case, check
from dovetail.plugins.builtin.attention import AttentionNormalizationOp

RNG = np.random.default_rng(7)
NONE = AttentionNormalizationOp.NONE
FOUR = {"query": (2, 3, 5, 8), "key": (2, 3, 7, 8), "value": (2, 3, 7, 10)}
WIDE = {"query": (2, 4, 70, 40), "key": (2, 2, 100, 40), "value": (2, 2, 100, 24)}
LONG = {"query": (1, 2, 150, 16), "key": (1, 2, 170, 16), "value": (1, 2, 170, 20)}


def bits(*dims, share=0.6):
    return RNG.uniform(size=dims) < share


def integers(*dims):
    return RNG.integers(-9, 10, dims).astype(np.float32)


CASES = [
    Case("one key", query=(1, 1, 1, 4), key=(1, 1, 1, 4), value=(1, 1, 1, 4)),
    Case("heads", **FOUR, scale=0.5, dtypes=FLOATS),
    Case("shared heads", query=(2, 6, 5, 8), key=(2, 2, 7, 8), value=(2, 2, 7, 10), scale=0.5, dtypes=FLOATS),
    Case("one head of keys", query=(2, 4, 1, 16), key=(2, 1, 70, 16), value=(2, 1, 70, 16), dtypes=FLOATS),
    Case("three dims", query=(2, 5, 24), key=(2, 7, 8), value=(2, 7, 12), num_heads=6, num_kv_heads=2, dtypes=FLOATS),
    Case("three dims and four", query=(2, 5, 24), key=(2, 3, 7, 8), value=(2, 3, 7, 4), num_heads=3),
    Case("causal", **LONG, causal=True, scale=0.25, dtypes=FLOATS),
    Case("causal, shared heads", query=(1, 4, 9, 8), key=(1, 2, 9, 8), value=(1, 2, 9, 8), causal=True),
    Case("window", **LONG, left_window=20, right_window=3, dtypes=FLOATS),
    Case("window of the past", **LONG, left_window=0, causal=True),
    Case("bool mask", **FOUR, mask=bits(2, 3, 5, 7)),
    Case("bool mask of heads", **FOUR, mask=bits(3, 1, 7)),
    Case("bool mask of keys", **FOUR, mask=bits(4)),
    Case("long bool mask", **LONG, mask=bits(150, 165), causal=True),
    Case("mask", **FOUR, mask=(2, 1, 5, 7), dtypes=FLOATS),
    Case("short mask", **FOUR, mask=(1, 6), dtypes=FLOATS),
    Case("nothing counts", **FOUR, mask=np.zeros((5, 7), bool)),
    Case("past", **FOUR, past_key=(2, 3, 4, 8), past_value=(2, 3, 4, 10), causal=True, dtypes=FLOATS),
    Case("past, mask", **FOUR, past_key=(2, 3, 70, 8), past_value=(2, 3, 70, 10), mask=(5, 77), left_window=60),
    Case("lengths", **FOUR, lengths=np.array([3, 7]), dtypes=FLOATS),
    Case("lengths, causal", **FOUR, lengths=np.array([3, 6]), causal=True),
    Case("lengths beyond the end", **FOUR, lengths=np.array([-1, 9])),
    Case("capped", **FOUR, softcap=0.5, dtypes=FLOATS),
    Case("no softmax", **FOUR, norm_op=NONE, dtypes=FLOATS),
    Case("no softmax, masked", **FOUR, norm_op=NONE, mask=bits(5, 7), causal=True),
    Case("sizes of tensor cores", **WIDE, scale=0.3, dtypes=FLOATS),
    Case("sizes of tensor cores, past", **WIDE, past_key=(2, 2, 40, 40), past_value=(2, 2, 40, 24), causal=True,
         mask=bits(70, 130), softcap=2, dtypes=FLOATS),
    Case("sizes of tensor cores, mask", **WIDE, mask=(2, 1, 70, 90), lengths=np.array([97, 40]), dtypes=FLOATS),
    Case("sizes of tensor cores, window", query=(2, 70, 64), key=(2, 100, 32), value=(2, 100, 64), num_heads=4,
         num_kv_heads=2, left_window=9, right_window=0, dtypes=FLOATS),
    # Of integers, so that their sums are exact: the weights tell apart scores of hundreds.
    Case("large scores", query=integers(1, 1, 30, 64), key=integers(1, 1, 300, 64), value=(1, 1, 300, 3)),
    Case("no key", query=(1, 2, 3, 4), key=(1, 2, 0, 4), value=(1, 2, 0, 4)),
    Case("no query", query=(1, 2, 0, 4), key=(1, 2, 3, 4), value=(1, 2, 3, 4)),
    Case("size of one", query=(1, 1, 40, 1), key=(1, 1, 90, 1), value=(1, 1, 90, 1)),
    Case("odd sizes", query=(1, 2, 33, 37), key=(1, 1, 65, 37), value=(1, 1, 65, 131), scale=0.2, dtypes=FLOATS),
    Case("few queries, past and mask", query=(2, 4, 1, 32), key=(2, 2, 3, 32), value=(2, 2, 3, 48), mask=(4, 1, 153),
         past_key=(2, 2, 150, 32), past_value=(2, 2, 150, 48), dtypes=FLOATS),
    Case("few queries, long past", query=(1, 2, 3, 16), key=(1, 2, 3, 16), value=(1, 2, 3, 16), causal=True,
         past_key=(1, 2, 1200, 16), past_value=(1, 2, 1200, 16)),
    Case("windows", query=(3, 49, 96), key=(3, 49, 96), value=(3, 49, 96), num_heads=3, num_kv_heads=3,
         mask=(3, 3, 49, 49), dtypes=FLOATS),
    Case("mask of -inf", **FOUR, mask=np.where(bits(2, 3, 5, 7), 1, -np.inf).astype(np.float32)),
    Case("more queries than an item has", query=(1, 2, 400, 40), key=(1, 2, 150, 40), value=(1, 2, 150, 40),
         mask=np.where(bits(400, 150, share=0.02), 1, -np.inf).astype(np.float32), scale=0.2),
    Case("blocks of keys that only some rows need", query=(1, 2, 300, 32), key=(1, 1, 300, 32), value=(1, 1, 300, 17),
         causal=True, dtypes=FLOATS),
    Case("prefill", query=(1, 16, 1024, 64), key=(1, 16, 1024, 64), value=(1, 16, 1024, 64), scale=0.125, causal=True,
         dtypes=FLOATS, bench=True),
    Case("decode", query=(4, 32, 1, 128), key=(4, 8, 2048, 128), value=(4, 8, 2048, 128), scale=0.09, bench=True),
]  # fmt: skip
test_kernels = check("Attention@1", CASES)


def test_a_key_that_is_far_away_does_not_count(compute):
    """The second key has the larger score; it lies behind the query."""
    q, k = np.ones((1, 1, 1, 1)), np.array([1.0, 9.0]).reshape(1, 1, 2, 1)
    assert compute("Attention", q, k, k).item() > 8.9
    assert compute("Attention", q, k, k, causal=True).item() == 1


def test_values_that_do_not_count_may_be_nan():
    """Keys that no query asks for are not looked at."""
    builder, network, config = new_network()
    names = [network.add_input(name, trt.float32, (1, 1, 3, 4)) for name in "qkv"]
    layer = network.add_attention(*names, trt.AttentionNormalizationOp.SOFTMAX, False)
    layer.mask = np.array([[True, True, False]])
    layer.left_window = 0
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    x = np.ones((1, 1, 3, 4), np.float32)
    got = engine_of(builder, network, config).create_execution_context().run({"q": x, "k": x, "v": x})["y"]
    assert got[0, 0].tolist() == [[1] * 4, [1] * 4, [0] * 4]


@pytest.mark.parametrize(
    ("dims", "fields", "text"),
    [
        (((2, 3, 5, 8), (2, 3, 7, 9), (2, 3, 7, 8)), {}, "cannot join query"),
        (((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 6, 8)), {}, "cannot join query"),
        (((2, 3, 5, 8), (2, 2, 7, 8), (2, 2, 7, 8)), {}, "cannot share 2 heads of key among 3"),
        (((2, 5, 24), (2, 7, 24), (2, 7, 24)), {}, "cannot use query of 3 dims and 0 heads"),
        (((2, 5, 24), (2, 7, 24), (2, 7, 24)), {"num_heads": 5, "num_kv_heads": 3}, "the 24 values of query into 5"),
        (((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8), (5, 8)), {}, r"cannot spread a mask of \[5, 8\]"),
        (((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8), (4, 7)), {}, r"cannot spread a mask of \[4, 7\]"),
        (((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8), None, (2, 3, 4, 8)), {}, "past_key and past_value, or none"),
    ],
)
def test_what_does_not_agree_is_named(infer, dims, fields, text):
    with pytest.raises(ShapeError, match=text):
        infer("Attention", *dims, **fields)

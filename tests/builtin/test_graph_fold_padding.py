"""Zeros around an input become the padding of the layer that takes it, where that means the same."""

import numpy as np
import pytest
from rewriting import Net

import dovetail as trt


def padded(n, x, pre=(1, 2), post=(2, 1)):
    return n.add("Padding", x, pre_padding=pre, post_padding=post, name="pad")


def filled(n, x, value=None, channels=0):
    rest = [None, None, None, n.c([value])] if value is not None else []
    dims = (2, 4 + channels, x.shape[2] + 3, 10)
    fields = {"start": (0, -channels, -1, -2), "shape": dims, "stride": (1,) * 4, "mode": trt.SampleMode.FILL}
    return n.add("Slice", x, *rest, **fields, name="pad")


def conv(n, x, **fields):
    kernel = n.rng.standard_normal((6, x.shape[1], 3, 3)).astype(np.float32)
    return n.add("Convolution", x, num_output_maps=6, kernel_size_nd=(3, 3), kernel=kernel, **fields)


def pool(n, x, kind="AVERAGE", **fields):
    return n.add("Pooling", x, type=trt.PoolingType[kind], window_size_nd=(3, 3), **fields)


ROUND_UP, SAME = trt.PaddingMode.EXPLICIT_ROUND_UP, trt.PaddingMode.SAME_UPPER
FOLDED = [
    ("convolution", lambda n, x: conv(n, padded(n, x))),
    ("a slice that fills", lambda n, x: conv(n, filled(n, x))),
    ("a slice that fills with 0", lambda n, x: conv(n, filled(n, x, 0.0))),
    ("padding of its own too", lambda n, x: conv(n, padded(n, x), pre_padding=(1, 0), post_padding=(0, 1))),
    ("strides, rounded up", lambda n, x: conv(n, padded(n, x), stride_nd=(2, 3), padding_mode=ROUND_UP)),
    ("dilation", lambda n, x: conv(n, padded(n, x), dilation_nd=(2, 2))),
    ("average", lambda n, x: pool(n, padded(n, x))),
    (
        "average that counts padding",
        lambda n, x: pool(n, padded(n, x), pre_padding=(1, 1), average_count_excludes_padding=False),
    ),
]

NEAR = [
    ("maximum", lambda n, x: pool(n, padded(n, x), "MAX")),
    (
        "average that does not count padding",
        lambda n, x: pool(n, padded(n, x), pre_padding=(1, 1), post_padding=(0, 0)),
    ),
    ("average rounded up", lambda n, x: pool(n, padded(n, x), stride_nd=(2, 2), padding_mode=ROUND_UP)),
    ("same padding", lambda n, x: conv(n, padded(n, x), padding_mode=SAME)),
    ("ones", lambda n, x: conv(n, filled(n, x, 1.0))),
    ("cut off", lambda n, x: conv(n, padded(n, x, (-1, 2), (2, 1)))),
    ("channels", lambda n, x: conv(n, filled(n, x, channels=1))),
    ("something between", lambda n, x: conv(n, n.relu(padded(n, x)))),
]


@pytest.mark.parametrize(("name", "layers"), FOLDED, ids=[name for name, _ in FOLDED])
def test_zeros_become_padding(name, layers):
    n = Net()
    n.out(layers(n, n.relu(n.x(2, 4, 6, 7))))
    graph = n.graph()
    assert len(graph.layers) == 2
    assert "folded into the padding of the layers behind them: pad" in graph.notes
    n.same()


@pytest.mark.parametrize(("name", "layers"), NEAR, ids=[name for name, _ in NEAR])
def test_what_means_something_else_stays(name, layers):
    n = Net()
    n.out(layers(n, n.relu(n.x(2, 4, 6, 7))))
    assert n.ops() == n.ops(level=0)
    n.same(exact=True)


def test_the_report_says_why_padding_stays():
    n = Net()
    n.out(pool(n, padded(n, n.relu(n.x(2, 4, 6, 7))), "MAX"))
    assert "padding that is not folded into the layer behind it, which takes a maximum: pad" in n.notes()


def test_padding_that_two_layers_take_is_folded_into_the_one_that_can():
    n = Net()
    y = padded(n, n.relu(n.x(2, 4, 6, 7)))
    n.out(conv(n, y), n.unary("NEG", y))
    graph = n.graph()
    assert graph.outputs[0].producer.values["pre_padding"] == (1, 2)
    assert "Padding" in [layer.spec.name for layer in graph.layers]
    n.same()


def test_unknown_extents_are_padded_by_what_is_known():
    n = Net()
    x = n.x(1, 4, -1, 7, name="x")
    n.profile(x=((1, 4, 3, 7), (1, 4, 6, 7), (1, 4, 9, 7))).out(conv(n, padded(n, n.relu(x))))
    assert n.ops() == ["Activation", "Convolution"]
    n.same(feeds=n.feeds(x=(1, 4, 5, 7)))


def test_padding_that_is_an_output_stays_for_it():
    n = Net()
    y = padded(n, n.relu(n.x(2, 4, 6, 7)))
    n.out(y, conv(n, y))
    assert n.ops() == ["Activation", "Padding", "Convolution"]
    n.same()


CUT = [  # in front and behind of what is cut off, and the padding that is left
    ("behind", (0, 0), (0, 2), {"pre_padding": (1, 2), "post_padding": (1, 2)}, ((1, 2), (1, 0))),
    ("in front", (1, 1), (1, 2), {"pre_padding": (1, 2), "post_padding": (1, 2)}, ((0, 1), (1, 1))),
    ("strides", (0, 0), (0, 1), {"pre_padding": (0, 0), "post_padding": (0, 5), "stride_nd": (2, 3)}, ((0, 0), (0, 2))),
    (
        "dilation",
        (0, 1),
        (0, 4),
        {"pre_padding": (0, 4), "post_padding": (0, 4), "dilation_nd": (1, 2)},
        ((0, 3), (0, 1)),
    ),
]


def cut(n, x, start=(0, 0), less=(0, 1), channels=0, stride=1, **fields):
    dims = (2, x.shape[1] - channels, *(extent - left for extent, left in zip(x.shape[2:], less, strict=True)))
    return n.add("Slice", x, start=(0, channels, *start), shape=dims, stride=(1, 1, 1, stride), **fields, name="cut")


@pytest.mark.parametrize(("name", "start", "less", "fields", "left"), CUT, ids=[row[0] for row in CUT])
def test_outputs_that_are_cut_off_are_not_computed(name, start, less, fields, left):
    n = Net()
    n.out(n.unary("COS", cut(n, conv(n, n.relu(n.x(2, 4, 6, 7)), **fields), start, less)))
    graph = n.graph()
    made = next(layer for layer in graph.layers if layer.spec.name == "Convolution")
    assert (made.values["pre_padding"], made.values["post_padding"]) == left and len(graph.layers) == 3
    assert any(note.startswith("outputs that are cut off are not computed") for note in graph.notes)
    n.same()


PADDED = {"pre_padding": (1, 1), "post_padding": (1, 1)}
NOT_CUT = [
    ("more than the padding", lambda n, x: cut(n, conv(n, x, **PADDED), less=(0, 2))),
    ("more than the padding in front", lambda n, x: cut(n, conv(n, x, **PADDED), start=(0, 2), less=(0, 2))),
    ("channels too", lambda n, x: cut(n, conv(n, x, **PADDED), channels=1)),
    ("beyond the edge", lambda n, x: cut(n, conv(n, x, **PADDED), start=(0, 1), mode=trt.SampleMode.CLAMP)),
    ("every other output", lambda n, x: cut(n, conv(n, x, **PADDED), less=(0, 4), stride=2)),
    ("same padding", lambda n, x: cut(n, conv(n, x, **PADDED, padding_mode=SAME))),
    ("a maximum", lambda n, x: cut(n, pool(n, x, "MAX", **PADDED))),
]


@pytest.mark.parametrize(("name", "layers"), NOT_CUT, ids=[name for name, _ in NOT_CUT])
def test_outputs_that_padding_does_not_make_are_cut_off_as_before(name, layers):
    n = Net()
    n.out(n.unary("COS", layers(n, n.relu(n.x(2, 4, 6, 7)))))
    assert "Slice" in n.ops()
    n.same()


def test_all_outputs_are_computed_for_another_layer_that_takes_them():
    n = Net()
    y = conv(n, n.relu(n.x(2, 4, 6, 7)), **PADDED)
    n.out(n.unary("COS", cut(n, y)), n.unary("SIN", y))
    assert "Slice" in n.ops()
    n.same()

"""Factors and sums per channel go into the weights next to them, where nothing else sees what is between."""

import numpy as np
import pytest
from rewriting import Net

import dovetail as trt


def conv(n, x, maps=6, window=(3, 3), groups=1, bias=True, kind="Convolution", padding=1, name="conv"):
    channels = x.shape[1]
    dims = (maps, channels // groups) if kind == "Convolution" else (channels, maps // groups)
    kernel = n.rng.standard_normal((*dims, *window)).astype(np.float32)
    fields = {"num_output_maps": maps, "kernel_size_nd": window, "num_groups": groups, "kernel": kernel}
    fields |= {"pre_padding": (padding,) * len(window), "post_padding": (padding,) * len(window)}
    if bias:
        fields["bias"] = n.rng.standard_normal(maps).astype(np.float32)
    return n.add(kind, x, name=name, **fields)


def scale(n, x, axis=1, mode=trt.ScaleMode.CHANNEL, shift=True, power=None):
    size = x.shape[axis] if mode == trt.ScaleMode.CHANNEL else 1
    values = [n.rng.uniform(0.5, 2, size).astype(np.float32) for _ in range(2)]
    return n.network.add_scale_nd(x, mode, values[0] if shift else None, values[1], power, axis).get_output(0)


def linear(n, x, columns=6, transposed=False):
    k = x.shape[-1]
    w = n.random(*(1,) * (len(x.shape) - 2), *((columns, k) if transposed else (k, columns)))
    op1 = trt.MatrixOperation.TRANSPOSE if transposed else trt.MatrixOperation.NONE
    return n.add("MatrixMultiply", x, w, name="linear", op1=op1, op0=trt.MatrixOperation.NONE)


BEHIND = [
    ("scale", lambda n, x: scale(n, conv(n, x))),
    ("scale, no bias", lambda n, x: scale(n, conv(n, x, bias=False))),
    ("scale without shift, no bias", lambda n, x: scale(n, conv(n, x, bias=False), shift=False)),
    ("uniform scale", lambda n, x: scale(n, conv(n, x), mode=trt.ScaleMode.UNIFORM)),
    ("groups", lambda n, x: scale(n, conv(n, x, groups=2))),
    ("depthwise", lambda n, x: scale(n, conv(n, x, maps=8, groups=4))),
    ("deconvolution", lambda n, x: scale(n, conv(n, x, kind="Deconvolution"))),
    ("deconvolution in groups", lambda n, x: scale(n, conv(n, x, kind="Deconvolution", groups=2))),
    (
        "a chain",
        lambda n, x: n.ew("SUM", n.ew("PROD", scale(n, conv(n, x)), n.random(1, 6, 1, 1)), n.random(1, 1, 1, 1)),
    ),
    ("bias from the other side", lambda n, x: n.ew("SUB", n.random(1, 6, 1, 1), conv(n, x))),
    ("divided", lambda n, x: n.ew("DIV", conv(n, x), n.random(1, 6, 1, 1, low=1, high=2))),
    (
        "fully connected",
        lambda n, x: scale(
            n,
            n.add(
                "FullyConnected",
                x,
                num_output_channels=5,
                kernel=n.rng.random((5, 100), np.float32),
                bias=n.rng.random(5, np.float32),
            ),
        ),
    ),
]


@pytest.mark.parametrize(("name", "layers"), BEHIND, ids=[name for name, _ in BEHIND])
def test_what_is_behind_is_folded(name, layers):
    n = Net()
    n.out(n.relu(layers(n, n.relu(n.x(2, 4, 5, 5)))))
    graph = n.graph(until="fold_into_weights")
    assert len(graph.layers) == 3
    assert any(note.startswith("folded into the weights in front of them") for note in graph.notes)
    n.same(rtol=1e-4, atol=1e-4)


def test_the_name_of_the_convolution_stays_and_so_does_that_of_the_output():
    n = Net()
    n.out(scale(n, conv(n, n.relu(n.x(2, 4, 5, 5)), name="first")))
    graph = n.graph(until="fold_into_weights")
    assert graph.layers[-1].name == "first" and graph.outputs[0].name == "y0"
    assert graph.layers[-1].inputs[1].origin.how == "folded"


@pytest.mark.parametrize("transposed", [False, True])
def test_a_factor_behind_a_product_and_its_bias_leaves_one_sum(transposed):
    n = Net()
    y = n.ew("SUM", linear(n, n.relu(n.x(2, 3, 4)), transposed=transposed), n.random(1, 1, 6))
    n.out(n.relu(n.ew("PROD", y, n.random(1, 1, 6))))
    assert n.ops(until="fold_into_weights") == ["Activation", "MatrixMultiply", "ElementWise", "Activation"]
    n.same(rtol=1e-4, atol=1e-4)


def test_a_bias_behind_a_product_stays_a_sum():
    n = Net()
    n.out(n.ew("SUM", linear(n, n.relu(n.x(2, 3, 4))), n.random(1, 1, 6)))
    assert n.ops(until="fold_into_weights") == ["Activation", "MatrixMultiply", "ElementWise"]
    assert not n.notes(until="fold_into_weights")


IN_FRONT = [
    ("unpadded", lambda n, x: conv(n, scale(n, x), padding=0)),
    ("unpadded groups", lambda n, x: conv(n, scale(n, x), padding=0, groups=2, bias=False)),
    ("a factor, padded", lambda n, x: conv(n, scale(n, x, shift=False))),
    ("a number", lambda n, x: conv(n, n.ew("DIV", x, n.c([[[[255.0]]]])))),
    ("deconvolution", lambda n, x: conv(n, scale(n, x, shift=False), kind="Deconvolution", groups=2)),
    (
        "fully connected",
        lambda n, x: n.add(
            "FullyConnected", scale(n, x), num_output_channels=5, kernel=n.rng.random((5, 100), np.float32)
        ),
    ),
]


@pytest.mark.parametrize(("name", "layers"), IN_FRONT, ids=[name for name, _ in IN_FRONT])
def test_what_is_in_front_is_folded(name, layers):
    n = Net()
    n.out(n.relu(layers(n, n.x(2, 4, 5, 5))))
    graph = n.graph(until="fold_into_weights")
    assert len(graph.layers) == 2
    assert any(note.startswith("folded into the weights behind them") for note in graph.notes)
    n.same(rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_factor_in_front_of_a_product_is_folded(transposed):
    n = Net()
    n.out(linear(n, n.ew("PROD", n.x(2, 3, 4), n.random(1, 1, 4)), transposed=transposed))
    assert n.ops(until="fold_into_weights") == ["MatrixMultiply"]
    n.same(rtol=1e-4, atol=1e-4)


def twice(n, x):
    y = conv(n, x)
    return n.ew("SUM", scale(n, y), n.unary("NEG", y))


NEAR = [
    ("a second layer", twice),
    ("another axis", lambda n, x: scale(n, conv(n, x), axis=2)),
    ("a power", lambda n, x: scale(n, conv(n, x), power=np.full(6, 2, np.float32))),
    ("a number for each place", lambda n, x: n.ew("PROD", conv(n, x), n.random(1, 6, 5, 5))),
    ("divides by the result", lambda n, x: n.ew("DIV", n.random(1, 6, 1, 1), n.unary("EXP", conv(n, x)))),
    ("spread over more", lambda n, x: n.ew("PROD", conv(n, x, maps=1), n.random(1, 6, 1, 1))),
    ("a shift in front of padding", lambda n, x: conv(n, scale(n, n.add("SoftMax", x)))),
    ("a relu between", lambda n, x: scale(n, n.relu(conv(n, x)))),
    ("infinite", lambda n, x: n.ew("PROD", conv(n, x), n.c([[[[3e38]]]]))),
    ("by nothing", lambda n, x: n.ew("DIV", conv(n, x), n.c([[[[0.0]]]]))),
    (
        "weights that are computed",
        lambda n, x: n.ew(
            "PROD",
            n.add("Convolution", x, n.relu(n.x(6, 4, 3, 3)), num_output_maps=6, kernel_size_nd=(3, 3)),
            n.c([[[[2.0]]]]),
        ),
    ),
]


@pytest.mark.parametrize(("name", "layers"), NEAR, ids=[name for name, _ in NEAR])
def test_what_something_else_sees_stays(name, layers):
    n = Net()
    n.out(n.relu(layers(n, n.relu(n.x(2, 4, 5, 5)))))
    before, after = (n.ops(level=level) for level in (0, 5))
    assert before == after


def test_an_output_between_stays():
    n = Net()
    y = conv(n, n.relu(n.x(2, 4, 5, 5)))
    n.out(y, scale(n, y))
    assert n.ops(until="fold_into_weights") == ["Activation", "Convolution", "Scale"]


def test_weights_that_two_layers_have_are_not_stored_twice():
    n = Net()
    w = n.random(1, 4, 4)
    x = n.relu(n.x(2, 3, 4))
    y = n.add("MatrixMultiply", x, w)
    n.out(n.relu(n.add("MatrixMultiply", n.ew("PROD", y, n.random(1, 1, 4)), w)))
    graph = n.graph(until="fold_into_weights")
    assert "ElementWise" in [layer.spec.name for layer in graph.layers]
    assert any("another layer has the same ones" in note for note in graph.notes)


def test_refittable_weights_stay():
    n = Net()
    n.config.set_flag(trt.BuilderFlag.REFIT)
    n.out(scale(n, conv(n, n.relu(n.x(2, 4, 5, 5)))))
    graph = n.graph(until="fold_into_weights")
    assert [layer.spec.name for layer in graph.layers] == ["Activation", "Convolution", "Scale"]
    assert any("BuilderFlag.REFIT keeps" in note for note in graph.notes)


def test_half_weights_are_rounded_once_and_must_not_overflow():
    n = Net()
    x = n.x(1, 4, 5, 5, dtype=trt.float16, name="x")
    kernel = n.rng.standard_normal((6, 4, 1, 1)).astype(np.float16)
    y = n.add("Convolution", n.relu(x), num_output_maps=6, kernel_size_nd=(1, 1), kernel=kernel)
    n.out(n.ew("PROD", y, n.c(n.rng.uniform(0.5, 2, (1, 6, 1, 1)), np.float16)))
    assert n.ops(until="fold_into_weights") == ["Activation", "Convolution"]
    n.same(rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("seed", range(3))
def test_random_chains_compute_the_same(seed):
    n = Net()
    n.rng = np.random.default_rng(seed)
    x = n.relu(n.x(1, 8, 6, 6))
    for index in range(8):
        kind = n.rng.integers(0, 4)
        if kind == 0:
            x = conv(n, x, maps=8, groups=int(n.rng.choice([1, 2, 8])), padding=1, name=f"conv{index}")
            x = n.ew("PROD", x, n.c([[[[0.2]]]]))
        elif kind == 1:
            x = scale(n, x, shift=bool(n.rng.integers(2)))
        elif kind == 2:
            x = n.ew("SUM", x, n.random(1, 8, 1, 1))
        else:
            x = n.shuffle(n.relu(n.shuffle(x, (0, 2, 3, 1))), (0, 3, 1, 2))
    n.out(x)
    n.same(rtol=1e-3, atol=1e-3)

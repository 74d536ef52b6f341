"""Layers behind convolutions in one spatial dim, which have an axis of extent 1, are computed with that axis."""

import numpy as np
import pytest
from onnx import helper
from onnx_models import model_of, parsed
from rewriting import ALL, Net

import dovetail as trt
from dovetail.machine.builder.build import build_of
from dovetail.machine.builder.pipeline import run, with_plugins

UNTIL = {"until": "keep_unit_axes"}
F32 = np.float32


def inserted(n, x, axis=2):
    return n.add("Unsqueeze", x, n.c([axis], np.int64))


def left_out(n, x, axis=2):
    return n.add("Squeeze", x, n.c([axis], np.int64))


def conv(n, x, maps=5, window=3, name=None, **fields):
    """[N, C, W] to [N, maps, ...]; fields have one value for W."""
    wide = {key: (0 if key.endswith("padding") else 1, value) for key, value in fields.items() if key != "num_groups"}
    kernel = n.rng.standard_normal((maps, x.shape[1] // fields.get("num_groups", 1), 1, window)).astype(F32)
    bias = n.rng.standard_normal(maps).astype(F32)
    fields = {**fields, **wide, "num_output_maps": maps, "kernel_size_nd": (1, window)}
    return left_out(n, n.add("Convolution", inserted(n, x), name=name, kernel=kernel, bias=bias, **fields))


def scaled(n, x):
    scale, shift = n.rng.random(x.shape[1], F32), n.rng.random(x.shape[1], F32)
    return n.network.add_scale_nd(x, trt.ScaleMode.CHANNEL, shift, scale, None, 1).get_output(0)


def cut(n, x, start=1, less=3, stride=1, **fields):
    dims = (*x.shape[:2], (x.shape[2] - less) // stride)
    return n.add("Slice", x, start=(0, 0, start), shape=dims, stride=(1, 1, stride), **fields)


def gelu(n, x):
    return n.ew("PROD", n.ew("PROD", x, n.c([[[0.5]]])), n.ew("SUM", n.unary("ERF", x), n.c([[[1.0]]])))


BETWEEN = [
    ("activation", lambda n, x: n.relu(x)),
    ("GELU", gelu),
    ("a number a channel", lambda n, x: n.ew("SUM", x, n.random(1, 5, 1))),
    ("numbers along the width", lambda n, x: n.ew("PROD", n.random(1, 1, x.shape[2]), x)),
    ("scale", scaled),
    ("a part", cut),
    ("every other element", lambda n, x: cut(n, x, 0, 1, 2)),
    ("zeros around it", lambda n, x: cut(n, x, -2, -3, mode=trt.SampleMode.FILL)),
    ("less its means", lambda n, x: n.ew("SUB", x, n.mean(x, 2))),
    ("two convolutions", lambda n, x: n.ew("SUM", conv(n, x, window=1), x)),
    ("joined channels", lambda n, x: n.add("Concatenation", x, n.relu(x), axis=1)),
    ("a tensor that is no convolution's", lambda n, x: n.ew("SUM", n.unary("SIN", n.x(*x.shape)), x)),
    (
        "a gate",
        lambda n, x: n.ew("PROD", x, n.add("Activation", conv(n, x, window=1), type=trt.ActivationType.SIGMOID)),
    ),
]


@pytest.mark.parametrize(("name", "layers"), BETWEEN, ids=[name for name, _ in BETWEEN])
def test_nothing_is_left_between_two_convolutions(name, layers):
    n = Net()
    # mean makes another layer take what is between, which ends no region
    y = layers(n, conv(n, n.unary("SIN", n.x(2, 4, 13)), dilation_nd=2))
    n.out(n.mean(y, 1), conv(n, y, pre_padding=1, post_padding=2, stride_nd=2))
    graph = n.graph(**UNTIL)
    first, *_, last = [layer for layer in graph.layers if layer.spec.name == "Convolution"]
    seen, stack = set(), [last.inputs[0].producer]
    while stack and stack[-1] is not None:
        layer = stack.pop()
        if layer in seen or layer is first:
            continue
        seen.add(layer)
        stack += [tensor.producer for tensor in layer.inputs if tensor is not None and tensor.producer is not None]
    others = {"Unary", "Shuffle"} if "no convolution's" in name else {"Unary"}
    assert {"Squeeze", "Unsqueeze"}.isdisjoint(layer.spec.name for layer in seen)
    assert all(len(layer.outputs[0].dims) == 4 for layer in seen if layer.spec.name not in others)
    assert any("axis of extent 1" in note for note in graph.notes)
    n.same()


@pytest.mark.parametrize("fields", [{"dilation_nd": 3}, {"num_groups": 2}, {"pre_padding": 4, "stride_nd": 3}])
def test_convolutions_of_all_kinds(fields):
    n = Net()
    y = n.relu(conv(n, n.x(2, 4, 17), maps=6, **fields))
    n.out(n.unary("COS", y), conv(n, scaled(n, y), maps=8, **fields))
    assert n.ops(**UNTIL).count("Squeeze") == 1  # the last
    n.same()


def convolved(x, kernel, bias, dilation):
    """Of [C, W], with zeros in front only, in float64."""
    padded = np.pad(x.astype(np.float64), ((0, 0), (dilation * (kernel.shape[2] - 1), 0)))
    parts = [kernel[:, :, k] @ padded[:, k * dilation :][:, : x.shape[1]] for k in range(kernel.shape[2])]
    return sum(parts) + bias[:, None]


@pytest.mark.parametrize(("channels", "width"), [(16, 40), (40, 37), (64, 1), (5, 23)])
def test_timed_kernels_compute_a_causal_network(channels, width):
    n = Net()
    x = n.x(1, channels, width)
    given = n.feeds()["x0"]
    y, wanted = n.relu(x), np.maximum(given[0].astype(np.float64), 0)
    for dilation in (1, 2, 4):
        kernel = (n.rng.standard_normal((channels, channels, 1, 3)) / channels).astype(F32)
        bias = n.rng.standard_normal(channels).astype(F32)
        pads = {"pre_padding": (0, 2 * dilation), "post_padding": (0, 2 * dilation), "dilation_nd": (1, dilation)}
        fields = {"num_output_maps": channels, "kernel_size_nd": (1, 3), "kernel": kernel, "bias": bias, **pads}
        part = cut(n, left_out(n, n.add("Convolution", inserted(n, y), **fields)), 0, 2 * dilation)
        y = n.ew("SUM", y, n.relu(part))
        wanted = wanted + np.maximum(convolved(wanted, kernel[:, :, 0].astype(np.float64), bias, dilation), 0)
    n.out(n.mean(y, 1), n.add("Reduce", y, op=trt.ReduceOperation.MAX, axes=1 << 2, keep_dims=False))
    assert "Slice" not in n.ops()
    plan = n.builder.build_serialized_network(n.network, n.config)
    engine = trt.Runtime(n.builder.logger).deserialize_cuda_engine(plan)
    found = engine.create_execution_context().run({"x0": given})
    close = {"rtol": 1e-5, "atol": 1e-5 * np.abs(wanted).max()}
    np.testing.assert_allclose(found["y0"][0], wanted.mean(0, keepdims=True), **close)
    np.testing.assert_allclose(found["y1"][0], wanted.max(1), **close)


def test_a_result_of_the_network_keeps_its_dims():
    n = Net()
    y = n.relu(conv(n, n.x(2, 4, 9)), name="relu")
    n.out(y, n.unary("NEG", conv(n, y)))
    graph = n.graph(**UNTIL)
    assert [layer.spec.name for layer in graph.layers].count("Shuffle") == 2
    assert [len(tensor.dims) for tensor in graph.outputs] == [3, 3]
    assert next(layer for layer in graph.layers if layer.name == "relu").spec.name == "Activation"
    n.same(exact=True)


def test_a_reduction_over_the_width_reduces_whole_maps():
    n = Net()
    y = n.relu(conv(n, n.x(2, 4, 9)))
    n.out(n.add("Reduce", y, op=trt.ReduceOperation.MAX, axes=1 << 2, keep_dims=False))
    graph = n.graph(**UNTIL)
    reduce = next(layer for layer in graph.layers if layer.spec.name == "Reduce")
    assert (reduce.values["axes"], reduce.values["keep_dims"]) == (0b1100, True)
    n.same(exact=True)


def test_extents_that_are_not_known():
    n = Net()
    x = n.x(-1, 4, -1, name="x")
    y = n.relu(conv(n, x))
    n.out(conv(n, n.ew("SUM", y, n.mean(y, 2))))
    n.profile(x=((1, 4, 5), (2, 4, 9), (3, 4, 20)))
    found = n.ops(**UNTIL)
    assert found.count("Squeeze") == found.count("Unsqueeze") == 1
    n.same(feeds=n.feeds(x=(3, 4, 7)))


def no_convolution(n, y):
    return n.out(n.unary("COS", n.relu(left_out(n, n.unary("SIN", n.x(2, 4, 1, 9))))))


def transposed(n, y):
    return n.out(n.unary("COS", n.relu(n.shuffle(y, (0, 2, 1)))))


def softmax(n, y):
    return n.out(n.add("SoftMax", y, axes=1 << 2))


def reduced_channels(n, y):
    return n.out(n.mean(y, 1))


@pytest.mark.parametrize("make", [no_convolution, transposed, softmax, reduced_channels])
def test_other_layers_stay(make):
    n = Net()
    make(n, conv(n, n.x(2, 4, 9)))
    assert not any("axis of extent 1" in note for note in n.notes(**UNTIL))
    n.same()


def test_another_axis_that_is_inserted_stays():
    n = Net()
    n.out(n.unary("COS", inserted(n, n.relu(conv(n, n.x(2, 4, 9))), 1)))
    assert n.ops(**UNTIL)[-3:] == ["Shuffle", "Unsqueeze", "Unary"]
    n.same(exact=True)


def test_pinned_layers_stay():
    n = Net()
    n.out(conv(n, n.relu(conv(n, n.x(2, 4, 9)), name="pinned")))
    n.config.pin_implementation("pinned", "#cpu")
    graph = n.graph(**UNTIL)
    relu = next(layer for layer in graph.layers if layer.name == "pinned")
    assert len(relu.outputs[0].dims) == 3


def test_tensors_whose_ranges_are_known_stay():
    n = Net()
    y = n.relu(conv(n, n.x(2, 4, 9)))
    n.out(n.mean(y, 1), conv(n, y))
    assert "Shuffle" in n.ops(**UNTIL)
    graph = run(build_of(n.network, n.config, ranges={"x0": 3.0}), n.passes(ALL), **UNTIL)
    assert "Shuffle" not in [layer.spec.name for layer in graph.layers]


def test_poolings_of_onnx_models_have_the_axis_of_convolutions():
    rng = np.random.default_rng(5)
    weights = {"w": rng.standard_normal((6, 4, 3)).astype(F32), "v": rng.standard_normal((5, 6, 1)).astype(F32)}
    nodes = [
        ("Conv", ["x", "w"], ["a"], {"pads": [1, 1]}),
        ("Relu", ["a"], ["b"], {}),
        ("MaxPool", ["b"], ["c"], {"kernel_shape": [3], "strides": [2], "pads": [0, 1]}),
        ("AveragePool", ["c"], ["d"], {"kernel_shape": [2]}),
        ("Conv", ["d", "v"], ["y"], {}),
    ]
    x = rng.standard_normal((2, 4, 10)).astype(F32)
    model = model_of(nodes, [helper.make_tensor_value_info("x", 1, x.shape)], weights=weights)
    builder, network, errors = parsed(model)
    assert not errors
    config = builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    graph = run(build_of(network, config), with_plugins(network.lookup), **UNTIL)
    assert [layer.spec.name for layer in graph.layers if not layer.outputs[0].is_constant] == [
        "Unsqueeze", "Convolution", "Activation", "Pooling", "Pooling", "Convolution", "Squeeze",
    ]  # fmt: skip
    engine = trt.Runtime(builder.logger).deserialize_cuda_engine(builder.build_serialized_network(network, config))
    found = engine.create_execution_context().run({"x": x})["y"]
    wide = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1)))
    a = np.maximum(sum(np.einsum("oc,ncw->now", weights["w"][:, :, k], wide[:, :, k : k + 10]) for k in range(3)), 0)
    padded = np.pad(a, ((0, 0), (0, 0), (0, 1)))  # of numbers that are 0 or more
    c = np.stack([padded[:, :, i : i + 3].max(2) for i in range(0, 9, 2)], 2)
    y = np.einsum("oc,ncw->now", weights["v"][:, :, 0], (c[:, :, :-1] + c[:, :, 1:]) / 2)
    np.testing.assert_allclose(found, y, rtol=1e-5, atol=1e-5)

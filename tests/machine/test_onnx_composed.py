"""Operators of ONNX that take several layers, against NumPy and the package onnx's reference."""

import numpy as np
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx_models import parsed

import dovetail as trt

RNG = np.random.default_rng(0)


def node_model(op, inputs, outputs=("y",), known=(), dims=None, domain="", opset=24, **attrs):
    """A model of one node on arrays by name; those in `known` are initializers, `dims` are declared instead."""
    dims = dims or {}
    graph = helper.make_graph(
        [helper.make_node(op, list(inputs), list(outputs), "here", domain=domain, **attrs)],
        "graph",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), dims.get(name, array.shape)
            )
            for name, array in inputs.items()
            if name and name not in known
        ],
        [helper.make_tensor_value_info(name, 0, None) for name in outputs if name],
        [numpy_helper.from_array(inputs[name], name) for name in known],
    )
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets)


def engine_of(model, shapes=None, device=None):
    """An execution context; `shapes` are (least, most) of the inputs with extents of any length."""
    builder, network, errors = parsed(model)
    assert not errors, errors
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    for name, (least, most) in (shapes or {}).items():
        profile.set_shape(name, least, most, most)
    config.add_optimization_profile(profile)
    if device is not None:
        config.default_device_type = device
    plan = builder.build_serialized_network(network, config)
    return trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()


def run(model, inputs, known=()):
    results = engine_of(model).run({name: array for name, array in inputs.items() if name and name not in known})
    return {name: np.asarray(array) for name, array in results.items()}


def check(model, inputs, known=(), tolerance=1e-5):
    feeds = {name: array for name, array in inputs.items() if name and name not in known}
    results = run(model, inputs, known)
    for info, wanted in zip(model.graph.output, ReferenceEvaluator(model).run(None, feeds), strict=True):
        got = results[info.name]
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def errors_of(model):
    return parsed(model)[2]


# ---- Unique

FOUND = ("y", "first", "which", "counts")


def unique_by_numpy(x, is_sorted, axis=None):
    y, first, which, counts = np.unique(x, True, True, True, axis=axis)
    which = which.reshape(-1)
    if not is_sorted:
        order = np.argsort(first)
        which, first, counts = np.argsort(order)[which], first[order], counts[order]
        y = np.take(x.reshape(-1) if axis is None else x, first, axis or 0)
    return {"y": y, "first": first, "which": which, "counts": counts}


def check_unique(x, is_sorted, axis=None, context=None):
    if context is None:
        attrs = {} if axis is None else {"axis": axis}
        context = engine_of(node_model("Unique", {"x": x}, FOUND, sorted=int(is_sorted), **attrs))
    results = context.run({"x": x})
    for name, wanted in unique_by_numpy(x, is_sorted, axis).items():
        np.testing.assert_array_equal(np.asarray(results[name]), wanted, err_msg=name)


AWKWARD = {
    "floats": np.float32([3, np.nan, -0.0, 1, 0.0, np.nan, -np.inf, 3, np.inf, 1, 3]),
    "alone": np.float32([[7]]),
    "all alike": np.full((2, 3), 5, np.int64),
    "nan alone": np.full(3, np.nan, np.float32),
    "bools": np.array([[True, False], [True, True]]),
    "bytes": RNG.integers(0, 9, (5, 7)).astype(np.uint8),
    "signed": RNG.integers(-4, 5, 40).astype(np.int8),
    "halves": RNG.integers(-3, 4, (6, 5)).astype(np.float16),
    "limits": np.int32([2**31 - 1, -(2**31), 0, -(2**31), 2**31 - 1]),
    "longs": np.int64([2**62, -(2**63), 2**62 + 1, 2**62]),
    "none": np.zeros((0, 2), np.float32),
    "many": RNG.integers(0, 300, 2000).astype(np.int32),
}


@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize("name", AWKWARD)
def test_unique_elements(name, is_sorted):
    check_unique(AWKWARD[name], is_sorted)


def test_the_first_of_two_zeros_stays():
    results = run(node_model("Unique", {"x": (x := np.float32([-0.0, 0.0, 0.0]))}, FOUND), {"x": x})
    assert np.signbit(results["y"]).tolist() == [True]


@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dims", [(6, 4, 3), (50, 2, 9), (1, 3, 2), (3, 1, 1)])
def test_unique_slices(dims, axis, is_sorted):
    check_unique(RNG.integers(-1, 1, dims).astype(np.float32), is_sorted, axis)


def test_unique_rows_of_more_digits_than_an_int64_holds():
    x = RNG.integers(0, 9, (300, 40)).astype(np.int32)
    x[200:] = x[RNG.permutation(100)]
    x[150, :39] = x[10, :39]
    check_unique(x, True, 0)


def test_a_nan_makes_slices_no_different():
    x = np.float32([[1, np.nan], [0, 2], [1, np.nan]])
    results = run(node_model("Unique", {"x": x}, FOUND, axis=0), {"x": x})
    np.testing.assert_array_equal(results["y"], [[0, 2], [1, np.nan]])
    assert results["counts"].tolist() == [1, 2] and results["which"].tolist() == [1, 0, 1]


@pytest.mark.parametrize("is_sorted", [True, False])
def test_unique_elements_of_any_number(is_sorted):
    x = RNG.integers(0, 5, (8, 3)).astype(np.int64)
    model = node_model("Unique", {"x": x}, FOUND, dims={"x": ("n", 3)}, sorted=int(is_sorted))
    context = engine_of(model, {"x": ((0, 3), (8, 3))})
    for n in (1, 8, 4, 0):
        check_unique(x[:n], is_sorted, context=context)


def test_only_what_is_asked_for():
    x = np.int64([4, 2, 4])
    assert run(node_model("Unique", {"x": x}, ("y",)), {"x": x})["y"].tolist() == [2, 4]
    model = node_model("Unique", {"x": x}, ("y", "", "which"))
    model.graph.output.pop(0)  # y has to have a name, though nobody takes it
    assert run(model, {"x": x})["which"].tolist() == [1, 0, 1]


def test_slices_of_any_number_are_refused():
    x = np.zeros((2, 3), np.float32)
    (error,) = errors_of(node_model("Unique", {"x": x}, dims={"x": ("n", 3)}, axis=0))
    assert "(Unique 'here')" in error and "known when the network is built" in error and "axis 0" in error
    (error,) = errors_of(node_model("Unique", {"x": x}, axis=2))
    assert "axis" in error


# ---- DeformConv


def deformed(
    dims=(2, 4, 5, 7), maps=6, window=(3, 2), group=1, offset_group=1, dtype=np.float32, is_masked=True, **attrs
):
    """Inputs of a DeformConv by name: offsets reach beyond x, and lie between its cells."""
    n = len(window)
    strides, dilations = attrs.get("strides", (1,) * n), attrs.get("dilations", (1,) * n)
    pads = attrs.get("pads", (0,) * 2 * n)
    out = [
        (dims[2 + i] + pads[i] + pads[n + i] - dilations[i] * (window[i] - 1) - 1) // strides[i] + 1 for i in range(n)
    ]
    cells = offset_group * int(np.prod(window))
    inputs = {
        "x": RNG.standard_normal(dims),
        "w": RNG.standard_normal((maps, dims[1] // group, *window)),
        "offset": 2 * RNG.standard_normal((dims[0], cells * n, *out)),
        "b": RNG.standard_normal(maps),
        "mask": RNG.random((dims[0], cells, *out)),
    }
    if not is_masked:
        del inputs["mask"], inputs["b"]
    return {name: array.astype(dtype) for name, array in inputs.items()}, {
        "group": group,
        "offset_group": offset_group,
        **attrs,
    }


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"is_masked": False},
        {"group": 2, "offset_group": 4},
        {"group": 4, "maps": 4, "offset_group": 2, "pads": (1, 0, 2, 3)},
        {"strides": (2, 1), "dilations": (1, 2), "pads": (1, 1, 1, 1), "kernel_shape": (3, 2)},
        {"dims": (1, 2, 5, 9), "maps": 1},  # sizes whose places are not rounded
    ],
)
@pytest.mark.parametrize("known", [("w",), ()])
def test_deformed_convolutions(facts, known):
    inputs, attrs = deformed(**facts)
    check(node_model("DeformConv", inputs, known=known, opset=22, **attrs), inputs, known, 1e-4)


@pytest.mark.parametrize("window", [(2, 3), (2, 2, 3)])
def test_without_offsets_it_is_a_convolution(window):
    dims = (2, 4, 1, 5, 6)[: len(window) + 2]
    dims = (*dims[:2], 3, *dims[3:]) if len(window) == 3 else (2, 4, 2, 5)
    inputs, attrs = deformed(dims, window=window, group=2, offset_group=2, pads=(1,) * 2 * len(window))
    inputs["offset"][:], inputs["mask"][:] = 0, 1
    y = run(node_model("DeformConv", inputs, **attrs), inputs)["y"]
    conv = {name: inputs[name] for name in ("x", "w", "b")}
    (wanted,) = ReferenceEvaluator(node_model("Conv", conv, group=2, pads=attrs["pads"])).run(None, conv)
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-4)


def test_whole_offsets_move_the_window():
    x = RNG.standard_normal((1, 1, 6, 8), dtype=np.float32)
    inputs = {"x": x, "w": np.ones((1, 1, 1, 1), np.float32), "offset": np.zeros((1, 2, 6, 8), np.float32)}
    inputs["offset"][:, 0], inputs["offset"][:, 1] = 2, -1  # down and to the left
    wanted = np.zeros_like(x)
    wanted[..., :4, 1:] = x[..., 2:, :-1]
    np.testing.assert_allclose(run(node_model("DeformConv", inputs), inputs)["y"], wanted, atol=1e-5)


def test_a_plane_of_one_cell():
    inputs, attrs = deformed((1, 1, 1, 1), 1, (1, 1), is_masked=False)
    inputs["offset"][:] = np.float32([0.25, -0.5]).reshape(1, 2, 1, 1)
    y = run(node_model("DeformConv", inputs, **attrs), inputs)["y"]
    np.testing.assert_allclose(y, inputs["x"] * inputs["w"] * 0.75 * 0.5, rtol=1e-5)


def test_half_precision_is_sampled_at_places_in_float32():
    inputs, attrs = deformed(dims=(1, 4, 40, 33), dtype=np.float16)
    wide = {name: array.astype(np.float32) for name, array in inputs.items()}
    y, wanted = (run(node_model("DeformConv", given, **attrs), given)["y"] for given in (inputs, wide))
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, wanted, rtol=1e-2, atol=3e-2)


def test_deformed_convolutions_of_any_size():
    inputs, attrs = deformed(pads=(1, 1, 1, 0), group=2, offset_group=2)
    names = {"x": ("n", 4, "h", "w"), "offset": ("n", 24, "oh", "ow"), "mask": ("n", 12, "oh", "ow")}
    known = ("w", "b")
    model = node_model("DeformConv", inputs, known=known, dims=names, **attrs)
    feeds = {name: array for name, array in inputs.items() if name not in known}
    context = engine_of(model, {name: ((1, *array.shape[1:2], 1, 1), array.shape) for name, array in feeds.items()})
    for part in (slice(0, 2), slice(1, 2)):
        some = {name: array[part] for name, array in feeds.items()}
        (wanted,) = ReferenceEvaluator(model).run(None, some)
        np.testing.assert_allclose(np.asarray(context.run(some)["y"]), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "attrs", "words"),
    [
        ({"offset": np.zeros((2, 10, 3, 6))}, {}, ["offset (2, 10, 3, 6)", "rule 12"]),
        ({"mask": np.zeros((2, 12, 3, 6))}, {}, ["mask (2, 12, 3, 6)", "rule 6"]),
        ({}, {"offset_group": 3}, ["offset_group 3", "channels 4"]),
        ({}, {"group": 2}, ["group 2", "channels 4"]),
        ({}, {"kernel_shape": (2, 2)}, ["window (2, 2)"]),
        ({"x": np.zeros((2, 4, 5))}, {}, ["4 dims"]),
        ({"offset": np.zeros((2, 12, 3, 5))}, {}, ["offset (2, 12, 3, 5)", "axis 3", "rule 6"]),
        ({}, {"pads": (1, 1)}, ["pads (1, 1)", "2 numbers"]),
        ({}, {"strides": (0, 1)}, ["strides (0, 1)"]),
    ],
)
def test_deformed_convolutions_that_do_not_fit(changes, attrs, words):
    inputs, _ = deformed()
    inputs |= {name: array.astype(np.float32) for name, array in changes.items()}
    (error,) = errors_of(node_model("DeformConv", inputs, **attrs))
    assert not [word for word in ("(DeformConv 'here')", *words) if word not in error], error


# ---- TensorScatter


def cached(dims=(3, 2, 6, 4), length=2, axis=-2, begins=(1, 0, 3), dtype=np.float32):
    update = list(dims)
    update[axis] = length
    cache, news = (RNG.standard_normal(some).astype(dtype) for some in (dims, update))
    return {"cache": cache, "update": news, "begins": np.int64(begins)}


@pytest.mark.parametrize(
    ("facts", "attrs"),
    [
        ({}, {}),
        ({"begins": (5, 4, 0)}, {"mode": "circular"}),
        ({"length": 6, "begins": (2, 0, 5)}, {"mode": "circular"}),
        ({"dims": (3, 5, 2)}, {"axis": 1}),
        ({"dims": (3, 2, 4, 6), "axis": -1}, {"axis": -1}),
        ({"dims": (3, 2, 4, 6), "axis": 1, "length": 1, "begins": (0, 1, 1)}, {"axis": 1, "mode": "linear"}),
        ({"dtype": np.float16}, {}),
    ],
)
def test_updates_of_a_cache(facts, attrs):
    inputs = cached(**facts)
    check(node_model("TensorScatter", inputs, **attrs), inputs)
    check(node_model("TensorScatter", inputs, known=("begins",), **attrs), inputs, ("begins",))


def test_updates_begin_at_0_if_nothing_is_said():
    inputs = cached()
    del inputs["begins"]
    check(node_model("TensorScatter", inputs), inputs)


def test_updates_of_any_length():
    names = {"cache": ("n", 2, 6, 4), "update": ("n", 2, "s", 4), "begins": ("n",)}
    model = node_model("TensorScatter", cached(), dims=names, mode="circular")
    low, high = cached((1, 2, 6, 4), 1, begins=(0,)), cached(length=3)
    context = engine_of(model, {name: (low[name].shape, high[name].shape) for name in low})
    for inputs in (cached((1, 2, 6, 4), 1, begins=(5,)), cached(length=3, begins=(4, 5, 0)), cached()):
        (wanted,) = ReferenceEvaluator(model).run(None, inputs)
        np.testing.assert_array_equal(np.asarray(context.run(inputs)["y"]), wanted)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"update": (3, 1, 2, 4)}, ["axis 1", "update (3, 1, 2, 4)", "past_cache (3, 2, 6, 4)"]),
        ({"update": (3, 2, 7, 4)}, ["axis 2", "update (3, 2, 7, 4)"]),
        ({"update": (3, 2, 4)}, ["equal ranks"]),
        ({"begins": (2,)}, ["write_indices (2,)"]),
    ],
)
def test_updates_that_do_not_fit(changes, words):
    inputs = cached()
    inputs |= {name: np.zeros(dims, inputs[name].dtype) for name, dims in changes.items()}
    (error,) = errors_of(node_model("TensorScatter", inputs))
    assert not [word for word in ("(TensorScatter 'here')", *words) if word not in error], error


@pytest.mark.parametrize(
    ("attrs", "words"), [({"axis": 0}, ["axis 0"]), ({"mode": "round"}, ["mode round"]), ({"axis": 4}, ["axis"])]
)
def test_updates_that_cannot_be(attrs, words):
    (error,) = errors_of(node_model("TensorScatter", cached(), **attrs))
    assert not [word for word in ("(TensorScatter 'here')", *words) if word not in error], error


# ---- mel weights

MEL = {
    "bins": np.int64(8),
    "length": np.int64(64),
    "rate": np.int64(8000),
    "low": np.float32(20),
    "high": np.float32(3900),
}


@pytest.mark.parametrize(
    "changes", [{}, {"bins": 30}, {"length": 400, "rate": 16000, "bins": 80, "high": 8000, "low": 0}]
)
def test_mel_weights(changes):
    inputs = {name: type(value)(changes.get(name, value)) for name, value in MEL.items()}
    inputs = {name: np.asarray(value) for name, value in inputs.items()}
    model = node_model("MelWeightMatrix", inputs, known=tuple(inputs))
    y, (wanted,) = run(model, {})["y"], ReferenceEvaluator(model).run(None, {})
    np.testing.assert_allclose(y, wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "known", "words"),
    [
        ({}, ("length", "rate", "low", "high"), ["unknown num_mel_bins", "known when the network is built"]),
        ({"high": np.float32(4001)}, tuple(MEL), ["upper_edge_hertz 4001", "sample_rate 8000"]),
        ({"low": np.float32(3950)}, tuple(MEL), ["lower_edge_hertz 3950"]),
    ],
)
def test_mel_weights_that_cannot_be(changes, known, words):
    inputs = {name: np.asarray(value) for name, value in (MEL | changes).items()}
    (error,) = errors_of(node_model("MelWeightMatrix", inputs, known=known))
    assert not [word for word in ("(MelWeightMatrix 'here')", *words) if word not in error], error


# ---- ai.onnx.ml


@pytest.mark.parametrize("dims", [(5,), (3, 5), (2, 3, 5)])
@pytest.mark.parametrize("indices", [[1], [4, 0, 4], [[2, 3]]])
def test_extracted_features(dims, indices):
    inputs = {"x": RNG.standard_normal(dims, dtype=np.float32), "i": np.int64(indices)}
    check(node_model("ArrayFeatureExtractor", inputs, domain="ai.onnx.ml"), inputs)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int32])
@pytest.mark.parametrize("attrs", [{}, *({"threshold": value} for value in (-1.0, 1.5, -0.5, -1e20, float("inf")))])
def test_binarized(dtype, attrs):
    x = np.array([-2, -1, 0, 1, 2, 3], dtype)
    y = run(node_model("Binarizer", {"x": x}, domain="ai.onnx.ml", **attrs), {"x": x})["y"]
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x > attrs.get("threshold", 0.0))


# ---- n-grams

GRAMS = {
    "mode": "TF",
    "min_gram_length": 1,
    "max_gram_length": 3,
    "max_skip_count": 0,
    "ngram_counts": [0, 3, 9],
    "ngram_indexes": [0, 2, 1, 6, 3, 5, 4],
    "pool_int64s": [2, 7, 5, 1, 2, 2, 2, 2, 7, 1, 2, 3],
}


@pytest.mark.parametrize(
    "attrs",
    [
        {},
        {"max_skip_count": 2},
        {"min_gram_length": 2, "max_skip_count": 1},
        {"min_gram_length": 3},
        {"pool_int64s": [2, 7, 2, 1, 2, 2, 2, 2, 7, 1, 2, 3]},  # of equal ones the last counts
        {"mode": "IDF", "weights": [0.5, 2.0, 1.0, 3.0, 0.25, 1.5, 4.0]},
        {"mode": "TFIDF", "weights": [0.5, 2.0, 1.0, 3.0, 0.25, 1.5, 4.0], "max_skip_count": 5},
        {"mode": "IDF", "weights": [1.0] * 7, "min_gram_length": 2, "max_gram_length": 2},
    ],
)
@pytest.mark.parametrize("dims", [(20,), (3, 20), (2, 1), (2,)])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_counted_ngrams(attrs, dims, dtype):
    x = RNG.integers(1, 8, dims).astype(dtype)
    check(node_model("TfIdfVectorizer", {"x": x}, **GRAMS | attrs), {"x": x})


def test_without_weights_all_are_1():
    x = np.int32([2, 2, 5])
    y = run(node_model("TfIdfVectorizer", {"x": x}, **GRAMS | {"mode": "IDF"}), {"x": x})["y"]
    assert y.tolist() == [1, 1, 0, 1, 0, 0, 0]


def test_ngrams_that_no_int32_holds():
    x = np.int32([1, 2, 3])
    attrs = GRAMS | {"ngram_counts": [0], "pool_int64s": [2**33 + 1, 3], "ngram_indexes": [0, 1]}
    assert run(node_model("TfIdfVectorizer", {"x": x}, **attrs), {"x": x})["y"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("attrs", "words"),
    [
        ({"mode": "DF"}, ["mode DF", "TFIDF"]),
        ({"weights": [1.0]}, ["weights 1", "columns 7"]),
        ({"ngram_indexes": [0, 1, 2]}, ["pool 7"]),
    ],
)
def test_ngrams_that_cannot_be(attrs, words):
    (error,) = errors_of(node_model("TfIdfVectorizer", {"x": np.int32([1, 2])}, **GRAMS | attrs))
    assert not [word for word in ("(TfIdfVectorizer 'here')", *words) if word not in error], error


# ---- on a GPU

ON_A_GPU = {
    "unique": ("Unique", lambda: ({"x": AWKWARD["floats"]}, {})),
    "unique unsorted": ("Unique", lambda: ({"x": AWKWARD["many"]}, {"sorted": 0})),
    "unique rows": ("Unique", lambda: ({"x": RNG.integers(0, 3, (200, 30, 2)).astype(np.float16)}, {"axis": 0})),
    "deform_conv": ("DeformConv", lambda: deformed(group=2, offset_group=4, pads=(1, 0, 2, 3))),
    "tensor_scatter": ("TensorScatter", lambda: (cached(), {})),
    "tensor_scatter circular": ("TensorScatter", lambda: (cached(begins=(5, 4, 0)), {"mode": "circular"})),
    "tf_idf": ("TfIdfVectorizer", lambda: ({"x": RNG.integers(1, 8, (3, 20)).astype(np.int32)}, GRAMS)),
}


@pytest.mark.gpu
@pytest.mark.parametrize("name", ON_A_GPU)
def test_the_gpu_gives_the_same(name):
    op, facts = ON_A_GPU[name]
    inputs, attrs = facts()
    model = node_model(op, inputs, FOUND if op == "Unique" else ("y",), **attrs)
    on_cpu, on_gpu = (engine_of(model, device=d).run(inputs) for d in (trt.DeviceType.CPU, trt.DeviceType.GPU))
    for output, wanted in on_cpu.items():
        np.testing.assert_allclose(np.asarray(on_gpu[output]), np.asarray(wanted), rtol=1e-4, atol=1e-4)

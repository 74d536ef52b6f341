"""Imports that real exporters need: what their models mean, against ONNX Runtime where it is there, else NumPy."""

import numpy as np
import pytest
from one_node import by_onnxruntime, computed, one_node
from onnx import TensorProto, helper
from onnx_models import model_of, parsed

import dovetail as trt
from dovetail.core.errors import ShapeError

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
RNG = np.random.default_rng(0)


def normal(*dims):
    return RNG.standard_normal(dims).astype(np.float32)


def given(name, dims, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, dims)


def context_of(model, **profiles):
    """A context for the model; profiles are (least, most) dims of inputs."""
    builder, network, errors = parsed(model)
    assert not errors, errors
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    config.builder_optimization_level = 0
    for name, (least, most) in profiles.items():
        profile.set_shape(name, least, most, most)
    if profiles:
        config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    return trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()


# ---- scales of quantisation


@pytest.mark.parametrize("dims", [(3,), (2, 3), (2, 1, 3), ()])
@pytest.mark.parametrize("scale", [(), (1,)])
@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32])
def test_one_scale_needs_no_axis(dims, scale, kind):
    x = RNG.integers(0, 100, dims).astype(kind)
    zero = np.full(scale, 0 if kind is np.int32 else 3, kind)
    inputs = {"x": x, "s": np.full(scale, 0.5, np.float32), "z": zero}
    model = one_node("DequantizeLinear", inputs, known="*", domain="", main=13)
    np.testing.assert_array_equal(computed(model, inputs)["y"], (x.astype(np.float32) - zero.reshape(())) * 0.5)
    if kind is not np.int32:
        inputs["x"] = normal(*dims) * 9
        model = one_node("QuantizeLinear", inputs, known="*", domain="", main=13, axis=5)
        limits = np.iinfo(kind)
        expected = np.clip(np.rint(inputs["x"] / 0.5) + 3, limits.min, limits.max)
        np.testing.assert_array_equal(computed(model, inputs)["y"], expected)


# ---- Einsum


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 3)]),
        ("...ij,...jk->...ik", [(1, 3, 4), (6, 4, 3)]),
        ("...ij,...jk->...ik", [(3, 4), (6, 4, 3)]),
        ("...i,...i", [(3, 1, 4), (1, 5, 4)]),
        ("...,...->...", [(3, 1), (1, 5)]),
        ("b...,b...->b...", [(1, 3), (4, 3)]),
        ("ij,jk->ik", [(2, 1), (4, 3)]),
        ("...ij,...jk,...kl->...il", [(1, 2, 3), (4, 3, 2), (1, 2, 5)]),
        ("...ii->...i", [(2, 3, 3)]),
        ("iii->i", [(3, 3, 3)]),
        ("ijji->ij", [(2, 3, 3, 2)]),
        ("ii,jj->ij", [(3, 3), (4, 4)]),
        ("ij...,j...->i...", [(2, 3, 1), (3, 4)]),
        ("a,a->a", [(1,), (1,)]),
    ],
)
def test_extents_of_1_are_repeated_in_einsum(equation, shapes):
    inputs = {f"x{index}": normal(*shape) for index, shape in enumerate(shapes)}
    model = one_node("Einsum", inputs, domain="", equation=equation)
    expected = np.einsum(equation, *inputs.values())
    np.testing.assert_allclose(computed(model, inputs)["y"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("equation", ["ij,ij->ij", "ij,ij->i", "ij,jk->ik", "...ij,...jk->...ik", "ij,jk,kl->il"])
def test_unknown_extents_of_einsum_that_are_1_are_repeated(equation):
    terms = equation.partition("->")[0].split(",")
    ranks = [len(term.replace("...", "bc")) for term in terms]
    inputs = [given(f"x{i}", [f"d{i}{axis}" for axis in range(rank)]) for i, rank in enumerate(ranks)]
    names = [entry.name for entry in inputs]
    model = model_of([("Einsum", names, ["y"], {"equation": equation})], inputs)
    profile = {name: ((1,) * rank, (5,) * rank) for name, rank in zip(names, ranks, strict=True)}
    context = context_of(model, **profile)
    for ones in range(2 ** ranks[0]):
        shapes = [
            tuple(1 if i == 0 and ones >> axis & 1 else 4 for axis in range(rank)) for i, rank in enumerate(ranks)
        ]
        feeds = {name: normal(*shape) for name, shape in zip(names, shapes, strict=True)}
        expected = by_onnxruntime(model, feeds)["y"]
        np.testing.assert_allclose(context.run(feeds)["y"], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(context.run(feeds)["y"], np.einsum(equation, *feeds.values()), rtol=1e-4, atol=1e-5)


def test_diagonals_of_einsum_ignore_what_is_beside_them():
    x = np.array([[1, np.inf], [np.nan, 2]], np.float32)
    assert computed(one_node("Einsum", {"x": x}, domain="", equation="ii->i"), {"x": x})["y"].tolist() == [1, 2]


def test_diagonals_of_einsum_follow_unknown_extents():
    model = model_of([("Einsum", ["x"], ["y"], {"equation": "bii->bi"})], [given("x", (2, "rows", "columns"))])
    context = context_of(model, x=((2, 1, 1), (2, 5, 5)))
    x = normal(2, 4, 4)
    np.testing.assert_array_equal(context.run({"x": x})["y"], np.einsum("bii->bi", x))
    for shape in ((2, 3, 4), (2, 1, 4), (2, 4, 1)):
        with pytest.raises(ShapeError, match="'i' in the term 'bii' must be equal"):
            context.run({"x": normal(*shape)})


def test_diagonals_of_einsum_need_equal_extents():
    (error,) = parsed(one_node("Einsum", {"x": normal(1, 3)}, domain="", equation="ii->i"))[2]
    assert "the extents of 'i' in the term 'ii' must be equal; axis 0 1; axis 1 3" in error


# ---- extents


def test_squeeze_without_axes_takes_what_is_known_to_be_1():
    model = model_of([("Squeeze", ["x"], ["y"], {})], [given("x", ("n", 1, 4, 1))])
    context = context_of(model, x=((2, 1, 4, 1), (5, 1, 4, 1)))
    assert context.run({"x": normal(3, 1, 4, 1)})["y"].shape == (3, 4)


def a_range(*nodes, start=0.0, delta=1.0, **weights):
    """A model of y, a range up to `limit`, which the nodes make of the second extent of x as a float `f`."""
    shape = [
        ("Shape", ["x"], ["s"], {}),
        ("Gather", ["s", "one"], ["n"], {}),
        ("Cast", ["n"], ["f"], {"to": FLOAT}),
        *nodes,
        ("Range", ["start", "limit", "delta"], ["y"], {}),
    ]
    known = {"one": np.int64(1), "start": np.float32(start), "delta": np.float32(delta)}
    known |= {name: np.float32(value) for name, value in weights.items()}
    return model_of(shape, [given("x", ("a", "b"))], weights=known)


@pytest.mark.parametrize(
    ("nodes", "facts", "limit"),
    [
        ([("Identity", ["f"], ["limit"], {})], {}, lambda n: n),
        ([("Mul", ["f", "k"], ["limit"], {})], {"k": 2.0}, lambda n: 2 * n),
        ([("Mul", ["f", "k"], ["limit"], {})], {"k": 0.5}, lambda n: n / 2),
        ([("Div", ["f", "k"], ["h"], {}), ("Floor", ["h"], ["limit"], {})], {"k": 3.0}, lambda n: n // 3),
        ([("Div", ["f", "k"], ["h"], {}), ("Ceil", ["h"], ["limit"], {})], {"k": 8.0}, lambda n: -(-n // 8)),
        ([("Sub", ["f", "k"], ["limit"], {})], {"k": 0.5, "start": 0.5}, lambda n: n - 0.5),
        ([("Identity", ["f"], ["limit"], {})], {"delta": 0.25, "start": 1.0}, lambda n: n),
        ([("Neg", ["f"], ["limit"], {})], {"delta": -2.0}, lambda n: -n),
        ([("Min", ["f", "k"], ["limit"], {})], {"k": 3.0}, lambda n: min(n, 3)),
        ([("Unsqueeze", ["f", "zero"], ["u"], {}), ("Squeeze", ["u"], ["limit"], {})], {}, lambda n: n),
    ],
)
def test_ranges_of_floats_up_to_an_extent(nodes, facts, limit):
    model = a_range(*nodes, **facts)
    model.graph.initializer.append(helper.make_tensor("zero", INT64, (1,), [0]))
    context = context_of(model, x=((1, 1), (4, 40)))
    for n in (1, 7, 8, 9, 40):
        expected = np.arange(facts.get("start", 0.0), limit(n), facts.get("delta", 1.0), np.float32)
        np.testing.assert_array_equal(context.run({"x": normal(2, n)})["y"], expected)


def test_whole_numbers_of_floats_become_extents():
    """How older exporters scale a picture: Cast(Cast(height) * 1.5)."""
    nodes = [
        ("Shape", ["x"], ["s"], {}),
        ("Cast", ["s"], ["f"], {"to": FLOAT}),
        ("Mul", ["f", "scale"], ["g"], {}),
        ("Cast", ["g"], ["sizes"], {"to": INT64}),
        ("Resize", ["x", "", "", "sizes"], ["y"], {"mode": "linear"}),
    ]
    model = model_of(nodes, [given("x", ("a", "b"))], weights={"scale": np.float32([1.5, 0.5])})
    context = context_of(model, x=((1, 1), (9, 9)))
    assert context.run({"x": normal(5, 7)})["y"].shape == (7, 3)


ROUNDING = {
    "Mul": ([("Mul", ["f", "k"], ["g"], {})], 0.7),
    "Mul and Floor": ([("Mul", ["f", "k"], ["h"], {}), ("Floor", ["h"], ["g"], {})], 0.1),
    "Mul and Ceil": ([("Mul", ["f", "k"], ["h"], {}), ("Ceil", ["h"], ["g"], {})], 0.1),
    "Mul and Round": ([("Mul", ["f", "k"], ["h"], {}), ("Round", ["h"], ["g"], {})], 0.5),
    "Div": ([("Div", ["f", "k"], ["g"], {})], 0.7),
    "Div by an extent": ([("Div", ["k", "f"], ["h"], {}), ("Mul", ["f", "h"], ["g"], {})], 37.0),
    "Reciprocal": ([("Reciprocal", ["f"], ["h"], {}), ("Mul", ["h", "k"], ["g"], {})], 1000.0),
    "Add": ([("Add", ["f", "k"], ["h"], {}), ("Mul", ["h", "h"], ["g"], {})], 0.3),
    "Sub, Abs and Neg": (
        [
            ("Sub", ["k", "f"], ["h"], {}),
            ("Abs", ["h"], ["i"], {}),
            ("Neg", ["i"], ["j"], {}),
            ("Neg", ["j"], ["g"], {}),
        ],
        50.1,
    ),
    "a third of thirds": ([("Div", ["f", "k"], ["h"], {}), ("Mul", ["h", "k"], ["g"], {})], 3.0),
    "Min and Max": (
        [("Min", ["f", "k"], ["h"], {}), ("Max", ["h", "k"], ["i"], {}), ("Mul", ["i", "f"], ["g"], {})],
        9.7,
    ),
}


@pytest.mark.parametrize("case", ROUNDING)
def test_extents_are_rounded_as_float32_rounds(case):
    nodes, k = ROUNDING[case]
    nodes = [
        ("Shape", ["x"], ["s"], {}),
        ("Cast", ["s"], ["f"], {"to": FLOAT}),
        *nodes,
        ("Cast", ["g"], ["sizes"], {"to": INT64}),
        ("Expand", ["one", "sizes"], ["y"], {}),
    ]
    model = model_of(nodes, [given("x", ("n",))], weights={"k": np.float32([k]), "one": np.float32([1])})
    context = context_of(model, x=((1,), (4000,)))
    for n in (*range(1, 60), 100, 333, 1001, 3999):
        x = np.zeros(n, np.float32)
        expected = by_onnxruntime(model, {"x": x})["y"]
        assert context.run({"x": x})["y"].shape == expected.shape


TO_FLOAT, TO_INT = {"to": FLOAT}, {"to": INT64}
SCALED = [("Cast", ["n"], ["f"], TO_FLOAT), ("Mul", ["f", "k"], ["h"], {})]
COMPUTED = {  # an extent m of another one, n
    "a selection of floats": [
        *SCALED,
        ("Greater", ["n", "five"], ["c"], {}),
        ("Where", ["c", "h", "k"], ["g"], {}),
        ("Cast", ["g"], ["m"], TO_INT),
    ],
    "a selection of whole floats": [
        *SCALED,
        ("Less", ["n", "five"], ["c"], {}),
        ("Where", ["c", "f", "f5"], ["g"], {}),
        ("Cast", ["g"], ["m"], TO_INT),
    ],
    "a comparison of floats": [
        *SCALED,
        ("GreaterOrEqual", ["h", "f5"], ["c"], {}),
        ("Cast", ["c"], ["g"], TO_INT),
        ("Add", ["g", "five"], ["m"], {}),
    ],
    "an equality of floats": [
        *SCALED,
        ("Equal", ["f", "f5"], ["c"], {}),
        ("Cast", ["c"], ["g"], TO_INT),
        ("Add", ["g", "five"], ["m"], {}),
    ],
    "Clip": [*SCALED, ("Clip", ["h", "k", "f5"], ["g"], {}), ("Cast", ["g"], ["m"], TO_INT)],
    "Relu": [
        ("Sub", ["n", "five"], ["d"], {}),
        ("Cast", ["d"], ["f"], TO_FLOAT),
        ("Relu", ["f"], ["g"], {}),
        ("Cast", ["g"], ["m"], TO_INT),
    ],
    "the greatest of floats": [
        ("Cast", ["s"], ["f"], TO_FLOAT),
        ("Mul", ["f", "k"], ["h"], {}),
        ("ReduceMax", ["h"], ["g"], {"keepdims": 0}),
        ("Cast", ["g"], ["m"], TO_INT),
    ],
    "the mean of two": [
        ("Cast", ["s"], ["f"], TO_FLOAT),
        ("ReduceMean", ["f"], ["g"], {"keepdims": 0}),
        ("Cast", ["g"], ["m"], TO_INT),
    ],
    "a product of floats": [
        ("Cast", ["s"], ["f"], TO_FLOAT),
        ("ReduceProd", ["f"], ["g"], {"keepdims": 0}),
        ("Cast", ["g"], ["m"], TO_INT),
    ],
    "a power": [("Pow", ["n", "two"], ["m"], {})],
    "what a division leaves": [
        ("Neg", ["n"], ["d"], {}),
        ("Mod", ["d", "five"], ["g"], {"fmod": 1}),
        ("Add", ["g", "five"], ["m"], {}),
    ],
}


@pytest.mark.parametrize("case", COMPUTED)
def test_extents_are_followed_through(case):
    nodes = [
        ("Shape", ["x"], ["s"], {}),
        ("Gather", ["s", "one"], ["n"], {}),
        *COMPUTED[case],
        ("Unsqueeze", ["m", "front"], ["dims"], {}),
        ("Expand", ["f5", "dims"], ["y"], {}),
    ]
    weights = {"one": np.int64(1), "two": np.int64(2), "five": np.int64(5), "front": np.int64([0])}
    weights |= {"k": np.float32(0.7), "f5": np.float32(5)}
    model = model_of(nodes, [given("x", ("a", "b"))], weights=weights, opset=18)
    context = context_of(model, x=((1, 1), (20, 20)))
    for dims in ((1, 1), (2, 3), (3, 5), (9, 6), (4, 7), (11, 10), (20, 20)):
        x = np.zeros(dims, np.float32)
        assert context.run({"x": x})["y"].shape == by_onnxruntime(model, {"x": x})["y"].shape


def test_ranges_whose_limits_float32_rounds():
    context = context_of(a_range(("Mul", ["f", "k"], ["limit"], {}), k=0.7, delta=0.5), x=((1, 1), (4, 100)))
    for n in (1, 10, 20, 30, 100):
        limit = np.float32(n) * np.float32(0.7)
        np.testing.assert_array_equal(context.run({"x": normal(2, n)})["y"], np.arange(0, limit, 0.5, np.float32))


# ---- If


def branches(then, other, condition="c"):
    graphs = {}
    for key, (*nodes, out) in (("then_branch", then), ("else_branch", other)):
        made = [helper.make_node(op, inputs, outputs) for op, inputs, outputs in nodes]
        graphs[key] = helper.make_graph(made, key, [], [helper.make_tensor_value_info(out, FLOAT, None)])
    return ("If", [condition], ["y"], graphs)


NEG, RELU = (("Neg", ["x"], ["t"]), "t"), (("Relu", ["x"], ["e"]), "e")


@pytest.mark.parametrize("dims", [(), (1,)])
def test_branches_of_one_shape_are_computed_and_selected(dims):
    model = model_of([branches(NEG, RELU)], [given("x", ("n", 3)), given("c", dims, BOOL)])
    context = context_of(model, x=((1, 3), (4, 3)))
    x = normal(2, 3)
    for taken, expected in ((True, -x), (False, np.maximum(x, 0))):
        np.testing.assert_array_equal(context.run({"x": x, "c": np.full(dims, taken)})["y"], expected)


def if_one_column(profile):
    """What exporters write for x.squeeze(1): the axis is dropped if its extent is 1."""
    squeezed = (("Squeeze", ["x", "one"], ["t"]), "t")
    nodes = [
        ("Shape", ["x"], ["s"], {}),
        ("Gather", ["s", "one"], ["n"], {}),
        ("Equal", ["n", "one"], ["c"], {}),
        branches(squeezed, RELU),
    ]
    return context_of(model_of(nodes, [given("x", ("a", "b"))], weights={"one": np.int64([1])}), x=profile)


def test_a_condition_on_extents_is_what_it_is_for_extents_of_2_and_more():
    x = normal(2, 3)
    np.testing.assert_array_equal(if_one_column(((1, 2), (4, 4))).run({"x": x})["y"], np.maximum(x, 0))
    context = if_one_column(((1, 1), (4, 4)))
    np.testing.assert_array_equal(context.run({"x": x})["y"], np.maximum(x, 0))
    with pytest.raises(trt.errors.DovetailError, match="imported with its else_branch"):
        context.run({"x": normal(2, 1)})


def test_branches_that_differ_are_named():
    model = model_of([branches(NEG, (("ReduceMax", ["x"], ["e"]), "e"))], [given("x", (2, 3)), given("c", (), BOOL)])
    _, network, (error,) = parsed(model)
    assert "not imported yet" in error and "[2, 3]" in error and "[1, 1]" in error
    assert network.num_layers == 0


# ---- Resize


@pytest.mark.parametrize("scale", [0.3, 0.6, 0.7, 0.9, 1.3, 1.4, 2.3, 1 / 3])
@pytest.mark.parametrize("mode", ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"])
@pytest.mark.parametrize("rounding", ["round_prefer_floor", "floor", "ceil"])
def test_scaled_extents_and_places_are_those_of_onnxruntime(scale, mode, rounding):
    attrs = {"mode": "nearest", "coordinate_transformation_mode": mode, "nearest_mode": rounding}
    for extent in (10, 21, 49):
        x = np.arange(extent, dtype=np.float32).reshape(1, 1, 1, extent)
        inputs = {"x": x, "roi": None, "s": np.float32([1, 1, 1, scale])}
        model = one_node("Resize", inputs, known="*", domain="", main=19, **attrs)
        np.testing.assert_array_equal(computed(model, inputs)["y"], by_onnxruntime(model, inputs)["y"])


@pytest.mark.parametrize("scale", [0.7, 1.3, 2.0, 3.14159])
def test_scaled_extents_that_are_not_known(scale):
    inputs = {"x": normal(1, 1, 1, 10), "roi": None, "s": np.float32([1, 1, 1, scale])}
    model = one_node("Resize", inputs, known="*", domain="", main=19, dims={"x": (1, 1, 1, "n")}, mode="nearest")
    context = context_of(model, x=((1, 1, 1, 2), (1, 1, 1, 100)))
    for n in (3, 10, 20, 30, 49, 100):
        wanted = int(np.float32(n) * np.float32(scale))
        assert context.run({"x": normal(1, 1, 1, n)})["y"].shape == (1, 1, 1, wanted)


def size_by_extent(*resize, opset=17):
    """A model that resizes x to the last two extents of z, by scales that are quotients."""
    nodes = [
        ("Shape", ["x"], ["sx"], {}),
        ("Gather", ["sx", "last"], ["lx"], {}),
        ("Cast", ["lx"], ["fx"], {"to": FLOAT}),
        ("Shape", ["z"], ["sz"], {}),
        ("Gather", ["sz", "last"], ["lz"], {}),
        ("Cast", ["lz"], ["fz"], {"to": FLOAT}),
        ("Div", ["fz", "fx"], ["q"], {}),
        ("Concat", ["ones", "q"], ["scales"], {"axis": 0}),
        resize,
    ]
    weights = {"last": np.int64([2, 3]), "ones": np.float32([1, 1])}
    return model_of(nodes, [given(name, (1, 2, "a" + name, "b" + name)) for name in "xz"], weights=weights, opset=opset)


SIZES = [(3, 4, 6, 8), (5, 5, 7, 7), (49, 41, 2, 3), (41, 49, 1, 2), (47, 47, 47, 47), (13, 7, 20, 51), (1, 1, 5, 5)]
ANY_SIZE = dict.fromkeys("xz", ((1, 2, 1, 1), (1, 2, 55, 55)))


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("places", ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"])
def test_scales_that_are_quotients_of_extents(mode, places):
    attrs = {"mode": mode, "coordinate_transformation_mode": places}
    model = size_by_extent("Resize", ["x", "", "scales"], ["y"], attrs)
    context = context_of(model, **ANY_SIZE)
    for h, w, *wanted in SIZES:
        feeds = {"x": normal(1, 2, h, w), "z": normal(1, 2, *wanted)}
        expected = by_onnxruntime(model, feeds)["y"]
        np.testing.assert_allclose(context.run(feeds)["y"], expected, rtol=1e-4, atol=1e-4)


def test_crops_by_quotients_have_the_extents_that_float32_gives():
    attrs = {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 9.0}
    model = size_by_extent("Resize", ["x", "roi", "scales"], ["y"], attrs)
    roi = np.float32([0, 0, 0.1, 0.2, 1, 1, 0.9, 1.3])
    model.graph.initializer.append(helper.make_tensor("roi", FLOAT, (8,), roi))
    context = context_of(model, **ANY_SIZE)
    for h, w, *wanted in SIZES:
        if [h, w] == wanted:  # which ONNX Runtime copies, whatever the region
            continue
        feeds = {"x": normal(1, 2, h, w), "z": normal(1, 2, *wanted)}
        np.testing.assert_allclose(context.run(feeds)["y"], by_onnxruntime(model, feeds)["y"], rtol=1e-4, atol=1e-4)


def test_scales_whose_places_follow_from_sizes_and_extents():
    attrs = {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"}
    model = size_by_extent("Resize", ["x", "", "scales"], ["y"], attrs, opset=19)
    context = context_of(model, **ANY_SIZE)
    for h, w, *wanted in SIZES:
        feeds = {"x": normal(1, 2, h, w), "z": normal(1, 2, *wanted)}
        expected = by_onnxruntime(model, feeds)["y"]
        if expected.shape == (1, 2, *wanted):
            np.testing.assert_allclose(context.run(feeds)["y"], expected, rtol=1e-4, atol=1e-4)
            continue
        with pytest.raises(ShapeError, match="is less than the size that the scale was made of"):
            context.run(feeds)


def test_scales_that_are_rounded_to_less_than_their_sizes():
    """1 / 41 * 41 is below 1 in float32, so nothing is left, as in ONNX Runtime."""
    model = size_by_extent("Resize", ["x", "", "scales"], ["y"], {"mode": "linear"})
    results = context_of(model, **ANY_SIZE).run({"x": normal(1, 2, 41, 9), "z": normal(1, 2, 1, 1)})
    assert results["y"].shape == (1, 2, 0, 1)


def test_scales_that_follow_from_data_are_named():
    nodes = [
        ("Exp", ["z"], ["m"], {}),
        ("Concat", ["ones", "m"], ["scales"], {"axis": 0}),
        ("Resize", ["x", "", "scales"], ["y"], {}),
    ]
    inputs = [given("x", (1, 2, "h", "w")), given("z", (2,))]
    (error,) = parsed(model_of(nodes, inputs, weights={"ones": np.float32([1, 1])}))[2]
    assert "must be known when the network is built, or be quotients of sizes and extents" in error
    nodes = [
        ("Shape", ["x"], ["s"], {}),
        ("Cast", ["s"], ["f"], {"to": FLOAT}),
        ("Mul", ["f", "k"], ["scales"], {}),
        ("Resize", ["x", "", "scales"], ["y"], {}),
    ]
    (error,) = parsed(model_of(nodes, inputs[:1], weights={"k": np.float32([1, 0.5, 0.3, 0.3])}))[2]
    assert "its scale of axis 2 is not known" in error and "trunc(float(h)*0.3)" in error and "input sizes" in error


@pytest.mark.parametrize("scales", [(1, 1, 0.6, 0.3), (1, 1, 1.5, 2.5), (1, 1, 0.9, 1.7), (1, 1, 1, 1)])
def test_resize_of_opset_10_rounds_up_where_it_shortens(scales):
    inputs = {"x": np.arange(210, dtype=np.float32).reshape(1, 1, 21, 10), "scales": np.float32(scales)}
    model = one_node("Resize", inputs, known="*", domain="", main=10, mode="nearest")
    np.testing.assert_array_equal(computed(model, inputs)["y"], by_onnxruntime(model, inputs)["y"])


def test_resize_of_opset_10_by_quotients():
    context = context_of(size_by_extent("Resize", ["x", "scales"], ["y"], {}, opset=10), **ANY_SIZE)
    feeds = {"x": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4), "z": normal(1, 2, 7, 9)}
    expected = feeds["x"][:, :, np.arange(7) * 3 // 7][:, :, :, np.arange(9) * 4 // 9]
    np.testing.assert_array_equal(context.run(feeds)["y"], expected)
    with pytest.raises(ShapeError, match="rounds places up where axes become shorter"):
        context.run(feeds | {"z": normal(1, 2, 7, 3)})


@pytest.mark.parametrize("places", ["half_pixel", "asymmetric", "align_corners"])
def test_integers_are_blended_as_floats_and_cut(places):
    inputs = {"x": np.int32(RNG.integers(-1000, 1000, (1, 1, 5, 6))), "roi": None, "s": np.float32([1, 1, 1.7, 2.3])}
    attrs = {"mode": "linear", "coordinate_transformation_mode": places}
    model = one_node("Resize", inputs, known="*", domain="", main=19, **attrs)
    y, expected = computed(model, inputs)["y"], by_onnxruntime(model, inputs)["y"]
    assert y.dtype == expected.dtype and np.abs(y - expected).max() <= 1  # where float32 sums meet a whole number
    assert (y == expected).mean() > 0.9


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
def test_one_axis_keeps_its_own_ratio(policy):
    attrs = {"mode": "linear", "axes": [2], "keep_aspect_ratio_policy": policy}
    nodes = [("Resize", ["x", "", "", "sizes"], ["y"], attrs)]
    weights = {"sizes": np.int64([7])}
    model = model_of(nodes, [given("x", (1, 2, "h", "w"))], weights=weights, opset=19)
    context = context_of(model, x=ANY_SIZE["x"])
    for h in (1, 3, 7, 49):
        feeds = {"x": normal(1, 2, h, 5)}
        expected = by_onnxruntime(model, feeds)["y"]
        np.testing.assert_allclose(context.run(feeds)["y"], expected, rtol=1e-4, atol=1e-4)
    attrs["axes"], weights["sizes"] = [2, 3], np.int64([7, 7])
    (error,) = parsed(model_of(nodes, [given("x", (1, 2, "h", "w"))], weights=weights, opset=19))[2]
    assert f"policy '{policy}' needs to know the extents" in error and "'stretch'" in error


# ---- pooling


POWERS = {
    "padded": {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 0, 1]},
    "rounded up": {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1},
    "windows behind the plane": {"kernel_shape": [2, 2], "strides": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1},
    "dilated": {"kernel_shape": [2, 2], "dilations": [2, 1], "strides": [1, 2], "ceil_mode": 1},
    "dilated, with windows behind": {"kernel_shape": [2, 2], "dilations": [2, 2], "strides": [4, 5], "ceil_mode": 1},
    "same": {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
}


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("case", POWERS)
def test_norms_of_windows_over_unknown_extents(case, p):
    model = model_of([("LpPool", ["x"], ["y"], {"p": p, **POWERS[case]})], [given("x", ("n", "c", "h", "w"))], opset=18)
    context = context_of(model, x=((1, 1, 3, 3), (2, 3, 20, 20)))
    for h, w in ((3, 3), (4, 5), (5, 8), (6, 9), (7, 4), (20, 13)):
        feeds = {"x": normal(2, 3, h, w)}
        expected = by_onnxruntime(model, feeds)["y"]
        np.testing.assert_allclose(context.run(feeds)["y"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", [case for case in POWERS if "dilated" in case] + ["dilated and same"])
def test_maxima_of_dilated_windows_over_unknown_extents(case):
    same = {"kernel_shape": [3, 2], "dilations": [2, 2], "strides": [2, 1], "auto_pad": "SAME_LOWER"}
    attrs = POWERS.get(case, same)
    model = model_of([("MaxPool", ["x"], ["y"], attrs)], [given("x", ("n", "c", "h", "w"))], opset=18)
    context = context_of(model, x=((1, 1, 3, 3), (2, 3, 20, 20)))
    for h, w in ((3, 3), (4, 5), (5, 8), (6, 9), (7, 4), (20, 13)):
        feeds = {"x": normal(2, 3, h, w)}
        y = context.run(feeds)["y"]
        known = one_node("MaxPool", feeds, domain="", main=18, **attrs)  # by other layers: places are gathered
        np.testing.assert_array_equal(y, computed(known, feeds)["y"])
        if attrs is not same:  # ONNX Runtime pads as if windows were dense
            np.testing.assert_array_equal(y, by_onnxruntime(model, feeds)["y"])


@pytest.mark.parametrize("kernel", [(3,), (2, 3, 2)])
def test_norms_of_windows_in_one_and_three_dims(kernel):
    attrs = {"kernel_shape": kernel, "dilations": [2] * len(kernel), "strides": [2] * len(kernel), "ceil_mode": 1}
    dims = ("h", "w", "d")[: len(kernel)]
    model = model_of([("LpPool", ["x"], ["y"], attrs)], [given("x", (1, "c", *dims))], opset=18)
    context = context_of(model, x=((1, 1, *[5] * len(dims)), (1, 3, *[12] * len(dims))))
    for extent in (5, 6, 9):
        feeds = {"x": normal(1, 3, *[extent] * len(dims))}
        expected = by_onnxruntime(model, feeds)["y"]
        np.testing.assert_allclose(context.run(feeds)["y"], expected, rtol=1e-4, atol=1e-5)


# ---- channels


CHANNELS = {
    "Conv": (("Conv", {"pads": [1, 1]}), (5, 3, 3), (2, 3, 6)),
    "Conv of groups": (("Conv", {"group": 2}), (4, 3, 2, 2), (2, 6, 5, 4)),
    "ConvTranspose": (("ConvTranspose", {"group": 2}), (6, 3, 2, 2), (2, 6, 5, 4)),
}


@pytest.mark.parametrize("case", CHANNELS)
def test_kernels_tell_unknown_channels(case):
    (op, attrs), kernel, dims = CHANNELS[case]
    names = [f"d{axis}" for axis in range(len(dims))]
    model = model_of([(op, ["x", "w"], ["y"], attrs)], [given("x", names)], weights={"w": normal(*kernel)})
    context = context_of(model, x=((1, 1, *kernel[2:]), (9, dims[1], 9, 9)[: len(dims)]))
    x = normal(*dims)
    np.testing.assert_allclose(context.run({"x": x})["y"], by_onnxruntime(model, {"x": x})["y"], rtol=1e-4, atol=1e-5)
    with pytest.raises(ShapeError, match=rf"{op} '.*' takes {dims[1]} channels, as its kernel"):
        context.run({"x": normal(dims[0], dims[1] - 1, *dims[2:])})


def test_the_last_extent_of_a_grid_may_be_unknown():
    nodes = [("GridSample", ["x", "grid"], ["y"], {})]
    model = model_of(nodes, [given("x", (1, 2, "h", "w")), given("grid", (1, "rows", "columns", "axes"))])
    context = context_of(model, x=((1, 2, 1, 1), (1, 2, 9, 9)), grid=((1, 1, 1, 2), (1, 9, 9, 2)))
    feeds = {"x": normal(1, 2, 5, 6), "grid": normal(1, 3, 4, 2)}
    np.testing.assert_allclose(context.run(feeds)["y"], by_onnxruntime(model, feeds)["y"], rtol=1e-4, atol=1e-5)


# ---- ConvTranspose


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize(
    "attrs",
    [
        {"auto_pad": "SAME_UPPER", "output_padding": [1, 0], "strides": [2, 3]},
        {"auto_pad": "SAME_LOWER", "output_padding": [1, 2], "strides": [2, 3]},
        {"auto_pad": "VALID", "output_padding": [1, 1], "strides": [2, 2]},
        {"auto_pad": "SAME_UPPER", "output_padding": [0, 1], "strides": [2, 2], "kernel": (1, 1)},
        {"output_shape": [9, 11], "strides": [2, 3]},
        {"output_shape": [7, 12], "strides": [2, 3], "auto_pad": "SAME_UPPER"},
        {"output_shape": [8, 14], "strides": [2, 3], "auto_pad": "SAME_LOWER"},
        {"output_shape": [8, 10], "strides": [2, 2], "output_padding": [1, 1]},
    ],
)
def test_transposed_convolutions_pad_as_onnxruntime(attrs, is_known):
    attrs = dict(attrs)
    inputs = {"x": normal(2, 3, 4, 5), "w": normal(3, 2, *attrs.pop("kernel", (3, 3))), "b": normal(2)}
    dims = None if is_known else {"x": (2, 3, "h", "w")}
    model = one_node("ConvTranspose", inputs, known="*", domain="", main=11, dims=dims, **attrs)
    shapes = None if is_known else {"x": ((2, 3, 4, 5), (2, 3, 6, 6))}
    wanted = by_onnxruntime(model, inputs)["y"]
    np.testing.assert_allclose(computed(model, inputs, shapes)["y"], wanted, rtol=1e-4, atol=1e-4)


# ---- Normalisation, reductions


@pytest.mark.parametrize("known", [(), "*"])
@pytest.mark.parametrize("kinds", [("HALF", "FLOAT"), ("FLOAT", "HALF"), ("HALF", "HALF")])
def test_normalisations_of_mixed_types(kinds, known):
    of = {"HALF": np.float16, "FLOAT": np.float32}
    x, parameter = (of[kind] for kind in kinds)
    data = normal(2, 3, 4, 5).astype(x)
    row, channel = [normal(5).astype(parameter) for _ in range(2)], [normal(3).astype(parameter) for _ in range(2)]
    variance = np.abs(channel[1]) + parameter(0.5)
    wide = data.astype(np.float64)

    def over(*axes):
        return (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + 1e-5)

    tall = [values.astype(np.float64).reshape(1, 3, 1, 1) for values in (*channel, variance)]
    rms = wide / np.sqrt((wide * wide).mean(-1, keepdims=True) + 1e-5)
    cases = {
        "LayerNormalization": (17, x, row, over(3) * row[0] + row[1]),
        "InstanceNormalization": (17, x, channel, over(2, 3) * tall[0] + tall[1]),
        "RMSNormalization": (23, parameter, row[:1], rms * row[0]),
        "BatchNormalization": (
            15,
            x,
            [*channel, channel[0], variance],
            (wide - tall[0]) / np.sqrt(tall[2] + 1e-5) * tall[0] + tall[1],
        ),
    }
    for op, (opset, kind, parameters, expected) in cases.items():
        inputs = {"x": data, **{f"p{index}": values for index, values in enumerate(parameters)}}
        result = computed(one_node(op, inputs, known=known, domain="", main=opset), inputs)["y"]
        assert result.dtype == kind
        np.testing.assert_allclose(result, expected, rtol=5e-3, atol=5e-3, err_msg=op)


ROWS = np.float32(
    [
        [1, 2, 3],
        [np.inf, 1, 2],
        [-np.inf, 1, 2],
        [-np.inf] * 3,
        [np.inf, -np.inf, 0],
        [np.nan, 1, 2],
        [1, np.nan, np.inf],
        [1e30, 1e30, 1],
        [1e38, 3e38, 1e38],
        [0, 0, 0],
    ]
)
BY_NUMPY = {
    "ReduceLogSumExp": lambda x: np.logaddexp.reduce(x.astype(np.float64), 1, keepdims=True),
    "ReduceLogSum": lambda x: np.log(x.sum(1, keepdims=True)),
    "ReduceL1": lambda x: np.abs(x).sum(1, keepdims=True),
    "ReduceL2": lambda x: np.sqrt((x * x).sum(1, keepdims=True)),
    "ReduceSumSquare": lambda x: (x * x).sum(1, keepdims=True),
    "ReduceMax": lambda x: x.max(1, keepdims=True),
    "ReduceMin": lambda x: x.min(1, keepdims=True),
    "ReduceMean": lambda x: x.mean(1, keepdims=True),
    "ReduceProd": lambda x: x.prod(1, keepdims=True),
    "ArgMax": lambda x: x.argmax(1)[:, None],
    "ArgMin": lambda x: x.argmin(1)[:, None],
    "Hardmax": lambda x: np.eye(3)[x.argmax(1)],
    "Softmax": lambda x: (
        np.exp(x - x.max(1, keepdims=True)) / np.exp(x - x.max(1, keepdims=True)).sum(1, keepdims=True)
    ),
    "LogSoftmax": lambda x: x - x.max(1, keepdims=True) - np.log(np.exp(x - x.max(1, keepdims=True)).sum(1)[:, None]),
}


@pytest.mark.parametrize("op", BY_NUMPY)
def test_infinities_and_nan_as_numpy_has_them(op):
    inputs = {"x": ROWS, "axes": np.int64([1])} if op.startswith("Reduce") else {"x": ROWS}
    attrs = {} if op.startswith("Reduce") else {"axis": 1}
    result = computed(one_node(op, inputs, known=("axes",), domain="", main=18, **attrs), inputs)["y"]
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(result, BY_NUMPY[op](ROWS), rtol=1e-5)


def test_a_norm_of_0_gives_0():
    inputs = {"x": np.float32([[0, 0], [1e-30, 1e-30], [3, 4]])}
    result = computed(one_node("LpNormalization", inputs, domain="", main=18, axis=1), inputs)["y"]
    np.testing.assert_allclose(result, [[0, 0], [0, 0], [0.6, 0.8]], rtol=1e-6)


# ---- counts that data decide


MASK = [("Greater", ["x", "zero"], ["mask"], {}), ("Cast", ["mask"], ["ones"], {"to": INT64})]
COUNT = [*MASK, ("ReduceSum", ["ones"], ["n"], {"keepdims": 0}), ("Reshape", ["n", "one"], ["count"], {})]
FOUND = [("NonZero", ["mask"], ["found"], {}), ("Transpose", ["found"], ["places"], {"perm": [1, 0]})]


def counting(nodes, dims=(4, 5), kind="x", **weights):
    known = {
        "zero": np.float32(0),
        "one": np.int64([1]),
        "five": np.int64([5]),
        "origin": np.int64(0),
        "step": np.int64(1),
    }
    return model_of([*COUNT, *nodes], [given(kind, dims)], weights=known | weights, opset=18)


@pytest.mark.parametrize("dims", [(4, 5), ("a", 5)])
@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (
            [*FOUND, ("Expand", ["zero", "count"], ["u"], {}), ("ScatterND", ["x", "places", "u"], ["y"], {})],
            np.minimum,
        ),
        ([("ConstantOfShape", ["count"], ["y"], {})], lambda x, _: np.zeros((x > 0).sum())),
        ([("Range", ["origin", "n", "step"], ["y"], {})], lambda x, _: np.arange((x > 0).sum())),
        (
            [("Concat", ["count", "five"], ["s"], {"axis": 0}), ("Expand", ["zero", "s"], ["y"], {})],
            lambda x, _: np.zeros(((x > 0).sum(), 5)),
        ),
        (
            [("Add", ["count", "five"], ["more"], {}), ("ConstantOfShape", ["more"], ["y"], {})],
            lambda x, _: np.zeros((x > 0).sum() + 5),
        ),
        (
            [
                ("ReduceSum", ["ones", "one"], ["rows"], {"keepdims": 0}),
                ("ReduceMax", ["rows"], ["longest"], {"keepdims": 0}),
                ("Range", ["origin", "longest", "step"], ["y"], {}),
            ],
            lambda x, _: np.arange((x > 0).sum(1).max()),
        ),
        (
            [*FOUND, ("GatherND", ["x", "places"], ["g"], {}), ("Reshape", ["g", "count"], ["y"], {})],
            lambda x, _: x[x > 0],
        ),
    ],
)
def test_counts_of_a_mask_become_extents(nodes, expected, dims):
    model = counting(nodes, dims)
    context = context_of(model) if dims == (4, 5) else context_of(model, x=((1, 5), (4, 5)))
    for _ in range(3):
        x = normal(4, 5)
        np.testing.assert_array_equal(context.run({"x": x})["y"], expected(x, 0))
    for x in (np.full((4, 5), 1, np.float32), np.full((4, 5), -1, np.float32)):
        if "longest" not in str(nodes) or x[0, 0] > 0:
            np.testing.assert_array_equal(context.run({"x": x})["y"], expected(x, 0))


def test_counts_without_a_limit_are_not_extents():
    nodes = [("Cast", ["x"], ["n"], {"to": INT64}), ("ConstantOfShape", ["n"], ["y"], {})]
    (error,) = parsed(model_of(nodes, [given("x", (1,))]))[2]
    assert "(ConstantOfShape 'y')" in error and "cannot tell the contents" in error


def test_terms_of_einsum_that_do_not_fit_are_named():
    inputs = {"a": normal(2, 3, 4), "b": normal(4)}
    (error,) = parsed(one_node("Einsum", inputs, domain="", equation="ij,j->i"))[2]
    assert "(Einsum 'here')" in error and "ij,j" in error and "(2, 3, 4)" in error

"""Extents that models compute in FLOAT, DOUBLE and INT32: those that ONNX Runtime gives, or an error says why not."""

import numpy as np
import pytest
from one_node import by_onnxruntime
from onnx import TensorProto, helper
from onnx_models import model_of, parsed

import dovetail as trt
from dovetail.core.errors import ShapeError

FLOAT, DOUBLE, HALF = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16
INT32, INT64 = TensorProto.INT32, TensorProto.INT64
MOST = 4000


def cast(of, name, to):
    return ("Cast", [of], [name], {"to": to})


def context_of(model, most=MOST, opt=1):
    """A context for the model, whose input x has one axis, a batch."""
    builder, network, errors = parsed(model)
    assert not errors, errors
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    config.builder_optimization_level = 0
    profile.set_shape("x", (1,), (opt,), (most,))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    return trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()


def of_extents(nodes, **weights):
    """A model of y, whose extents are what the nodes make, as `m`, of the extent `n` of x; both are vectors of one."""
    nodes = [("Shape", ["x"], ["n"], {}), *nodes, ("Expand", ["one", "m"], ["y"], {})]
    x = helper.make_tensor_value_info("x", TensorProto.INT8, ("extent",))
    return model_of(nodes, [x], weights={**weights, "one": np.int8([1])})


def given_by_onnxruntime(nodes, extents, **weights):
    """What the nodes make of each extent: the same model, whose input is all of them."""
    n = helper.make_tensor_value_info("n", INT64, ("all",))
    return by_onnxruntime(model_of(nodes, [n], outputs=("m",), weights=weights), {"n": np.int64(extents)})["m"]


def check(nodes, **weights):
    extents = np.arange(1, MOST + 1)
    wanted = np.broadcast_to(given_by_onnxruntime(nodes, extents, **weights), extents.shape)
    context = context_of(of_extents(nodes, **weights))
    found = []
    for n in extents.tolist():
        context.set_input_shape("x", (n,))
        found.append(context.get_tensor_shape("y")[0])
    np.testing.assert_array_equal(found, wanted)


SCALES = (0.29, 0.7, 1.1, 1 / 3, 2.5, 0.1 + 0.2, 28.999999999999996)


@pytest.mark.parametrize("k", SCALES)
@pytest.mark.parametrize("rounding", ["", "Floor", "Ceil", "Round"])
@pytest.mark.parametrize("kind", [FLOAT, DOUBLE])
def test_scaled_extents(kind, rounding, k):
    to_whole = [(rounding, ["p"], ["r"], {})] if rounding else []
    nodes = [
        cast("n", "f", kind),
        ("Mul", ["f", "k"], ["p"], {}),
        *to_whole,
        cast("r" if rounding else "p", "m", INT64),
    ]
    check(nodes, k=helper.tensor_dtype_to_np_dtype(kind).type([k]))


def test_a_product_is_rounded_to_the_type_of_the_model():
    nodes = [cast("n", "f", DOUBLE), ("Mul", ["f", "k"], ["p"], {}), cast("p", "m", INT64)]
    context = context_of(of_extents(nodes, k=np.float64([0.29])))
    context.set_input_shape("x", (100,))
    assert context.get_tensor_shape("y") == (28,) and int(np.float32(100) * np.float32(0.29)) == 29


D = [cast("n", "d", DOUBLE)]
CHAINS = {
    "Div": [*D, ("Div", ["d", "k"], ["r"], {})],
    "Div of a number": [*D, ("Div", ["big", "d"], ["r"], {})],
    "Reciprocal": [*D, ("Reciprocal", ["d"], ["q"], {}), ("Mul", ["q", "big"], ["r"], {})],
    "Add and Mul": [*D, ("Add", ["d", "k"], ["q"], {}), ("Mul", ["q", "k"], ["r"], {})],
    "Sub, Abs and Neg": [
        *D,
        ("Sub", ["big", "d"], ["q"], {}),
        ("Abs", ["q"], ["s"], {}),
        ("Neg", ["s"], ["t"], {}),
        ("Neg", ["t"], ["r"], {}),
    ],
    "Min and Max": [
        *D,
        ("Max", ["d", "k"], ["q"], {}),
        ("Min", ["q", "big"], ["s"], {}),
        ("Mul", ["s", "k"], ["r"], {}),
    ],
    "Clip": [*D, ("Clip", ["d", "k0", "just below"], ["r"], {})],
    "Where": [
        *D,
        ("Mul", ["d", "k"], ["q"], {}),
        ("Less", ["q", "just below"], ["c"], {}),
        ("Where", ["c", "q", "d"], ["r"], {}),
    ],
    "Squeeze": [
        *D,
        ("Unsqueeze", ["d", "last"], ["q"], {}),
        ("Mul", ["q", "k"], ["s"], {}),
        ("Squeeze", ["s", "last"], ["r"], {}),
    ],
    "a scalar": [*D, ("Mul", ["d", "k0"], ["r"], {})],
    "a product of constants": [*D, ("Mul", ["k", "hundred"], ["q"], {}), ("Mul", ["q", "d"], ["r"], {})],
    "a sum of constants": [*D, ("Add", ["tenth", "fifth"], ["q"], {}), ("Mul", ["q", "d"], ["r"], {})],
    "a whole constant": [*D, cast("seven", "q", DOUBLE), ("Div", ["d", "q"], ["r"], {})],
    "a constant of float32": [*D, cast("f29", "q", DOUBLE), ("Mul", ["d", "q"], ["r"], {})],
    "a node's constant": [
        *D,
        ("Constant", [], ["q"], {"value": helper.make_tensor("", DOUBLE, (1,), [0.29])}),
        ("Mul", ["d", "q"], ["r"], {}),
    ],
    "float32, then float64": [
        cast("n", "f", FLOAT),
        ("Mul", ["f", "f29"], ["q"], {}),
        cast("q", "d", DOUBLE),
        ("Mul", ["d", "k"], ["r"], {}),
    ],
    "float64, then float32": [
        *D,
        ("Mul", ["d", "k"], ["q"], {}),
        cast("q", "f", FLOAT),
        ("Mul", ["f", "f29"], ["r"], {}),
    ],
    "float64, rounded to float32": [*D, ("Mul", ["d", "k"], ["q"], {}), cast("q", "r", FLOAT)],
    "a constant in float32": [cast("n", "f", FLOAT), cast("k", "q", FLOAT), ("Mul", ["f", "q"], ["r"], {})],
    "there and back": [
        *D,
        ("Mul", ["d", "k"], ["q"], {}),
        cast("q", "f", FLOAT),
        cast("f", "e", DOUBLE),
        ("Div", ["e", "k"], ["r"], {}),
    ],
    "CastLike": [("CastLike", ["n", "k"], ["d"], {}), ("Mul", ["d", "k"], ["r"], {})],
    "whole thirds": [*D, cast("three", "q", DOUBLE), ("Div", ["d", "q"], ["s"], {}), ("Mul", ["s", "q"], ["r"], {})],
}


@pytest.mark.parametrize("case", CHAINS)
def test_extents_in_float64(case):
    weights = {"k": [0.29], "k0": 0.29, "big": [5000.1], "just below": 28.999999999999996, "hundred": [100.0]}
    weights |= {"tenth": [0.1], "fifth": [0.2]}
    weights = {name: np.float64(value) for name, value in weights.items()}
    weights |= {"f29": np.float32([0.29]), "seven": np.int64([7]), "three": np.int64([3]), "last": np.int64([1])}
    check([*CHAINS[case], cast("r", "m", INT64)], **weights)


@pytest.mark.parametrize("how", ["ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean"])
def test_reductions_in_float64(how):
    nodes = [
        ("Shape", ["x"], ["s"], {}),
        cast("s", "d", DOUBLE),
        ("Mul", ["d", "k"], ["p"], {}),
        (how, ["p"], ["r"], {"keepdims": 1}),
        cast("r", "m", INT64),
        ("Expand", ["one", "m"], ["y"], {}),
    ]
    is_exact = how in ("ReduceMax", "ReduceMin")
    weights = {"k": np.float64([0.29 if is_exact else 1.5]), "one": np.int8([1])}
    model = model_of(nodes, [helper.make_tensor_value_info("x", FLOAT, ("a", "b"))], weights=weights)
    builder, network, errors = parsed(model)
    assert not errors
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    profile.set_shape("x", (1, 1), (9, 100), (400, 400))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    for dims in ((1, 3), (9, 100), (100, 9), (200, 300), (77, 200)):
        context.set_input_shape("x", dims)
        x = np.zeros(dims, np.float32)
        assert context.get_tensor_shape("y") == by_onnxruntime(model, {"x": x})["y"].shape


@pytest.mark.parametrize("kind", [FLOAT, DOUBLE])
@pytest.mark.parametrize("delta", [1.0, 0.3, 0.7, 0.25, -1.1])
def test_ranges_count_in_float64(kind, delta):
    real = helper.tensor_dtype_to_np_dtype(kind).type
    nodes = [
        ("Shape", ["x"], ["n"], {}),
        ("Squeeze", ["n"], ["i"], {}),
        cast("i", "f", kind),
        ("Mul", ["f", "k"], ["limit"], {}),
        ("Range", ["start", "limit", "delta"], ["y"], {}),
    ]
    weights = {"k": real(0.7 if delta > 0 else -0.7), "start": real(0.1), "delta": real(delta)}
    model = model_of(nodes, [helper.make_tensor_value_info("x", TensorProto.INT8, ("extent",))], weights=weights)
    context = context_of(model, 400)
    for n in (*range(1, 60), 100, 333, 400):
        context.set_input_shape("x", (n,))
        wanted = by_onnxruntime(model, {"x": np.zeros(n, np.int8)})["y"]
        assert context.get_tensor_shape("y") == wanted.shape


@pytest.mark.parametrize("kind", [FLOAT, DOUBLE])
@pytest.mark.parametrize(("limit", "delta"), [(0.3, 0.1), (1.0, 0.1), (7.0, 0.7), (0.9, 0.3), (2.1, 0.7)])
def test_ranges_that_are_known_count_in_float64(kind, limit, delta):
    real = helper.tensor_dtype_to_np_dtype(kind).type
    weights = {"start": real(0.0), "limit": real(limit), "delta": real(delta)}
    nodes = [("Range", ["start", "limit", "delta"], ["r"], {}), ("Shape", ["r"], ["y"], {})]
    model = model_of(nodes, [], weights=weights)
    _, network, errors = parsed(model)
    assert not errors
    (length,) = network.get_output(0).symbolic.elements() or network.get_output(0).symbolic.constant.tolist()
    assert length == by_onnxruntime(model, {})["y"].tolist()[0]


def test_halves_are_refused():
    nodes = [cast("n", "f", HALF), ("Mul", ["f", "k"], ["p"], {}), cast("p", "m", INT64)]
    _, _, (error,) = parsed(of_extents(nodes, k=np.float16([0.7])))
    assert "(Expand 'y')" in error and "on FLOAT, not on HALF" in " ".join(error.split())


@pytest.mark.parametrize("kind", [FLOAT, DOUBLE])
def test_functions_that_are_not_followed_are_refused(kind):
    nodes = [cast("n", "f", kind), ("Sqrt", ["f"], ["p"], {}), cast("p", "m", INT64)]
    _, _, (error,) = parsed(of_extents(nodes))
    assert "(Expand 'y')" in error and "must follow from constants and extents" in error.lower()


@pytest.mark.parametrize("kind", [FLOAT, DOUBLE])
def test_known_extents_are_computed_in_the_type_of_the_model(kind):
    real = helper.tensor_dtype_to_np_dtype(kind).type
    nodes = [
        ("Shape", ["x"], ["n"], {}),
        cast("n", "f", kind),
        ("Mul", ["f", "f"], ["p"], {}),
        ("Sub", ["p", "one"], ["q"], {}),
        ("Sqrt", ["q"], ["r"], {}),
        ("Floor", ["r"], ["s"], {}),
        cast("s", "m", INT64),
        ("Expand", ["b", "m"], ["y"], {}),
    ]
    found = []
    for n in (10, 4096, 5000, 9999):
        x = helper.make_tensor_value_info("x", TensorProto.INT8, (n,))
        model = model_of(nodes, [x], weights={"one": real([1]), "b": np.int8([1])})
        _, network, errors = parsed(model)
        assert not errors
        found.append(network.get_output(0).shape[0])
        assert (found[-1],) == by_onnxruntime(model, {"x": np.zeros(n, np.int8)})["y"].shape
    assert found == ([9, 4095, 4999, 9998] if kind == DOUBLE else [9, 4095, 5000, 9999])


# ---- what the types do not hold


def refused_at(nodes, good, bad, match, **weights):
    """Extents up to `good` are computed, `bad` is refused."""
    context = context_of(of_extents(nodes, **weights), max(good, bad))
    context.set_input_shape("x", (good,))
    found = context.get_tensor_shape("y")[0]
    assert found == given_by_onnxruntime(nodes, [good], **weights)[0]
    with pytest.raises(ShapeError, match=match):
        context.set_input_shape("x", (bad,))
        context.get_tensor_shape("y")


def test_whole_numbers_beyond_the_digits_of_float32():
    nodes = [cast("n", "f", FLOAT), cast("f", "i", INT64), ("Div", ["i", "k"], ["m"], {})]
    refused_at(nodes, 2**24, 2**24 + 1, "float32, whose 24 binary digits", k=np.int64([1000]))
    nodes = [
        cast("n", "f", FLOAT),
        ("Mul", ["f", "two"], ["p"], {}),
        cast("p", "i", INT64),
        ("Div", ["i", "k"], ["m"], {}),
    ]
    refused_at(nodes, 2**24 + 2, 2**24 + 1, "float32, whose 24 binary digits", k=np.int64([1000]), two=np.float32([2]))
    nodes[0], nodes[2] = cast("n", "f", DOUBLE), cast("p", "i", INT64)
    context = context_of(of_extents(nodes, k=np.int64([1000]), two=np.float64([2])), 2**24 + 1)
    context.set_input_shape("x", (2**24 + 1,))
    assert context.get_tensor_shape("y") == (2 * (2**24 + 1) // 1000,)


def test_products_beyond_int32():
    nodes = [
        cast("n", "i", INT32),
        ("Mul", ["i", "i"], ["p"], {}),
        ("Div", ["p", "k"], ["q"], {}),
        cast("q", "m", INT64),
    ]
    refused_at(nodes, 46340, 46341, "in int32, which does not hold it", k=np.int32([100000]))


def test_numbers_beyond_int32_are_not_converted():
    nodes = [
        ("Mul", ["n", "n"], ["p"], {}),
        cast("p", "i", INT32),
        cast("i", "j", INT64),
        ("Div", ["j", "k"], ["m"], {}),
    ]
    refused_at(nodes, 46340, 46341, "in int32, which does not hold it", k=np.int64([100000]))
    nodes[:2] = [cast("n", "f", DOUBLE), ("Mul", ["f", "f"], ["p"], {}), cast("p", "i", INT32)]
    refused_at(nodes, 46340, 46341, "in int32, which does not hold it", k=np.int64([100000]))


WHOLE = {
    "Div of negatives": [
        ("Sub", ["n", "k"], ["a"], {}),
        ("Div", ["a", "seven"], ["b"], {}),
        ("Add", ["b", "k"], ["m"], {}),
    ],
    "Div by negatives": [("Div", ["n", "minus"], ["b"], {}), ("Add", ["b", "k"], ["m"], {})],
    "Mod of negatives": [("Sub", ["n", "k"], ["a"], {}), ("Mod", ["a", "seven"], ["m"], {})],
    "Mod by negatives": [("Mod", ["n", "minus"], ["b"], {}), ("Add", ["b", "k"], ["m"], {})],
    "fmod of negatives": [
        ("Sub", ["n", "k"], ["a"], {}),
        ("Mod", ["a", "seven"], ["b"], {"fmod": 1}),
        ("Add", ["b", "k"], ["m"], {}),
    ],
    "fmod by negatives": [("Mod", ["n", "minus"], ["b"], {"fmod": 1}), ("Add", ["b", "k"], ["m"], {})],
    "Round of halves": [
        ("Sub", ["n", "k"], ["a"], {}),
        cast("a", "f", FLOAT),
        ("Mul", ["f", "half"], ["g"], {}),
        ("Round", ["g"], ["h"], {}),
        cast("h", "b", INT64),
        ("Add", ["b", "k"], ["m"], {}),
    ],
    "a negative fraction cut": [
        ("Sub", ["n", "k"], ["a"], {}),
        cast("a", "f", FLOAT),
        ("Mul", ["f", "third"], ["g"], {}),
        cast("g", "b", INT64),
        ("Add", ["b", "k"], ["m"], {}),
    ],
    "Pow": [("Pow", ["n", "two"], ["b"], {}), ("Mod", ["b", "seven"], ["m"], {})],
}


@pytest.mark.parametrize("case", WHOLE)
def test_whole_numbers(case):
    weights = {"k": np.int64([2000]), "seven": np.int64([7]), "minus": np.int64([-7]), "two": np.int64([2])}
    check(WHOLE[case], **weights, half=np.float32([0.5]), third=np.float32([1 / 3]))


def test_powers_beyond_the_digits_of_float64():
    nodes = [("Pow", ["n", "eight"], ["b"], {}), ("Mod", ["b", "k"], ["c"], {}), ("Min", ["c", "k"], ["m"], {})]
    refused_at(nodes, 98, 101, "in float64, whose 53 binary digits", eight=np.int64([8]), k=np.int64([1009]))

"""Dynamic shapes: profiles, named dimensions, and extents evaluated natively from the plan."""

import numpy as np
import pytest
from networks import convolution_chain, engine_of, new_network, profile_of

import dovetail as trt
from dovetail.core import errors
from dovetail.machine.plan import read_plan


def test_one_plan_serves_all_shapes_of_its_profile():
    builder, network, config = convolution_chain(2, shape=(-1, 3, -1, -1))
    profile_of(builder, config, x=((0, 3, 1, 1), (1, 3, 16, 16), (3, 3, 24, 24)))
    context = engine_of(builder, network, config).create_execution_context()
    rng = np.random.default_rng(0)
    for n, h, w in [(1, 16, 16), (3, 24, 24), (1, 1, 1), (2, 5, 17), (0, 8, 8)]:
        x = rng.standard_normal((n, 3, h, w), dtype=np.float32)
        static_builder, static, static_config = convolution_chain(2, shape=(n, 3, h, w))
        expected = engine_of(static_builder, static, static_config).create_execution_context().run({"x": x})["y"]
        got = context.run({"x": x})["y"]
        assert got.shape == (n, 32, h, w)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=3e-5)  # one of the plans may use Winograd's sums


def test_two_profiles_have_memory_of_their_own():
    builder, network, config = convolution_chain(2, shape=(-1, 3, 16, 16))
    profile_of(builder, config, x=((1, 3, 16, 16),) * 3)
    profile_of(builder, config, x=((2, 3, 16, 16), (4, 3, 16, 16), (8, 3, 16, 16)))
    engine = engine_of(builder, network, config)
    assert engine.num_optimization_profiles == 2
    assert engine.num_bindings == 4
    assert engine.get_profile_shape(1, 2) == [(2, 3, 16, 16), (4, 3, 16, 16), (8, 3, 16, 16)]
    context = engine.create_execution_context()
    x = np.random.default_rng(0).standard_normal((8, 3, 16, 16), dtype=np.float32)
    with pytest.raises(errors.ProfileError):
        context.run({"x": x})
    context.set_optimization_profile_async(1, 0)
    big = context.run({"x": x})["y"]
    context.set_optimization_profile_async(0, 0)
    small = context.run({"x": x[3:4]})["y"]
    np.testing.assert_allclose(small, big[3:4], rtol=1e-4, atol=1e-5)


def test_extents_of_one_name_must_be_equal():
    builder, network, config = new_network()
    a = network.add_input("a", trt.float32, (-1, 4))
    b = network.add_input("b", trt.float32, (-1, 4))
    a.set_dimension_name(0, "rows")
    b.set_dimension_name(0, "rows")
    total = network.add_elementwise(a, b, trt.ElementWiseOperation.SUM)
    total.get_output(0).name = "y"
    network.mark_output(total.get_output(0))
    profile_of(builder, config, a=((1, 4), (2, 4), (8, 4)), b=((1, 4), (2, 4), (8, 4)))
    context = engine_of(builder, network, config).create_execution_context()
    ones = np.ones((3, 4), np.float32)
    assert (context.run({"a": ones, "b": ones})["y"] == 2).all()
    with pytest.raises(errors.DovetailError, match="rows"):
        context.run({"a": ones, "b": ones[:2]})


def test_a_static_network_needs_no_profile_and_no_shape():
    builder, network, config = convolution_chain(1)
    context = engine_of(builder, network, config).create_execution_context()
    assert context.all_binding_shapes_specified
    assert tuple(context.get_binding_shape(1)) == (1, 32, 24, 24)


def test_extents_of_one_name_are_one_unknown():
    _, network, _ = new_network()
    a, b = (network.add_input(name, trt.float32, (-1, 4)) for name in "ab")
    total = network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0)
    assert str(total.symbolic.dims[0]) != "batch"
    for tensor in (a, b):
        tensor.set_dimension_name(0, "batch")
    assert str(total.symbolic.dims[0]) == "batch"
    b.shape = (3, 4)
    assert total.symbolic.dims[0].value == 3


def test_sums_of_many_inputs_of_different_unknown_extents():
    builder, network, config = new_network()
    vectors = [network.add_input(f"x{i}", trt.float32, (-1,)) for i in range(40)]
    total = vectors[0]
    for vector in vectors[1:]:
        total = network.add_elementwise(total, vector, trt.ElementWiseOperation.SUM).get_output(0)
    total.name = "y"
    network.mark_output(total)
    profile_of(builder, config, **{v.name: ((1,), (3,), (9,)) for v in vectors})
    context = engine_of(builder, network, config).create_execution_context()
    for n in (1, 5):
        arrays = {v.name: np.full(n if i % 3 else 1, i, np.float32) for i, v in enumerate(vectors)}
        np.testing.assert_array_equal(context.run(arrays)["y"], np.full(n, sum(range(40)), np.float32))
    with pytest.raises(errors.ShapeError, match="cannot combine"):
        context.run({v.name: np.ones(2 + i % 2, np.float32) for i, v in enumerate(vectors)})


def attention_layer(network, x, mask, memory):
    """x + softmax(x memory' + mask) memory, whose extents are all unknown and named differently."""
    none, transposed = trt.MatrixOperation.NONE, trt.MatrixOperation.TRANSPOSE
    scores = network.add_matrix_multiply(x, none, memory, transposed).get_output(0)
    masked = network.add_elementwise(scores, mask, trt.ElementWiseOperation.SUM).get_output(0)
    weights = network.add_softmax(masked)
    weights.axes = 1 << 2
    found = network.add_matrix_multiply(weights.get_output(0), none, memory, none).get_output(0)
    return network.add_elementwise(x, found, trt.ElementWiseOperation.SUM).get_output(0)


def decoder(n_layers, x, mask, memory):
    """Builder, network and config for inputs of these dims."""
    builder, network, config = new_network()
    config.builder_optimization_level = 0
    y = network.add_input("x", trt.float32, x)
    mask, memory = network.add_input("mask", trt.float32, mask), network.add_input("m", trt.float32, memory)
    for _ in range(n_layers):
        y = attention_layer(network, y, mask, y)
        y = attention_layer(network, y, mask, memory)
    y.name = "y"
    network.mark_output(y)
    return builder, network, config


def test_a_decoder_whose_masks_and_memories_have_extents_of_their_own():
    builder, network, config = decoder(24, (-1, -1, 8), (-1, -1, -1), (-1, -1, 8))
    ends = (1, 1), (2, 3), (4, 9)
    rows, squares = [(b, s, 8) for b, s in ends], [(b, s, s) for b, s in ends]
    profile_of(builder, config, x=rows, mask=squares, m=rows)
    plan = builder.build_serialized_network(network, config)
    assert sum(map(len, read_plan(plan)["programs"])) < 3000
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    rng = np.random.default_rng(0)
    for b, s, mask_b in ((1, 3, 1), (4, 5, 1), (4, 9, 4)):
        given = {
            "x": rng.standard_normal((b, s, 8), dtype=np.float32),
            "mask": rng.standard_normal((mask_b, 1, s), dtype=np.float32),
            "m": rng.standard_normal((b, s, 8), dtype=np.float32),
        }
        static = engine_of(*decoder(24, *(array.shape for array in given.values())))
        expected = static.create_execution_context().run(given)["y"]
        np.testing.assert_allclose(context.run(given)["y"], expected, rtol=1e-4)

"""Layers that only move elements are no steps where their inputs and outputs can lie in the same memory."""

import copy

import numpy as np
import pytest
from fusing import RELU, SUM, Net, check_both, run, steps

import dovetail as trt
from dovetail.core.errors import PlanError
from dovetail.machine.plan import read_plan, write_plan
from tests.runtime.plans import constants_of

DIMS = (1, 16, 8, 8)


def reshaped(net, x, dims, name="reshape"):
    layer = net.network.add_shuffle(x)
    layer.reshape_dims = dims
    return net.named(layer, name)


def transposed(net, x, order, name="transpose"):
    layer = net.network.add_shuffle(x)
    layer.first_transpose = order
    return net.named(layer, name)


def joined(net, tensors, axis=1, name="join"):
    layer = net.network.add_concatenation(tensors)
    layer.axis = axis
    return net.named(layer, name)


def part(net, x, axis, start, n, name="part"):
    first, shape = [0] * len(x.shape), list(x.shape)
    first[axis], shape[axis] = start, n
    return net.named(net.network.add_slice(x, first, shape, [1] * len(shape)), name)


def pooled(net, x, name="pool"):
    return net.named(net.network.add_pooling_nd(x, trt.PoolingType.MAX, (1, 1)), name)


# ---- views


@pytest.mark.parametrize("level", [0, 2])
def test_a_reshape_between_layers_is_a_view(level):
    net = Net(DIMS)
    y = net.conv(reshaped(net, net.conv(net.x, 16, "conv1"), (1, 32, 4, 8)), 8, "conv2")
    check_both(net, y, wanted=["conv1", "conv2"], builder_optimization_level=level)


def test_what_keeps_the_order_of_elements_is_a_view():
    net = Net(DIMS)
    y = net.conv(net.x, 16, "conv1")
    y = transposed(net, reshaped(net, y, (1, 16, 1, 64)), (2, 1, 0, 3), "ones")
    y = net.named(net.network.add_squeeze(net.network.add_unsqueeze(y, [0]).get_output(0), [0]), "squeeze")
    check_both(net, net.conv(y, 4, "conv2"), wanted=["conv1", "conv2"])


def test_a_reshape_of_an_input_is_a_view_of_it_wherever_it_lies():
    net = Net(DIMS)
    plan = check_both(net, pooled(net, reshaped(net, net.x, (1, 4, 16, 16))), wanted=["pool"])
    context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context()
    for seed in range(3):
        x = np.random.default_rng(seed).uniform(-1, 1, DIMS).astype(np.float32)
        np.testing.assert_array_equal(context.run({"x": x})["pool.y"], x.reshape(1, 4, 16, 16))


def test_what_a_reshape_makes_an_output_is_written_there():
    net = Net(DIMS)
    y = reshaped(net, net.conv(net.x, 16), (16, 64))
    check_both(net, y, wanted=["conv"])


def test_a_part_along_the_outermost_axis_is_a_view():
    net = Net(DIMS)
    y = net.conv(net.x, 24)
    a, b = part(net, y, 1, 0, 8, "a"), part(net, y, 1, 8, 16, "b")
    check_both(net, net.conv(a, 4, "conv_a"), net.conv(b, 4, "conv_b"), wanted=["conv", "conv_a", "conv_b"])


def test_a_part_of_an_input_is_a_view():
    net = Net(DIMS)
    check_both(net, pooled(net, part(net, net.x, 1, 4, 5)), wanted=["pool"])


# ---- concatenations


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("maps", [(16, 32), (3, 5), (16, 16, 8)], ids=str)
def test_inputs_of_a_concatenation_are_written_into_it(maps, level):
    net = Net(DIMS)
    parts = [net.conv(net.x, n, f"conv{i}") for i, n in enumerate(maps)]
    y = net.conv(joined(net, parts), 4, "last")
    wanted = [*(f"conv{i}" for i in range(len(maps))), "last"]
    # Blocks of 16 channels are written into it as well, if they are whole; if not, a kernel may join them.
    by_time = () if all(n % 16 == 0 for n in maps) else ("join",)
    check_both(net, y, wanted=wanted, by_time=by_time, builder_optimization_level=level)


def test_a_concatenation_that_is_an_output_is_written_in_parts():
    net = Net(DIMS)
    y = joined(net, [net.conv(net.x, 8, "conv1"), net.activation(net.conv(net.x, 8, "conv2"))])
    plan = check_both(net, y, wanted=["conv1", "conv2 + act"])
    assert "join" in str(read_plan(plan)["report"]["notes"])


def test_concatenations_of_concatenations_and_of_reshapes():
    net = Net(DIMS)
    inner = joined(net, [net.conv(net.x, 8, "a"), net.conv(net.x, 16, "b")], name="inner")
    flat = reshaped(net, net.conv(net.x, 32, "c"), (1, 128, 4, 4))
    square = reshaped(net, flat, (1, 32, 8, 8), "square")
    y = joined(net, [inner, square, net.conv(inner, 8, "d")], name="outer")
    check_both(net, net.conv(y, 3, "last"), wanted=["a", "b", "c", "d", "last"])


def test_parts_that_are_joined_again_in_order_cost_nothing():
    net = Net(DIMS)
    y = net.conv(net.x, 32)
    a, b = part(net, y, 1, 0, 16, "a"), part(net, y, 1, 16, 16, "b")
    c = net.conv(b, 16, "c")
    check_both(net, net.conv(joined(net, [a, b, c]), 3, "last"), wanted=["conv", "c", "last"])


def test_others_still_take_what_lies_in_a_concatenation():
    net = Net(DIMS)
    a = net.conv(net.x, 16, "a")
    b = net.conv(a, 16, "b")
    y = net.conv(joined(net, [a, b]), 16, "c")
    check_both(net, net.named(net.network.add_elementwise(y, a, SUM), "sum"), wanted=["a", "b", "c + sum"])


# ---- what stays


def test_steps_that_have_to_move_elements_stay():
    net = Net(DIMS)
    y = transposed(net, net.conv(net.x, 16), (0, 2, 3, 1))
    check_both(net, pooled(net, y), wanted=["conv", "transpose", "pool"])


@pytest.mark.parametrize(
    ("dims", "axis", "why"),
    [((2, 16, 8, 8), 1, "not outermost"), (DIMS, 2, "not outermost"), ((1, 5, 9, 13), 1, "not where tensors begin")],
)
def test_concatenations_of_pieces_that_are_no_blocks_stay(dims, axis, why):
    net = Net(dims)
    y = joined(net, [net.conv(net.x, 5, "a"), net.conv(net.x, 5, "b")], axis)
    check_both(net, pooled(net, y), wanted=["a", "b", "join", "pool"])


def test_inputs_twice_inputs_of_the_network_and_outputs_stay():
    net = Net(DIMS)
    a = net.conv(net.x, 16, "a")
    twice, given = joined(net, [a, a], name="twice"), joined(net, [net.x, net.conv(net.x, 16, "b")], name="given")
    plan = net.plan(pooled(net, twice, "p"), pooled(net, given, "q"))
    assert {"twice", "given"} <= set(steps(plan))
    other = Net(DIMS)
    c = other.conv(other.x, 16, "c")
    y = joined(other, [c, other.conv(other.x, 16, "d")])
    assert "join" in steps(check_both(other, c, pooled(other, y), wanted=["c", "d", "join", "pool"]))


def test_one_tensor_lies_in_one_concatenation():
    net = Net(DIMS)
    a, b, c = (net.conv(net.x, 16, name) for name in "abc")
    first, second = joined(net, [a, b], name="first"), joined(net, [a, c], name="second")
    plan = check_both(
        net, pooled(net, first, "p"), pooled(net, second, "q"), wanted=["a", "b", "c", "second", "p", "q"]
    )
    assert "first" in str(read_plan(plan)["report"]["notes"])


def test_extents_that_are_not_known_stay_in_concatenations_and_go_in_reshapes():
    net = Net((4, 16, 8, 8), batch=(1, 2, 4))
    y = reshaped(net, net.conv(net.x, 16, "a"), (0, 32, 4, 8))
    y = joined(net, [y, net.conv(y, 32, "b")])
    check_both(net, pooled(net, y), wanted=["a", "b", "join", "pool"])


def test_pinned_layers_and_builds_without_fusion_stay():
    net = Net(DIMS)
    y = pooled(net, reshaped(net, net.conv(net.x, 16), (1, 32, 4, 8)))
    assert steps(net.plan(y, allow_fusion=False)) == ["conv", "reshape", "pool"]
    config = net.builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    config.pin_implementation("reshape", "#cpu")
    assert "reshape" in steps(net.builder.build_serialized_network(net.network, config))


def test_a_copy_from_an_input_to_an_output_stays():
    net = Net(DIMS)
    check_both(net, reshaped(net, net.x, (16, 64)), wanted=["reshape"])


# ---- memory, and random graphs


def test_the_arena_holds_each_element_once(graph_after):
    net = Net((1, 16, 32, 32))
    parts = [net.conv(net.x, 16, f"conv{i}") for i in range(4)]
    net.network.mark_output(net.conv(reshaped(net, joined(net, parts), (1, 32, 64, 32)), 4, "last"))
    config = net.builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    config.builder_optimization_level = 0
    config.num_threads = 2  # each has a workspace of its own, which counts
    graph = graph_after("plan_memory", net.network, config)
    arena = graph.memory[0].arenas[trt.DeviceType.CPU]
    whole = 64 * 32 * 32 * 4
    assert whole <= arena.size < 1.02 * max(arena.lower_bound, whole) and arena.lower_bound < 2 * whole


def random_moves(seed, n_layers):
    rng = np.random.default_rng(seed)
    net = Net(DIMS)
    values = [net.x]
    for number in range(n_layers):
        x = values[-1 - int(rng.integers(min(3, len(values))))]
        kind = str(rng.choice(["conv", "relu", "join", "join", "part", "reshape", "sum"]))
        name = f"{kind}{number}"
        channels = x.shape[1]
        others = [v for v in values if tuple(v.shape[2:]) == tuple(x.shape[2:])]
        if kind == "conv":
            values.append(net.conv(x, int(rng.choice([8, 16, 32])), name, 1))
        elif kind == "join" and sum(v.shape[1] for v in others[-3:]) <= 128:
            values.append(joined(net, others[-3:], name=name))
        elif kind == "part" and channels >= 4:
            n = int(rng.choice([channels // 2, channels // 4]))
            values.append(part(net, x, 1, int(rng.choice([0, channels - n])), n, name))
        elif kind == "reshape" and channels % 4 == 0:
            values.append(reshaped(net, x, (1, channels // 4, x.shape[2] * 4, x.shape[3]), name))
        elif kind == "sum" and channels == others[-1].shape[1]:
            values.append(net.add(x, others[-1], name))
        else:
            values.append(net.activation(x, name, RELU))
    return net, [values[-1], *(v for v in values[1:-1] if rng.random() < 0.15)]


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_compute_the_same(seed, level):
    net, outputs = random_moves(seed, 5 + 3 * seed)
    shared = net.plan(*outputs, builder_optimization_level=level)
    alone = net.plan(allow_fusion=False)
    assert len(steps(shared)) <= len(steps(alone))
    wanted = run(alone, net.values)
    context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(shared).create_execution_context()
    for _ in range(2):
        for name, value in context.run({"x": net.values}).items():
            scale = max(1.0, float(np.abs(wanted[name]).max()))
            np.testing.assert_allclose(value / scale, wanted[name] / scale, rtol=1e-4, atol=1e-5, err_msg=name)


# ---- plans that say something else


@pytest.fixture(scope="module")
def shared():
    net = Net(DIMS)
    return net.plan(pooled(net, joined(net, [net.conv(net.x, 16, "a"), net.conv(net.x, 16, "b")])))


def changed(plan, change):
    document, constants = read_plan(plan), constants_of(plan)
    document = copy.deepcopy({k: v for k, v in document.items() if k not in ("report", "constants", "version")})
    change(document, {tensor["name"]: tensor for tensor in document["tensors"]})
    return write_plan(document, constants)


def renumber(document, name, to):
    names = [tensor["name"] for tensor in document["tensors"]]
    return [names.index(to) if names[t] == name else t for t in document["steps"][0]["outputs"]]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d, t: t["b.y"].__setitem__("alias_at", 4100), "a multiple of 64"),
        (lambda d, t: t["b.y"].__setitem__("alias_at", 1 << 62), "alias_at"),
        (lambda d, t: t["b.y"].__setitem__("alias_at", 6400), "b.y"),
        (lambda d, t: t["join.y"].__setitem__("parts", [0]), "aliases of this tensor"),
        (lambda d, t: t["join.y"].__setitem__("parts", t["join.y"]["parts"] * 2), "ascending"),
        (lambda d, t: t["join.y"].__setitem__("parts", []), "a tensor that an earlier step has written"),
        (lambda d, t: t["x"].__setitem__("parts", [1]), "parts of a tensor that is written"),
        (lambda d, t: d["steps"].insert(1, d["steps"].pop(2)), "a tensor that an earlier step has written"),
    ],
)
def test_a_plan_whose_memory_is_damaged_is_refused(shared, change, text):
    with pytest.raises(PlanError) as error:
        trt.Runtime(trt.Logger()).deserialize_cuda_engine(changed(shared, change))
    assert text in str(error.value)

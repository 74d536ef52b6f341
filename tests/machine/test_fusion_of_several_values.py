"""Pointwise layers that take several values of their group, as in y * sigmoid(y), become part of one kernel."""

import numpy as np
import pytest
from fusing import PROD, RELU, SIGMOID, SUM, Net, check_alike, check_both, not_fused, steps

import dovetail as trt
from dovetail.machine.builder.selection import Selection

Unary, ElementWise, Activation = trt.UnaryOperation, trt.ElementWiseOperation, trt.ActivationType


def silu(net, y, name=""):
    return net.add(y, net.activation(y, f"{name}sigmoid", SIGMOID), f"{name}product", PROD)


def hard_swish(net, y):
    layer = net.network.add_activation(y, Activation.HARD_SIGMOID)
    layer.alpha, layer.beta = 1 / 6, 0.5
    return net.add(y, net.named(layer, "gate"), "product", PROD)


def mish(net, y):
    layer = net.network.add_activation(y, Activation.SOFTPLUS)
    layer.alpha = layer.beta = 1.0
    return net.add(y, net.activation(net.named(layer, "softplus"), "tanh", Activation.TANH), "product", PROD)


def gelu(net, y):
    erf = net.unary(net.add(y, net.number(2**-0.5), "inner", PROD), Unary.ERF, "erf")
    whole = net.add(y, net.add(erf, net.number(1.0), "one"), "product", PROD)
    return net.add(whole, net.number(0.5), "half", PROD)


def one_and_erf(net, y, one=1.0):
    erf = net.unary(net.add(y, net.number(2**0.5), "inner", ElementWise.DIV), Unary.ERF, "erf")
    return net.add(net.number(one), erf, "one")


def gelu_with_half_of_y(net, y):
    return net.add(one_and_erf(net, y), net.add(net.number(0.5), y, "half", PROD), "product", PROD)


def gelu_with_half_of_the_rest(net, y):
    return net.add(net.add(one_and_erf(net, y), net.number(0.5), "half", PROD), y, "product", PROD)


def half_first(net, y):
    half = net.add(y, net.number(0.5), "half", PROD)
    return net.add(half, one_and_erf(net, y), "product", PROD)


def two_and_erf(net, y):
    return net.add(net.add(y, one_and_erf(net, y, 2.0), "product", PROD), net.number(0.5), "half", PROD)


def more_than_half(net, y):
    return net.add(net.add(y, one_and_erf(net, y), "product", PROD), net.number(0.75), "half", PROD)


def erf_of_something_else(net, y):
    x = net.add(y, net.number(0.25), "other")
    return net.add(net.add(y, one_and_erf(net, x), "product", PROD), net.number(0.5), "half", PROD)


def the_rest_used_again(net, y):
    rest = one_and_erf(net, y)
    whole = net.add(net.add(y, rest, "product", PROD), net.number(0.5), "half", PROD)
    return net.add(whole, rest, "sum")


def the_product_used_again(net, y):
    product = net.add(y, one_and_erf(net, y), "product", PROD)
    return net.add(net.add(product, net.number(0.5), "half", PROD), product, "sum")


def gelu_by_tanh(net, y):
    cube = net.add(net.add(y, y, "square", PROD), y, "cube", PROD)
    sum_ = net.add(y, net.add(cube, net.number(0.044715), "little", PROD), "sum")
    tanh = net.activation(net.add(sum_, net.number(0.7978845608), "inner", PROD), "tanh", Activation.TANH)
    return net.add(net.add(y, net.number(0.5), "half", PROD), net.add(tanh, net.number(1.0), "one"), "product", PROD)


def gelu_by_tanh_and_a_power(net, y):
    cube = net.add(y, net.number(3.0), "cube", ElementWise.POW)
    sum_ = net.add(y, net.add(cube, net.number(0.044715), "little", PROD), "sum")
    tanh = net.activation(net.add(sum_, net.number(0.7978845608), "inner", PROD), "tanh", Activation.TANH)
    return net.add(net.add(y, net.number(0.5), "half", PROD), net.add(tanh, net.number(1.0), "one"), "product", PROD)


def powers(net, y):
    square = net.add(y, net.number(2.0), "square", ElementWise.POW)
    fourth = net.add(y, net.number(4.0), "fourth", ElementWise.POW)
    root = net.add(net.add(square, fourth, "sum"), net.number(0.7), "root", ElementWise.POW)
    return net.add(net.number(1.5), root, "of the exponent", ElementWise.POW)


def elu(net, y):
    layer = net.network.add_activation(y, Activation.ELU)
    layer.alpha = 0.7
    return net.named(layer, "elu")


def residual_of_itself(net, y):
    return net.activation(net.add(net.scale(y), net.activation(y, "tanh", Activation.TANH), "sum"), "relu")


def chosen(net, y):
    is_more = net.add(y, net.number(0.1), "more", ElementWise.GREATER)
    other = net.unary(y, Unary.NEG, "negative")
    return net.named(net.network.add_select(is_more, y, other), "select")


PATTERNS = [
    silu, hard_swish, mish, gelu, gelu_by_tanh, gelu_by_tanh_and_a_power, powers, elu, residual_of_itself, chosen,
]  # fmt: skip


GELUS = [gelu, gelu_with_half_of_y, gelu_with_half_of_the_rest, half_first]
ALMOST = [two_and_erf, more_than_half, erf_of_something_else, the_rest_used_again, the_product_used_again]


@pytest.mark.parametrize("pattern", [*GELUS, *ALMOST], ids=lambda pattern: pattern.__name__)
@pytest.mark.parametrize("head", ["sum", "product of matrices"])
def test_gelu_and_what_is_almost_one_become_part_of_other_layers(pattern, head):
    net = Net((2, 5, 9, 37))
    weights = np.random.default_rng(4).standard_normal((1, 1, 37, 45)).astype(np.float32)
    if head == "sum":
        y = net.add(net.x, net.x, "head")
    else:
        matrix = net.network.add_constant(weights.shape, weights).get_output(0)
        none = trt.MatrixOperation.NONE
        y = net.named(net.network.add_matrix_multiply(net.x, none, matrix, none), "head")
    y = pattern(net, y)
    names = [layer.name for layer in net.network if layer.type != trt.LayerType.CONSTANT]
    check_both(net, y, wanted=[" + ".join(names)])


@pytest.mark.parametrize("maps", [5, 16])
@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.__name__)
def test_it_becomes_part_of_the_convolution(pattern, maps):
    net = Net()
    y = pattern(net, net.conv(net.x, maps))
    names = [layer.name for layer in net.network if layer.type != trt.LayerType.CONSTANT]
    check_both(net, y, wanted=[" + ".join(names)])


def test_several_in_a_row_and_a_residual_between():
    net = Net()
    first = silu(net, net.conv(net.x, 5, "conv1"), "a_")
    second = silu(net, net.add(net.conv(first, 5, "conv2"), net.x), "b_")
    wanted = ["conv1 + a_sigmoid + a_product", "conv2 + add + b_sigmoid + b_product"]
    check_both(net, second, wanted=wanted)


def test_unknown_batches_fuse():
    net = Net(batch=(1, 2, 5))
    check_both(net, silu(net, net.conv(net.x, 5)), wanted=["conv + sigmoid + product"])


def test_timed_builds_agree():
    net = Net((1, 16, 20, 20))
    y = silu(net, net.conv(silu(net, net.conv(net.x, 16, "conv1"), "a_"), 16, "conv2"), "b_")
    fused = net.plan(y, builder_optimization_level=3)
    check_alike(net, fused, net.plan(allow_fusion=False))


def test_a_kernel_that_computes_no_part_of_it_leaves_whole_patterns(monkeypatch):
    from dovetail.machine.builder import candidates

    monkeypatch.setattr(candidates, "n_absorbed", lambda group, candidate: 2)  # inside of the second pattern
    net = Net()
    y = silu(net, net.activation(net.conv(net.x, 5)))
    plan = check_both(net, y, wanted=["conv + act", "sigmoid + product"])
    assert any("sigmoid + product is not fused into conv + act" in line for line in not_fused(plan))


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("most", [0, 1])
def test_what_a_kernel_leaves_of_the_group_runs_as_one_step(monkeypatch, most, level):
    from dovetail.machine.builder import candidates

    ask = candidates.n_absorbed
    monkeypatch.setattr(
        candidates, "n_absorbed", lambda group, one: most if group.head.name == "conv" else ask(group, one)
    )
    monkeypatch.setattr(Selection, "_apart", never(Selection._apart))
    net = Net()
    y = silu(net, net.add(net.activation(net.conv(net.x, 16)), net.number(0.5), "sum"))
    possible = [["conv", "act + sum + sigmoid + product"], ["conv + act", "sum + sigmoid + product"]]
    plan = net.plan(y, builder_optimization_level=level)
    assert steps(plan) in (possible[most:][:1] if level == 0 else possible)
    check_alike(net, plan, net.plan(allow_fusion=False))


def never(ask):
    """Costs that are never the least, so that what is timed does not decide."""

    def apart(*arguments):
        cost, candidates = ask(*arguments)
        return cost + 1e9, candidates

    return apart


# ---- what stays by itself


def test_a_value_that_something_else_takes_stays():
    net = Net()
    y = net.conv(net.x, 5)
    plan = check_both(
        net, net.conv(net.add(silu(net, y), net.conv(y, 5, "other"), "sum"), 3, "last"),
        wanted=["conv", "sigmoid + product", "other + sum", "last"],
    )  # fmt: skip
    assert any("sigmoid is not fused into conv: it is not all that takes conv.y; other" in s for s in not_fused(plan))


def test_an_inner_value_that_is_an_output_stays():
    net = Net()
    y = net.conv(net.x, 5)
    gate = net.activation(y, "sigmoid", SIGMOID)
    plan = check_both(net, gate, net.add(y, gate, "product", PROD), wanted=["conv", "sigmoid", "product"])
    assert any("not all that takes conv.y" in line for line in not_fused(plan))


def test_an_inner_value_of_other_dims_stays():
    net = Net((1, 5, 9, 13))
    y = net.conv(net.x, 5)
    many = net.network.add_constant((4, 5, 9, 13), np.ones((4, 5, 9, 13), np.float32)).get_output(0)
    other = net.add(y, many, "grown")
    plan = check_both(net, net.add(y, other, "sum"), wanted=["conv", "grown + sum"])
    assert any("grown is not fused into conv: it gives" in line for line in not_fused(plan))


def test_values_that_meet_in_a_layer_that_is_not_pointwise_stay():
    net = Net()
    y = net.conv(net.x, 5)
    joined = net.network.add_concatenation([y, net.activation(y)])
    check_both(net, net.named(joined, "join"), wanted=["conv", "act", "join"])


def test_a_pinned_layer_inside_stays_and_the_others_with_it():
    net = Net()
    net.network.mark_output(silu(net, net.conv(net.x, 5)))
    config = net.builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    config.builder_optimization_level = 0
    config.pin_implementation("product", "#cpu")
    plan = net.builder.build_serialized_network(net.network, config)
    assert steps(plan) == ["conv", "sigmoid", "product"]
    assert any("product is not fused into conv: it is pinned to #cpu" in line for line in not_fused(plan))


def test_extents_that_may_differ_stay_apart():
    net = Net(batch=(1, 2, 5))
    other = net.network.add_input("other", trt.float32, (-1, 5, 9, 13))
    y = net.conv(net.x, 5)
    net.network.mark_output(net.add(net.add(y, other, "sum"), y, "again"))
    config = net.builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    config.builder_optimization_level = 0
    profile = net.builder.create_optimization_profile()
    for name in ("x", "other"):
        profile.set_shape(name, (1, 5, 9, 13), (2, 5, 9, 13), (4, 5, 9, 13))
    config.add_optimization_profile(profile)
    plan = net.builder.build_serialized_network(net.network, config)
    assert steps(plan)[0] == "conv"


# ---- random graphs

POINTWISE = ("relu", "sigmoid", "scale", "sum", "product", "most", "negative", "clip")


def random_network(seed, n_layers):
    """Layers on values that are drawn from those before, with a few that compute, and some values as outputs."""
    rng = np.random.default_rng(seed)
    net = Net((int(rng.integers(1, 3)), int(rng.choice([3, 8, 16])), 6, 7))
    channels = net.x.shape[1]
    values = [net.x]
    for number in range(n_layers):
        recent = values[-3:]
        a, b = (recent[int(rng.integers(len(recent)))] for _ in range(2))
        kind = "conv" if rng.random() < 0.25 else str(rng.choice(POINTWISE))
        name = f"{kind}{number}"
        if kind == "conv":
            values.append(net.conv(a, channels, name, int(rng.choice([1, 3]))))
        elif kind == "scale":
            values.append(net.scale(a, name))
        elif kind in ("relu", "sigmoid"):
            values.append(net.activation(a, name, RELU if kind == "relu" else SIGMOID))
        elif kind == "negative":
            values.append(net.unary(a, Unary.NEG, name))
        elif kind == "clip":
            values.append(net.add(a, net.number(2.0), name, ElementWise.MIN))
        else:
            op = {"sum": SUM, "product": PROD, "most": ElementWise.MAX}[kind]
            values.append(net.add(a, b, name, op))
    outputs = [values[-1], *(v for v in values[1:-1] if rng.random() < 0.1)]
    return net, outputs


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_compute_the_same_with_and_without_fusion(seed, level):
    n_layers = 5 + seed * 3
    net, outputs = random_network(seed, n_layers)
    fused = net.plan(*outputs, builder_optimization_level=level)
    alone = net.plan(allow_fusion=False)
    assert len(steps(fused)) <= len(steps(alone))
    check_alike(net, fused, alone)


def test_random_graphs_are_fused():
    fused = [steps(random_fused(seed)) for seed in range(12)]
    assert sum(name.count(" + ") for names in fused for name in names) > 20


def random_fused(seed):
    net, outputs = random_network(seed, 5 + seed * 3)
    return net.plan(*outputs)


def test_the_types_of_inner_values_may_differ():
    net = Net()
    y = net.conv(net.x, 5)
    sign = net.named(
        net.network.add_cast(net.add(y, net.number(0.0), "more", ElementWise.GREATER), trt.float32), "cast"
    )
    check_both(net, net.add(y, sign, "product", PROD), wanted=["conv + more + cast + product"])

"""Layers behind others become part of their kernels: what is grouped, what it computes, and what is refused."""

import copy

import numpy as np
import pytest
from fusing import PROD, RELU, RNG, SIGMOID, Net, check_alike, check_both, not_fused, steps

import dovetail as trt
from dovetail.core.errors import PlanCorrupt, PlanError
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.plan import read_plan, write_plan
from dovetail.machine.testing import Case, check_case, make_layer, rows_of
from dovetail.machine.testing_epilogues import ALONG_LAST_AXIS, EPILOGUES, absorbs, epilogues_for
from dovetail.plugins import Input, Output, Plugin, field
from tests.runtime.plans import constants_of


@pytest.mark.parametrize("maps", [3, 16, 40])
@pytest.mark.parametrize("kind", [RELU, SIGMOID, trt.ActivationType.TANH], ids=lambda kind: kind.name)
def test_an_activation_becomes_part_of_the_convolution(kind, maps):
    net = Net()
    check_both(net, net.activation(net.conv(net.x, maps), kind=kind), wanted=["conv + act"])


def test_scale_residual_and_activation_become_part_of_the_later_convolution():
    net = Net()
    first = net.activation(net.conv(net.x, 5, "conv1"), "relu1")
    second = net.scale(net.conv(first, 5, "conv2"), "scale2")
    y = net.activation(net.add(second, net.x), "relu2")
    check_both(net, y, wanted=["conv1 + relu1", "conv2 + scale2 + add + relu2"])


def test_of_two_branches_that_meet_the_later_one_takes_the_sum():
    net = Net()
    a, b = net.conv(net.x, 6, "left"), net.conv(net.x, 6, "right")
    check_both(net, net.activation(net.add(a, b)), wanted=["left", "right + add + act"])


def test_a_gate_of_one_value_a_channel_is_absorbed():
    net = Net()
    y = net.conv(net.x, 7)
    mean = net.network.add_reduce(net.x, trt.ReduceOperation.AVG, 0b1100, True)
    gate = net.activation(net.conv(net.named(mean, "mean"), 7, "squeeze", 1), "gate", SIGMOID)
    fused = check_both(net, net.add(y, gate, "times", PROD), wanted=["mean", "squeeze + gate", "conv + times"])
    assert "conv + times" in trt.build_report(fused)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_transposed_convolution_takes_what_is_behind_it(stride):
    net = Net((2, 5, 6, 7))
    kernel = net.rng.uniform(-0.5, 0.5, (5, 9, 3, 3)).astype(np.float32)
    layer = net.network.add_deconvolution_nd(net.x, 9, (3, 3), kernel)
    layer.stride_nd = (stride, stride)
    y = net.scale(net.named(layer, "deconv"))
    other = net.named(net.network.add_deconvolution_nd(net.x, 9, (3, 3), kernel), "other")
    net.network.get_layer(net.network.num_layers - 1).stride_nd = (stride, stride)
    check_both(net, net.activation(net.add(y, other)), wanted=["deconv + scale", "other + add + act"])


def test_unknown_batches_fuse_and_run_at_every_size():
    net = Net(batch=(1, 2, 5))
    y = net.activation(net.add(net.conv(net.x, 5), net.x))
    fused = check_both(net, y, wanted=["conv + add + act"])
    engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(fused)
    context = engine.create_execution_context()
    alone = trt.Runtime(trt.Logger()).deserialize_cuda_engine(net.plan(allow_fusion=False)).create_execution_context()
    for n in (1, 5, 2):
        x = RNG.uniform(-1, 1, (n, 5, 9, 13)).astype(np.float32)
        np.testing.assert_allclose(context.run({"x": x})["act.y"], alone.run({"x": x})["act.y"], rtol=1e-4, atol=1e-5)


def test_timed_builds_choose_between_both_and_say_what_lost():
    net = Net((1, 16, 20, 20))
    y = net.activation(net.add(net.conv(net.x, 16), net.x))
    check = net.plan(y, builder_optimization_level=3)
    assert steps(check)[-1].endswith("act")
    check_alike(net, check, net.plan(allow_fusion=False))
    report = read_plan(check)["report"]
    assert any("absorbed" in lost for step in report["steps"] for lost in step["lost"])


# ---- what stays by itself


def test_a_result_that_is_taken_twice_stays():
    net = Net()
    y = net.conv(net.x, 5)
    a, b = net.activation(y, "a"), net.activation(y, "b", SIGMOID)
    plan = check_both(net, a, b, wanted=["conv", "a", "b"])
    assert any("a is not fused into conv: it is not all that takes conv.y" in line for line in not_fused(plan))


def test_an_output_of_the_network_stays():
    net = Net()
    y = net.conv(net.x, 5)
    plan = check_both(net, y, net.activation(y), wanted=["conv", "act"])
    assert any("is not all that takes" in line for line in not_fused(plan))


def test_a_pinned_layer_stays():
    net = Net()
    y = net.activation(net.conv(net.x, 5))
    net.network.mark_output(y)
    config = net.builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    config.builder_optimization_level = 0
    config.pin_implementation("act", "#cpu")
    plan = net.builder.build_serialized_network(net.network, config)
    assert steps(plan) == ["conv", "act"]
    assert any("it is pinned to #cpu" in line for line in not_fused(plan))


def test_a_larger_operand_stays_since_the_result_would_grow():
    net = Net((1, 5, 9, 13))
    other = net.network.add_constant((4, 5, 9, 13), np.ones((4, 5, 9, 13), np.float32)).get_output(0)
    plan = check_both(net, net.add(net.conv(net.x, 5), other), wanted=["conv", "add"])
    assert any("gives" in line for line in not_fused(plan))


def test_the_report_says_why_each_pointwise_layer_begins_a_step():
    net = Net()
    first = net.named(net.network.add_pooling_nd(net.x, trt.PoolingType.MAX, (2, 2)), "pool")
    relu = net.activation(first, "relu")
    later, gate = net.conv(relu, 5, "later"), net.activation(relu, "gate", SIGMOID)
    plan = net.plan(net.add(later, gate, "product", PROD))
    assert steps(plan) == ["pool", "relu", "gate", "later + product"]
    assert not_fused(plan) == [
        "gate is not fused into relu: it is not all that takes relu.y; later does too",
        "relu is not fused into pool: no kernel of Pooling@1 computes layers behind its own",
    ]
    assert not not_fused(net.plan(allow_fusion=False))


class Shifted(Plugin):
    """y = x + by"""

    namespace = "fusion"
    x = Input(FLOATS)
    y = Output(like="x")
    by: float = field(0.5, doc="Added.")
    scalar = "x + by"


def test_a_strangers_formula_is_absorbed():
    trt.get_plugin_registry().add_op(Shifted)
    net = Net()
    layer = net.network.add_plugin("fusion::Shifted@1", [net.conv(net.x, 5)], {"by": 0.25})
    check_both(net, net.named(layer, "shifted"), wanted=["conv + shifted"])


# ---- every row, every instruction set of this machine

CASES = [
    Case("tile and a half", x=(1, 3, 7, 11), kernel=(20, 3, 3, 3), num_output_maps=20, kernel_size_nd=(3, 3)),
    Case("depthwise", x=(2, 20, 6, 9), kernel=(20, 1, 3, 3), num_output_maps=20, kernel_size_nd=(3, 3), num_groups=20),
    Case("pointwise", x=(2, 19, 5, 5), kernel=(33, 19, 1, 1), num_output_maps=33, kernel_size_nd=(1, 1)),
    Case("pointwise, in tiles", x=(1, 40, 6, 11), kernel=(33, 40, 1, 1), num_output_maps=33, kernel_size_nd=(1, 1)),
    Case("one pixel", x=(1, 18, 1, 1), kernel=(5, 18, 1, 1), num_output_maps=5, kernel_size_nd=(1, 1)),
    Case("volume", x=(1, 2, 3, 4, 5), kernel=(4, 2, 2, 2, 2), num_output_maps=4, kernel_size_nd=(2, 2, 2)),
    Case("strided depthwise", x=(1, 33, 9, 12), kernel=(33, 1, 5, 5), num_output_maps=33, kernel_size_nd=(5, 5),
         num_groups=33, stride_nd=(2, 2), pre_padding=(2, 2), post_padding=(2, 2)),
    Case("dilated", x=(1, 17, 9, 19), kernel=(20, 17, 3, 3), num_output_maps=20, kernel_size_nd=(3, 3),
         pre_padding=(2, 2), post_padding=(2, 2), dilation_nd=(2, 2)),
    Case("strided, in groups", x=(2, 32, 9, 10), kernel=(32, 16, 3, 3), num_output_maps=32, kernel_size_nd=(3, 3),
         num_groups=2, stride_nd=(2, 2)),
]  # fmt: skip
# Outputs of one phase do not lie side by side.
TRANSPOSED_CASES = [
    Case("four phases", x=(2, 19, 5, 4), kernel=(19, 33, 4, 4), num_output_maps=33, kernel_size_nd=(4, 4),
         stride_nd=(2, 2), pre_padding=(1, 1), post_padding=(1, 1)),
    Case("merged phases", x=(2, 18, 3, 5), kernel=(18, 3, 4, 4), num_output_maps=3, kernel_size_nd=(4, 4),
         stride_nd=(2, 2), pre_padding=(1, 1), post_padding=(1, 1)),
    Case("a window in each row", x=(1, 3, 2, 17), kernel=(3, 20, 1, 2), num_output_maps=20, kernel_size_nd=(1, 2),
         stride_nd=(1, 3)),
    Case("depthwise phases", x=(2, 20, 4, 9), kernel=(20, 1, 3, 3), num_output_maps=20, kernel_size_nd=(3, 3),
         num_groups=20, stride_nd=(2, 2)),
]  # fmt: skip
IN_HALVES = Case("halves", x=(1, 3, 7, 11), kernel=(20, 3, 3, 3), num_output_maps=20, kernel_size_nd=(3, 3))


OF_CHANNELS = EPILOGUES.keys() - ALONG_LAST_AXIS


def absorbing_rows(case, dtype, op="Convolution@1"):
    lookup = trt.get_plugin_registry()
    arrays, values = case.arrays(lookup, op, dtype)
    layer = make_layer(lookup, op, arrays, values)
    return layer, [candidate for candidate in rows_of(lookup, layer)[0] if absorbs(candidate)]


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_row_of_the_convolution_computes_every_epilogue(case, n_threads):
    layer, rows = absorbing_rows(case, DataType.FLOAT)
    for name, behind in epilogues_for(layer).items():
        assert rows and all(behind.is_absorbed(row) for row in rows if name in OF_CHANNELS), name
    check_case(trt.get_plugin_registry(), "Convolution@1", case, DataType.FLOAT, n_threads)


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("case", TRANSPOSED_CASES, ids=lambda case: case.name)
def test_every_row_of_the_transposed_convolution_computes_every_epilogue(case, n_threads):
    layer, rows = absorbing_rows(case, DataType.FLOAT, "Deconvolution@1")
    assert {"CHW16", "LINEAR"} <= {row.row.places[-1].format.name for row in rows}
    for name, behind in epilogues_for(layer).items():
        assert all(behind.is_absorbed(row) for row in rows if name in OF_CHANNELS), name
    check_case(trt.get_plugin_registry(), "Deconvolution@1", case, DataType.FLOAT, n_threads)


@pytest.mark.parametrize("case", [CASES[0], CASES[3], CASES[7], CASES[8]], ids=lambda case: case.name)
def test_rows_of_bfloat16_compute_every_epilogue(case):
    layer, rows = absorbing_rows(case, DataType.BF16)
    assert rows and all(epilogues_for(layer)[name].is_absorbed(row) for row in rows for name in OF_CHANNELS)
    check_case(trt.get_plugin_registry(), "Convolution@1", case, DataType.BF16, 2)
    check_case(trt.get_plugin_registry(), "Deconvolution@1", TRANSPOSED_CASES[0], DataType.BF16, 1)


@pytest.mark.parametrize("dtype", [DataType.HALF, DataType.BF16], ids=lambda dtype: dtype.name)
def test_halves_are_rounded_once_behind_the_epilogue(dtype):
    layer, rows = absorbing_rows(IN_HALVES, dtype)
    assert rows and all(epilogues_for(layer)[name].is_absorbed(row) for row in rows for name in OF_CHANNELS)
    check_case(trt.get_plugin_registry(), "Convolution@1", IN_HALVES, dtype)


def test_the_rows_are_of_every_instruction_set_that_this_machine_has():
    layer, rows = absorbing_rows(CASES[0], DataType.FLOAT)
    everything = {row.row.tactic for row in rows_of(trt.get_plugin_registry(), layer)[0]} - {"reference"}
    assert {row.row.tactic for row in rows} == everything
    assert "gemm_scalar" in everything


# ---- plans that say something else


def changed(plan, change):
    document, constants = read_plan(plan), constants_of(plan)
    document = copy.deepcopy({k: v for k, v in document.items() if k not in ("report", "constants", "version")})
    change(document)
    return write_plan(document, constants)


@pytest.fixture(scope="module")
def fused():
    net = Net()
    return net.plan(net.activation(net.add(net.scale(net.conv(net.x, 5)), net.x)))


def epilogue(document):
    return next(step for step in document["steps"] if "epilogue" in step)["epilogue"]


def set_operand(document, kind, value):
    epilogue(document)["steps"][1][3][1] = [kind, value]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: epilogue(d)["steps"][0].__setitem__(0, 999), "step 0 has operation 999"),
        (lambda d: epilogue(d)["steps"][0].__setitem__(3, []), "step 0 has 0 operands, its operation has 2"),
        (lambda d: epilogue(d)["steps"][0].__setitem__(1, 5), "step 0 has layer 5"),
        (lambda d: epilogue(d)["steps"][0].__setitem__(2, 77), "data type 77"),
        (lambda d: set_operand(d, 1, 1), "the value of step 1, which is not before it"),
        (lambda d: set_operand(d, 3, 100), "tensor 100 of"),
        (lambda d: set_operand(d, 9, 0), "kind 9"),
        (lambda d: epilogue(d).__setitem__("n_tensors", 0), "tensor 0 of 0"),
        (lambda d: epilogue(d).__setitem__("steps", []), "0 steps"),
        (lambda d: epilogue(d).__setitem__("steps", epilogue(d)["steps"] * 300), "at most 256"),
        (lambda d: epilogue(d).__setitem__("result_type", 3), "takes"),
        (lambda d: epilogue(d)["steps"][-1].__setitem__(2, 1), "last step has the type of the output"),
    ],
)
def test_a_plan_whose_epilogue_is_damaged_is_refused_by_name(fused, change, text):
    with pytest.raises(PlanError) as error:
        trt.Runtime(trt.Logger()).deserialize_cuda_engine(changed(fused, change))
    assert text in str(error.value)


def test_a_plan_whose_operand_does_not_fit_the_result_is_refused(fused):
    def change(document):
        step = next(step for step in document["steps"] if "epilogue" in step)
        step["inputs"][-1] = step["inputs"][1]  # the weights

    with pytest.raises((PlanCorrupt, PlanError)):
        trt.Runtime(trt.Logger()).deserialize_cuda_engine(changed(fused, change))


def test_a_row_that_does_not_absorb_is_not_given_a_plans_epilogue(fused):
    def change(document):
        step = next(step for step in document["steps"] if "epilogue" in step)
        step["epilogue"]["steps"] = step["epilogue"]["steps"] + [[7, 3, 0, [[1, 0], [1, 1]]]] * 40

    with pytest.raises(PlanError) as error:
        trt.Runtime(trt.Logger()).deserialize_cuda_engine(changed(fused, change))
    assert "steps behind its result" in str(error.value)

"""QuantizedConvolution. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from networks import new_network
from onnx import TensorProto, helper, numpy_helper
from onnx_models import parsed
from quantized import INT8, UINT8, integers, zero_point

import dovetail as trt
from dovetail.core.errors import DTypeError, FieldValueError, ShapeError
from dovetail.core.types import DataType
from dovetail.machine.plan import read_plan
from dovetail.machine.testing import Case, check, make_layer, truth

FLOAT, INT32 = DataType.FLOAT, DataType.INT32
ONE, TWO = (1, 1), (2, 2)
SAME_UPPER, ROUND_UP = 2, 1


def case(name, x, kernel, to=UINT8, groups=1, type_=UINT8, zero=True, bias=True, seed=0, kernel_zeros=0, **fields):
    """Random integers of all values; `kernel_zeros`: how many zero points the kernel has."""
    rng = np.random.default_rng(seed)
    maps = kernel[0]
    given = {"x": integers(rng, type_, x), "kernel": integers(rng, INT8, kernel)}
    if zero:
        given["x_zero"] = zero_point(rng, type_, 1)
    if to != INT32:
        spread = 100 if to == FLOAT else 0.004 / np.sqrt(np.prod(kernel[1:]))
        given["factor"] = (rng.uniform(0.1, 1, maps if seed % 2 == 0 else 1) * spread).astype(np.float32)
    if bias:
        given["bias"] = rng.uniform(-1e4, 1e4, maps).astype(np.float32 if to == FLOAT else np.int32)
    if to in (INT8, UINT8):
        given["y_zero"] = zero_point(rng, to, 1)
    if kernel_zeros:
        given["kernel_zero"] = zero_point(rng, INT8, kernel_zeros)
    sizes = {"num_output_maps": maps, "kernel_size_nd": kernel[2:], "num_groups": groups}
    return Case(name, dtypes=(type_,), to_type=to, **given, **sizes, **fields)


def added(name, x, kernel, y, to=UINT8, seed=0, sum_zero=3, **fields):
    """With an addend; factors are such that no sum is near to the middle of two steps."""
    made = case(name, x, kernel, to, seed=seed, **fields)
    factors = {"by_own": 0.75 + 2**-9, "by_addend": 0.5 + 2**-10, "addend_zero": 11 * seed}
    given = {"addend": integers(np.random.default_rng(seed), to, y), "sum_zero": sum_zero, **factors}
    made.named.update(given)
    return made


CASES = [
    case(f"{type_.name} to {to.name}", (2, 19, 7, 9), (21, 19, 3, 3), to, type_=type_, seed=seed, pre_padding=ONE)
    for seed, type_ in enumerate((INT8, UINT8))
    for to in (INT32, FLOAT, INT8, UINT8)
]
CASES += [
    case("rows of whole tiles", (2, 64, 5, 32), (48, 64, 3, 3), pre_padding=ONE, post_padding=ONE),
    case(
        "a row of a tile and a half",
        (1, 40, 6, 24),
        (21, 40, 3, 3),
        INT8,
        type_=INT8,
        pre_padding=ONE,
        post_padding=ONE,
    ),
    case("rows of part of a tile", (1, 80, 9, 14), (40, 80, 3, 3), pre_padding=ONE, post_padding=ONE),
    case("rows of tiles, every other pixel", (2, 24, 13, 55), (32, 24, 3, 3), stride_nd=TWO, pre_padding=ONE),
    case(
        "rows of tiles, dilated",
        (1, 32, 20, 28),
        (16, 32, 3, 5),
        dilation_nd=(4, 1),
        pre_padding=(4, 2),
        post_padding=(4, 2),
    ),
    case("rows of tiles, a column as window", (1, 48, 9, 16), (33, 48, 3, 1), FLOAT),
    case("rows of tiles, to int32", (1, 17, 7, 30), (70, 17, 2, 2), INT32, type_=INT8),
    case("rows of tiles, zero points of the kernel", (1, 33, 8, 28), (40, 33, 3, 3), kernel_zeros=40, pre_padding=ONE),
    case("many rows of tiles", (1, 64, 56, 56), (64, 64, 3, 3), pre_padding=ONE, post_padding=ONE),
    added("rows of tiles and another tensor", (2, 32, 6, 30), (24, 32, 3, 3), (2, 24, 4, 28), INT8, 2),
    case("pointwise", (2, 32, 9, 11), (48, 32, 1, 1)),
    case("pointwise of signed numbers", (1, 17, 5, 5), (33, 17, 1, 1), INT8, type_=INT8),
    case("a long row", (1, 16, 37, 41), (16, 16, 1, 1)),
    case("pointwise with a stride", (1, 40, 9, 8), (16, 40, 1, 1), stride_nd=TWO),
    case("a map of one element", (3, 64, 1, 1), (10, 64, 1, 1), FLOAT),
    case(
        "three channels, wide window",
        (2, 3, 23, 20),
        (16, 3, 7, 7),
        stride_nd=TWO,
        pre_padding=(3, 3),
        post_padding=(3, 3),
    ),
    case("four channels", (1, 4, 8, 9), (20, 4, 3, 3), INT8, type_=INT8, post_padding=ONE),
    case("one channel, dilated", (1, 1, 12, 12), (5, 1, 3, 3), dilation_nd=(2, 3)),
    case("dilation", (1, 20, 12, 13), (6, 20, 3, 3), dilation_nd=(3, 2), pre_padding=(3, 2), post_padding=(3, 2)),
    case("depthwise", (2, 32, 9, 9), (32, 1, 3, 3), groups=32, pre_padding=ONE, post_padding=ONE),
    case("depthwise, odd channels", (1, 21, 9, 8), (21, 1, 5, 5), INT8, 21, INT8, stride_nd=TWO, pre_padding=TWO),
    case("depthwise, rows of four", (1, 48, 8, 18), (48, 1, 3, 3), groups=48, pre_padding=ONE, post_padding=ONE),
    case("depthwise, a window of five", (1, 16, 10, 19), (16, 1, 5, 5), groups=16, pre_padding=TWO, post_padding=TWO),
    case("depthwise to float32", (1, 33, 7, 5), (33, 1, 3, 3), FLOAT, 33, stride_nd=TWO, pre_padding=ONE),
    case("depthwise to int32", (2, 17, 5, 6), (17, 1, 3, 2), INT32, 17, INT8, pre_padding=ONE),
    case("depthwise, a wide window", (1, 20, 9, 12), (20, 1, 2, 7), groups=20, pre_padding=(0, 3)),
    case("depthwise, dilated rows", (1, 16, 11, 9), (16, 1, 3, 3), groups=16, dilation_nd=(2, 1)),
    case("depthwise, dilated columns", (1, 16, 9, 11), (16, 1, 3, 3), groups=16, dilation_nd=(1, 2)),
    case("depthwise, strides that differ", (1, 16, 9, 11), (16, 1, 3, 3), groups=16, stride_nd=(1, 2)),
    case("depthwise of one map element", (1, 40, 3, 3), (40, 1, 3, 3), groups=40),
    case("depthwise, zero points of the kernel", (1, 37, 9, 9), (37, 1, 3, 3), INT8, 37, INT8, kernel_zeros=37),
    case("depthwise, one zero point of the kernel", (2, 32, 6, 7), (32, 1, 5, 5), INT32, 32, kernel_zeros=1),
    case("zero points of the kernel", (2, 19, 7, 9), (21, 19, 3, 3), seed=1, kernel_zeros=21, pre_padding=ONE),
    case("one zero point of the kernel", (1, 48, 23, 17), (40, 48, 1, 1), kernel_zeros=1),
    case("a zero point, three channels", (1, 3, 13, 12), (17, 3, 5, 5), INT32, type_=INT8, kernel_zeros=1),
    case("a zero point, float32", (3, 32, 5, 5), (10, 32, 3, 3), FLOAT, kernel_zeros=10, stride_nd=TWO),
    added("an addend", (2, 19, 7, 9), (37, 19, 1, 1), (2, 37, 7, 9), seed=1),
    added("an addend of signed numbers", (1, 32, 7, 9), (16, 32, 3, 3), (1, 16, 5, 7), INT8, 2),
    added("an addend behind limits", (1, 32, 8, 9), (48, 32, 1, 1), (1, 48, 8, 9), low=90, sum_low=100, sum_high=201),
    added("an addend, depthwise", (1, 20, 8, 9), (20, 1, 3, 3), (1, 20, 6, 7), seed=3, groups=20),
    case("two maps a channel", (1, 6, 7, 7), (12, 1, 3, 3), groups=6),
    case("narrow groups", (1, 32, 6, 6), (32, 4, 3, 3), groups=8),
    case("groups of no whole blocks", (1, 12, 6, 6), (9, 4, 3, 3), groups=3),
    case("groups of whole blocks", (2, 32, 5, 5), (48, 16, 3, 3), groups=2, pre_padding=ONE),
    case("padding wider than the input", (1, 2, 2, 2), (3, 2, 3, 3), pre_padding=(4, 4), post_padding=(4, 4)),
    case("stride above the window", (1, 5, 11, 10), (4, 5, 2, 2), stride_nd=(3, 4)),
    case("same", (1, 3, 7, 8), (4, 3, 3, 3), stride_nd=TWO, padding_mode=SAME_UPPER),
    case("rounded up", (1, 16, 8, 8), (4, 16, 3, 3), stride_nd=(3, 3), padding_mode=ROUND_UP),
    case("without zero point and bias", (1, 18, 6, 6), (5, 18, 3, 3), INT32, zero=False, bias=False),
    case("limits", (1, 8, 6, 6), (18, 8, 3, 3), low=100, high=180),
    case("no images", (0, 8, 6, 6), (4, 8, 3, 3)),
    case("many channels", (1, 700, 3, 3), (20, 700, 3, 3), INT32, pre_padding=ONE, post_padding=ONE),
    Case(
        "the largest products",
        dtypes=(UINT8,),
        x=np.full((1, 160, 5, 5), 255, np.uint8),
        kernel=np.where(np.arange(17) % 2, 127, -128).astype(np.int8)[:, None, None, None]
        * np.ones((17, 160, 3, 3), np.int8),
        x_zero=np.uint8([0]),
        num_output_maps=17,
        kernel_size_nd=(3, 3),
    ),
]
test_kernels = check("QuantizedConvolution@1", CASES)


def test_cells_outside_count_as_the_zero_point(compute):
    x, kernel = np.full((1, 1, 2, 2), 7, np.uint8), np.ones((1, 1, 3, 3), np.int8)
    fields = {"num_output_maps": 1, "kernel_size_nd": (3, 3), "pre_padding": ONE, "post_padding": ONE}
    y = compute("QuantizedConvolution", x, kernel, None, np.uint8([7]), None, None, **fields)
    np.testing.assert_array_equal(y, np.zeros((1, 1, 2, 2), np.int32))


def test_an_addend_has_the_type_and_the_dims_of_the_result(infer):
    x, kernel, factor = np.zeros((1, 2, 5, 5), np.uint8), np.zeros((3, 2, 3, 3), np.int8), np.float32([1])
    fields = {"num_output_maps": 3, "kernel_size_nd": (3, 3)}
    given = (x, kernel, None, None)
    with pytest.raises(DTypeError, match="adds tensors of the result's type"):
        infer("QuantizedConvolution", *given, factor, None, None, x, to_type=FLOAT, **fields)
    with pytest.raises(ShapeError, match="axis 1 of addend"):
        infer(
            "QuantizedConvolution",
            *given,
            factor,
            None,
            None,
            np.zeros((1, 2, 3, 3), np.uint8),
            to_type=UINT8,
            **fields,
        )
    with pytest.raises(FieldValueError, match="sum_low"):
        more = {"to_type": UINT8, "sum_low": 5, "sum_high": 4, **fields}
        infer("QuantizedConvolution", *given, factor, None, None, np.zeros((1, 3, 3, 3), np.uint8), **more)
    with pytest.raises(FieldValueError, match="by_addend = inf"):
        more = {"to_type": UINT8, "by_addend": float("inf"), **fields}
        infer("QuantizedConvolution", *given, factor, None, None, np.zeros((1, 3, 3, 3), np.uint8), **more)


def test_inputs_must_agree(infer):
    x, kernel = np.zeros((1, 2, 5, 5), np.uint8), np.zeros((3, 2, 3, 3), np.int8)
    fields = {"num_output_maps": 3, "kernel_size_nd": (3, 3)}
    with pytest.raises(ShapeError, match="needs a factor"):
        infer("QuantizedConvolution", x, kernel, None, None, None, None, to_type=FLOAT, **fields)
    with pytest.raises(ShapeError, match="cannot use a x_zero"):
        infer("QuantizedConvolution", x, kernel, None, np.uint8([1, 2]), None, None, **fields)
    with pytest.raises(ShapeError, match="cannot use a factor"):
        infer("QuantizedConvolution", x, kernel, None, None, np.float32([1, 2]), None, to_type=FLOAT, **fields)
    with pytest.raises(DTypeError, match="needs a x_zero of UINT8"):
        infer("QuantizedConvolution", x, kernel, None, np.int8([1]), None, None, **fields)
    with pytest.raises(DTypeError, match="needs a y_zero of UINT8"):
        infer("QuantizedConvolution", x, kernel, None, None, np.float32([1]), np.int8([1]), to_type=UINT8, **fields)


@pytest.mark.parametrize(("zero", "wanted"), [(None, 80), (3, 32)])
def test_the_add_method_puts_optional_inputs_behind_weights_in_their_places(zero, wanted):
    builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR))
    network, config = builder.create_network(), builder.create_builder_config()
    x = network.add_input("x", trt.int8, (1, 16, 4, 4))
    given = {} if zero is None else {"x_zero": network.add_constant((1,), np.full(1, zero, np.int8)).get_output(0)}
    kernel = np.ones((8, 16, 1, 1), np.int8)
    layer = network.add_quantized_convolution(
        x, kernel=kernel, num_output_maps=8, kernel_size_nd=(1, 1), to_type=trt.int32, **given
    )
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    plan = builder.build_serialized_network(network, config)
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    assert (context.run({"x": np.full((1, 16, 4, 4), 5, np.int8)})["y"] == wanted).all()


@pytest.mark.gpu
@pytest.mark.parametrize(
    "name", ["depthwise, one zero point of the kernel", "a zero point, three channels", "an addend"]
)
def test_what_no_kernel_for_gpus_computes_is_left_to_the_cpu(name):
    case = next(case for case in CASES if case.name == name)
    arrays, values = case.arrays(trt.get_plugin_registry(), "QuantizedConvolution@1", case.dtypes[0])
    builder, network, config = new_network()
    inputs = [None if array is None else network.add_constant(array.shape, array).get_output(0) for array in arrays]
    inputs[0] = network.add_input("x", case.dtypes[0], arrays[0].shape)
    y = network.add_plugin("QuantizedConvolution", inputs, values).get_output(0)
    y.name = "y"
    network.mark_output(y)
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    plan = builder.build_serialized_network(network, config)
    (step,) = (step for step in read_plan(plan)["report"]["steps"] if step["op"] == "QuantizedConvolution@1")
    assert step["device"] == "cpu"
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    (exact,) = truth(make_layer(trt.get_plugin_registry(), "QuantizedConvolution@1", arrays, values), arrays)
    np.testing.assert_array_equal(context.run({"x": arrays[0]})["y"], exact)


@pytest.mark.parametrize(
    ("kernel", "groups"), [((21, 20, 3, 3), 1), ((20, 1, 3, 3), 20), ((12, 10, 2, 2), 2)], ids=["plain", "each", "two"]
)
@pytest.mark.parametrize("type_", [np.uint8, np.int8])
def test_onnx_kernels_with_any_zero_point(kernel, groups, type_):
    rng, info = np.random.default_rng(3), np.iinfo(type_)
    x = rng.integers(0, 256, (1, 20, 9, 8)).astype(np.uint8)
    w = rng.integers(info.min, info.max + 1, kernel).astype(type_)
    inputs = {"x": x, "w": w, "x_zero": np.uint8(7), "w_zero": type_(113)}
    node = helper.make_node("ConvInteger", [*inputs], ["y"], group=groups, pads=[1, 1, 1, 1])
    known = [numpy_helper.from_array(np.asarray(array), name) for name, array in inputs.items() if name != "x"]
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.INT32, None)],
        known,
    )
    builder, network, errors = parsed(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    )
    assert not errors, errors
    assert ("QuantizedConvolution" in [layer.spec.name for layer in network]) == (groups != 2)
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    y = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context().run({"x": x})["y"]
    cells = np.pad(x.astype(np.int64) - 7, [(0, 0), (0, 0), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(cells, kernel[2:], (2, 3))
    maps, of_group = kernel[0] // groups, 20 // groups
    wanted = [
        np.einsum(
            "chwij,kcij->khw",
            windows[0, g * of_group : (g + 1) * of_group],
            (w.astype(np.int64) - 113)[g * maps : (g + 1) * maps],
        )
        for g in range(groups)
    ]
    np.testing.assert_array_equal(y[0], np.concatenate(wanted))

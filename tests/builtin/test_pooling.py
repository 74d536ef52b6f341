"""Pooling. Cases are shared by correctness, benchmark and the reference page."""

from itertools import product

import numpy as np
import pytest
from quantized import INT8, UINT8, integers

import dovetail as trt
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import constraints, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check, check_case
from dovetail.plugins import PaddingMode
from dovetail.plugins.padding import pooling_extent
from dovetail.registry.loader import default_registry

TYPES = (*FLOATS, DataType.INT8)
THREE, TWO, ONE = (3, 3), (2, 2), (1, 1)

CASES = [
    Case(f"{mode.name}, {kind}", x=(2, 3, 11, 8), type=kind, window_size_nd=(3, 2), stride_nd=(2, 3),
         pre_padding=(1, 0), post_padding=(2, 1), padding_mode=mode, blend_factor=0.3,
         average_count_excludes_padding=kind != 1, dtypes=TYPES)
    for mode, kind in product(PaddingMode, range(3))
]  # fmt: skip
CASES += [
    Case("blocks of 16", x=(2, 35, 9, 13), window_size_nd=THREE, stride_nd=TWO, pre_padding=ONE, post_padding=ONE,
         dtypes=FLOATS),
    Case("blocks of 16, average", x=(2, 16, 6, 7), type=1, window_size_nd=THREE, pre_padding=ONE, dtypes=FLOATS),
    Case("three dims", x=(2, 3, 5, 6, 7), type=1, window_size_nd=(2, 3, 3), stride_nd=(1, 2, 2),
         pre_padding=(1, 1, 0), average_count_excludes_padding=False, dtypes=TYPES),
    Case("three dims, max", x=(2, 18, 5, 6, 7), window_size_nd=(3, 2, 3), padding_mode=PaddingMode.SAME_LOWER),
    Case("whole image", x=(2, 40, 7, 7), type=1, window_size_nd=(7, 7), dtypes=TYPES),
    Case("large whole image", x=(1, 3, 60, 61), type=1, window_size_nd=(60, 61), dtypes=TYPES, low=0),
    Case("window of one", x=(1, 2, 4, 5), window_size_nd=ONE, stride_nd=(2, 3)),
    Case("no batch", x=(3, 6, 8), type=2, blend_factor=0.75, window_size_nd=TWO, stride_nd=TWO),
    Case("two batch dims", x=(2, 2, 3, 6, 8), type=1, window_size_nd=TWO, stride_nd=TWO),
    Case("no image", x=(0, 3, 6, 8), type=1, window_size_nd=TWO),
    Case("windows in the padding", x=(1, 1, 6, 6), type=1, window_size_nd=THREE, stride_nd=TWO, pre_padding=(3, 3),
         post_padding=TWO, dtypes=TYPES),
    # Rows that are joined in registers, of several vectors and a part, with outputs that reach outside on both sides.
    Case("long rows, by two", x=(1, 3, 9, 75), window_size_nd=THREE, stride_nd=TWO, pre_padding=ONE, post_padding=ONE,
         dtypes=FLOATS),
    Case("long rows, by two, average", x=(2, 3, 8, 66), type=1, window_size_nd=(2, 4), stride_nd=TWO,
         pre_padding=(1, 3), dtypes=FLOATS),
    Case("long rows, by one", x=(1, 2, 12, 37), type=1, window_size_nd=(5, 5), pre_padding=TWO, post_padding=TWO,
         average_count_excludes_padding=False, dtypes=FLOATS),
    Case("long rows, by three", x=(1, 2, 7, 50), window_size_nd=(8, 16), stride_nd=(1, 3), pre_padding=(7, 15),
         post_padding=(7, 15), dtypes=FLOATS),
    Case("more rows than are joined at once", x=(1, 2, 20, 40), window_size_nd=(9, 3), stride_nd=TWO),
    Case("many channels, by two", x=(1, 33, 6, 21), type=1, window_size_nd=TWO, stride_nd=TWO, dtypes=FLOATS),
    Case("max pool of a residual network", x=(8, 64, 112, 112), window_size_nd=THREE, stride_nd=TWO, pre_padding=ONE,
         post_padding=ONE, bench=True),
    Case("average pool of a residual network", x=(8, 2048, 7, 7), type=1, window_size_nd=(7, 7), bench=True),
]  # fmt: skip
CASES += [
    Case(f"maxima of {x.dtype.name}, {name}", dtypes=(type_,), x=x, type=0, window_size_nd=window, **fields)
    for type_, x in (
        (DataType.UINT8, np.random.default_rng(1).integers(0, 256, (2, 19, 9, 8)).astype(np.uint8)),
        (DataType.INT8, np.random.default_rng(2).integers(-128, 128, (2, 19, 9, 8)).astype(np.int8)),
    )
    for name, window, fields in (
        ("padded", (3, 3), {"stride_nd": TWO, "pre_padding": ONE, "post_padding": ONE}),
        ("of padding alone", (2, 2), {"pre_padding": (3, 2), "post_padding": (2, 3)}),
        ("of three dims", (5, 2, 3), {"stride_nd": (3, 1, 2)}),
    )
]
CASES += [
    Case(f"maxima of {type_.name}, side by side", dtypes=(type_,), type=0,
         x=integers(np.random.default_rng(5), type_, (1, 3, 5, 150)), window_size_nd=(2, 5), pre_padding=(0, 3),
         post_padding=(0, 4))
    for type_ in (UINT8, INT8)
]  # fmt: skip
test_kernels = check("Pooling@1", CASES)


def test_uint8_has_no_averages(infer):
    with pytest.raises(DTypeError, match="finds maxima of uint8, not AVERAGE"):
        infer("Pooling", np.zeros((1, 1, 4, 4), np.uint8), type=1, window_size_nd=(2, 2))


@pytest.mark.parametrize(
    ("mode", "before", "after", "expected"),
    [
        (PaddingMode.EXPLICIT_ROUND_DOWN, 3, 2, (5, 3, 2)),
        (PaddingMode.EXPLICIT_ROUND_UP, 3, 2, (5, 3, 2)),
        (PaddingMode.SAME_UPPER, 0, 0, (3, 0, 1)),
        (PaddingMode.SAME_LOWER, 0, 0, (3, 1, 0)),
        (PaddingMode.CAFFE_ROUND_DOWN, 3, 3, (5, 3, 3)),
        (PaddingMode.CAFFE_ROUND_UP, 3, 3, (5, 3, 3)),
    ],
)
def test_the_examples_of_tensorrts_header(mode, before, after, expected):
    assert pooling_extent(mode, 6, 3, 2, before, after) == expected


def test_what_an_average_divides_by(compute):
    x = np.ones((1, 1, 3, 3))
    fields = {"type": 1, "window_size_nd": TWO, "pre_padding": ONE, "post_padding": ONE, "stride_nd": TWO}
    assert compute("Pooling", x, **fields)[0, 0].tolist() == [[1, 1], [1, 1]]
    inside = compute("Pooling", x, **fields, average_count_excludes_padding=False)
    assert inside[0, 0].tolist() == [[0.25, 0.5], [0.5, 1]]


def test_cells_behind_the_padding_never_count(compute):
    """ROUND_UP: the last window has two cells of x, and nothing behind them."""
    fields = {"type": 1, "window_size_nd": (1, 3), "stride_nd": (1, 3), "padding_mode": PaddingMode.EXPLICIT_ROUND_UP}
    for excludes in (True, False):
        y = compute("Pooling", np.array([[[1.0, 2, 3, 4, 6]]]), **fields, average_count_excludes_padding=excludes)
        assert y.tolist() == [[[2, 5]]]


def test_nan_stays_nan(compute):
    x = np.array([[[1, np.nan, 3, 4.0]]])
    y = compute("Pooling", x, window_size_nd=(1, 2), stride_nd=(1, 2))
    assert np.isnan(y[0, 0]).tolist() == [True, False]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", [0, 1])
def test_nan_and_infinities_within_a_vector(kind, dtype):
    x = np.random.default_rng(4).standard_normal((1, 17, 6, 40)).astype(np.float32)
    x[0, 2, 3, 5], x[0, 3, 1, 9], x[0, 16, 4, 38], x[0, 4] = np.nan, np.inf, -np.nan, -np.inf
    case = Case("not finite", x=x, type=kind, window_size_nd=THREE, stride_nd=TWO, pre_padding=ONE)
    with np.errstate(invalid="ignore"):
        assert check_case(default_registry(), "Pooling@1", case, dtype) > 0


def test_int8_averages_round_to_even(compute):
    x = np.array([[[1, 2, 2, 3, -3, -4]]], np.int8)
    y = compute("Pooling", x, type=1, window_size_nd=(1, 2), stride_nd=(1, 2))
    assert (y.dtype, y.tolist()) == (np.int8, [[[2, 2, -4]]])


def test_unknown_extents(infer):
    x = (1, input_dim(0, 1, "C"), input_dim(0, 2, "H"), 9)
    with constraints() as found:
        (y,) = infer("Pooling", x, window_size_nd=THREE, stride_nd=TWO, padding_mode=PaddingMode.CAFFE_ROUND_UP)
    assert y.dims.evaluate([[1, 5, 8, 9]]) == (1, 5, 4, 4)
    assert [bool(c.condition.evaluate([[1, 5, h, 9]])) for c in found for h in (8, 1)] == [True, False]


def test_a_window_larger_than_the_input_names_both(infer):
    with pytest.raises(ShapeError, match="output extent of 0 on spatial axis 1") as error:
        infer("Pooling", (1, 1, 9, 3), window_size_nd=(3, 4))
    assert "input   3" in str(error.value)


def test_caffe_does_not_pad_by_the_window(infer):
    with pytest.raises(ShapeError, match="cannot pad by 3 in front of a window of 3"):
        infer("Pooling", (1, 1, 6, 6), window_size_nd=THREE, pre_padding=(3, 3), padding_mode=4)


def test_a_list_of_another_length_is_named(infer):
    with pytest.raises(ShapeError, match="stride_nd"):
        infer("Pooling", (1, 1, 6, 6), window_size_nd=THREE, stride_nd=(2, 2, 2))


def test_fields_are_those_of_tensorrt(network):
    x = network.add_input("x", trt.float32, (1, 5, 8, 8))
    layer = network.add_pooling_nd(x, trt.PoolingType.AVERAGE, (3, 3))
    layer.padding_nd = (1, 2)
    assert (layer.pre_padding, layer.post_padding, layer.stride_nd) == ((1, 2), (1, 2), (1, 1))
    assert (layer.blend_factor, layer.average_count_excludes_padding) == (0, True)
    with pytest.warns(DeprecationWarning, match="add_pooling_nd"):
        network.add_pooling(x, trt.PoolingType.MAX, (2, 2))

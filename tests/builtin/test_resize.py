"""Resize. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check

NEAREST, LINEAR, CUBIC = trt.InterpolationMode
PLACES, ROUNDING = trt.ResizeCoordinateTransformation, trt.ResizeRoundMode
UPPER = trt.ResizeSelector.UPPER
TYPES = [t for t in DataType if t != DataType.FP8]
BLENDED = [*FLOATS, DataType.INT8, DataType.UINT8]


def case(name, x, y, mode=LINEAR, places=PLACES.HALF_PIXEL, **more):
    return Case(name, x=x, shape=y, resize_mode=mode, coordinate_transformation=places, **more)


CASES = [
    case(f"{mode.name} {places.name} {'larger' if larger else 'smaller'}", (2, 3, 7, 10), size, mode, places)
    for mode in (NEAREST, LINEAR, CUBIC)
    for places in list(PLACES)[:-1]
    for larger, size in ((True, (2, 3, 16, 25)), (False, (2, 3, 4, 3)))
]
CASES += [
    case(f"nearest {r.name}", (1, 2, 5, 9), (1, 2, 8, 4), NEAREST, nearest_rounding=r, dtypes=TYPES) for r in ROUNDING
]
CASES += [
    case("nearest channels last", (2, 6, 5, 3), (2, 12, 7, 3), NEAREST, PLACES.ASYMMETRIC, dtypes=TYPES),
    case("nearest rows", (2, 5, 4, 37), (2, 9, 4, 37), NEAREST, dtypes=[DataType.FLOAT, DataType.UINT8]),
    case("nearest columns of rows", (2, 5, 4, 16), (2, 5, 9, 16), NEAREST),
    case("nearest everywhere", (3, 4, 5, 6), (5, 3, 10, 4), NEAREST),
    case("linear in all types", (2, 3, 8, 12), (2, 3, 16, 24), dtypes=BLENDED),
    case("linear smaller in all types", (2, 3, 8, 36), (2, 3, 4, 9), dtypes=BLENDED),
    case("cubic in all types", (2, 3, 8, 12), (2, 3, 16, 24), CUBIC, dtypes=BLENDED),
    case("channels last", (2, 9, 8, 3), (2, 13, 16, 3), dtypes=FLOATS),
    case("channels last, many", (2, 9, 8, 40), (2, 13, 16, 40), dtypes=FLOATS),
    case("rows only", (3, 9, 50), (3, 14, 50), dtypes=FLOATS),
    case("long rows only", (2, 5, 9000), (2, 8, 9000), dtypes=[DataType.FLOAT, DataType.INT8]),
    case("few columns only", (3, 9, 5), (3, 14, 5), dtypes=FLOATS),
    case("columns only", (2, 3, 33), (2, 3, 71), CUBIC, dtypes=FLOATS),
    case("one axis", (9,), (21,)),
    case("volumes", (1, 2, 4, 5, 6), (1, 2, 7, 10, 9), dtypes=FLOATS),
    case("volumes of channels last", (1, 4, 5, 6, 2), (1, 7, 10, 9, 2)),
    case("axes apart", (5, 3, 6), (8, 3, 11), dtypes=FLOATS),
    case("every axis", (3, 4, 5, 6), (5, 3, 10, 4)),
    case("every axis, cubic", (3, 4, 5, 6, 2), (5, 3, 10, 4, 3), CUBIC),
    case("nothing to do", (2, 3, 4), (2, 3, 4), dtypes=FLOATS),
    case("one element", (1, 2, 5, 6), (1, 2, 1, 1), CUBIC),
    case("the first element", (1, 2, 5, 6), (1, 2, 1, 7), selector_for_single_pixel=UPPER),
    case("of one cell", (1, 2, 1, 1), (1, 2, 3, 4), CUBIC),
    case("no images", (0, 2, 5, 6), (0, 2, 3, 9)),
    case("no elements", (1, 2, 5, 6), (1, 2, 0, 9)),
    case("cells outside weigh nothing", (1, 2, 7, 8), (1, 2, 15, 5), CUBIC, exclude_outside=True, cubic_coeff=-0.5),
    Case("scales", x=(1, 2, 5, 8), scales=(1, 1, 0.6, 1.8), resize_mode=LINEAR, dtypes=FLOATS),
    Case("nearest by scales", x=(1, 2, 5, 8), scales=(1, 1, 0.6, 1.8), coordinates_by_scales=True, dtypes=TYPES),
    Case("extents as a tensor", x=(1, 2, 5, 8), sizes=np.array([1, 2, 9, 3], np.int32), dtypes=TYPES),
    Case("extents of int64", x=(1, 2, 5, 8), sizes=np.array([1, 2, 9, 3]), resize_mode=LINEAR, dtypes=BLENDED),
    Case("large", x=(1, 64, 128, 128), shape=(1, 64, 256, 256), resize_mode=LINEAR, bench=True),
    Case("large nearest", x=(1, 64, 128, 128), shape=(1, 64, 256, 256), bench=True),
    case("large cubic", (1, 3, 512, 512), (1, 3, 224, 224), CUBIC, bench=True),
]
CASES += [
    case(f"{mode.name} without aliases, {name}", (2, 2, 29, 50), (2, 2, 6, 13), mode, antialias=True, **more)
    for mode in (LINEAR, CUBIC)
    for name, more in (("plain", {}), ("excluding", {"exclude_outside": True}))
]
CASES += [
    Case(
        f"{mode.name} by scales, {places.name}",
        x=(1, 2, 5, 8),
        scales=(1, 1, 1.27, 0.61),
        resize_mode=mode,
        coordinate_transformation=places,
        coordinates_by_scales=True,
        antialias=mode != NEAREST,
    )
    for mode in (NEAREST, LINEAR, CUBIC)
    for places in list(PLACES)[:-1]
]
CASES += [
    case(
        f"{mode.name} crop",
        (1, 2, 5, 8),
        (1, 2, 9, 6),
        mode,
        PLACES.CROP_AND_RESIZE,
        roi_start=(0, 0, 0.4, -0.3),
        roi_end=(1, 1, 1.2, 0.7),
        extrapolation_value=11.0,
        dtypes=TYPES if mode == NEAREST else FLOATS,
    )
    for mode in (NEAREST, LINEAR, CUBIC)
]
CASES += [
    case(f"{mode.name} blocks of channels", (2, 20, 7, 9), (2, 20, 14, 5), mode, PLACES.ALIGN_CORNERS, dtypes=FLOATS)
    for mode in (NEAREST, LINEAR, CUBIC)
]
test_kernels = check("Resize@1", CASES)


def test_values(compute):
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    y = compute("Resize", x, shape=(4, 4))
    assert y.tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    half, corners = (
        compute("Resize", x, shape=(2, 4), resize_mode=LINEAR, coordinate_transformation=places)
        for places in (PLACES.HALF_PIXEL, PLACES.ALIGN_CORNERS)
    )
    np.testing.assert_allclose(half[0], [1, 1.25, 1.75, 2])
    np.testing.assert_allclose(corners[1], [3, 3 + 1 / 3, 3 + 2 / 3, 4])


def test_extents_follow_from_scales_and_unknown_extents(infer):
    n = input_dim(0, 0, "n")
    x = SymbolicTensor(DimsExprs((1, 3, n, 8)), DataType.FLOAT)
    sizes = SymbolicTensor(DimsExprs((4,)), DataType.INT64, values=(1, 3, 2 * n, n // 2))
    with constraints() as found:
        (scaled,) = infer("Resize", x, scales=(1, 1, 1.5, 0.6))
        (shaped,) = infer("Resize", x, shape=(-1, -1, -1, 5))
        (sized,) = infer("Resize", x, sizes)
    assert tuple(scaled.dims.evaluate([[7]])) == (1, 3, 10, 4)
    assert tuple(shaped.dims.evaluate([[7]])) == (1, 3, 7, 5)
    assert tuple(sized.dims.evaluate([[7]])) == (1, 3, 14, 3)
    assert all(constraint.condition.evaluate([[7]]) for constraint in found)


@pytest.mark.parametrize(
    ("extent", "scale", "wanted"),
    [
        (10, 0.7, 7),
        (10, 0.9, 9),
        (10, 1.3, 13),
        (20, 1.8, 36),
        (30, 2.3, 69),
        (100, 3.3, 330),
        (7, 1 / 3, 2),
        (5, 0.19, 0),
    ],
)
def test_scaled_extents_are_products_in_float32(infer, extent, scale, wanted):
    (y,) = infer("Resize", np.zeros((extent, 2), np.float32), scales=(scale, 1))
    assert tuple(y.dims.known()) == (wanted, 2)
    with constraints():
        x = SymbolicTensor(DimsExprs((input_dim(0, 0, "n"), 2)), DataType.FLOAT)
        (y,) = infer("Resize", x, scales=(scale, 1))
    assert tuple(y.dims.evaluate([[extent]])) == (wanted, 2)


def test_corners_are_those_of_the_tensor(compute):
    """3 cells of 5 scaled by 0.7: the last one is the last cell of x, not cell 4.67."""
    fields = {"scales": (0.7,), "coordinates_by_scales": True, "coordinate_transformation": PLACES.ALIGN_CORNERS}
    assert compute("Resize", np.arange(5.0), resize_mode=LINEAR, **fields).tolist() == [0, 2, 4]


def test_places_of_nearest_are_float32(compute):
    """3 / 0.3 is 10 in float32, though 0.3 is a little more there: cell 10, as in torch and ONNX Runtime."""
    y = compute("Resize", np.arange(40.0), scales=(0.3,), coordinates_by_scales=True)
    assert y.tolist() == [0, 3, 6, 10, 13, 16, 20, 23, 26, 29, 33, 36]


def test_what_does_not_fit_is_named(infer):
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ShapeError, match="0 values of scales for a tensor with 2 dims"):
        infer("Resize", x)
    with pytest.raises(ShapeError, match="3 values of shape"):
        infer("Resize", x, shape=(1, 2, 3))
    with pytest.raises(ShapeError, match=r"scale axis 1 by 0\.0"):
        infer("Resize", x, scales=(1.0, 0.0))
    with pytest.raises(ShapeError, match="axis 0, which has none"):
        infer("Resize", np.zeros((0, 3), np.float32), shape=(1, 3))
    with pytest.raises(DTypeError, match="cannot blend elements of INT32"):
        infer("Resize", np.zeros((2, 3), np.int32), shape=(1, 3), resize_mode=LINEAR)
    with pytest.raises(ShapeError, match="contents of its input 'sizes'"):
        infer("Resize", x, SymbolicTensor(DimsExprs((2,)), DataType.INT32))


def test_it_is_added_as_in_tensorrt(network):
    x = network.add_input("x", trt.float32, (1, 3, 4, 5))
    layer = network.add_resize(x)
    layer.scales = (1, 1, 2, 2)
    assert tuple(layer.get_output(0).shape) == (1, 3, 8, 10)
    layer.shape = (1, 3, 6, 6)
    layer.resize_mode = LINEAR
    assert tuple(layer.get_output(0).shape) == (1, 3, 6, 6)
    with pytest.warns(DeprecationWarning, match="coordinate_transformation"):
        layer.align_corners = True
    assert layer.coordinate_transformation == PLACES.ALIGN_CORNERS
    sizes = network.add_constant((4,), np.array([1, 3, 2, 2], np.int32)).get_output(0)
    layer.set_input(1, sizes)
    assert tuple(layer.get_output(0).shape) == (1, 3, 2, 2)

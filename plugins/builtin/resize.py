"""Resize."""

from __future__ import annotations

import numpy

from dovetail.core.contract import LayerProperty
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import select
from dovetail.core.named import Named
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Floats, Input, Ints, Output, Plugin, axis_of, field, require_that
from dovetail.plugins.builtin._fractions import quotient_of, ratios_of
from dovetail.plugins.builtin._sampling import InterpolationMode
from dovetail.plugins.builtin._scaled_extents import scaled
from dovetail.plugins.builtin._values import elements_of
from dovetail.plugins.onnx import Counts, applied, cast, combined, counts_given, extents, onnx_op, replaced, sliced

TYPES = tuple(t for t in DataType if t != DataType.FP8)
BLENDED = (*FLOATS, DataType.INT8, DataType.UINT8)  # what LINEAR and CUBIC compute with
INTEGERS = (DataType.INT32, DataType.INT64)
WORDS = "|".join(t.short for t in TYPES)
HALF = 0.5 + 1e-6  # from a cell to the middle between two, with what float32 does to places


class ResizeCoordinateTransformation(Named):
    """Where in x an element of y lies. TensorRT has the first three."""

    ALIGN_CORNERS = 0
    ASYMMETRIC = 1
    HALF_PIXEL = 2
    HALF_PIXEL_SYMMETRIC = 3
    PYTORCH_HALF_PIXEL = 4
    HALF_PIXEL_FOR_NN = 5
    CROP_AND_RESIZE = 6


class ResizeSelector(Named):
    """What the only element of an axis is made of: what the coordinate says, or the first cell."""

    FORMULA = 0
    UPPER = 1


class ResizeRoundMode(Named):
    """How a coordinate becomes the number of a cell."""

    HALF_UP = 0
    HALF_DOWN = 1
    FLOOR = 2
    CEIL = 3


def _set_align_corners(values, wanted):
    kind = ResizeCoordinateTransformation
    values["coordinate_transformation"] = kind.ALIGN_CORNERS if wanted else kind.ASYMMETRIC


class Resize(Plugin):
    """y = x at other extents: each axis is sampled where `coordinate_transformation` says

    Inputs    x      any dims; in NEAREST any type but FP8, else float16 | bfloat16 | float32 | int8 | uint8
              sizes  optional, [rank of x], int32 | int64: extents of y, in place of the field `shape`; contents follow
                     from constants and extents
    Outputs   y      type of x. Dims are `sizes`, or `shape`, or floor(extent * scale), the product being a float32 one
    Places    element i of an axis with L cells and n elements lies at v in x. With s = n / L, or the scale that was
              given where coordinates_by_scales is set:
              ALIGN_CORNERS         i (L - 1) / (n - 1), and 0 if n = 1
              ASYMMETRIC            i / s
              HALF_PIXEL            (i + 1/2) / s - 1/2
              HALF_PIXEL_SYMMETRIC  the same + (1 - n / (s L)) L / 2
              PYTORCH_HALF_PIXEL    HALF_PIXEL, but 0 if n = 1
              HALF_PIXEL_FOR_NN     (i + 1/2) / s
              CROP_AND_RESIZE       (start + i (end - start) / (n - 1)) (L - 1), and in the middle if n = 1; beyond x is
                                    `extrapolation_value`
              An axis that keeps its extent at scale 1, and is not cropped, is left as it is.
    Modes     NEAREST  x[round(v)]; within 1e-6 of the middle between two cells is the middle
              LINEAR   sum of x[c] t(c - v), t(d) = max(0, 1 - |d|)
              CUBIC    the same with Keys' kernel, a being cubic_coeff: (a + 2)|d|^3 - (a + 3)|d|^2 + 1 up to |d| = 1,
                       a (|d|^3 - 5|d|^2 + 8|d| - 4) up to 2
              `antialias` widens t by 1 / s where s < 1. Cells beyond x are those of its edge; `exclude_outside` gives
              them no weight.
    Numerics  places are float64, those of NEAREST float32 in each step, as ONNX Runtime and torch have them; weights
              and sums float32; int8 and uint8 are rounded to nearest, ties to even. A cell of no weight may still
              make a nan of its inf or nan
    Errors    ShapeError if extents are not given or not as many as axes, or x has none to take; DTypeError
    Source    TensorRT 8.5 IResizeLayer; ONNX Resize for what that has not
    """

    purpose = "Windows and sampling"
    x = Input(TYPES, quantized=True)
    sizes = Input(INTEGERS, optional=True, shape=True, doc="Extents of y, in place of `shape`.")
    y = Output(like="x", quantized=True)

    shape: Ints = field((), low=-1, doc="Extents of y; -1 keeps that of x. () leaves them to `scales`.")
    scales: Floats = field((), low=0.0, doc="Extents of y by those of x; one for each axis.")
    resize_mode: InterpolationMode = field(InterpolationMode.NEAREST, doc="What an element is made of.")
    coordinate_transformation: ResizeCoordinateTransformation = field(
        ResizeCoordinateTransformation.ASYMMETRIC, doc="Where in x an element lies."
    )
    selector_for_single_pixel: ResizeSelector = field(
        ResizeSelector.FORMULA, doc="What the only element of an axis is made of."
    )
    nearest_rounding: ResizeRoundMode = field(ResizeRoundMode.FLOOR, doc="How NEAREST rounds coordinates.")
    cubic_coeff: float = field(-0.75, doc="Slope of the cubic kernel at 1.")
    exclude_outside: bool = field(False, doc="Do cells beyond x weigh nothing, rather than being those of its edge?")
    antialias: bool = field(False, doc="Do LINEAR and CUBIC widen their kernels where y is smaller than x?")
    coordinates_by_scales: bool = field(False, doc="Do coordinates follow `scales`, rather than the extents?")
    extrapolation_value: float = field(0.0, doc="What lies beyond x in CROP_AND_RESIZE.")
    roi_start: Floats = field((), doc="First edge of what CROP_AND_RESIZE takes, by axis; 0 is the first cell.")
    roi_end: Floats = field((), doc="Last edge of it; 1 is the last cell.")

    enums = {"ResizeMode": InterpolationMode}  # its name before TensorRT 8.5

    align_corners = LayerProperty(
        lambda values: values["coordinate_transformation"] == ResizeCoordinateTransformation.ALIGN_CORNERS,
        _set_align_corners,
        deprecated="coordinate_transformation",
    )
    type_rows = tuple(f"{WORDS} {t.short} -> {WORDS}" for t in INTEGERS)

    # ---- extents
    def infer(self, x, sizes):
        if self.resize_mode != InterpolationMode.NEAREST and x.dtype not in BLENDED:
            raise DTypeError(
                f"{self.label} cannot blend elements of {x.dtype.name}",
                facts=[("resize_mode", self.resize_mode.name), ("allowed", ", ".join(t.name for t in BLENDED))],
                hint="Use NEAREST, or convert with a Cast layer.",
                got=x.dtype,
            )
        dims = self._dims(x, sizes)
        for axis, (extent, size) in enumerate(zip(dims, x.dims, strict=True)):
            facts = [("axis", axis), ("x", x.dims), ("y", f"[{', '.join(map(str, dims))}]")]
            require_that(extent >= 0, f"{self.label} cannot give axis {axis} {extent} elements", facts, axis=axis)
            if extent is not size:
                require_that(
                    select(extent > 0, size > 0, 1),
                    f"{self.label} cannot take elements from axis {axis}, which has none",
                    facts,
                    axis=axis,
                )
        return x.like(dims)

    def _dims(self, x, sizes):
        needed = {"shape": self.shape} if sizes is None and self.shape else {}
        if (sizes is None and not self.shape) or self.coordinates_by_scales:
            needed["scales"] = self.scales
        if self.coordinate_transformation == ResizeCoordinateTransformation.CROP_AND_RESIZE:
            needed |= {"roi_start": self.roi_start, "roi_end": self.roi_end}
        if sizes is not None:
            needed["sizes"] = elements_of(self.label, "sizes", sizes)
        for name, values in needed.items():
            if len(values) != x.rank:
                raise ShapeError(
                    f"{self.label} has {len(values)} values of {name} for a tensor with {x.rank} dims",
                    facts=[(name, f"[{', '.join(map(str, values))}]"), ("x", x.dims)],
                    hint="Set layer.shape or layer.scales, or layer.set_input(1, extents).",
                    field=name,
                    expected=x.rank,
                    got=len(values),
                )
        zero = [axis for axis, scale in enumerate(needed.get("scales", ())) if not 0 < scale < numpy.inf]
        if zero:
            raise ShapeError(
                f"{self.label} cannot scale axis {zero[0]} by {self.scales[zero[0]]}",
                facts=[("scales", self.scales), ("rule", "above 0, finite")],
                field="scales",
            )
        if sizes is not None:
            return needed["sizes"]
        if self.shape:
            return [size if extent < 0 else extent for extent, size in zip(self.shape, x.dims, strict=True)]
        return [scaled(size, scale) for size, scale in zip(x.dims, self.scales, strict=True)]

    # ---- values
    def reference(self, x, sizes):
        if sizes is not None:
            dims = [int(extent) for extent in sizes]
        elif self.shape:
            dims = [size if extent < 0 else extent for extent, size in zip(self.shape, x.shape, strict=True)]
        else:
            dims = [scaled(size, scale) for size, scale in zip(x.shape, self.scales, strict=True)]
        if 0 in dims:
            return numpy.zeros(dims, x.dtype)
        y, beyond = x if x.dtype.kind == "f" or self._is_nearest else x.astype(numpy.float32), numpy.zeros((), bool)
        for axis, (size, extent) in enumerate(zip(x.shape, dims, strict=True)):
            if self._is_kept(axis, size, extent):
                continue
            v, outside = self._places(axis, size, extent)
            y = self._sampled(y, axis, v, size, extent)
            beyond = beyond | outside.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
        if x.dtype.kind in "iu" and not self._is_nearest:
            limits = numpy.iinfo(x.dtype)
            y = numpy.clip(numpy.rint(y), limits.min, limits.max).astype(x.dtype)
        if not beyond.any():
            return y
        return numpy.where(beyond, numpy.asarray(self.extrapolation_value).astype(x.dtype), y)

    @property
    def _is_nearest(self):
        return self.resize_mode == InterpolationMode.NEAREST

    def _scale(self, axis, size, extent):
        return float(numpy.float32(self.scales[axis])) if self.coordinates_by_scales else extent / size

    def _is_kept(self, axis, size, extent):
        kind = ResizeCoordinateTransformation.CROP_AND_RESIZE
        whole = self.coordinate_transformation != kind or (self.roi_start[axis], self.roi_end[axis]) == (0, 1)
        return whole and size == extent and self._scale(axis, size, extent) == 1

    def _places(self, axis, size, extent):
        """Where the elements of an axis lie, and which of them beyond x."""
        kind = ResizeCoordinateTransformation
        real = numpy.float32 if self._is_nearest else numpy.float64
        how, i, half = self.coordinate_transformation, numpy.arange(extent).astype(real), real(0.5)
        outside = numpy.zeros(extent, bool)
        # i / s is exact for whole numbers if it is a division by a whole number.
        top, bottom = real(1), real(self._scale(axis, size, extent))
        if not self.coordinates_by_scales:
            top, bottom = (top, real(extent) / real(size)) if self._is_nearest else (real(size), real(extent))
        last, steps = real(size - 1), real(extent - 1)
        if self.selector_for_single_pixel == ResizeSelector.UPPER and extent == 1:
            v = i
        elif how == kind.ALIGN_CORNERS:
            v = i * last / steps if extent != 1 else i * 0
        elif how == kind.ASYMMETRIC:
            v = i * top / bottom
        elif how == kind.HALF_PIXEL_FOR_NN:
            v = (i + half) * top / bottom
        elif how == kind.CROP_AND_RESIZE:
            start, end = real(self.roi_start[axis]), real(self.roi_end[axis])
            first, length = start * last, (end - start) * last
            v = i * length / steps + first if extent != 1 else i * 0 + (length * half + first)
            outside = (v < 0) | (v > size - 1)
        elif how == kind.PYTORCH_HALF_PIXEL and extent == 1:
            v = i * 0
        else:
            v = (i + half) * top / bottom
            if how == kind.HALF_PIXEL_SYMMETRIC and (self.coordinates_by_scales or self._is_nearest):
                v = v + real(size) * half * (1 - real(extent) / (bottom * real(size)))
            v = v - half
        return v.astype(numpy.float64), outside

    def _sampled(self, x, axis, v, size, extent):
        if self._is_nearest:
            rounded = {
                ResizeRoundMode.HALF_UP: numpy.floor(v + HALF),
                ResizeRoundMode.HALF_DOWN: numpy.ceil(v - HALF),
                ResizeRoundMode.FLOOR: numpy.floor(v),
                ResizeRoundMode.CEIL: numpy.ceil(v),
            }[self.nearest_rounding]
            return numpy.take(x, numpy.clip(rounded, 0, size - 1).astype(int), axis)
        radius = 1 if self.resize_mode == InterpolationMode.LINEAR else 2
        narrow = min(1.0, self._scale(axis, size, extent)) if self.antialias else 1.0
        first = int(numpy.floor(-radius / narrow)) + 1
        cells = (numpy.ceil(v) - 1 + first)[:, None] + numpy.arange(2 - 2 * first)
        d = numpy.abs(cells - v[:, None]) * narrow
        if radius == 1:
            weights = numpy.maximum(0, 1 - d)
        else:
            a = self.cubic_coeff
            near = ((a + 2) * d - (a + 3)) * d * d + 1
            weights = numpy.where(d <= 1, near, numpy.where(d < 2, a * (((d - 5) * d + 8) * d - 4), 0))
        if self.exclude_outside:
            weights = numpy.where((cells < 0) | (cells >= size), 0, weights)
        if self.exclude_outside or narrow < 1:
            total = weights.sum(axis=1, keepdims=True)
            weights = weights / numpy.where(total == 0, 1, total)
        cells = numpy.clip(cells, 0, size - 1).astype(int)
        y = 0
        for tap in range(cells.shape[1]):
            weight = weights[:, tap].astype(x.dtype).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
            y = y + numpy.take(x, cells[:, tap], axis) * weight
        return y

    @classmethod
    def add_resize(cls, network, input):
        """A Resize layer. `layer.shape` or `layer.scales` say to what, or `layer.set_input(1, extents)`."""
        return network.add_plugin(cls.name, [input], {})

    @staticmethod
    def onnx():
        return (
            onnx_op("Resize", 10, rewrite=lambda node: resize(node)),
            onnx_op("Upsample", 7, 9, rewrite=lambda node: upsample(node)),
        )


# ---- ONNX


MODES = {
    "nearest": InterpolationMode.NEAREST,
    "linear": InterpolationMode.LINEAR,
    "bilinear": InterpolationMode.LINEAR,
    "cubic": InterpolationMode.CUBIC,
}
PLACES = {
    "half_pixel": ResizeCoordinateTransformation.HALF_PIXEL,
    "half_pixel_symmetric": ResizeCoordinateTransformation.HALF_PIXEL_SYMMETRIC,
    "pytorch_half_pixel": ResizeCoordinateTransformation.PYTORCH_HALF_PIXEL,
    "align_corners": ResizeCoordinateTransformation.ALIGN_CORNERS,
    "asymmetric": ResizeCoordinateTransformation.ASYMMETRIC,
    "tf_half_pixel_for_nn": ResizeCoordinateTransformation.HALF_PIXEL_FOR_NN,
    "tf_crop_and_resize": ResizeCoordinateTransformation.CROP_AND_RESIZE,
}
ROUNDINGS = {
    "round_prefer_floor": ResizeRoundMode.HALF_DOWN,
    "round_prefer_ceil": ResizeRoundMode.HALF_UP,
    "floor": ResizeRoundMode.FLOOR,
    "ceil": ResizeRoundMode.CEIL,
}


def choice(node, name, default, known):
    """What an attribute's word stands for. Raises where it stands for nothing."""
    word = node.attr(name, default)
    if word not in known:
        raise node.fail(f"{name} is '{word}'", known=", ".join(known))
    return known[word]


def given(node, index):
    """An input is there, and is not the empty tensor that stands for an absent one."""
    value = node.value(index)
    return value is not None and 0 not in value.shape


def known_values(node, index, name):
    values = node.constant(index)
    if values is None:
        raise node.fail(f"input '{name}' has to be known when the network is built")
    return values.reshape(-1).tolist()


def axes_of_attribute(node, rank):
    """The axes that are resized, counted from the front; all of them where there is no attribute."""
    axes = [axis_of(axis, rank, node.op_type) for axis in node.attr("axes") or range(rank)]
    if len(set(axes)) < len(axes):
        raise node.fail("an axis is given twice", axes=node.attr("axes"))
    return axes


def mode_of(node):
    """How elements are blended."""
    return choice(node, "mode", "nearest", MODES)


ON_ITS_EXTENT = (  # places that follow from the extent of y, and not from the scale
    ResizeCoordinateTransformation.ALIGN_CORNERS,
    ResizeCoordinateTransformation.CROP_AND_RESIZE,
)


def by_quotients(node, index, axes, fields):
    """Resize by scales that are not known, each the quotient of a size and the extent of its axis.

    An extent is the product of the two, which float32 may round to one less than the size. Places that follow from the
    extent follow from this one; others from the size, and then y is the first part of what the sizes give.
    """
    x, scales = node[0], node[index]
    check_quotients(node, scales, axes)
    dims = extents(node, x)
    floats = cast(node, dims[axes].tensor(), DataType.FLOAT)
    product = combined(node, "PROD", floats, scales)
    sizes, parts = (Counts(node, cast(node, applied(node, op, product), DataType.INT64)) for op in ("ROUND", "FLOOR"))
    how, known = fields.get("coordinate_transformation"), None
    if how in ON_ITS_EXTENT:
        return node.add("Resize", [x, replaced(dims, axes, parts).tensor()], **fields)
    if how == ResizeCoordinateTransformation.HALF_PIXEL_SYMMETRIC:
        known = combined(node, "EQUAL", sizes.tensor(), parts.tensor())
    elif how == ResizeCoordinateTransformation.PYTORCH_HALF_PIXEL:
        is_one = combined(node, "EQUAL", parts.tensor(), 1)
        known = combined(node, "OR", combined(node, "EQUAL", sizes.tensor(), 1), applied(node, "NOT", is_one))
    if known is not None:
        text = (
            f"{node.op_type} '{node.name}' by scales: in float32 an extent times its scale is less than the size that "
            "the scale was made of, and places follow from both; use the input sizes instead"
        )
        node.network.add_plugin("Assertion", [known], {"message": text})
    y = node.add("Resize", [x, replaced(dims, axes, sizes).tensor()], **fields)
    return sliced(node, y, Counts(node, [0] * len(dims)), replaced(dims, axes, parts))


def check_quotients(node, scales, axes):
    """Raises the error to raise where a scale is not the quotient of a size by the extent of its axis."""
    numbers = ratios_of(scales.symbolic)
    hint = "use the input sizes instead"
    if numbers is None or numbers.shape != (len(axes),):
        text = "its scales must be known when the network is built, or be quotients of sizes and extents"
        raise node.fail(text, scales=f"'{scales.name}' {scales.shape}", hint=hint)
    for axis, number in zip(axes, numbers, strict=True):
        size, extent = quotient_of(number) or (None, None)
        is_whole = size is not None and size.value is not None and extent.value == 1
        if not is_whole and (extent is None or not extent.same(node[0].symbolic.dims[axis])):
            raise node.fail(
                f"its scale of axis {axis} is not known when the network is built, nor the quotient of a size by the "
                "extent of that axis",
                scale=number.text(),
                extent=node[0].symbolic.dims[axis],
                hint=hint,
            )


def upsample(node):
    """ONNX Upsample, and Resize of opset 10, which rounds places up on axes that become shorter, others down."""
    x, mode = node[0], mode_of(node)
    is_rounded = node.op_type == "Resize" and mode == InterpolationMode.NEAREST
    if node.opset >= 9 and given(node, 1) and node.constant(1) is None:
        axes = list(range(len(x.shape)))
        if not is_rounded:
            return by_quotients(node, 1, axes, {"resize_mode": mode})
        y = by_quotients(node, 1, axes, {"resize_mode": mode, "nearest_rounding": ResizeRoundMode.FLOOR})
        longer = combined(node, "LESS", extents(node, y).tensor(), extents(node, x).tensor())
        text = f"Resize '{node.name}' of opset 10 rounds places up where axes become shorter: its scales must be known"
        node.network.add_plugin("Assertion", [applied(node, "NOT", longer)], {"message": text})
        return y
    scales = node.attr("scales") if node.opset < 9 else known_values(node, 1, "scales")
    if scales is None:
        raise node.fail("it has no scales")
    fields = {"resize_mode": mode, "coordinates_by_scales": True}
    if is_rounded and min(scales, default=1) < 1:
        shorter = tuple(min(scale, 1.0) for scale in scales)
        x = node.add("Resize", [x], scales=shorter, nearest_rounding=ResizeRoundMode.CEIL, **fields)
        scales = [max(scale, 1.0) for scale in scales]
        if max(scales) == 1:
            return x
    return node.add("Resize", [x], scales=tuple(scales), **fields)


def resize(node):
    """ONNX Resize."""
    if node.opset < 11:
        return upsample(node)
    rank = len(node[0].shape)
    axes = axes_of_attribute(node, rank)

    def on_axes(values, other):
        if len(values) != len(axes):
            raise node.fail("it needs one value for each axis", values=len(values), axes=len(axes))
        spread = [other] * rank
        for axis, value in zip(axes, values, strict=True):
            spread[axis] = value
        return tuple(spread)

    fields = {
        "resize_mode": mode_of(node),
        "coordinate_transformation": choice(node, "coordinate_transformation_mode", "half_pixel", PLACES),
        "nearest_rounding": choice(node, "nearest_mode", "round_prefer_floor", ROUNDINGS),
        "cubic_coeff": node.attr("cubic_coeff_a", -0.75),
        "exclude_outside": bool(node.attr("exclude_outside", 0)),
        "antialias": bool(node.attr("antialias", 0)),
        "extrapolation_value": node.attr("extrapolation_value", 0.0),
    }
    if fields["coordinate_transformation"] == ResizeCoordinateTransformation.CROP_AND_RESIZE:
        roi = known_values(node, 1, "roi")
        fields |= {"roi_start": on_axes(roi[: len(axes)], 0.0), "roi_end": on_axes(roi[len(axes) :], 1.0)}
    if mode_of(node) != InterpolationMode.NEAREST and node[0].dtype in INTEGERS:  # blended as ONNX Runtime does
        x = node[0]
        inputs = [cast(node, x, DataType.FLOAT), *(node.value(index) for index in range(1, len(node)))]
        attrs = {name: value for name, value in node.attributes().items() if value is not None}
        return cast(node, node.onnx("Resize", inputs, opset=node.opset, **attrs), x.dtype)
    if given(node, 2) and node.constant(2) is None:
        return by_quotients(node, 2, axes, fields)
    if given(node, 2):
        scales = on_axes(known_values(node, 2, "scales"), 1.0)
        return node.add("Resize", [node[0]], scales=scales, coordinates_by_scales=True, **fields)
    policy = node.attr("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        wanted = counts_given(node, 3, "sizes")
        if len(wanted) != len(axes):
            raise node.fail("it needs one size for each axis", sizes=len(wanted), axes=len(axes))
        sizes = replaced(extents(node, node[0]), axes, wanted)
        if sizes.known is None:
            return node.add("Resize", [node[0], sizes.tensor()], **fields)
        return node.add("Resize", [node[0]], shape=tuple(sizes.known.tolist()), **fields)
    sizes, dims = known_values(node, 3, "sizes"), [node[0].shape[axis] for axis in axes]
    if len(axes) == 1:  # whose own scale is the one that is kept
        sizes = replaced(extents(node, node[0]), axes, Counts(node, sizes))
        return node.add("Resize", [node[0], sizes.tensor()], **fields)
    if -1 in dims:
        raise node.fail(
            f"keep_aspect_ratio_policy '{policy}' needs to know the extents of the input, since the scale of one axis "
            "decides the places on the others",
            x=node[0].symbolic.dims,
            axes=axes,
            hint="give these extents numbers, or compute the sizes in the model and let the policy be 'stretch'",
        )
    pick = choice(node, "keep_aspect_ratio_policy", "stretch", {"not_larger": min, "not_smaller": max})
    scale = pick(numpy.float32(size) / numpy.float32(extent) for size, extent in zip(sizes, dims, strict=True))
    shape = on_axes([int(numpy.float32(extent) * scale + numpy.float32(0.5)) for extent in dims], -1)
    scales = on_axes([float(scale)] * len(axes), 1.0)
    return node.add("Resize", [node[0]], shape=shape, scales=scales, coordinates_by_scales=True, **fields)

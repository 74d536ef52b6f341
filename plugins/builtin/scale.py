"""Scale."""

from __future__ import annotations

from numpy import float64, sqrt

from dovetail.core.arguments import shape_of
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs
from dovetail.core.named import Named
from dovetail.core.types import FLOATS, DataType, nptype
from dovetail.plugins import Input, Output, Plugin, Weights, axis_of, field, require_equal
from dovetail.plugins.builtin._batch import front_dims_hint
from dovetail.plugins.onnx import cast, channels, elementwise, in_float, onnx_op, rank_of, reduced, scalar, unary


class ScaleMode(Named):
    """How many values scale, shift and power have."""

    UNIFORM = 0
    CHANNEL = 1
    ELEMENTWISE = 2


class Scale(Plugin):
    """y = (x * scale + shift) ** power

    Inputs    x      [d0, ..., dn-1], rank 1..8, float16 | bfloat16 | float32
              scale, shift, power  one value (UNIFORM), one per extent of `channel_axis` (CHANNEL), or one
                     per element of the dims from `channel_axis` on, repeated over those before it
                     (ELEMENTWISE). Data may have any dims of that size. Absent ones are 1, 0 and 1.
    Outputs   y      dims and type of x
    Numerics  float32 whatever the type; a negative base with a fractional power gives nan
    Errors    ShapeError if a number of values does not fit, or `channel_axis` is outside x
    Source    TensorRT 8.5 IScaleLayer; add_scale takes the third axis from the end for the channels
    """

    purpose = "Element by element"
    x = Input(FLOATS)
    scale = Weights(FLOATS, optional=True, doc="Factor; 1 if absent.")
    shift = Weights(FLOATS, optional=True, doc="Added after scaling; 0 if absent.")
    power = Weights(FLOATS, optional=True, doc="Exponent; 1 if absent.")
    y = Output(like="x")
    mode: ScaleMode = field(ScaleMode.UNIFORM, doc="How many values scale, shift and power have.")
    channel_axis: int = field(1, low=-8, high=7, doc="Axis of the channels; negative counts from the end.")

    scalar = "(x * along(scale, channel_axis) + along(shift, channel_axis)) ** along(power, channel_axis)"
    type_rows = (
        "f32|f16|bf16|f16|bf16 f32|f16|bf16|f32|f32 f32|f16|bf16|f32|f32 f32|f16|bf16|f32|f32 -> f32|f16|bf16|f16|bf16",
    )

    def weight_dims(self, x, scale, shift, power):
        dims = self._value_dims(x)
        if not dims.is_constant:
            return {}  # the data keeps its own dims; infer says what must hold
        return dict.fromkeys(("scale", "shift", "power"), tuple(int(d) for d in dims))

    def _value_dims(self, x):
        if self.mode == ScaleMode.UNIFORM:
            return DimsExprs((1,))
        axis = axis_of(self.channel_axis, x.rank, self.label)
        return x.dims[axis : axis + 1] if self.mode == ScaleMode.CHANNEL else x.dims[axis:]

    def infer(self, x, scale, shift, power):
        wanted = self._value_dims(x)
        for name, values in (("scale", scale), ("shift", shift), ("power", power)):
            if values is not None:
                require_equal(
                    self.label,
                    (f"{self.mode.name} values, {wanted}", wanted.volume),
                    (f"values of {name}, {values.dims}", values.dims.volume),
                    hint="ELEMENTWISE with channel_axis 0 takes one value for each element of x.",
                )
        return x.like()

    def reference(self, x, scale, shift, power):
        y = x if scale is None else x * self._spread(scale, x)
        y = y if shift is None else y + self._spread(shift, x)
        return y if power is None else y ** self._spread(power, x)

    def _spread(self, values, x):
        """The values in dims that numpy repeats over x."""
        axis = self.channel_axis % x.ndim
        if self.mode == ScaleMode.UNIFORM:
            return values.reshape(())
        if self.mode == ScaleMode.CHANNEL:
            return values.reshape((-1,) + (1,) * (x.ndim - axis - 1))
        return values.reshape(x.shape[axis:])

    @staticmethod
    def onnx():
        return (onnx_op("BatchNormalization", mixes_types=True, rewrite=batch_normalization),)

    @classmethod
    def add_scale(cls, network, input, mode, shift=None, scale=None, power=None):
        """A Scale layer whose channels are the third axis from the end. Raises ShapeError below rank 4."""
        rank = len(shape_of("the input of add_scale", input))
        if rank < 4:
            raise ShapeError(
                f"add_scale cannot find the channels of a tensor with {rank} dims",
                facts=[("rank", f"{rank}, at least 4 is needed"), ("tensor", input.name)],
                hint="Say where they are: add_scale_nd(input, mode, shift, scale, power, channel_axis). "
                + front_dims_hint(input.shape, 2),
                expected=4,
                got=rank,
            )
        return cls.add_scale_nd(network, input, mode, shift, scale, power, rank - 3)

    @classmethod
    def add_scale_nd(cls, network, input, mode, shift=None, scale=None, power=None, channel_axis=1):
        """A Scale layer. shift, scale and power are arrays, or None for no effect."""
        fields = {"mode": mode, "channel_axis": channel_axis, "scale": scale, "shift": shift, "power": power}
        return network.add_plugin("Scale", [input], fields)


# ---- ONNX


def batch_normalization(node):
    """ONNX BatchNormalization: with statistics that are known it is a scale and a shift a channel."""
    values = [node.constant(index) for index in range(1, 5)]
    if any(value is None for value in values) or node.attr("training_mode", 0):
        return normalized(node)
    gain, bias, mean, variance = (value.astype(float64) for value in values)
    scale = gain / sqrt(variance + node.attr("epsilon", 1e-5))
    shift = bias - mean * scale
    dtype = nptype(DataType.FLOAT if values[0].dtype == nptype(DataType.FLOAT) else node[0].dtype)
    fields = {"scale": scale.astype(dtype), "shift": shift.astype(dtype)}
    return node.add("Scale", [node[0]], mode=ScaleMode.CHANNEL, channel_axis=1, **fields)


def normalized(node):
    """The same of statistics that are tensors; those of x itself with training_mode, which gives running ones too."""
    x, rank = in_float(node, node[0]), rank_of(node[0])
    gain, bias, mean, variance = (in_float(node, node[index]) for index in range(1, 5))
    running = []
    if node.attr("training_mode", 0):
        axes, momentum = [axis for axis in range(rank) if axis != 1], node.attr("momentum", 0.9)
        own_mean = reduced(node, "AVG", x, axes)
        off = elementwise(node, "SUB", x, own_mean)
        own_variance = reduced(node, "AVG", elementwise(node, "PROD", off, off), axes)
        for old, own in ((mean, own_mean), (variance, own_variance)):
            flat = node.add("Shuffle", [own], reshape_dims=(-1,))
            kept = elementwise(node, "PROD", old, scalar(old, momentum))
            running.append(elementwise(node, "SUM", kept, elementwise(node, "PROD", flat, scalar(old, 1 - momentum))))
        mean, variance = own_mean, own_variance
    gain, bias, mean, variance = (
        value if rank_of(value) == rank else channels(node, value, rank, 1) for value in (gain, bias, mean, variance)
    )
    deviation = unary(node, "SQRT", elementwise(node, "SUM", variance, scalar(variance, node.attr("epsilon", 1e-5))))
    y = elementwise(node, "DIV", elementwise(node, "SUB", x, mean), deviation)
    y = elementwise(node, "SUM", elementwise(node, "PROD", y, gain), bias)
    return cast(node, y, node[0].dtype), *(cast(node, value, node[3].dtype) for value in running)

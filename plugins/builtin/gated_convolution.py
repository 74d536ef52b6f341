"""GatedConvolution."""

from __future__ import annotations

from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Weights, all_equal, require_that
from dovetail.plugins.builtin._convolved import convolved, extents_of
from dovetail.plugins.builtin._convolving import Convolving


class GatedConvolution(Convolving):
    """y = convolution of x * gate, where gate has one value for each channel

    Inputs    x       [..., C, spatial], two or three spatial dims, float32
              kernel  [K, C / groups, window]; not flipped
              bias    [K], optional
              gate    [..., C, 1...], float32; its front extents are those of x, or 1
    Outputs   y       [..., K, spatial], float32
    Numerics  cells outside x are 0; sums are float32. The factor may be multiplied to x or to the kernel: a product of
              three is rounded twice, and x * gate alone is not limited to what float32 can hold
    Errors    ShapeError if channels, groups and weights disagree, or gate has other extents
    Source    squeeze and excitation (Hu et al. 2018): x * gate need not be stored. The builder makes such layers of a
              product and a convolution where that is measured to be faster
    """

    purpose = "Matrices and convolutions"
    role = "gated convolution"
    x = Input(DataType.FLOAT, doc="[batch..., channels, spatial...]")
    kernel = Weights(DataType.FLOAT, doc="The kernel.")
    bias = Weights(DataType.FLOAT, optional=True, doc="[num_output_maps], added to every position.")
    gate = Input(DataType.FLOAT, doc="[batch..., channels, 1...]: what each channel of x is multiplied by.")
    y = Output(DataType.FLOAT, doc="[batch..., num_output_maps, spatial...]")

    type_rows = ("f32 f32 f32 f32 -> f32",)

    def weight_dims(self, x, kernel, bias, gate=None):
        dims = (self.num_output_maps, self.channels_of(x) // self.num_groups, *self.kernel_size_nd)
        return {"kernel": dims, "bias": (self.num_output_maps,)}

    def infer(self, x, kernel, bias, gate):
        self.check_weights(x, kernel, bias)
        front, is_rank = x.rank - self.spatial - 1, gate.rank == x.rank
        shared = [axis < front and is_rank and gate.dims[axis].same(1) for axis in range(x.rank)]
        wanted = [1 if axis > front or shared[axis] else x.dims[axis] for axis in range(x.rank)]
        require_that(
            is_rank and all_equal(gate.dims, wanted),
            f"{self.label} cannot multiply x of {x.dims} by a gate of {gate.dims}",
            [("gate", gate.dims), ("needed", "the channels of x and ones behind them; in front extents of x or ones")],
            got=str(gate.dims),
        )
        return self.output(x, [extent for extent, _ in extents_of(self, x.dims)])

    def reference(self, x, kernel, bias, gate):
        y = convolved(self, x * gate, kernel)
        return y if bias is None else y + bias.reshape(-1, *(1,) * self.spatial)

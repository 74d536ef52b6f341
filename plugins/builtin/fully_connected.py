"""FullyConnected."""

from __future__ import annotations

import warnings
from math import prod

from dovetail.core.errors import ShapeError
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, Weights, all_equal, field, known_extent, require_that

QUANTIZABLE = (*FLOATS, DataType.INT8)


class FullyConnected(Plugin):
    """y[n] = bias[n] + sum over k of kernel[n, k] * x[k], with k running over the last three dims of x

    Inputs    x       [batch..., C, H, W], float16 | bfloat16 | float32, or quantised int8
              kernel  [num_output_channels, C * H * W]
              bias    [num_output_channels], optional
    Outputs   y       [batch..., num_output_channels, 1, 1]; type of x, float32 for int8
    Numerics  sums are float32 (int32 for int8) whatever the type;
              denormal bfloat16 elements may count as zeros (CPUs with AVX512-BF16)
    Errors    ShapeError if x has fewer than three dims, or the weights do not fit
    Source    TensorRT 8.5 IFullyConnectedLayer, deprecated there for MatrixMultiply
    """

    purpose = "Matrices and convolutions"
    x = Input(QUANTIZABLE, quantized=True, doc="[batch..., C, H, W]")
    kernel = Weights(QUANTIZABLE, quantized=True, doc="The kernel.")
    bias = Weights(FLOATS, optional=True, doc="[num_output_channels], added to every row.")
    y = Output(QUANTIZABLE, quantized=True, doc="[batch..., num_output_channels, 1, 1]")
    num_output_channels: int = field(doc="Number of outputs.", low=1)

    # Weights may stay float32 beside narrower data.
    type_rows = ("f32|f16|bf16|f16|bf16 f32|f16|bf16|f32|f32 f32|f16|bf16|f32|f32 -> f32|f16|bf16|f16|bf16",)

    def weight_dims(self, x, kernel, bias):
        if x.rank < 3:
            raise ShapeError(
                f"{self.label} flattens the last three dims, and x has {x.rank}",
                facts=[("x", x.dims), ("needed", "[batch..., C, H, W], rank 3 or more")],
                hint="Put extents of 1 behind them with a Shuffle layer, or use a MatrixMultiply layer.",
                expected=3,
                got=x.rank,
            )
        flattened = prod(known_extent(self.label, "last three extents of x", extent) for extent in x.dims[-3:])
        return {"kernel": (self.num_output_channels, flattened), "bias": (self.num_output_channels,)}

    def infer(self, x, kernel, bias):
        for name, wanted in self.weight_dims(x, kernel, bias).items():
            given = {"kernel": kernel, "bias": bias}[name]
            if given is not None:
                require_that(
                    given.rank == len(wanted) and all_equal(given.dims, wanted),
                    f"{self.label} cannot use a {name} of {given.dims}",
                    [(name, given.dims), ("needed", list(wanted))],
                    hint="Change num_output_channels, or the weights.",
                    expected=wanted,
                    got=str(given.dims),
                )
        dims = (*x.dims[:-3], self.num_output_channels, 1, 1)
        return x.like(dims, DataType.FLOAT if x.dtype == DataType.INT8 else x.dtype)

    def reference(self, x, kernel, bias):
        batch = x.shape[:-3]
        y = x.reshape(prod(batch), prod(x.shape[-3:])) @ kernel.T.astype(x.dtype)
        y = y if bias is None else y + bias
        return y.astype(x.dtype).reshape(*batch, self.num_output_channels, 1, 1)

    @classmethod
    def add_fully_connected(cls, network, input, num_outputs, kernel, bias=None):
        """A FullyConnected layer; deprecated. Weights may be flat; `set_input(1, tensor)` feeds an empty kernel."""
        warnings.warn("Use add_matrix_multiply instead.", DeprecationWarning, stacklevel=3)
        fields = {"num_output_channels": num_outputs, "kernel": kernel, "bias": bias}
        return network.add_plugin("FullyConnected", [input], fields)

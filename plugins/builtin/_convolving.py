"""Shared by convolution and deconvolution: ports, fields, second names, checks of shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy

from dovetail.core.arguments import extents
from dovetail.core.errors import ShapeError
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import (
    Input,
    Ints,
    Output,
    PaddingMode,
    Plugin,
    Weights,
    all_equal,
    both,
    deprecated,
    dilated,
    field,
    known_extent,
    renamed,
    require_that,
)
from dovetail.plugins.builtin._batch import front_dims_hint
from dovetail.plugins.onnx import rank_of, with_extent

QUANTIZABLE = (*FLOATS, DataType.INT8)


class Window(NamedTuple):
    """The window along one axis. `covered` is its dilated extent."""

    size: int
    stride: int
    before: int
    after: int
    dilation: int

    @property
    def covered(self) -> int:
        return dilated(self.size, self.dilation)


class Convolving(Plugin, abstract=True):
    """A layer that moves a kernel over the last two or three dims; channels are in front of these."""

    x = Input(QUANTIZABLE, quantized=True, doc="[batch..., channels, spatial...]")
    kernel = Weights(QUANTIZABLE, quantized=True, doc="The kernel.")
    bias = Weights(FLOATS, optional=True, doc="[num_output_maps], added to every position.")
    y = Output(QUANTIZABLE, quantized=True, doc="[batch..., num_output_maps, spatial...]")

    num_output_maps: int = field(doc="Number of output channels.", low=1)
    kernel_size_nd: Ints = field(doc="Extents of the window, 2 or 3.", low=1, min_length=2, max_length=3)
    stride_nd: Ints = field((), doc="Step per axis; () is 1 everywhere.", low=1, max_length=3)
    pre_padding: Ints = field((), doc="Padding in front per axis; () is 0 everywhere.", low=0, max_length=3)
    post_padding: Ints = field((), doc="Padding behind per axis; () is 0 everywhere.", low=0, max_length=3)
    padding_mode: PaddingMode = field(
        PaddingMode.EXPLICIT_ROUND_DOWN,
        doc="How padding and rounding decide extents; SAME modes choose the padding.",
    )
    dilation_nd: Ints = field((), doc="Distance of kernel elements per axis; () is 1 everywhere.", low=1, max_length=3)
    num_groups: int = field(1, doc="Number of groups that the channels are split into; groups do not mix.", low=1)

    padding_nd = both("pre_padding", "post_padding", doc="The same padding in front and behind.")
    kernel_size = renamed("kernel_size_nd")
    stride = renamed("stride_nd")
    dilation = renamed("dilation_nd")
    padding = deprecated(padding_nd, "padding_nd")

    # Weights may stay float32 beside narrower data.
    type_rows: ClassVar[Sequence[str]] = (
        "f32|f16|bf16|f16|bf16 f32|f16|bf16|f32|f32 f32|f16|bf16|f32|f32 -> f32|f16|bf16|f16|bf16",
    )

    @property
    def spatial(self) -> int:
        """Number of spatial dims."""
        return len(self.kernel_size_nd)

    def windows(self) -> Iterator[Window]:
        """The window along each spatial axis. Raises ShapeError if a list is not as long as the kernel."""
        defaults = {"stride_nd": 1, "pre_padding": 0, "post_padding": 0, "dilation_nd": 1}
        lists = [self.kernel_size_nd]
        for name, default in defaults.items():
            values = getattr(self, name) or (default,) * self.spatial
            if len(values) != self.spatial:
                raise ShapeError(
                    f"{self.label} has {self.spatial} spatial dims, but {name} = {values}",
                    facts=[
                        ("kernel_size_nd", f"{self.spatial} values, {self.kernel_size_nd}"),
                        (name, f"{len(values)} values"),
                    ],
                    expected=self.spatial,
                    got=len(values),
                )
            lists.append(values)
        return (Window(*facts) for facts in zip(*lists, strict=True))

    def channels_of(self, x: Any) -> int:
        """Number of input channels, which groups divide. Raises ShapeError."""
        if x.rank < self.spatial + 2:
            raise ShapeError(
                f"{self.label} cannot move a kernel of {self.spatial} dims over a tensor of {x.rank}",
                facts=[
                    ("x", f"{x.dims}, rank {x.rank}"),
                    ("needed", f"[batch, channels, spatial...], rank {self.spatial + 2} or more"),
                ],
                hint=front_dims_hint(x.dims, self.spatial),
                expected=self.spatial + 2,
                got=x.rank,
            )
        channels = known_extent(self.label, "number of channels", x.dims[-self.spatial - 1])
        for name, extent in (("channels of x", channels), ("num_output_maps", self.num_output_maps)):
            if extent % self.num_groups:
                raise ShapeError(
                    f"{self.label} cannot split {extent} {name} into {self.num_groups} groups",
                    facts=[(name, extent), ("num_groups", self.num_groups)],
                    hint="num_groups must divide both the channels of x and num_output_maps.",
                    expected=self.num_groups,
                    got=extent,
                )
        return channels

    def kernel_dims(self, channels: int) -> tuple[int, ...]:
        """Dims of the kernel for this number of input channels."""
        raise ShapeError(f"{self.label} does not say the dims of its kernel")

    def weight_dims(self, x: Any, kernel: Any, bias: Any) -> dict[str, tuple[int, ...]]:
        return {"kernel": self.kernel_dims(self.channels_of(x)), "bias": (self.num_output_maps,)}

    def check_weights(self, x: Any, *weights: Any) -> None:
        """Checks that weights have the dims that follow from x and the fields. Raises ShapeError."""
        for (name, wanted), given in zip(self.weight_dims(x, *weights).items(), weights, strict=True):
            if given is None:
                continue
            fits = given.rank == len(wanted) and all_equal(given.dims, wanted)
            require_that(
                fits,
                f"{self.label} cannot use a {name} of {given.dims}",
                [(name, given.dims), ("needed", list(wanted))],
                hint="Change num_output_maps, kernel_size_nd or num_groups, or the weights.",
                expected=wanted,
                got=str(given.dims),
            )

    def output(self, x: Any, extents: Sequence[Any]) -> Any:
        """y with these spatial extents. Raises ShapeError if one of them is below 1."""
        inputs = x.dims[-self.spatial :]
        for axis, (extent, size, window) in enumerate(zip(extents, inputs, self.windows(), strict=True)):
            require_that(
                extent > 0 if not self.padding_mode.is_same else extent >= 0,
                f"{self.label} has an output extent of {extent} on spatial axis {axis}",
                [
                    ("input", f"{size}, padded by {window.before} in front and {window.after} behind"),
                    ("window", f"{window.size} with dilation {window.dilation} covers {window.covered}"),
                    ("stride", window.stride),
                ],
                hint="Pad more, or use a smaller window or dilation.",
                got=str(extent),
            )
        dims = (*x.dims[: -self.spatial - 1], self.num_output_maps, *extents)
        return x.like(dims, DataType.FLOAT if x.dtype == DataType.INT8 else x.dtype)

    @classmethod
    def make_layer(
        cls,
        network: Any,
        input: Any,
        num_output_maps: int,
        kernel_shape: Sequence[int],
        kernel: Any,
        bias: Any,
    ) -> Any:
        """The layer, its other fields spelled out so that they can be read before they are set."""
        window = extents(f"the kernel_shape of a {cls.name} layer", kernel_shape)
        fields = {
            "num_output_maps": num_output_maps,
            "kernel_size_nd": window,
            "stride_nd": (1,) * len(window),
            "pre_padding": (0,) * len(window),
            "post_padding": (0,) * len(window),
            "dilation_nd": (1,) * len(window),
            "kernel": kernel,
            "bias": bias,
        }
        return network.add_plugin(cls.name, [input], fields, version=cls.version)


# ---- ONNX

AUTO_PAD = {"SAME_UPPER": PaddingMode.SAME_UPPER, "SAME_LOWER": PaddingMode.SAME_LOWER}


def onnx_window(node: Any, kernel: Any) -> tuple[int, dict[str, Any]]:
    """Number of spatial dims, and the fields that attributes of Conv and its like give. One dim becomes two."""
    spatial = rank_of(kernel) - 2
    if spatial not in (1, 2, 3):
        raise node.fail("windows have one to three dims", window=f"{spatial} dims")
    more = (1,) * (spatial == 1)
    none = (0,) * (spatial == 1)
    pads = node.attr("pads", (0,) * (2 * spatial))
    mode = node.attr("auto_pad", "NOTSET")
    extents = node.attr("kernel_shape") or tuple(kernel.shape[2:])
    for name in ("kernel_shape", "strides", "dilations", "output_padding"):
        if len(node.attr(name) or (0,) * spatial) != spatial or len(pads) != 2 * spatial:
            facts = {name: node.attr(name), "pads": pads, "window": f"{spatial} dims"}
            raise node.fail("a list has not one number for each dim of the window, pads two", **facts)
    if any(extent < 1 for extent in extents):
        raise node.fail("the window must be known", kernel_shape=extents)
    fields: dict[str, Any] = {
        "kernel_size_nd": more + tuple(extents),
        "stride_nd": more + tuple(node.attr("strides", (1,) * spatial)),
        "dilation_nd": more + tuple(node.attr("dilations", (1,) * spatial)),
        "num_groups": node.attr("group", 1),
    }
    if mode in AUTO_PAD:
        fields["padding_mode"] = AUTO_PAD[mode]
    elif mode == "NOTSET":
        fields |= {"pre_padding": none + tuple(pads[:spatial]), "post_padding": none + tuple(pads[spatial:])}
    elif mode != "VALID":
        raise node.fail("auto_pad has no such value", auto_pad=mode)
    return spatial, fields


def onnx_convolved(node: Any, op: str, spatial: int, inputs: Sequence[Any], **fields: Any) -> Any:
    """A layer with data, kernel and perhaps bias. One spatial dim is computed as two. The kernel gives the channels."""
    x, kernel, *bias = inputs
    groups = fields.get("num_groups", 1)
    channels = kernel.shape[0] if op == "Deconvolution" else kernel.shape[1] * groups
    rule = f"{node.op_type} '{node.name}' takes {channels} channels, as its kernel {list(kernel.shape)} has them"
    x = with_extent(node, x, 1, channels if min(kernel.shape[:2]) >= 0 else -1, rule)
    if spatial != 1:
        return node.add(op, [x, kernel, *bias], **fields)
    axis = numpy.array([2])
    y = node.add(op, [node.add("Unsqueeze", [x, axis]), node.add("Unsqueeze", [kernel, axis]), *bias], **fields)
    return node.add("Squeeze", [y, axis])


def onnx_inputs(node: Any) -> list[Any]:
    """Data, kernel and bias, weights as they are known: constant or computed."""
    return [node[0], node[1], *([node[2]] if node.get(2) is not None else [])]

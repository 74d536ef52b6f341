"""The deconvolution layer: every attribute on the digits 1..9, spread by weights of 10^4 .. 10^-4."""

import numpy as np
from frame import main, quantised, run, section

import dovetail as trt

n, c, h, w = 1, 1, 3, 3  # extents of the input
maps, kh, kw = 1, 3, 3  # of the kernel
digits = np.arange(1, 1 + h * w, dtype=np.float32).reshape(h, w)
data = digits.reshape(n, c, h, w)
weight = np.power(10, range(4, -5, -1), dtype=np.float32)
bias = np.zeros(maps, dtype=np.float32)


def show(title, **attributes):
    """The layer with these attributes set."""

    def add(network, x):
        layer = network.add_deconvolution_nd(x, maps, (kh, kw), weight, bias)
        for name, value in attributes.items():
            setattr(layer, name, value)
        return layer

    run(title, data, data.shape, add)


@section
def initial():
    show("initial")


@section
def set_later():
    """A layer made of placeholders; everything is set afterwards."""

    def add(network, x):
        layer = network.add_deconvolution_nd(x, 1, (1, 1), np.zeros(1, dtype=np.float32))
        layer.num_output_maps = maps
        layer.kernel_size_nd = (kh, kw)
        layer.kernel = weight
        layer.bias = bias
        return layer

    run("set_later", data, data.shape, add)


@section
def stride_nd():
    for value in ((2, 2), (2, 1), (1, 2)):
        show(f"stride_nd = {value}", stride_nd=value)


@section
def padding_nd():
    """Padding takes away from the output, on all sides."""
    for value in ((1, 1), (1, 0), (0, 1), (2, 2)):
        show(f"padding_nd = {value}", padding_nd=value)


@section
def pre_padding():
    for value in ((1, 1), (1, 0), (0, 1)):
        show(f"pre_padding = {value}", pre_padding=value)


@section
def post_padding():
    for value in ((1, 1), (1, 0), (0, 1)):
        show(f"post_padding = {value}", post_padding=value)


@section
def padding_mode():
    """With a stride of 2, so that the modes differ."""
    modes = ("SAME_UPPER", "SAME_LOWER", "EXPLICIT_ROUND_UP", "EXPLICIT_ROUND_DOWN")
    for name in (*modes, "CAFFE_ROUND_UP", "CAFFE_ROUND_DOWN"):
        show(f"padding_mode = {name}", stride_nd=(2, 2), padding_mode=trt.PaddingMode[name])


@section
def num_groups():
    """Two channels, each with weights of its own; the second one's are negative."""

    def add(network, x):
        both = np.concatenate([weight, -weight])
        layer = network.add_deconvolution_nd(x, 2, (kh, kw), both, np.zeros(2, dtype=np.float32))
        layer.num_groups = 2
        return layer

    run("num_groups = 2", np.stack([digits, digits]), (1, 2, h, w), add)


@section
def three_dims():
    """The same weights, as a kernel of depth 2: in the middle plane the two cancel, and what is left is rounding."""

    def add(network, x):
        kernel = np.concatenate([weight, -weight]).reshape(2, kh, kw)
        return network.add_deconvolution_nd(x, maps, kernel.shape, kernel, bias)

    run("three_dims", np.stack([digits, digits]), (n, 1, 2, h, w), add)


@section
def set_input():
    """Weights that are a tensor of the network, quantised; 10^4 and 10^3 become 127."""

    def add(network, x):
        kernel = network.add_constant([maps, c, kh, kw], weight).get_output(0)
        layer = network.add_deconvolution_nd(quantised(network, x), maps, (kh, kw), trt.Weights())
        layer.set_input(1, quantised(network, kernel))
        return layer

    run("set_input", data, data.shape, add, flags=1 << int(trt.BuilderFlag.INT8))


if __name__ == "__main__":
    main(__doc__)

"""The scale layer, y = (x * scale + shift) ^ power, with one set of values, one a channel, and one an element."""

import numpy as np
from frame import main, run, section

import dovetail as trt

n, c, h, w = 1, 3, 3, 3
data = np.arange(1, 1 + n * c * h * w, dtype=np.float32).reshape(n, c, h, w)


def show(title, mode, shift, scale, power):
    """The layer in this mode with these values."""
    run(title, data, data.shape, lambda network, x: network.add_scale(x, mode, shift, scale, power))


@section
def initial():
    half, seven, one = (np.array([value], dtype=np.float32) for value in (0.5, -7.0, 1.0))
    show("initial", trt.ScaleMode.UNIFORM, seven, half, one)


@section
def set_later():
    """Mode and values given with the layer, and set again."""

    def add(network, x):
        one = np.array([1], dtype=np.float32)
        layer = network.add_scale(x, trt.ScaleMode.UNIFORM, one, one, one)
        layer.scale = np.array([0.5], dtype=np.float32)
        layer.shift = np.array([-7.0], dtype=np.float32)
        layer.power = np.array([1.0], dtype=np.float32)
        return layer

    run("set_later", data, data.shape, add)


@section
def channel():
    shift = np.array([-2.5, -7.0, -11.5], dtype=np.float32)
    show("channel", trt.ScaleMode.CHANNEL, shift, np.full(3, 0.5, np.float32), np.ones(3, np.float32))


@section
def elementwise():
    shift, scale, power = (np.full((c, h, w), value, dtype=np.float32) for value in (-7.0, 0.5, 1.0))
    show("elementwise", trt.ScaleMode.ELEMENTWISE, shift, scale, power)


@section
def channel_axis():
    """Which axis the values of CHANNEL belong to: 0 is the batch, 1 the channels."""
    for axis in (0, 1):

        def add(network, x, axis=axis):
            shift, one = np.array([2.0, 3.0], dtype=np.float32), np.ones(2, dtype=np.float32)
            layer = network.add_scale_nd(x, trt.ScaleMode.CHANNEL, shift, one, one, 0)
            layer.channel_axis = axis
            return layer

        shape = (2, 2, 3, 4)
        run(f"channel_axis = {axis}", np.zeros(shape, dtype=np.float32), shape, add)


if __name__ == "__main__":
    main(__doc__)

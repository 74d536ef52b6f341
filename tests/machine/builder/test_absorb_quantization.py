"""A layer between dequantise layers takes the INT8 tensors, where they have one positive scale each."""

import numpy as np
import pytest
from networks import new_network

import dovetail as trt


def quantized(network, x, scale, name):
    def constant(value):
        return network.add_constant(np.shape(value), np.float32(value)).get_output(0)

    stored = network.add_quantize(x, constant(scale))
    real = network.add_dequantize(stored.get_output(0), constant(scale))
    stored.name, real.name = f"quantize {name}", f"dequantize {name}"
    if np.ndim(scale):
        stored.axis = real.axis = 0
    return real.get_output(0)


@pytest.fixture
def convolution():
    """convolution(0.5, 0.25): a convolution of dequantised x and weights by these scales; network and config."""

    def make(scale_of_x, scale_of_weights):
        _, network, config = new_network()
        x = quantized(network, network.add_input("x", trt.float32, (1, 4, 6, 6)), scale_of_x, "x")
        kernel = np.random.default_rng(4).integers(-3, 4, (8, 4, 3, 3)).astype(np.float32)
        weights = quantized(network, network.add_constant(kernel.shape, kernel).get_output(0), scale_of_weights, "w")
        layer = network.add_convolution_nd(x, 8, (3, 3), trt.Weights())
        layer.set_input(1, weights)
        layer.name = "conv"
        network.mark_output(layer.get_output(0))
        return network, config

    return make


def conv_of(graph):
    (layer,) = (layer for layer in graph.layers if layer.name == "conv")
    return layer


def test_the_layer_takes_the_stored_tensors_with_their_scales(convolution, graph_after):
    graph = graph_after("absorb_quantization", *convolution(0.5, 0.25))
    x, weights = conv_of(graph).inputs[:2]
    assert (x.dtype, x.scale) == (trt.int8, 0.5)
    assert (weights.dtype, weights.scale) == (trt.int8, 0.25)
    assert "dequantize x" not in [layer.name for layer in graph.layers]
    assert any("'conv' takes INT8" in note for note in graph.notes)


def test_scales_of_each_channel_are_for_another_layer(convolution, graph_after):
    graph = graph_after("absorb_quantization", *convolution(0.5, [0.25] * 7 + [0.5]))
    assert conv_of(graph).spec.name == "QuantizedConvolution"  # whose factor has a value for each channel
    assert not any("takes INT8" in note for note in graph.notes)

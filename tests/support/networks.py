"""Short ways to build and load networks, for the tests of the machine."""

import numpy as np

import dovetail as trt


def new_network():
    builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR))
    return builder, builder.create_network(), builder.create_builder_config()


def profile_of(builder, config, **shapes):
    profile = builder.create_optimization_profile()
    for name, (low, likely, high) in shapes.items():
        profile.set_shape(name, low, likely, high)
    config.add_optimization_profile(profile)


def engine_of(builder, network, config):
    plan = builder.build_serialized_network(network, config)
    return trt.Runtime(builder.logger).deserialize_cuda_engine(plan)


def convolution_chain(n_layers=3, channels=32, size=24, **input_shape):
    """x -> n convolutions with ReLU between them -> y; weights are seeded."""
    builder, network, config = new_network()
    rng = np.random.default_rng(1)
    x = network.add_input("x", trt.float32, input_shape.get("shape", (1, 3, size, size)))
    tensor, c = x, 3
    for _ in range(n_layers):
        kernel = rng.standard_normal((channels, c, 3, 3), dtype=np.float32) / np.float32(np.sqrt(9 * c))
        layer = network.add_convolution_nd(tensor, channels, (3, 3), kernel)
        layer.padding_nd = (1, 1)
        tensor = network.add_activation(layer.get_output(0), trt.ActivationType.RELU).get_output(0)
        c = channels
    tensor.name = "y"
    network.mark_output(tensor)
    return builder, network, config

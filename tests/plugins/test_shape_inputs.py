"""Plugins in Python whose input decides extents: what their kernels get."""

from __future__ import annotations

import numpy as np

import dovetail as trt
from dovetail.plugins import Input, Output, Plugin
from dovetail.registry.native_tables import withdraw
from dovetail.registry.registry import Registry


class Filled(Plugin):
    """y = 7, of the extents in s."""

    namespace = "acme"
    s = Input(trt.int32, shape=True)
    y = Output(trt.float32)

    def infer(self, s):
        return s.like(s.elements(), trt.float32)

    def enqueue(self, inputs, outputs, workspace, stream):
        assert inputs[0] is None
        outputs[0][...] = 7


def test_a_kernel_finds_the_extents_in_its_outputs():
    registry = Registry()
    registry.parent = trt.get_plugin_registry()
    registry.add_op(Filled)
    builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR), registry)
    network, config = builder.create_network(), builder.create_builder_config()
    shape = network.add_shape(network.add_input("x", trt.float32, (-1, 3))).get_output(0)
    layer = network.add_plugin("acme::Filled", [shape])
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (1, 3), (2, 3), (5, 3))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    y = context.run({"x": np.ones((4, 3), np.float32)})["y"]
    assert y.shape == (4, 3) and (y == 7).all()
    for one in registry.implementations():
        if one.op == "acme::Filled@1":
            withdraw(one)

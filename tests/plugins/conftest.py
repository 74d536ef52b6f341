"""A network around one plugin, on a registry that nobody else sees."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.registry.native_tables import withdraw
from dovetail.registry.registry import Registry


class Bench:
    """One input x, one layer, one run. Extents of -1 are unknown while the plan is built."""

    def __init__(self):
        self.registry = Registry()
        self.registry.parent = trt.get_plugin_registry()
        self.builder = trt.Builder(trt.Logger(trt.Logger.ERROR), self.registry)
        self.network = self.builder.create_network()
        self.config = self.builder.create_builder_config()

    def input(self, *shape, dtype=trt.float32, largest=8):
        x = self.network.add_input("x", dtype, shape)
        if -1 in shape:
            profile = self.builder.create_optimization_profile()
            ends = [tuple(e if d < 0 else d for d in shape) for e in (1, 2, largest)]
            profile.set_shape("x", *ends)
            self.config.add_optimization_profile(profile)
        return x

    def context(self, layer):
        layer.get_output(0).name = "y"
        self.network.mark_output(layer.get_output(0))
        plan = self.builder.build_serialized_network(self.network, self.config)
        return trt.Runtime(self.builder.logger).deserialize_cuda_engine(plan).create_execution_context()

    def run(self, layer, x):
        return self.context(layer).run({"x": np.asarray(x, np.float32)})["y"]


@pytest.fixture
def bench():
    made = Bench()
    yield made
    for implementation in made.registry.implementations():
        withdraw(implementation)  # the process has one table for engines, and tests reuse names

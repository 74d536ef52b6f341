"""A network up to a rewrite of the graph, and its results with the rewrites and without them."""

import numpy as np
from networks import new_network

import dovetail as trt
from dovetail.machine.builder.build import build_of
from dovetail.machine.builder.pipeline import FromLevel, run, with_plugins

ALL, NONE = 5, 0  # builder_optimization_level


class Net:
    """A network under construction: `x` makes inputs, `c` constants, and layers are added by short names."""

    def __init__(self):
        self.builder, self.network, self.config = new_network()
        self.config.default_device_type = trt.DeviceType.CPU
        self.rng = np.random.default_rng(7)

    def x(self, *dims, dtype=trt.float32, name=None):
        return self.network.add_input(name or f"x{self.network.num_inputs}", dtype, dims)

    def c(self, values, dtype=np.float32):
        array = np.asarray(values, dtype)
        return self.network.add_constant(array.shape, array).get_output(0)

    def random(self, *dims, low=-1.0, high=1.0):
        return self.c(self.rng.uniform(low, high, dims))

    def add(self, kind, /, *inputs, name=None, **fields):
        layer = self.network.add_plugin(kind, list(inputs), fields)
        if name:
            layer.name = name
        return layer.get_output(0)

    def ew(self, op, a, b, name=None):
        return self.add("ElementWise", a, b, name=name, op=trt.ElementWiseOperation[op])

    def unary(self, op, x, name=None):
        return self.add("Unary", x, name=name, op=trt.UnaryOperation[op])

    def relu(self, x, name=None):
        return self.add("Activation", x, name=name, type=trt.ActivationType.RELU)

    def shuffle(self, x, first=(), dims=(-2,), second=(), name=None):
        return self.add("Shuffle", x, name=name, first_transpose=first, reshape_dims=dims, second_transpose=second)

    def mean(self, x, *axes, name=None):
        mask = sum(1 << axis for axis in axes)
        return self.add("Reduce", x, name=name, op=trt.ReduceOperation.AVG, axes=mask, keep_dims=True)

    def out(self, *tensors):
        for index, tensor in enumerate(tensors):
            tensor.name = f"y{index}"
            self.network.mark_output(tensor)
        return self

    def profile(self, **shapes):
        profile = self.builder.create_optimization_profile()
        for name, dims in shapes.items():
            profile.set_shape(name, *dims)
        self.config.add_optimization_profile(profile)
        return self

    # ---- what becomes of it

    def graph(self, until="fold_remaining_constants", level=ALL):
        return run(build_of(self.network, self.config), self.passes(level), until=until)

    def passes(self, level):
        """The passes of a level of which the config knows nothing, so that nothing is timed."""
        made = with_plugins(self.network.lookup)
        kept = [(name, one) for name, one in made if not isinstance(one, FromLevel) or one.level <= level]
        return [(name, one.function if isinstance(one, FromLevel) else one) for name, one in kept]

    def ops(self, **settings):
        """The names of the ops that are left, in order."""
        return [layer.spec.name for layer in self.graph(**settings).all_layers()]

    def notes(self, **settings):
        return self.graph(**settings).notes

    def result(self, feeds, level):
        """The outputs of a plan for which nothing is timed."""
        self.config.builder_optimization_level = 0
        plan = run(build_of(self.network, self.config), self.passes(level)).plan
        engine = trt.Runtime(self.builder.logger).deserialize_cuda_engine(plan)
        found = engine.create_execution_context().run(feeds)
        return [found[self.network.get_output(i).name] for i in range(self.network.num_outputs)]

    def feeds(self, seed=3, **dims):
        rng = np.random.default_rng(seed)
        inputs = [self.network.get_input(i) for i in range(self.network.num_inputs)]
        made = {}
        for tensor in inputs:
            shape = dims.get(tensor.name, tuple(tensor.shape))
            is_float = tensor.dtype in (trt.float32, trt.float16)
            array = rng.standard_normal(shape) if is_float else rng.integers(-9, 9, shape)
            made[tensor.name] = array.astype(trt.nptype(tensor.dtype))
        return made

    def same(self, rtol=2e-5, atol=2e-5, exact=False, feeds=None):
        """Assert that the rewrites do not change the results, but for rounding."""
        feeds = feeds or self.feeds()
        for one, other in zip(self.result(feeds, NONE), self.result(feeds, ALL), strict=True):
            if exact:
                np.testing.assert_array_equal(one, other)
            else:
                np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)

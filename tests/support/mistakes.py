"""Pieces of code with one mistake each, run as an author would: what is said, and does it name the author's line?"""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np

import dovetail as trt
from dovetail import plugins
from dovetail.core.types import FLOATS, DataType, nptype
from dovetail.registry.native_tables import withdraw
from dovetail.registry.registry import Registry

FILE = "author.py"


class Author:
    """A registry of its own, and a network of one input and one layer."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.registry.parent = trt.get_plugin_registry()
        self.builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR), self.registry)
        self.network = self.builder.create_network()
        self.config = self.builder.create_builder_config()

    def input(self, shape: tuple[int, ...], dtype: Any) -> Any:
        x = self.network.add_input("x", dtype, shape)
        if -1 in shape:
            profile = self.builder.create_optimization_profile()
            profile.set_shape("x", *[tuple(n if d < 0 else d for d in shape) for n in (4, 5, 8)])
            self.config.add_optimization_profile(profile)
        return x

    def run(self, layer: Any) -> Any:
        layer.get_output(0).name = "y"
        self.network.mark_output(layer.get_output(0))
        plan = self.builder.build_serialized_network(self.network, self.config)
        context = trt.Runtime(self.builder.logger).deserialize_cuda_engine(plan).create_execution_context()
        x = self.network.get_input(0)
        return context.run({"x": np.ones([5 if d < 0 else d for d in x.shape], nptype(x.dtype))})["y"]

    def use(self, op: Any, fields: Any = None, shape: tuple[int, ...] = (2, 3), dtype: Any = trt.float32) -> Any:
        """Register the op, put it into a network, build it and run it."""
        spec = self.registry.add_op(op)
        return self.run(self.network.add_plugin(spec.id, [self.input(shape, dtype)], fields or {}, layer_name="mine"))

    def use_v2(self, plugin: Any, shape: tuple[int, ...] = (2, 3)) -> Any:
        """The same with an object, as scripts for TensorRT do."""
        return self.run(self.network.add_plugin_v2([self.input(shape, trt.float32)], plugin))

    def forget(self) -> None:
        for implementation in self.registry.implementations():
            withdraw(implementation)


def run(code: str) -> Any:
    """Execute the code; what it calls `result`."""
    author = Author()
    names = {**{name: getattr(plugins, name) for name in plugins.__all__}, "np": np, "trt": trt, "FLOATS": FLOATS}
    names.update(DataType=DataType, __name__="author", registry=author.registry, use=author.use, use_v2=author.use_v2)
    names.update(network=author.network, input=author.input)
    try:
        exec(compile(textwrap.dedent(code), FILE, "exec", dont_inherit=True), names)
        return names.get("result")
    finally:
        author.forget()

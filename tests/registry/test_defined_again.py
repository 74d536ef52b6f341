"""A plugin that is defined again where it was defined before: an edited cell of a notebook, a reloaded module."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import PluginConflict
from dovetail.plugins import op
from dovetail.registry.native_tables import withdraw
from dovetail.registry.registry import Registry

FUNCTION = """
from dovetail.plugins import op
@op("cell::Plus@1")
def plus(x):
    "y = x + {0}."
    return x + np.float32({0})
registry.add_op(plus)
"""
CLASS = """
from dovetail.plugins import Input, Output, Plugin
class Plus(Plugin):
    "y = x + {0}."
    namespace = "cell"
    x = Input(trt.float32)
    y = Output(like="x")
    def enqueue(self, inputs, outputs, workspace, stream):
        outputs[0][...] = inputs[0] + {0}
registry.add_op(Plus)
"""
CREATOR = """
class Plus(trt.IPluginV2DynamicExt):
    def __init__(self):
        self.plugin_type, self.plugin_namespace = "Plus", "cell"
    def get_output_dimensions(self, index, inputs, builder):
        return inputs[0]
    def enqueue(self, in_desc, out_desc, inputs, outputs, workspace, stream):
        outputs[0].array[...] = inputs[0].array + {0}
class PlusCreator(trt.IPluginCreator):
    name, plugin_namespace = "Plus", "cell"
    def create_plugin(self, name, field_collection):
        return Plus()
assert registry.register_creator(PlusCreator())
"""


@pytest.fixture
def registry():
    made = Registry()
    made.parent = trt.get_plugin_registry()
    yield made
    for implementation in made.implementations():
        withdraw(implementation)


def execute(cell, number, registry, module="__main__"):
    code = compile(cell.format(number), f"cell_{number}.py", "exec", dont_inherit=True)
    exec(code, {"registry": registry, "trt": trt, "np": np, "__name__": module})


def engine(registry):
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR), registry)
    network, config = builder.create_network(), builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    layer = network.add_plugin("cell::Plus", [network.add_input("x", trt.float32, (2,))])
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    return trt.Runtime(builder.logger).deserialize_cuda_engine(builder.build_serialized_network(network, config))


def result(made):
    return made.create_execution_context().run({"x": np.zeros(2, np.float32)})["y"].tolist()


@pytest.mark.parametrize("cell", [FUNCTION, CLASS, CREATOR])
def test_the_new_edition_counts_and_engines_keep_the_old_one(cell, registry, caplog):
    execute(cell, 1, registry)
    old = engine(registry)
    with caplog.at_level(logging.WARNING, "dovetail"):
        execute(cell, 2, registry)
    assert "cell::Plus@1 is defined again" in caplog.text and "Engines that exist keep" in caplog.text
    assert (result(old), result(engine(registry))) == ([1, 1], [2, 2])
    assert len(registry.implementations_of("cell::Plus@1")) == 1


def test_a_module_that_is_reloaded_is_a_new_edition(registry):
    execute(FUNCTION, 1, registry, "layers")
    execute(FUNCTION, 2, registry, "layers")
    assert result(engine(registry)) == [2, 2]


def test_the_same_name_in_another_module_is_a_conflict(registry):
    execute(FUNCTION, 1, registry, "layers")
    with pytest.raises(PluginConflict, match="cell::Plus@1 is defined twice"):
        execute(FUNCTION, 2, registry, "others")
    assert result(engine(registry)) == [1, 1]


def test_another_function_for_the_same_op_in_a_module_is_a_conflict(registry):
    @op("cell::Two@1")
    def first(x):
        """y = x."""
        return x

    @op("cell::Two@1")
    def second(x):
        """y = x."""
        return x

    registry.add_op(first)
    with pytest.raises(PluginConflict, match="is defined twice"):
        registry.add_op(second)


def test_the_op_of_another_owner_is_a_conflict(registry):
    execute(FUNCTION, 1, registry)
    with pytest.raises(PluginConflict):
        execute(FUNCTION.replace("add_op(plus)", "add_op(plus, 'somebody')"), 2, registry)
    assert result(engine(registry)) == [1, 1]

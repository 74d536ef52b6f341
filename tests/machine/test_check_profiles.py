"""Profiles that cannot be: errors of the build that name layer, tensor, profile and what works."""

import numpy as np
import pytest
from networks import convolution_chain, engine_of, new_network, profile_of

import dovetail as trt
from dovetail import _native
from dovetail.core import errors
from dovetail.core.types import DataType
from dovetail.machine.builder import progress
from dovetail.machine.builder.passes import serialise as serialising
from dovetail.plugins import Input, Output, Plugin


def with_a_window(kind, low):
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (1, 3, -1, -1))
    if kind == "convolution":
        layer = network.add_convolution_nd(x, 2, (5, 5), np.ones((2, 3, 5, 5), np.float32))
    elif kind == "pooling":
        layer = network.add_pooling_nd(x, trt.PoolingType.MAX, (5, 5))
    else:
        layer = network.add_padding_nd(x, (-3, 0), (0, 0))
    layer.name = "window"
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    profile_of(builder, config, x=((1, 3, low, 2), (1, 3, 8, 8), (1, 3, 9, 9)))
    return builder, network, config


@pytest.mark.parametrize(
    ("kind", "value", "works"),
    [("convolution", -2, "x.2 >= 4"), ("pooling", -2, "x.2 >= 4"), ("padding", -1, "x.2 >= 3")],
)
def test_a_window_larger_than_the_smallest_extents_is_refused_while_building(kind, value, works):
    builder, network, config = with_a_window(kind, 2)
    with pytest.raises(errors.ShapeError) as raised:
        builder.build_serialized_network(network, config)
    text = str(raised.value)
    assert "'window' cannot compute 'y' at the min extents of profile 0" in text and "x " in text
    assert (raised.value.got, raised.value.works_with) == (value, [works])


def test_the_extents_that_are_named_do_work():
    builder, network, config = with_a_window("padding", 3)
    assert engine_of(builder, network, config).num_layers == 1


def test_the_largest_extents_may_be_too_large():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (-1,))
    s = network.add_input("s", trt.int32, (1,))
    shape = network.add_shape(x).get_output(0)
    rest = network.add_elementwise(s, shape, trt.ElementWiseOperation.SUB).get_output(0)
    fill = network.add_fill((1,), trt.FillOperation.LINSPACE)
    fill.name = "ramp"
    fill.set_input(0, rest)
    network.mark_output(fill.get_output(0))
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (1,), (2,), (9,))
    profile.set_shape_input("s", (4,), (4,), (4,))
    config.add_optimization_profile(profile)
    with pytest.raises(errors.ShapeError, match="at the max extents of profile 0") as raised:
        builder.build_serialized_network(network, config)
    assert set(raised.value.works_with) == {"x.0 <= 4", "s[0] >= 9"}


class Quotient(Plugin):
    """y = as many zeros as columns fit into the rows"""

    namespace = "profiles"
    x = Input(DataType.FLOAT)
    y = Output(like="x")

    def infer(self, x):
        return x.like([x.dims[0] // x.dims[1]])

    def reference(self, x):
        return np.zeros(x.shape[0] // x.shape[1], x.dtype)


def test_an_extent_that_divides_by_zero_is_named():
    registry = trt.get_plugin_registry()
    if not any(spec.id == Quotient.dovetail_spec.id for spec in registry.specs()):
        registry.add_op(Quotient, "profiles")
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (-1, -1))
    layer = network.add_plugin("profiles::Quotient@1", [x], layer_name="ratio")
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    profile_of(builder, config, x=((4, 0), (4, 2), (8, 2)))
    with pytest.raises(errors.ShapeError, match="'ratio' cannot compute 'y' at the min extents of profile 0") as raised:
        builder.build_serialized_network(network, config)
    assert "divides by zero" in str(raised.value) and "[4, 0]" in str(raised.value)


def test_extents_of_one_name_need_one_range():
    builder, network, config = new_network()
    a, b = (network.add_input(name, trt.float32, (-1,)) for name in "ab")
    for tensor in (a, b):
        tensor.set_dimension_name(0, "n")
    network.mark_output(network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0))
    profile_of(builder, config, a=((1,), (3,), (9,)), b=((1,), (3,), (8,)))
    with pytest.raises(errors.ShapeError, match="different extents to dimensions of one name, 'n'") as raised:
        builder.build_serialized_network(network, config)
    assert "dimension 0 of 'b'  min 1, opt 3, max 8" in str(raised.value)


def test_two_axes_of_one_input_may_not_share_a_name_and_differ():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (-1, -1))
    for axis in (0, 1):
        x.set_dimension_name(axis, "n")
    network.mark_output(network.add_unary(x, trt.UnaryOperation.NEG).get_output(0))
    profile_of(builder, config, x=((2, 3), (2, 3), (2, 3)))
    with pytest.raises(errors.ShapeError, match="one name, 'n'"):
        builder.build_serialized_network(network, config)


def test_what_a_layer_requires_has_to_hold_at_opt():
    builder, network, config = new_network()
    a, b = (network.add_input(name, trt.float32, (-1,)) for name in "ab")
    network.mark_output(network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0))
    profile_of(builder, config, a=((1,), (3,), (9,)), b=((1,), (4,), (9,)))
    with pytest.raises(errors.ShapeError, match=r"cannot combine .* at the opt extents of profile 0"):
        builder.build_serialized_network(network, config)


def test_what_does_not_hold_at_the_ends_is_a_note():
    builder, network, config = new_network()
    a, b = (network.add_input(name, trt.float32, (-1,)) for name in "ab")
    network.mark_output(network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0))
    profile_of(builder, config, a=((2,), (3,), (9,)), b=((2,), (3,), (8,)))
    assert "profile 0: not at its max extents" in engine_of(builder, network, config).report()


def test_contents_that_cannot_be_are_named():
    builder, network, config = new_network()
    x, s = network.add_input("x", trt.float32, (6,)), network.add_input("s", trt.int32, (2,))
    layer = network.add_shuffle(x)
    layer.set_input(1, s)
    network.mark_output(layer.get_output(0))
    profile = builder.create_optimization_profile()
    profile.set_shape_input("s", (1, 1), (4, 2), (6, 6))
    config.add_optimization_profile(profile)
    with pytest.raises(errors.ShapeError, match="the numbers of elements differ, at the opt extents") as raised:
        builder.build_serialized_network(network, config)
    assert "[2] holding [4, 2]" in str(raised.value)


@pytest.mark.parametrize("extent", [2**62, 2**46], ids=["beyond 64 bits", "beyond any memory"])
def test_a_tensor_larger_than_any_memory_is_named(extent):
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (extent,))
    network.mark_output(network.add_unary(x, trt.UnaryOperation.NEG).get_output(0))
    with pytest.raises(errors.MemoryLimitError, match="input 'x': tensor 'x' is larger than any memory") as raised:
        builder.build_serialized_network(network, config)
    assert (raised.value.got, raised.value.expected) == (4 * extent, _native.MAX_BYTES)


def test_a_tensor_that_cannot_be_allocated_names_the_layer():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (2**43,))
    network.mark_output(network.add_unary(x, trt.UnaryOperation.NEG).get_output(0))
    with pytest.raises(errors.MemoryLimitError, match=r"Unary@1 .* cannot be timed: there is no memory"):
        builder.build_serialized_network(network, config)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800"], ids=["NUL", "surrogate"])
def test_names_that_no_plan_can_hold_are_refused_where_they_are_given(name):
    builder, network, config = new_network()
    with pytest.raises(errors.DefinitionError, match="a tensor cannot be named"):
        network.add_input(name, trt.float32, (1,))
    x = network.add_input("x", trt.float32, (-1,))
    layer = network.add_unary(x, trt.UnaryOperation.NEG)
    with pytest.raises(errors.DefinitionError, match="a tensor cannot be named"):
        layer.get_output(0).name = name
    with pytest.raises(errors.DefinitionError, match="a layer cannot be named"):
        layer.name = name
    with pytest.raises(errors.DefinitionError, match="a layer cannot be named"):
        network.add_plugin("Unary", [x], layer_name=name)
    with pytest.raises(errors.DefinitionError, match="a dimension cannot be named"):
        x.set_dimension_name(0, name)
    network.mark_output(layer.get_output(0))
    profile_of(builder, config, x=((1,), (1,), (1,)))
    network.name = name
    with pytest.raises(errors.DefinitionError, match="a network cannot be named"):
        builder.build_serialized_network(network, config)


def test_a_plan_that_an_engine_would_refuse_is_not_handed_out(monkeypatch):
    builder, network, config = convolution_chain(1)
    written = serialising.write_plan

    def damaged(*args):
        plan = bytearray(bytes(written(*args)))
        plan[-1] ^= 1
        return bytes(plan)

    monkeypatch.setattr(serialising, "write_plan", damaged)
    with pytest.raises(errors.BuildError, match="cannot be loaded, so it is not returned") as raised:
        builder.build_serialized_network(network, config)
    assert isinstance(raised.value.__cause__, errors.PlanCorrupt)


# ---- while it takes long


class Lines(trt.ILogger):
    def __init__(self):
        super().__init__()
        self.lines = []

    def log(self, severity, msg):
        if severity == trt.ILogger.INFO:
            self.lines.append(msg)


def test_a_long_build_says_how_far_it_is(monkeypatch):
    logger = Lines()
    _, network, config = convolution_chain(2)
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    monkeypatch.setattr(progress.Progress.__init__, "__defaults__", ("", 0.0))
    network.name = "chain"
    trt.Builder(logger).build_serialized_network(network, config)
    timed = [line for line in logger.lines if "layers timed after" in line]
    assert timed[0].startswith("building 'chain': 0 of 2 layers timed after 0 s")


def test_a_quick_build_says_nothing():
    logger = Lines()
    _, network, config = convolution_chain(1)
    trt.Builder(logger).build_serialized_network(network, config)
    assert logger.lines == []

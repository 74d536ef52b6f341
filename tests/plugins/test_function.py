"""Plugins from functions."""

from __future__ import annotations

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DefinitionError
from dovetail.core.expr import DimsExprs
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Ints, Output, field, op


@op("clipping::Clip2@1")
def clip2(x: Input(FLOATS), *, low: float = 0.0, high: float = field(1.0, doc="Upper end.")):
    """y = min(max(x, low), high)."""
    return np.clip(x, low, high)


def tensor(*dims, dtype=DataType.FLOAT):
    return SymbolicTensor(DimsExprs(dims), dtype)


def test_the_function_stays_a_function():
    assert clip2(np.array([-1.0, 0.5, 2.0])).tolist() == [0, 0.5, 1]


def test_its_signature_is_the_spec():
    spec = clip2.dovetail_spec
    assert (spec.id, spec.doc) == ("clipping::Clip2@1", "y = min(max(x, low), high).")
    assert [(p.name, p.types) for p in spec.inputs] == [("x", FLOATS)]
    assert [(f.name, f.default, f.doc) for f in spec.fields] == [
        ("low", 0.0, ""),
        ("high", 1.0, "Upper end."),
    ]
    assert "test_function.py:" in spec.where


def test_dims_and_type_follow_the_first_input():
    (y,) = clip2.dovetail_spec.make("", {}).infer([tensor(2, 3, dtype=DataType.HALF)])
    assert (y.dims.known(), y.dtype) == ((2, 3), DataType.HALF)


def test_fields_reach_the_function():
    assert clip2.dovetail_spec.reference({"high": 6.0}, np.array([9.0])).tolist() == [6]


def test_infer_and_outputs_say_what_else_comes_out():
    def infer(x, *, repeats):
        return x.like([d * r for d, r in zip(x.dims, repeats, strict=True)])

    @op("acme::Tile@2", infer=infer, outputs={"tiled": Output(like="x")})
    def tile(x, *, repeats: Ints):
        """tiled = x, repeated."""
        return np.tile(x, repeats)

    (tiled,) = tile.dovetail_spec.make("", {"repeats": (2, 3)}).infer([tensor(4, 5)])
    assert tiled.dims.known() == (8, 15)


def test_any_number_of_inputs_and_optional_ones():
    @op("acme::Total@1")
    def total(*xs: Input(FLOATS)):
        """y = sum of all inputs."""
        return sum(xs)

    @op("acme::Shift@1")
    def shift(x, by: Input(FLOATS) = None):
        """y = x + by."""
        return x if by is None else x + by

    assert total.dovetail_spec.reference({}, np.array([1]), np.array([2]), np.array([3])).tolist() == [6]
    assert shift.dovetail_spec.inputs[1].optional
    assert shift.dovetail_spec.reference({}, np.array([1])).tolist() == [1]


def test_an_input_annotated_as_a_field_is_told_so():
    with pytest.raises(DefinitionError, match=r"fields\s+go after a star") as error:

        @op("acme::Wrong@1")
        def wrong(x: float):
            """y = x."""

    assert "test_function.py:" in str(error.value)


def test_it_runs_in_a_network():
    registry = trt.get_plugin_registry()
    registry.add_op(clip2, "test_function")
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network, config = builder.create_network(), builder.create_builder_config()
    x = network.add_input("x", trt.float32, (-1, 3))
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (1, 3), (2, 3), (4, 3))
    config.add_optimization_profile(profile)
    layer = network.add_plugin("clipping::Clip2@1", [x], {"high": 6.0})
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    plan = builder.build_serialized_network(network, config)
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    data = np.array([[-1, 3, 9]], np.float32)
    assert context.run({"x": data})["y"].tolist() == [[0, 3, 6]]

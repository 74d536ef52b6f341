"""Short ways to ask an op, for the specifications of the layers."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.expr import DimsExprs
from dovetail.core.types import DataType, from_numpy


@pytest.fixture
def spec():
    """spec("Scale@1"): the registered spec."""
    return trt.get_plugin_registry().find


@pytest.fixture
def infer(spec):
    """infer("Scale", x, scale, mode=...): the outputs; inputs are arrays, dims or SymbolicTensor."""

    def ask(name, *inputs, **fields):
        found = spec(name)
        op = found.make("layer", {**found.defaults(), **fields})
        return op.infer([symbolic(value) for value in inputs])

    return ask


@pytest.fixture
def compute(spec):
    """compute("Scale", x, scale, mode=...): the reference's result."""

    def ask(name, *arrays, **fields):
        found = spec(name)
        return found.reference({**found.defaults(), **fields}, *arrays)

    return ask


@pytest.fixture
def network():
    return trt.Builder(trt.Logger(trt.Logger.ERROR)).create_network()


def symbolic(value):
    if value is None or isinstance(value, SymbolicTensor):
        return value
    if isinstance(value, np.ndarray):
        return SymbolicTensor(DimsExprs(value.shape), from_numpy(value.dtype), constant=value)
    return SymbolicTensor(DimsExprs(value), DataType.FLOAT)

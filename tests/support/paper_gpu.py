"""A GPU that is not there: implementations on it that can be planned for, and times that nobody measured."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import patch

import dovetail as trt
from dovetail.core.contract import Implementation, Row
from dovetail.core.types import DeviceType
from dovetail.machine.plan import read_plan

CARD = {"name": "NVIDIA H100 80GB HBM3", "sm": 90, "multiprocessors": 132, "memory_bytes": 80 << 30, "bus": "0:0"}


class Kernels:
    """The table of an implementation whose kernels cannot be run."""

    uses_op_object = False

    def __init__(self, workspace_bytes=0):
        self.workspace_bytes = workspace_bytes

    def create(self, layer, fields):
        return SimpleNamespace(layer=layer, has_save=False)

    def fits(self, *tensors):
        return ""

    def configure(self, *tensors):
        pass

    def workspace(self, *tensors):
        return self.workspace_bytes

    def prepare(self, *tensors):
        return b""


def on_gpu(op, *rows, name="cuda", workspace_bytes=0):
    """An implementation on the GPU; rows are (tactic, types, formats) and perhaps the least sm."""
    table = tuple(
        Row(tactic, types, formats, min_sm=sm[0] if sm else 0, index=index)
        for index, (tactic, types, formats, *sm) in enumerate(rows)
    )
    return Implementation(op, name, device=DeviceType.GPU, rows=table, native=Kernels(workspace_bytes))


RELU = on_gpu("Activation@1", ("relu", "f32", "linear"))
IDENTITY = on_gpu("Identity@1", ("copy", "f32", "linear"))
SUM = on_gpu("ElementWise@1", ("sum", "f32", "linear"))
COPIES = on_gpu(
    "Reformat@1",
    ("to_device", "f32", "linear@cpu -> linear"),
    ("to_host", "f32", "linear -> linear@cpu"),
    ("to_device_chw16", "f32", "chw16@cpu -> chw16"),
    ("to_host_chw16", "f32", "chw16 -> chw16@cpu"),
    ("pack", "f32", "linear -> chw16"),
    ("unpack", "f32", "chw16 -> linear"),
)


class WithGpu:
    """The registry of the process with implementations for the GPU beside those for the CPU."""

    def __init__(self, *implementations):
        self.base = trt.get_plugin_registry()
        self.added = implementations

    def implementations_of(self, op):
        base = (one for one in self.base.implementations_of(op) if one.device == DeviceType.CPU)
        return (*base, *(one for one in self.added if one.op == op))

    def __getattr__(self, name):
        return getattr(self.base, name)


def new_network(*implementations):
    """Builder, empty network and a config for the GPU."""
    builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR), WithGpu(*implementations))
    config = builder.create_builder_config()
    config.default_device_type = trt.DeviceType.GPU
    return builder, builder.create_network(), config


def built(builder, network, config):
    with patch("dovetail._native.check_plan"):  # which would want the GPU
        return builder.build_serialized_network(network, config)


def document_of(builder, network, config):
    return read_plan(built(builder, network, config))

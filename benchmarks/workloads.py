"""What `run.py` measures: networks, single layers and files, with precision, tolerance and target."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parent / "models"))

import files
from catalog import MODELS, Model, feeds
from single_layers import LAYERS

# Largest difference of two engines, as a share of the largest value of an output. FP32: Winograd convolutions leave up
# to 1e-5 in each layer. INT8: values near a tie may be rounded either way. BF16: 8 bits of mantissa. FP16: 11.
TOLERANCES = {"fp32": 1e-3, "int8": 6e-2, "bf16": 6e-2, "fp16": 1e-2}
WIDER = {"bert-int8": 0.13}  # twice what ONNX Runtime with its optimisations differs by from itself without them
AT_LEAST = 1.0  # a workload without a target of its own is at least as fast as the fastest peer
TARGETS = {  # the fastest peer's time over ours, with 2 threads
    "resnet50": 1.3,
    "resnet18": 1.8,
    "unet": 2.4,
    "mobilenetv2": 1.25,
    "efficientnet-b0": 1.8,
    "dcgan": 1.5,
    "bert-base": 1.1,
    "yolo": 1.3,
    "resnet50-int8": 1.1,
    "bert-base-bf16": 1.1,
}


@dataclass(frozen=True)
class Workload:
    """A model of batch 1 with static extents."""

    name: str
    model: Model
    precision: str = "fp32"
    group: str = "networks"

    @property
    def tolerance(self) -> float:
        return WIDER.get(self.name, TOLERANCES[self.precision])

    @property
    def target(self) -> float:
        return TARGETS.get(self.name, AT_LEAST)

    def made(self, is_small: bool) -> tuple[onnx.ModelProto, Mapping[str, np.ndarray]]:
        """The model, and what it is run on."""
        model = self.model.make(1, is_small)
        return model, feeds(model)


@dataclass(frozen=True)
class File:
    """A model from a file. Extents that it leaves open are set; `extents` says to what, by their names."""

    path: Path
    extents: Mapping[str, int]
    group: str = "files"
    target: float = AT_LEAST

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def precision(self) -> str:
        return files.precision(onnx.load(self.path, load_external_data=False))

    @property
    def tolerance(self) -> float:
        return TOLERANCES[self.precision]

    def made(self, is_small: bool) -> tuple[onnx.ModelProto, Mapping[str, np.ndarray]]:
        """The model with static extents, and random inputs."""
        model = files.static(onnx.load(self.path), self.extents)
        return model, files.feeds(model)


LEFT_OUT = ("resnet50-bn", "bert-base-13", "yolo-heads")  # other spellings of what is here
NETWORKS = {
    name: Workload(name, model, "int8" if name.endswith("-int8") else "fp32")
    for name, model in MODELS.items()
    if name not in LEFT_OUT
}
NETWORKS |= {f"{name}-bf16": Workload(f"{name}-bf16", MODELS[name], "bf16") for name in ("resnet50", "bert-base")}
SINGLE_LAYERS = {
    name: Workload(name, model, "int8" if name.endswith("-int8") else "fp32", "layers")
    for name, model in LAYERS.items()
}
IN_BF16 = (
    "conv3x3-64-56",
    "conv3x3-256-14",
    "stem7x7-s2-224",
    "conv1x1-64-256-56",
    "conv1x1-1024-256-14",
    "depthwise3x3-144-56",
    "deconv4x4-128-64-32",
    "gemm-1-768-3072",
    "gemm-128-768-3072",
    "attention-12-128-64",
)
SINGLE_LAYERS |= {f"{name}-bf16": Workload(f"{name}-bf16", LAYERS[name], "bf16", "layers") for name in IN_BF16}
WORKLOADS = NETWORKS | SINGLE_LAYERS
GROUPS = {"networks": NETWORKS, "layers": SINGLE_LAYERS, "all": WORKLOADS}


def is_file(name: str) -> bool:
    return name.endswith(".onnx")


def named(names: Iterable[str], extents: Mapping[str, int]) -> list[Workload | File]:
    """The workloads of these names: of one, of a group, or the path of an ONNX file. Raises KeyError for another."""
    found: dict[str, Workload | File] = {}
    for name in names:
        if is_file(name):
            found[name] = File(Path(name), extents)
        else:
            found |= GROUPS[name] if name in GROUPS else {name: WORKLOADS[name]}
    return list(found.values())

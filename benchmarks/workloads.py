"""What `run.py` measures: networks and single layers, with precision, tolerance and target."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "models"))

from catalog import LAYERS, MODELS, Model

# Largest difference of two engines, as a share of the largest value of an output. FP32: Winograd convolutions leave up
# to 1e-5 in each layer. INT8: values near a tie may be rounded either way. BF16: 8 bits of mantissa.
TOLERANCES = {"fp32": 1e-3, "int8": 6e-2, "bf16": 6e-2}
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

    @property
    def tolerance(self) -> float:
        return WIDER.get(self.name, TOLERANCES[self.precision])

    @property
    def target(self) -> float:
        return TARGETS.get(self.name, AT_LEAST)


LEFT_OUT = ("resnet50-bn", "bert-base-13", "yolo-heads")  # other spellings of what is here
NETWORKS = {
    name: Workload(name, model, "int8" if name.endswith("-int8") else "fp32")
    for name, model in MODELS.items()
    if name not in LEFT_OUT
}
NETWORKS["bert-base-bf16"] = Workload("bert-base-bf16", MODELS["bert-base"], "bf16")
SINGLE_LAYERS = {name: Workload(name, model) for name, model in LAYERS.items()}
WORKLOADS = NETWORKS | SINGLE_LAYERS
GROUPS = {"networks": NETWORKS, "layers": SINGLE_LAYERS, "all": WORKLOADS}


def named(names: Iterable[str]) -> list[Workload]:
    """The workloads of these names; a name may be that of a group. Raises KeyError for another."""
    found: dict[str, Workload] = {}
    for name in names:
        found |= GROUPS[name] if name in GROUPS else {name: WORKLOADS[name]}
    return list(found.values())

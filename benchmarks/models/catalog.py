"""The models by name: which generator makes each, small versions for tests, and inputs to run them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from bert import bert_base
from dcgan import dcgan
from efficientnet import efficientnet_b0
from mobilenet import mobilenetv2
from resnet import resnet50
from unet import unet
from yolo import yolo

NEWEST_OPSET = min(26, onnx.defs.onnx_opset_version())  # 26 is the newest that ONNX Runtime takes, 1.31 at least


@dataclass(frozen=True)
class Model:
    """A model of the catalogue."""

    generator: Callable[..., onnx.ModelProto]
    settings: Mapping[str, Any] = field(default_factory=dict)  # what tells it from others of its generator
    small: Mapping[str, Any] = field(default_factory=dict)  # arguments of a version for tests
    sequences: Sequence[int | None] = (None,)  # lengths to try where the sequence is dynamic

    def make(self, batch: int | str, is_small: bool = False, **given: Any) -> onnx.ModelProto:
        """The model; `batch` is an extent, or "dynamic"."""
        first = "batch" if batch == "dynamic" else int(batch)
        return self.generator(**{**self.settings, **(self.small if is_small else {}), **given, "batch": first})


SMALL_RESNET = dict(width=4, blocks=(1, 2), size=32, classes=10)
SMALL_BERT = dict(layers=2, hidden=32, heads=4, vocabulary=1000)
SMALL_YOLO = dict(width=4, size=64, classes=3)

MODELS: Mapping[str, Model] = {
    "resnet50": Model(resnet50, small=SMALL_RESNET),
    "resnet50-bn": Model(resnet50, dict(folded=False), SMALL_RESNET),
    "mobilenetv2": Model(
        mobilenetv2,
        small=dict(stages=((1, 4, 1, 1), (3, 8, 2, 2)), stem=8, features=16, size=32, classes=10),
    ),
    "efficientnet-b0": Model(
        efficientnet_b0,
        dict(folded=False),
        dict(stages=((1, 4, 1, 1, 3), (3, 8, 2, 2, 5)), stem=8, features=16, size=32, classes=10),
    ),
    "unet": Model(unet, dict(folded=False, opset=NEWEST_OPSET), dict(width=4, levels=3, size=32)),
    "dcgan": Model(dcgan, small=dict(width=4, noise=10)),
    "bert-base": Model(bert_base, small=SMALL_BERT, sequences=(128, 17, 48)),
    "bert-base-13": Model(bert_base, dict(opset=13), SMALL_BERT, sequences=(128, 17, 48)),
    "yolo-heads": Model(yolo, dict(suppressed=False), SMALL_YOLO),
    "yolo": Model(yolo, small=SMALL_YOLO),
}
IDS = 1000  # word numbers stay below this; every vocabulary is at least as large


def feeds(model: onnx.ModelProto, batch: int = 1, sequence: int | None = None) -> dict[str, np.ndarray]:
    """Random inputs, the same every time; `batch` and `sequence` are for the extents that the model leaves open."""
    rng = np.random.default_rng(1)
    extents = {"batch": batch, "sequence": sequence}
    found = {}
    for entry in model.graph.input:
        dims = [extents[dim.dim_param] if dim.dim_param else dim.dim_value for dim in entry.type.tensor_type.shape.dim]
        found[entry.name] = _content(entry.name, dims, rng)
    return found


def _content(name: str, dims: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    if name == "input_ids":
        return rng.integers(0, IDS, dims)
    if name == "token_type_ids":
        return rng.integers(0, 2, dims)
    if name == "attention_mask":  # sentences of different lengths
        lengths = rng.integers(dims[1] // 2 + 1, dims[1] + 1, (dims[0], 1))
        return (np.arange(dims[1]) < lengths).astype(np.int64)
    return rng.standard_normal(dims, dtype=np.float32)

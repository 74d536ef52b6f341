"""The models by name: which generator makes each, small versions for tests, and inputs to run them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from bert import bert_base
from conformer import conformer
from convnext import convnext_tiny
from dcgan import dcgan
from detector import detector
from efficientnet import efficientnet_b0
from gpt2 import PAST, gpt2_step
from int8 import bert_int8, mobilenetv2_int8, resnet50_int8
from lstm import lstm_tagger
from mobilenet import mobilenetv2
from resnet import resnet18, resnet50
from swin import swin_tiny
from unet import unet
from vit import vit_tiny
from yolo import yolo

NEWEST_OPSET = min(26, onnx.defs.onnx_opset_version())  # 26 is the newest that ONNX Runtime takes, 1.31 at least


FLOAT32 = 1e-5  # ten times what some hundred layers leave, each rounding anew: see FLOOR in compare.py
INT8 = 1 / 32  # what is quantised on the way may fall to either side of a tie


@dataclass(frozen=True)
class Model:
    """A model of the catalogue."""

    generator: Callable[..., onnx.ModelProto]
    settings: Mapping[str, Any] = field(default_factory=dict)  # what tells it from others of its generator
    small: Mapping[str, Any] = field(default_factory=dict)  # arguments of a version for tests
    sequences: Sequence[int | None] = (None,)  # lengths to try where the sequence is dynamic
    is_single: bool = False  # takes one picture, and has no dynamic extent
    tolerance: float = FLOAT32  # of the largest value of an output

    def make(self, batch: int | str, is_small: bool = False, **given: Any) -> onnx.ModelProto:
        """The model; `batch` is an extent, or "dynamic"."""
        first = "batch" if batch == "dynamic" else int(batch)
        return self.generator(**{**self.settings, **(self.small if is_small else {}), **given, "batch": first})


SMALL_RESNET = dict(width=4, blocks=(1, 2), size=32, classes=10)
SMALL_MOBILENET = dict(stages=((1, 4, 1, 1), (3, 8, 2, 2)), stem=8, features=16, size=32, classes=10)
SMALL_BERT = dict(layers=2, hidden=32, heads=4, vocabulary=1000)
SMALL_YOLO = dict(width=4, size=64, classes=3)

MODELS: Mapping[str, Model] = {
    "resnet50": Model(resnet50, small=SMALL_RESNET),
    "resnet50-bn": Model(resnet50, dict(folded=False), SMALL_RESNET),
    "resnet18": Model(resnet18, small=SMALL_RESNET),
    "mobilenetv2": Model(mobilenetv2, small=SMALL_MOBILENET),
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
    "detector": Model(detector, small=dict(width=8, channels=16, size=64, classes=5, rare=-2.0), is_single=True),
    "vit-tiny": Model(vit_tiny, small=dict(hidden=32, layers=2, heads=2, size=32, classes=10)),
    "convnext-tiny": Model(convnext_tiny, small=dict(depths=(1, 2), width=8, size=32, classes=10)),
    "swin-tiny": Model(swin_tiny, small=dict(depths=(2, 2), heads=(2, 4), width=16, window=4, size=64, classes=10)),
    "conformer": Model(conformer, small=dict(frames=24, bands=16, hidden=32, heads=4, layers=2, kernel=7)),
    "gpt2-step": Model(gpt2_step, small=dict(layers=2, hidden=32, heads=4, vocabulary=1000), sequences=(PAST, 5, 200)),
    "lstm-tagger": Model(
        lstm_tagger, small=dict(units=8, embedding=12, vocabulary=1000, tags=5), sequences=(64, 17, 48)
    ),
    "resnet50-int8": Model(resnet50_int8, small=SMALL_RESNET, tolerance=INT8),
    "mobilenetv2-int8": Model(mobilenetv2_int8, small=SMALL_MOBILENET, tolerance=INT8),
    "bert-int8": Model(bert_int8, small=SMALL_BERT, sequences=(128, 17, 48), tolerance=INT8),
}
LARGEST = {"token_type_ids": 2, "position_ids": 512}
IDS = 1000  # word numbers stay below this; every vocabulary is at least as large


def feeds(model: onnx.ModelProto, batch: int = 1, sequence: int | None = None) -> dict[str, np.ndarray]:
    """Random inputs, the same every time; `batch` and `sequence` are for the extents that the model leaves open."""
    rng = np.random.default_rng(1)
    extents = {"batch": batch, "sequence": sequence, "sequence + 1": (sequence or 0) + 1}
    found = {}
    for entry in model.graph.input:
        type_ = entry.type.tensor_type
        dims = [extents[dim.dim_param] if dim.dim_param else dim.dim_value for dim in type_.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(type_.elem_type)
        found[entry.name] = _content(entry.name, dims, rng).astype(dtype, copy=False)
    return found


def _content(name: str, dims: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    if name in ("input_ids", "tokens"):
        return rng.integers(0, IDS, dims)
    if name in LARGEST:
        return rng.integers(0, LARGEST[name], dims)
    if name == "attention_mask":  # sentences of different lengths
        lengths = rng.integers(dims[1] // 2 + 1, dims[1] + 1, (dims[0], 1))
        return (np.arange(dims[1]) < lengths).astype(np.int64)
    return rng.standard_normal(dims, dtype=np.float32)

"""Write a model with random weights as an ONNX file: `make.py resnet50 --batch dynamic --out resnet50.onnx`."""

from __future__ import annotations

import argparse
from pathlib import Path

import onnx
from catalog import MODELS


def batch_of(text: str) -> int | str:
    """A number, or "dynamic"."""
    return text if text == "dynamic" else int(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=MODELS)
    parser.add_argument("--batch", type=batch_of, default=1, metavar="N|dynamic")
    parser.add_argument("--opset", type=int, help="version of the operators, 13 or newer; each model has its own")
    parser.add_argument("--small", action="store_true", help="few channels and layers, as in the tests")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    given = {"opset": options.opset} if options.opset else {}
    onnx.save(MODELS[options.name].make(options.batch, options.small, **given), options.out)

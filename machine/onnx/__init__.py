"""ONNX models as networks: `OnnxParser`. Needs the package onnx (`pip install dovetail-runtime[onnx]`)."""

from dovetail.machine.onnx.errors import ErrorCode, ParserError
from dovetail.machine.onnx.parser import OnnxParser

__all__ = ["ErrorCode", "OnnxParser", "ParserError"]

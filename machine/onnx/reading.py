"""Reads a serialised model as a ModelProto; refuses other data. Weights are not copied."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dovetail.core.environment import DISTRIBUTION
from dovetail.machine.onnx.domains import MAIN
from dovetail.machine.onnx.errors import ErrorCode, ModelError
from dovetail.machine.onnx.tensors import IN_MODEL, TensorFiles
from dovetail.machine.onnx.wire import WireError, without_tensors

OLDEST_OPSET = 7
CONVERTED_OPSET = 8  # to which ONNX's converter converts older models


@dataclass(frozen=True)
class Loaded:
    """A model, and the location of the tensors that it does not contain."""

    model: Any
    files: TensorFiles


def load(model: Any, path: str | os.PathLike[str] | None) -> Loaded:
    """A model from its bytes. External data are looked for in the folder of `path`. Raises ModelError."""
    if hasattr(model, "SerializeToString"):
        raise _no_model(f"parse takes the bytes of a model, got {type(model).__name__}: pass its SerializeToString()")
    if isinstance(model, (str, os.PathLike)):
        raise _no_model(f"parse takes the bytes of a model, got {type(model).__name__}: parse_from_file takes a path")
    try:
        view = memoryview(model).cast("B")
    except TypeError:
        raise _no_model(f"parse takes the bytes of a model, got {type(model).__name__}") from None
    view = view if view.readonly else memoryview(bytes(view))
    return Loaded(_model_of(view), TensorFiles(_folders(path), view))


def load_file(path: str | os.PathLike[str]) -> Loaded:
    """A model from its file, which is read only as far as needed. Raises ModelError."""
    name = _path_of(path)
    try:
        mode = os.stat(name).st_mode  # before it is opened: a pipe would wait for a writer
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
            raise _no_model(f"'{name}' is {kind}, not a file")
        with open(name, "rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise _no_model(f"'{name}' is empty")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # unmapped with the last view of it
    except (OSError, ValueError) as error:
        raise _no_model(f"'{name}' cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return Loaded(_model_of(memoryview(mapped)), TensorFiles(_folders(name), name))


def _path_of(path: Any) -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        raise _no_model(f"a path is needed, got {type(path).__name__}") from None


def _folders(path: str | os.PathLike[str] | None) -> list[str]:
    """Folders for external data: that of the path, and that of the file that it links to."""
    if path is None:
        return [""]
    name = _path_of(path)
    return list(dict.fromkeys((os.path.dirname(name), os.path.dirname(os.path.realpath(name)))))


def _model_of(data: memoryview) -> Any:
    onnx = package()
    model = onnx.ModelProto()
    try:
        try:
            model.ParseFromString(without_tensors(data, IN_MODEL))
        except WireError as error:
            raise _no_model(f"this is not an ONNX model: {error}") from None
        if not model.graph.node and not model.graph.output:
            raise _no_model("this is not an ONNX model, or an empty one: it has no graph")
        return model
    except ModelError:
        raise
    except Exception as error:  # protobuf has an exception class for each of its back ends
        raise _no_model(f"this is not an ONNX model: {error}") from None


def _no_model(text: str) -> ModelError:
    return ModelError(ErrorCode.MODEL_DESERIALIZE_FAILED, text)


def converted(loaded: Loaded, tell: Callable[[str], None]) -> Loaded:
    """Convert models of older opsets with ONNX's own converter. Raises ModelError."""
    model = loaded.model
    opset = max((entry.version for entry in model.opset_import if entry.domain in MAIN), default=1)
    if opset >= OLDEST_OPSET or not any(node.domain in MAIN for node in model.graph.node):
        return loaded
    from onnx import version_converter

    for tensor in model.graph.initializer:
        loaded.files.resolve(tensor)
    try:
        model = version_converter.convert_version(model, CONVERTED_OPSET)
    except Exception as error:  # it raises what its C++ does
        text = f"opset {opset} is older than {OLDEST_OPSET}, and ONNX cannot convert it: {error}"
        raise ModelError(ErrorCode.UNSUPPORTED_GRAPH, text) from None
    tell(f"the model's opset {opset} was converted to {CONVERTED_OPSET}")
    return Loaded(model, loaded.files)


def package() -> Any:
    """The package onnx. Raises ModelError if it is not installed."""
    try:
        import onnx
    except ImportError:
        raise ModelError(
            ErrorCode.INTERNAL_ERROR, f"the package onnx is not installed: pip install {DISTRIBUTION}[onnx]"
        ) from None
    return onnx

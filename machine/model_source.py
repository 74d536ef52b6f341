"""The argument of `dovetail.load`: a model or a plan, as a file or bytes."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dovetail.core.errors import DefinitionError
from dovetail.machine.logger import ILogger, Severity
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.onnx import OnnxParser
from dovetail.machine.onnx.types import carried, carried_inputs, is_lacking
from dovetail.machine.plan import ALIGNMENT, read_file
from dovetail.registry.loader import default_registry

_FOREIGN = (b"ftrt", b"ptrt")  # engines of TensorRT, for which the loader of plans has an error message
_SHOWN = 5  # errors of a model in one message


class Source:
    """A model or plan given to `load`: a file, or bytes."""

    def __init__(self, given: Any) -> None:
        if hasattr(given, "SerializeToString"):
            given = given.SerializeToString()
        self.path = Path(given) if isinstance(given, (str, os.PathLike)) else None
        self.data = None if self.path is not None else given
        if self.path is not None:
            if not self.path.exists():
                raise FileNotFoundError(f"there is no model or plan '{self.path}'")
            if self.path.is_dir():
                raise IsADirectoryError(f"'{self.path}' is a folder; a model or a plan is a file")
            head = read_file(self.path, 16)
        else:
            head = self._head()
        self.is_plan = _starts_as_plan(head) or head[:4] in _FOREIGN
        self._carriers: dict[str, tuple[Any, Any]] | None = None  # by input: declared, carrier

    def _head(self) -> bytes:
        try:
            return bytes(memoryview(self.data)[:16])
        except TypeError:
            raise DefinitionError(
                f"load cannot take a {type(self.data).__name__}",
                hint="Give the path of an ONNX model or of a plan, its bytes, or an onnx.ModelProto.",
                got=self.data,
            ) from None

    @property
    def title(self) -> str:
        return self.path.stem if self.path is not None else "model"

    @property
    def plan(self) -> Any:
        return self.data if self.path is None else self.path

    def contents(self) -> Iterator[bytes | Path]:
        """Everything that belongs to a model, including files with external data."""
        if self.path is None:
            yield bytes(self.data)  # type: ignore[arg-type]
            return
        yield self.path
        import onnx

        model = onnx.load(str(self.path), load_external_data=False)
        infos = [onnx.external_data_helper.ExternalDataInfo(tensor) for tensor in _external(model, onnx)]
        for location in sorted({info.location for info in infos}):
            file = self.path.parent / location
            if file.is_file():  # the parser reports a missing one
                yield file

    def carried(self, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
        """The inputs; arrays of a type that networks lack are converted to the type that represents it.

        Returns:
            None if no array has such a type, or the model does not declare it.
        """
        if self.is_plan or not any(is_lacking(array) for array in inputs.values()):
            return None
        if self._carriers is None:
            import onnx

            if self.path is not None:
                model = onnx.load(str(self.path), load_external_data=False)
            else:
                model = onnx.load_from_string(bytes(self.data))  # type: ignore[arg-type]
            self._carriers = carried_inputs(model)
        converted = {
            name: carried(array, self._carriers[name][1])
            for name, array in inputs.items()
            if name in self._carriers and is_lacking(array) and array.dtype == self._carriers[name][0]
        }
        return {**inputs, **converted} if converted else None

    def network(self, logger: ILogger) -> INetworkDefinition:
        """The model as a network. Raises DefinitionError with the first errors of the parser."""
        network = INetworkDefinition(default_registry())
        parser = OnnxParser(network, _WithoutErrors(logger))
        done = parser.parse(self.data) if self.path is None else parser.parse_from_file(self.path)
        if done:
            return network
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        facts = [(error.node_name() or error.node_operator() or "model", str(error)) for error in errors[:_SHOWN]]
        if len(errors) > _SHOWN:
            facts.append(("...", f"and {len(errors) - _SHOWN} more"))
        raise DefinitionError(f"'{self.path or 'the model'}' cannot be imported", facts=facts, errors=errors)


def loaded_plugins() -> str:
    """The plugins that may change what is built: versions, hashes of libraries, and the ops of a script by name."""
    loaded = (record for record in default_registry().records() if record.state == "loaded")
    texts = (f"{one.title} {one.hash} {'' if one.version else ' '.join(one.ops)}" for one in loaded)
    return "\n".join(sorted(texts))


def _starts_as_plan(head: bytes) -> bool:
    """A safetensors file whose header ends at a multiple of 64."""
    if len(head) < 9 or head[8:9] != b"{":
        return False
    (length,) = struct.unpack_from("<Q", head)
    return (8 + length) % ALIGNMENT == 0


def _external(model: Any, onnx: Any) -> Iterator[Any]:
    """Tensors of a model, constants of nodes among them, whose data are in other files."""
    tensors = onnx.external_data_helper._get_all_tensors(model)
    return (tensor for tensor in tensors if onnx.external_data_helper.uses_external_data(tensor))


class _WithoutErrors(ILogger):
    """Forwards a parser's log except errors, which are raised."""

    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def log(self, severity: Severity, msg: str) -> None:
        if severity > Severity.ERROR:
            self._logger.log(severity, msg)

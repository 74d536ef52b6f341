"""The errors of a parser: one `ParserError` for each error in a model."""

from __future__ import annotations

from dataclasses import dataclass

from dovetail.core.named import Named

MOST_LETTERS = 256  # of a node's name in a message


class ErrorCode(Named):
    """Kinds of errors. Values are TensorRT's."""

    SUCCESS = 0
    INTERNAL_ERROR = 1
    MEM_ALLOC_FAILED = 2
    MODEL_DESERIALIZE_FAILED = 3
    INVALID_VALUE = 4
    INVALID_GRAPH = 5
    INVALID_NODE = 6
    UNSUPPORTED_GRAPH = 7
    UNSUPPORTED_NODE = 8


@dataclass(frozen=True)
class ParserError:
    """One error; its members are calls, as in TensorRT. `node()` is the index in the graph, -1 for the whole model."""

    Code = ErrorCode

    _code: ErrorCode
    _desc: str
    _node: int = -1
    _name: str = ""
    _op_type: str = ""

    def code(self) -> ErrorCode:
        return self._code

    def desc(self) -> str:
        return self._desc

    def node(self) -> int:
        return self._node

    def node_name(self) -> str:
        return self._name

    def node_operator(self) -> str:
        return self._op_type

    def file(self) -> str:
        """Always empty: errors are about the model, not about source files."""
        return ""

    def line(self) -> int:
        return 0

    def func(self) -> str:
        return ""

    def __str__(self) -> str:
        name = f" {self._name[:MOST_LETTERS]!r}" if self._name else ""
        where = f"node {self._node} ({self._op_type[:MOST_LETTERS]}{name}): " if self._node >= 0 else ""
        return f"{self._code.name}: {where}{self._desc}"


class ModelError(Exception):
    """Raised inside the parser; becomes a ParserError."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code

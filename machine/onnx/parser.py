"""`OnnxParser`: ONNX models as layers of a network."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from dovetail.core.arguments import text, whole
from dovetail.core.errors import DefinitionError, DovetailError, DTypeError
from dovetail.machine.budget import Budget
from dovetail.machine.logger import ILogger, Severity, checked
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.onnx.control_flow import CONTROL_FLOW
from dovetail.machine.onnx.errors import ErrorCode, ModelError, ParserError
from dovetail.machine.onnx.flags import ParserFlags
from dovetail.machine.onnx.importer import Importer
from dovetail.machine.onnx.reading import Loaded, converted, load, load_file
from dovetail.machine.onnx.rewrites import Rewrites
from dovetail.machine.onnx.sequences import ON_SEQUENCES
from dovetail.machine.onnx.validity import errors_in

MOST_LAYERS = 100_000  # default budget of an import
Groups = list[tuple[list[int], bool]]


class OnnxParser(ParserFlags):
    """Adds a model's layers to a network. TensorRT's `OnnxParser`.

    An operator is looked up in the `onnx` entries of the registered ops. If there is none, the op with the operator's
    name is used: the domain or the attribute `plugin_namespace` is its namespace, `plugin_version` its version, and the
    other attributes are its fields.

    `budget` limits what one import may make: layers, seconds, and bytes beyond those of the model.
    """

    budget: Budget

    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        if not isinstance(network, INetworkDefinition):
            raise DTypeError(
                f"OnnxParser takes a network, got {type(network).__name__}",
                hint="Make one: trt.OnnxParser(builder.create_network(), logger).",
                got=network,
            )
        self._network, self.logger = network, checked(logger)
        self._errors: list[ParserError] = []
        self.budget = Budget(layers=MOST_LAYERS)

    # ---- models
    def parse(self, model: Any, path: str | os.PathLike[str] | None = None) -> bool:
        """Import a serialised model. `path` is its file; external data are looked for in the same folder.

        Returns:
            False if there were errors; `get_error` returns them, and the network has the layers before them. Never
            raises.
        """
        self._attempt(lambda: load(model, path))
        return not self._errors

    def parse_from_file(self, path: str | os.PathLike[str]) -> bool:
        """Import a model from a file. Only the weights are kept in memory."""
        self._attempt(lambda: load_file(path))
        return not self._errors

    def supports_operator(self, op_name: str) -> bool:
        """True if operators of this name can be imported in some opset."""
        text("the name of an operator", op_name)
        lookup = self._network._lookup
        is_followed = op_name in CONTROL_FLOW or op_name in ON_SEQUENCES
        is_row = any(Rewrites(lookup, lambda line: self.logger.log(Severity.WARNING, line)).named(op_name))
        return is_followed or is_row or any(spec.name == op_name for spec in lookup.specs())

    def supports_model(self, model: Any, path: Any = None) -> tuple[bool, Groups]:
        """(whether `parse` would succeed, [(indices of neighbouring nodes, whether they are supported)]).

        The network is not changed; `get_error` returns the errors of the model.
        """
        trial = OnnxParser(INetworkDefinition(self._network._lookup), ILogger())
        trial.budget = self.budget
        loaded = trial._attempt(lambda: load(model, path))
        for error in trial._errors:
            self._add_error(error)
        failed = {error.node() for error in trial._errors}
        groups: Groups = []
        for index in range(len(loaded.model.graph.node) if loaded is not None else 0):
            is_fine = index not in failed
            if not groups or groups[-1][1] != is_fine:
                groups.append(([], is_fine))
            groups[-1][0].append(index)
        return not trial._errors, groups

    def _attempt(self, read: Callable[[], Loaded]) -> Loaded | None:
        """Import a model; errors become entries. Returns the model that was read; None if it was not a model."""
        loaded = None
        try:
            loaded = read()
            problems = errors_in(loaded.model)
            for problem in problems:
                self._add_error(problem)
            if not problems:
                loaded = converted(loaded, lambda text: self.logger.log(Severity.INFO, text))
                Importer(self._network, loaded, self.budget, self.logger.log, self._add_error).run()
        except ModelError as error:
            self._add_error(ParserError(error.code, str(error)))
        except DovetailError as error:
            self._add_error(ParserError(ErrorCode.INVALID_GRAPH, str(error)))
        except MemoryError as error:
            text = f"there is not enough memory for the model: {error}"
            self._add_error(ParserError(ErrorCode.MEM_ALLOC_FAILED, text))
        except RecursionError:
            text = "the model's graphs are nested too deeply to be followed"
            self._add_error(ParserError(ErrorCode.UNSUPPORTED_GRAPH, text))
        except Exception as error:  # not found by the checks before; callers get False and never an exception
            text = f"the import stopped at something unforeseen: {type(error).__name__}: {error}"
            self._add_error(ParserError(ErrorCode.INTERNAL_ERROR, text))
        return loaded

    # ---- errors
    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        """Error `index`, from 0. Raises DefinitionError if the index is too large."""
        if not 0 <= whole("the index of an error", index) < len(self._errors):
            raise DefinitionError(
                f"the parser has no error {index}",
                facts=[("errors", f"0..{len(self._errors) - 1}" if self._errors else "none")],
                got=index,
            )
        return self._errors[index]

    def clear_errors(self) -> None:
        self._errors.clear()

    def _add_error(self, error: ParserError) -> None:
        self._errors.append(error)
        self.logger.log(Severity.ERROR, str(error))
        if self.error_recorder is not None:
            self.error_recorder.report_error(int(error.code()), str(error))

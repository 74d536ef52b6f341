"""`OnnxParser`: walks the nodes of a model; what each operator means, the plugins say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dovetail.core.contract import OpSpec, op_id
from dovetail.core.errors import DefinitionError, DovetailError, PluginNotFound
from dovetail.machine.logger import ILogger, Severity
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.onnx.control_flow import CONTROL_FLOW, Body, Values, followed
from dovetail.machine.onnx.errors import ErrorCode, ModelError, ParserError
from dovetail.machine.onnx.functions import attributes_of, body_of, bound
from dovetail.machine.onnx.node import Import, Node, Value
from dovetail.machine.onnx.rewrites import Rewrites
from dovetail.machine.onnx.scope import MAIN, Scope, inferred_types
from dovetail.machine.onnx.sequences import ON_SEQUENCES
from dovetail.machine.onnx.types import ElementTypes, name_of
from dovetail.machine.tensor import ITensor

OLDEST_OPSET = 7
CONVERTED_OPSET = 8  # that of older models; the converter knows the way
PLUGIN_ATTRIBUTES = ("plugin_version", "plugin_namespace")  # say which plugin, and are no fields


class OnnxParser:
    """Adds a model's layers to a network. TensorRT's `OnnxParser`.

    An operator is looked up in the `onnx` rows of the registered ops. Where none takes it, it is the op of its own
    name: domain or attribute `plugin_namespace` is the namespace, `plugin_version` the version, others are fields.
    """

    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        self._network, self._logger = network, logger
        self._lookup = network._lookup
        self._errors: list[ParserError] = []

    # ---- models
    def parse(self, model: Any, path: str | os.PathLike[str] | None = None) -> bool:
        """Take a serialised model. `path` is where it came from: external data lies beside it.

        Returns:
            False if anything was wrong; `get_error` has it, and the network holds what came before.
        """
        try:
            self._walk(self._load(model, path))
        except ModelError as error:
            self._add_error(ParserError(error.code, str(error)))
        return not self._errors

    def parse_from_file(self, path: str | os.PathLike[str]) -> bool:
        """The same from a file."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            self._add_error(ParserError(ErrorCode.MODEL_DESERIALIZE_FAILED, f"'{os.fspath(path)}': {error.strerror}"))
            return False
        return self.parse(data, path)

    def supports_operator(self, op_name: str) -> bool:
        """Are there operators of this name that can be imported, in some opset?"""
        is_followed = op_name in CONTROL_FLOW or op_name in ON_SEQUENCES
        is_row = any(self._rewrites_now().named(op_name))
        return is_followed or is_row or self._has_plugin(op_name)

    def supports_model(self, model: Any, path: Any = None) -> tuple[bool, list[tuple[list[int], bool]]]:
        """(could `parse` take it, [(indices of neighbouring nodes, can they be taken)]). The network stays as it is."""
        trial = OnnxParser(INetworkDefinition(self._lookup), ILogger())
        try:
            graph = trial._load(model, path)
        except ModelError:
            return False, []
        trial._walk(graph)
        failed = {error.node() for error in trial._errors}
        groups: list[tuple[list[int], bool]] = []
        for index in range(len(graph.graph.node)):
            is_fine = index not in failed
            if not groups or groups[-1][1] != is_fine:
                groups.append(([], is_fine))
            groups[-1][0].append(index)
        return not trial._errors, groups

    # ---- errors
    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        return self._errors[index]

    def clear_errors(self) -> None:
        self._errors.clear()

    def _add_error(self, error: ParserError) -> None:
        self._errors.append(error)
        self._logger.log(Severity.ERROR, str(error))

    # ---- reading
    def _load(self, model: Any, path: str | os.PathLike[str] | None) -> Any:
        onnx = _onnx()
        try:
            loaded = onnx.load_model_from_string(bytes(model))
        except Exception as error:  # protobuf has an exception class for each of its back ends
            raise ModelError(ErrorCode.MODEL_DESERIALIZE_FAILED, f"this is no ONNX model: {error}") from None
        if not loaded.graph.node and not loaded.graph.output:
            raise ModelError(
                ErrorCode.MODEL_DESERIALIZE_FAILED, "this is no ONNX model, or an empty one: it has no graph"
            )
        folder = os.path.dirname(os.fspath(path)) if path is not None else ""
        try:
            onnx.external_data_helper.load_external_data_for_model(loaded, folder)
        except Exception as error:  # a missing file, one that is too short, or a path that leaves the folder
            raise ModelError(ErrorCode.INVALID_VALUE, f"external data cannot be read: {error}") from None
        if loaded.functions:
            from onnx import inliner

            loaded = inliner.inline_local_functions(loaded)
        return self._converted(loaded)

    def _converted(self, model: Any) -> Any:
        """Models of older opsets as those of one that the rows know, by ONNX's own converter."""
        opset = max((entry.version for entry in model.opset_import if entry.domain in MAIN), default=1)
        if opset >= OLDEST_OPSET or not any(node.domain in MAIN for node in model.graph.node):
            return model
        from onnx import version_converter

        try:
            model = version_converter.convert_version(model, CONVERTED_OPSET)
        except Exception as error:  # it raises what its C++ does
            text = f"opset {opset} is older than {OLDEST_OPSET}, and ONNX cannot convert it: {error}"
            raise ModelError(ErrorCode.UNSUPPORTED_GRAPH, text) from None
        self._logger.log(Severity.INFO, f"the model's opset {opset} was converted to {CONVERTED_OPSET}")
        return model

    def _walk(self, model: Any) -> None:
        graph = model.graph
        types = ElementTypes(lambda text: self._logger.log(Severity.WARNING, text))
        self._rewrites = self._rewrites_now()
        self._shared = Import(self._network, types, self._imported)
        scope = Scope({entry.domain: entry.version for entry in model.opset_import})
        self._add_initializers(graph, scope)
        for entry in graph.input:
            if entry.name not in scope.values:
                scope.set(entry.name, self._add_input(entry), entry.type.tensor_type.elem_type)
        for index, proto in enumerate(graph.node):
            self._take(index, proto, scope)
        for entry in graph.output:
            self._mark(entry.name, scope)

    def _add_initializers(self, graph: Any, scope: Scope) -> None:
        for tensor in graph.initializer:
            scope.set(tensor.name, self._shared.types.array(tensor), tensor.data_type)
        for sparse in graph.sparse_initializer:
            name = sparse.values.name
            raise ModelError(ErrorCode.UNSUPPORTED_GRAPH, f"initializer '{name}' is sparse, which is not imported")

    def _add_input(self, entry: Any) -> ITensor:
        if not entry.type.HasField("tensor_type"):
            kind = (entry.type.WhichOneof("value") or "of no type").removesuffix("_type")
            raise ModelError(
                ErrorCode.UNSUPPORTED_GRAPH,
                f"input '{entry.name}' is no tensor but {kind}, and networks take tensors alone: make each tensor an "
                "input of its own, and the sequence with SequenceConstruct",
            )
        tensor_type = entry.type.tensor_type
        if not tensor_type.HasField("shape"):
            raise ModelError(ErrorCode.UNSUPPORTED_GRAPH, f"input '{entry.name}' has no shape, not even a rank")
        dims = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor_type.shape.dim]
        try:
            tensor = self._network.add_input(
                entry.name, self._shared.types.carrier(name_of(tensor_type.elem_type)), dims
            )
            for axis, dim in enumerate(tensor_type.shape.dim):
                if dim.dim_param:
                    tensor.set_dimension_name(axis, dim.dim_param)
        except DovetailError as error:
            raise ModelError(ErrorCode.INVALID_GRAPH, str(error)) from None
        return tensor

    def _take(self, index: int, proto: Any, scope: Scope) -> None:
        """One node; what is wrong becomes an error entry, and nodes that need its outputs are passed over."""
        if scope.broken.intersection(proto.input):
            scope.broken.update(proto.output)
            return
        try:
            self._import(proto, scope)
            return
        except ModelError as error:
            code, text = error.code, str(error)
        except PluginNotFound as error:
            code, text = ErrorCode.UNSUPPORTED_NODE, str(error)
        except DovetailError as error:
            code, text = ErrorCode.INVALID_NODE, str(error)
        except Exception as error:  # a rewrite that did not expect what a damaged model has: an entry, not a crash
            code, text = ErrorCode.INVALID_NODE, f"{type(error).__name__}: {error}"
        self._add_error(ParserError(code, text, index, proto.name, proto.op_type))
        scope.broken.update(name for name in proto.output if name)

    def _import(self, proto: Any, scope: Scope) -> None:
        """The layers of one node, and its outputs into the scope. Raises what is wrong."""
        inputs = [scope.value(name) for name in proto.input]
        while inputs and inputs[-1] is None:
            inputs.pop()
        types = [scope.type(name) for name in proto.input]
        node = Node(self._shared, proto, inputs, scope.opset(proto.domain), types)
        n_layers = self._network.num_layers
        results = self._results(node, scope)
        wanted = sum(bool(name) for name in proto.output)
        if len(results) < wanted:
            text = f"it has {len(proto.output)} outputs, and {len(results)} can be made"
            raise ModelError(ErrorCode.UNSUPPORTED_NODE, text)
        for value in results:
            for tensor in value if isinstance(value, tuple) else (value,):
                if isinstance(tensor, ITensor):
                    _ = tensor.symbolic  # shapes are inferred now, so that errors name this node
        for name, value in zip(proto.output, results, strict=False):
            if name:
                scope.set(name, value)
        if not self._shared.types.are_plain:
            scope.types.update(inferred_types(proto, scope, node.opset))
        if proto.name and self._network.num_layers > n_layers:
            self._network.get_layer(self._network.num_layers - 1).name = proto.name

    def _imported(self, proto: Any, inputs: Sequence[Value | None], types: Sequence[int], opset: int) -> list[Any]:
        """The outputs of a node that a rewrite is composed of."""
        scope = Scope({proto.domain: opset})
        for name, value, elem_type in zip(proto.input, inputs, types, strict=True):
            scope.set(name, value, elem_type if name else 0)
        try:
            self._import(proto, scope)
        except (ModelError, DovetailError) as error:
            code = getattr(error, "code", ErrorCode.INVALID_NODE)
            code = code if isinstance(code, ErrorCode) else ErrorCode.INVALID_NODE
            raise ModelError(code, f"{proto.op_type}, which it is made of: {error}") from None
        return [scope.values[name] for name in proto.output]

    def _results(self, node: Node, scope: Scope) -> Sequence[Value | None]:
        if node.op_type in CONTROL_FLOW and node.domain in MAIN:
            return followed(node, self._body(node, scope))
        if node.op_type in ON_SEQUENCES and node.domain in MAIN:
            return [ON_SEQUENCES[node.op_type](node)]
        found = self._rewrites.find(node.domain, node.op_type, node.opset)
        if found is None:
            return self._function(node, scope) or node.add_as(self._plugin(node), self._fields(node))
        spec, row = found
        if row.rewrite is not None:
            result = row.rewrite(node)
            return list(result) if isinstance(result, (list, tuple)) else [result]
        given = {row.renamed.get(name, name): value for name, value in node.attributes().items()}
        return node.add_as(spec, {**row.attrs, **given})

    def _function(self, node: Node, scope: Scope) -> Sequence[Value | None]:
        """The operator by the nodes of its definition in ONNX; nothing where it has none."""
        function = body_of(node.proto, node.opset, [scope.type_proto(name) for name in node.proto.input])
        if function is None:
            return []
        inner = Scope({entry.domain: entry.version for entry in function.opset_import})
        for index, name in enumerate(function.input):
            given = node.proto.input[index] if index < len(node.proto.input) else ""
            inner.set(name, scope.value(given), scope.type(given))
        for proto in bound(function.node, attributes_of(node.proto, function, node.opset)):
            self._import_inner(node, proto, inner)
        results = [inner.values.get(name) for name in function.output]
        missing = [name for index, name in enumerate(function.output) if results[index] is None and node.wants(index)]
        if missing:
            raise ModelError(ErrorCode.UNSUPPORTED_NODE, f"its definition does not make output '{missing[0]}'")
        return results

    def _body(self, node: Node, scope: Scope) -> Body:
        """How control flow makes the layers of a graph in one of its attributes."""

        def run(name: str, values: Values) -> list[Value | None]:
            graphs = [attribute.g for attribute in node.proto.attribute if attribute.name == name]
            if len(graphs) != 1 or len(graphs[0].input) != len(values):
                raise node.fail(f"its {name} is missing, or has other inputs")
            inner = Scope(scope.opsets, scope)
            self._add_initializers(graphs[0], inner)
            for entry, value in zip(graphs[0].input, values, strict=True):
                inner.set(entry.name, value)
            for proto in graphs[0].node:
                self._import_inner(node, proto, inner)
            return [inner.value(entry.name) for entry in graphs[0].output]

        return run

    def _import_inner(self, node: Node, proto: Any, scope: Scope) -> None:
        try:
            self._import(proto, scope)
        except (ModelError, DovetailError) as error:
            code = getattr(error, "code", ErrorCode.INVALID_NODE)
            code = code if isinstance(code, ErrorCode) else ErrorCode.INVALID_NODE
            raise ModelError(code, f"{proto.op_type} inside it: {error}") from None

    def _plugin(self, node: Node) -> OpSpec:
        """The op that an operator names. Raises ModelError that says which plugin would do."""
        version = str(node.attr("plugin_version", "1"))
        space = node.attr("plugin_namespace", "" if node.domain in MAIN else node.domain)
        try:
            return self._lookup.find(node.op_type, version, space)
        except PluginNotFound as error:
            others = sorted({f"{row.since}..{row.until or ''}" for row in self._rewrites.named(node.op_type)})
            known = f" It is known in opsets {', '.join(others)}; here it is {node.opset}." if others else ""
            wanted = op_id(node.op_type, version, space)
            raise ModelError(
                ErrorCode.UNSUPPORTED_NODE,
                f"no layer imports {node.op_type}, and no plugin is {wanted}.{known} {error}",
            ) from None

    def _fields(self, node: Node) -> dict[str, Any]:
        return {name: value for name, value in node.attributes().items() if name not in PLUGIN_ATTRIBUTES}

    def _rewrites_now(self) -> Rewrites:
        return Rewrites(self._lookup, lambda text: self._logger.log(Severity.WARNING, text))

    def _has_plugin(self, name: str) -> bool:
        return any(spec.name == name for spec in self._lookup.specs())

    def _mark(self, name: str, scope: Scope) -> None:
        if name in scope.broken:
            return
        value = scope.values.get(name)
        if value is None:
            text = "is an optional without a value" if name in scope.values else "is made by nothing"
            self._add_error(ParserError(ErrorCode.INVALID_GRAPH, f"output '{name}' {text}"))
            return
        if isinstance(value, tuple):
            text = (
                f"output '{name}' is a sequence of {len(value)} tensors, and networks give tensors alone: take them by "
                "SequenceAt or ConcatFromSequence, and make these the outputs"
            )
            self._add_error(ParserError(ErrorCode.UNSUPPORTED_GRAPH, text))
            return
        if isinstance(value, np.ndarray):
            value = self._network.add_constant(value.shape, np.ascontiguousarray(value)).get_output(0)
        elif value.is_network_input or value.is_network_output:
            value = self._network.add_identity(value).get_output(0)
        try:
            value.name = name
        except DefinitionError as error:
            self._add_error(ParserError(ErrorCode.INVALID_GRAPH, str(error)))
            return
        self._network.mark_output(value)


def _onnx() -> Any:
    try:
        import onnx
        import onnx.external_data_helper
    except ImportError:
        raise ModelError(
            ErrorCode.INTERNAL_ERROR, "the package onnx is not installed: pip install dovetail[onnx]"
        ) from None
    return onnx

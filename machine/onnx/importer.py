"""Imports a model node by node; the meaning of each operator is defined by plugins."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from dovetail.core.contract import OpSpec, op_id
from dovetail.core.errors import DefinitionError, DovetailError, PluginNotFound
from dovetail.core.types import from_numpy
from dovetail.machine.budget import Budget
from dovetail.machine.logger import Severity
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.onnx.control_flow import CONTROL_FLOW, Body, Values, followed
from dovetail.machine.onnx.domains import MAIN, function_key, functions_of, imports_of
from dovetail.machine.onnx.errors import ErrorCode, ModelError, ParserError
from dovetail.machine.onnx.functions import attributes_of, body_of, bound
from dovetail.machine.onnx.limits import BudgetError, Limits
from dovetail.machine.onnx.node import Import, Node, Value
from dovetail.machine.onnx.order import graphs_of, names_read, order_of
from dovetail.machine.onnx.reading import Loaded
from dovetail.machine.onnx.rewrites import Rewrites
from dovetail.machine.onnx.scope import Scope, inferred_types
from dovetail.machine.onnx.sequences import ON_SEQUENCES
from dovetail.machine.onnx.signatures import PLUGIN_ATTRIBUTES, signature_of, types_that_differ
from dovetail.machine.onnx.types import ElementTypes, carries, name_of
from dovetail.machine.tensor import ITensor

Log = Callable[[Severity, str], None]


class Importer:
    """Adds the layers of one model to a network.

    Args:
        log: called with notes on conversions and sorting.
        fail: called with each error; the import continues if possible.
    """

    def __init__(
        self, network: INetworkDefinition, loaded: Loaded, budget: Budget, log: Log, fail: Callable[[ParserError], None]
    ) -> None:
        self._network, self._model, self._log, self._fail = network, loaded.model, log, fail
        self._lookup = network._lookup
        self._rewrites = Rewrites(self._lookup, lambda text: log(Severity.WARNING, text))
        self._functions = functions_of(loaded.model)
        types = ElementTypes(lambda text: log(Severity.WARNING, text), loaded.files)
        warn = functools.partial(log, Severity.WARNING)
        self._shared = Import(network, types, self._imported, Limits(budget), warn, _unread(loaded.model.graph))
        self._orders: dict[int, tuple[Any, Sequence[int]]] = {}  # by id of a graph, which is kept

    def run(self) -> None:
        """Import everything. Raises ModelError for errors that belong to no node, and if the budget is used up."""
        graph = self._model.graph
        self._shared.limits.check_functions(graph.node, self._functions)
        scope = Scope(imports_of(self._model.opset_import))
        self._add_initializers(graph, scope)
        for entry in graph.input:
            if entry.name not in scope.values:
                scope.set(entry.name, self._add_input(entry), entry.type.tensor_type.elem_type)
        for index in self._order(graph, graph.node):
            self._take(index, graph.node[index], scope)
        for name, entry in {entry.name: entry for entry in graph.output}.items():
            self._mark(name, scope)
            self._check_declared(entry, scope)

    def _order(self, graph: Any, nodes: Sequence[Any]) -> Sequence[int]:
        """Indices of the nodes, each after those it needs."""
        if id(graph) not in self._orders:
            order, _ = order_of(nodes)
            self._orders[id(graph)] = graph, order
            if not isinstance(order, range):
                text = f"the nodes of graph '{graph.name}' are not in order, and were sorted; ONNX wants them sorted"
                self._log(Severity.WARNING, text)
        return self._orders[id(graph)][1]

    # ---- inputs and outputs
    def _add_initializers(self, graph: Any, scope: Scope) -> None:
        for tensor in graph.initializer:
            scope.set(tensor.name, self._shared.types.array(tensor), tensor.data_type)
        for sparse in graph.sparse_initializer:
            array = self._shared.types.dense(sparse, self._shared.limits.use)
            scope.set(sparse.values.name, array, sparse.values.data_type)

    def _add_input(self, entry: Any) -> ITensor:
        if not entry.type.HasField("tensor_type"):
            kind = (entry.type.WhichOneof("value") or "value without a type").removesuffix("_type")
            raise ModelError(
                ErrorCode.UNSUPPORTED_GRAPH,
                f"input '{entry.name}' is a {kind}, and inputs of networks are tensors: make each tensor an input of "
                "its own, and the sequence with SequenceConstruct",
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
                if _is_name(dim.dim_param):
                    tensor.set_dimension_name(axis, dim.dim_param)
        except DovetailError as error:
            raise ModelError(ErrorCode.INVALID_GRAPH, str(error)) from None
        return tensor

    def _mark(self, name: str, scope: Scope) -> None:
        if name in scope.broken:
            return
        value = scope.values.get(name)
        if value is None:
            text = "is an optional without a value" if name in scope.values else "is made by nothing"
            self._fail(ParserError(ErrorCode.INVALID_GRAPH, f"output '{name}' {text}"))
            return
        if isinstance(value, tuple):
            text = (
                f"output '{name}' is a sequence of {len(value)} tensors, and outputs of networks are tensors: take "
                "them by SequenceAt or ConcatFromSequence, and make these the outputs"
            )
            self._fail(ParserError(ErrorCode.UNSUPPORTED_GRAPH, text))
            return
        if isinstance(value, np.ndarray):
            value = self._network.add_constant(value.shape, np.ascontiguousarray(value)).get_output(0)
        elif value.is_network_input and value.name == name:
            self._log(Severity.WARNING, f"the model's input '{name}' is an output too: as that it is '{name}_output'")
            self._network.mark_output(value)
            return
        elif value.is_network_input or value.is_network_output:
            value = self._network.add_identity(value).get_output(0)
        try:
            value.name = name
        except DefinitionError as error:
            self._fail(ParserError(ErrorCode.INVALID_GRAPH, str(error)))
            return
        self._network.mark_output(value)

    def _check_declared(self, entry: Any, scope: Scope) -> None:
        """Warn if an output has another type than the model declares."""
        declared = entry.type.tensor_type.elem_type if entry.type.HasField("tensor_type") else 0
        value = scope.values.get(entry.name)
        if not declared or entry.name in scope.broken or not isinstance(value, (ITensor, np.ndarray)):
            return
        if not carries(value.dtype if isinstance(value, ITensor) else from_numpy(value.dtype), declared):
            made = name_of(scope.type(entry.name))
            text = f"output '{entry.name}' is declared {name_of(declared)}, and the nodes make {made}: it is {made}"
            self._log(Severity.WARNING, text)

    # ---- nodes
    def _take(self, index: int, proto: Any, scope: Scope) -> None:
        """Import one node. Errors become entries, and nodes that need its outputs are skipped."""
        if scope.broken and scope.broken.intersection(names_read(proto)):
            scope.broken.update(name for name in proto.output if name)
            return
        try:
            self._import(proto, scope)
            return
        except BudgetError as error:
            raise ModelError(error.code, f"node {index} ({proto.op_type}): {error}") from None
        except ModelError as error:
            code, text = error.code, str(error)
        except PluginNotFound as error:
            code, text = ErrorCode.UNSUPPORTED_NODE, str(error)
        except DovetailError as error:
            code, text = ErrorCode.INVALID_NODE, str(error)
        except MemoryError as error:
            code, text = ErrorCode.MEM_ALLOC_FAILED, f"there is not enough memory for it: {error}"
        except Exception as error:  # an error of a rewrite, for instance with a damaged model, becomes an entry
            text = f"its inputs or attributes do not fit its operator: {type(error).__name__}: {error}"
            code = ErrorCode.INVALID_NODE
        self._fail(ParserError(code, text, index, proto.name, proto.op_type))
        scope.broken.update(name for name in proto.output if name)

    def _import(self, proto: Any, scope: Scope) -> None:
        """Add the layers of one node, and its outputs to the scope. Raises its errors."""
        inputs = [scope.value(name) for name in proto.input]
        while inputs and inputs[-1] is None:
            inputs.pop()
        types = [scope.type(name) for name in proto.input]
        node = Node(self._shared, proto, inputs, scope.opset(proto.domain), types)
        n_layers = self._network.num_layers
        results = self._results(node, scope)
        self._shared.limits.use("the model", layers=max(1, self._network.num_layers - n_layers))
        if any(node.wants(index) for index in range(len(results), len(proto.output))):
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
        """The outputs of a node that is part of a rewrite."""
        scope = Scope({"" if proto.domain in MAIN else proto.domain: opset})
        for name, value, elem_type in zip(proto.input, inputs, types, strict=True):
            scope.set(name, value, elem_type if name else 0)
        self._import_part(proto, scope, f"{proto.op_type}, which it is made of")
        return [scope.values[name] for name in proto.output]

    def _import_part(self, proto: Any, scope: Scope, where: str) -> None:
        """Import a node that is part of another one. The message of a ModelError says where it is."""
        try:
            with self._shared.limits.inside(proto.op_type):
                self._import(proto, scope)
        except BudgetError:
            raise
        except (ModelError, DovetailError) as error:
            code = getattr(error, "code", ErrorCode.INVALID_NODE)
            code = code if isinstance(code, ErrorCode) else ErrorCode.INVALID_NODE
            raise ModelError(code, f"{where}: {error}") from None

    # ---- implementations of a node
    def _results(self, node: Node, scope: Scope) -> Sequence[Value | None]:
        local = self._functions.get(function_key(node.proto))
        if local is not None:
            return self._function(node, scope, local)
        found = self._rewrites.find(node.domain, node.op_type, node.opset)
        if found is None or not found[1].mixes_types:
            self._check_types(node, scope)
        if node.op_type in CONTROL_FLOW and node.domain in MAIN:
            return followed(node, self._body(node, scope))
        if node.op_type in ON_SEQUENCES and node.domain in MAIN:
            return [ON_SEQUENCES[node.op_type](node)]
        if found is None:
            function = body_of(node.proto, node.opset, [scope.type_proto(name) for name in node.proto.input])
            if function is not None:
                return self._function(node, scope, function)
            return node.add_as(self._plugin(node), self._fields(node))
        spec, row = found
        if row.rewrite is not None:
            result = row.rewrite(node)
            return list(result) if isinstance(result, (list, tuple)) else [result]
        given = {row.renamed.get(name, name): value for name, value in self._fields(node).items()}
        return node.add_as(spec, {**row.attrs, **given})

    def _check_types(self, node: Node, scope: Scope) -> None:
        """Raises ModelError if the operator's schema does not allow the types of the inputs."""
        signature = signature_of(node.domain, node.op_type, node.opset) if self._shared.types.are_plain else None
        if signature is None:
            return
        types = []
        for name in node.proto.input:
            is_tensor = bool(name) and not isinstance(scope.value(name), (tuple, type(None)))
            types.append(name_of(scope.type(name)) if is_tensor else "")
        wrong = types_that_differ(signature, types)
        if wrong:
            raise node.fail(wrong)

    def _function(self, node: Node, scope: Scope, function: Any) -> Sequence[Value | None]:
        """Import the nodes of the operator's definition, in the model or in ONNX."""
        inner = Scope(imports_of(function.opset_import, scope.opsets))
        for index, name in enumerate(function.input):
            given = node.proto.input[index] if index < len(node.proto.input) else ""
            inner.set(name, scope.value(given), scope.type(given))
        nodes = bound(function.node, attributes_of(node.proto, function, node.opset))
        self._shared.unread -= {name for inner in function.node for name in inner.output}  # its names are its own
        self._import_all(node, (nodes[place] for place in self._order(function, function.node)), inner)
        results = [inner.values.get(name) for name in function.output]
        missing = [name for index, name in enumerate(function.output) if results[index] is None and node.wants(index)]
        if missing:
            raise ModelError(ErrorCode.UNSUPPORTED_NODE, f"its definition does not make output '{missing[0]}'")
        return results

    def _body(self, node: Node, scope: Scope) -> Body:
        """The function with which control flow imports a graph in one of its attributes."""

        def run(name: str, values: Values) -> list[Value | None]:
            graphs = [graph for attribute, graph in graphs_of(node.proto) if attribute == name]
            if len(graphs) != 1 or len(graphs[0].input) != len(values):
                given = f"has {len(graphs[0].input)} inputs, and gets {len(values)}" if graphs else "is missing"
                raise node.fail(f"its {name} {given}")
            graph = graphs[0]
            self._shared.limits.use("the model", layers=1)
            inner = Scope(scope.opsets, scope)
            self._add_initializers(graph, inner)
            for entry, value in zip(graph.input, values, strict=True):
                inner.set(entry.name, value)
            self._import_all(node, (graph.node[place] for place in self._order(graph, graph.node)), inner)
            return [inner.value(entry.name) for entry in graph.output]

        return run

    def _import_all(self, node: Node, protos: Iterable[Any], scope: Scope) -> None:
        for proto in protos:
            self._import_part(proto, scope, f"{proto.op_type} inside it")

    def _plugin(self, node: Node) -> OpSpec:
        """The op with an operator's name. Raises ModelError, which names the plugin that would be needed."""
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


def _is_name(text: str) -> bool:
    """True if dims with this name are equal everywhere; "?" and the like stand for any extent."""
    return isinstance(text, str) and any(letter.isalnum() for letter in text)


def _unread(graph: Any) -> frozenset[str]:
    """Names of outputs of its nodes that neither a node nor the graph itself takes."""
    made = {name for node in graph.node for name in node.output}
    read = {name for node in graph.node for name in names_read(node)}
    return frozenset(made - read - {entry.name for entry in graph.output})

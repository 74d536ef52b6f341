"""Checks that a model is valid ONNX, before anything is imported."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from dovetail.machine.onnx.domains import MAIN, function_key, functions_of, imports_of, opset_in
from dovetail.machine.onnx.errors import ErrorCode, ParserError
from dovetail.machine.onnx.order import graphs_of, names_read, order_of
from dovetail.machine.onnx.signatures import differences, signature_of
from dovetail.machine.onnx.types import name_of

MOST_ERRORS = 50  # of one model; the rest is counted
MOST_LETTERS = 256  # of an operator's name
MOST_NAMES = 2000  # among which a near miss is looked for


def errors_in(model: Any) -> list[ParserError]:
    """What is not valid ONNX in a model, nothing if all is."""
    check = _Check(model)
    check.model(model)
    return check.errors[:MOST_ERRORS]


class _Check:
    def __init__(self, model: Any) -> None:
        self.errors: list[ParserError] = []
        self._functions = functions_of(model)
        self._opsets: dict[str, int] = {}

    def _add(self, text: str, index: int = -1, node: Any = None, code: ErrorCode = ErrorCode.INVALID_GRAPH) -> None:
        name, op_type = (node.name, node.op_type) if node is not None else ("", "")
        self.errors.append(ParserError(code, text, index, name, op_type))

    # ---- models
    def model(self, model: Any) -> None:
        self._versions(model)
        self._names(model)
        if self.errors:
            return  # without names and versions the rest has no meaning
        if len(self._functions) < len(model.functions):
            keys = [(found.domain, found.name, getattr(found, "overload", "")) for found in model.functions]
            twice = next(key for key in keys if keys.count(key) > 1)
            self._add(f"function {twice[0]}::{twice[1]} is defined twice")
        self._opsets = opsets = imports_of(model.opset_import)
        graph = model.graph
        self._once("input", (entry.name for entry in graph.input))
        self._once("initializer", (tensor.name for tensor in graph.initializer))
        self._once("initializer", (sparse.values.name for sparse in graph.sparse_initializer))
        self._defaults(graph)
        given = {entry.name: "an input" for entry in graph.input}
        given |= {tensor.name: "an initializer" for tensor in graph.initializer}
        given |= {sparse.values.name: "an initializer" for sparse in graph.sparse_initializer}
        self._nodes(graph.node, given, {}, opsets, False, "", None)
        for function in model.functions:
            self._function(function)

    def _defaults(self, graph: Any) -> None:
        """Initializers that are defaults of inputs have the types and extents that these declare."""
        inputs = {entry.name: entry.type.tensor_type for entry in graph.input if entry.type.HasField("tensor_type")}
        for tensor in graph.initializer:
            declared = inputs.get(tensor.name)
            if declared is None:
                continue
            if declared.elem_type not in (0, tensor.data_type):
                needed, given = name_of(declared.elem_type), name_of(tensor.data_type)
                self._add(f"input '{tensor.name}' is {needed}, and the initializer of that name {given}")
            if not declared.HasField("shape"):
                continue
            dims = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in declared.shape.dim]
            fits = [one in (-1, extent) for one, extent in zip(dims, tensor.dims, strict=False)]
            if len(dims) != len(tensor.dims) or not all(fits):
                self._add(f"input '{tensor.name}' has the shape {dims}, and its initializer {list(tensor.dims)}")

    def _versions(self, model: Any) -> None:
        import onnx

        newest = onnx.defs.onnx_opset_version()
        hint = f"the installed onnx {onnx.__version__} does not know it; install a newer one: pip install -U onnx"
        if not 1 <= model.ir_version <= onnx.IR_VERSION:
            rule = f"versions are 1 to {onnx.IR_VERSION}"
            self._add(f"the model's ir_version is {model.ir_version}: {rule if model.ir_version < 1 else hint}")
        versions: dict[str, set[int]] = {}
        for entry in model.opset_import:
            versions.setdefault("" if entry.domain in MAIN else entry.domain, set()).add(entry.version)
        for domain, found in versions.items():
            if len(found) > 1:
                told = " and ".join(map(str, sorted(found)))
                self._add(f"the model imports opsets {told} of domain '{domain or 'ai.onnx'}', and one is allowed")
        if not model.opset_import and model.ir_version >= 3:
            self._add("the model imports no opset, so its operators have no meaning; opset_import says which")
        if "" not in versions and versions and any(map(self._is_main, model.graph.node)):
            self._add("the model has operators of domain 'ai.onnx', and its opset_import does not say of which opset")
        for domain, found in versions.items():
            wrong = [version for version in found if domain and not 0 < version < 1 << 31]
            if wrong:
                self._add(f"the model imports version {wrong[0]} of domain '{domain}'; versions begin with 1")
        for version in versions.get("", ()):
            if not 1 <= version <= newest:
                reason = "opsets begin with 1" if version < 1 else f"{hint} (opsets up to {newest})"
                self._add(f"the model's opset is {version}: {reason}")

    def _names(self, model: Any) -> None:
        """Protobuf gives bytes where a string is not UTF-8."""
        waiting = [model.graph]
        names: list[Any] = [name for function in model.functions for name in (*function.input, *function.output)]
        nodes = [node for function in model.functions for node in function.node]
        while waiting or nodes:
            if waiting:
                graph = waiting.pop()
                names += [entry.name for entry in (*graph.input, *graph.output, *graph.initializer)]
                nodes += graph.node
            for node in nodes:
                names += [*node.input, *node.output, node.op_type, node.domain, node.name]
                names += [attribute.name for attribute in node.attribute]
                waiting += [graph for _, graph in graphs_of(node)]
            nodes = []
        wrong = [name for name in names if isinstance(name, bytes)]
        if wrong:
            self._add(f"the model has a name that is not UTF-8: {wrong[0][:100]!r}")

    def _is_main(self, node: Any) -> bool:
        return node.domain in MAIN and function_key(node) not in self._functions

    def _once(self, kind: str, names: Iterable[str]) -> None:
        seen = set()
        for name in names:
            if name in seen:
                self._add(f"{kind} '{name[:100]}' is defined twice")
            seen.add(name)

    def _function(self, function: Any) -> None:
        label = f"function {function.domain}::{function.name}"
        self._once(f"{label}: input", function.input)
        opsets = imports_of(function.opset_import, self._opsets)
        given = dict.fromkeys(function.input, "an input")
        made = self._nodes(function.node, given, {}, opsets, True, f"{label}: ", (-1, None))
        for name in function.output:
            if name not in made:
                self._add(f"{label}: nothing makes its output '{name[:100]}'")

    # ---- graphs
    def _nodes(
        self,
        nodes: Sequence[Any],
        given: Mapping[str, str],
        outer: Mapping[str, str],
        opsets: Mapping[str, int],
        in_function: bool,
        where: str,
        at: tuple[int, Any] | None,
    ) -> dict[str, str]:
        """Check the nodes of one graph; what its names are.

        Args:
            given: what is there before the first node, by name; `outer`: what the graphs around it have.
            where: put before each text; at: the index and node that errors are given, None for those of each node.
        """
        visible = {**outer, **given, "": ""}
        made: dict[str, str] = dict(given)
        order, tangled = order_of(nodes, visible)
        if tangled:
            first = _cycle(nodes, tangled)
            told = ", ".join(f"{place} ({_named(nodes[place])})" for place in first)
            self._add(f"{where}nodes {told} need each other's outputs, and none of them can be the first", *at or ())
            return made | {name: "an output" for node in nodes for name in node.output}
        for place in order:
            node = nodes[place]
            index, shown = (place, node) if at is None else at
            prefix = where if at is None else f"{where}node {place} ({_named(node)}): "
            for name in dict.fromkeys(node.input):
                if name not in visible:
                    near = _near(name, visible)
                    self._add(f"{prefix}nothing makes its input '{name[:100]}'{near}", index, shown)
                    visible[name] = "missing"  # once is enough
            self._node(node, opsets, in_function, partial(self._node_error, index=index, node=shown, prefix=prefix))
            for name, graph in graphs_of(node):
                self._body(graph, visible, opsets, in_function, f"{prefix}in its {name}: ", (index, shown))
            for name in node.output:
                if name and visible.get(name, "missing") != "missing":
                    text = f"its output '{name[:100]}' is defined already, as {visible[name]}; names are defined once"
                    self._add(prefix + text, index, shown)
                visible[name] = made[name] = f"an output of node {place} ({_named(node)})"
            visible[""] = ""
        return made

    def _node_error(self, text: str, index: int, node: Any, prefix: str = "") -> None:
        self._add(f"{prefix}{text}", index, node, ErrorCode.INVALID_NODE)

    def _body(
        self,
        graph: Any,
        outer: Mapping[str, str],
        opsets: Mapping[str, int],
        in_function: bool,
        where: str,
        at: tuple[int, Any],
    ) -> None:
        self._once(f"{where}input", (entry.name for entry in graph.input))
        given = {entry.name: "an input" for entry in graph.input}
        given |= {tensor.name: "an initializer" for tensor in graph.initializer}
        made = self._nodes(graph.node, given, outer, opsets, in_function, where, at)
        for entry in graph.output:
            if entry.name in made:
                continue
            name = entry.name[:100]
            if entry.name in outer:  # ONNX's checker and ONNX Runtime refuse it too
                text = f"its output '{name}' is a tensor of the graph around it; Identity of that, in the body, may be"
            else:
                text = f"nothing makes its output '{name}'"
            self._add(where + text, *at)

    def _node(self, node: Any, opsets: Mapping[str, int], in_function: bool, tell: Callable[[str], None]) -> None:
        if not node.op_type:
            tell("it has no operator")
            return
        if len(node.op_type) > MOST_LETTERS:
            tell(f"its operator's name has {len(node.op_type)} characters, and {MOST_LETTERS} are allowed")
            return
        function = self._functions.get(function_key(node))
        if function is not None:
            for kind, names, formal in (
                ("input", node.input, function.input),
                ("output", node.output, function.output),
            ):
                if len(names) > len(formal):
                    tell(f"it has {len(names)} {kind}s, and function {function.domain}::{function.name} {len(formal)}")
            return
        signature = signature_of(node.domain, node.op_type, opset_in(opsets, node.domain))
        if signature is not None:
            for text in differences(node, signature, in_function):
                tell(text)


def _cycle(nodes: Sequence[Any], tangled: Sequence[int]) -> list[int]:
    """Places of nodes of which each needs the one before, and the first the last."""
    makers = {name: place for place in tangled for name in nodes[place].output if name}
    path = {tangled[0]: 0}  # place -> position
    place = tangled[0]
    while True:
        place = next(makers[name] for name in sorted(names_read(nodes[place])) if name in makers)
        if place in path:
            return list(path)[path[place] :][::-1][:8]
        path[place] = len(path)


def _named(node: Any) -> str:
    return f"{node.op_type[:100]} '{node.name[:100]}'" if node.name else node.op_type[:100]


def _near(name: str, known: Mapping[str, str]) -> str:
    if len(known) > MOST_NAMES or len(name) > 100:
        return ""
    near = difflib.get_close_matches(name, [key for key in known if len(key) <= 100], n=1)
    return f"; did you mean '{near[0]}'?" if near else ""

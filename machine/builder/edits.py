"""What a plugin's pass must leave behind: a graph that the following passes can read."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dovetail.core.contract import OpSpec, SymbolicTensor
from dovetail.core.errors import BuildError
from dovetail.core.expr import DimsExprs, constraints
from dovetail.core.types import DataType, DeviceType
from dovetail.machine.builder.graph import Block, Graph, GraphLayer, GraphTensor, shown


class Edit:
    """One call of a plugin's pass. Make it before the call, and call `check` afterwards."""

    def __init__(self, graph: Graph, name: str, function: Callable[..., Any]) -> None:
        self.name, self.where = name, str(getattr(function, "__module__", "?"))
        self.ends = {"input": list(map(_facts, graph.inputs)), "output": list(map(_facts, graph.outputs))}
        self.inputs = list(graph.inputs)
        self.layers = {layer: _state(layer) for layer in graph.all_layers()}

    def check(self, graph: Graph) -> None:
        """Compare what the pass returned with what it was given; layers whose fields it set get a new op.

        Raises:
            BuildError: an input or output of the network, a layer or a tensor is not what it must be.
            DefinitionError: a layer that the pass changed has wrong inputs or fields.
        """
        self._check_kinds(graph)
        for kind, tensors in (("input", graph.inputs), ("output", graph.outputs)):
            self._check_ends(kind, tensors)
        if any(now is not before for now, before in zip(graph.inputs, self.inputs, strict=True)):
            self._fail("an input of the network is another tensor than before")
        if graph.groups:
            return
        layers = list(graph.all_layers())
        self._check_order(graph, {*graph.inputs}, set(layers), set())
        for layer in layers:
            fields, wiring = self.layers.get(layer, ([], []))
            has_new_fields = layer in self.layers and not _same(fields, _fields(layer))
            if has_new_fields:
                layer.values = {**layer.spec.defaults(), **layer.values}
                layer.op = layer.spec.make(layer.name, layer.values)
            if has_new_fields or not _alike(wiring, _wiring(layer)):
                self._check_outputs(layer)

    def _check_kinds(self, graph: Graph) -> None:
        seen: set[int] = set()  # tensors that were looked at
        self._expect("graph.layers", graph.layers, list)
        for kind, tensors in (("graph.inputs", graph.inputs), ("graph.outputs", graph.outputs)):
            self._expect(kind, tensors, list)
            for tensor in tensors:
                self._check_tensor("an item of {}", kind, tensor, seen)
        for note in graph.notes:
            self._expect("a line of graph.notes", note, str)
        for layer in _layers_of(graph):
            self._expect("an item of graph.layers", layer, GraphLayer)
            self._expect("the name of a layer", layer.name, str)
            self._expect("the spec of layer '{.name}'", layer.spec, OpSpec, layer)
            self._expect("the device of {.label}", layer.device, DeviceType, layer)
            self._expect("the fields of {.label}", layer.values, dict, layer)
            if layer.precision is not None:
                self._expect("the precision of {.label}", layer.precision, DataType, layer)
            for tensor in layer.tensors:
                if tensor is not None:
                    self._check_tensor("a tensor of {.label}", layer, tensor, seen)

    def _check_tensor(self, what: str, of: Any, tensor: Any, seen: set[int]) -> None:
        if id(tensor) in seen:
            return
        seen.add(id(tensor))
        self._expect(what, tensor, GraphTensor, of)
        self._expect("the name of " + what, tensor.name, str, of)
        self._expect("the dims of '{.name}'", tensor.dims, DimsExprs, tensor)
        self._expect("the type of '{.name}'", tensor.dtype, DataType, tensor)
        self._expect("the ranges of '{.name}'", tensor.ranges, list, tensor)
        if tensor.constant is not None:
            self._expect("the constant of '{.name}'", tensor.constant, np.ndarray, tensor)
            if tensor.constant.shape != tensor.static_dims:
                dims = _text(tensor.dims)
                self._fail(f"the constant of '{tensor.name}' has the dims {tensor.constant.shape}, not [{dims}]")

    def _check_ends(self, kind: str, tensors: list[GraphTensor]) -> None:
        before, now = self.ends[kind], list(map(_facts, tensors))
        if before != now:
            names = [", ".join(f"{dtype} '{name}' [{dims}]" for name, dtype, dims in ends) for ends in (before, now)]
            facts = [("before", names[0] or "none"), ("after", names[1] or "none")]
            self._fail(f"the {kind}s of the network are not what they were", facts)

    def _check_order(
        self, block: Block, known: set[GraphTensor], every: set[GraphLayer], done: set[GraphLayer]
    ) -> None:
        """Every tensor is known before a layer takes it: an input, a constant, or made by a layer in front of it."""
        for layer in block.layers:
            if layer in done:
                self._fail(f"{layer.label} is there twice")
            done.add(layer)
            for tensor in layer.inputs:
                self._check_known(tensor, f"{layer.label} takes", known, every)
            for inner in layer.blocks:
                self._check_order(inner, known | {*inner.inputs}, every, done)
            for tensor in layer.outputs:
                if tensor.producer is not layer:
                    self._fail(f"'{tensor.name}' is an output of {layer.label}, which is not its producer")
                known.add(tensor)
        for tensor in block.outputs:
            self._check_known(tensor, "an output is", known, every)

    def _check_known(
        self, tensor: GraphTensor | None, taken: str, known: set[GraphTensor], every: set[GraphLayer]
    ) -> None:
        if tensor is None or tensor.is_constant or tensor in known:
            return
        if tensor.producer in every:
            self._fail(f"{taken} '{tensor.name}', which {tensor.producer.label} computes later")  # type: ignore[union-attr]
        self._fail(f"{taken} '{tensor.name}', which no layer of the graph computes")

    def _check_outputs(self, layer: GraphLayer) -> None:
        """A layer that the pass made or changed makes the outputs that the graph says."""
        if layer.blocks or not _can_be_inferred(layer):
            return
        given = [None if t is None else SymbolicTensor(t.dims, t.dtype, t.name, t.constant) for t in layer.inputs]
        with constraints():  # that it can be built for all extents is not what is asked here
            inferred = layer.op.infer(given)
        made = [f"{tensor.dtype.name} [{_text(tensor.dims)}]" for tensor in inferred]
        own = [f"{tensor.dtype.name} [{_text(tensor.dims)}]" for tensor in layer.outputs]
        if made != own:
            facts = [("it makes", ", ".join(made)), ("in the graph", ", ".join(own))]
            self._fail(f"the outputs of {layer.label} are not what it makes of its inputs", facts)

    def _expect(self, what: str, value: Any, kind: type, of: Any = None) -> None:
        """Fail if it is of another kind. `what`: a format for `of`, so that a text is made only in order to fail."""
        if not isinstance(value, kind):
            self._fail(f"{what.format(of)} is {shown(value)}, not {kind.__name__}")

    def _fail(self, reason: str, facts: list[tuple[str, str]] | None = None) -> None:
        raise BuildError(
            f"pass '{self.name}' left a graph that cannot be built: {reason}",
            facts=[*(facts or []), ("defined in", self.where)],
            hint="docs/adding-a-pass.md says what a pass may change, and how.",
        )


def _layers_of(block: Block) -> Iterator[Any]:
    """All layers, whatever a pass has put among them."""
    for layer in block.layers:
        yield layer
        for inner in layer.blocks:
            yield from _layers_of(inner)


def _text(dims: DimsExprs) -> str:
    return ", ".join(map(str, dims))


def _facts(tensor: GraphTensor) -> tuple[str, str, str]:
    return tensor.name, tensor.dtype.name, _text(tensor.dims)


def _fields(layer: GraphLayer) -> list[Any]:
    return [layer.spec, *itertools.chain.from_iterable(layer.values.items())]


def _wiring(layer: GraphLayer) -> list[Any]:
    return [item for t in layer.tensors for item in (t, *([] if t is None else [t.dims, t.dtype, t.constant]))]


def _state(layer: GraphLayer) -> tuple[list[Any], list[Any]]:
    """What decides the outputs of a layer, in objects that are others once a pass has set them."""
    return _fields(layer), _wiring(layer)


def _same(before: list[Any], now: list[Any]) -> bool:
    return len(before) == len(now) and all(map(operator.is_, before, now))


def _alike(before: list[Any], now: list[Any]) -> bool:
    """True if the tensors around a layer are of the same dims and types as before, and known ones the same."""
    return len(before) == len(now) and all(
        a is b
        or (isinstance(a, GraphTensor) and isinstance(b, GraphTensor))
        or (
            isinstance(a, DimsExprs)
            and isinstance(b, DimsExprs)
            and (len(a) == len(b) and all(one.same(other) for one, other in zip(a, b, strict=True)))
        )
        for a, b in zip(before, now, strict=True)
    )


def _can_be_inferred(layer: GraphLayer) -> bool:
    """False where more than dims, types and constants decides the outputs: elements of shapes, INT8 with a scale, and
    extents that the kernel tells."""
    if any(port.size for port in layer.spec.outputs):
        return False
    if any(tensor is not None and tensor.scale >= 0 for tensor in layer.tensors):
        return False
    follows = any(port.shape for port in layer.spec.inputs)
    return not follows or all(tensor is None or tensor.is_constant for tensor in layer.inputs[1:])

"""Functions of one tensor of 8 bits, from its dequantise layer to a quantise layer, are looked up in a table.

DQ -> Sigmoid -> Q, or x * sigmoid(x) with quantise layers in between: each of the 256 integers has one result, which
the references of the layers compute now. Only on the CPU.
"""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.core.types import DataType, DeviceType
from dovetail.plugins.rewrites import Rewrites, is_op, same_dims
from dovetail.plugins.rewrites_stored import dequantized, number_stored, quantized

POINTWISE = ("Activation", "ElementWise", "Unary")
MOST_LAYERS = 24  # of a function

Function = dict[Any, numpy.ndarray]  # what a tensor is for each byte of another one; there may be several such


def find_byte_tables(graph: Any, build: Any) -> Any:
    """Put a ByteTable layer in the place of each quantise layer whose input depends on one tensor of 8 bits."""
    edit = Rewrites(graph, build, "find_byte_tables")
    for layer in edit.layers():
        wanted = quantized(layer) if layer.device == DeviceType.CPU else None
        if wanted is None or dequantized(layer.inputs[0]) is not None:
            continue
        search = _Search(edit)
        found = search.function_of(layer.inputs[0])
        # The first one of a chain of tables, which are not needed then.
        source = next((source for source in reversed(found) if same_dims(source, layer.outputs[0])), None)
        if source is None or not edit.may_change([layer, *search.layers], may_have_scales=True):
            continue
        table = edit.weights(f"table of {layer.name}", wanted.stored(found[source]), [])
        edit.substitute(layer, "ByteTable@1", [source, table])
        edit.note("functions of integers of 8 bits that are looked up in tables", *search.layers)
    return edit.finish()


class _Search:
    """Follows one tensor back to the integers that it is a function of."""

    def __init__(self, edit: Rewrites) -> None:
        self.edit = edit
        self.layers: list[Any] = []

    def function_of(self, tensor: Any) -> Function:
        """Empty if the tensor is no function of one tensor of 8 bits."""
        found = dequantized(tensor)
        if found is not None:
            stored, values = found[0], found[1].reals()
            function = {stored: values}
            while is_op(stored.producer, "ByteTable") and stored.producer.inputs[1].constant is not None:
                values = values[stored.producer.inputs[1].constant.view(numpy.uint8)]
                stored = stored.producer.inputs[0]
                function[stored] = values
            return function
        layer = None if tensor is None else tensor.producer
        if layer is None or len(self.layers) >= MOST_LAYERS or not any(is_op(layer, name) for name in POINTWISE):
            return {}
        if tensor.dtype != DataType.FLOAT or layer.spec.reference is None:
            return {}
        self.layers.append(layer)
        numbers = [number_stored(one) for one in layer.inputs]
        parts = [None if n is not None else self.function_of(one) for n, one in zip(numbers, layer.inputs, strict=True)]
        functions = [part for part in parts if part is not None]
        if not functions:
            return {}
        sources = [source for source in functions[0] if all(source in part for part in functions)]
        return {source: self._values(layer, numbers, parts, source) for source in sources}

    @staticmethod
    def _values(layer: Any, numbers: list[Any], parts: list[Any], source: Any) -> numpy.ndarray:
        arrays = [
            numpy.array([n], numpy.float32) if part is None else part[source]
            for n, part in zip(numbers, parts, strict=True)
        ]
        with numpy.errstate(all="ignore"):
            values = layer.spec.reference(layer.values, *arrays)
        return numpy.broadcast_to(values, (256,)).astype(numpy.float32)

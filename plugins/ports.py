"""Ports of a plugin: its inputs and outputs, with their legal types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dovetail.core.contract import Port
from dovetail.core.errors import DefinitionError, DTypeError
from dovetail.core.types import DataType, from_numpy


class PortDeclaration:
    """The result of `Input(...)`, `Weights(...)` or `Output(...)` in a class body, until the class is complete."""

    is_output = False

    def __init__(self, types: DataType | Iterable[DataType] = (), **facts: Any) -> None:
        self.types = _checked_types(type(self).__name__, types)
        self.facts = facts

    def named(self, name: str) -> Port:
        return Port(name=name, types=self.types, **self.facts)


def _checked_types(port: str, types: Any) -> tuple[DataType, ...]:
    """Raises DefinitionError if these are not DataTypes; the message names the type that was probably meant."""
    if isinstance(types, DataType):
        return (types,)
    is_several = hasattr(types, "__iter__") and not isinstance(types, (str, bytes, type))
    given = list(types) if is_several else [types]
    wrong = [one for one in given if not isinstance(one, DataType)]
    if not wrong:
        return tuple(given)
    shown = getattr(wrong[0], "__name__", None) or repr(wrong[0])
    try:
        meant = f"DataType.{from_numpy(wrong[0]).name}"
    except (DTypeError, TypeError):
        meant = "a DataType, such as DataType.FLOAT or FLOATS of dovetail.core.types"
    if isinstance(wrong[0], str) and meant.startswith("a "):
        meant = f'{meant}; the type of an input is like="{wrong[0]}"'
    raise DefinitionError(
        f"{port} cannot have the type {shown}",
        facts=[("allowed", ", ".join(one.name for one in DataType))],
        hint=f"Say {meant}.",
        got=wrong[0],
    )


class Input(PortDeclaration):
    """An input. Without types, it takes any.

    Args:
        types: the legal ones, or one.
        optional: may be absent; `infer` and `reference` then get None.
        variadic: any number of tensors, as a list; only the last input.
        shape: its contents determine extents only (`infer` reads its `elements()`). If they follow from constants and
            extents, kernels and `reference` get None for it. The op therefore needs an `enqueue`, which reads the
            extents from the shapes of its outputs.
        quantized: may be INT8 with a scale (real = stored * scale).
        checked: a constant that `infer` checks; kernels and `reference` do not get it. Only the last inputs.
        like: name of another input whose type this one has in every row of a Python implementation.
    """

    def __init__(
        self,
        types: DataType | Iterable[DataType] = (),
        *,
        optional: bool = False,
        variadic: bool = False,
        shape: bool = False,
        quantized: bool = False,
        checked: bool = False,
        like: str | None = None,
        doc: str = "",
    ) -> None:
        facts = {"optional": optional, "variadic": variadic, "shape": shape, "quantized": quantized, "checked": checked}
        super().__init__(types, **facts, like=like, doc=doc)


class Weights(PortDeclaration):
    """An input that is usually constant.

    It can be given as an array under its name among the fields (`add_plugin("Scale", [x], {"scale":
    array})`), as an attribute of the layer (`layer.scale = array`), or as any tensor (`layer.set_input(1,
    tensor)`). Data may be flat: the plugin's `weight_dims` returns its dims.
    """

    def __init__(
        self,
        types: DataType | Iterable[DataType] = (),
        *,
        optional: bool = False,
        quantized: bool = False,
        like: str | None = None,
        doc: str = "",
    ) -> None:
        super().__init__(types, weights=True, optional=optional, quantized=quantized, like=like, doc=doc)


class Output(PortDeclaration):
    """An output, of the given types or of the type of the input `like`.

    Args:
        size: it holds an extent of another output, declared by `infer` with `self.declare_size`: an INT32 or INT64
            scalar. When the kernel runs, the array of that other output has the extents of the upper bound; the kernel
            fills it from its start, in row-major order of the real extents.
    """

    is_output = True

    def __init__(
        self,
        types: DataType | Iterable[DataType] = (),
        *,
        like: str | None = None,
        quantized: bool = False,
        size: bool = False,
        doc: str = "",
    ) -> None:
        super().__init__(types, like=like, quantized=quantized, size=size, doc=doc)


PORTS = (Input, Weights, Output)


def bind(ports: tuple[Port, ...], values: Iterable[Any]) -> list[Any]:
    """One argument for each port: the value, None if it is absent, a list for a variadic port."""
    given = list(values)
    arguments: list[Any] = []
    for index, port in enumerate(ports):
        if port.variadic:
            arguments.append(given[index:])
        else:
            arguments.append(given[index] if index < len(given) else None)
    return arguments

"""Factories of implementations written in Python, whose objects the native function tables call.

This is the only code between the executor and a Python plugin. It converts types that numpy lacks, and selects the
kernel for the negotiated formats.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dovetail.core.contract import Row
from dovetail.core.errors import DefinitionError
from dovetail.core.types import DataType, TensorFormat
from dovetail.plugins.author import note_method
from dovetail.plugins.ports import bind
from dovetail.plugins.results import bytes_of, method_name, naming, refuse_result, results_of, store, widen


class KernelFactory:
    """Makes objects of a plugin class that has its own kernels."""

    def __init__(self, cls: Any, kernels: Sequence[tuple[Row, str]]) -> None:
        self.cls = cls
        self.kernels = list(kernels)

    def create(self, layer: str, values: dict[str, Any]) -> KernelObject:
        with naming("__init__"):
            return KernelObject(self.cls(layer, **values), self.kernels)


class KernelObject:
    """A plugin while an engine is built or loaded."""

    def __init__(self, plugin: Any, kernels: Sequence[tuple[Row, str]]) -> None:
        self.plugin = plugin
        self.kernels = kernels

    def supports(self, pos: int, descs: Sequence[Any], n_in: int, n_out: int) -> bool:
        return bool(descs[pos].format == TensorFormat.LINEAR)

    def configure(self, ins: Sequence[Any], outs: Sequence[Any]) -> None:
        if hasattr(self.plugin, "configure"):
            self.plugin.configure(ins, outs)

    def workspace(self, ins: Sequence[Any], outs: Sequence[Any]) -> int:
        if not hasattr(self.plugin, "get_workspace_size"):
            return 0
        with naming("get_workspace_size", self.plugin.dovetail_spec.where):
            return bytes_of(self.plugin.get_workspace_size(ins, outs))

    def make_context(self) -> Any:
        with naming("__copy__"):
            return KernelContext(copy.copy(self.plugin), self.kernels)


class KernelContext:
    """A plugin in one execution context."""

    def __init__(self, plugin: Any, kernels: Sequence[tuple[Row, str]]) -> None:
        self.plugin = plugin
        self.kernels = kernels
        self.run: Callable[..., Any] | None = None

    def shape_changed(self, in_descs: Sequence[Any], out_descs: Sequence[Any]) -> None:
        self.run = getattr(self.plugin, self._kernel_for(in_descs, out_descs))
        if hasattr(self.plugin, "shape_changed"):
            self.plugin.shape_changed(in_descs, out_descs)

    def _kernel_for(self, ins: Sequence[Any], outs: Sequence[Any]) -> str:
        if len(self.kernels) == 1:
            return self.kernels[0][1]
        for row, name in self.kernels:
            if fits(row.formats, ins, outs, "format") and (not row.types or fits(row.types, ins, outs, "dtype")):
                return name
        raise DefinitionError(f"no kernel of {self.plugin.label} takes these tensors", facts=[("inputs", str(ins))])

    def enqueue(
        self, in_descs: Any, out_descs: Any, in_arrays: Any, out_arrays: Any, workspace: Any, stream: Any
    ) -> None:
        if self.run is None:
            self.shape_changed(in_descs, out_descs)
        try:
            result = self.run(in_arrays, out_arrays, workspace, stream)  # type: ignore[misc]
            if result is not None:
                refuse_result(result, self.plugin.dovetail_spec.outputs[0].name)
        except BaseException as error:
            note_method(error, self.run.__name__, self.plugin.dovetail_spec.where)  # type: ignore[union-attr]
            raise

    def drop(self) -> None:
        self.run = None


def fits(text: str, ins: Sequence[Any], outs: Sequence[Any], attribute: str) -> bool:
    """True if these descs have the formats (or types) that a row's text names."""
    kind = TensorFormat if attribute == "format" else DataType
    left, _, right = text.partition("->")
    if not right:
        left, right = f"{text}...", f"{text}..."
    for descs, words in ((ins, left.split()), (outs, right.split())):
        for index, desc in enumerate(descs):
            word = words[min(index, len(words) - 1)].removesuffix("...").removesuffix("@cpu")
            if desc is not None and kind(getattr(desc, attribute)).short not in word.split("|"):
                return False
    return True


class ReferenceFactory:
    """Makes objects that compute with a plugin's `reference`."""

    def __init__(self, cls: Any) -> None:
        self.cls = cls

    def create(self, layer: str, values: dict[str, Any]) -> ReferenceObject:
        with naming("__init__"):
            return ReferenceObject(self.cls(layer, **values))


class ReferenceObject(KernelObject):
    """A plugin that runs through its reference. It keeps no state, so contexts share it."""

    def __init__(self, plugin: Any) -> None:
        super().__init__(plugin, ())

    def make_context(self) -> Any:
        return self

    def shape_changed(self, in_descs: Sequence[Any], out_descs: Sequence[Any]) -> None:
        pass

    def enqueue(
        self, in_descs: Any, out_descs: Any, in_arrays: Any, out_arrays: Any, workspace: Any, stream: Any
    ) -> tuple[tuple[int, ...], ...] | None:
        """The dims of all outputs if the reference decides extents; the runtime compares them with the sizes."""
        arrays = [widen(array, desc) for array, desc in zip(in_arrays, in_descs, strict=True)]
        try:
            with np.errstate(all="ignore"):
                result = self.plugin.reference(*bind(self.plugin.dovetail_spec.inputs, arrays))
            values = results_of(self.plugin, result, out_arrays, out_descs)
        except BaseException as error:
            note_method(error, method_name(self.plugin), self.plugin.dovetail_spec.where)
            raise
        for value, array, desc in zip(values, out_arrays, out_descs, strict=True):
            if value.shape != array.shape:  # the kernel decides the extents: fill the output from its start
                array = array.reshape(-1)[: value.size].reshape(value.shape)
            store(value, array, desc)
        is_late = any(port.size for port in self.plugin.dovetail_spec.outputs)
        return tuple(value.shape for value in values) if is_late else None

    def drop(self) -> None:
        pass

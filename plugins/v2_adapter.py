"""V2 objects behind the factory protocol: TensorRT's descs, addresses and life cycle."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dovetail.core.errors import PluginFailed
from dovetail.core.tensor import DynamicTensorDesc, TensorDesc


class Address(int):
    """Where a tensor is, as `enqueue` gets it, with the tensor itself: `address.array`."""

    array: Any  # of numpy, or a DeviceArray

    @classmethod
    def of(cls, array: Any) -> Address:
        made = cls(array.ctypes.data if isinstance(array, np.ndarray) else int(array))
        made.array = array
        return made


def largest(descs: Sequence[Any]) -> list[TensorDesc]:
    """The tensors at the upper end of their range, for which scratch memory is sized."""
    return [TensorDesc(d.max, d.dtype, d.format, d.scale) for d in descs]


def ranged(descs: Sequence[Any]) -> list[DynamicTensorDesc]:
    """The same tensors with the members of DynamicPluginTensorDesc; nothing varies during execution."""
    return [DynamicTensorDesc(d.dims, d.dtype, d.format, d.scale) for d in descs]


class V2Factory:
    """Makes objects from what makes plugins: (layer, values) -> plugin."""

    def __init__(self, make: Callable[[str, dict[str, Any]], Any]) -> None:
        self.make = make

    def create(self, layer: str, values: dict[str, Any]) -> V2Object:
        return V2Object(self.make(layer, values))


class V2Object:
    """A V2 plugin while an engine is built or loaded."""

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin
        self._started = [False]  # shared with the finalizer, which must not hold this object
        weakref.finalize(self, _end, plugin, self._started)

    def supports(self, pos: int, descs: Sequence[Any], n_in: int, n_out: int) -> bool:
        return bool(self.plugin.supports_format_combination(pos, list(descs), n_in))

    def configure(self, ins: Sequence[Any], outs: Sequence[Any]) -> None:
        self.plugin.configure_plugin(list(ins), list(outs))

    def workspace(self, ins: Sequence[Any], outs: Sequence[Any]) -> int:
        return int(self.plugin.get_workspace_size(largest(ins), largest(outs)))

    def make_context(self) -> V2Context:
        if not self._started[0]:
            _succeed(self.plugin, "initialize", self.plugin.initialize())
            self._started[0] = True
        return V2Context(self.plugin.clone())


class V2Context:
    """A clone of a V2 plugin in one execution context."""

    def __init__(self, plugin: Any) -> None:
        if plugin is None:
            raise PluginFailed("a plugin's clone returned None")
        self.plugin = plugin
        self.ins: list[TensorDesc] = []
        self.outs: list[TensorDesc] = []
        plugin.attach_to_context(None, None, None)

    def shape_changed(self, in_descs: Sequence[Any], out_descs: Sequence[Any]) -> None:
        self.ins, self.outs = list(in_descs), list(out_descs)
        self.plugin.configure_plugin(ranged(in_descs), ranged(out_descs))

    def enqueue(
        self, in_descs: Any, out_descs: Any, in_arrays: Any, out_arrays: Any, workspace: Any, stream: Any
    ) -> None:
        if not self.outs:
            self.shape_changed(in_descs, out_descs)
        inputs, outputs = [Address.of(a) for a in in_arrays], [Address.of(a) for a in out_arrays]
        code = self.plugin.enqueue(self.ins, self.outs, inputs, outputs, workspace, stream)
        _succeed(self.plugin, "enqueue", code)

    def drop(self) -> None:
        self.plugin.detach_from_context()
        self.plugin.destroy()


def _succeed(plugin: Any, method: str, code: Any) -> None:
    if code:
        raise PluginFailed(
            f"{method} of {plugin.plugin_type} failed", facts=[("returned", code)], plugin=plugin.plugin_type
        )


def _end(plugin: Any, started: list[bool]) -> None:
    if started[0]:
        plugin.terminate()
    plugin.destroy()

"""V2 objects behind the factory protocol: TensorRT's descs, addresses and life cycle."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dovetail.core.errors import PluginFailed
from dovetail.core.tensor import DynamicTensorDesc, TensorDesc
from dovetail.plugins.author import shown
from dovetail.plugins.results import bytes_of, naming
from dovetail.plugins.v2_check import defined_at
from dovetail.plugins.v2_spec import cloned, source_clone


class Address(int):
    """Where a tensor is, as `enqueue` gets it, with the tensor itself: `address.array`.

    `np.asarray(address)`, and on a GPU `torch.from_dlpack(address)` or `cupy.asarray(address)`, are the tensor as well.
    """

    array: Any  # of numpy, or a DeviceArray

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """The tensor itself, so that writing into it writes the tensor; a copy only where another type is asked for."""
        if not isinstance(self.array, np.ndarray):
            return self.array.__array__(dtype, copy)
        found = self.array if dtype is None else self.array.astype(dtype, copy=False)
        if copy is False and found is not self.array:
            raise ValueError(f"a tensor of {self.array.dtype} cannot be seen as {found.dtype} without a copy")
        return found.copy() if copy and found is self.array else found

    def __getattr__(self, name: str) -> Any:
        if name in ("__dlpack__", "__dlpack_device__", "__cuda_array_interface__"):
            return getattr(self.array, name)
        raise AttributeError(f"an Address has no {name}; the tensor is address.array")

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
    """Makes objects from what makes plugins: (layer, values) -> plugin; clones, of an object that was handed over."""

    def __init__(self, make: Callable[[str, dict[str, Any]], Any]) -> None:
        self.make = make

    def create(self, layer: str, values: dict[str, Any]) -> V2Object:
        with naming("clone"):
            plugin = source_clone(values)
        return V2Object(self.make(layer, values) if plugin is None else plugin)


class V2Object:
    """A V2 plugin while an engine is built or loaded."""

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin
        self._started = [False]  # shared with the finalizer, which must not hold this object
        weakref.finalize(self, _end, plugin, self._started)

    def supports(self, pos: int, descs: Sequence[Any], n_in: int, n_out: int) -> bool:
        with naming("supports_format_combination", defined_at(self.plugin, "supports_format_combination")):
            answer = self.plugin.supports_format_combination(pos, list(descs), n_in)
            if not isinstance(answer, (bool, np.bool_)) and not (isinstance(answer, int) and answer in (0, 1)):
                raise PluginFailed(f"it returned {shown(answer)}", hint="Return True or False.")
            return bool(answer)

    def configure(self, ins: Sequence[Any], outs: Sequence[Any]) -> None:
        with naming("configure_plugin", defined_at(self.plugin, "configure_plugin")):
            self.plugin.configure_plugin(list(ins), list(outs))

    def workspace(self, ins: Sequence[Any], outs: Sequence[Any]) -> int:
        with naming("get_workspace_size", defined_at(self.plugin, "get_workspace_size")):
            return bytes_of(self.plugin.get_workspace_size(largest(ins), largest(outs)))

    def make_context(self) -> V2Context:
        if not self._started[0]:
            with naming("initialize", defined_at(self.plugin, "initialize")):
                _succeed(self.plugin.initialize())
            self._started[0] = True
        with naming("clone"):
            copy = cloned(self.plugin)
        return V2Context(copy)


class V2Context:
    """A clone of a V2 plugin in one execution context."""

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin
        self.ins: list[TensorDesc] = []
        self.outs: list[TensorDesc] = []
        with naming("attach_to_context", defined_at(plugin, "attach_to_context")):
            plugin.attach_to_context(None, None, None)

    def shape_changed(self, in_descs: Sequence[Any], out_descs: Sequence[Any]) -> None:
        self.ins, self.outs = list(in_descs), list(out_descs)
        with naming("configure_plugin", defined_at(self.plugin, "configure_plugin")):
            self.plugin.configure_plugin(ranged(in_descs), ranged(out_descs))

    def enqueue(
        self, in_descs: Any, out_descs: Any, in_arrays: Any, out_arrays: Any, workspace: Any, stream: Any
    ) -> None:
        if not self.outs:
            self.shape_changed(in_descs, out_descs)
        inputs, outputs = [Address.of(a) for a in in_arrays], [Address.of(a) for a in out_arrays]
        code = self.plugin.enqueue(self.ins, self.outs, inputs, outputs, workspace, stream)
        if code is not None:
            with naming("enqueue", defined_at(self.plugin, "enqueue")):
                _succeed(code)

    def drop(self) -> None:
        self.plugin.detach_from_context()
        self.plugin.destroy()


def _succeed(code: Any) -> None:
    """Raises PluginFailed for what a method returned, if that is neither 0 nor None."""
    if code is None or (isinstance(code, (int, np.integer)) and not isinstance(code, bool) and code == 0):
        return
    is_code = isinstance(code, (int, np.integer)) and not isinstance(code, bool)
    raise PluginFailed(
        f"it returned {code if is_code else shown(code)}",
        hint="0 or None is success, another number a failure."
        if is_code
        else "Outputs are written in place, outputs[0].array[...] = value; return 0 or nothing.",
    )


def _end(plugin: Any, started: list[bool]) -> None:
    if started[0]:
        plugin.terminate()
    plugin.destroy()

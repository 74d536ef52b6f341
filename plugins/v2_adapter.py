"""V2 objects with the interface of a factory: TensorRT's descs, addresses and life cycle."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import PluginFailed, ShapeError
from dovetail.core.expr import DimsExprs as FrozenDims
from dovetail.core.expr import as_expr
from dovetail.core.tensor import DynamicTensorDesc, TensorDesc
from dovetail.plugins.author import place_of, shown
from dovetail.plugins.results import bytes_of, naming
from dovetail.plugins.v2_check import defined_at, identity_of
from dovetail.plugins.v2_spec import V2Op, cloned, source_clone

_log = logging.getLogger("dovetail")


class Address(int):
    """The address of a tensor on a device, an argument of `enqueue`; `address.array` is the tensor, a DeviceArray.

    torch.from_dlpack(address) and cupy.asarray(address) take it as well.
    """

    array: Any

    @staticmethod
    def of(array: Any) -> Address | HostAddress:
        """The address of a NumPy array or a DeviceArray."""
        if isinstance(array, np.ndarray):
            return HostAddress(array)
        made = Address(int(array))
        made.array = array
        return made

    def __getattr__(self, name: str) -> Any:
        if name in ("__dlpack__", "__dlpack_device__", "__cuda_array_interface__"):
            return getattr(self.array, name)
        raise _no_attribute(name)


class HostAddress:
    """The address of a tensor in host memory, an argument of `enqueue`; `address.array` is the tensor.

    It behaves like the int that scripts for TensorRT expect, and ctypes accepts it as a pointer. It is not an int,
    since NumPy would treat that as a number: `np.asarray(address)` is the tensor, and can be written.
    """

    __slots__ = ("_address", "array")

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self._address = array.ctypes.data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        found = self.array if dtype is None else self.array.astype(dtype, copy=False)
        if copy is False and found is not self.array:
            raise ValueError(f"a tensor of {self.array.dtype} cannot be seen as {found.dtype} without a copy")
        return found.copy() if copy and found is self.array else found

    def __index__(self) -> int:
        return self._address

    __int__ = __index__

    @property
    def _as_parameter_(self) -> int:  # used by ctypes
        return self._address

    @property  # type: ignore[misc]  # object lets it be assigned
    def __class__(self) -> type:  # so that isinstance(address, int) is true
        return int

    def __hash__(self) -> int:
        return hash(self._address)

    def __bool__(self) -> bool:
        return bool(self._address)

    def __repr__(self) -> str:
        return repr(self._address)

    def __format__(self, spec: str) -> str:
        return format(self._address, spec)

    def __getattr__(self, name: str) -> Any:
        if name in ("__dlpack__", "__dlpack_device__"):
            return getattr(self.array, name)
        raise _no_attribute(name)


def _counting(name: str) -> Callable[..., Any]:
    """`int.name`, for an address."""
    method = getattr(int, name)

    def count(self: HostAddress, *others: Any) -> Any:
        return method(self._address, *(one._address if type(one) is HostAddress else one for one in others))

    return count


for _name in (
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "add",
    "radd",
    "sub",
    "rsub",
    "mul",
    "floordiv",
    "mod",
    "and",
    "rshift",
):
    setattr(HostAddress, f"__{_name}__", _counting(f"__{_name}__"))


def _no_attribute(name: str) -> AttributeError:
    return AttributeError(f"an address has no {name}; the tensor is address.array, or np.asarray(address)")


def largest(descs: Sequence[Any]) -> list[TensorDesc]:
    """The tensors at the upper end of their range, for which scratch memory is sized."""
    return [TensorDesc(d.max, d.dtype, d.format, d.scale) for d in descs]


def ranged(descs: Sequence[Any]) -> list[DynamicTensorDesc]:
    """The same tensors with the members of DynamicPluginTensorDesc, without a range, for execution."""
    return [DynamicTensorDesc(d.dims, d.dtype, d.format, d.scale) for d in descs]


def refuse_other_outputs(plugin: Any, ins: Sequence[Any], outs: Sequence[tuple[Any, Any]]) -> None:
    """Infer the outputs for these (dims, dtype) again, and compare them with the plan, which may have been changed.

    Raises:
        ShapeError: the outputs differ. Data-dependent extents are not compared.
    """
    inferred = V2Op(plugin).infer([given and SymbolicTensor(FrozenDims(given[0]), given[1]) for given in ins])
    if len(inferred) != len(outs):
        raise ShapeError(f"it has {len(inferred)} outputs, the plan {len(outs)}")
    for index, (tensor, (dims, dtype)) in enumerate(zip(inferred, outs, strict=True)):
        extents = [as_expr(extent) for extent in tensor.dims]
        wanted = [extent.value if extent.is_constant else -1 for extent in extents]
        is_same = len(wanted) == len(dims) and all(n in (-1, d) for n, d in zip(wanted, dims, strict=True))
        if not is_same or tensor.dtype != dtype:
            raise ShapeError(
                f"output {index} is {tensor.dtype.name} {wanted}, not {dtype.name} {list(dims)}",
                facts=[("inputs", ", ".join("absent" if g is None else str(list(g[0])) for g in ins))],
                hint="Build the plan again with the plugins that are installed here.",
            )


class V2Factory:
    """Makes objects with a function (layer, values) -> plugin, or by cloning the object given to the network."""

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
        self._started = [False]  # shared with the finalizer, which must not keep this object alive
        weakref.finalize(self, _end_object, plugin, self._started)

    def supports(self, pos: int, descs: Sequence[Any], n_in: int, n_out: int) -> bool:
        with naming("supports_format_combination", defined_at(self.plugin, "supports_format_combination")):
            answer = self.plugin.supports_format_combination(pos, list(descs), n_in)
            if not isinstance(answer, (bool, np.bool_)) and not (isinstance(answer, int) and answer in (0, 1)):
                raise PluginFailed(f"it returned {shown(answer)}", hint="Return True or False.")
            return bool(answer)

    def configure(self, ins: Sequence[Any], outs: Sequence[Any]) -> None:
        refuse_other_outputs(self.plugin, [d and (d.opt, d.dtype) for d in ins], [(d.opt, d.dtype) for d in outs])
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
        refuse_other_outputs(
            self.plugin, [d and (d.dims, d.dtype) for d in in_descs], [(d.dims, d.dtype) for d in out_descs]
        )
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
        _end(self.plugin, ("detach_from_context", "destroy"))


def _succeed(code: Any) -> None:
    """Raises PluginFailed if the result of a method is neither 0 nor None."""
    if code is None or (isinstance(code, (int, np.integer)) and not isinstance(code, bool) and code == 0):
        return
    is_code = isinstance(code, (int, np.integer)) and not isinstance(code, bool)
    raise PluginFailed(
        f"it returned {code if is_code else shown(code)}",
        hint="0 or None is success, another number a failure."
        if is_code
        else "Outputs are written in place, outputs[0].array[...] = value; return 0 or nothing.",
    )


def _end_object(plugin: Any, started: list[bool]) -> None:
    _end(plugin, ("terminate", "destroy") if started[0] else ("destroy",))


def _end(plugin: Any, methods: tuple[str, ...]) -> None:
    """Call each of the methods. An exception is logged, and the next method is called."""
    for method in methods:
        try:
            getattr(plugin, method)()
        except Exception as error:
            where = place_of(error.__traceback__)
            _log.error("%s failed in %s: %s: %s (%s)", identity_of(plugin), method, type(error).__name__, error, where)

"""From Python objects to the table of functions: the factories behind implementations written in Python.

This is the only place between the executor and Python code. It converts types that numpy lacks, and picks
the kernel that belongs to the formats which were negotiated.
"""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from dovetail.core.contract import Implementation, OpSpec, Row
from dovetail.core.errors import DefinitionError
from dovetail.core.types import ALL_TYPES, DataType, DeviceType, TensorFormat, storage_nptype
from dovetail.plugins.author import note_method, shown
from dovetail.plugins.ports import bind
from dovetail.plugins.results import bytes_of, method_name, naming, refuse_result, results_of, store, widen

REFERENCE_TYPES = tuple(t for t in ALL_TYPES if t != DataType.FP8)  # numpy computes with these
MAX_COMBINATIONS = 1024  # of types in one row; more is a class that forgot to say which types its ports take


def kernel(
    types: str = "", formats: str = "linear", tactic: str = "", device: DeviceType | None = None
) -> Callable[[Any], Any]:
    """Mark a method `f(self, inputs, outputs, workspace, stream)` of a plugin as one of its kernels.

    Args:
        types: "f32 f32 -> f32", one word a tensor; left out, all that the ports allow.
        formats: in the same way, "hwc -> hwc"; one word stands for every tensor. Arrays of a format other
            than linear are flat, in the order of memory.
        tactic: its name in reports; the method's own unless said.
        device: where it computes; the class's own `device` unless said. On the GPU arrays and workspace are
            DeviceArrays, for torch.from_dlpack or cupy.asarray, and `stream` is a cudaStream_t as an int, never
            0: where the engine runs on the default stream, another one stands for it. The kernel launches its
            work there and waits for nothing.
    """

    if callable(types):
        name = getattr(types, "__name__", "kernel")
        raise DefinitionError(f"{name} would not become a kernel", hint="Write @kernel(), with parentheses.")
    _check_words(types, "types", DataType)
    _check_words(formats, "formats", TensorFormat)

    def mark(method: Any) -> Any:
        method.dovetail_kernel = Row(tactic or method.__name__, types, formats)
        method.dovetail_device = device
        return method

    return mark


def _check_words(text: str, what: str, known: Any) -> None:
    """Are all words of a row's text known ones? Raises DefinitionError with those that are."""
    shorts = {one.short: one for one in known}
    if not isinstance(text, str):
        raise DefinitionError(
            f"{what} of a kernel cannot be {shown(text)}",
            facts=[("known", " ".join(shorts))],
            hint=f"Write a text, such as {what}='{next(iter(shorts))}'.",
            got=text,
        )
    for word in text.replace("->", " ").replace("|", " ").split():
        plain = word.removesuffix("...").removesuffix("@cpu")
        if plain in shorts:
            continue
        meant = next((s for s, one in shorts.items() if plain.lower() in (one.name.lower(), _numpy_name(one))), "")
        raise DefinitionError(
            f"{what} of a kernel cannot be '{text}'",
            facts=[("unknown", f"'{plain}'"), ("known", " ".join(shorts))],
            hint=f"Write '{meant}' for '{plain}'." if meant else "One word a tensor, such as 'f32 f32 -> f32'.",
            got=plain,
        )


def _numpy_name(one: Any) -> str:
    return storage_nptype(one).name if isinstance(one, DataType) else ""


def implementations_of(cls: Any) -> tuple[Implementation, ...]:
    """What a plugin class brings: "python" and "python.cuda" if it has kernels, and "reference" if it has one.

    `native` of each is a factory until it is registered; the registry makes a table of functions from it.
    """
    spec: OpSpec = cls.dovetail_spec
    found: list[Implementation] = []
    for device, kernels in _kernels_of(cls).items():
        rows = [
            (row.tactic, types, row.formats)
            for row, _ in kernels
            for types in ([row.types] if row.types else legal_types(spec, cls.type_rows))
        ]
        name = PYTHON_NAMES[device]
        found.append(python_implementation(spec.id, name, rows, KernelFactory(cls, kernels), device))
    if hasattr(cls, "reference"):
        texts = legal_types(spec, cls.type_rows, REFERENCE_TYPES)
        rows = [("reference", text, "linear") for text in texts]
        found.append(python_implementation(spec.id, "reference", rows, ReferenceFactory(cls)))
    return tuple(found)


PYTHON_NAMES = {DeviceType.CPU: "python", DeviceType.GPU: "python.cuda"}


def python_implementation(
    op: str, name: str, rows: Sequence[tuple[str, str, str]], factory: Any, device: DeviceType = DeviceType.CPU
) -> Implementation:
    """The record of an implementation whose (tactic, types, formats) rows a Python factory computes."""
    uses = Counter(tactic for tactic, _, _ in rows)
    table = tuple(
        Row(tactic if uses[tactic] == 1 else f"{tactic}_{index}", types, formats, index=index)
        for index, (tactic, types, formats) in enumerate(rows)
    )
    return Implementation(op, name, device=device, rows=table, traits=frozenset({"python"}), native=factory)


def _kernels_of(cls: Any) -> dict[DeviceType, list[tuple[Row, str]]]:
    """(row, method name) of each kernel, by device and as written; `enqueue` without a mark is linear."""
    marked: dict[str, tuple[Row, DeviceType]] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            row = getattr(value, "dovetail_kernel", None)
            if row is None and name == "enqueue":
                row = Row("enqueue", "", "linear")
            if row is not None:
                device = getattr(value, "dovetail_device", None)
                marked[name] = row, cls.device if device is None else device
    kernels: dict[DeviceType, list[tuple[Row, str]]] = {}
    for name, (row, device) in marked.items():
        if not isinstance(device, DeviceType) or device not in PYTHON_NAMES:
            raise DefinitionError(
                f"plugin {cls.__name__} cannot have a kernel on {device}",
                facts=[(name, f"device = {device!r}")],
                hint="Say DeviceType.CPU or DeviceType.GPU.",
            )
        kernels.setdefault(device, []).append((row, name))
    for on_device in kernels.values():
        for (first, a), (second, b) in itertools.combinations(on_device, 2):
            if (first.types, first.formats) == (second.types, second.formats):
                raise DefinitionError(
                    f"plugin {cls.__name__} has two kernels for the same types and formats",
                    facts=[(a, f"{first.types or 'all types'}, {first.formats}"), (b, "the same")],
                    hint="Python kernels are told apart by types and formats; drop one.",
                )
    return kernels


def legal_types(spec: OpSpec, type_rows: Sequence[str], among: Sequence[DataType] = ALL_TYPES) -> Sequence[str]:
    """Rows of types: `type_rows`, else one that holds the product of the ports' types, `like` followed."""
    if type_rows:
        return type_rows
    ports = (*spec.inputs, *spec.outputs)
    leaders = [port for port in ports if port.like is None]
    choices = [[t for t in (port.types or ALL_TYPES) if t in among] for port in leaders]
    n_combinations = prod(map(len, choices))
    if n_combinations > MAX_COMBINATIONS:
        raise DefinitionError(
            f"{spec.id} allows {n_combinations} combinations of types",
            facts=[(port.name, f"{len(c)} types") for port, c in zip(leaders, choices, strict=True)],
            hint="Give ports types, or like=, or list those that are meant in type_rows.",
        )
    columns: list[list[str]] = [[] for _ in ports]
    for assignment in itertools.product(*choices):
        by_name = dict(zip((port.name for port in leaders), assignment, strict=True))
        chosen = [by_name[port.like or port.name] for port in ports]
        if all(t in (port.types or among) for port, t in zip(ports, chosen, strict=True)):
            for column, dtype in zip(columns, chosen, strict=True):
                column.append(dtype.short)
    words = ["|".join(column) for column in columns]
    left = [word + ("..." if port.variadic else "") for word, port in zip(words, spec.inputs, strict=False)]
    return (" ".join([*left, "->", *words[len(spec.inputs) :]]).strip(),)


# ---- the factory protocol


class KernelFactory:
    """Makes objects of a plugin class that has kernels of its own."""

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
        return descs[pos].format == TensorFormat.LINEAR

    def configure(self, ins: Sequence[Any], outs: Sequence[Any]) -> None:
        if hasattr(self.plugin, "configure"):
            self.plugin.configure(ins, outs)

    def workspace(self, ins: Sequence[Any], outs: Sequence[Any]) -> int:
        if not hasattr(self.plugin, "get_workspace_size"):
            return 0
        with naming("get_workspace_size", self.plugin.dovetail_spec.where):
            return bytes_of(self.plugin.get_workspace_size(ins, outs))

    def make_context(self) -> KernelContext:
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
    """Do these descs have the formats (or types) that a row's text names?"""
    kind = {"format": TensorFormat, "dtype": DataType}[attribute]
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

    def make_context(self) -> ReferenceObject:
        return self

    def shape_changed(self, in_descs: Sequence[Any], out_descs: Sequence[Any]) -> None:
        pass

    def enqueue(
        self, in_descs: Any, out_descs: Any, in_arrays: Any, out_arrays: Any, workspace: Any, stream: Any
    ) -> tuple[tuple[int, ...], ...] | None:
        """The dims of all outputs where the reference decides extents: the runtime compares them with its counts."""
        arrays = [widen(array, desc) for array, desc in zip(in_arrays, in_descs, strict=True)]
        try:
            with np.errstate(all="ignore"):
                result = self.plugin.reference(*bind(self.plugin.dovetail_spec.inputs, arrays))
            values = results_of(self.plugin, result, out_arrays, out_descs)
        except BaseException as error:
            note_method(error, method_name(self.plugin), self.plugin.dovetail_spec.where)
            raise
        for value, array, desc in zip(values, out_arrays, out_descs, strict=True):
            if value.shape != array.shape:  # the kernel decides the extents: from the start of what there is room for
                array = array.reshape(-1)[: value.size].reshape(value.shape)
            store(value, array, desc)
        is_late = any(port.size for port in self.plugin.dovetail_spec.outputs)
        return tuple(value.shape for value in values) if is_late else None

    def drop(self) -> None:
        pass

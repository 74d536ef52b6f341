"""`@kernel`: marks the methods of a plugin that compute; reads and checks a class's kernels."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from dovetail.core.contract import Row
from dovetail.core.errors import DefinitionError
from dovetail.core.types import DataType, DeviceType, TensorFormat, storage_nptype
from dovetail.plugins.author import shown

PYTHON_NAMES = {DeviceType.CPU: "python", DeviceType.GPU: "python.cuda"}  # of the implementations that kernels make


def kernel(
    types: str = "", formats: str = "linear", tactic: str = "", device: DeviceType | None = None
) -> Callable[[Any], Any]:
    """Mark a method `f(self, inputs, outputs, workspace, stream)` of a plugin as one of its kernels.

    Args:
        types: "f32 f32 -> f32", one word per tensor; if left out, all that the ports allow.
        formats: in the same way, "hwc -> hwc"; a single word counts for all tensors. Arrays of a format other than
            linear are flat, in the order of memory.
        tactic: its name in reports; by default the name of the method.
        device: where it computes; by default the `device` of the class. On the GPU, arrays and workspace are
            DeviceArrays, for torch.from_dlpack or cupy.asarray, and `stream` is a cudaStream_t as an int, never 0:
            if the engine runs on the default stream, another stream is used in its place. The kernel launches its
            work on that stream and must not wait.
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
    """Checks that all words of a row's text are known. Raises DefinitionError with the known ones."""
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
        first = next(iter(shorts))
        meant = next((s for s, one in shorts.items() if plain.lower() in (one.name.lower(), _numpy_name(one))), "")
        raise DefinitionError(
            f"{what} of a kernel cannot be '{text}'",
            facts=[("unknown", f"'{plain}'"), ("known", " ".join(shorts))],
            hint=f"Write '{meant}' for '{plain}'."
            if meant
            else f"One word a tensor, such as '{first} {first} -> {first}'.",
            got=plain,
        )


def _numpy_name(one: Any) -> str:
    return storage_nptype(one).name if isinstance(one, DataType) else ""


def kernels_of(cls: Any) -> dict[DeviceType, list[tuple[Row, str]]]:
    """(row, method name) of each kernel, by device, in source order; an unmarked `enqueue` takes linear tensors."""
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
                    hint="Python kernels are chosen by types and formats; remove one of the two.",
                )
    return kernels

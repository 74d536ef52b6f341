"""Origins of constants: weights of the network's layers, and how they were changed for the plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dovetail.core.types import DataType


@dataclass(frozen=True, eq=False)
class Origin:
    """How the contents of one constant were made. `of` are the origins of the constants that it was made from."""

    how: str  # "given", "converted" or "folded"
    layer: str = ""  # given: the layer whose weights they are; folded: the layer that was computed
    role: str = ""  # given: the port or field of the layer
    dtype: DataType | None = None  # converted: into
    by: str = ""  # folded: what computed it
    not_refittable: str = ""  # why the same steps cannot be repeated with new weights; "" if they can
    of: tuple[Origin, ...] = ()


def given(layer: str, role: str) -> Origin:
    """Weights as in the network."""
    return Origin("given", layer, role)


def converted(origin: Origin | None, dtype: DataType) -> Origin | None:
    """The origin after a conversion; None if they are not weights."""
    return None if origin is None else Origin("converted", dtype=dtype, of=(origin,))


def folded(layer: str, label: str, by: str, in_python: bool, inputs: Iterable[Origin | None]) -> Origin | None:
    """The origin of what a layer computes from constants; None if none of them are weights."""
    of = tuple(dict.fromkeys(origin for origin in inputs if origin is not None))
    if not of:
        return None
    why = f"{label} made it, which runs in Python" if in_python else f"{label} made it, which is not in the plan"
    return Origin("folded", layer, by=by, not_refittable=why, of=of)


class Table:
    """The origins of a plan's constants as a list, in which each comes after the ones that it was made from."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._tensors: dict[int, int] = {}  # index of a tensor -> row
        self._without: dict[Origin, int] = {}

    def add_tensor(self, tensor: int, origin: Origin) -> None:
        """The plan's tensor of that index has this origin."""
        self._tensors[tensor] = self._append(origin, tensor)

    def add_packed(self, step: int, tensors: Iterable[int]) -> None:
        """The step of that index has these tensors packed; they have been added before."""
        of = [self._tensors[tensor] for tensor in dict.fromkeys(tensors) if tensor in self._tensors]
        if of:
            self.rows.append({"how": "packed", "step": step, "of": of})

    def _append(self, origin: Origin, tensor: int = -1) -> int:
        # chains of folded layers may be long: no recursion
        stack = [origin]
        while stack:
            missing = [made for made in stack[-1].of if made not in self._without]
            if missing:
                stack += missing
                continue
            done = stack.pop()
            if done is origin:
                break
            if done not in self._without:
                self._without[done] = self._add(done, -1)
        return self._add(origin, tensor)

    def _add(self, origin: Origin, tensor: int) -> int:
        row: dict[str, Any] = {"how": origin.how}
        if origin.how == "given":
            row |= {"layer": origin.layer, "role": origin.role}
        elif origin.how == "converted":
            row |= {"dtype": int(origin.dtype)}  # type: ignore[arg-type]
        else:
            row |= {"layer": origin.layer, "by": origin.by, "not_refittable": origin.not_refittable}
        if origin.of:
            row["of"] = [self._without[made] for made in origin.of]
        if tensor >= 0:
            row["tensor"] = tensor
        self.rows.append(row)
        return len(self.rows) - 1

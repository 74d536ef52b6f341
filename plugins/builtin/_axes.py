"""TensorRT's mask of axes, with one bit for each axis."""

from __future__ import annotations

from dovetail.core.errors import ShapeError


def axes_of(mask: int, rank: int, label: str) -> tuple[int, ...]:
    """The axes whose bits are set. Raises ShapeError if one is not an axis of a tensor with that many dims."""
    if mask >> rank:
        raise ShapeError(
            f"{label} cannot use axes {mask:#b} of a tensor with {rank} dims",
            facts=[("axes", f"{mask:#b}, bit i is axis i"), ("allowed", f"0..{(1 << rank) - 1:#b}")],
            hint="A mask has one bit for each axis: 1 << axis, joined by |.",
            expected=(1 << rank) - 1,
            got=mask,
        )
    return tuple(axis for axis in range(rank) if mask >> axis & 1)

"""The hint for a tensor that lacks batch dims: networks have no implicit batch here."""

from __future__ import annotations

from typing import Any


def front_dims_hint(dims: Any, spatial: int) -> str:
    """The hint for a layer that needs batch and channels in front of `spatial` dims; "" where these are missing too."""
    extents = [-1 if extent is None else extent for extent in (getattr(dim, "value", dim) for dim in dims)]
    missing = spatial + 2 - len(extents)
    if missing not in (1, 2):
        return ""
    what = "the batch" if missing == 1 else "batch and channels"
    full, any_batch = [1] * missing + extents, [-1] + [1] * (missing - 1) + extents
    return (
        f"Batches are explicit: give the network's input {what} too, network.add_input(name, dtype, {tuple(full)}), or "
        f"{tuple(any_batch)} with a profile for batches of any size."
    )

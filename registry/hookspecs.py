"""The hooks by which a plugin meets dovetail. They run at discovery, build and report, never at inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from dovetail.core.contract import Implementation, Library
    from dovetail.registry.offer import Offer

PROJECT = "dovetail"
PREFIX = "dovetail_"
hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def dovetail_register_ops(registry: Offer) -> None:
    """Bring ops and implementations: `registry.add_op(x)`, `.add_implementation(x)`, `.load_library(path)`.

    Called once for each plugin. All that it adds is registered together when it returns, or nothing is.
    """


@hookspec
def dovetail_native_libraries() -> Sequence[str | Library]:  # type: ignore[empty-body]
    """Libraries that belong to this plugin, opened after its ops are registered: paths, or `Library(path, device)`.

    Each is registered or refused by itself; the plugin stays if one is refused. One whose device cannot be here, or
    that has a `reason` of its own, is not opened: its record is "disabled" and says why.
    """


@hookspec
def dovetail_onnx_rewrites() -> Sequence[Any]:  # type: ignore[empty-body]
    """ONNX operators that are made of existing layers: rows of `onnx_op(name, domain=..., rewrite=...)`.

    For operators that are not the layer of one op, such as those of a domain of one's own. Rows of ops come first.
    """


@hookspec
def dovetail_report_header() -> str | Sequence[str] | None:
    """Lines about this plugin's surroundings for `dovetail env`; None or an empty list for none."""


@hookspec(firstresult=True)
def dovetail_choose_implementation(node: Any, candidates: Sequence[Implementation]) -> Implementation | str | None:
    """The candidate that a layer must use, or its id; None leaves the choice to the timings."""


@hookspec
def dovetail_graph_passes(registry: Any) -> None:
    """Offer passes over the graph: `registry.add_pass(function, after="fold_constants")`."""

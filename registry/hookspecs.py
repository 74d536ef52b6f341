"""The hooks that a plugin may implement. They are called at discovery, build and report, never at inference."""

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
    """Add ops and implementations: `registry.add_op(x)`, `.add_implementation(x)`, `.load_library(path)`.

    Called once for each plugin. When it returns, either everything that it added is registered, or nothing.
    """


@hookspec
def dovetail_native_libraries() -> Sequence[str | Library]:  # type: ignore[empty-body]
    """Libraries of this plugin, opened after its ops were registered: paths, or `Library(path, device)`.

    Each is registered or refused separately; the plugin stays if one is refused. A library whose device is not
    available, or that has a `reason`, is not opened: the state of its record is "disabled", with the reason.
    """


@hookspec
def dovetail_onnx_rewrites() -> Sequence[Any]:  # type: ignore[empty-body]
    """ONNX operators that are imported as existing layers: a list of `onnx_op(name, domain=..., rewrite=...)`.

    For operators that are not one op's layer, such as those of a private domain. The rewrites of ops take precedence.
    """


@hookspec
def dovetail_report_header() -> str | Sequence[str] | None:
    """Lines for `dovetail env` about what this plugin depends on; None or an empty list for none."""


@hookspec(firstresult=True)
def dovetail_choose_implementation(layer: Any, candidates: Sequence[Implementation]) -> Implementation | str | None:
    """The candidate that a layer must use, or its id; None leaves the choice to the timings."""


@hookspec
def dovetail_graph_passes(registry: Any) -> None:
    """Offer passes over the graph: `registry.add_pass(function, after="fold_constants", level=1)`.

    `level` is the lowest `config.builder_optimization_level` at which the pass runs; 0, the default, is every one.
    """

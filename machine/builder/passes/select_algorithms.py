"""Lets `config.algorithm_selector` choose among the candidates of each layer."""

from __future__ import annotations

from typing import Any

from dovetail.core.errors import BuildError
from dovetail.core.negotiation import Refusal
from dovetail.machine.builder.asking import algorithm_of, ask, context_of
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Found, Graph, LayerGroup
from dovetail.machine.enums import BuilderFlag

REASON = "config.algorithm_selector did not select it"


def select_algorithms(graph: Graph, build: Build) -> Graph:
    """Keep the candidates that the selector returns, of each group and of each layer of its tail by itself.

    Raises:
        BuildError: the selector failed, returned what are not indices of its choices, or returned none of them under
            REJECT_EMPTY_ALGORITHMS.
    """
    if build.config.algorithm_selector is None:
        return graph
    for group in graph.computing_groups():
        _select(group, group.found, build)
        for layer, found in zip(group.tail, group.found_alone, strict=True):
            _select(LayerGroup(layer), found, build)
    return graph


def _select(group: LayerGroup, found: Found, build: Build) -> None:
    selector, offered = build.config.algorithm_selector, found.candidates
    assert selector is not None
    choices = [algorithm_of(group, candidate, build.config.num_threads) for candidate in offered]
    answer = ask(selector, "select_algorithms", f" for {group.label}", context_of(group), choices)
    chosen = _indices(answer, group, len(choices))
    if not chosen:
        if build.config.get_flag(BuilderFlag.REJECT_EMPTY_ALGORITHMS):
            raise BuildError(
                f"config.algorithm_selector selected nothing for {group.label}",
                facts=[("flag", "BuilderFlag.REJECT_EMPTY_ALGORITHMS"), ("choices", str(len(choices)))],
                layer=group.name,
            )
        return
    found.candidates = [candidate for index, candidate in enumerate(offered) if index in chosen]
    left_out = [candidate.row for index, candidate in enumerate(offered) if index not in chosen]
    found.trace.refused += [Refusal(row.implementation.id, row.tactic, -1, REASON) for row in left_out]


def _indices(answer: Any, group: LayerGroup, number: int) -> set[int]:
    """Raises BuildError unless they are whole numbers below `number`."""
    try:
        found = set(answer)
    except TypeError:
        found = {answer}
    wrong = [one for one in found if isinstance(one, bool) or not hasattr(one, "__index__") or not 0 <= one < number]
    if wrong:
        raise BuildError(
            f"config.algorithm_selector returned {wrong[0]!r} for {group.label}, which is not an index of its choices",
            facts=[("choices", f"0..{number - 1}")],
            hint="select_algorithms returns a list of indices into `choices`.",
            got=wrong[0],
        )
    return {int(one) for one in found}

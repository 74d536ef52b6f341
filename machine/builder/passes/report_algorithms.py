"""Reports to `config.algorithm_selector` what was chosen."""

from __future__ import annotations

from dovetail.machine.builder.asking import algorithm_of, ask, context_of
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, LayerGroup


def report_algorithms(graph: Graph, build: Build) -> Graph:
    """Call it once, with a context and a choice for each group, and for each layer that its choice leaves to others.

    Raises:
        BuildError: the selector failed.
    """
    selector = build.config.algorithm_selector
    if selector is None:
        return graph
    contexts, choices = [], []
    for group in graph.computing_groups():
        alone = [LayerGroup(layer) for layer in group.tail[group.choice.n_absorbed :]]
        for part, candidate in zip([group, *alone], [group.choice, *group.choice.rest], strict=True):
            contexts.append(context_of(part))
            choices.append(algorithm_of(part, candidate, build.config.num_threads))
    ask(selector, "report_algorithms", "", contexts, choices)
    return graph

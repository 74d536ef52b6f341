"""Loads the plan once, so that every plan that a build returns can be loaded."""

from __future__ import annotations

from dovetail import _native
from dovetail.core.errors import BuildError, PlanError
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph


def check_plan(graph: Graph, build: Build) -> Graph:
    """Load the plan completely.

    A plan with an object whose class is to be registered where it is loaded cannot be looked at here.

    Raises:
        BuildError: the plan would be refused.
    """
    if not all(graph.lookup.implementations_of(group.head.spec.id) for group in graph.computing_groups()):
        return graph
    try:
        _native.check_plan(graph.plan, build.config.num_threads)
    except PlanError as error:
        raise BuildError(
            "the plan of this network cannot be loaded, so it is not returned",
            facts=[("because", f"{type(error).__name__}: {error}")],
            hint="Profile, names or a plugin's answers do not go together; if they do, this is a fault of dovetail.",
        ) from error
    return graph

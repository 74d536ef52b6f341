"""A network up to a pass: what the passes before it hand over, and what it makes of that."""

import pytest

from dovetail.machine.builder.build import build_of
from dovetail.machine.builder.pipeline import run, with_plugins


@pytest.fixture
def graph_after():
    """graph_after("fold_constants", network, config): the graph that the pass returns; `.build` has its services."""

    def run_until(name, network, config):
        build = build_of(network, config)
        graph = run(build, with_plugins(network.lookup), until=name)
        graph.build = build
        return graph

    return run_until

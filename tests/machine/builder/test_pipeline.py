"""The table of contents: every pass is in it once, and plugins put theirs where they say."""

from functools import partial
from pathlib import Path

import pytest
from networks import new_network

import dovetail as trt
from dovetail.core.errors import BuildError
from dovetail.machine.builder import passes, pipeline
from dovetail.machine.builder.build import build_of
from dovetail.machine.builder.pipeline import PIPELINE, PassOffers, run, with_plugins


def test_each_file_of_passes_is_in_the_pipeline_and_no_pass_is_there_twice():
    names = [pass_.__name__ for pass_ in PIPELINE]
    assert len(names) == len(set(names))
    files = {path.stem for path in Path(passes.__file__).parent.glob("*.py")} - {"__init__"}
    assert {pass_.__module__.rpartition(".")[2] for pass_ in PIPELINE} == files


def test_a_pass_is_put_behind_the_one_that_it_names():
    offers = PassOffers()
    offers.add_pass(lambda graph, build: graph, after="fold_constants", name="mine")
    names = [name for name, _ in offers.pipeline]
    assert names[names.index("fold_constants") + 1] == "mine"
    assert len(names) == len(PIPELINE) + 1


def test_a_pass_behind_nothing_that_there_is_says_what_there_is():
    with pytest.raises(BuildError, match="no pass is called 'fuse'") as error:
        PassOffers().add_pass(lambda graph, build: graph, after="fuse")
    assert "fold_constants" in error.value.expected


def test_a_misspelt_pass_is_told_the_nearest():
    with pytest.raises(BuildError, match=r"nearest +fold_constants\n"):
        PassOffers().add_pass(lambda graph, build: graph, after="fold_constant")


def test_what_can_be_called_is_a_pass_and_nothing_else():
    offers = PassOffers()
    offers.add_pass(partial(lambda more, graph, build: graph, 1), after="fold_constants")
    assert "partial" in [name for name, _ in offers.pipeline]
    with pytest.raises(BuildError, match="a pass cannot be 'fold'"):
        offers.add_pass("fold", after="fold_constants")


class Lookup:
    def __init__(self, answer):
        self.answer = answer

    def collect(self, hook, **arguments):
        return [("theirs", self.answer)]


def test_a_hook_that_fails_names_its_plugin():
    with pytest.raises(BuildError, match="plugin theirs failed in dovetail_graph_passes"):
        with_plugins(Lookup(ValueError("no")))


def test_a_run_ends_behind_the_pass_that_is_named():
    _, network, config = new_network()
    x = network.add_input("x", trt.float32, (2,))
    network.mark_output(network.add_activation(x, trt.ActivationType.RELU).get_output(0))
    called = []

    def noting(name):
        return name, lambda graph, build: called.append(name) or graph

    run(build_of(network, config), [noting("one"), noting("two"), noting("three")], until="two")
    assert called == ["one", "two"]
    assert pipeline.PIPELINE[0].__name__ == "infer_shapes"


@pytest.mark.parametrize("service", ["config", "network", "candidates"])
def test_a_pass_that_replaces_a_part_of_the_build_is_named(service):
    def careless(graph, build):
        setattr(build, service, None)
        return graph

    _, network, config = new_network()
    network.mark_output(network.add_identity(network.add_input("x", trt.float32, (2,))).get_output(0))
    offers = PassOffers()
    offers.add_pass(careless, after="fold_constants")
    with pytest.raises(BuildError, match=rf"pass 'careless' replaced build\.{service}"):
        pipeline.run(build_of(network, config), offers.pipeline)


def test_a_pass_runs_from_its_level_on():
    called = []
    offers = PassOffers()
    for level in (0, 2, 4):
        offers.add_pass(
            partial(lambda own, graph, build: called.append(own) or graph, level),
            after="infer_shapes",
            name=str(level),
            level=level,
        )
    _, network, config = new_network()
    x = network.add_input("x", trt.float32, (2,))
    network.mark_output(network.add_activation(x, trt.ActivationType.RELU).get_output(0))
    config.builder_optimization_level = 3
    run(build_of(network, config), offers.pipeline, until="fold_constants")
    assert sorted(called) == [0, 2]

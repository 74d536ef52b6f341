"""What kernels are timed on, where their work depends on it."""

import numpy as np

import dovetail as trt
from dovetail.machine.builder import contents, pipeline
from dovetail.machine.builder.build import build_of
from dovetail.machine.builder.passes import time_candidates
from dovetail.machine.plan import read_plan


def counting_network():
    """x [6] -> (x > 2) * 1 -> indices of what is not zero."""
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network, config = builder.create_network(), builder.create_builder_config()
    x = network.add_input("x", trt.float32, (2, 3))
    bias = network.add_constant((2, 3), np.array([[9, -9, 9], [-9, -9, -9]], np.float32)).get_output(0)
    shifted = network.add_elementwise(x, bias, trt.ElementWiseOperation.SUM).get_output(0)
    kept = network.add_activation(shifted, trt.ActivationType.RELU).get_output(0)
    found = network.add_non_zero(kept)
    found.name = "found"
    network.mark_output(found.get_output(0))
    return builder, network, config


def listed(network, config):
    build = build_of(network, config)
    return pipeline.run(build, pipeline.with_plugins(network.lookup), until="time_candidates")


def test_layers_before_compute_what_a_layer_is_timed_on():
    _, network, config = counting_network()
    graph = listed(network, config)
    group = next(group for group in graph.groups if group.name == "found")
    (array,) = contents.computed(graph, group, 1)
    assert array.shape == (2, 3)
    assert np.argwhere(array).tolist() == [[0, 0], [0, 2]]  # whatever x holds, between -1 and 1


def test_only_layers_whose_work_depends_on_it_are_timed_on_that(monkeypatch):
    asked = []
    plain = time_candidates.computed

    def computed(graph, group, n_threads):
        asked.append(group.name)
        return plain(graph, group, n_threads)

    monkeypatch.setattr(time_candidates, "computed", computed)
    _, network, config = counting_network()
    config.set_timing_cache(config.create_timing_cache(b""))
    listed(network, config)
    assert asked == ["found"]
    listed(network, config)
    assert asked == ["found"]  # its time is in the cache


def test_where_the_layers_before_fail_there_are_samples_and_a_note(monkeypatch):
    def computed(graph, group, n_threads):
        raise RuntimeError("no way")

    monkeypatch.setattr(time_candidates, "computed", computed)
    builder, network, config = counting_network()
    notes = read_plan(builder.build_serialized_network(network, config))["report"]["notes"]
    assert any("NonZero@1 'found' is timed on made-up contents: no way" in note for note in notes)

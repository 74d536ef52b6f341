"""The choice for a whole network: every group has one, neighbours agree or a reformat joins them."""

import pytest
from networks import convolution_chain

import dovetail as trt
from dovetail.core.errors import FormatError


def test_every_group_has_a_choice_among_its_candidates(graph_after):
    _, network, config = convolution_chain(n_layers=3)
    graph = graph_after("select_formats", network, config)
    for group in graph.groups:
        assert group.choice.row in [candidate.row for candidate in group.candidates]


def test_the_note_says_what_the_choice_costs(graph_after):
    _, network, config = convolution_chain(n_layers=2)
    (note,) = (note for note in graph_after("select_formats", network, config).notes if note.startswith("formats: "))
    assert note.endswith(", optimal") and " us for kernels and reformats together" in note


def test_a_format_that_an_output_has_to_have_is_had(graph_after):
    _, network, config = convolution_chain(n_layers=2)
    network.get_output(0).allowed_formats = trt.TensorFormat.CHW16.mask
    graph = graph_after("insert_reformats", network, config)
    assert graph.outputs[0].format == trt.TensorFormat.CHW16


def formats_of(group, tensor):
    return {candidate.formats[group.tensors.index(tensor)] for candidate in group.candidates}


def test_candidates_that_nothing_joins_name_both_sides(graph_after):
    _, network, config = convolution_chain(n_layers=2)
    graph = graph_after("time_candidates", network, config)
    graph.build.reformats.cost = lambda tensor, a, b: 0.0 if a == b else float("inf")
    before, after = graph.groups[0], graph.groups[1]
    shared = before.outputs[0]
    common = formats_of(before, shared) & formats_of(after, shared)
    one, other = sorted(common)[:1], sorted(common)[1:]
    if not other:
        pytest.skip("the kernels of this machine have one format in common")
    place = before.tensors.index(shared)
    before.found.candidates = [c for c in before.candidates if c.formats[place] in one]
    place = after.tensors.index(shared)
    after.found.candidates = [c for c in after.candidates if c.formats[place] in other]
    with pytest.raises(FormatError):
        graph.build.selection.choose(graph)

"""A report that is not JSON is refused as one, not as whatever Python's decoder says."""

import numpy as np
import pytest
from networks import new_network

import dovetail as trt
from dovetail.core.errors import PlanCorrupt
from dovetail.machine.plan import read_plan
from dovetail.machine.report import report_text, with_report
from dovetail.machine.weights_table import weights_text


@pytest.mark.parametrize(
    "report", [b"{", b"\xff", b"[" * 100_000, b'{"a": \x01}'], ids=("cut", "bytes", "deep", "control")
)
def test_a_damaged_report_is_named(report):
    with pytest.raises(PlanCorrupt, match="the build report of this plan is damaged"):
        with_report({}, report)


@pytest.fixture
def document():
    """That of a plan with a layer and its weights."""
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (1, 3, 4, 4))
    layer = network.add_convolution_nd(x, 2, (3, 3), np.ones((2, 3, 3, 3), np.float32))
    network.mark_output(layer.get_output(0))
    return read_plan(builder.build_serialized_network(network, config))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("steps", 0), []),
        (("steps",), 5),
        (("profiles", 0, "lower_bound"), "x"),
        (("profiles", 0, "arena_bytes"), float("inf")),
        (("report", "steps", 0), None),
        (("report", "steps", 0, "time_ns"), 10**400),
    ],
)
def test_a_document_with_other_contents_is_named(document, path, value):
    assert report_text(document)
    set_at(document, path, value)
    with pytest.raises(PlanCorrupt, match="the build report of this plan cannot be read"):
        report_text(document)


@pytest.mark.parametrize(("path", "value"), [(("weights", 0), []), (("weights",), 5), (("steps", 0), [])])
def test_a_table_of_weights_with_other_contents_is_named(document, path, value):
    assert weights_text(document)
    set_at(document, path, value)
    with pytest.raises(PlanCorrupt, match="the table of weights of this plan cannot be read"):
        weights_text(document)


def set_at(node, path, value):
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value


def test_a_header_that_is_nested_too_deep_is_named():
    header = b"[" * 200_000
    with pytest.raises(PlanCorrupt, match="this is not a dovetail plan"):
        read_plan(len(header).to_bytes(8, "little") + header)

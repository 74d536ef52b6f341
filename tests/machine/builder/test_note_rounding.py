"""Which layers are computed by Winograd's algorithm: the report names them, and a flag forbids it."""

import numpy as np
import pytest
from networks import new_network

import dovetail as trt
from dovetail.core.errors import NoImplementation
from dovetail.machine.plan import read_plan
from dovetail.machine.report import BuildReport

ROW = "#cpu:winograd4_chw16_scalar"  # any machine has it


def convolutions(n=1, flag=False, pinned=True):
    """n convolutions of 32 channels one after the other, pinned to Winograd's rows, as report and plan."""
    builder, network, config = new_network()
    config.builder_optimization_level = 0
    x = network.add_input("x", trt.float32, (1, 32, 12, 12))
    for i in range(n):
        layer = network.add_convolution_nd(x, 32, (3, 3), np.ones((32, 32, 3, 3), np.float32))
        layer.name, layer.padding_nd = f"conv{i}", (1, 1)
        if pinned:
            config.pin_implementation(layer.name, ROW)
        x = layer.get_output(0)
    network.mark_output(x)
    if flag:
        config.set_flag(trt.BuilderFlag.DISABLE_WINOGRAD)
    return BuildReport.of(read_plan(builder.build_serialized_network(network, config))["report"])


def notes_of(report):
    return [note for note in report.notes if "Winograd" in note]


def test_layers_with_larger_errors_are_named():
    (note,) = notes_of(convolutions(2))
    assert (
        note.startswith("computed by Winograd's algorithm") and ": conv0, conv1; BuilderFlag.DISABLE_WINOGRAD" in note
    )


def test_of_many_layers_some_are_named():
    (note,) = notes_of(convolutions(8))
    assert "conv5 and 2 more" in note and "conv6" not in note


def test_the_flag_forbids_these_rows_and_the_report_says_so():
    report = convolutions(flag=True, pinned=False)
    assert notes_of(report) == []
    (step,) = (step for step in report.steps if step.layer == "conv0")
    assert "winograd" not in step.runs_on
    refused = [text for text in step.refused if "winograd4" in text]
    assert refused and all("BuilderFlag.DISABLE_WINOGRAD forbids" in text for text in refused)


def test_a_pinned_row_that_the_flag_forbids_is_an_error():
    with pytest.raises(NoImplementation, match="DISABLE_WINOGRAD"):
        convolutions(flag=True)

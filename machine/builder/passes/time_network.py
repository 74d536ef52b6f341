"""Where `config.time_network` asks for it: the time of the whole network, beside the sum of its steps."""

from __future__ import annotations

import numpy as np

from dovetail.core.errors import DovetailError
from dovetail.core.types import DeviceType, nptype
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph
from dovetail.machine.builder.samples import samples
from dovetail.machine.plan import write_plan


def time_network(graph: Graph, build: Build) -> Graph:
    """Run the network and put its time into the report. Where it cannot be run here, a note says why."""
    if not build.config.time_network or not build.is_timed:
        return graph
    report = graph.document["report"]
    devices = {tensor.device for tensor in graph.all_tensors()}
    if DeviceType.GPU in devices:
        report["notes"].append("the network is not timed: that is done for networks of the CPU alone")
    else:
        assert graph.plan is not None
        inputs = samples(graph.inputs)
        for index, contents in enumerate(graph.input_contents[0]):
            if contents is not None:
                dtype = nptype(graph.inputs[index].dtype)
                inputs[index] = np.array(contents[1], dtype).reshape(graph.inputs[index].ranges[0][1])
        try:
            report["network_ns"] = build.measurements.time_network(graph.plan, inputs)
        except DovetailError as error:
            report["notes"].append(f"the network is not timed: {error}")
    graph.plan = write_plan(graph.document, graph.constants)
    return graph

"""Plans whose extents come from contents of inputs and from kernels: what a changed one may not say."""

import numpy as np
import pytest

import dovetail as trt
from dovetail import _native
from dovetail.core.errors import DovetailError, PlanCorrupt
from tests.runtime.plans import draft_of


@pytest.fixture(scope="module")
def plan():
    """y = x [6] as a matrix of the extents in `shape`; z = where x is not zero, and its first `n` columns."""
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network, config = builder.create_network(), builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    config.builder_optimization_level = 0
    x, shape = network.add_input("x", trt.float32, (6,)), network.add_input("shape", trt.int32, (2,))
    matrix = network.add_shuffle(x)
    matrix.set_input(1, shape)
    places = network.add_non_zero(x).get_output(0)
    doubled = network.add_elementwise(places, places, trt.ElementWiseOperation.SUM)
    for name, tensor in (("y", matrix.get_output(0)), ("z", doubled.get_output(0))):
        tensor.name = name
        network.mark_output(tensor)
    profile = builder.create_optimization_profile()
    profile.set_shape_input("shape", (1, 1), (2, 3), (6, 6))
    config.add_optimization_profile(profile)
    return bytes(builder.build_serialized_network(network, config))


def test_the_plan_is_good(plan):
    context = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(plan).create_execution_context()
    x = np.float32([0, 1, 2, 0, 0, 3])
    results = context.run({"x": x, "shape": np.int32([3, 2])})
    np.testing.assert_array_equal(results["y"], x.reshape(3, 2))
    assert results["z"].tolist() == [[2, 4, 10]]


CHANGES = [
    (["shape_inputs"], [0]),
    (["shape_inputs"], [7]),
    (["shape_inputs"], None),
    (["shape_inputs"], []),
    (["sizes"], []),
    (["sizes"], 3),
    (["sizes", 0, "tensor"], 0),
    (["sizes", 0, "tensor"], 99),
    (["sizes", 0, "upper"], 99),
    (["profiles", 0, "sizes"], 3),
    (["profiles", 0, "sizes"], []),
    (["profiles", 0, "sizes"], [-1]),
    (["profiles", 0, "sizes"], [2**40]),
    (["profiles", 0, "contents"], []),
    (["profiles", 0, "contents", 0, 0], [1]),
    (["profiles", 0, "contents", 0, 0], [7, 7]),
    (["profiles", 0, "contents", 0, 2], [2**62, 2**62]),
    (["programs", 0], [2, 1, 2]),
    (["programs", 0], [2, 0, 0]),
    (["programs", 0], [3, 1]),
]


@pytest.mark.parametrize(("path", "value"), CHANGES, ids=str)
def test_what_cannot_be_is_refused(plan, path, value):
    draft = draft_of(plan)
    node = draft.plan
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    with pytest.raises(PlanCorrupt):
        _native.Engine(draft.to_bytes())


def test_a_bound_that_looks_up_its_own_size_is_refused(plan):
    draft = draft_of(plan)
    draft.plan["programs"].append([3, 0])
    draft.plan["sizes"][0]["upper"] = len(draft.plan["programs"]) - 1
    with pytest.raises(PlanCorrupt, match="earlier sizes"):
        _native.Engine(draft.to_bytes())


@pytest.mark.parametrize("bound", [0, 1, 5, 7, 2**40])
def test_a_bound_that_is_not_the_kernels_is_refused(plan, bound):
    """The kernel writes up to six columns, whatever the plan says."""
    draft = draft_of(plan)
    draft.plan["programs"][draft.plan["sizes"][0]["upper"]][:] = [0, bound]
    with pytest.raises(DovetailError):
        engine = _native.Engine(draft.to_bytes())
        context = _native.Context(engine)
        arrays = [np.ones(6, np.float32), np.int32([2, 3]), np.empty((2, 3), np.float32), np.empty((1, 6), np.int32)]
        for io, array in enumerate(arrays):
            context.set_buffer(io, array)
        context.execute()


def late_output(plan):
    """The plan, with what the layer of the sizes writes as an output: nobody can have given it memory by then."""
    draft = draft_of(plan)
    step = next(step for step in draft.plan["steps"] if "NonZero" in step["op"])
    index = next(t for t in step["outputs"] if draft.plan["tensors"][t]["dims"])
    draft.plan["tensors"][index]["where"] = "output"
    draft.plan["outputs"].append(index)
    for profile in draft.plan["profiles"]:
        profile["offsets"][index] = -1
    return draft, index


def test_an_output_that_is_written_before_its_extents_are_known_is_refused(plan):
    draft, index = late_output(plan)
    with pytest.raises(PlanCorrupt, match="memory is known before the step"):
        _native.Engine(draft.to_bytes())
    # Nor through an alias of it, which the step writes instead.
    draft.plan["tensors"].append({**draft.plan["tensors"][index], "name": "view", "where": "alias", "alias_of": index})
    for profile in draft.plan["profiles"]:
        profile["offsets"].append(-1)
    view = len(draft.plan["tensors"]) - 1
    for step in draft.plan["steps"]:
        step.update({side: [view if t == index else t for t in step[side]] for side in ("inputs", "outputs")})
    with pytest.raises(PlanCorrupt, match="memory is known before the step"):
        _native.Engine(draft.to_bytes())


def test_an_input_whose_extents_only_a_layer_decides_is_refused(plan):
    draft = draft_of(plan)
    draft.plan["programs"].append([3, 0])
    draft.plan["tensors"][draft.plan["inputs"][0]]["dims"] = [{"program": len(draft.plan["programs"]) - 1}]
    with pytest.raises(PlanCorrupt, match="extents that no layer decides"):
        _native.Engine(draft.to_bytes())

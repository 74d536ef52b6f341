"""Data-dependent extents and shape inputs on a GPU."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import DovetailError
from dovetail.machine.device_array import DeviceArray

pytestmark = pytest.mark.gpu

X = (np.float32([[0, 1, 0], [2, 0, 3]]), np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32))


def context_of(network, builder, profile=None):
    config = builder.create_builder_config()
    if profile is not None:
        config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    return trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()


@pytest.fixture
def builder():
    return trt.Builder(trt.Logger(trt.Logger.ERROR))


@pytest.fixture
def taking(builder):
    """y = x[x != 0] + itself; z = where x is not zero."""
    network = builder.create_network()
    x = network.add_input("x", trt.float32, (2, 3))
    places = network.add_non_zero(x).get_output(0)
    transposed = network.add_shuffle(places)
    transposed.first_transpose = (1, 0)
    taken = network.add_gather_v2(x, transposed.get_output(0), trt.GatherMode.ND).get_output(0)
    y = network.add_elementwise(taken, taken, trt.ElementWiseOperation.SUM).get_output(0)
    for name, tensor in (("y", y), ("z", places)):
        tensor.name = name
        network.mark_output(tensor)
    return context_of(network, builder)


def test_sizes_are_told_in_each_run(taking):
    assert taking.engine.device_type == trt.DeviceType.GPU
    for x in X:
        results = taking.run({"x": x})
        np.testing.assert_array_equal(results["y"], 2 * x[x != 0])
        np.testing.assert_array_equal(results["z"], np.array(np.nonzero(x), np.int32))


def test_arrays_on_the_gpu_come_back_on_the_gpu(taking):
    torch = pytest.importorskip("torch")
    for x in X:
        results = taking.run({"x": torch.from_numpy(x).cuda()})
        assert isinstance(results["y"], DeviceArray)
        np.testing.assert_array_equal(torch.from_dlpack(results["y"]).cpu().numpy(), 2 * x[x != 0])


class Keeper(trt.IOutputAllocator):
    """Memory of torch's."""

    def __init__(self, torch):
        self.torch, self.memory, self.shapes = torch, {}, {}

    def reallocate_output(self, tensor_name, memory, size, alignment):
        self.memory[tensor_name] = self.torch.empty(max(size, 1), dtype=self.torch.uint8, device="cuda")
        return self.memory[tensor_name].data_ptr()

    def notify_shape(self, tensor_name, shape):
        self.shapes[tensor_name] = tuple(shape)


def test_an_output_allocator_on_a_stream(taking):
    torch = pytest.importorskip("torch")
    keeper, stream = Keeper(torch), torch.cuda.Stream()
    for name in ("y", "z"):
        taking.set_output_allocator(name, keeper)
    for x in X:
        on_gpu = torch.from_numpy(x).cuda()
        torch.cuda.synchronize()
        taking.set_tensor_address("x", on_gpu.data_ptr())
        taking.execute_async_v3(stream.cuda_stream)
        stream.synchronize()
        n = np.count_nonzero(x)
        assert keeper.shapes == {"y": (n,), "z": (2, n)}
        y = keeper.memory["y"][: 4 * n].view(torch.float32).cpu().numpy()
        np.testing.assert_array_equal(y, 2 * x[x != 0])


def test_what_waits_for_a_size_cannot_be_captured(taking):
    torch = pytest.importorskip("torch")
    x = torch.ones(2, 3, device="cuda")
    outputs = [torch.empty(64, device="cuda"), torch.empty(64, dtype=torch.int32, device="cuda")]
    for name, array in zip(("x", "y", "z"), (x, *outputs), strict=True):
        taking.set_tensor_address(name, array.data_ptr())
    taking.execute_async_v3(0)
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    with pytest.raises(DovetailError, match="captured"), torch.cuda.graph(graph, stream=stream):
        taking.execute_async_v3(stream.cuda_stream)


def test_nms_in_a_network(builder):
    rng = np.random.default_rng(0)
    low = rng.integers(0, 40, (2, 50, 2)) / 4
    boxes = np.concatenate([low, low + rng.integers(1, 24, (2, 50, 2)) / 4], -1).astype(np.float32)
    scores = rng.permutation(2 * 50 * 3).reshape(2, 50, 3).astype(np.float32)
    network = builder.create_network()
    most = network.add_constant((), np.array(7, np.int32)).get_output(0)
    iou = network.add_constant((), np.array(0.4, np.float32)).get_output(0)
    b, s = network.add_input("b", trt.float32, boxes.shape), network.add_input("s", trt.float32, scores.shape)
    layer = network.add_nms(b, s, most)
    layer.set_input(3, iou)
    for index, name in enumerate(("indices", "count")):
        layer.get_output(index).name = name
        network.mark_output(layer.get_output(index))
    results = context_of(network, builder).run({"b": boxes, "s": scores})
    wanted, count = layer.spec.reference(layer.spec.defaults(), boxes, scores, np.array(7), np.float32(0.4).reshape(()))
    np.testing.assert_array_equal(results["indices"], wanted)
    assert results["count"] == count


def test_a_shape_input_lies_on_the_host(builder):
    network = builder.create_network()
    x, shape = network.add_input("x", trt.float32, (12,)), network.add_input("shape", trt.int32, (2,))
    layer = network.add_shuffle(x)
    layer.set_input(1, shape)
    doubled = network.add_elementwise(layer.get_output(0), layer.get_output(0), trt.ElementWiseOperation.SUM)
    doubled.get_output(0).name = "y"
    network.mark_output(doubled.get_output(0))
    profile = builder.create_optimization_profile()
    profile.set_shape_input("shape", (1, 1), (3, 4), (12, 12))
    context = context_of(network, builder, profile)
    assert context.engine.get_tensor_location("shape") == trt.TensorLocation.HOST
    x = np.arange(12, dtype=np.float32)
    for rows in (3, 1, 6):
        shape = np.array([rows, 12 // rows], np.int32)
        np.testing.assert_array_equal(context.run({"x": x, "shape": shape})["y"], 2 * x.reshape(*shape))

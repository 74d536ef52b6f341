"""The front of arrays for engines on a GPU, with memory of the host in the place of a GPU's: no GPU is needed."""

import contextlib
import ctypes
import types

import numpy as np
import pytest
from networks import engine_of, new_network, profile_of

import dovetail as trt
from dovetail import _native
from dovetail.core.errors import BindingError
from dovetail.core.tensor import pack, unpack
from dovetail.machine import arrays, device_array
from dovetail.machine.device_array import DeviceArray


class Memory:
    """Stands for `_native.DeviceMemory`."""

    def __init__(self, n_bytes, device):
        self.array = np.full(n_bytes, 0xA5, np.uint8)
        self.address, self.bytes = self.array.ctypes.data, n_bytes


class OnDevice:
    """An array of another library's, on the GPU."""

    def __init__(self, array):
        self.array = array
        interface = array.__array_interface__
        self.__cuda_array_interface__ = {key: interface[key] for key in ("shape", "typestr", "data", "version")}


def host_array(found):
    """What lies in a DeviceArray."""
    n_bytes = int(np.prod(found.shape, dtype=np.int64)) * found.dtype.itemsize
    return found._memory.array[:n_bytes].view(trt.nptype(found.dtype)).reshape(found.shape)


@pytest.fixture
def gpu(monkeypatch):
    """The functions of the front that reach a GPU, and what they are asked to do."""
    asked = []

    def copy(device, to, from_, n_bytes, stream=0):
        asked.append(("copy", stream))
        ctypes.memmove(to, from_, n_bytes)

    stand_ins = {name: getattr(_native, name) for name in dir(_native) if not name.startswith("__")} | {
        "CurrentDevice": lambda device: contextlib.nullcontext(),
        "DeviceMemory": Memory,
        "copy": copy,
        "cuda_device_of": lambda address: 0,
        "wait_for_stream": lambda device, stream=0: asked.append(("wait", stream)),
    }
    for module in (arrays, device_array):
        monkeypatch.setattr(module, "_native", types.SimpleNamespace(**stand_ins))
    return asked


def front_of(add, dims, ranges=None, format_=trt.TensorFormat.LINEAR):
    """A front for a GPU before a context for the CPU, of one layer x -> y."""
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, dims)
    y = add(network, x)
    y.name = "y"
    network.mark_output(y)
    for tensor in (x, y):
        if format_ != trt.TensorFormat.LINEAR:
            tensor.allowed_formats = 1 << int(format_)
    if ranges:
        profile_of(builder, config, x=ranges)
    context = engine_of(builder, network, config).create_execution_context()
    for tensor in context._tensors:
        tensor.on_gpu = True
    context._arrays = arrays.ArrayFront(context._context, context._tensors, 0)
    context._direct = None
    return context


def negated(network, x):
    return network.add_unary(x, trt.UnaryOperation.NEG).get_output(0)


def test_host_arrays_are_copied_there_and_back(gpu):
    context = front_of(negated, (-1, 3), ((1, 3), (2, 3), (8, 3)))
    for rows in (2, 5, 1):
        x = np.full((rows, 3), rows, np.float32)
        result = context.run({"x": x}, stream=7)["y"]
        assert type(result) is np.ndarray
        np.testing.assert_array_equal(result, -x)
    assert gpu == [("copy", 7), ("copy", 7), ("wait", 7)] * 3
    given = np.zeros((1, 3), np.float32)
    assert context.run({"x": x}, {"y": given})["y"] is given
    np.testing.assert_array_equal(given, -x)


def test_arrays_on_the_gpu_stay_there(gpu):
    context = front_of(negated, (2, 3))
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    result = context.run(OnDevice(x), stream=7)["y"]
    assert isinstance(result, DeviceArray)
    assert gpu == []
    np.testing.assert_array_equal(host_array(result), -x)
    target = OnDevice(np.zeros((2, 3), np.float32))
    assert context.run(OnDevice(x), {"y": target})["y"] is target
    assert context.run(x, {"y": target})["y"] is target
    np.testing.assert_array_equal(target.array, -x)
    host = np.zeros((2, 3), np.float32)
    assert context.run(OnDevice(x), {"y": host})["y"] is host
    np.testing.assert_array_equal(host, -x)


def test_outputs_whose_extents_the_data_decide(gpu):
    context = front_of(lambda network, x: network.add_non_zero(x).get_output(0), (4,))
    x = np.float32([0, 1, 0, 1])
    assert context.run(x)["y"].tolist() == [[1, 3]]
    found = context.run(OnDevice(x))["y"]
    assert found.shape == (1, 2)
    assert host_array(found).tolist() == [[1, 3]]
    for given in (np.zeros((1, 2), np.int32), OnDevice(np.zeros((1, 2), np.int32))):
        assert context.run(x, {"y": given})["y"] is given
        assert getattr(given, "array", given).tolist() == [[1, 3]]
    with pytest.raises(BindingError, match=r"output 'y' cannot be written to an array of shape \[1, 3\]"):
        context.run(x, {"y": np.zeros((1, 3), np.int32)})


@pytest.mark.parametrize("format_", [trt.TensorFormat.HWC, trt.TensorFormat.CHW4])
def test_formats_are_packed_on_the_host_alone(gpu, format_):
    context = front_of(negated, (-1, 3, 4, 5), ((1, 3, 4, 5), (2, 3, 4, 5), (8, 3, 4, 5)), format_)
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5), dtype=np.float32)
    flat = context.run({"x": x})["y"]
    np.testing.assert_array_equal(unpack(flat, x.shape, trt.float32, format_), -x)
    given = np.zeros_like(x)
    assert context.run({"x": x}, {"y": given})["y"] is given
    np.testing.assert_array_equal(given, -x)
    np.testing.assert_array_equal(host_array(context.run({"x": OnDevice(pack(x, format_))})["y"]), flat)
    with pytest.raises(BindingError, match=rf"is needed as {format_.name}"):
        context.run({"x": OnDevice(x)})


def test_what_does_not_fit_is_refused(gpu):
    context = front_of(negated, (2, 3))
    x = OnDevice(np.zeros((2, 3), np.float32))
    with pytest.raises(BindingError, match="input 'x' cannot be float64"):
        context.run(OnDevice(np.zeros((2, 3))))
    with pytest.raises(BindingError, match=r"output 'y' cannot be written to an array of shape \[3, 2\]"):
        context.run(x, {"y": OnDevice(np.zeros((3, 2), np.float32))})
    with pytest.raises(BindingError, match="missing  x"):
        context.run({})
    assert (host_array(context.run(x)["y"]) == 0).all()


class TorchEvent:
    """As torch.cuda.Event: its handle is 0 until it is recorded."""

    cuda_event = 0

    def record(self):
        self.cuda_event = 0x7F00


def test_events_of_other_libraries_are_taken_as_their_streams_are():
    recorded = TorchEvent()
    recorded.record()
    for event in (recorded, types.SimpleNamespace(ptr=0x7F00), types.SimpleNamespace(handle=0x7F00), 0x7F00):
        assert device_array.event_number(event) == 0x7F00
    for stream in (types.SimpleNamespace(cuda_stream=7), types.SimpleNamespace(ptr=7), 7):
        assert device_array.stream_number(stream) == 7
    assert device_array.event_number(0) == device_array.stream_number(None) == 0


def test_an_event_that_does_not_exist_yet_is_refused():
    """Its number is that of no event: nothing would be recorded."""
    with pytest.raises(BindingError, match=r"does not exist on the device yet(.|\n)*event.record\(\)"):
        device_array.event_number(TorchEvent())


@pytest.mark.parametrize("handle", [-1, 1 << 64, "7", None, 1.5])
def test_handles_that_cannot_be_are_refused(handle):
    with pytest.raises(BindingError, match="an event cannot be"):
        device_array.event_number(types.SimpleNamespace(cuda_event=handle))
    with pytest.raises(BindingError, match="a stream cannot be"):
        device_array.stream_number(types.SimpleNamespace(cuda_stream=handle))

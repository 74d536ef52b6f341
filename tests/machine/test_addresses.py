"""Addresses that are not addresses are refused before anything is written there."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import BindingError, DefinitionError
from dovetail.machine.addresses import address_of

NOT_NUMBERS = (True, None, "0x7f0000000000", "123456", b"1", 1j, {})
NOT_ADDRESSES = (*NOT_NUMBERS, 1.5, np.float64(2e5), -1, 64, 4095, 1 << 64)


class Pointer:
    """As cuda-python's CUdeviceptr, which has nothing but __int__."""

    def __int__(self):
        return 1 << 20


@pytest.fixture
def network():
    return trt.Builder(trt.Logger(trt.Logger.ERROR)).create_network()


def engine_of(network, output):
    network.mark_output(output)
    config = trt.Builder(trt.Logger()).create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    return trt.Runtime(logger).deserialize_cuda_engine(trt.Builder(logger).build_serialized_network(network, config))


@pytest.fixture
def context(network):
    x = network.add_input("x", trt.float32, (64,))
    relu = network.add_activation(x, trt.ActivationType.RELU)
    relu.get_output(0).name = "y"
    return engine_of(network, relu.get_output(0)).create_execution_context()


def test_integers_and_pointers_are_addresses():
    for value, number in ((0, 0), (np.uint64(1 << 40), 1 << 40), (np.array(1 << 40), 1 << 40), (Pointer(), 1 << 20)):
        assert address_of(value, "tensor 'x'") == number


@pytest.mark.parametrize("value", NOT_ADDRESSES, ids=repr)
def test_other_values_are_refused(context, value):
    y = np.zeros(64, np.float32)
    with pytest.raises(BindingError, match="the address of tensor 'x' cannot be"):
        context.execute_v2([value, y.ctypes.data])
    with pytest.raises(BindingError, match="the address of tensor 'y' cannot be"):
        context.set_tensor_address("y", value)
    with pytest.raises(BindingError, match="the address of device_memory cannot be"):
        context.device_memory = value


@pytest.mark.parametrize("value", [value for value in NOT_ADDRESSES if value is not None], ids=repr)
def test_an_allocator_gives_addresses(network, value):
    class Allocator(trt.IOutputAllocator):
        def reallocate_output(self, tensor_name, memory, size, alignment):
            return value

    x = network.add_input("x", trt.float32, (64,))
    indices = network.add_non_zero(x).get_output(0)
    indices.name = "y"
    context = engine_of(network, indices).create_execution_context()
    values = np.ones(64, np.float32)
    context.set_output_allocator("y", Allocator())
    context.set_tensor_address("x", values.ctypes.data)
    with pytest.raises(BindingError, match="the address of output 'y' cannot be"):
        context.execute_async_v3(0)
    context.set_output_allocator("y", None)
    assert context.run({"x": values})["y"].shape == (1, 64)


@pytest.mark.parametrize("allocator", [5, "y", {}, trt.IOutputAllocator], ids=repr)
def test_an_allocator_has_the_methods_of_one(context, allocator):
    with pytest.raises(BindingError, match="output 'y' cannot have"):
        context.set_output_allocator("y", allocator)
    assert context.get_output_allocator("y") is None


@pytest.mark.parametrize("outputs", [5, [np.zeros(64, np.float32)], np.zeros(64, np.float32), "y", []], ids=repr)
def test_outputs_are_given_by_name(context, outputs):
    with pytest.raises(BindingError, match="outputs= cannot be a"):
        context.run({"x": np.ones(64, np.float32)}, outputs=outputs)


def test_a_profiler_may_take_itself_away(context):
    class Once(trt.IProfiler):
        def report_layer_time(self, layer_name, ms):
            context.profiler = None
            layers.append(layer_name)

    layers: list[str] = []
    context.profiler = Once()
    for _ in range(2):
        context.run({"x": np.ones(64, np.float32)})
    assert len(layers) == context.engine.num_layers


@pytest.mark.parametrize("name", [None, 5, "", b"y"], ids=repr)
def test_names_of_tensors_are_texts(network, name):
    x = network.add_input("x", trt.float32, (64,))
    with pytest.raises(DefinitionError, match="cannot be named"):
        network.add_activation(x, trt.ActivationType.RELU).get_output(0).name = name
    with pytest.raises(DefinitionError, match="tensor 'x' cannot be named"):
        x.name = name
    assert x.name == "x"

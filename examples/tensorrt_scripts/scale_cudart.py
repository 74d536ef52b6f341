"""A TensorRT script with cuda-python: addresses by name, `execute_async_v3`."""

import numpy as np
import tensorrt as trt
from cuda import cudart


def check(result):
    error, *values = result
    if error != cudart.cudaError_t.cudaSuccess:
        raise RuntimeError(error)
    return values[0] if len(values) == 1 else values


logger = trt.Logger(trt.Logger.ERROR)
builder = trt.Builder(logger)
network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
x = network.add_input("x", trt.float32, (2, 3))
layer = network.add_elementwise(x, x, trt.ElementWiseOperation.PROD)
layer.get_output(0).name = "y"
network.mark_output(layer.get_output(0))
plan = builder.build_serialized_network(network, builder.create_builder_config())
engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
context = engine.create_execution_context()

stream = check(cudart.cudaStreamCreate())
arrays, addresses = {}, {}
for index in range(engine.num_io_tensors):
    name = engine.get_tensor_name(index)
    arrays[name] = np.arange(6, dtype=trt.nptype(engine.get_tensor_dtype(name))).reshape(context.get_tensor_shape(name))
    addresses[name] = check(cudart.cudaMallocAsync(arrays[name].nbytes, stream))
    context.set_tensor_address(name, addresses[name])
kinds = cudart.cudaMemcpyKind
size = arrays["x"].nbytes
cudart.cudaMemcpyAsync(addresses["x"], arrays["x"].ctypes.data, size, kinds.cudaMemcpyHostToDevice, stream)
context.execute_async_v3(stream)
cudart.cudaMemcpyAsync(arrays["y"].ctypes.data, addresses["y"], size, kinds.cudaMemcpyDeviceToHost, stream)
check(cudart.cudaStreamSynchronize(stream))
print(arrays["y"])
for address in addresses.values():
    check(cudart.cudaFree(address))

"""A TensorRT 8 script as they are found: an engine in a file, pycuda's memory and stream, bindings by index."""

import os
import sys

import numpy as np
import pycuda.driver as cuda
import tensorrt as trt

TRT_LOGGER = trt.Logger(trt.Logger.WARNING)
EXPLICIT_BATCH = 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
if int(trt.__version__.split(".")[0]) < 8:
    sys.exit("TensorRT 8 is needed")


class HostDeviceMem:
    def __init__(self, host, device):
        self.host, self.device = host, device


def populate(network):
    """A small classifier with seeded weights."""
    rng = np.random.default_rng(0)
    data = network.add_input("data", trt.float32, (-1, 1, 12, 12))
    conv = network.add_convolution_nd(data, 4, (3, 3), trt.Weights(rng.normal(size=(4, 1, 3, 3)).astype(np.float32)))
    relu = network.add_activation(conv.get_output(0), trt.ActivationType.RELU)
    pool = network.add_pooling_nd(relu.get_output(0), trt.PoolingType.MAX, (10, 10))
    flat = network.add_shuffle(pool.get_output(0))
    flat.reshape_dims = (0, 4)
    softmax = network.add_softmax(flat.get_output(0))
    softmax.axes = 1 << 1
    softmax.get_output(0).name = "prob"
    network.mark_output(softmax.get_output(0))


def build_engine():
    with trt.Builder(TRT_LOGGER) as builder, builder.create_network(EXPLICIT_BATCH) as network:
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 28)
        if builder.platform_has_fast_fp16:
            config.set_flag(trt.BuilderFlag.FP16)
        populate(network)
        profile = builder.create_optimization_profile()
        profile.set_shape("data", (1, 1, 12, 12), (2, 1, 12, 12), (4, 1, 12, 12))
        config.add_optimization_profile(profile)
        return builder.build_engine(network, config)


def allocate_buffers(engine, context):
    inputs, outputs, bindings, stream = [], [], [], cuda.Stream()
    for binding in engine:
        index = engine.get_binding_index(binding)
        size = trt.volume(context.get_binding_shape(index))
        host_mem = cuda.pagelocked_empty(size, trt.nptype(engine.get_binding_dtype(binding)))
        device_mem = cuda.mem_alloc(host_mem.nbytes)
        bindings.append(int(device_mem))
        print("%s: %s" % (binding, context.get_binding_shape(index)))  # noqa: UP031
        (inputs if engine.binding_is_input(binding) else outputs).append(HostDeviceMem(host_mem, device_mem))
    return inputs, outputs, bindings, stream


def do_inference(context, bindings, inputs, outputs, stream):
    for one in inputs:
        cuda.memcpy_htod_async(one.device, one.host, stream)
    context.execute_async_v2(bindings=bindings, stream_handle=stream.handle)
    for one in outputs:
        cuda.memcpy_dtoh_async(one.host, one.device, stream)
    stream.synchronize()
    return [one.host for one in outputs]


def main():
    path = sys.argv[1]
    if not os.path.exists(path):
        engine = build_engine()
        if engine is None:
            sys.exit("ERROR: the engine was not built")
        with open(path, "wb") as file:
            file.write(engine.serialize())
    with open(path, "rb") as file, trt.Runtime(TRT_LOGGER) as runtime:
        engine = runtime.deserialize_cuda_engine(file.read())
    with engine.create_execution_context() as context:
        if not context.set_binding_shape(0, (3, 1, 12, 12)):
            sys.exit("ERROR: the shape does not fit")
        inputs, outputs, bindings, stream = allocate_buffers(engine, context)
        np.copyto(inputs[0].host, np.linspace(-1, 1, inputs[0].host.size, dtype=np.float32))
        (prob,) = do_inference(context, bindings, inputs, outputs, stream)
    print(prob.reshape(3, 4).round(3))


if __name__ == "__main__":
    main()

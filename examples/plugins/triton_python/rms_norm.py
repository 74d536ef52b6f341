"""An op from a Python function, with a Triton kernel for GPUs. Needs a GPU, torch and triton."""

import sys

import numpy as np

import dovetail as trt
from dovetail.core.types import FLOATS, DeviceType
from dovetail.plugins import Input, op

NO_GPU = 77  # the exit status of a program that cannot run here

try:
    import torch
    import triton
    import triton.language as tl
except ImportError as error:
    print(f"this example needs torch and triton: {error}", file=sys.stderr)
    sys.exit(NO_GPU)


@op("acme::RmsNorm@1")
def rms_norm(x: Input(FLOATS), gain: Input(FLOATS), *, epsilon: float = 1e-5):
    """y = x / sqrt(mean(x^2) + epsilon) * gain, the mean along the last axis; gain has its extent."""
    return x / np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + epsilon) * gain


# One program a row, which fits into BLOCK; sums in float32.
@triton.jit
def normalise(x, gain, y, n, epsilon, BLOCK: tl.constexpr):  # noqa: N803
    columns = tl.arange(0, BLOCK)
    inside = columns < n
    row = tl.program_id(0).to(tl.int64) * n
    values = tl.load(x + row + columns, inside, other=0.0).to(tl.float32)
    gains = tl.load(gain + columns, inside, other=0.0).to(tl.float32)
    scale = 1 / tl.sqrt(tl.sum(values * values, 0) / n + epsilon)
    tl.store(y + row + columns, (values * scale * gains).to(y.dtype.element_ty), inside)


# Fields are attributes of `op`. The arrays are the tensors' own memory, and Triton launches on torch's current stream.
@rms_norm.kernel(device=DeviceType.GPU, tactic="triton")
def rms_norm_triton(op, inputs, outputs, workspace, stream):
    with torch.cuda.stream(torch.cuda.ExternalStream(stream)):
        x, gain, y = (torch.from_dlpack(array) for array in (*inputs, *outputs))
        n = gain.numel()
        if y.numel():
            normalise[(y.numel() // n,)](x, gain, y, n, op.epsilon, BLOCK=triton.next_power_of_2(n))


def main():
    trt.get_plugin_registry().add_op(rms_norm)
    for dtype, tolerance in ((trt.float32, 1e-5), (trt.float16, 1e-2)):
        builder = trt.Builder(trt.Logger())
        network = builder.create_network()
        gain = np.linspace(0.5, 1.5, 768).astype(trt.nptype(dtype))
        x = network.add_input("x", dtype, (-1, -1, gain.size))
        layer = network.add_plugin("acme::RmsNorm@1", [x, network.add_constant(gain.shape, gain).get_output(0)])
        layer.get_output(0).name = "y"
        network.mark_output(layer.get_output(0))
        config, profile = builder.create_builder_config(), builder.create_optimization_profile()
        if config.default_device_type != trt.DeviceType.GPU:
            print("this example needs a GPU; `dovetail env` says why none is used", file=sys.stderr)
            sys.exit(NO_GPU)
        profile.set_shape("x", (1, 1, gain.size), (8, 128, gain.size), (8, 512, gain.size))
        config.add_optimization_profile(profile)
        plan = builder.build_serialized_network(network, config)
        print(trt.build_report(plan))
        context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context()
        for rows in ((8, 128), (1, 1), (8, 512)):
            values = np.random.default_rng(0).standard_normal((*rows, gain.size)).astype(trt.nptype(dtype))
            expected = rms_norm(values.astype(np.float64), gain.astype(np.float64))
            error = np.abs(context.run({"x": values})["y"] - expected).max()
            print(dtype.name, rows, f"largest error {error:.1e}")
            assert error < tolerance


if __name__ == "__main__":
    main()

"""An op in Python whose kernel is CUDA C++, compiled by NVRTC when it is first run on a device.

Needs a GPU and cuda-python (pip install dovetail-runtime[cuda]), and no CUDA toolkit.
"""

import ctypes
import sys
import threading
from math import prod

import numpy as np

import dovetail as trt
from dovetail.core.types import DataType, DeviceType
from dovetail.plugins import Input, Output, Plugin, field

NO_GPU = 77  # the exit status of a program that cannot run here
BLOCK = 256
ELEMENTS = {DataType.FLOAT: "float", DataType.HALF: "unsigned short"}

# Half precision is loaded and stored by its bits, so that no header of CUDA's has to be found.
SOURCE = """
__device__ float load(const float* p) { return *p; }
__device__ float load(const unsigned short* p) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(*p));
  return value;
}
__device__ void store(float* p, float value) { *p = value; }
__device__ void store(unsigned short* p, float value) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  *p = bits;
}

// Means along one axis: element i is at place (i / step) % extent of it, its neighbours are `step` elements apart.
template <typename From, typename To>
__device__ void means(const From* from, To* to, long long n, long long extent, long long step, long long radius) {
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n; i += gridDim.x * (long long)blockDim.x) {
    const long long place = i / step % extent;
    const long long first = max(place - radius, 0LL), last = min(place + radius, extent - 1);
    float sum = 0;
    for (long long k = first; k <= last; ++k) sum += load(from + i + (k - place) * step);
    store(to + i, sum / (last - first + 1));
  }
}

extern "C" __global__ void blur_rows(const ELEMENT* x, float* between, long long n, long long extent, long long step,
                                     long long radius) {
  means(x, between, n, extent, step, radius);
}
extern "C" __global__ void blur_columns(const float* between, ELEMENT* y, long long n, long long extent, long long step,
                                        long long radius) {
  means(between, y, n, extent, step, radius);
}
"""

# ---- compiling: once for each context of CUDA's and each type

_kernels = {}
_lock = threading.Lock()


def kernels(dtype):
    """(blur_rows, blur_columns) for the GPU that is current in this thread."""
    from cuda.bindings import driver

    key = int(check(driver.cuCtxGetCurrent())), dtype
    with _lock:
        if key not in _kernels:
            device = check(driver.cuCtxGetDevice())
            attribute = driver.CUdevice_attribute
            major, minor = (
                check(driver.cuDeviceGetAttribute(which, device))
                for which in (
                    attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                    attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                )
            )
            code = compile_for(f"sm_{major}{minor}", dtype)
            module = check(driver.cuModuleLoadData(code))
            _kernels[key] = tuple(
                check(driver.cuModuleGetFunction(module, name)) for name in (b"blur_rows", b"blur_columns")
            )
        return _kernels[key]


def compile_for(architecture, dtype, source=SOURCE):
    """Machine code for "sm_90". Raises RuntimeError with the compiler's log."""
    from cuda.bindings import nvrtc

    program = check(nvrtc.nvrtcCreateProgram(source.encode(), b"blur.cu", 0, [], []))
    options = [f"--gpu-architecture={architecture}".encode(), f"-DELEMENT={ELEMENTS[dtype]}".encode(), b"--std=c++17"]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        log = b" " * check(nvrtc.nvrtcGetProgramLogSize(program))
        check(nvrtc.nvrtcGetProgramLog(program, log))
        text = log.rstrip(b"\0 ").decode(errors="replace")
        raise RuntimeError(f"blur.cu does not compile for {architecture}, {status.name}:\n{text}")
    code = b" " * check(nvrtc.nvrtcGetCUBINSize(program))
    check(nvrtc.nvrtcGetCUBIN(program, code))
    check(nvrtc.nvrtcDestroyProgram(program))
    return code


def check(result):
    """What a call of cuda-python gave, without its status. Raises RuntimeError if it failed."""
    status, *values = result
    if status.value != 0:
        raise RuntimeError(f"CUDA: {status.name}")
    return values[0] if values else None


def launch(kernel, stream, n, *arguments):
    """Starts a kernel for n elements on the stream, with pointers and 64-bit integers."""
    from cuda.bindings import driver

    blocks = min(-(-n // BLOCK), 1 << 16)
    values, types = zip(*arguments, strict=True)
    check(driver.cuLaunchKernel(kernel, blocks, 1, 1, BLOCK, 1, 1, 0, stream, (values, types), 0))


# ---- the op


def means_along(x, axis, radius):
    """The mean of each element and `radius` neighbours on either side, as far as there are any."""
    n = x.shape[axis]
    sums = np.concatenate([np.zeros_like(x.take([0], axis)), np.cumsum(x, axis)], axis)
    first, last = np.maximum(np.arange(n) - radius, 0), np.minimum(np.arange(n) + radius + 1, n)
    counts = (last - first).reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])
    return (sums.take(last, axis) - sums.take(first, axis)) / counts


class Blur(Plugin):
    """y[r, c] = mean of x[r - radius .. r + radius, c - radius .. c + radius], of what lies inside.

    Inputs    x  [..., H, W], float32 or half
    Outputs   y  dims of x
    Numerics  sums in float32
    """

    namespace = "acme"
    device = DeviceType.GPU  # where enqueue computes; the reference runs on the CPU
    x = Input((DataType.FLOAT, DataType.HALF))
    y = Output(like="x")
    radius: int = field(2, low=0, high=256, doc="How many neighbours on each side.")

    def infer(self, x):
        return x.like()

    def reference(self, x):
        return means_along(means_along(x, -1, self.radius), -2, self.radius)

    # The means of rows, in float32, for the largest extents that may come.
    def get_workspace_size(self, inputs, outputs):
        return 4 * prod(inputs[0].max)

    def shape_changed(self, inputs, outputs):
        self.extents, self.dtype = tuple(inputs[0].dims), inputs[0].dtype

    # Arrays are DeviceArrays: int(array) is the address. Work goes to the stream, and nothing is waited for.
    def enqueue(self, inputs, outputs, workspace, stream):
        (height, width), n = self.extents[-2:], prod(self.extents)
        if n == 0:
            return
        pointer, number = ctypes.c_void_p, ctypes.c_longlong
        x, y, between = ((int(array), pointer) for array in (inputs[0], outputs[0], workspace))
        rows, columns = kernels(self.dtype)
        size, radius = (n, number), (self.radius, number)
        launch(rows, stream, n, x, between, size, (width, number), (1, number), radius)
        launch(columns, stream, n, between, y, size, (height, number), (width, number), radius)


def main():
    trt.get_plugin_registry().add_op(Blur)
    for dtype, tolerance in ((trt.float32, 1e-5), (trt.float16, 1e-3)):
        builder = trt.Builder(trt.Logger())
        network = builder.create_network()
        x = network.add_input("x", dtype, (3, -1, -1))
        layer = network.add_plugin("acme::Blur@1", [x], {"radius": 3})
        layer.get_output(0).name = "y"
        network.mark_output(layer.get_output(0))
        config, profile = builder.create_builder_config(), builder.create_optimization_profile()
        if config.default_device_type != trt.DeviceType.GPU:
            print("this example needs a GPU; `dovetail env` says why none is used", file=sys.stderr)
            sys.exit(NO_GPU)
        profile.set_shape("x", (3, 1, 1), (3, 480, 640), (3, 1080, 1920))
        config.add_optimization_profile(profile)
        plan = builder.build_serialized_network(network, config)
        print(trt.build_report(plan))
        context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context()
        for size in ((480, 640), (9, 5), (1080, 1920)):
            values = np.random.default_rng(0).random((3, *size)).astype(trt.nptype(dtype))
            expected = Blur(radius=3).reference(values.astype(np.float64))
            error = np.abs(context.run({"x": values})["y"] - expected).max()
            print(dtype.name, size, f"largest error {error:.1e}")
            assert error < tolerance


if __name__ == "__main__":
    main()

"""What the scripts of this folder share: one input, one layer, build, load, copy, run on a CUDA stream, print.

Apart from the import line it is a TensorRT script with cuda-python.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import dovetail as trt

try:
    from cuda.bindings import runtime as cudart
except ImportError:
    try:
        from cuda import cudart  # its name in older releases
    except ImportError:
        cudart = None

NO_GPU = 77  # the exit status of a program that cannot run here

sections: dict[str, Callable[[], None]] = {}
options = argparse.Namespace(v3=False)


def section(function: Callable[[], None]) -> Callable[[], None]:
    """Lists a function as one section of the script, by its name."""
    sections[function.__name__] = function
    return function


def main(about: str) -> None:
    """Runs the sections that the command line names, or all."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"of {', '.join(sections)}; all if none is named"
    )
    parser.add_argument("--v3", action="store_true", help="bind tensors by name and call execute_async_v3")
    parser.parse_args(namespace=options)
    unknown = sorted(set(options.sections) - sections.keys())
    if unknown:
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(sections)}")
    reason = why_no_gpu()
    if reason:
        print(f"this script needs a GPU: {reason}", file=sys.stderr)
        sys.exit(NO_GPU)
    np.set_printoptions(precision=8, linewidth=200, suppress=True)
    for name in options.sections or sections:
        sections[name]()


def why_no_gpu() -> str:
    """Empty where the scripts can run."""
    if cudart is None:
        return "cuda-python is not installed (pip install dovetail-runtime[cuda])"
    try:
        status, n_devices = cudart.cudaGetDeviceCount()
    except RuntimeError as error:  # there is no driver's library
        return str(error)
    if status != cudart.cudaError_t.cudaSuccess or n_devices == 0:
        return f"CUDA finds none ({status.name})"
    if trt.Builder(trt.Logger()).create_builder_config().default_device_type != trt.DeviceType.GPU:
        return "dovetail would use the CPU; `dovetail env` says why"
    return ""


def check(result: tuple[Any, ...]) -> Any:
    """What a call of CUDA gave, without its status. Raises if it failed."""
    status, *values = result
    if status != cudart.cudaError_t.cudaSuccess:
        raise RuntimeError(f"CUDA: {status.name}")
    return values[0] if values else None


def run(
    title: str,
    data: np.ndarray,
    shape: tuple[int, ...],
    add_layer: Callable[[Any, Any], Any],
    flags: int = 0,
) -> None:
    """Builds a network of one layer, runs it on `data` and prints what goes in and what comes out.

    Args:
        shape: of the network's input; `data` has as many elements.
        add_layer: is handed network and input, and returns the layer whose output is wanted.
        flags: of the builder's configuration.
    """
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 30)
    if flags:
        config.flags = flags
    layer = add_layer(network, network.add_input("inputT0", trt.DataType.FLOAT, shape))
    layer.get_output(0).name = "outputT0"
    network.mark_output(layer.get_output(0))
    plan = builder.build_serialized_network(network, config)
    engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
    context = engine.create_execution_context()
    stream = check(cudart.cudaStreamCreate())

    input_host = np.ascontiguousarray(data.reshape(-1))
    output_host = np.empty(context.get_binding_shape(1), dtype=trt.nptype(engine.get_binding_dtype(1)))
    input_device = check(cudart.cudaMallocAsync(input_host.nbytes, stream))
    output_device = check(cudart.cudaMallocAsync(output_host.nbytes, stream))
    to_device, to_host = (
        cudart.cudaMemcpyKind.cudaMemcpyHostToDevice,
        cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost,
    )
    check(cudart.cudaMemcpyAsync(input_device, input_host.ctypes.data, input_host.nbytes, to_device, stream))
    if options.v3:
        context.set_tensor_address("inputT0", int(input_device))
        context.set_tensor_address("outputT0", int(output_device))
        context.execute_async_v3(int(stream))
    else:
        context.execute_async_v2([int(input_device), int(output_device)], stream)
    check(cudart.cudaMemcpyAsync(output_host.ctypes.data, output_device, output_host.nbytes, to_host, stream))
    check(cudart.cudaStreamSynchronize(stream))

    print(f"==== {title}")
    print("inputH0 :", data.shape)
    print(data)
    print("outputH0:", output_host.shape)
    print(output_host)

    check(cudart.cudaFree(input_device))
    check(cudart.cudaFree(output_device))
    check(cudart.cudaStreamDestroy(stream))


def quantised(network: Any, tensor: Any) -> Any:
    """The tensor, rounded to whole numbers in -128..127 and back: a quantise and a dequantise layer of scale 1."""
    down, up = (network.add_constant([], np.array([1], dtype=np.float32)).get_output(0) for _ in range(2))
    quantise = network.add_quantize(tensor, down)
    quantise.axis = 0
    dequantise = network.add_dequantize(quantise.get_output(0), up)
    dequantise.axis = 0
    return dequantise.get_output(0)

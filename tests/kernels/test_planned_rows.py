"""Rows that plan a state: contexts whose extents change compute what new ones do, and so do those that run at once."""

import ctypes
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from networks import new_network, profile_of
from shared import once, run_folder

import dovetail as trt
from dovetail import _native
from dovetail.machine.plan import read_plan

LIKELY, SIDES = (2, 16, 9, 9), [(1, 16, 9, 9), (3, 16, 5, 14), (2, 16, 20, 3), (1, 16, 9, 9)]
RNG = np.random.default_rng(3)
KERNEL = RNG.standard_normal((16, 16, 3, 3), dtype=np.float32)
BIAS, PER_CHANNEL = RNG.standard_normal((2, 16), dtype=np.float32)


def convolution(network, x):
    layer = network.add_convolution_nd(x, 16, (3, 3), KERNEL, BIAS)
    layer.padding_nd = (1, 1)
    return layer


def convolution_and_what_it_absorbs(network, x):
    """A residual and an activation, computed in the convolution where its kernel takes them."""
    sums = network.add_elementwise(convolution(network, x).get_output(0), x, trt.ElementWiseOperation.SUM)
    return network.add_activation(sums.get_output(0), trt.ActivationType.RELU)


def depthwise(network, x):
    layer = network.add_convolution_nd(x, 16, (3, 3), KERNEL[:, :1], BIAS)
    layer.num_groups, layer.stride_nd = 16, (2, 2)
    return layer


def deconvolution(network, x):
    layer = network.add_deconvolution_nd(x, 16, (3, 3), KERNEL, BIAS)
    layer.stride_nd = (2, 3)
    return layer


def pooling(network, x):
    layer = network.add_pooling_nd(x, trt.PoolingType.AVERAGE, (3, 2))
    layer.stride_nd, layer.padding_nd = (2, 1), (1, 1)
    return layer


def scale(network, x):
    return network.add_scale(x, trt.ScaleMode.CHANNEL, PER_CHANNEL, BIAS)


def activation(network, x):
    return network.add_activation(x, trt.ActivationType.TANH)


def sum_with_repeated(network, x):
    one = network.add_constant((1, 16, 1, 1), PER_CHANNEL.reshape(1, 16, 1, 1)).get_output(0)
    return network.add_elementwise(x, one, trt.ElementWiseOperation.SUM)


def larger_of_repeated(network, x):
    """A choice among three inputs, one of which is repeated."""
    one = network.add_constant((1, 16, 1, 1), PER_CHANNEL.reshape(1, 16, 1, 1)).get_output(0)
    is_larger = network.add_elementwise(x, one, trt.ElementWiseOperation.GREATER).get_output(0)
    return network.add_select(is_larger, x, one)


def parametric_relu(network, x):
    slopes = network.add_constant((1, 16, 1, 1), PER_CHANNEL.reshape(1, 16, 1, 1)).get_output(0)
    return network.add_parametric_relu(x, slopes)


def exponential(network, x):
    return network.add_unary(x, trt.UnaryOperation.EXP)


def softmax(network, x):
    return network.add_softmax(x)


def reformat(network, x):
    """To another format and back."""
    layer = network.add_identity(x)
    layer.get_output(0).allowed_formats = 1 << int(trt.TensorFormat.CHW16)
    return layer


def reduce(network, x):
    return network.add_reduce(x, trt.ReduceOperation.AVG, 1 << 1 | 1 << 3, keep_dims=False)


def enlarged(network, x):
    layer = network.add_resize(x)
    layer.scales, layer.resize_mode = (1, 1, 2, 1.5), trt.InterpolationMode.LINEAR
    return layer


def enlarged_on_three_axes(network, x):
    """Which takes sums between two steps."""
    layer = network.add_resize(x)
    layer.scales, layer.resize_mode = (2, 1, 2, 2), trt.InterpolationMode.LINEAR
    return layer


def repeated(network, x):
    layer = network.add_resize(x)
    layer.scales = (1, 1, 3, 2)
    return layer


def product(network, x):
    return network.add_matrix_multiply(x, trt.MatrixOperation.NONE, x, trt.MatrixOperation.TRANSPOSE)


def product_with_constant(network, x):
    """Which is packed while building."""
    weights = network.add_constant((1, 1, 16, 24), RNG.standard_normal((1, 1, 16, 24), dtype=np.float32)).get_output(0)
    last = network.add_shuffle(x)
    last.first_transpose = trt.Permutation([0, 2, 3, 1])
    return network.add_matrix_multiply(last.get_output(0), trt.MatrixOperation.NONE, weights, trt.MatrixOperation.NONE)


LAYERS = [
    *(convolution, convolution_and_what_it_absorbs, depthwise, deconvolution, pooling, scale, activation, reduce),
    *(sum_with_repeated, larger_of_repeated, parametric_relu, exponential, softmax, reformat),
    *(enlarged, enlarged_on_three_axes, repeated, product, product_with_constant),
]


def plan_of(add):
    builder, network, config = new_network()
    config.default_device_type = trt.DeviceType.CPU
    config.builder_optimization_level = 0
    x = network.add_input("x", trt.float32, (-1, 16, -1, -1))
    profile_of(builder, config, x=((1, 16, 3, 3), LIKELY, (3, 16, 20, 20)))
    layer = add(network, x)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    return builder.build_serialized_network(network, config)


def run(context, x):
    context.set_input(0, x)
    assert context.infer_shapes() == []
    y = np.full(context.tensor_shape(1), np.nan, np.float32)
    context.set_buffer(1, y)
    context.execute()
    assert not np.isnan(y).any()
    return y


def inputs():
    rng = np.random.default_rng(5)
    return [rng.standard_normal(dims, dtype=np.float32) for dims in SIDES]


@pytest.fixture(params=["scalar", "avx2", "avx512", "neon"])
def isa(request, monkeypatch):
    """An instruction set of this machine, and no better one."""
    if request.param not in ("scalar", *_native.cpu_features()):
        pytest.skip(f"this processor lacks {request.param}")
    monkeypatch.setenv("DOVETAIL_FORCE_ISA", request.param)
    return request.param


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("add", LAYERS, ids=lambda add: add.__name__)
def test_a_context_whose_extents_change_computes_what_a_new_one_does(add, n_threads, isa):
    plan = plan_of(add)
    rows = [step["row"] for step in read_plan(plan)["steps"]]
    assert any(row.endswith(f"_{isa}") for row in rows) or add is reformat, rows
    engine = _native.Engine(bytes(plan), n_threads)
    kept = _native.Context(engine)
    for x in inputs():
        expected = run(_native.Context(engine), x)
        np.testing.assert_array_equal(run(kept, x), expected)
        np.testing.assert_array_equal(run(kept, x), expected)  # in another buffer


@pytest.mark.parametrize("add", LAYERS, ids=lambda add: add.__name__)
def test_contexts_with_different_extents_run_at_once(add):
    engine = _native.Engine(bytes(plan_of(add)), 1)
    expected = [run(_native.Context(engine), x) for x in inputs()]
    failures = []

    def work(x, y):
        context = _native.Context(engine)
        for _ in range(30):
            if not np.array_equal(run(context, x), y):
                failures.append(x.shape)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(inputs(), expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_what_a_convolution_absorbs_is_part_of_its_plan():
    steps = read_plan(plan_of(convolution_and_what_it_absorbs))["steps"]
    assert any(step.get("epilogue") for step in steps)


@pytest.fixture(scope="session")
def counter(tmp_path_factory):
    """The library that counts, to be preloaded."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler or platform.libc_ver()[0] != "glibc":
        pytest.skip("no C compiler (set CC), or no glibc")
    source = Path(__file__).with_name("count_allocations.c")

    def make(library):
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)

    return once(run_folder(tmp_path_factory, "counter") / "libcounter.so", make)


@pytest.mark.unsanitized
def test_nothing_is_allocated_between_changes_of_extents(counter):
    path = os.pathsep.join([str(Path(__file__).parents[1] / "support"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "LD_PRELOAD": str(counter), "PYTHONPATH": path}
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    counted = json.loads(done.stdout)
    assert counted.pop("planning") > 0  # it does count
    assert counted == {add.__name__: 0 for add in LAYERS}


def count_allocations() -> dict[str, int]:
    """How often each layer allocates in a hundred runs with extents that are known to it."""
    allocations = ctypes.CDLL(None).allocations
    allocations.restype = ctypes.c_long
    counted = {"planning": 0}
    for add in LAYERS:
        context = _native.Context(_native.Engine(bytes(plan_of(add)), 1))
        before = allocations()
        for x in inputs():
            run(context, x)
        counted["planning"] += allocations() - before
        before = allocations()
        for _ in range(100):
            context.execute()
        counted[add.__name__] = allocations() - before
    return counted


if __name__ == "__main__":
    print(json.dumps(count_allocations()))

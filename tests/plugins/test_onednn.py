"""Rows that call oneDNN: beside the references where it is installed, and what is said where it cannot be used."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import new_network

import dovetail as trt
from dovetail import _native
from dovetail.core.types import DataType
from dovetail.machine.testing import Case, check
from dovetail.plugins import onednn

NAME = "onednn.cpu"
(LIBRARY,) = onednn.dovetail_native_libraries()


def why_not():
    if LIBRARY.reason:
        return LIBRARY.reason
    needed = "avx512bf16"
    return "" if needed in _native.cpu_features() else f"the CPU has no {needed}"


installed = pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")


def convolution(name, x, kernel, maps=None, groups=1, bias=True, **fields):
    maps = maps or kernel[0]
    given = {"bias": (maps,)} if bias else {}
    return Case(
        name,
        x=x,
        kernel=kernel,
        num_output_maps=maps,
        kernel_size_nd=kernel[2:],
        num_groups=groups,
        **given,
        **fields,
    )


ONE, TWO = {"pre_padding": (1, 1), "post_padding": (1, 1)}, {"stride_nd": (2, 2)}
CONVOLUTIONS = [
    convolution("two images and maps left over", (2, 32, 9, 11), (40, 32, 3, 3), **ONE),
    convolution("more images than threads", (5, 64, 7, 9), (24, 64, 1, 1)),
    convolution("without a bias", (1, 16, 8, 8), (16, 16, 3, 3), bias=False),
    convolution("stride", (1, 48, 13, 12), (33, 48, 3, 3), **ONE, **TWO),
    convolution("1x1 with stride", (1, 128, 14, 15), (64, 128, 1, 1), **TWO),
    convolution("channels on their own, some left over", (2, 35, 9, 9), (35, 1, 3, 3), groups=35, **ONE),
    convolution("groups", (1, 64, 6, 6), (32, 32, 3, 3), groups=2),
    convolution("few channels", (2, 3, 30, 31), (70, 3, 7, 7), pre_padding=(3, 3), post_padding=(3, 3), **TWO),
    convolution("one channel", (1, 1, 9, 9), (17, 1, 3, 3)),
    convolution("dilation", (1, 32, 14, 14), (32, 32, 3, 3), dilation_nd=(2, 3)),
    convolution("same, odd cell behind", (1, 32, 7, 8), (48, 32, 3, 3), padding_mode=2, **TWO),
    convolution("stride above the window", (1, 16, 9, 9), (20, 16, 2, 2), stride_nd=(4, 4)),
    convolution("rounded up", (1, 16, 8, 8), (20, 16, 3, 3), stride_nd=(3, 3), padding_mode=1),
    convolution("padding differs", (1, 16, 9, 9), (16, 16, 3, 3), pre_padding=(2, 0), post_padding=(0, 1)),
    convolution("maps of one element", (5, 512, 1, 1), (100, 512, 1, 1)),
    convolution("a long sum", (1, 512, 7, 7), (64, 512, 3, 3), **ONE),
    convolution("a flat window", (1, 16, 5, 40), (16, 16, 1, 9)),
]
DECONVOLUTIONS = [
    convolution("twice as large", (1, 32, 5, 6), (32, 70, 4, 4), maps=70, **ONE, **TWO),
    convolution("units of maps", (2, 16, 4, 4), (16, 130, 2, 2), maps=130, **TWO),
    convolution("without a bias", (1, 32, 5, 5), (32, 24, 3, 3), maps=24, bias=False),
    convolution("maps of one element", (1, 96, 1, 1), (96, 64, 4, 4), maps=64),
    convolution("same", (1, 16, 5, 6), (16, 16, 3, 3), maps=16, padding_mode=2, **TWO),
    convolution("dilation", (1, 16, 5, 6), (16, 16, 3, 3), maps=16, dilation_nd=(2, 1)),
]
TYPES = (DataType.FLOAT, DataType.BF16)
PRODUCTS = [
    Case("rows", a=(33, 70), b=(70, 49), dtypes=TYPES),
    Case("one row", a=(1, 70), b=(70, 200), dtypes=TYPES),
    Case("a transposed", a=(70, 9), b=(70, 49), op0=1, dtypes=TYPES),
    Case("b transposed", a=(9, 70), b=(49, 70), op1=1, dtypes=TYPES),
    Case("batches", a=(3, 2, 17, 31), b=(3, 2, 31, 40), dtypes=TYPES),
    Case("batches, b transposed", a=(3, 17, 64), b=(3, 17, 64), op1=1, dtypes=TYPES),
    Case("a long sum", a=(5, 3000), b=(3000, 8), dtypes=TYPES),
]
CONNECTED = [
    Case("rows", x=(9, 5, 2, 3), kernel=(70, 30), bias=(70,), num_output_channels=70, dtypes=TYPES),
    Case("one row", x=(1, 64, 1, 1), kernel=(130, 64), bias=(130,), num_output_channels=130, dtypes=TYPES),
    Case("few columns, no bias", x=(2, 3, 30, 1, 1), kernel=(7, 30), num_output_channels=7, dtypes=TYPES),
    Case("50 columns", x=(33, 48, 1, 1), kernel=(50, 48), bias=(50,), num_output_channels=50, dtypes=TYPES),
]
test_convolutions = installed(check(f"Convolution@1#{NAME}", CONVOLUTIONS))
test_deconvolutions = installed(check(f"Deconvolution@1#{NAME}", DECONVOLUTIONS))
test_products = installed(check(f"MatrixMultiply@1#{NAME}", PRODUCTS))
test_connected = installed(check(f"FullyConnected@1#{NAME}", CONNECTED))


# ---- constants are packed


def product_network(b, dims=(-1, 64), op1=trt.MatrixOperation.NONE):
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, dims)
    profile = builder.create_optimization_profile()
    profile.set_shape("x", *[[extent if d < 0 else d for d in dims] for extent in (1, 5, 40)])
    config.add_optimization_profile(profile)
    constant = network.add_constant(b.shape, b).get_output(0)
    layer = network.add_matrix_multiply(x, trt.MatrixOperation.NONE, constant, op1)
    layer.name = "product"
    config.pin_implementation("product", f"#{NAME}")
    return builder, network, config, layer.get_output(0)


def results(builder, network, config, y, n_threads, **arrays):
    y.name = "y"
    network.mark_output(y)
    config.default_device_type, config.num_threads = trt.DeviceType.CPU, n_threads
    plan = builder.build_serialized_network(network, config)
    report = str(trt.build_report(plan))
    assert f"#{NAME}" in report, report
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    return [context.run(feeds)["y"] for feeds in feeds_of(arrays)], report


def feeds_of(arrays):
    n = len(next(iter(arrays.values())))
    return [{name: given[i] for name, given in arrays.items()} for i in range(n)]


@installed
@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("columns", [5, 40, 200])
def test_a_constant_matrix_with_rows_that_are_known_when_it_runs(n_threads, columns):
    rng = np.random.default_rng(columns)
    b = rng.standard_normal((columns, 64)).astype(np.float32)
    x = [rng.standard_normal((rows, 64)).astype(np.float32) for rows in (1, 2, 5, 40)]
    network = product_network(b, op1=trt.MatrixOperation.TRANSPOSE)
    got, _ = results(*network, n_threads, x=x)
    for given, y in zip(x, got, strict=True):
        np.testing.assert_allclose(y, given.astype(np.float64) @ b.T, rtol=0, atol=1e-4)


def convolution_network(shape=(1, 32, 9, 9), maps=40):
    builder, network, config = new_network()
    rng = np.random.default_rng(3)
    x = network.add_input("x", trt.float32, shape)
    kernel = (rng.standard_normal((maps, shape[1], 3, 3)) / np.sqrt(9 * shape[1])).astype(np.float32)
    layer = network.add_convolution_nd(x, maps, (3, 3), kernel, rng.standard_normal(maps).astype(np.float32))
    layer.padding_nd, layer.name = (1, 1), "conv"
    return builder, network, config, x, layer.get_output(0)


def followed(network, y, other, how):
    """Layers behind a convolution, by name."""

    def of(kind, **fields):
        layer = network.add_activation(y, kind)
        for name, value in fields.items():
            setattr(layer, name, value)
        return layer.get_output(0)

    def with_(operand, operation):
        return network.add_elementwise(y, operand, operation).get_output(0)

    if how == "relu":
        return of(trt.ActivationType.RELU)
    if how == "relu6":
        return of(trt.ActivationType.CLIP, alpha=0.0, beta=6.0)
    if how == "tanh":
        return of(trt.ActivationType.TANH)
    if how == "sigmoid":
        return of(trt.ActivationType.SIGMOID)
    if how == "swish":
        return with_(of(trt.ActivationType.SIGMOID), trt.ElementWiseOperation.PROD)
    if how == "residual and relu":
        added = network.add_elementwise(y, other, trt.ElementWiseOperation.SUM).get_output(0)
        return network.add_activation(added, trt.ActivationType.RELU).get_output(0)
    channels = y.shape[1]
    values = np.linspace(-1, 2, channels, dtype=np.float32).reshape(1, channels, 1, 1)
    constant = network.add_constant(values.shape, values).get_output(0)
    return with_(constant, trt.ElementWiseOperation.MAX)


@installed
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("how", ["relu", "relu6", "tanh", "sigmoid", "swish", "residual and relu", "lower limits"])
def test_layers_behind_a_convolution_are_absorbed(how, n_threads):
    def build(is_pinned):
        builder, network, config, x, y = convolution_network(maps=32)
        y = followed(network, y, x, how)
        if is_pinned:
            config.pin_implementation("conv", f"#{NAME}:blocked")
        else:
            config.allow_fusion = False
            config.pin_implementation("conv", "#cpu")
        y.name = "y"
        network.mark_output(y)
        config.default_device_type, config.num_threads = trt.DeviceType.CPU, n_threads
        config.builder_optimization_level = 0  # what a row absorbs is not a question of time
        plan = builder.build_serialized_network(network, config)
        context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
        return str(trt.build_report(plan)), context

    x = np.random.default_rng(5).standard_normal((1, 32, 9, 9)).astype(np.float32)
    (report, context), (_, plain) = build(True), build(False)
    assert "conv + " in report, report
    np.testing.assert_allclose(context.run({"x": x})["y"], plain.run({"x": x})["y"], rtol=0, atol=2e-5)


# ---- where it cannot be used: in a process of its own, since a library is opened once

USE = """
import numpy as np
import dovetail as trt

builder = trt.Builder(trt.Logger())
network, config = builder.create_network(), builder.create_builder_config()
x = network.add_input("x", trt.float32, (1, 32, 9, 9))
layer = network.add_convolution_nd(x, 32, (1, 1), np.eye(32, dtype=np.float32).reshape(32, 32, 1, 1))
layer.name, layer.get_output(0).name = "conv", "y"
network.mark_output(layer.get_output(0))
config.default_device_type = trt.DeviceType.CPU
plan = builder.build_serialized_network(network, config)
print(trt.build_report(plan, "conv"))
context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
x = np.arange(32 * 81, dtype=np.float32).reshape(1, 32, 9, 9)
assert np.abs(context.run({"x": x})["y"] - x).max() < 1e-3
print("done")
"""


def use(value):
    """What a process says that builds and runs a convolution where the variable has this value: its report, its log."""
    environment = {**os.environ, onednn.VARIABLE: str(value)}
    done = subprocess.run([sys.executable, "-c", USE], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("done\n")
    return done.stdout, done.stderr


def library(folder, version, functions=()):
    """A library that says that it is oneDNN of a version."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, made = folder / "dnnl.c", folder / "libdnnl.so.3"
    made_of = (
        "struct { int major, minor, patch; const char* hash; unsigned cpu, gpu; } version = {%d, %d, %d, 0, %d, 0};"
    )
    text = made_of % version + "\nconst void* dnnl_version(void) { return &version; }\n"
    source.write_text(text + "".join(f"int dnnl_{name}(void) {{ return 1; }}\n" for name in functions))
    subprocess.run([compiler, "-shared", "-fPIC", source, "-o", made], check=True)
    return made


@pytest.mark.parametrize(
    ("version", "functions", "reason"),
    [
        ((2, 7, 1, 2), (), "is version 2.7.1, and the rows are written for 3.2 or a later one of 3"),
        ((4, 0, 0, 2), (), "is version 4.0.0"),
        ((3, 1, 9, 2), (), "is version 3.1.9"),
        ((3, 4, 0, 4), (), "is built neither for one thread nor for OpenMP"),
        ((3, 4, 0, 1), ("engine_create",), "has no function dnnl_stream_create"),
    ],
)
def test_a_library_that_does_not_suit_is_named_once_and_left_alone(tmp_path, version, functions, reason):
    path = library(tmp_path, version, functions)
    report, log = use(path)
    (line,) = [line for line in log.splitlines() if "oneDNN" in line]
    assert f"warning: oneDNN is not used: {path} {reason}" in line
    assert f"refused  Convolution@1#{NAME}:blocked oneDNN is not used: {path} {reason}" in report


def test_a_path_where_nothing_is_is_named(tmp_path):
    _, log = use(tmp_path / "libdnnl.so.3")
    assert f"oneDNN is not used: {tmp_path}/libdnnl.so.3: cannot open shared object file" in log


@pytest.mark.parametrize("word", ["0", "off", "No"])
def test_a_variable_turns_it_off(monkeypatch, word):
    monkeypatch.setenv(onednn.VARIABLE, word)
    (library,) = onednn.dovetail_native_libraries()
    assert library.reason == f"{onednn.VARIABLE}={word}"


def test_nothing_is_opened_where_it_is_off():
    report, log = use("0")
    assert NAME not in report
    assert "oneDNN" not in log


def test_without_the_package_the_library_of_rows_stays_closed(monkeypatch, tmp_path):
    monkeypatch.delenv(onednn.VARIABLE, raising=False)
    monkeypatch.setattr(onednn, "beside", lambda library: tmp_path / "libdnnl.so.3")
    (library,) = onednn.dovetail_native_libraries()
    assert library.reason.startswith("oneDNN is not installed (pip install onednn-cpu-gomp")
    (tmp_path / "libdnnl.so.3").touch()
    (library,) = onednn.dovetail_native_libraries()
    assert (library.reason, Path(library.path).name) == ("", "libdovetail_onednn.so")


def test_the_folder_that_is_searched_is_that_of_the_environment(tmp_path):
    library = tmp_path / "lib/python3.11/site-packages/dovetail/lib/libdovetail_onednn.so"
    assert onednn.beside(library) == tmp_path / "lib/libdnnl.so.3"


@installed
def test_a_plan_that_needs_it_says_so_where_it_is_off(tmp_path):
    builder, network, config, _, y = convolution_network()
    y.name = "y"
    network.mark_output(y)
    config.default_device_type = trt.DeviceType.CPU
    config.pin_implementation("conv", f"#{NAME}")
    (tmp_path / "net.plan").write_bytes(builder.build_serialized_network(network, config))
    load = (
        "import dovetail as trt, pathlib\n"
        f"trt.Runtime(trt.Logger()).deserialize_cuda_engine(pathlib.Path({str(tmp_path / 'net.plan')!r}))"
    )
    environment = {**os.environ, onednn.VARIABLE: "0"}
    done = subprocess.run([sys.executable, "-c", load], env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert f"not opened      {onednn.VARIABLE}=0" in done.stderr, done.stderr

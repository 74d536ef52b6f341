"""Plans of the built-in layers, changed and signed again by the thousand: each runs, or is refused with a sentence.

The work is done by csrc/tests/test_plan_fuzz, which `make test` and `.ci/sanitize` build and name, the latter for more
variants; here are the plans.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from networks import new_network, profile_of
from safetensors.numpy import load

import dovetail as trt
from dovetail import _native
from dovetail.core.contract import parse_op_id
from dovetail.core.errors import FieldValueError, PlanCorrupt, PlanVersionError, ShapeError
from dovetail.core.types import from_numpy
from dovetail.machine.plan import read_plan
from tests.runtime.plans import Draft, container

ROOT = Path(__file__).parents[2]
PROGRAMS = os.environ.get("DOVETAIL_TEST_PROGRAMS")
VARIANTS = os.environ.get("DOVETAIL_FUZZ_VARIANTS", "400")  # of each plan, always the same ones
LIBRARY = Path(_native.__file__).parent / "lib" / "libdovetail_cpu.so"
SAME_UPPER, ROUND_UP = trt.PaddingMode.SAME_UPPER, trt.PaddingMode.EXPLICIT_ROUND_UP


def noise(*dims: int, dtype=np.float32) -> np.ndarray:
    return np.random.default_rng(3).uniform(0.25, 1, dims).astype(dtype)


class Sketch:
    """A network in the making. Layers are pinned to rows where the fastest is not the one to try."""

    def __init__(self, *dims: int, dtype=trt.float32, ranges=None):
        self.builder, self.network, self.config = new_network()
        self.config.default_device_type = trt.DeviceType.CPU
        self.config.num_threads = 1  # as the program that runs the plans: workspaces grow with it
        self.config.builder_optimization_level = 5  # otherwise formats that nobody asked for are left out
        if dims:
            self.tensor = self.network.add_input("x", dtype, dims)
        if ranges:
            profile_of(self.builder, self.config, x=ranges)

    def add(self, layer, row=None, **settings):
        for name, value in settings.items():
            setattr(layer, name, value)
        if row:
            self.config.pin_implementation(layer.name, f"#cpu:{row}")
        self.tensor = layer.get_output(0)
        return self

    def convolution(self, maps, kernel, row=None, bias=False, **settings):
        weights = {"bias": noise(maps)} if bias else {}
        layer = self.network.add_convolution_nd(self.tensor, maps, kernel.shape[2:], kernel, **weights)
        return self.add(layer, row, **settings)

    def deconvolution(self, maps, kernel, row=None, **settings):
        layer = self.network.add_deconvolution_nd(self.tensor, maps, kernel.shape[2:], kernel, noise(maps))
        return self.add(layer, row, **settings)

    def activation(self, kind=trt.ActivationType.CLIP):
        return self.add(self.network.add_activation(self.tensor, kind), alpha=-1.0, beta=1.0)

    def constant(self, values):
        return self.network.add_constant(values.shape, values).get_output(0)

    def plan(self) -> bytes:
        self.tensor.name = "y"
        self.network.mark_output(self.tensor)
        return bytes(self.builder.build_serialized_network(self.network, self.config))


def linear_convolution():
    sketch = Sketch(1, 3, 7, 8)
    sketch.config.allow_fusion = False  # else it is for a time to say whether there is a step of the activation
    sketch.convolution(5, noise(5, 3, 3, 3), "gemm_scalar", bias=True, padding_nd=(1, 1))
    sketch.convolution(4, noise(4, 5, 3, 2), "gemm_avx2", stride_nd=(2, 2), padding_mode=SAME_UPPER)
    return sketch.convolution(3, noise(3, 4, 1, 1), bias=True).activation()


def blocked_convolution():
    sketch = Sketch(1, 3, 6, 9).convolution(20, noise(20, 3, 3, 3), "stem_chw16_avx2", bias=True, padding_nd=(1, 1))
    sketch.convolution(33, noise(33, 20, 3, 3), "direct_chw16_avx2", stride_nd=(2, 1), padding_nd=(1, 0))
    return sketch.activation().convolution(16, noise(16, 33, 1, 1), "direct_chw16_scalar", bias=True)


def fused(sketch, *dims):
    """A scale and a shift for each channel, another tensor as large as the result, and functions that use it twice."""
    sketch.config.builder_optimization_level = 0  # the candidate that absorbs all of it comes first
    network, op = sketch.network, trt.ElementWiseOperation
    other = network.add_input(f"r{network.num_layers}", trt.float32, dims)
    if dims[1] >= 16:  # where the kernels that it is for leave their result: a reformat would cost more than a step
        other.allowed_formats = 1 << int(trt.TensorFormat.CHW16)
    sketch.add(network.add_scale(sketch.tensor, trt.ScaleMode.CHANNEL, noise(dims[1]), noise(dims[1])))
    sketch.add(network.add_elementwise(other, sketch.tensor, op.SUB)).activation(trt.ActivationType.ELU)
    return sketch.add(network.add_elementwise(sketch.tensor, sketch.constant(noise(1, 1, 1, 1)), op.POW))


def linear_epilogues():
    sketch = fused(Sketch(2, 3, 5, 6).convolution(5, noise(5, 3, 3, 3), "gemm_scalar", bias=True), 2, 5, 3, 4)
    return fused(sketch.convolution(5, noise(5, 1, 1, 1), "rows_avx2", num_groups=5), 2, 5, 3, 4)


def blocked_epilogues():
    sketch = fused(Sketch(1, 3, 5, 6).convolution(20, noise(20, 3, 3, 3), "stem_chw16_avx2"), 1, 20, 3, 4)
    fused(sketch.convolution(18, noise(18, 20, 1, 1), "direct_chw16_scalar", bias=True), 1, 18, 3, 4)
    return fused(sketch.convolution(18, noise(18, 1, 1, 1), "depthwise_chw16_avx2", num_groups=18), 1, 18, 3, 4)


def blocked_groups():
    sketch = Sketch(2, 32, 5, 4).convolution(
        32, noise(32, 1, 3, 3), "depthwise_chw16_avx2", num_groups=32, padding_nd=(1, 1), bias=True
    )
    return sketch.convolution(32, noise(32, 16, 2, 2), "direct_chw16_avx2", num_groups=2)


def linear_groups():
    sketch = Sketch(1, 6, 5, 6).convolution(6, noise(6, 1, 3, 3), "rows_avx2", num_groups=6, padding_nd=(2, 1))
    sketch.convolution(12, noise(12, 3, 2, 2), "gemm_avx2", num_groups=2, dilation_nd=(2, 1))
    return sketch.convolution(12, noise(12, 1, 1, 3), "rows_scalar", num_groups=12, stride_nd=(1, 2), bias=True)


def convolution_of_volumes():
    sketch = Sketch(1, 2, 4, 5, 6).convolution(3, noise(3, 2, 2, 3, 2), bias=True, padding_nd=(1, 0, 1))
    return sketch.convolution(3, noise(3, 1, 2, 2, 2), "rows_avx2", num_groups=3, padding_mode=ROUND_UP)


def convolution_of_int8():
    sketch = Sketch(1, 5, 6, 7)
    add = sketch.network
    sketch.add(add.add_quantize(sketch.tensor, sketch.constant(np.float32([0.01]))))
    sketch.add(add.add_dequantize(sketch.tensor, sketch.constant(np.float32([0.01]))))
    kernel = add.add_quantize(sketch.constant(noise(7, 5, 3, 3)), sketch.constant(np.float32([0.01]))).get_output(0)
    kernel = add.add_dequantize(kernel, sketch.constant(np.float32([0.01]))).get_output(0)
    layer = add.add_convolution_nd(sketch.tensor, 7, (3, 3), None, noise(7))
    layer.set_input(1, kernel)
    return sketch.add(layer, padding_nd=(1, 1))


def convolutions_of_bytes():
    """With zero points and addends: of all channels, and of one each."""
    sketch = Sketch(1, 20, 7, 8, dtype=trt.uint8)
    network, random = sketch.network, np.random.default_rng(5)
    one = [sketch.constant(np.full((1,), value, np.uint8)) for value in (97, 31)]
    for channels, groups, dims in ((20, 1, (1, 18, 7, 8)), (1, 18, (1, 18, 4, 4))):
        layer = network.add_quantized_convolution(
            sketch.tensor,
            kernel=random.integers(-128, 128, (18, channels, 3, 3), np.int8),
            bias=random.integers(-99, 99, 18, np.int32),
            factor=noise(18) / 99,
            x_zero=one[0],
            y_zero=one[1],
            addend=network.add_input(f"r{groups}", trt.uint8, dims),
            **({"kernel_zero": sketch.constant(np.int8([3]))} if groups == 1 else {}),
            num_output_maps=18,
            kernel_size_nd=(3, 3),
            num_groups=groups,
            to_type=trt.uint8,
        )
        strided = {"stride_nd": (2, 2)} if groups > 1 else {}
        sketch.add(layer, pre_padding=(1, 1), post_padding=(1, 1), **strided)
    return sketch


def kernel_that_is_computed():
    sketch = Sketch(1, 3, 5, 5)
    kernel = sketch.network.add_input("kernel", trt.float32, (4, 3, 2, 2))
    layer = sketch.network.add_convolution_nd(sketch.tensor, 4, (2, 2), None, noise(4))
    layer.set_input(1, kernel)
    return sketch.add(layer)


def linear_deconvolution():
    sketch = Sketch(1, 4, 4, 5).deconvolution(3, noise(4, 3, 3, 2), "gemm_avx2", stride_nd=(2, 3), padding_nd=(1, 0))
    sketch.deconvolution(3, noise(3, 1, 2, 2), "rows_scalar", num_groups=3, stride_nd=(2, 1), padding_mode=SAME_UPPER)
    return sketch.deconvolution(2, noise(3, 2, 2, 2), dilation_nd=(2, 2))


def blocked_deconvolution():
    sketch = Sketch(1, 16, 3, 4).deconvolution(18, noise(16, 18, 3, 3), "direct_chw16_avx2", stride_nd=(2, 2))
    return sketch.deconvolution(18, noise(18, 1, 2, 2), "depthwise_chw16_avx2", num_groups=18, stride_nd=(1, 2))


def winograd_convolution():
    sketch = Sketch(1, 32, 24, 24).convolution(
        20, noise(20, 32, 3, 3), "winograd4_chw16_avx2", bias=True, padding_nd=(1, 1)
    )
    sketch.activation().convolution(33, noise(33, 20, 3, 3), "winograd6_chw16_avx2", dilation_nd=(2, 1), bias=True)
    return sketch.add(sketch.network.add_slice(sketch.tensor, (0, 0, 0, 0), (1, 33, 6, 8), (1, 1, 1, 1))).convolution(
        48, noise(48, 33, 3, 3), "winograd2_chw16_avx2", padding_nd=(1, 0)
    )


def winograd_groups():
    sketch = Sketch(1, 32, 14, 14)
    return fused(sketch.convolution(32, noise(32, 16, 3, 3), "winograd4_chw16_avx2", num_groups=2), 1, 32, 12, 12)


def winograd_deconvolution():
    sketch = Sketch(1, 16, 10, 10)
    sketch.deconvolution(17, noise(16, 17, 6, 6), "winograd4_chw16_avx2", stride_nd=(2, 2), padding_nd=(2, 3))
    sketch.activation().add(sketch.network.add_slice(sketch.tensor, (0, 0, 0, 0), (1, 17, 14, 14), (1, 1, 1, 1)))
    return sketch.deconvolution(32, noise(17, 32, 4, 4), "winograd3_chw16_avx2", stride_nd=(2, 2), padding_nd=(1, 1))


def deconvolution_of_merged_phases():
    sketch = Sketch(2, 18, 3, 4).deconvolution(3, noise(18, 3, 4, 4), "merged_chw16_avx2", stride_nd=(2, 2))
    return sketch.activation().deconvolution(
        5, noise(3, 5, 3, 2), "merged_chw16_scalar", stride_nd=(3, 1), padding_mode=SAME_UPPER
    )


def open_winograd():
    sketch = Sketch(-1, 16, -1, 12, ranges=((1, 16, 9, 12), (1, 16, 12, 12), (2, 16, 13, 12)))
    sketch.convolution(20, noise(20, 16, 3, 3), "winograd4_chw16_avx2", padding_nd=(1, 1)).activation()
    return sketch.deconvolution(3, noise(20, 3, 4, 4), "merged_chw16_avx2", stride_nd=(2, 2))


def scales():
    sketch = Sketch(1, 20, 3, 4)
    network, mode = sketch.network, trt.ScaleMode
    sketch.add(network.add_scale(sketch.tensor, mode.UNIFORM, noise(1), noise(1), noise(1)))
    sketch.add(network.add_scale(sketch.tensor, mode.CHANNEL, noise(20), noise(20)), "chw16_avx2")
    sketch.add(network.add_scale(sketch.tensor, mode.CHANNEL, noise(20), None, noise(20)), "hwc8_scalar")
    return sketch.add(network.add_scale(sketch.tensor, mode.ELEMENTWISE, noise(240), noise(240)), "linear_avx2")


def scale_of_halves():
    sketch = Sketch(2, 5, 4, 3, dtype=trt.float16)
    values = noise(5, dtype=np.float16)
    layer = sketch.network.add_scale(sketch.tensor, trt.ScaleMode.CHANNEL, values, None, values)
    return sketch.add(layer, "chw4_scalar").activation(trt.ActivationType.TANH)


def elementwise():
    sketch = Sketch(2, 18, 3, 5)
    network, op = sketch.network, trt.ElementWiseOperation
    other = network.add_input("b", trt.float32, (1, 18, 1, 5))
    sketch.add(network.add_elementwise(sketch.tensor, other, op.SUM), "chw16_avx2")
    sketch.add(network.add_elementwise(other, sketch.tensor, op.POW), "hwc_scalar")
    larger = network.add_elementwise(sketch.tensor, other, op.GREATER).get_output(0)
    equal = network.add_elementwise(sketch.tensor, other, op.EQUAL).get_output(0)
    return sketch.add(network.add_elementwise(larger, equal, op.XOR))


def integers():
    sketch = Sketch(3, 4, dtype=trt.int32)
    other = sketch.network.add_input("b", trt.int32, (3, 1))
    for op in ("PROD", "FLOOR_DIV", "POW"):
        sketch.add(sketch.network.add_elementwise(sketch.tensor, other, trt.ElementWiseOperation[op]))
    return sketch


def quantize_and_dequantize():
    sketch = Sketch(2, 19, 3, 3)
    network = sketch.network
    scale = network.add_input("scale", trt.float32, (19,))
    one = network.add_input("one", trt.float16, (1,))
    sketch.add(network.add_quantize(sketch.tensor, scale), "chw32_avx2", axis=1)
    sketch.add(network.add_dequantize(sketch.tensor, scale), "hwc16_scalar", axis=1)
    half = sketch.add(network.add_identity(sketch.tensor)).tensor
    network.get_layer(network.num_layers - 1).set_output_type(0, trt.float16)
    return sketch.add(network.add_quantize(half, one), "linear_avx2")


def casts():
    sketch = Sketch(2, 17, 2, 3)
    for kind, row in [("int8", "chw4_avx2"), ("float16", "hwc8_scalar"), ("bool", None), ("int64", "linear_scalar")]:
        layer = sketch.network.add_identity(sketch.tensor)
        layer.set_output_type(0, getattr(trt, kind))
        sketch.add(layer, row)
    return sketch


def reformats():
    sketch = Sketch(2, 19, 3, 5)
    for row in ("chw16_avx2", "hwc8_avx2", "linear_avx2", "chw2_avx2", "hwc_scalar", "chw32_scalar"):
        sketch.add(sketch.network.add_activation(sketch.tensor, trt.ActivationType.RELU), row)
    sketch.tensor.allowed_formats = 1 << int(trt.TensorFormat.CHW4)
    return sketch


def open_extents():
    sketch = Sketch(-1, 3, -1, 8, ranges=((1, 3, 3, 8), (2, 3, 5, 8), (3, 3, 9, 8)))
    sketch.convolution(17, noise(17, 3, 3, 3), "stem_chw16_avx2", stride_nd=(2, 2), padding_mode=SAME_UPPER)
    sketch.activation().convolution(4, noise(4, 17, 2, 2), "gemm_avx2", padding_nd=(1, 1))
    sketch.add(sketch.network.add_scale(sketch.tensor, trt.ScaleMode.CHANNEL, noise(4), noise(4)))
    sketch.deconvolution(2, noise(4, 2, 2, 2), stride_nd=(2, 2))
    return sketch.add(sketch.network.add_elementwise(sketch.tensor, sketch.tensor, trt.ElementWiseOperation.MAX))


def open_shape():
    """A shape that is known when a plan is made becomes a constant; this one is not."""
    sketch = Sketch(-1, 3, ranges=((1, 3), (2, 3), (5, 3)))
    return sketch.add(sketch.network.add_shape(sketch.tensor))


class Constants:
    """The builder makes constants into weights; a plan may have them as a layer."""

    def plan(self) -> bytes:
        draft = Draft("constants")
        y, z = draft.add_tensor("y", [4, 6], "output"), draft.add_tensor("z", [3], "output", dtype=2)
        for tensor, dtype, values in ((y, 0, noise(4, 6)), (z, 2, np.int8([1, 2, 3]))):
            weights = {"constant": draft.add_constant(values), "dtype": dtype, "dims": list(values.shape)}
            draft.add_step("Constant@1#cpu", [], [tensor], "copy", fields=[["weights", 64, weights]])
        draft.add_profile()
        return draft.to_bytes()


def constants():
    return Constants()


class CasesOf:
    """Some of a layer's cases, each with inputs of its own: so a new layer is tried without being named here."""

    MOST_CASES, MOST_ELEMENTS = 6, 4000

    def __init__(self, path: Path):
        self.path, self.__name__ = path, path.stem.removeprefix("test_")

    def plan(self) -> bytes:
        (op,) = re.findall(r'check\("(.+?)", CASES', self.path.read_text(encoding="utf-8"))
        cases = [case for case in importlib.import_module(f"tests.builtin.{self.path.stem}").CASES if not case.bench]
        sketch = Sketch()
        for case in cases[:: -(-len(cases) // self.MOST_CASES)]:
            self.add(sketch.network, op, case)
        return bytes(sketch.builder.build_serialized_network(sketch.network, sketch.config))

    def add(self, network, op: str, case) -> None:
        registry = trt.get_plugin_registry()
        arrays, values = case.arrays(registry, op, case.dtypes[0])
        ports = registry.find(*parse_op_id(op)).inputs
        if sum(array.size for array in arrays if array is not None) > self.MOST_ELEMENTS:
            return
        tensors, values = [], {name: value for name, value in values.items() if value is not None}
        for index, array in enumerate(arrays):
            port = ports[min(index, len(ports) - 1)]
            if port.weights:
                tensors.append(None)
                values |= {port.name: array} if array is not None else {}
            elif array is not None and (port.shape or (array.ndim == 0 and array.dtype.kind == "i")):
                # what decides extents has to be known
                tensors.append(network.add_constant(array.shape, array).get_output(0))
            else:
                name = f"{case.name}.{network.num_inputs}"
                tensors.append(None if array is None else network.add_input(name, from_numpy(array.dtype), array.shape))
        layer = network.add_plugin(op, tensors, values)
        for index in range(layer.num_outputs):
            network.mark_output(layer.get_output(index))

    def __call__(self):
        return self


SKETCHES = [
    linear_convolution,
    blocked_convolution,
    blocked_groups,
    linear_epilogues,
    blocked_epilogues,
    linear_groups,
    convolution_of_volumes,
    convolution_of_int8,
    convolutions_of_bytes,
    kernel_that_is_computed,
    linear_deconvolution,
    blocked_deconvolution,
    winograd_convolution,
    winograd_groups,
    winograd_deconvolution,
    deconvolution_of_merged_phases,
    open_winograd,
    scales,
    scale_of_halves,
    elementwise,
    integers,
    quantize_and_dequantize,
    casts,
    reformats,
    open_extents,
    open_shape,
    constants,
]
OF_CASES = [CasesOf(p) for p in sorted((ROOT / "tests" / "builtin").glob("test_*.py")) if "CASES)" in p.read_text()]
OF = {sketch.__name__: sketch for sketch in OF_CASES}
NATIVE = {i.id for i in _native.open_library(str(LIBRARY)).implementations}


@functools.cache
def plan_of(sketch) -> bytes:
    return sketch().plan()


@pytest.fixture(scope="session")
def v2_library(tmp_path_factory):
    """The example of a V2 class, which has no rows."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if not compiler:
        pytest.skip("no C++ compiler (set CXX)")
    library = tmp_path_factory.mktemp("v2") / "libposterize.so"
    source = ROOT / "examples" / "plugins" / "cpp_v2" / "posterize.cpp"
    flags = ["-std=c++17", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", f"-I{trt.get_include()}"]
    subprocess.run([compiler, *flags, str(source), "-o", str(library)], check=True)
    return library


def of_v2_classes(is_open: bool) -> bytes:
    """y = posterize(relu(x)) and z = posterize(y), of 5 or 1..9 rows of 700 values: more than a page is written."""
    draft = Draft("posterized")
    rows = {"program": draft.add_program(1, 0, 0)} if is_open else 5
    x, t = draft.add_tensor("x", [rows, 700], "input"), draft.add_tensor("t", [rows, 700], room=9 * 700 * 4)
    y, z = (draft.add_tensor(name, [rows, 700], "output") for name in "yz")
    draft.add_step("Activation@1#cpu", [x], [t], "linear_scalar", fields=[["type", 5, 0]])
    for source, target in ((t, y), (y, z)):
        draft.add_step("acme::Posterize@1#cpu", [source], [target], state=draft.add_constant(np.int32([3])))
    draft.add_profile([[extent, 700] for extent in ((1, 5, 9) if is_open else (5, 5, 5))])
    return draft.to_bytes()


def implementations(plan: bytes) -> set[str]:
    return {step["implementation"] for step in read_plan(plan)["steps"]}


def test_the_plans_of_fused_layers_have_epilogues():
    for sketch in (linear_epilogues, blocked_epilogues):
        steps = [step for step in read_plan(plan_of(sketch))["steps"] if step["op"] == "Convolution@1"]
        assert all(len(step["epilogue"]["steps"]) > 5 for step in steps), sketch.__name__


def test_the_plans_hold_every_layer_that_the_library_has():
    assert set().union(*(implementations(plan_of(sketch)) for sketch in [*SKETCHES, *OF_CASES])) >= NATIVE


@pytest.mark.parametrize("sketch", [*SKETCHES, *OF_CASES], ids=lambda sketch: sketch.__name__)
def test_changed_plans_run_or_are_refused(sketch, tmp_path):
    if not PROGRAMS:
        pytest.skip("needs the C++ test programs: make test and .ci/sanitize set DOVETAIL_TEST_PROGRAMS")
    plan = plan_of(sketch)
    if not implementations(plan) <= NATIVE:
        pytest.skip("runs in Python")
    path = tmp_path / f"{sketch.__name__}.plan"
    path.write_bytes(plan)
    fuzz(path)


def fuzz(path: Path, *more: str | Path) -> None:
    # The program has its sanitizers linked in, and looks for leaks. Stacks of the sanitizer's own: see .ci/sanitize.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    environment["ASAN_OPTIONS"] = "detect_stack_use_after_return=0"
    command = [f"{PROGRAMS}/test_plan_fuzz", "--variants", VARIANTS, *more, LIBRARY, path]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"exit status {done.returncode}\n" + done.stdout[-4000:] + done.stderr[-8000:]


@pytest.mark.parametrize("is_open", [False, True])
def test_changed_plans_of_v2_classes_run_or_are_refused(is_open, v2_library, tmp_path):
    if not PROGRAMS:
        pytest.skip("needs the C++ test programs: make test and .ci/sanitize set DOVETAIL_TEST_PROGRAMS")
    path = tmp_path / "v2.plan"
    path.write_bytes(of_v2_classes(is_open))
    fuzz(path, "--library", v2_library)


def test_changed_plans_with_sizes_that_layers_decide_are_among_them():
    sizes = [sketch for sketch in OF_CASES if read_plan(plan_of(sketch)).get("sizes")]
    assert any(implementations(plan_of(sketch)) <= NATIVE for sketch in sizes)


# ---- what refusals say


class Forger:
    """Changes values of a plan and signs it again."""

    def __init__(self, plan: bytes):
        self.document, self.blobs = read_plan(plan), {k: v.tobytes() for k, v in load(plan).items()}

    def step(self, op: str) -> dict:
        return next(step for step in self.document["steps"] if step["op"].startswith(op))

    def tensor(self, op: str, port: int | None = None) -> dict:
        """An input of the first layer of that kind, or its output."""
        step = self.step(op)
        return self.document["tensors"][step["outputs"][0] if port is None else step["inputs"][port]]

    def field(self, op: str, name: str, value) -> None:
        next(field for field in self.step(op)["fields"] if field[0] == name)[2] = value

    def engine(self):
        return _native.Engine(container(json.dumps(self.document), self.blobs), 1)


@pytest.fixture
def forge():
    return lambda sketch: Forger(plan_of(sketch))


@pytest.mark.parametrize(
    ("sketch", "op", "field", "value", "reason"),
    [
        (linear_convolution, "Convolution", "stride_nd", [0, 1], "'stride_nd' is 0, not 1..2147483647"),
        (linear_convolution, "Convolution", "dilation_nd", [2**31, 1], "'dilation_nd' is 2147483648, not"),
        (linear_convolution, "Convolution", "pre_padding", [-1, 0], "'pre_padding' is -1, not 0..2147483647"),
        (linear_convolution, "Convolution", "kernel_size_nd", [], "'kernel_size_nd' has 0 values, not 1..3"),
        (linear_convolution, "Convolution", "post_padding", [1], "has 1 values, kernel_size_nd has 2"),
        (linear_convolution, "Convolution", "num_groups", 0, "'num_groups' is 0, not 1..5"),
        (linear_convolution, "Convolution", "num_groups", 2, "'num_output_maps' is 5, no multiple of num_groups 2"),
        (linear_deconvolution, "Deconvolution", "padding_mode", 6, "'padding_mode' is 6, not 0..5"),
        (linear_convolution, "Activation", "type", 12, "'type' is 12, not 0..11"),
        (scales, "Scale", "mode", -1, "'mode' is -1, not 0..2"),
        (integers, "ElementWise", "op", 14, "'op' is 14, not 0..13"),
        (OF["einsum"], "Einsum", "equation", "aa->a", "'equation' is 'aa->a': a letter stands twice in one term"),
        (OF["fully_connected"], "FullyConnected", "num_output_channels", 0, "'num_output_channels' is 0, not 1.."),
        (OF["gather"], "Gather", "mode", 3, "'mode' is 3, not 0..2"),
        (OF["lrn"], "LRN", "window", 4, "'window' is 4, an even number"),
        (OF["matrix_multiply"], "MatrixMultiply", "op1", 3, "'op1' is 3, not 0..2"),
        (OF["normalization"], "Normalization", "num_groups", 0, "'num_groups' is 0, not 1..2147483647"),
        (OF["padding"], "Padding", "pre_padding", [0] * 7, "values, pre_padding has 7"),
        (OF["pooling"], "Pooling", "window_size_nd", [1] * 4, "'window_size_nd' has 4 values, not 1..3"),
        (OF["pooling"], "Pooling", "stride_nd", [1], "'stride_nd' has 1 values, window_size_nd has 2"),
        (OF["reduce"], "Reduce", "op", 5, "'op' is 5, not 0..4"),
        (OF["scatter"], "Scatter", "reduction", 5, "'reduction' is 5, not 0..4"),
        (OF["shuffle"], "Shuffle", "first_transpose", [1, 1], "'first_transpose' is not an order of axes"),
        (OF["slice"], "Slice", "mode", 5, "'mode' is 5, not 0..4"),
        (OF["topk"], "TopK", "axes", 3, "'axes' is 0x3, more than one axis"),
    ],
)
def test_fields_out_of_range_are_named(forge, sketch, op, field, value, reason):
    forger = forge(sketch)
    forger.field(op, field, value)
    with pytest.raises(FieldValueError) as error:
        forger.engine()
    assert reason in str(error.value)
    assert error.value.layer == forger.step(op)["layer"]


@pytest.mark.parametrize(
    ("sketch", "op", "port", "dims", "reason"),
    [
        (linear_convolution, "Convolution", None, [1, 5, 8, 7], "y is [1, 5, 8, 7], not [1, 5, 7, 8]"),
        (linear_convolution, "Convolution", 1, [5, 3, 9, 1], "kernel is [5, 3, 9, 1], not [5, 3, 3, 3]"),
        (linear_convolution, "Convolution", 2, [5, 1], "bias is [5, 1], not [5]"),
        (linear_deconvolution, "Deconvolution", None, [1, 3, 7, 9], "y is [1, 3, 7, 9], not [1, 3, 7, 14]"),
        (elementwise, "ElementWise", None, [2, 18, 3, 4], "y is [2, 18, 3, 4], not [2, 18, 3, 5]"),
        (casts, "Identity", None, [2, 17, 3, 2], "y is [2, 17, 3, 2], not [2, 17, 2, 3]"),
        (quantize_and_dequantize, "Quantize", None, [2, 19, 9, 1], "y is [2, 19, 9, 1], not [2, 19, 3, 3]"),
        (reformats, "Reformat", None, [2, 19, 5, 3], "y is [2, 19, 5, 3], not [2, 19, 3, 5]"),
        (constants, "Constant", None, [5, 5], "y has 25 values, not 24"),
    ],
)
def test_extents_that_do_not_go_together_are_named(forge, sketch, op, port, dims, reason):
    forger = forge(sketch)
    forger.tensor(op, port).update(dims=dims, dim_names=[None] * len(dims))
    with pytest.raises(PlanVersionError) as error:
        forger.engine()
    assert dict(error.value.facts)["reason"] == reason
    assert f"layer '{forger.step(op)['layer']}' cannot run on {op}@1#cpu" in str(error.value)


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        ("Concatenation", r"y is \[.*, 1\], not \["),
        ("Einsum", r"y is \[.*, 1\], not \["),
        ("FullyConnected", r"y is \[.*, 1\], not \["),
        ("Gather", "the values have another rank"),
        ("LRN", r"y is \[.*, 1\], not \["),
        ("MatrixMultiply", r"y is \[.*, 1\], not \["),
        ("Normalization", r"y is \[.*, 1\], not \["),
        ("Padding", r"y is \[.*, 1\], not \["),
        ("Pooling", r"y is \[.*, 1\], not \["),
        ("Reduce", r"y is \[.*, 1\], not \["),
        ("Scatter", r"y is \[.*, 1\], not \["),
        ("Slice", "y has rank 3, x 2"),
        ("SoftMax", r"y is \[.*, 1\], not \["),
        ("TopK", r"values is \[.*, 1\], not \["),
    ],
)
def test_an_output_of_another_rank_is_refused(forge, op, reason):
    forger = forge(next(sketch for sketch in OF_CASES if f"{op}@1#cpu" in implementations(plan_of(sketch))))
    dims = forger.tensor(op)["dims"]
    forger.tensor(op).update(dims=[*dims, 1], dim_names=[None] * (len(dims) + 1))
    with pytest.raises(PlanVersionError) as error:
        forger.engine()
    assert re.search(reason, dict(error.value.facts)["reason"])
    assert f"layer '{forger.step(op)['layer']}' cannot run on {op}@1#cpu" in str(error.value)


def test_a_window_that_reaches_over_the_edge_is_refused(forge):
    forger = forge(OF["slice"])
    start = next(field for field in forger.step("Slice")["fields"] if field[0] == "start")[2]
    forger.field("Slice", "start", [value + 10**6 for value in start])
    with pytest.raises(PlanVersionError, match="it reads beyond the bounds of x"):
        forger.engine()


def test_values_that_are_not_as_many_as_the_fields_ask_for_are_counted(forge):
    forger = forge(scale_of_halves)
    forger.field("Scale", "mode", int(trt.ScaleMode.UNIFORM))
    with pytest.raises(PlanVersionError, match=r"(shift|scale) has 5 values, not 1"):
        forger.engine()


def test_an_input_that_is_left_out_is_named(forge):
    forger = forge(linear_convolution)
    forger.step("Convolution")["inputs"][1] = -1
    forger.document["weights"] = []  # which would miss it first
    with pytest.raises(PlanVersionError, match="kernel is missing"):
        forger.engine()


def test_a_constant_of_another_type_than_its_values_is_refused(forge):
    forger = forge(constants)
    forger.tensor("Constant")["dtype"] = int(trt.int64)
    with pytest.raises(PlanVersionError, match="y is not of the type of the weights"):
        forger.engine()


def test_extents_that_go_wrong_only_later_are_refused_then(forge):
    """The program of y is right at the likeliest extents, the only ones that are tried when the plan is loaded."""
    forger = forge(open_extents)
    y = forger.tensor("Convolution")
    right = forger.document["programs"][y["dims"][2]["program"]]
    plus, minus, least = 16 + 0, 16 + 4, 16 + 3
    wrong = [
        *right,
        *right,
        1,
        0,
        2,
        plus,
        0,
        5,
        minus,
        least,
    ]  # min(right, right + height - 5)
    forger.document["programs"].append(wrong)
    y["dims"][2] = {"program": len(forger.document["programs"]) - 1}
    context = _native.Context(forger.engine())
    for io in range(2):
        context.set_buffer(io, np.zeros(10_000, np.float32))
    context.set_input_shape(0, (1, 3, 5, 8))
    context.execute()
    context.set_input_shape(0, (1, 3, 4, 8))
    with pytest.raises(ShapeError) as error:
        context.execute()
    assert "y is [1, 17, 1, 4], not [1, 17, 2, 4]" in str(error.value)
    assert error.value.layer == forger.step("Convolution")["layer"]


def test_packed_weights_that_are_too_short_are_refused(forge):
    forger = forge(linear_convolution)
    forger.document["constants"][forger.step("Convolution")["packed"]]["bytes"] = 64
    context = _native.Context(forger.engine())
    for io in range(2):
        context.set_buffer(io, np.zeros(1000, np.float32))
    with pytest.raises(PlanCorrupt, match="the packed kernel is too short"):
        context.execute()


def test_tensors_of_one_layer_in_the_same_memory_are_refused(forge):
    forger = forge(linear_convolution)
    profile = forger.document["profiles"][0]
    written, read = forger.document["steps"][1]["outputs"][0], forger.document["steps"][1]["inputs"][0]
    profile["offsets"][written] = profile["offsets"][read] + 64
    profile["arena_bytes"] += 4096
    with pytest.raises(PlanCorrupt) as error:
        forger.engine()
    names = [forger.document["tensors"][t]["name"] for t in (written, read)]
    assert f"the plan puts '{names[0]}' and '{names[1]}' into the same memory" in error.value.got

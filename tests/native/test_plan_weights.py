"""Weights in plans: each once, packed or as it is, and the table that says how it came there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from networks import new_network

import dovetail as trt
from dovetail import _native
from dovetail.core.tensor import pack
from dovetail.core.types import TensorFormat
from dovetail.machine.plan import read_plan
from tests.runtime.plans import draft_of

PROGRAMS = os.environ.get("DOVETAIL_TEST_PROGRAMS")
LIBRARY = Path(_native.__file__).parent / "lib" / "libdovetail_cpu.so"


def noise(*dims: int) -> np.ndarray:
    return np.random.default_rng(len(dims)).uniform(-1, 1, dims).astype(np.float32)


class Net:
    """A network whose layers are pinned to rows, and its weights by (layer, role)."""

    def __init__(self, *dims: int) -> None:
        self.builder, self.network, self.config = new_network()
        self.config.default_device_type = trt.DeviceType.CPU
        self.config.num_threads = 1
        self.config.builder_optimization_level = 5
        self.weights: dict[tuple[str, str], np.ndarray] = {}
        self.tensor = self.network.add_input("x", trt.float32, dims)

    def add(self, layer, row: str = "", **weights: np.ndarray) -> Net:
        self.weights |= {(layer.name, role): array for role, array in weights.items()}
        if row:
            self.config.pin_implementation(layer.name, f"#cpu:{row}")
        self.tensor = layer.get_output(0)
        return self

    def plan(self) -> bytes:
        self.network.mark_output(self.tensor)
        return bytes(self.builder.build_serialized_network(self.network, self.config))


def convolutions() -> Net:
    net = Net(1, 32, 6, 6)
    add = net.network.add_convolution_nd
    for row, dims in [("direct_chw16_scalar", (32, 32, 3, 3)), ("gemm_scalar", (40, 32, 1, 1)), ("rows_scalar", None)]:
        groups = 1 if dims else 40
        dims = dims or (40, 1, 3, 3)
        kernel, bias = noise(*dims), noise(dims[0])
        layer = add(net.tensor, dims[0], dims[2:], kernel, bias)
        layer.num_groups = groups
        net.add(layer, row, kernel=kernel, bias=bias)
    kernel = noise(40, 8, 2, 2)
    return net.add(net.network.add_deconvolution_nd(net.tensor, 8, (2, 2), kernel), "gemm_scalar", kernel=kernel)


def products() -> Net:
    net = Net(3, 1, 1, 32)
    kernel, bias, right = noise(64, 32), noise(64), noise(1, 1, 64, 48)
    net.add(net.network.add_fully_connected(net.tensor, 64, kernel, bias), "gemm_scalar", kernel=kernel, bias=bias)
    shuffle = net.network.add_shuffle(net.tensor)
    shuffle.reshape_dims = (1, 1, 3, 64)
    net.add(shuffle)
    constant = net.network.add_constant(right.shape, right)
    none = trt.MatrixOperation.NONE
    net.weights[constant.name, "weights"] = right
    return net.add(net.network.add_matrix_multiply(net.tensor, none, constant.get_output(0), none), "gemm_scalar")


NETS = [convolutions, products]


def whole(plan: bytes, weights: dict[tuple[str, str], np.ndarray]):
    """The plan with the weights in it that it has in packed form only, and how many these are."""
    draft = draft_of(plan)
    n = 0
    for row in draft.plan["weights"]:
        tensor = draft.plan["tensors"][row["tensor"]] if row["how"] == "given" and "tensor" in row else None
        if tensor is None or tensor["constant"] >= 0:
            continue
        array = weights[row["layer"], row["role"]].reshape(tensor["dims"])
        tensor["constant"] = draft.add_constant(pack(array, TensorFormat(tensor["format"])))
        n += 1
    return draft.to_bytes(), n


@pytest.mark.parametrize("make", NETS)
def test_each_weight_is_in_the_plan_once(make):
    net = make()
    document = read_plan(net.plan())
    packed = [step for step in document["steps"] if step["packed"] >= 0]
    assert len(packed) >= 2
    assert all(document["tensors"][step["inputs"][1]]["constant"] == -1 for step in packed)
    stored = sum(constant["bytes"] for constant in document["constants"] if "name" in constant)
    given = sum(array.nbytes for array in net.weights.values())
    assert stored <= 1.1 * given + 64 * len(document["constants"])


@pytest.mark.parametrize("make", NETS)
def test_native_code_packs_what_the_builder_packed(make, tmp_path):
    if not PROGRAMS:
        pytest.skip("needs the C++ test programs: make test and .ci/sanitize set DOVETAIL_TEST_PROGRAMS")
    net = make()
    plan, n = whole(net.plan(), net.weights)
    assert n >= 2
    (tmp_path / "whole.plan").write_bytes(plan)
    done = subprocess.run([f"{PROGRAMS}/test_repack", LIBRARY, tmp_path / "whole.plan"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{n} steps packed again" in done.stdout


def few_maps() -> Net:
    net = Net(1, 16, 5, 5)
    kernel = noise(3, 16, 3, 3)
    layer = net.network.add_convolution_nd(net.tensor, 3, (3, 3), kernel)
    return net.add(layer, "direct_chw16_scalar", kernel=kernel)


def test_what_packing_enlarges_is_packed_when_the_plan_is_loaded():
    net = few_maps()
    plan = net.plan()
    document = read_plan(plan)
    (step,) = (step for step in document["steps"] if step["packed"] >= 0)
    index = document["steps"].index(step)
    assert document["constants"][step["packed"]] == {"step": index, "bytes": 16 * 16 * 9 * 4}
    assert document["tensors"][step["inputs"][1]]["constant"] >= 0
    x = noise(1, 16, 5, 5)
    context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context()
    (y,) = context.run([x]) if isinstance(context.run([x]), list) else context.run([x]).values()
    windows = np.lib.stride_tricks.sliding_window_view(x[0], (3, 3), (1, 2))
    wanted = np.einsum("chwij,ocij->ohw", windows, net.weights[step["layer"], "kernel"])
    np.testing.assert_allclose(np.asarray(y).reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-4)


def test_two_layers_that_pack_one_weight_in_two_ways_leave_it_in_the_plan_once():
    net = Net(1, 32, 6, 6)
    kernel = net.network.add_constant((32, 32, 3, 3), noise(32, 32, 3, 3)).get_output(0)
    for row in ("direct_chw16_scalar", "gemm_scalar"):
        layer = net.network.add_convolution_nd(net.tensor, 32, (3, 3), None)
        layer.set_input(1, kernel)
        net.add(layer, row)
    document = read_plan(net.plan())
    assert [set(constant) for constant in document["constants"]].count({"step", "bytes"}) == 2
    assert sum("name" in constant for constant in document["constants"]) == 1


def test_the_table_says_what_was_done_to_each_weight():
    net = Net(1, 4, 5, 5)
    network = net.network
    kernel = network.add_constant((8, 4, 3, 3), noise(8, 4, 3, 3))
    kernel.name = "weights of conv"
    halved = network.add_elementwise(
        kernel.get_output(0),
        network.add_constant((1, 1, 1, 1), np.full((1, 1, 1, 1), 0.5, np.float32)).get_output(0),
        trt.ElementWiseOperation.PROD,
    )
    halved.name = "half"
    layer = network.add_convolution_nd(net.tensor, 8, (3, 3), None, noise(8))
    layer.name = "conv"
    layer.set_input(1, halved.get_output(0))
    net.add(layer, "gemm_scalar")
    rows = read_plan(net.plan())["weights"]
    (start,) = (i for i, row in enumerate(rows) if row["how"] == "given" and row["layer"] == "weights of conv")
    (fold,) = (i for i, row in enumerate(rows) if row["how"] == "folded" and row["layer"] == "half")
    (packed,) = (row for row in rows if row["how"] == "packed")
    assert start in rows[fold]["of"]
    assert fold in packed["of"]
    assert rows[fold]["by"].startswith("ElementWise@1#")
    assert "'half' made it" in rows[fold]["not_refittable"]
    assert {"how": "given", "layer": "conv", "role": "bias"}.items() <= next(
        r for r in rows if r.get("role") == "bias"
    ).items()


def test_explain_prints_the_table(tmp_path, capsys):
    from dovetail.machine.cli import main

    plan = tmp_path / "net.plan"
    plan.write_bytes(convolutions().plan())
    assert main(["explain", str(plan), "--weights"]) == 0
    text = capsys.readouterr().out
    assert "kernel: packed by" in text
    assert "bias: in the plan as they are" in text


def test_rows_without_their_raw_weights_compute_the_same():
    """Every built-in row that says so: `tests/kernels` and `tests/builtin` run each of them, without these inputs."""
    rows = [
        (implementation.id, row)
        for implementation in _native.open_library(str(LIBRARY)).implementations
        for row in implementation.rows
        if row["replaces"]
    ]
    assert {one.split("@")[0] for one, _ in rows} == {
        *("Convolution", "Deconvolution", "Einsum", "FullyConnected", "MatrixMultiply"),
        *("GRU", "LSTM", "RNN", "ExpandedDepthwise", "GatedConvolution"),
        *("QuantizedConvolution", "QuantizedMatrixMultiply"),
    }

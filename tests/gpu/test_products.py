"""Products with constant matrices on a GPU, which are turned and converted while a plan is built, in every row."""

import numpy as np
import pytest
from networks import new_network

import dovetail as trt
from dovetail.machine.plan import read_plan

pytestmark = pytest.mark.gpu

NONE, TRANSPOSE, VECTOR = trt.MatrixOperation.NONE, trt.MatrixOperation.TRANSPOSE, trt.MatrixOperation.VECTOR
TACTICS = {
    trt.float32: ("gemm_128x128", "gemm_64x64", "gemm_32x32", "warps", "threads"),
    trt.float16: ("gemm_halves_128x128", "gemm_halves_64x64", "gemm_halves_32x32", "warps", "threads"),
}
CASES = {
    "matrices": ((37, 72), NONE, (72, 51), NONE),
    "larger than a tile": ((131, 264), NONE, (264, 200), NONE),
    "a long sum": ((5, 3000), NONE, (3000, 70), NONE),
    "b transposed": ((37, 72), NONE, (51, 72), TRANSPOSE),
    "both transposed": ((72, 37), TRANSPOSE, (51, 72), TRANSPOSE),
    "k in no whole pieces": ((37, 70), NONE, (70, 51), NONE),
    "b repeated": ((3, 37, 72), NONE, (1, 72, 51), NONE),
    "a batch of b": ((2, 3, 37, 72), NONE, (2, 3, 72, 51), NONE),
    "a repeated": ((1, 37, 72), NONE, (4, 72, 51), NONE),
    "a vector on the left": ((3, 72), VECTOR, (3, 72, 51), NONE),
    "a vector on the right": ((3, 37, 72), NONE, (3, 72), VECTOR),
}


def wide(x, operation):
    x = x.astype(np.float64)
    return np.swapaxes(x, -1, -2) if operation == TRANSPOSE else x


def product(a, op0, b, op1):
    left, right = wide(a, op0), wide(b, op1)
    if op0 == VECTOR:
        return (left[..., None, :] @ right)[..., 0, :]
    return (left @ right[..., None])[..., 0] if op1 == VECTOR else left @ right


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("dtype", "tactic"), [(dtype, tactic) for dtype, names in TACTICS.items() for tactic in names], ids=str
)
def test_every_row_multiplies_by_a_constant(case, dtype, tactic):
    dims, op0, b_dims, op1 = CASES[case]
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(-1, 1, shape).astype(trt.nptype(dtype)) for shape in (dims, b_dims))
    builder, network, config = new_network()
    x = network.add_input("a", dtype, dims)
    constant = network.add_constant(b_dims, b).get_output(0)
    layer = network.add_matrix_multiply(x, op0, constant, op1)
    layer.name = "product"
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    config.builder_optimization_level = 0
    config.pin_implementation("product", f"#cuda:{tactic}")
    plan = builder.build_serialized_network(network, config)
    assert [s["runs_on"] for s in read_plan(plan)["report"]["steps"]] == [f"MatrixMultiply@1#cuda:{tactic}"]
    engine = trt.Runtime(builder.logger).deserialize_cuda_engine(plan)
    got = np.asarray(engine.create_execution_context().run({"a": a})["y"]).astype(np.float64)
    exact = product(a, op0, b, op1)
    assert got.shape == exact.shape
    halves = np.dtype(trt.nptype(dtype)).itemsize == 2
    sizes = product(np.abs(a), op0, np.abs(b), op1)
    allowed = 2.0**-22 * sizes + (2.0**-10 if halves else 0.0) * np.abs(exact)
    assert (np.abs(got - exact) <= allowed).all()

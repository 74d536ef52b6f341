"""PairwiseCoupling. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import ShapeError
from dovetail.machine.testing import Case, check


def case(n_classes, rows, low=0.02, high=0.98, **more):
    rng = np.random.default_rng(n_classes)
    pairs = rng.uniform(low, high, (rows, n_classes * (n_classes - 1) // 2)).astype(np.float32)
    return Case(f"{rows} rows of {n_classes} classes", x=pairs, n_classes=n_classes, dtypes=(trt.float32,), **more)


CASES = [
    case(2, 40),
    case(3, 100),
    case(4, 1),
    case(10, 33),
    case(5, 0),
    case(3, 20, 1e-7, 1e-3),
    case(10, 1000, bench=True),
]
test_kernels = check("ai.onnx.ml::PairwiseCoupling@1", CASES)


@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_pairs_that_agree_with_each_other_give_the_probabilities_they_come_from(n_classes):
    p = np.random.default_rng(n_classes).uniform(0.1, 1, (50, n_classes))
    p /= p.sum(1, keepdims=True)
    i, j = np.triu_indices(n_classes, 1)
    spec = trt.get_plugin_registry().find("ai.onnx.ml::PairwiseCoupling@1")
    y = spec.reference({"n_classes": n_classes}, p[:, i] / (p[:, i] + p[:, j]))
    np.testing.assert_allclose(y.sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(y, p, atol=0.02)


def test_another_number_of_pairs_is_named():
    network = trt.Builder(trt.Logger()).create_network()
    with pytest.raises(ShapeError) as error:
        network.add_plugin(
            "ai.onnx.ml::PairwiseCoupling", [network.add_input("x", trt.float32, (2, 4))], {"n_classes": 3}
        )
    assert "[rows, 3], the pairs of 3 classes" in str(error.value)

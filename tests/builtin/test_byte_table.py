"""ByteTable. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from quantized import INT8, UINT8, integers

from dovetail.core.errors import ShapeError
from dovetail.machine.testing import Case, check


def case(name, shape, type_=UINT8, to=UINT8, seed=0):
    rng = np.random.default_rng(seed)
    return Case(name, dtypes=(type_,), x=integers(rng, type_, shape), table=integers(rng, to, (256,)))


CASES = [
    case(f"{type_.name} to {to.name}", (2, 19, 5, 7), type_, to, seed)
    for seed, (type_, to) in enumerate((x, y) for x in (INT8, UINT8) for y in (INT8, UINT8))
]
CASES += [
    case("many", (77, 505)),
    case("a scalar", ()),
    case("five axes", (1, 3, 2, 5, 6), INT8),
    case("nothing", (0, 5)),
    Case("every byte", dtypes=(INT8,), x=np.arange(-128, 128, dtype=np.int8), table=np.arange(256, dtype=np.uint8)),
]
test_kernels = check("ByteTable@1", CASES)


def test_negative_numbers_are_the_upper_half(compute):
    table = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(
        compute("ByteTable", np.int8([-1, 0, 127, -128]), table), np.uint8([255, 0, 127, 128])
    )


def test_a_table_has_256_entries(infer):
    with pytest.raises(ShapeError, match="entries of table"):
        infer("ByteTable", np.zeros((2, 3), np.uint8), np.zeros(255, np.uint8))

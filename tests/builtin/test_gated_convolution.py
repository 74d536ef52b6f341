"""GatedConvolution. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest

from dovetail.core.errors import ShapeError
from dovetail.machine.testing import Case, check

ONE, TWO = (1, 1), (2, 2)


def case(name, x, maps, window=ONE, has_bias=True, images=None, **fields):
    """A case whose weights follow from x and the number of maps; `images`: whose gates there are."""
    spatial, groups = len(window), fields.get("num_groups", 1)
    front = x[: -spatial - 1] if images is None else images
    given = {"bias": (maps,)} if has_bias else {}
    return Case(
        name,
        x=x,
        kernel=(maps, x[-spatial - 1] // groups, *window),
        gate=(*front, x[-spatial - 1], *(1,) * spatial),
        num_output_maps=maps,
        kernel_size_nd=window,
        **given,
        **fields,
    )


CASES = [
    case("plain", (1, 16, 9, 11), 32),
    case("no bias", (1, 8, 6, 7), 16, has_bias=False),
    case("odd channels", (1, 19, 8, 9), 17),
    case("a gate for each image", (3, 35, 5, 6), 40),
    case("one gate for all images", (3, 35, 5, 6), 40, images=(1,)),
    case("more channels than a short sum has", (2, 1100, 3, 5), 21),
    case("one channel and one map", (2, 1, 3, 5), 1),
    case("one cell", (2, 40, 1, 1), 24),
    case("one row", (1, 6, 1, 140), 24),
    case("several chunks", (1, 96, 56, 40), 24),
    case("a window", (2, 5, 7, 8), 4, (3, 3), pre_padding=ONE, post_padding=ONE),
    case("stride", (1, 5, 7, 8), 4, stride_nd=TWO),
    case("padding", (1, 5, 7, 8), 4, pre_padding=ONE),
    case("groups", (1, 6, 7, 8), 4, num_groups=2),
    case("batch of two dims", (2, 3, 4, 6, 6), 18),
    case("batch of two dims, gates for one", (2, 3, 4, 6, 6), 18, images=(1, 3)),
    case("volume", (1, 3, 4, 5, 6), 7, (1, 1, 1)),
    case("empty batch", (0, 3, 8, 8), 4),
    case("of EfficientNet", (1, 96, 56, 56), 24, bench=True),
]
test_kernels = check("GatedConvolution@1", CASES)


@pytest.mark.parametrize("gate", [(1, 3, 1, 1), (1, 4, 6, 1), (3, 4, 1, 1), (4, 1, 1)])
def test_a_gate_has_one_value_for_each_channel(infer, gate):
    x, kernel, bias = (np.ones(dims, np.float32) for dims in ((2, 4, 6, 6), (5, 4, 1, 1), (5,)))
    with pytest.raises(ShapeError, match="gate"):
        infer("GatedConvolution", x, kernel, bias, np.ones(gate, np.float32), num_output_maps=5, kernel_size_nd=ONE)


def test_channels_are_multiplied(compute):
    x, gate = np.ones((1, 2, 2, 2)), np.float32([3, 5]).reshape(1, 2, 1, 1)
    kernel = np.float32([[1, 0], [1, 1]]).reshape(2, 2, 1, 1)
    fields = {"num_output_maps": 2, "kernel_size_nd": ONE}
    y = compute("GatedConvolution", x, kernel, np.float32([0.5, 0]), gate, **fields)
    assert (y == np.float32([3.5, 8]).reshape(1, 2, 1, 1)).all()

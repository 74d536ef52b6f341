"""Sums of integers of 8 bits in tiles (amx) are those of numpy, wherever blocks, tiles and shares of threads end."""

import numpy as np
import pytest

from dovetail import _native
from dovetail.core.types import DataType

rng = np.random.default_rng(11)


def integers(dtype, *dims):
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max + 1, dims).astype(dtype)


@pytest.fixture
def has_tiles(device):
    return device == "cpu" and "amx" in _native.cpu_features()


# Parts of tiles and of their 64 k; more rows than a copy holds, and more columns than threads share evenly.
PRODUCTS = [(1, 1, 1), (16, 64, 16), (17, 65, 17), (31, 200, 33), (32, 128, 32), (33, 16, 100), (49, 48, 160)]
LARGE_PRODUCTS = [(5, 3000, 47), (300, 1100, 70), (1000, 300, 20)]


@pytest.mark.parametrize(("m", "k", "n"), [*PRODUCTS, *LARGE_PRODUCTS])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_products(rows, has_tiles, m, k, n, threads):
    a, b = integers(np.uint8, m, k), integers(np.int8, k, n)
    exact = (a.astype(np.int64) - 7) @ b.astype(np.int64)
    for constant in ((), (1,)):
        inputs = [a, b, np.uint8([7]), None, None, None, None]
        found = rows("QuantizedMatrixMultiply").run(
            {}, inputs, (m, n), DataType.INT32, constant=constant, threads=threads
        )
        assert any("amx" in tactic for tactic in found) == has_tiles
        for tactic, y in found.items():
            assert (y == exact).all(), (tactic, constant)


def convolved(x, kernel, stride, groups):
    """Without padding, in int64."""
    maps, channels, height, width = kernel.shape
    out = [(extent - size) // stride + 1 for extent, size in zip(x.shape[2:], (height, width), strict=True)]
    y = np.zeros((x.shape[0], maps, *out), np.int64)
    for g in range(groups):
        own = slice(g * maps // groups, (g + 1) * maps // groups)
        given = x[:, g * channels : (g + 1) * channels].astype(np.int64)
        for i in range(height):
            for j in range(width):
                taken = given[:, :, i : i + stride * out[0] : stride, j : j + stride * out[1] : stride]
                y[:, own] += np.einsum("nchw,mc->nmhw", taken[:, :, : out[0], : out[1]], kernel[own, :, i, j])
    return y


# Rows of y that end within a tile, channels that end within 64, blocks of several rows, images and groups.
@pytest.mark.parametrize(
    ("x", "kernel", "stride", "groups"),
    [
        ((1, 16, 7, 7), (16, 16, 1, 1), 1, 1),
        ((2, 80, 9, 5), (40, 80, 3, 3), 1, 1),
        ((1, 48, 15, 14), (33, 48, 3, 3), 2, 1),
        ((3, 64, 5, 6), (64, 32, 3, 3), 1, 2),
        ((1, 256, 21, 19), (24, 256, 3, 3), 1, 1),
        ((1, 3, 23, 21), (70, 3, 7, 7), 2, 1),
    ],
)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_convolutions(rows, has_tiles, x, kernel, stride, groups, threads):
    x, kernel = integers(np.uint8, *x), integers(np.int8, *kernel)
    exact = convolved(x, kernel, stride, groups)
    fields = {"num_output_maps": kernel.shape[0], "kernel_size_nd": kernel.shape[2:], "num_groups": groups}
    fields["stride_nd"] = (stride, stride)
    for constant in ((), (1,)):
        found = rows("QuantizedConvolution").run(
            fields, [x, kernel], exact.shape, DataType.INT32, constant=constant, threads=threads
        )
        assert any("amx" in tactic for tactic in found) == has_tiles
        for tactic, y in found.items():
            assert (y == exact).all(), (tactic, constant)


def test_bytes_are_rounded_and_limited_alike(rows, has_tiles):
    """Where a factor makes sums leave the range of 32 bits, and where it is infinite, limits hold."""
    a, b = integers(np.uint8, 37, 130), integers(np.int8, 130, 48)
    for factor in (0.004, 1.0, 1e9, np.inf):
        for dtype in (DataType.INT8, DataType.UINT8):
            zero = np.zeros(1, np.int8 if dtype == DataType.INT8 else np.uint8) + 3
            inputs = [a, b, None, None, np.float32([factor]), None, zero]
            fields = {"low": -100, "high": 90} if dtype == DataType.INT8 else {"low": 5, "high": 201}
            found = rows("QuantizedMatrixMultiply").run(fields, inputs, (37, 48), dtype)
            assert any("amx" in tactic for tactic in found) == has_tiles
            with np.errstate(invalid="ignore"):
                real = np.rint((a.astype(np.int64) @ b).astype(np.float32) * np.float32(factor))
            exact = np.clip(real + 3, fields["low"], fields["high"])
            has_value = ~np.isnan(real)  # 0 times an infinite factor has none
            for tactic, y in found.items():
                assert (y == exact)[has_value].all(), (tactic, factor)

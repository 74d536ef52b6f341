"""Rows that multiply bfloat16 in pairs are as exact as those that widen to float32, but for denormal elements."""

import ml_dtypes
import numpy as np
import pytest

from dovetail import _native
from dovetail.core.types import DataType

BF16 = ml_dtypes.bfloat16
HALF_UNIT = 2.0**-8  # of bfloat16, relative: eight bits of significand, one of them implied


def ours(tactic):
    return "avx512bf16" in tactic or "amx" in tactic


@pytest.fixture
def has_tiles(device):
    return device == "cpu" and "amx" in _native.cpu_features()


@pytest.fixture
def has_pairs(device):
    return device == "cpu" and "avx512bf16" in _native.cpu_features()


def product(rows, a, b, turned=(False, False), **options):
    given = [np.ascontiguousarray(x.T) if turn else x for x, turn in zip((a, b), turned, strict=True)]
    fields = {f"op{i}": int(turn) for i, turn in enumerate(turned)}
    return rows("MatrixMultiply").run(fields, given, (a.shape[0], b.shape[1]), DataType.BF16, **options)


@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize(
    ("m", "k", "n"), [(2, 1, 3), (13, 7, 33), (24, 64, 64), (37, 301, 70), (5, 2049, 31), (3, 0, 4), (1, 65, 40)]
)
def test_products(rows, has_pairs, has_tiles, m, k, n, turned):
    rng = np.random.default_rng(5)
    a, b = rng.normal(0, 1, (m, k)).astype(BF16), rng.normal(0, 1, (k, n)).astype(BF16)
    wide = [x.astype(np.float64) for x in (a, b)]
    exact, size = wide[0] @ wide[1], abs(wide[0]) @ abs(wide[1])
    for options in ({}, {"threads": 2}, {"constant": (1,), "threads": 2}, {"constant": (0,)}):
        found = product(rows, a, b, turned, **options)
        assert any(map(ours, found)) == has_pairs
        assert any("amx" in tactic for tactic in found) == has_tiles
        for tactic, y in found.items():
            error = abs(y.astype(np.float64) - exact)
            assert (error <= HALF_UNIT * abs(exact) * 1.001 + 1e-5 * size).all(), (tactic, options)


def laid_out(rows, layer, m, k, n):
    """What a layer finds for a product of m, k and n, and what it should: (found, exact, sums of absolute products)."""
    rng = np.random.default_rng(7)

    def normal(*dims):
        return rng.normal(0, 1, dims).astype(BF16)

    if layer == "FullyConnected":
        x, kernel, bias = normal(m, k, 1, 1), normal(n, k), normal(n)
        fields = {"num_output_channels": n}
        terms, inputs, dims = "mkxy,nk->mnxy", [x, kernel, bias], (m, n, 1, 1)
        extra = bias.astype(np.float64).reshape(1, n, 1, 1)
    else:
        shapes = {"m": m, "k": k, "n": n, "b": 3, "c": 2}
        terms, extra = layer, 0
        left, y = layer.split("->")
        inputs = [normal(*(shapes[letter] for letter in term)) for term in left.split(",")]
        fields, dims = {"equation": layer}, tuple(shapes[letter] for letter in y)
    wide = [x.astype(np.float64) for x in inputs[: terms.count(",") + 1]]
    exact, size = np.einsum(terms, *wide) + extra, np.einsum(terms, *map(abs, wide)) + abs(extra)
    inputs += [None] * (2 - len(inputs))
    op = rows("FullyConnected" if layer == "FullyConnected" else "Einsum")
    options = [{"threads": 2}, {"constant": (1, 2)}] if inputs[1] is not None else [{"threads": 2}]
    for given in options:
        yield op.run(fields, inputs, dims, DataType.BF16, **given), exact, size


# Inputs turned, with gaps between neighbours, and with a k of two axes; then inputs alone, which are multiplied by one.
PAIRS = ("mk,kn->mn", "km,kn->nm", "bkm,nbk->mbn", "mbk,kcn->cnmb", "mbk,kbn->nm", "kcm,nck->mn")
ALONE = ("mk->m", "km->m", "bkm->k", "kcm->mc", "mkn->", "mk->km")


@pytest.mark.parametrize("layer", ["FullyConnected", *PAIRS, *ALONE])
@pytest.mark.parametrize(("m", "k", "n"), [(2, 1, 3), (4, 0, 5), (13, 7, 33), (5, 8, 40), (3, 301, 37)])
def test_layouts(rows, has_pairs, layer, m, k, n):
    """Odd k, of which the last pair is half a pair, one k and none, wherever the elements of a pair lie."""
    for found, exact, size in laid_out(rows, layer, m, k, n):
        assert any(map(ours, found)) == has_pairs
        for tactic, y in found.items():
            error = abs(y.astype(np.float64) - exact)
            assert (error <= HALF_UNIT * abs(exact) * 1.001 + 1e-5 * size).all(), tactic


def test_infinity_and_nan_pass(rows):
    a = np.ones((3, 5), BF16)
    a[0, 4], a[1, 2] = np.inf, np.nan
    for tactic, y in product(rows, a, np.ones((5, 2), BF16)).items():
        y = y.astype(np.float64)
        assert np.isinf(y[0]).all() and np.isnan(y[1]).all() and (y[2] == 5).all(), tactic


def test_denormal_elements_count_as_zeros_in_pairs_alone(rows):
    a, b = np.full((3, 2), 2.0**-130, BF16), np.full((2, 3), 2.0**20, BF16)
    for tactic, y in product(rows, a, b).items():
        expected = 0 if ours(tactic) else 2.0**-109
        assert (y.astype(np.float64) == expected).all(), tactic


def test_a_convolution_rounds_once(rows, has_pairs):
    """Odd channels, so that the last pair of each tap is half a pair."""
    rng = np.random.default_rng(6)
    for c, maps, groups in ((5, 20, 1), (64, 30, 1), (12, 12, 2)):
        x = rng.normal(0, 1, (2, c, 4, 9)).astype(BF16)
        w = rng.normal(0, 1, (maps, c // groups, 1, 1)).astype(BF16)
        bias = rng.normal(0, 1, maps).astype(BF16)
        exact = np.zeros((2, maps, 4, 9))
        size = np.zeros_like(exact)
        for g in range(groups):
            ins, outs = (
                slice(g * c // groups, (g + 1) * c // groups),
                slice(g * maps // groups, (g + 1) * maps // groups),
            )
            pair = x[:, ins].astype(np.float64), w[outs, :, 0, 0].astype(np.float64)
            exact[:, outs] = np.einsum("nchw,mc->nmhw", *pair)
            size[:, outs] = np.einsum("nchw,mc->nmhw", *map(abs, pair))
        exact += bias.astype(np.float64).reshape(-1, 1, 1)
        fields = {"num_output_maps": maps, "kernel_size_nd": (1, 1), "num_groups": groups}
        for options in ({"constant": (1, 2)}, {"threads": 2}):
            found = rows("Convolution").run(fields, [x, w, bias], exact.shape, DataType.BF16, **options)
            assert any(map(ours, found)) == has_pairs
            for tactic, y in found.items():
                error = abs(y.astype(np.float64) - exact)
                assert (error <= HALF_UNIT * abs(exact) * 1.001 + 1e-5 * (size + 3)).all(), (tactic, options)

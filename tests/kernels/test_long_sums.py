"""Sums of a million terms keep their accuracy on every instruction set: each row errs as a sum of blocks does.

A chain of float32 additions would err by about 1e-2 on equal terms (0.1), where all roundings fall on one side, and by
1e-5 on random ones; sums of blocks stay below the bounds here, and so does `numpy.sum`.
"""

import numpy as np
import pytest

from dovetail.core.types import DeviceType
from dovetail.machine.testing import describe, make_layer, rows_of, run_row
from dovetail.registry import default_registry

N = 1 << 20
EQUAL, RANDOM = 8e-6, 1e-6  # relative errors: a block of 512 equal terms of 0.1 alone errs by 6e-6


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def values(rng, kind, shape):
    """float32 values of one sign, so that a relative error says what the additions lost."""
    if kind == "equal":
        return np.full(shape, 0.1, np.float32)
    if kind == "uniform":
        return rng.random(shape, np.float32)
    return (1 + 0.01 * rng.standard_normal(shape)).astype(np.float32)  # "offset"


KINDS = pytest.mark.parametrize(("kind", "bound"), [("equal", EQUAL), ("uniform", RANDOM), ("offset", RANDOM)])


def check_rows(name, inputs, exact, bound, constant=(), threads=1, device=DeviceType.CPU, **fields):
    """Every row of the device; on the CPU these are all instruction sets of this machine, and the reference."""
    registry = default_registry()
    spec = registry.find(name)
    given = {key: spec.field_named(key).check(name, value) for key, value in fields.items()}
    layer = make_layer(registry, spec.id, inputs, {**spec.defaults(), **given})
    for index in constant:
        layer.inputs[index].constant = inputs[index]
    candidates, _ = rows_of(registry, layer, device)
    native = [one for one in candidates if one.row.implementation.name != "reference"]
    assert native
    for candidate in native:
        y = run_row(layer, candidate, inputs, threads)[0].astype(np.float64)
        assert y.shape == exact.shape
        error = np.abs(y / exact - 1).max()
        assert error <= bound, f"{describe(candidate.row)}: relative error {error:.1e}, allowed {bound:.0e}"


def wide(array):
    return array.astype(np.float64)


# one row, few rows on either side, more rows than a kernel takes at once, and enough of both to be packed
PRODUCTS = [(1, N, 1), (1, N // 16, 130), (3, N, 2), (40, N // 16, 3), (30, N // 16, 50)]


@KINDS
@pytest.mark.parametrize(("m", "k", "n"), PRODUCTS)
def test_matrix_products(rng, m, k, n, kind, bound):
    a, b = values(rng, kind, (m, k)), values(rng, kind, (k, n))
    check_rows("MatrixMultiply", [a, b], wide(a) @ wide(b), bound)


@pytest.mark.parametrize("turned", [0, 1], ids=["a", "b"])
@pytest.mark.parametrize(("m", "k", "n"), PRODUCTS)
def test_products_of_transposed_matrices(m, k, n, turned):
    given = [np.full((m, k), 0.1, np.float32), np.full((k, n), 0.1, np.float32)]
    exact = wide(given[0]) @ wide(given[1])
    given[turned] = np.ascontiguousarray(given[turned].T)
    check_rows("MatrixMultiply", given, exact, EQUAL, **{f"op{turned}": 1})


@pytest.mark.parametrize(("m", "k", "n"), PRODUCTS)
def test_matrix_products_with_packed_weights_and_threads(m, k, n):
    a, b = np.full((m, k), 0.1, np.float32), np.full((k, n), 0.1, np.float32)
    check_rows("MatrixMultiply", [a, b], wide(a) @ wide(b), EQUAL, constant=(1,), threads=2)
    check_rows("MatrixMultiply", [a, b], wide(a) @ wide(b), EQUAL, threads=2)


@pytest.mark.parametrize("rows", [1, 2, 30])
def test_matrix_products_of_halves(rows):
    a, b = np.full((rows, N // 4), 0.1, np.float16), np.full((N // 4, 3), 0.01, np.float16)
    exact = wide(a) @ wide(b)
    check_rows("MatrixMultiply", [a, b], exact, 2**-11)  # half a unit of float16


@KINDS
def test_fully_connected_and_einsum(rng, kind, bound):
    x, w = values(rng, kind, (2, N // 4)), values(rng, kind, (5, N // 4))
    exact = wide(x) @ wide(w).T
    check_rows("Einsum", [x, w], exact, bound, equation="ik,jk->ij")
    bias = np.ones(5, np.float32)
    check_rows(
        "FullyConnected", [x[..., None, None], w, bias], (exact + 1)[..., None, None], bound, num_output_channels=5
    )


@pytest.mark.parametrize(("batch", "threads"), [(1, 1), (3, 2), (40, 1)])
def test_recurrent_products(batch, threads):
    """h = relu(x w^T + h r^T) for one step of a very long input."""
    hidden, inputs = 5, N // 8
    x, w = np.full((1, batch, inputs), 0.1, np.float32), np.full((1, hidden, inputs), 0.01, np.float32)
    r = np.zeros((1, hidden, hidden), np.float32)
    exact = wide(x[0]) @ wide(w[0]).T
    check_rows("RNN", [x, w, r], exact.reshape(1, 1, batch, hidden), EQUAL, threads=threads, activations=(0,))


@KINDS
@pytest.mark.parametrize(
    ("channels", "maps", "groups", "kernel"),
    [
        pytest.param(65536, 2, 1, (1, 1), id="two maps"),
        pytest.param(N // 4, 1, 1, (1, 1), id="one map"),
        pytest.param(4096, 17, 1, (3, 3), id="3 x 3"),
        pytest.param(1, 3, 1, (256, 256), id="whole plane"),
        pytest.param(2, 2, 2, (1, N // 4), id="depthwise"),
    ],
)
def test_convolutions(rng, channels, maps, groups, kernel, kind, bound):
    x, w = values(rng, kind, (1, channels, *kernel)), values(rng, kind, (maps, channels // groups, *kernel))
    rows = wide(w).reshape(groups, maps // groups, -1) @ wide(x).reshape(groups, -1, 1)
    fields = {"num_output_maps": maps, "kernel_size_nd": kernel, "num_groups": groups}
    check_rows("Convolution", [x, w], rows.reshape(1, maps, 1, 1), bound, **fields)


# all axes, the outer, the inner, both with one between them, and short runs of neighbours
@KINDS
@pytest.mark.parametrize(
    ("shape", "axes"),
    [((N,), 1), ((N, 2), 1), ((2, N), 2), ((1024, 2, 1024), 5), ((N // 6, 2, 3), 5), ((64, 1024, 16), 3)],
)
def test_reductions(rng, shape, axes, kind, bound):
    x = values(rng, kind, shape)
    over = tuple(axis for axis in range(x.ndim) if axes >> axis & 1)
    check_rows("Reduce", [x], np.asarray(wide(x).sum(over)), bound, op=0, axes=axes)
    check_rows("Reduce", [x], np.asarray(wide(x).mean(over)), bound, op=4, axes=axes)


@KINDS
@pytest.mark.parametrize(("shape", "axis"), [((N,), 0), ((N, 2), 0), ((4, N // 4), 1), ((N // 64, 64), 0)])
def test_cumulative_sums(rng, shape, axis, kind, bound):
    x = values(rng, kind, shape)
    exact = wide(x).cumsum(axis)
    check_rows("Cumulative", [x], exact, bound, axis=axis)
    flipped = np.flip(x, axis).copy()
    check_rows("Cumulative", [flipped], np.flip(exact, axis), bound, axis=axis, reverse=True)


@KINDS
@pytest.mark.parametrize("plane", [(1, N), (N, 1), (1024, 1024)])
def test_average_pooling_of_whole_planes(rng, plane, kind, bound):
    x = values(rng, kind, (1, 1, *plane))
    exact = wide(x).mean((2, 3), keepdims=True)
    check_rows("Pooling", [x], exact, bound, type=1, window_size_nd=plane)


@KINDS
def test_average_pooling_of_long_windows(rng, kind, bound):
    x = values(rng, kind, (1, 2, 1, N // 2))
    exact = wide(x).reshape(1, 2, 1, 4, -1).mean(-1)
    window = (1, N // 8)
    check_rows("Pooling", [x], exact, bound, type=1, window_size_nd=window, stride_nd=window)


@pytest.mark.parametrize(("shape", "axes"), [((N,), 1), ((N, 2), 1)])
def test_softmax(rng, shape, axes):
    e = np.exp(wide(x := rng.random(shape, np.float32)))
    check_rows("SoftMax", [x], e / e.sum(0), RANDOM, axes=axes)


def test_ragged_softmax(rng):
    e = np.exp(wide(x := rng.random((1, N), np.float32)))
    check_rows("RaggedSoftMax", [x, np.array([[N]], np.int32)], e / e.sum(1), RANDOM)


@pytest.mark.parametrize(("shape", "axes"), [((2, N), 2), ((N, 2), 1)])
@pytest.mark.parametrize("offset", [0, 1000])
def test_normalization(rng, shape, axes, offset):
    x = offset + values(rng, "uniform", shape)
    over = axes >> 1
    one = np.ones((1, 1), np.float32)
    centered = wide(x) - wide(x).mean(over, keepdims=True)
    exact = 10 + centered / np.sqrt((centered**2).mean(over, keepdims=True) + 1e-5)
    check_rows("Normalization", [x, one, 10 * one], exact, RANDOM, axes=axes, epsilon=1e-5)


def check_mean_squares(rng, kind, shape, axes, bound, device=DeviceType.CPU):
    x, zero = values(rng, kind, shape), np.zeros((1, 1), np.float32)
    exact = wide(x) / np.sqrt((wide(x) ** 2).mean(axes >> 1, keepdims=True) + 1e-5)
    check_rows("Normalization", [x, zero + 1, zero], exact, bound, device=device, axes=axes, centered=False)


@KINDS
@pytest.mark.parametrize(("shape", "axes"), [((2, N), 2), ((N, 2), 1)])
def test_normalization_by_the_mean_square(rng, shape, axes, kind, bound):
    check_mean_squares(rng, kind, shape, axes, bound)


@pytest.mark.parametrize(("keys", "queries"), [(N // 4, 1), (N // 8, 5), (5000, 20)])
def test_attention(rng, keys, queries):
    q = 0.1 * rng.standard_normal((1, 1, queries, 8), np.float32)
    k, v = rng.standard_normal((1, 1, keys, 8), np.float32), rng.random((1, 1, keys, 8), np.float32)
    spec = default_registry().find("Attention")
    exact = np.asarray(spec.reference(spec.defaults(), wide(q), wide(k), wide(v)))
    check_rows("Attention", [q, k, v], exact.reshape(1, 1, queries, 8), 2e-6)


def test_averages_of_large_regions(rng):
    x, regions, images = rng.random((1, 2, 2000, 300), np.float32), np.array([[0, 0, 299, 1999]], np.float32), [0]
    spec = default_registry().find("RoiAlign")
    given = {"output_height": 1, "output_width": 1}
    exact = np.asarray(spec.reference({**spec.defaults(), **given}, wide(x), wide(regions), np.array(images)))
    check_rows("RoiAlign", [x, regions, np.array(images)], exact, RANDOM, **given)


@pytest.mark.gpu
@pytest.mark.unsanitized
@KINDS
def test_gpus_sum_in_blocks_as_well(rng, kind, bound):
    """A piece of a matrix product has 1024 terms there, and a warp's lanes have their own sums."""
    on_gpu = {"bound": 5 * bound, "device": DeviceType.GPU}
    for m, k, n in [(1, N, 1), (3, N, 2), (40, N // 16, 3), (130, N // 16, 140)]:
        a, b = values(rng, kind, (m, k)), values(rng, kind, (k, n))
        check_rows("MatrixMultiply", [a, b], wide(a) @ wide(b), **on_gpu)
    for shape, axes in [((N,), 1), ((N, 16), 1), ((2, N), 2)]:
        x = values(rng, kind, shape)
        over = axes >> 1
        check_rows("Reduce", [x], np.asarray(wide(x).mean(over)), op=4, axes=axes, **on_gpu)
        check_rows("Cumulative", [x], wide(x).cumsum(over), axis=over, **on_gpu)
    for shape, axes in [((2, N), 2), ((N, 2), 1)]:
        check_mean_squares(rng, kind, shape, axes, **on_gpu)
    x = values(rng, kind, (1, 1, 1024, 1024))
    check_rows("Pooling", [x], wide(x).mean((2, 3), keepdims=True), type=1, window_size_nd=(1024, 1024), **on_gpu)
    x = rng.random((1, N), np.float32)
    e = np.exp(wide(x))
    check_rows("RaggedSoftMax", [x, np.array([[N]], np.int32)], e / e.sum(1), **on_gpu)

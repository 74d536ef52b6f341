"""Every row of Convolution and Deconvolution against float64 numpy."""

import itertools

import ml_dtypes
import numpy as np
import pytest

from dovetail.core.types import DataType, from_numpy

EXPLICIT_DOWN, EXPLICIT_UP, SAME_UPPER, SAME_LOWER, CAFFE_DOWN, CAFFE_UP = range(6)


def extents(transposed, mode, size, window, stride, dilation, pre, post):
    """(output extent, padding in front) of one axis, from the table of the contract."""
    covered = 1 + dilation * (window - 1)
    if mode in (SAME_UPPER, SAME_LOWER):
        if transposed:
            out, total = min(size * stride, (size - 1) * stride + covered), max(covered - stride, 0)
        else:
            out, total = -(-size // stride), max((size - 1) // stride * stride + covered - size, 0)
        return out, total // 2 if mode == SAME_UPPER else total - total // 2
    if transposed:
        return (size - 1) * stride + covered - pre - post, pre
    room = size + (2 * pre if mode >= CAFFE_DOWN else pre + post) - covered
    return (-(-room // stride) if mode in (EXPLICIT_UP, CAFFE_UP) else room // stride) + 1, pre


def expected(transposed, x, w, bias, case):
    """Scattered tap by tap, which is not how any kernel does it."""
    nd, groups = len(case["kernel"]), case["groups"]
    x, w = x.astype(np.float64), w.astype(np.float64)
    lead, c, size = x.shape[: -nd - 1], x.shape[-nd - 1], x.shape[-nd:]
    x = x.reshape(-1, c, *size)
    names = ("kernel", "stride", "dilation", "pre", "post")
    facts = zip(size, *(case[name] for name in names), strict=True)
    axes = [extents(transposed, case["mode"], *each) for each in facts]
    out = tuple(extent for extent, _ in axes)
    maps = w.shape[1] * groups if transposed else w.shape[0]
    cg, kg = c // groups, maps // groups
    y = np.zeros((x.shape[0], maps, *out))
    for tap in itertools.product(*map(range, case["kernel"])):
        # Positions of x where it is transposed, of y otherwise; each meets one of the other tensor.
        for i in itertools.product(*map(range, size if transposed else out)):
            facts = zip(i, case["stride"], tap, case["dilation"], axes, strict=True)
            met = tuple(a * s + t * d - front for a, s, t, d, (_, front) in facts)
            if any(not 0 <= a < n for a, n in zip(met, out if transposed else size, strict=True)):
                continue
            source, target = (i, met) if transposed else (met, i)
            for g in range(groups):
                cs, ks = slice(g * cg, (g + 1) * cg), slice(g * kg, (g + 1) * kg)
                part = (w[cs] if transposed else w[ks].swapaxes(0, 1))[(..., *tap)]
                y[(slice(None), ks, *target)] += x[(slice(None), cs, *source)] @ part
    if bias is not None:
        y += bias.astype(np.float64).reshape(-1, *(1,) * nd)
    return y.reshape(*lead, maps, *out)


def case(shape, maps, kernel, stride=1, dilation=1, pre=0, post=None, mode=EXPLICIT_DOWN, groups=1):
    nd = len(kernel)

    def each(v):
        return v if isinstance(v, tuple) else (v,) * nd

    return {
        "shape": shape, "maps": maps, "kernel": kernel, "stride": each(stride), "dilation": each(dilation),
        "pre": each(pre), "post": each(pre if post is None else post), "mode": mode, "groups": groups,
    }  # fmt: skip


CASES = [
    case((1, 3, 11, 13), 20, (3, 3), pre=1),
    case((2, 19, 7, 7), 33, (3, 3), pre=1),
    case((1, 16, 6, 30), 16, (3, 3), pre=1),
    case((1, 32, 9, 17), 48, (1, 1)),
    case((2, 17, 5, 6), 5, (1, 1), stride=2),
    case((1, 20, 14, 15), 40, (3, 3), stride=2, pre=1),
    case((1, 3, 23, 21), 18, (7, 7), stride=2, pre=3),
    case((1, 6, 9, 10), 7, (3, 2), stride=(1, 3), dilation=(2, 1), pre=(2, 0), post=(1, 2)),
    case((1, 5, 8, 9), 3, (2, 4), stride=3, dilation=2, pre=2),
    case((1, 8, 6, 6), 12, (3, 3), pre=1, groups=4),
    case((1, 32, 6, 6), 64, (3, 3), pre=1, groups=2),
    case((2, 19, 7, 8), 19, (3, 3), pre=1, groups=19),
    case((1, 40, 9, 12), 40, (5, 5), stride=2, pre=2, groups=40),
    case((1, 33, 9, 40), 33, (3, 3), stride=3, dilation=2, pre=1, groups=33),
    case((1, 6, 5, 7), 12, (3, 3), pre=1, groups=6),
    case((1, 4, 7, 300), 4, (1, 3), pre=(0, 1), groups=4),
    case((1, 512, 1, 1), 70, (1, 1)),
    case((2, 33, 12, 13), 40, (3, 3), pre=1, post=(2, 0)),
    case((1, 7, 2, 2), 9, (5, 5), pre=3),
    case((2, 3, 4, 5, 6), 10, (2, 3, 3), stride=(2, 1, 2), pre=1),
    case((1, 4, 5, 4, 6), 4, (3, 3, 3), pre=1, groups=4),
    # Seven taps: rows that are all edges, of one tile, and of several.
    case((1, 20, 9, 7), 20, (7, 7), pre=3, groups=20),
    case((1, 17, 3, 2), 17, (7, 7), pre=3, groups=17),
    case((1, 16, 10, 26), 16, (7, 7), pre=3, groups=16),
    # Groups of 2, 4 and 8 channels: a last block that is not full, taps and steps of all kinds, rows of several tiles.
    case((2, 24, 5, 21), 24, (3, 3), pre=1, groups=3),
    case((1, 40, 9, 34), 40, (3, 3), stride=2, pre=1, groups=5),
    case((1, 20, 6, 9), 20, (3, 3), pre=1, groups=5),
    case((1, 36, 7, 12), 36, (3, 3), stride=(1, 2), dilation=(2, 1), pre=(2, 0), groups=9),
    case((1, 16, 8, 19), 16, (1, 3), dilation=2, pre=(0, 2), groups=4),
    case((1, 10, 7, 7), 10, (5, 5), pre=2, groups=5),
    case((1, 34, 4, 3), 34, (3, 3), stride=3, pre=3, groups=17),
    case((1, 32, 1, 20), 32, (1, 1), groups=4),
    # Groups of one channel and 2 or 4 maps: blocks of maps of a part of a block of channels.
    case((1, 6, 9, 21), 12, (7, 7), stride=2, pre=3, groups=6),
    case((2, 21, 5, 6), 42, (3, 3), pre=1, groups=21),
    case((1, 19, 9, 20), 76, (3, 3), stride=2, pre=1, groups=19),
    case((1, 32, 3, 7), 64, (1, 1), groups=32),
    case((1, 9, 7, 8), 36, (3, 2), dilation=2, pre=1, groups=9),
    case((2, 2, 3, 5, 6), 18, (3, 3), pre=1),  # two batch dims
    case((0, 3, 5, 6), 4, (3, 3)),
    case((1, 18, 6, 6), 17, (3, 3), stride=2, pre=2, post=0, mode=EXPLICIT_UP),
    case((1, 18, 7, 6), 17, (3, 3), stride=2, mode=SAME_UPPER),
    case((1, 18, 6, 7), 17, (4, 2), stride=2, mode=SAME_LOWER),
    case((1, 3, 6, 9), 17, (1, 1), stride=4, mode=SAME_UPPER),  # P below 0 without the clamp
    case((1, 18, 9, 8), 17, (3, 3), stride=2, dilation=2, pre=1, post=0, mode=CAFFE_DOWN),
    case((1, 18, 9, 8), 17, (3, 3), stride=2, pre=1, post=0, mode=CAFFE_UP),
    # Blocks of 16 channels: rows of several tiles, of one and a part, and tiles that go on in the next row.
    case((1, 24, 9, 33), 40, (3, 3), stride=2, pre=1),
    case((1, 33, 6, 61), 35, (1, 1), stride=2),
    case((1, 33, 10, 31), 20, (3, 3), dilation=2, pre=2),
    case((1, 20, 9, 12), 34, (3, 3), stride=2, dilation=3, pre=4),
    case((2, 16, 24, 40), 70, (1, 1)),
    case((1, 3, 17, 75), 34, (5, 5), stride=3, pre=2),
    # 1x1 kernels that move by one: sums in blocks, groups, and outputs that no near cache holds.
    case((1, 1090, 5, 9), 40, (1, 1)),
    case((2, 64, 5, 7), 96, (1, 1), groups=2),
    case((1, 40, 29, 30), 160, (1, 1)),
    # Depthwise: rows of which all, some or no outputs have all their taps inside.
    case((1, 33, 9, 31), 33, (3, 3), pre=1, groups=33),
    case((1, 20, 7, 7), 20, (5, 5), pre=2, groups=20),
    case((1, 20, 15, 26), 20, (5, 5), stride=2, pre=2, groups=20),
    case((1, 17, 8, 25), 17, (3, 3), dilation=3, pre=3, groups=17),
    case((1, 16, 3, 3), 16, (5, 5), pre=4, groups=16),
    case((2, 18, 10, 11), 18, (7, 3), stride=(1, 2), pre=(3, 0), post=(2, 3), groups=18),
    case((1, 3, 6, 40), 33, (3, 3), pre=1),
    case((2, 2, 5, 47), 32, (5, 7), stride=2, pre=(2, 3)),
    case((1, 3, 4, 6), 32, (3, 9), pre=(1, 9)),  # windows that are outside on both sides, or altogether
    case((1, 5, 7, 31), 32, (3, 3), dilation=2, pre=2),
    case((1, 3, 5, 70), 32, (1, 60), pre=(0, 20)),  # windows of a tile reach further than a row of its inputs is long
]
# Several tiles of outputs and of maps, rows of whole vectors, groups of whole chunks of channels.
TILED = [
    case((3, 24, 9, 16), 136, (1, 1)),
    case((2, 32, 10, 13), 144, (3, 3), pre=1, groups=2),
    case((1, 5, 12, 12), 70, (3, 3), pre=1),
]
UPSAMPLING = [
    case((1, 20, 7, 9), 18, (4, 4), stride=2, pre=1),
    case((1, 16, 6, 6), 16, (2, 2), stride=2),
    case((1, 3, 5, 4), 5, (2, 2), stride=3),  # outputs without a tap
    case((1, 5, 6, 5), 17, (3, 3), stride=4, dilation=6, pre=2, post=1),  # stride and dilation share a factor
    case((1, 9, 4, 3), 10, (5, 6), stride=5, pre=1),  # 25 phases, more than one launch takes on CUDA
]


def run(rows, op, case, dtype, weights_dtype=None, has_bias=True, only=None, **options):
    transposed = op == "Deconvolution"
    rng = np.random.default_rng(3)
    nd, c = len(case["kernel"]), case["shape"][-len(case["kernel"]) - 1]
    w_shape = (c, case["maps"] // case["groups"]) if transposed else (case["maps"], c // case["groups"])
    scales = None
    if dtype == np.int8:
        x = rng.integers(-128, 128, case["shape"], np.int8)
        w = rng.integers(-128, 128, (*w_shape, *case["kernel"]), np.int8)
        scales = [0.03, 0.002, -1.0]
    else:
        x = rng.normal(0, 1, case["shape"]).astype(dtype)
        w = rng.normal(0, 1, (*w_shape, *case["kernel"])).astype(weights_dtype or dtype)
    bias_type = np.float32 if dtype == np.int8 else weights_dtype or dtype
    bias = rng.normal(0, 1, case["maps"]).astype(bias_type) if has_bias else None
    if dtype == np.int8:
        wanted = expected(transposed, x, w, None, case) * (np.float32(0.03) * np.float32(0.002)).astype(float)
        wanted += 0 if bias is None else bias.astype(float).reshape(-1, *(1,) * nd)
    else:
        wanted = expected(transposed, x, w, bias, case)
    fields = {
        "num_output_maps": case["maps"], "kernel_size_nd": case["kernel"], "stride_nd": case["stride"],
        "pre_padding": case["pre"], "post_padding": case["post"], "padding_mode": case["mode"],
        "dilation_nd": case["dilation"], "num_groups": case["groups"],
    }  # fmt: skip
    out = DataType.FLOAT if dtype == np.int8 else from_numpy(dtype)
    found = rows(op).run(fields, [x, w, bias], wanted.shape, out, scales=scales, only=only, **options)
    taps = w[0].size * 1.0
    tolerance = {np.float32: 3e-6, np.int8: 3e-6, np.float16: 2e-3, ml_dtypes.bfloat16: 1.6e-2}[dtype]
    size = max(1.0, np.abs(wanted).max(initial=0), taps**0.5)
    for tactic, y in found.items():
        error = np.abs(y.astype(np.float64) - wanted).max(initial=0)
        growth = 10 if tactic.startswith("winograd") else 1
        assert error <= growth * tolerance * size, (tactic, error, size)  # NaN fails as well
    return found


def number(values):
    return range(len(values))


@pytest.mark.parametrize("i", number(CASES))
def test_convolution(rows, i):
    found = run(rows, "Convolution", CASES[i], np.float32, constant=(1, 2))
    assert any(tactic.startswith(("gemm", "rows")) for tactic in found)
    run(rows, "Convolution", CASES[i], np.float32, has_bias=False, threads=2)


@pytest.mark.parametrize("i", number(CASES + UPSAMPLING))
def test_deconvolution(rows, i):
    chosen = (CASES + UPSAMPLING)[i]
    spatial = chosen["shape"][-len(chosen["kernel"]) :]
    facts = zip(spatial, *(chosen[k] for k in ("kernel", "stride", "dilation", "pre", "post")), strict=True)
    if any(extents(True, chosen["mode"], *f)[0] < 1 for f in facts):
        pytest.skip("nothing is left")
    run(rows, "Deconvolution", chosen, np.float32, constant=(1, 2))
    run(rows, "Deconvolution", chosen, np.float32, has_bias=False, threads=2)


@pytest.mark.parametrize("op", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize("i", number(CASES[:16]))
def test_int8(rows, op, i):
    found = run(rows, op, CASES[i], np.int8, constant=(1, 2), threads=2)
    assert all("int8" in tactic for tactic in found)
    run(rows, op, CASES[i], np.int8, has_bias=False)


@pytest.mark.parametrize("op", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_halves(rows, op, dtype):
    for i in (0, 1, 7, 11):
        run(rows, op, CASES[i], dtype, constant=(1, 2), threads=2)
        run(rows, op, CASES[i], dtype, weights_dtype=np.float32)


# Of bfloat16 in tile registers: sums of more than one block, whole tiles and parts, odd numbers of blocks of channels,
# maps that threads share, and rows of taps of one and of two entries.
IN_TILES = [
    case((1, 300, 5, 7), 70, (3, 3), pre=1),
    case((1, 240, 3, 3), 40, (3, 3), pre=1),
    case((2, 48, 9, 31), 33, (1, 1)),
    case((1, 33, 3, 3), 200, (3, 3), pre=1),
    case((1, 4, 30, 33), 20, (4, 4), stride=4),
    case((1, 3, 37, 50), 24, (16, 16), stride=16),
    case((2, 4, 9, 40), 17, (3, 11), stride=(2, 1), pre=(1, 9)),
    case((3, 40, 23, 25), 64, (3, 3), stride=2, pre=1),
]


IN_PHASES = [*UPSAMPLING, CASES[1], CASES[5], CASES[11], TILED[1], IN_TILES[3], IN_TILES[7]]


@pytest.mark.parametrize(
    ("op", "chosen"),
    [*(("Convolution", each) for each in CASES + IN_TILES), *(("Deconvolution", each) for each in IN_PHASES)],
)
def test_bfloat16_in_tile_registers(rows, device, op, chosen):
    if device != "cpu" or "amx" not in rows(op).features:
        pytest.skip("no tile registers")
    found = run(rows, op, chosen, ml_dtypes.bfloat16, constant=(1, 2))
    channels, groups = chosen["shape"][-len(chosen["kernel"]) - 1], chosen["groups"]
    is_blocked = groups == 1 or (channels // groups % 16 == 0 and chosen["maps"] // groups % 16 == 0)
    fits = len(chosen["kernel"]) == 2 and is_blocked
    assert any(tactic.startswith("direct_chw16_amx") for tactic in found) == fits
    is_stem = fits and groups == 1 and channels <= 32 and op == "Convolution" and chosen["dilation"][-1] == 1
    assert any(tactic.startswith("stem_chw16_amx") for tactic in found) == is_stem
    if fits:
        run(rows, op, chosen, ml_dtypes.bfloat16, has_bias=False, threads=2, only="chw16_amx")
        run(rows, op, chosen, ml_dtypes.bfloat16, constant=(1,), threads=3, only="chw16_amx")


@pytest.mark.parametrize("op", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.int8])
def test_many_tiles(rows, op, dtype):
    for chosen in TILED:
        run(rows, op, chosen, dtype, constant=(1, 2), threads=2)
        run(rows, op, chosen, dtype, has_bias=False)


def test_tiles_of_every_size(rows):
    for n in range(1, 60):
        run(rows, "Convolution", case((1, 18, 1, n), 17, (1, 1)), np.float32, constant=(1, 2))


KINDS = {
    "cpu": ("direct_chw16", "winograd4_chw16", "depthwise_chw16", "grouped_chw16", "stem_chw16", "gemm", "rows"),
    "cuda": ("gemm_128x64 ", "gemm_128x64_hwc8", "rows ", "rows_hwc8"),
}


@pytest.mark.parametrize("of_maps", [2, 4])
def test_one_channel_and_several_maps_a_group_on_blocks(rows, device, of_maps):
    chosen = case((1, 33, 6, 9), 33 * of_maps, (3, 3), pre=1, groups=33)
    found = run(rows, "Convolution", chosen, np.float32, constant=(1, 2))
    assert device == "cuda" or any(name.startswith("grouped_chw16") for name in found)


def test_rows_of_every_kind_run(rows, device):
    """Those that write blocks or chunks of channels are among those tested."""
    names = [t for i in (0, 1, 10, 11, 17, 24) for t in run(rows, "Convolution", CASES[i], np.float32, constant=(1, 2))]
    for kind in KINDS[device]:
        assert any(name.startswith(kind) for name in names), kind


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_infinity_stays_where_it_is(rows, dtype):
    """Padding lanes and cells outside of x take no part, not even as 0 * inf."""
    x = np.zeros((1, 3, 5, 5), dtype)
    x[0, 1, 0, 0] = np.inf
    w = np.ones((2, 3, 3, 3), dtype)
    fields = {"num_output_maps": 2, "kernel_size_nd": (3, 3), "pre_padding": (1, 1), "post_padding": (1, 1)}
    for tactic, y in rows("Convolution").run(fields, [x, w, None], (1, 2, 5, 5), from_numpy(dtype)).items():
        assert np.isinf(y[0, :, :2, :2]).all(), tactic
        assert (y[0, :, 2:] == 0).all(), tactic
        assert (y[0, :, :, 2:] == 0).all(), tactic


def test_infinity_stays_in_its_group(rows):
    """Blocks of 16 channels have several groups; what one holds does not meet the others, not even as 0 * inf."""
    x = np.ones((1, 24, 5, 5), np.float32)
    x[0, 9] = np.inf
    w = np.ones((24, 8, 3, 3), np.float32)
    fields = {
        "num_output_maps": 24, "kernel_size_nd": (3, 3), "pre_padding": (1, 1), "post_padding": (1, 1), "num_groups": 3,
    }  # fmt: skip
    found = rows("Convolution").run(fields, [x, w, None], (1, 24, 5, 5), DataType.FLOAT)
    assert any(tactic.startswith("grouped_chw16") for tactic in found) or not any("chw16" in tactic for tactic in found)
    for tactic, y in found.items():
        assert np.isinf(y[0, 8:16]).all(), tactic
        assert np.isfinite(y[0, :8]).all() and np.isfinite(y[0, 16:]).all(), tactic

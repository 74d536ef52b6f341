"""Rows that convolve by Winograd's algorithm: each instruction set of this machine against float64.

`fits` refuses extents for which it does not pay. Most of these are among them, so it is not asked.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dovetail import _native
from dovetail.core.negotiation import FormatRow, Place
from dovetail.core.types import DataType, DeviceType
from dovetail.machine.builder.graph import Candidate
from dovetail.machine.testing import Case, make_layer, rows_of, run_row, truth
from dovetail.machine.testing_epilogues import epilogues_for
from dovetail.registry import default_registry

OP, TRANSPOSED = "Convolution@1", "Deconvolution@1"
# Largest errors in units of sqrt(taps C), which is about the largest result of uniform values; plain sums have about
# 1e-6. Measured were a half of these.
BOUNDS = {"winograd2": 1.5e-6, "winograd3": 2.5e-6, "winograd4": 6e-6, "winograd5": 1.5e-5, "winograd6": 4e-5}
TILES = {2: "35", 3: "246"}  # outputs of the tiles that there are for each number of taps


def implementation(op=OP):
    (found,) = (one for one in default_registry().implementations_of(op) if one.name == "cpu")
    return found


def taps_of(layer):
    """Taps of a row of the kernel that one output meets."""
    stride = layer.values["stride_nd"] if layer.spec.name == "Deconvolution" else ()
    return layer.values["kernel_size_nd"][-1] // (stride[-1] if stride else 1)


def forced(layer):
    """Every Winograd row that this machine can run for these taps, whether or not it pays for the layer."""
    made = implementation(f"{layer.spec.name}@1")
    native = made.native.create("layer", layer.wire_fields())
    blocked, linear = (Place.of_word(DataType.FLOAT, word, DeviceType.CPU) for word in ("chw16", "linear"))
    places = (blocked, *(linear if tensor is not None else None for tensor in layer.inputs[1:]), blocked)
    for row in made.rows:
        is_one = row.is_winograd and row.tactic[8] in TILES[taps_of(layer)]
        if is_one and set(row.needs) <= set(_native.cpu_features()):
            yield Candidate(FormatRow(made, row.index, row.tactic, places), native)


def convolution(x, maps, pre=(0, 0), post=(0, 0), bias=True, groups=1, seed=0, **fields):
    """A layer with a 3x3 kernel, and its inputs."""
    given = {"bias": (maps,)} if bias else {}
    kernel = fields.pop("kernel", (maps, x[-3] // groups, 3, 3))
    case = Case(
        "one", x=x, kernel=kernel, num_output_maps=maps, kernel_size_nd=kernel[2:], num_groups=groups,
        pre_padding=pre, post_padding=post, seed=seed, **given, **fields,
    )  # fmt: skip
    arrays, values = case.arrays(default_registry(), OP, DataType.FLOAT)
    return make_layer(default_registry(), OP, arrays, values), arrays


def deconvolution(x, maps, kernel=(4, 4), stride=(2, 2), bias=True, groups=1, seed=0, **fields):
    """A layer whose kernel is two or three times as long as its stride, and its inputs."""
    given = {"bias": (maps,)} if bias else {}
    case = Case(
        "one", x=x, kernel=(x[-3], maps // groups, *kernel), num_output_maps=maps, kernel_size_nd=kernel,
        stride_nd=stride, num_groups=groups, seed=seed, **given, **fields,
    )  # fmt: skip
    arrays, values = case.arrays(default_registry(), TRANSPOSED, DataType.FLOAT)
    return make_layer(default_registry(), TRANSPOSED, arrays, values), arrays


def size_of(layer, arrays):
    """About the largest result of uniform values."""
    return (taps_of(layer) ** 2 * arrays[0].shape[-3] / layer.values["num_groups"]) ** 0.5


def check(layer, arrays, threads=(1, 2)):
    exact = np.asarray(truth(layer, arrays)[0])
    size = size_of(layer, arrays)
    tactics = []
    for candidate in forced(layer):
        tactic = candidate.row.tactic
        for n in threads:
            error = np.abs(run_row(layer, candidate, arrays, n)[0] - exact).max(initial=0) / size
            assert error <= BOUNDS[tactic[:9]], (tactic, n, error)
        tactics.append(tactic)
    assert len(tactics) == len(TILES[taps_of(layer)]) * len({name.rpartition("_")[2] for name in tactics})
    return tactics


def test_each_instruction_set_has_three_tile_sizes():
    wanted = {f"winograd{m}_chw16_{isa}" for m in (2, 4, 6) for isa in ("scalar", "avx2", "avx512")}
    x86 = {row.tactic for row in implementation().rows if row.is_winograd}
    assert x86 in (wanted, {name for name in wanted if name.endswith("scalar")})
    for op in (OP, TRANSPOSED):
        assert not any(row.tactic.startswith("winograd") != row.is_winograd for row in implementation(op).rows)


@pytest.mark.parametrize(
    ("x", "maps", "pre", "post"),
    [
        ((1, 1, 1, 1), 1, (1, 1), (1, 1)),
        ((1, 3, 2, 3), 17, (1, 1), (1, 1)),
        ((2, 16, 5, 7), 40, (0, 2), (2, 0)),
        ((1, 17, 13, 13), 16, (1, 1), (1, 1)),
        ((3, 40, 13, 13), 33, (1, 1), (1, 1)),
        ((1, 40, 3, 29), 48, (0, 0), (0, 0)),
        ((1, 5, 1, 2), 3, (4, 3), (5, 6)),  # padding wider than the kernel
        ((1, 64, 14, 14), 96, (1, 1), (1, 1)),  # three panels of maps for two threads
        ((1, 48, 30, 31), 64, (1, 1), (0, 1)),  # more tiles than one block holds
        ((2, 2, 20, 6, 9), 18, (1, 1), (1, 1)),  # two batch dims
        ((0, 16, 8, 8), 16, (1, 1), (1, 1)),
    ],
    ids=str,
)
def test_results(x, maps, pre, post):
    layer, arrays = convolution(x, maps, pre, post)
    check(layer, arrays, threads=(1, 2, 3))


@pytest.mark.parametrize(
    ("x", "maps", "pad", "dilation"),
    [
        ((1, 17, 13, 11), 20, (2, 2), (2, 2)),
        ((2, 16, 9, 14), 33, (1, 3), (1, 3)),
        ((1, 40, 23, 5), 16, (6, 2), (6, 2)),
        ((1, 16, 7, 7), 16, (12, 12), (12, 12)),  # all but the middle tap are outside
        ((1, 16, 6, 9), 16, (4, 0), (3, 4)),  # less padding than taps reach, or more
        ((1, 3, 30, 31), 48, (5, 4), (5, 4)),
    ],
    ids=str,
)
def test_dilated_convolutions(x, maps, pad, dilation):
    check(*convolution(x, maps, pad, pad, dilation_nd=dilation), threads=(1, 2, 3))


def test_groups_of_whole_blocks():
    check(*convolution((2, 64, 7, 9), 96, (1, 1), (1, 1), groups=2))
    check(*convolution((1, 48, 11, 5), 48, (1, 1), (1, 1), groups=3))


def test_small_maps_are_split_by_panels_of_maps():
    """Many channels and few tiles, as at the end of a network; three threads for two panels of AVX-512."""
    check(*convolution((1, 272, 4, 4), 64, (1, 1), (1, 1)), threads=(1, 2, 3, 4))
    check(*convolution((1, 32, 7, 7), 288, (1, 1), (1, 1)), threads=(1, 2, 3, 4))


def test_long_sums_are_added_in_blocks():
    layer, arrays = convolution((1, 5000, 4, 4), 16, (1, 1), (1, 1))
    arrays[0] = np.full_like(arrays[0], 0.1)  # all roundings of a chain would fall on one side
    arrays[1] = layer.inputs[1].constant = np.full_like(arrays[1], 0.1)
    exact = np.asarray(truth(layer, arrays)[0])
    for candidate in forced(layer):
        error = np.abs(run_row(layer, candidate, arrays)[0] / exact - 1).max()
        assert error <= (2e-5 if "winograd6" in candidate.row.tactic else 8e-6), (candidate.row.tactic, error)


@settings(max_examples=40, deadline=None)
@given(
    channels=st.sampled_from([1, 3, 16, 17, 40]),
    maps=st.sampled_from([1, 15, 16, 17, 40, 65]),
    extents=st.tuples(st.integers(1, 15), st.integers(1, 15)),
    pre=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    post=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    images=st.integers(1, 3),
    bias=st.booleans(),
    seed=st.integers(0, 999),
)
def test_random_extents(channels, maps, extents, pre, post, dilation, images, bias, seed):
    pre, post = (tuple(a * d for a, d in zip(each, dilation, strict=True)) for each in (pre, post))
    x = (images, channels, *extents)
    check(*convolution(x, maps, pre, post, bias, seed=seed, dilation_nd=dilation))


@pytest.mark.parametrize(
    ("x", "maps", "fields"),
    [
        ((1, 1, 1, 1), 1, {"pre_padding": (1, 1), "post_padding": (1, 1)}),
        ((2, 17, 5, 7), 40, {"pre_padding": (1, 1), "post_padding": (1, 1)}),
        ((1, 64, 8, 8), 48, {"pre_padding": (1, 1), "post_padding": (1, 1)}),
        ((1, 40, 16, 17), 20, {}),
        ((1, 16, 9, 4), 16, {"pre_padding": (3, 0), "post_padding": (0, 4)}),
        ((1, 16, 3, 3), 16, {"pre_padding": (5, 2), "post_padding": (2, 5)}),  # phases begin at different inputs
        ((1, 16, 6, 5), 33, {"padding_mode": 2}),
        ((1, 16, 6, 5), 33, {"padding_mode": 3}),
        ((2, 20, 5, 6), 18, {"kernel": (4, 2), "stride": (2, 1), "pre_padding": (1, 0)}),
        ((1, 20, 5, 6), 18, {"kernel": (6, 8), "stride": (3, 4), "post_padding": (4, 7)}),
        ((1, 33, 7, 6), 17, {"kernel": (3, 3), "stride": (1, 1), "pre_padding": (1, 1), "post_padding": (1, 1)}),
        ((1, 33, 7, 6), 17, {"kernel": (6, 6), "stride": (2, 2), "pre_padding": (2, 2), "post_padding": (2, 2)}),
        ((1, 33, 4, 3), 17, {"kernel": (9, 3), "stride": (3, 1)}),
        ((2, 64, 7, 5), 96, {"groups": 2, "pre_padding": (1, 1)}),
        ((2, 2, 20, 4, 3), 18, {}),  # two batch dims
        ((1, 272, 4, 4), 64, {"pre_padding": (1, 1), "post_padding": (1, 1)}),  # split by panels of maps and phases
        ((1, 48, 30, 31), 64, {}),  # more tiles than one block holds
        ((0, 16, 8, 8), 16, {}),
    ],
    ids=str,
)
def test_results_of_transposed_convolutions(x, maps, fields):
    check(*deconvolution(x, maps, **fields), threads=(1, 2, 3))


@settings(max_examples=40, deadline=None)
@given(
    channels=st.sampled_from([1, 3, 16, 17, 40]),
    maps=st.sampled_from([1, 15, 16, 17, 40, 65]),
    extents=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    taps=st.integers(2, 3),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    cut=st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
    images=st.integers(1, 2),
    bias=st.booleans(),
    seed=st.integers(0, 999),
)
def test_random_transposed_convolutions(channels, maps, extents, taps, stride, cut, images, bias, seed):
    kernel = tuple(taps * step for step in stride)
    full = [(n - 1) * step + k for n, step, k in zip(extents, stride, kernel, strict=True)]
    pre = tuple(min(a, n - 1) for a, n in zip(cut[:2], full, strict=True))
    post = tuple(min(a, n - 1 - b) for a, n, b in zip(cut[2:], full, pre, strict=True))
    x = (images, channels, *extents)
    check(*deconvolution(x, maps, kernel, stride, bias, seed=seed, pre_padding=pre, post_padding=post))


@pytest.mark.parametrize(
    "made",
    [
        lambda: convolution((2, 20, 9, 13), 33, (1, 1), (1, 1)),
        lambda: convolution((1, 16, 1, 2), 33, (1, 1), (1, 1)),
        lambda: convolution((2, 20, 7, 6), 33, (2, 3), (2, 3), dilation_nd=(2, 3)),
        lambda: deconvolution((2, 20, 5, 7), 33, pre_padding=(1, 1), post_padding=(1, 1)),
        lambda: deconvolution((1, 16, 1, 1), 33, (6, 6), (2, 2)),
    ],
    ids=["blocks of tiles", "one tile", "dilated", "phases", "one input"],
)
def test_epilogues(made):
    """Operands by channel and by image, in the blocks that hold several tiles."""
    layer, arrays = made()
    exact = np.asarray(truth(layer, arrays)[0])
    size = size_of(layer, arrays)
    absorbed = set()
    for name, behind in epilogues_for(layer).items():
        wanted = behind.truth(exact)
        for candidate in forced(layer):
            if not behind.is_absorbed(candidate):  # operands of other forms
                continue
            absorbed.add(name)
            for n in (1, 2):
                error = np.abs(run_row(layer, candidate, arrays, n, behind)[0] - wanted).max() / size
                assert error <= 3 * BOUNDS[candidate.row.tactic[:9]], (name, candidate.row.tactic, n, error)
    assert {"value used twice", "scale, residual and activation"} <= absorbed


def refusals(layer):
    """{tactic: reason} of the Winograd rows of AVX2, or of the portable ones; and those that fit."""
    candidates, trace = rows_of(default_registry(), layer, DeviceType.CPU, "cpu")
    fitting = {one.row.tactic.rpartition("_")[0] for one in candidates if one.row.tactic.startswith("winograd")}
    reasons = {one.tactic.rpartition("_")[0]: one.reason for one in trace.refused if one.tactic.startswith("winograd")}
    return reasons, fitting


NOT_3X3 = "the kernel is not 3x3 with stride 1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"stride_nd": (2, 2)}, NOT_3X3),
        ({"stride_nd": (1, 2)}, NOT_3X3),
        ({"kernel": (64, 64, 3, 1)}, NOT_3X3),
        ({"kernel": (64, 64, 5, 5)}, NOT_3X3),
        ({"groups": 8}, "groups are not whole blocks of 16 channels and maps"),
    ],
    ids=str,
)
def test_other_convolutions_are_refused(changes, reason):
    layer, _ = convolution((1, 64, 28, 28), 64, (1, 1), (1, 1), **changes)
    reasons, fitting = refusals(layer)
    assert not fitting and set(reasons.values()) == {reason}


OTHER_TAPS = "the kernel is not 2 times as long as the stride, or that is above 4, or there is a dilation"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kernel": (3, 3)}, OTHER_TAPS),  # phases of one and of two taps
        ({"kernel": (2, 2)}, OTHER_TAPS),
        ({"kernel": (6, 4)}, OTHER_TAPS),
        ({"kernel": (10, 10), "stride": (5, 5)}, OTHER_TAPS),
        ({"dilation_nd": (1, 2)}, OTHER_TAPS),
        ({"groups": 8}, "groups are not whole blocks of 16 channels and maps"),
    ],
    ids=str,
)
def test_other_transposed_convolutions_are_refused(changes, reason):
    reasons, fitting = refusals(deconvolution((1, 64, 28, 28), 64, **changes)[0])
    assert not fitting and reasons["winograd3_chw16"] == reasons["winograd5_chw16"] == reason


def test_transposed_convolutions_fit_the_tiles_of_their_taps():
    doubling = {"pre_padding": (1, 1), "post_padding": (1, 1)}
    for kernel, wanted in (((4, 4), {"3", "5"}), ((6, 6), {"4", "6"})):
        _, fitting = refusals(deconvolution((1, 64, 40, 40), 64, kernel, (2, 2), **doubling)[0])
        assert fitting == {f"winograd{m}_chw16" for m in wanted}
    reasons, fitting = refusals(deconvolution((1, 512, 4, 4), 256, **doubling)[0])
    assert not fitting  # more transformed weights than there are sums to save
    assert all("an output would cost" in reasons[f"winograd{m}_chw16"] for m in (3, 5))


def test_a_kernel_that_is_no_constant_is_refused():
    layer, _ = convolution((1, 64, 28, 28), 64, (1, 1), (1, 1))
    layer.inputs[1].constant = None
    reasons, fitting = refusals(layer)
    assert not fitting and all("is not constant" in reason for reason in reasons.values())


def test_three_spatial_dims_are_refused():
    case = Case("3-d", x=(1, 64, 5, 6, 7), kernel=(64, 64, 3, 3, 3), num_output_maps=64, kernel_size_nd=(3, 3, 3))
    arrays, values = case.arrays(default_registry(), OP, DataType.FLOAT)
    reasons, fitting = refusals(make_layer(default_registry(), OP, arrays, values))
    assert not fitting and all("two spatial dims" in reason for reason in reasons.values())


@pytest.mark.parametrize(
    ("channels", "maps", "extent", "fitting"),
    [
        (64, 64, 56, {"winograd4_chw16", "winograd6_chw16"}),
        (512, 512, 7, {"winograd2_chw16", "winograd4_chw16"}),  # 64 transformed kernels a map are read for 4 tiles
        (3, 64, 224, set()),  # transforms cost more than the products of 3 channels
        (256, 256, 1, set()),  # 16 products for one output instead of 9
    ],
)
def test_what_cannot_pay_is_refused_with_both_costs(channels, maps, extent, fitting):
    layer, _ = convolution((1, channels, extent, extent), maps, (1, 1), (1, 1))
    costs_are_named(layer, fitting)


@pytest.mark.parametrize(
    ("extent", "dilation", "fitting"),
    [(56, 2, {"winograd4_chw16", "winograd6_chw16"}), (56, 48, set()), (16, 8, {"winograd2_chw16"})],
)
def test_tiles_of_a_dilated_convolution_cover_what_is_so_far_apart(extent, dilation, fitting):
    layer, _ = convolution((1, 64, extent, extent), 64, (dilation,) * 2, (dilation,) * 2, dilation_nd=(dilation,) * 2)
    costs_are_named(layer, fitting)


def costs_are_named(layer, fitting):
    reasons, found = refusals(layer)
    assert found == fitting
    assert all("an output would cost" in reason for tactic, reason in reasons.items() if tactic not in fitting)

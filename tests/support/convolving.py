"""Random convolutions and deconvolutions, for the property tests of both."""

from hypothesis import assume
from hypothesis import strategies as st

from dovetail.core.errors import ShapeError
from dovetail.core.types import DataType, DeviceType
from dovetail.machine.testing import Case, check_case
from dovetail.registry.loader import default_registry


@st.composite
def convolving_cases(draw, transposed=False):
    """Fields and shapes of a layer in two or three dims; extents down to 0 and paddings wider than the window."""
    rank = draw(st.sampled_from([2, 2, 2, 3]))

    def per_axis(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    groups = draw(st.sampled_from([1, 1, 2, 3, 8]))
    most = 9 if groups < 8 else 3
    c, k = groups * draw(st.integers(1, most)), groups * draw(st.integers(1, most))
    batch = draw(st.integers(0, 2))
    spatial, window = per_axis(1, 9 if rank == 2 else 5), per_axis(1, 4 if rank == 2 else 3)
    fields = {
        "num_output_maps": k,
        "kernel_size_nd": window,
        "stride_nd": draw(st.sampled_from([(), per_axis(1, 3)])),
        "dilation_nd": draw(st.sampled_from([(), per_axis(1, 2)])),
        "pre_padding": draw(st.sampled_from([(), per_axis(0, 3)])),
        "post_padding": draw(st.sampled_from([(), per_axis(0, 3)])),
        "padding_mode": draw(st.integers(0, 5)),
        "num_groups": groups,
    }
    kernel = (c, k // groups, *window) if transposed else (k, c // groups, *window)
    bias = {"bias": (k,)} if draw(st.booleans()) else {}
    seed = draw(st.integers(0, 2**16))
    return Case("random", x=(batch, c, *spatial), kernel=kernel, seed=seed, **bias, **fields)


def check_random(op, case, device, n_threads):
    """Every row against the reference; parameters that give no output must be refused with a ShapeError."""
    try:
        n_rows = check_case(default_registry(), op, case, DataType.FLOAT, n_threads, device)
        assert n_rows >= (2 if device == DeviceType.CPU else 1)  # on the CPU the reference is one of them
    except ShapeError:
        assume(False)

"""What decides in blocks: an input on the host or the device, the result of a layer, what a loop itself changes."""

from functools import partial

import numpy as np
import pytest
from block_networks import (
    COLUMNS,
    SOURCES,
    BlockNetwork,
    choose,
    choose_in_loop,
    chosen,
    chosen_in_loop,
    feed,
    loop_in_loop,
    looped_in_loop,
    repeat,
    repeated,
)

from dovetail.core.types import DeviceType

CPU, GPU = DeviceType.CPU, DeviceType.GPU
# The device of the plan, and that of its conditionals and loops.
PLACES = [
    pytest.param((CPU, CPU), id="cpu"),
    pytest.param((GPU, GPU), id="gpu", marks=pytest.mark.gpu),
    pytest.param((GPU, CPU), id="gpu, blocks on the cpu", marks=pytest.mark.gpu),
]
X = [np.random.default_rng(rows).uniform(-1, 1, (rows, COLUMNS)).astype(np.float32) for rows in (8, 1, 5)]


def close(results, wanted):
    for result, array in zip(results.values(), wanted, strict=True):
        assert result.dtype == array.dtype
        np.testing.assert_allclose(result, array, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("places", PLACES)
def test_a_branch_is_chosen(places, source):
    context = BlockNetwork(*places, source).engine(choose).create_execution_context()
    for x in X:
        for n, m in ((1, 0), (0, 0), (0, 3), (-7, -9), (1, 0)):
            close(context.run(feed(x, n, m)), [chosen(x, n, m, source)])


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("places", PLACES)
def test_iterations_are_counted(places, source):
    context = BlockNetwork(*places, source).engine(repeat).create_execution_context()
    for x in X:
        for n, m in ((0, 5), (1, 1), (2, 1), (3, 1), (1, 2), (10, 1), (-1, 2), (5, 2)):
            close(context.run(feed(x, n, m)), repeated(x, n, m, source))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10])
@pytest.mark.parametrize("places", PLACES)
def test_a_count_in_the_plan(places, count):
    context = BlockNetwork(*places).engine(partial(repeat, count=count)).create_execution_context()
    for x in X:
        close(context.run(feed(x, 0, 0)), repeated(x, count, 1, ""))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("source", ["host", "device"])
@pytest.mark.parametrize(
    ("arrange", "expected"), [(choose_in_loop, chosen_in_loop), (loop_in_loop, looped_in_loop)], ids=["choose", "loop"]
)
@pytest.mark.parametrize("places", PLACES)
def test_a_loop_changes_what_decides(places, arrange, expected, source, after):
    engine = BlockNetwork(*places, source).engine(partial(arrange, after=after))
    context = engine.create_execution_context()
    for x in X:
        for n, m in ((3, 3), (2, 0), (4, 1), (1, 2), (2, 10), (0, 3), (-1, 2)):
            close(context.run(feed(x, n, m)), expected(x, n, m, after))


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.slow
def test_timed_builds(places):
    for arrange, expected in ((choose, chosen), (repeat, repeated)):
        context = BlockNetwork(*places, level=2).engine(arrange).create_execution_context()
        for n in (0, 3):
            wanted = expected(X[0], n, 1, "device")
            close(context.run(feed(X[0], n, 1)), [wanted] if arrange is choose else wanted)

"""pytest -p sampling --every N --part I/P: the first case of each test and every N-th after it, the same ones in each
run; of these, the I-th of P shares, so that P processes do the work of one."""

from collections import Counter

import pytest


def share(text):
    part, parts = map(int, text.split("/"))
    if not 1 <= part <= parts:
        raise ValueError(text)
    return part, parts


def pytest_addoption(parser):
    parser.addoption("--every", type=int, default=1, metavar="N", help="run one case of N of each test")
    parser.addoption("--part", type=share, default=(1, 1), metavar="I/P", help="run the I-th of P shares")


@pytest.hookimpl(trylast=True)  # of what marks and expressions have left
def pytest_collection_modifyitems(config, items):
    every, (part, parts), seen = config.getoption("--every"), config.getoption("--part"), Counter()
    chosen, left_out = [], []
    for item in items:
        test = (item.path, getattr(item, "originalname", item.name))
        (left_out if seen[test] % every else chosen).append(item)
        seen[test] += 1
    items[:] = chosen[part - 1 :: parts]
    left_out += [item for position, item in enumerate(chosen) if position % parts != part - 1]
    config.hook.pytest_deselected(items=left_out)

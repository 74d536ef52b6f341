"""pytest -p sampling --every N: the first case of each test and every N-th after it, the same ones in each run."""

from collections import Counter

import pytest


def pytest_addoption(parser):
    parser.addoption("--every", type=int, default=1, metavar="N", help="run one case of N of each test")


@pytest.hookimpl(trylast=True)  # of what marks and expressions have left
def pytest_collection_modifyitems(config, items):
    every, seen = config.getoption("--every"), Counter()
    chosen, left_out = [], []
    for item in items:
        test = (item.path, getattr(item, "originalname", item.name))
        (left_out if seen[test] % every else chosen).append(item)
        seen[test] += 1
    items[:] = chosen
    config.hook.pytest_deselected(items=left_out)

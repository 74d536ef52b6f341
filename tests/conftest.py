"""What all test suites share: the guard against a second copy of our modules, and which device a test is for."""

import os
import sys

import pytest
from hypothesis import settings

BARE_NAMES = ("core", "plugins", "registry", "machine")
DEVICE = "DOVETAIL_DEVICE"
GIVEN_DEVICE = os.environ.get(DEVICE)
os.environ["DOVETAIL_RAISE_ON_ERROR"] = "1"  # tests of what is logged and returned instead say so themselves
os.environ.setdefault("DOVETAIL_SPIN_US", "0")  # threads that wait actively take the processor from other tests

settings.register_profile("busy", deadline=None)  # how long an example takes says what else the machine does
settings.load_profile("busy")


def pytest_addoption(parser):
    parser.addoption("--refresh-golden", action="store_true", help="rewrite the files of tests/golden")


def pytest_collection_finish(session):
    """`import core`, possible from the repository's root, would make every class a second time."""
    for name in BARE_NAMES:
        if name in sys.modules:
            where = getattr(sys.modules[name], "__file__", "no file")
            pytest.exit(f"{name} ({where}) was imported by its bare name; write dovetail.{name}", returncode=3)


@pytest.hookimpl(trylast=True)  # when it is known which tests are left
def pytest_collection_modifyitems(items):
    """Tests marked `gpu` are skipped where none works, and the reason is shown."""
    for_gpu = [item for item in items if item.get_closest_marker("gpu")]
    reason = why_no_gpu() if for_gpu else ""
    for item in for_gpu if reason else ():
        item.add_marker(pytest.mark.skip(reason=f"needs a GPU: {reason}"))


def why_no_gpu():
    """Empty where a GPU works. Loads the plugins, while the environment still allows their GPU libraries."""
    from dovetail.machine.devices import gpus
    from dovetail.registry import default_registry

    default_registry()
    return gpus()[1]


@pytest.hookimpl(tryfirst=True)  # before fixtures of any scope
def pytest_runtest_setup(item):
    """Tests that are not marked `gpu` see a machine whose default device is the CPU."""
    if not item.get_closest_marker("gpu"):
        os.environ[DEVICE] = "cpu"
    elif GIVEN_DEVICE is None:
        os.environ.pop(DEVICE, None)
    else:
        os.environ[DEVICE] = GIVEN_DEVICE


def pytest_sessionfinish():
    os.environ.pop(DEVICE, None)
    if GIVEN_DEVICE is not None:
        os.environ[DEVICE] = GIVEN_DEVICE

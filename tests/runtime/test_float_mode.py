"""What a plugin does to the floating-point mode stays with it: the caller, later layers and the pool have their own."""

import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import dovetail as trt
from dovetail import _native
from dovetail.core.tensor import TensorDesc
from tests.runtime.plans import Draft, fixed

DEFAULT = 0x1F80  # MXCSR: every exception masked, to nearest even, nothing flushed
N = 64

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the plugin of these tests is for x86-64")


def is_undisturbed() -> bool:
    """This thread rounds to nearest, and computes with denormals."""
    small, one = np.float32(1e-40), np.float32(1)
    nearest = one + np.float32(2.0**-25) == one
    return bool(small * one == small and small * np.float32(0.5) > 0 and nearest and 1.0 + 2.0**-54 == 1.0)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler (set CC)")
    path = tmp_path_factory.mktemp("mode") / "libmode.so"
    flags = ["-std=gnu11", "-O1", "-shared", "-fPIC", "-fvisibility=hidden", f"-I{trt.get_include()}"]
    subprocess.run(
        [compiler, *flags, str(Path(__file__).with_name("mode_plugin.c")), "-o", str(path), "-lm"], check=True
    )
    assert is_undisturbed()
    library = _native.open_library(str(path))
    assert is_undisturbed()
    for implementation in library.implementations:
        _native.register_implementation(implementation, None)
    yield library
    for implementation in library.implementations:
        _native.deregister_implementation(implementation.id)


def engine_of_set_and_read(n_threads):
    """y = the modes of the threads, after a layer that sets them."""
    draft = Draft("modes")
    x, t = draft.add_tensor("x", [N], "input"), draft.add_tensor("t", [N])
    y = draft.add_tensor("y", [N], "output")
    draft.add_step("mode::Set@1#c", [x], [t], "set")
    draft.add_step("mode::Read@1#c", [t], [y], "read")
    draft.add_profile(fixed(N))
    return _native.Engine(draft.to_bytes(), n_threads)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_plugin_that_sets_the_mode_sets_it_for_itself_alone(library, n_threads):
    engine = engine_of_set_and_read(n_threads)
    assert is_undisturbed()
    context = _native.Context(engine)
    x, y = np.zeros(N, np.float32), np.zeros(N, np.float32)
    context.set_buffer(0, x)
    context.set_buffer(1, y)
    assert is_undisturbed()
    for method, arguments in (("execute", ()), ("execute", ()), ("execute_on", (0, 0, 0)), ("execute_profiled", ())):
        y[:] = 0
        getattr(context, method)(*arguments)
        assert is_undisturbed()
        assert (y == DEFAULT).all(), "a later layer, or a thread of the pool, computes in the mode of another"
    del context, engine
    assert is_undisturbed()


def test_steps_that_run_alone_leave_the_mode_too(library):
    implementation = next(i for i in library.implementations if i.id == "mode::Set@1#c")
    made = implementation.create("layer", [])
    assert is_undisturbed()
    desc = TensorDesc((N,), trt.float32)
    x, y = np.zeros(N, np.float32), np.zeros(N, np.float32)
    implementation.run_step(made, 0, [(desc, x)], [(desc, y)])
    assert is_undisturbed()

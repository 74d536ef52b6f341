"""Implementations written in Python behind the C table: how they are called, what their exceptions become."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest

from dovetail import _native
from dovetail.core.errors import FieldValueError, MemoryLimitError, PluginFailed
from dovetail.core.tensor import DynamicTensorDesc, TensorDesc
from dovetail.core.types import DataType, FieldType, TensorFormat

F32 = DataType.FLOAT
X = TensorDesc((2, 3), F32)
CPU = 1


class Trouble(Exception):
    """Raised by the plugin; must come back as the cause."""


class Scale:
    """Factory, object and context in one; notes its calls and fails where it is told to."""

    def __init__(self, fail: str = ""):
        self.fail, self.factor, self.calls = fail, 2, []

    def note(self, name, *arguments):
        self.calls.append((name, *arguments))
        if self.fail == name:
            raise Trouble(f"{name} was told to")

    def create(self, layer, fields):
        self.note("create", layer, fields)
        self.factor = fields.get("factor", 2)
        return self

    def supports(self, pos, descs, n_inputs, n_outputs):
        self.note("supports", pos, descs, n_inputs, n_outputs)
        return descs[pos].format == TensorFormat.LINEAR

    def configure(self, inputs, outputs):
        self.note("configure", inputs, outputs)

    def workspace(self, inputs, outputs):
        self.note("workspace", inputs, outputs)
        return 32

    def make_context(self):
        self.note("make_context")
        return ScaleContext(self)


class ScaleContext:
    def __init__(self, parent):
        self.parent = parent

    def drop(self):
        self.parent.note("drop")

    def shape_changed(self, in_descs, out_descs):
        self.parent.note("shape_changed", in_descs, out_descs)

    def enqueue(self, in_descs, out_descs, inputs, outputs, workspace, stream):
        self.parent.note("enqueue", in_descs, out_descs, inputs, outputs, workspace, stream)
        if inputs[0] is not None:
            np.multiply(inputs[0], self.parent.factor, out=outputs[0])


def make(factory, rows=(), name="python"):
    return _native.make_python_implementation("test::Scale@1", name, CPU, rows, factory, 0)


def run(native, made, row=-1, **more):
    x, y = np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros((2, 3), np.float32)
    native.run_step(made, row, [(X, x)], [(X, y)], **more)
    return x, y


# ---- what it is called with


def test_it_computes():
    native = make(Scale())
    x, y = run(native, native.create("layer", [("factor", int(FieldType.INT64), 3)]))
    assert np.array_equal(y, 3 * x)


def test_it_says_that_it_is_python():
    native = make(Scale())
    assert native.traits & 8
    assert (native.id, native.library, native.rows) == ("test::Scale@1#python", "", [])


def test_the_calls_come_in_order_with_what_was_promised():
    scale = Scale()
    native = make(scale)
    made = native.create("stem", [("factor", int(FieldType.FLOAT32), 2.5), ("axes", int(FieldType.INT32), (0, 1))])
    ranged = DynamicTensorDesc((-1, 3), F32, min=(1, 3), opt=(2, 3), max=(4, 3))
    assert native.supports(made, 0, [ranged, ranged], 1, 1) is True
    native.configure(made, [ranged, None], [ranged])
    assert native.workspace(made, -1, [ranged], [ranged]) == 32
    run(native, made, workspace_bytes=32, repeat=2)
    assert [call[0] for call in scale.calls] == [
        "create", "supports", "configure", "workspace",
        "make_context", "shape_changed", "enqueue", "enqueue", "drop",
    ]  # fmt: skip
    assert scale.calls[0][1:] == ("stem", {"factor": 2.5, "axes": (0, 1)})
    assert scale.calls[1][1] == 0 and scale.calls[1][2][1] is None  # what stands behind pos is not shown
    inputs, outputs = scale.calls[2][1:]
    assert (inputs[0].dims, inputs[0].min, inputs[0].max, inputs[1]) == ((-1, 3), (1, 3), (4, 3), None)
    assert outputs[0].dtype == F32
    assert scale.calls[5][1][0] == X


def test_arrays_are_views_inputs_read_only():
    scale = Scale()
    native = make(scale)
    x, y = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    native.run_step(native.create("layer", []), -1, [(X, x), None], [(X, y)], workspace_bytes=10)
    (in_descs, out_descs, inputs, outputs, workspace, stream) = scale.calls[-2][1:]
    assert in_descs[0] == X and in_descs[1] is None and out_descs == (X,)
    assert inputs[1] is None and stream == 0
    assert inputs[0].ctypes.data == x.ctypes.data and not inputs[0].flags.writeable
    assert outputs[0].ctypes.data == y.ctypes.data and outputs[0].flags.writeable
    assert (workspace.dtype, workspace.shape, workspace.ctypes.data % 64) == (np.uint8, (10,), 0)


@pytest.mark.parametrize(
    ("dtype", "format_", "numpy_type", "shape"),
    [
        (DataType.HALF, TensorFormat.LINEAR, "float16", (1, 3, 2, 2)),
        (DataType.INT8, TensorFormat.LINEAR, "int8", (1, 3, 2, 2)),
        (DataType.BOOL, TensorFormat.LINEAR, "bool", (1, 3, 2, 2)),
        (DataType.INT64, TensorFormat.LINEAR, "int64", (1, 3, 2, 2)),
        (DataType.BF16, TensorFormat.LINEAR, "uint16", (1, 3, 2, 2)),
        (DataType.FP8, TensorFormat.LINEAR, "uint8", (1, 3, 2, 2)),
        (DataType.FLOAT, TensorFormat.CHW4, "float32", (16,)),
        (DataType.HALF, TensorFormat.CHW32, "float16", (128,)),
    ],
)
def test_arrays_have_the_type_and_extent_of_the_tensor(dtype, format_, numpy_type, shape):
    seen = []

    class Look(Scale):
        def make_context(self):
            return self

        def enqueue(self, in_descs, out_descs, inputs, outputs, workspace, stream):
            seen.append((inputs[0].dtype, inputs[0].shape, in_descs[0].dtype, in_descs[0].format))

    native = make(Look())
    desc, buffer = TensorDesc((1, 3, 2, 2), dtype, format_), np.zeros(1000, np.uint8)
    native.run_step(native.create("layer", []), -1, [(desc, buffer)], [(desc, buffer)])
    assert seen == [(np.dtype(numpy_type), shape, dtype, format_)]


def test_the_same_views_are_handed_out_while_nothing_changes():
    seen = []

    class Look(Scale):
        def make_context(self):
            return self

        def enqueue(self, in_descs, out_descs, inputs, outputs, workspace, stream):
            seen.append([id(item) for item in (in_descs, out_descs, inputs, outputs, inputs[0], outputs[0])])

    native = make(Look())
    run(native, native.create("layer", []), repeat=3)
    assert seen[0] == seen[1] == seen[2]


def test_views_that_are_kept_are_not_handed_out_again():
    scale = Scale()
    native = make(scale)
    run(native, native.create("layer", []), repeat=2)
    first, second = (call for call in scale.calls if call[0] == "enqueue")
    assert first[3][0] is not second[3][0] and first[4][0] is not second[4][0]
    assert first[4][0].base is not None  # which keeps the memory of the step


def test_all_methods_but_enqueue_may_be_left_out():
    class Least:
        def create(self, layer, fields):
            return self

        def enqueue(self, in_descs, out_descs, inputs, outputs, workspace, stream):
            outputs[0][:] = 1

    native = make(Least())
    made = native.create("layer", [])
    native.configure(made, [X], [X])
    assert native.workspace(made, -1, [X], [X]) == 0
    assert (run(native, made)[1] == 1).all()


def test_rows_are_those_of_a_native_table():
    native = make(
        Scale(),
        [
            {"tactic": "numpy", "types": "f32 f32... -> f32"},
            {"tactic": "b", "types": "f16 -> f16", "formats": "chw4"},
        ],
    )
    assert [(r["tactic"], r["types"], r["formats"]) for r in native.rows] == [
        ("numpy", "f32 f32... -> f32", "linear"),
        ("b", "f16 -> f16", "chw4"),
    ]
    made = native.create("layer", [])
    assert native.fits(made, 1, [X], [X]) is None
    assert native.workspace(made, 0, [X], [X]) == 32
    x, y = run(native, made, row=0)
    assert np.array_equal(y, 2 * x)


def test_a_row_of_unknown_words_is_refused():
    with pytest.raises(FieldValueError, match="cannot have a row 'f99 -> f32'\n  types  'f99' is not a type"):
        make(Scale(), [{"tactic": "a", "types": "f99 -> f32"}])


# ---- what exceptions become


def ask(native, fail):
    """Reach the method `fail` through the C table."""
    made = native.create("stem", [])
    if fail == "supports":
        return native.supports(made, 0, [X, X], 1, 1)
    if fail == "configure":
        return native.configure(made, [X], [X])
    if fail == "workspace":
        return native.workspace(made, -1, [X], [X])
    return run(native, made)


NAMED = {"workspace": "get_workspace_size"}  # as the classes of authors call it


@pytest.mark.parametrize(
    "method", ["create", "supports", "configure", "workspace", "make_context", "shape_changed", "enqueue"]
)
def test_an_exception_is_the_cause_each_time(method):
    native = make(Scale(fail=method))
    for _ in range(3):
        with pytest.raises(PluginFailed) as info:
            ask(native, method)
        error = info.value
        assert error.message == f"test::Scale@1#python failed in {NAMED.get(method, method)} of layer 'stem'"
        assert error.facts[0] == ("Trouble", f"{method} was told to")
        assert error.native_file_line.startswith(__file__)
        assert (error.method, error.layer, error.kind) == (NAMED.get(method, method), "stem", "Trouble")
        assert isinstance(error.__cause__, Trouble)
        names = [frame.name for frame in _frames(error.__cause__)]
        assert names[-1] == "note" and method in names


def _frames(error):
    import traceback

    return traceback.extract_tb(error.__traceback__)


def test_a_drop_that_fails_is_logged_and_nothing_more():
    lines = []
    _native.set_log_sink(lambda level, text: lines.append((level, text)))
    try:
        ask(make(Scale(fail="drop")), "enqueue")
    finally:
        _native.set_log_sink(None)
    assert lines == [(1, "drop of a Python context raised Trouble: drop was told to")]


@pytest.mark.parametrize(
    ("method", "answer", "kind"),
    [
        ("workspace", "much", "TypeError"),
        ("workspace", -1, "OverflowError"),
        ("supports", np.ones(2), "ValueError"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_a_failure(method, answer, kind):
    class Odd(Scale):
        pass

    setattr(Odd, method, lambda self, *arguments: answer)
    with pytest.raises(PluginFailed) as info:
        ask(make(Odd()), method)
    assert info.value.kind == kind


def test_a_missing_enqueue_is_a_failure():
    class Nothing:
        def create(self, layer, fields):
            return self

    native = make(Nothing())
    with pytest.raises(PluginFailed) as info:
        run(native, native.create("stem", []))
    assert (info.value.kind, info.value.method) == ("AttributeError", "make_context")


def test_an_exception_whose_text_fails_is_told_all_the_same():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no")

    class Bad(Scale):
        def configure(self, inputs, outputs):
            raise Mute

    with pytest.raises(PluginFailed) as info:
        ask(make(Bad()), "configure")
    assert info.value.kind == "Mute" and isinstance(info.value.__cause__, Mute)


def test_a_pending_exception_survives_the_end_of_an_object():
    """The destructor of an object may run Python while an exception is on its way."""
    lines = []

    class Bad(Scale):
        def __del__(self):
            lines.append("gone")

    native = make(Bad(fail="enqueue"))
    with pytest.raises(PluginFailed):
        ask(native, "enqueue")


# ---- life and limits


def test_objects_die_with_their_holders():
    made_objects = []

    class Keeping:
        def create(self, layer, fields):
            made = Scale()
            made_objects.append(weakref.ref(made))
            return made

    native = make(Keeping())
    made = native.create("layer", [])
    run(native, made)
    assert made_objects[0]() is not None
    del made
    gc.collect()
    assert made_objects[0]() is None


def test_the_table_lives_as_long_as_an_object_of_it():
    native = make(Scale())
    made = native.create("layer", [])
    del native
    gc.collect()
    made.clone()


def test_the_limit_is_told_and_places_are_used_again():
    factory, held = Scale(), []
    with pytest.raises(MemoryLimitError) as info:
        for i in range(5000):
            held.append(make(factory, name=f"n{i}"))
    assert dict(info.value.facts)["limit"] == "1024 in one process"
    held.clear()
    gc.collect()
    assert make(factory).id == "test::Scale@1#python"


def test_many_threads_work_at_once():
    native = make(Scale())
    failures = []

    def work(factor):
        try:

            class Own(Scale):
                pass

            native = make(Own())
            made = native.create("layer", [("factor", int(FieldType.INT32), factor)])
            for _ in range(100):
                x, y = run(native, made, n_threads=2)
                assert np.array_equal(y, factor * x)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and native is not None


def test_objects_alive_at_exit_do_no_harm():
    script = """
import numpy as np
import dovetail.core.tensor
from dovetail import _native

class Scale:
    def create(self, layer, fields):
        return self
    def enqueue(self, *arguments):
        pass

native = _native.make_python_implementation("test::Exit@1", "python", 1, [], Scale(), 0)
_native.register_implementation(native, None)
_native.set_log_sink(print)
made = native.create("layer", [])
import builtins
builtins.kept = [native, made, made.clone()]
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")

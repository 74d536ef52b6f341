"""Objects made from fields, asked, configured and run; a plugin written in C that fails in each function."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from dovetail import _native
from dovetail.core.errors import (
    BindingError,
    DovetailError,
    FieldValueError,
    MemoryLimitError,
    PluginFailed,
    ShapeError,
)
from dovetail.core.expr import ExprBuilder, input_dim
from dovetail.core.tensor import DynamicTensorDesc, TensorDesc
from dovetail.core.types import DataType, FieldType, TensorFormat

F32, I32, HALF = DataType.FLOAT, DataType.INT32, DataType.HALF
X = TensorDesc((2, 8), F32)


@pytest.fixture
def library(compile_plugin):
    return _native.open_library(compile_plugin("scale.c"))


@pytest.fixture
def scale(library):
    return library.ops[0]


@pytest.fixture
def rows(library):
    return library.implementations[0]


@pytest.fixture
def rude(library):
    return library.implementations[2]


def failing(member: str) -> list[tuple[str, int, str]]:
    return [("fail", int(FieldType.CHAR), member)]


def living(rows) -> tuple[int, int]:
    """Objects and contexts of the plugin, one object made for the question not counted."""
    gc.collect()  # what an earlier test left in a cycle might go between two questions
    out, desc = np.zeros(2, np.int32), TensorDesc((2,), I32)
    rows.run_step(rows.create("count", []), 1, [(desc, out)], [(desc, out)])
    return int(out[0]) - 1, int(out[1]) - 1


# ---- what a table says


def test_an_op_says_its_fields_and_ports(scale):
    factor, axes, fail, weights = scale.fields
    assert factor == {
        "name": "factor",
        "type": FieldType.FLOAT32,
        "min_length": 1,
        "max_length": 1,
        "required": False,
        "default": 2.0,
        "low": 0.0,
        "high": None,
        "doc": "What x is multiplied by.",
    }
    assert (axes["max_length"], axes["default"], fail["type"], weights["type"]) == (
        4,
        None,
        FieldType.CHAR,
        64,
    )
    assert scale.inputs == [{"name": "x", "types": "f32 i32", "flags": 0, "doc": "What is scaled."}]
    assert scale.outputs[0]["types"] == "=x"
    assert (scale.name, scale.version, scale.namespace, scale.has_save) == ("Scale", "1", "acme", True)


def test_an_op_without_ports_says_none(library):
    bare = library.ops[1]
    assert (bare.inputs, bare.outputs, bare.namespace, bare.doc, bare.has_save) == (
        None,
        None,
        "acme.deep",
        "",
        False,
    )


def test_an_implementation_says_its_rows_and_reads(rows):
    assert rows.reads == [("factor", FieldType.FLOAT32, 1, "scale.c:1")]
    assert [row["tactic"] for row in rows.rows] == ["threads", "count"]
    assert rows.rows[1] == {
        "tactic": "count",
        "needs": 1 << dict(_native.CPU_FEATURES)["sse2"],
        "min_sm": 80,
        "traits": 4,
        "types": "i32|i8 -> i32|i8",
        "formats": "linear",
        "absorbs": False,
        "replaces": 0,
    }
    assert (rows.op, rows.name, rows.device, rows.traits, rows.uses_op_object) == (
        "acme::Scale@1",
        "rows",
        1,
        4,
        False,
    )


# ---- fields


def factor_of(rows, field_type, value) -> float:
    made = rows.create("layer", [("factor", int(field_type), value)])
    x, y = np.ones((2, 8), np.float32), np.zeros((2, 8), np.float32)
    rows.run_step(made, 0, [(X, x)], [(X, y)])
    return float(y[0, 0])


@pytest.mark.parametrize("value", [3.5, 3, np.float32(3.5), np.float64(3), np.int64(3), True, np.array([3.5])])
def test_a_float_field_takes_every_number(rows, value):
    assert factor_of(rows, FieldType.FLOAT32, value) == float(np.asarray(value).reshape(()))


@pytest.mark.parametrize(
    ("field_type", "value", "wrong"),
    [
        (FieldType.INT8, 128, "takes INT8: 128 does not fit"),
        (FieldType.INT16, -32769, "takes INT16: -32769 does not fit"),
        (FieldType.INT32, 2**31, "takes INT32: 2147483648 does not fit"),
        (FieldType.INT32, 0.5, "takes INT32: got floats"),
        (FieldType.INT32, "four", "takes INT32: got text"),
        (FieldType.FLOAT32, 1e300, "takes FLOAT32: 1e+300 does not fit"),
        (FieldType.FLOAT16, 65520.0, "takes FLOAT16: 65520 does not fit"),
        (FieldType.FLOAT64, 2**53 + 1, "takes FLOAT64: 9007199254740993 does not fit"),
        (FieldType.CHAR, 5, "takes CHAR: got integers"),
        (FieldType.CHAR, "a\0b", "takes CHAR: a NUL inside the text"),
        (FieldType.DIMS, tuple(range(9)), "takes DIMS: 9 extents, 8 are the most"),
        (77, 1, "takes unknown type 77: got integers"),
    ],
)
def test_what_does_not_fit_its_wire_type_is_refused(scale, field_type, value, wrong):
    with pytest.raises(FieldValueError) as info:
        scale.create("layer", [("mode", int(field_type), value)])
    assert str(info.value) == f"acme::Scale@1 cannot take these fields\n  mode  {wrong}"
    assert (info.value.op, info.value.field) == ("acme::Scale@1", "mode")


def test_all_wrong_fields_are_told_at_once(scale):
    with pytest.raises(FieldValueError) as info:
        scale.create(
            "layer",
            [("a", int(FieldType.INT8), 300), ("b", int(FieldType.INT8), 1), ("c", int(FieldType.INT8), "x")],
        )
    assert [name for name, _ in info.value.facts] == ["a", "c"]


@pytest.mark.parametrize("value", [object(), 2**63, [None], {"a": 1}.items()])
def test_what_is_no_value_is_refused(scale, value):
    with pytest.raises(FieldValueError, match="cannot take this as mode"):
        scale.create("layer", [("mode", int(FieldType.INT64), value)])


def test_none_is_left_out(rows):
    assert factor_of(rows, FieldType.FLOAT32, None) == 2


class Echo:
    """A factory that keeps what it is given: fields there and back through the C struct."""

    def create(self, layer, fields):
        self.fields = fields
        return self


@pytest.mark.parametrize(
    ("field_type", "value", "back"),
    [
        (FieldType.INT8, -128, -128),
        (FieldType.INT64, 2**63 - 1, 2**63 - 1),
        (FieldType.INT32, (1, 2), (1, 2)),
        (FieldType.INT32, (), ()),
        (FieldType.INT32, True, 1),
        (FieldType.CHAR, "größe", "größe"),
        (FieldType.CHAR, "", ""),
        (FieldType.DIMS, (4, 5), (4, 5)),
        (FieldType.FLOAT64, 0.1, 0.1),
        (FieldType.FLOAT32, 0.5, 0.5),
        (FieldType.FLOAT16, 65519.0, 65504.0),
        (FieldType.FLOAT16, 2.0**-24, 2.0**-24),
        (FieldType.FLOAT16, 2.0**-26, 0.0),
        (FieldType.FLOAT16, float("-inf"), float("-inf")),
        (FieldType.BF16, 1 + 2.0**-8, 1.0),
        (FieldType.BF16, 3e38, 226 * 2.0**120),
        (FieldType.UNKNOWN, b"\0\1", b"\0\1"),
    ],
)
def test_a_value_comes_out_as_it_went_in(field_type, value, back):
    echo = Echo()
    maker = _native.make_python_implementation("test::Echo@1", "python", 1, [], echo, 0)
    maker.create("e", [("v", int(field_type), value)])
    assert echo.fields["v"] == back


def test_half_is_rounded_as_numpy_rounds():
    echo = Echo()
    maker = _native.make_python_implementation("test::Echo@1", "python", 1, [], echo, 0)
    values = np.random.default_rng(7).normal(size=500) * 10.0 ** np.random.default_rng(8).integers(-9, 4, 500)
    maker.create("e", [("v", int(FieldType.FLOAT16), tuple(values))])
    assert np.array_equal(echo.fields["v"], values.astype(np.float16).astype(np.float64))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "int32", "bool", "uint8", "int64"])
def test_a_tensor_field_keeps_type_and_dims(dtype):
    echo = Echo()
    maker = _native.make_python_implementation("test::Echo@1", "python", 1, [], echo, 0)
    given = np.arange(6).reshape(2, 3).astype(dtype).T  # not contiguous
    maker.create("e", [("v", int(FieldType.TENSOR), given)])
    assert echo.fields["v"].dtype == given.dtype
    assert np.array_equal(echo.fields["v"], given)


def test_a_tensor_of_no_type_of_ours_is_refused(scale):
    with pytest.raises(FieldValueError, match="got complex128"):
        scale.create("layer", [("weights", int(FieldType.TENSOR), np.zeros(2, complex))])


# ---- an op's object


def test_it_infers_types_and_dims(scale):
    made = scale.create("stem", [])
    n = input_dim(0, 0, "N")
    assert made.count_outputs(2) == 2
    assert made.infer_type(1, [F32, I32]) == I32
    dims = made.infer_dims(0, [[n, 8]], ExprBuilder())
    assert [str(d) for d in dims] == ["N", "8"]
    assert (made.subject, made.layer) == ("acme::Scale@1", "stem")


def test_absent_inputs_and_empty_ranks_pass(scale):
    made = scale.create("stem", [])
    assert [int(d.value) for d in made.infer_dims(1, [None, [3]], ExprBuilder())] == [3]


def test_a_division_by_zero_is_told_by_the_builder(scale):
    made = scale.create("stem", failing("by_zero"))
    with pytest.raises(ShapeError, match="zero"):
        made.infer_dims(0, [[input_dim(0, 0, "N")]], ExprBuilder())


@pytest.mark.parametrize(
    ("fail", "reason"),
    [
        ("no_rank", "it says rank -1"),
        ("bad_operation", "dimension 0 of output 0 is null"),
    ],
)
def test_dims_that_are_none_are_refused(scale, fail, reason):
    with pytest.raises(PluginFailed) as info:
        scale.create("stem", failing(fail)).infer_dims(0, [[4]], ExprBuilder())
    assert info.value.reason == reason


def test_a_failure_names_who_where_and_why(scale):
    with pytest.raises(PluginFailed) as info:
        scale.create("stem", failing("infer_dims")).infer_dims(0, [[4]], ExprBuilder())
    error = info.value
    assert str(error).splitlines()[:2] == [
        "acme::Scale@1 failed in getOutputDimensions of layer 'stem'",
        "  acme_error  as it was told",
    ]
    assert (error.plugin, error.layer, error.method) == ("acme::Scale@1", "stem", "getOutputDimensions")
    assert (error.kind, error.reason, error.code) == ("acme_error", "as it was told", 5)
    assert "scale.c:" in error.native_file_line
    assert ("raised at", error.native_file_line) in error.facts


def test_a_failure_without_a_word_shows_its_code(scale):
    with pytest.raises(MemoryLimitError) as info:
        scale.create("stem", failing("silent")).infer_dims(0, [[4]], ExprBuilder())
    assert info.value.facts == [("reason", "none given, it returned OUT_OF_MEMORY")]


def test_a_code_that_is_none_is_a_failure_of_the_plugin(scale):
    with pytest.raises(PluginFailed) as info:
        scale.create("stem", failing("strange_code")).infer_dims(0, [[4]], ExprBuilder())
    assert ("code", "4711 is none of DT_CODES") in info.value.facts


@pytest.mark.parametrize(
    ("member", "method", "ask"),
    [
        ("clone", "clone", lambda made: made.clone()),
        ("save", "serialize", lambda made: made.save()),
        ("count_outputs", "getNbOutputs", lambda made: made.count_outputs(1)),
        ("count_negative", "getNbOutputs", lambda made: made.count_outputs(1)),
        ("infer_type", "getOutputDataType", lambda made: made.infer_type(0, [F32])),
        ("type_unknown", "getOutputDataType", lambda made: made.infer_type(0, [F32])),
    ],
)
def test_each_function_of_an_op_may_fail_any_number_of_times(scale, member, method, ask):
    made = scale.create("stem", failing(member))
    for _ in range(3):
        with pytest.raises(PluginFailed) as info:
            ask(made)
        assert info.value.method == method


def test_a_create_that_fails_leaves_nothing(scale, rows):
    gc.collect()
    before = living(rows)
    with pytest.raises(PluginFailed) as info:
        scale.create("stem", failing("create"))
    assert info.value.method == "createPlugin"
    assert living(rows) == before


def test_clone_save_and_load_keep_the_state(library, scale, rows):
    on_op = library.implementations[1]
    made = scale.create("stem", [("factor", int(FieldType.FLOAT32), 5)])
    x, y = np.ones((2, 8), np.float32), np.zeros((2, 8), np.float32)
    for copy in (made.clone(), scale.load("stem", made.save())):
        y[:] = 0
        on_op.run_step(copy, -1, [(X, x)], [(X, y)])
        assert (y == 5).all()


def test_without_clone_an_object_is_made_again_from_its_fields(library):
    made = library.ops[1].create("bare", failing("infer_type"))
    with pytest.raises(PluginFailed):
        made.clone().infer_type(0, [F32])


def test_a_blob_that_is_damaged_is_refused_by_its_plugin(scale):
    with pytest.raises(FieldValueError, match="failed in deserializePlugin of layer 'stem'"):
        scale.load("stem", b"short")


def test_what_an_op_does_not_have_is_said(library):
    with pytest.raises(PluginFailed, match=r"acme\.deep::Bare@2 has no save"):
        library.ops[1].create("bare", []).save()


def test_objects_and_contexts_die_with_their_holders(scale, rows):
    gc.collect()
    before = living(rows)
    made = [scale.create("a", []), rows.create("b", [])]
    made.append(made[0].clone())
    assert living(rows) == (before[0] + 3, before[1])
    del made
    assert living(rows) == before


# ---- an implementation's object


def test_a_predicate_is_asked_by_position(library, scale):
    on_op, made = library.implementations[1], scale.create("stem", [])
    assert on_op.supports(made, 1, [X, X], 1, 1)
    assert not on_op.supports(made, 0, [TensorDesc((2, 8), HALF), None], 1, 1)
    assert not on_op.supports(made, 0, [TensorDesc((2, 8, 4, 4), F32, TensorFormat.CHW4), None], 1, 1)


def test_a_row_that_does_not_fit_says_why(rows):
    made, deep = rows.create("stem", []), TensorDesc((1,) * 5, F32)
    assert rows.fits(made, 0, [X], [X]) is None
    assert rows.fits(made, 0, [deep], [deep]) == "takes rank 4 at most"
    assert rows.fits(made, 1, [deep], [deep]) is None


def test_prepare_and_workspace_see_the_range(rows):
    made = rows.create("stem", [("factor", int(FieldType.FLOAT32), 1.5)])
    ranged = DynamicTensorDesc((-1, 8), F32, min=(1, 8), opt=(4, 8), max=(100, 8))
    rows.configure(made, [ranged], [ranged])
    assert rows.prepare(made, 0, [ranged], [ranged]) == np.float32(1.5).tobytes()
    assert rows.prepare(made, 1, [ranged], [ranged]) == b""
    assert rows.workspace(made, 0, [ranged], [ranged], 3) == 403
    assert rows.workspace(made, 1, [ranged], [ranged], 3) == 0


def test_the_wrong_object_never_reaches_the_plugin(library, scale, rows):
    on_op = library.implementations[1]
    with pytest.raises(FieldValueError, match="#op cannot work on this object"):
        on_op.configure(rows.create("stem", []), [X], [X])
    with pytest.raises(FieldValueError, match="#rows cannot work on this object"):
        rows.configure(scale.create("stem", []), [X], [X])
    with pytest.raises(FieldValueError, match="has no objects of its own"):
        on_op.create("stem", [])


@pytest.mark.parametrize("row", [-1, 2, -2])
def test_a_row_that_is_not_there(rows, row):
    with pytest.raises(FieldValueError, match=f"has no row {row}"):
        rows.fits(rows.create("stem", []), row, [X], [X])


def test_a_constant_must_fill_its_desc(rows):
    made = rows.create("stem", [])
    short = TensorDesc((2, 8), F32, data=np.zeros(15, np.float32))
    with pytest.raises(FieldValueError) as info:
        rows.prepare(made, 0, [short], [X])
    assert info.value.facts == [("tensor", "Float [2, 8], 64 bytes"), ("data", "60 bytes")]


@pytest.mark.parametrize("member", ["supports", "configure", "workspace", "make_context", "shape_changed", "enqueue"])
def test_each_function_of_an_implementation_may_fail_any_number_of_times(rude, rows, member):
    before = living(rows)
    x, y = np.ones((2, 8), np.float32), np.zeros((2, 8), np.float32)
    ask = {
        "supports": lambda made: rude.supports(made, 0, [X, X], 1, 1),
        "configure": lambda made: rude.configure(made, [X], [X]),
        "workspace": lambda made: rude.workspace(made, -1, [X], [X], 1),
    }.get(member, lambda made: rude.run_step(made, -1, [(X, x)], [(X, y)]))
    made = rude.create("stem", failing(member))
    for _ in range(3):
        with pytest.raises(PluginFailed) as info:
            ask(made)
        assert str(info.value).startswith(f"acme::Scale@1#rude failed in {member} of layer 'stem'\n")
    del made, info
    assert living(rows) == before


@pytest.mark.parametrize("member", ["fits", "prepare"])
def test_each_function_of_a_row_may_fail(rows, member):
    made = rows.create("stem", failing(member))
    with pytest.raises(PluginFailed, match=f"failed in {member}"):
        getattr(rows, member)(made, 0, [X], [X])


def test_on_the_ops_object_methods_have_their_v2_names(library, scale):
    made = scale.create("stem", failing("configure"))
    with pytest.raises(PluginFailed) as info:
        library.implementations[1].configure(made, [X], [X])
    assert info.value.method == "configurePlugin"


# ---- one step


@pytest.mark.parametrize("n_threads", [0, 1, 2, 4])
def test_a_step_runs_and_is_timed(rows, n_threads):
    made = rows.create("stem", [])
    x = np.arange(16, dtype=np.float32).reshape(2, 8)
    y = np.full_like(x, -1)
    times = rows.run_step(
        made,
        0,
        [(X, x)],
        [(X, y)],
        np.float32(3).tobytes(),
        workspace_bytes=1000,
        n_threads=n_threads,
        repeat=5,
    )
    assert np.array_equal(y, x * 3)
    assert len(times) == 5 and all(isinstance(t, int) and t >= 0 for t in times)


def test_buffers_of_any_kind_are_taken(rows):
    made = rows.create("stem", [])
    y = bytearray(64)
    rows.run_step(made, 0, [(X, np.ones((2, 8), np.float32).tobytes())], [(X, memoryview(y))])
    assert (np.frombuffer(y, np.float32) == 2).all()


def test_an_empty_tensor_has_an_address(rows):
    empty, buffer = TensorDesc((0, 8), F32), np.zeros((0, 8), np.float32)
    rows.run_step(rows.create("stem", []), 0, [(empty, buffer)], [(empty, buffer)])


@pytest.mark.parametrize(
    ("desc", "n", "needed"),
    [
        (X, 15, "64 bytes"),
        (TensorDesc((1, 3, 2, 2), F32, TensorFormat.CHW4), 12, "64 bytes"),
        (TensorDesc((1, 3, 2, 2), HALF, TensorFormat.CHW32), 12, "256 bytes"),
    ],
)
def test_a_buffer_that_is_too_small_is_refused(rows, desc, n, needed):
    good, small = np.zeros(500, np.float32), np.zeros(n, np.float32)
    made = rows.create("stem", [])
    with pytest.raises(BindingError) as info:
        rows.run_step(made, 0, [(desc, good)], [(desc, small)])
    assert info.value.message == "the buffer of output 0 of acme::Scale@1#rows is too small"
    assert [right for _, right in info.value.facts] == [needed, f"{4 * n} bytes"]


def test_buffers_must_be_writable_contiguous_and_known(rows):
    made, y = rows.create("stem", []), np.zeros((2, 8), np.float32)
    read_only = np.ones((2, 8), np.float32)
    read_only.flags.writeable = False
    rows.run_step(made, 0, [(X, read_only)], [(X, y)])
    with pytest.raises(BindingError, match=r"output 0 of .* is read-only"):
        rows.run_step(made, 0, [(X, y)], [(X, read_only)])
    with pytest.raises(BindingError, match=r"input 0 of .* is not contiguous"):
        rows.run_step(made, 0, [(X, np.ones((8, 2), np.float32).T)], [(X, y)])
    with pytest.raises(BufferError):
        rows.run_step(made, 0, [(X, y)], [(X, bytes(64))])
    with pytest.raises(BindingError, match="not known, or not possible"):
        rows.run_step(made, 0, [(TensorDesc((-1, 8), F32), y)], [(X, y)])


def test_no_memory_for_a_workspace_is_an_error(rows):
    x = np.zeros((2, 8), np.float32)
    with pytest.raises(MemoryLimitError):
        rows.run_step(rows.create("stem", []), 0, [(X, x)], [(X, x)], workspace_bytes=2**62)


def test_many_threads_work_at_once(rows, scale):
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            made = rows.create(f"stem{number}", [("factor", int(FieldType.FLOAT32), number)])
            x, y = np.ones((2, 8), np.float32), np.zeros((2, 8), np.float32)
            for _ in range(50):
                rows.run_step(made, 0, [(X, x)], [(X, y)], n_threads=2)
                assert (y == number).all()
                with pytest.raises(DovetailError):
                    scale.create("stem", failing("create"))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_later_minor_runs(compile_plugin):
    later = _native.open_library(compile_plugin("later_minor.c")).implementations[0]
    one, y = TensorDesc((1,), F32), np.zeros(1, np.float32)
    later.run_step(later.create("stem", []), 0, [(one, y)], [(one, y)])
    assert y[0] == 7

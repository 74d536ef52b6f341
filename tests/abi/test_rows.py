"""The rows door: params filled by name, kernels called through trampolines, failures with their reasons."""

import pytest

SUM = "other::Sum@1#rows.cpu"
BASE = 7 + 1.5 + 0.25 + 3 + 4  # the defaults of the members


@pytest.fixture(scope="session")
def rows(toolchain):
    return toolchain.build("plugins/rows.cpp", toolchain.map)


@pytest.fixture
def run(toolchain, host, rows):
    return lambda *fields: toolchain.run(host, "run", rows, SUM, *fields)


def test_the_tables_say_what_the_sources_say(toolchain, host, rows):
    listed = toolchain.run(host, "list", rows)
    assert [line.rpartition(" at ")[0] for line in listed if line.startswith("reads")] == [
        "reads mode type 5 up to 1",
        "reads axis type 10 up to 1",
        "reads alpha type 2 up to 1",
        "reads narrow type 1 up to 1",
        "reads pads type 10 up to 8",
        "reads scales type 2 up to 8",
        "reads text type 6 up to 255",
        "reads table type 64 up to 1",
    ]
    assert all(line.rpartition(" at ")[2].startswith("rows.cpp:") for line in listed if line.startswith("reads"))
    assert [line for line in listed if not line.startswith("reads")] == [
        "plugin rows 1.0 namespace '' vendor -, 0 ops, 3 implementations",
        "implementation other::Nothing@1#cuda device 2 traits 0",
        "row nothing_sm90 needs 0 sm 90 traits 2 types 'f16 -> f16' formats '-'",
        "implementation other::Nothing@1#rows.fast device 2 traits 0",
        "row nothing_sm90 needs 0 sm 90 traits 2 types 'f16 -> f16' formats '-'",
        "implementation other::Sum@1#rows.cpu device 1 traits 0",
        "row packing needs 1c sm 0 traits 4 types 'f32 -> f32' formats '-'",
        "row plain needs 0 sm 0 traits 0 types 'f32 -> f32' formats 'linear'",
    ]


def y(total: float, n: int = 3) -> str:
    return "y: " + " ".join(f"{total + i:g}" for i in range(n))


def test_members_keep_their_initialisers_where_no_field_is_given(run):
    assert run() == [
        *("row packing:", "workspace: 40", y(BASE + 100), y(BASE + 100, 5)),
        *("row plain:", y(BASE), y(BASE, 5)),
    ]


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("axis:i64=8", 1),
        ("alpha:f64=2", 0.5),
        ("narrow:f32=0.5", 0.25),
        ("pads:i64=1,1,1", 3 - 7),
        ("pads:i64=", -7),
        ("scales:f64=0.5,0.25", 0.75),
        ("text:str=ten", 10),
        ("table:tensor=1,2,30", 30),
        ("unread:i64=5", 0),
    ],
)
def test_a_field_fills_the_member_of_its_name(run, field, change):
    assert run(field)[-2] == y(BASE + change)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("axis:i32=8", "field 'axis' is INT32, the implementation reads it as INT64"),
        ("axis:i64=1,2", "field 'axis' has 2 elements, the implementation reads 1"),
        ("axis:i64=", "field 'axis' has 0 elements, the implementation reads 1"),
        (
            "pads:i64=1,2,3,4,5,6,7,8,9",
            "field 'pads' has 9 elements, the implementation reads at most 8",
        ),
        (f"text:str={'x' * 256}", "field 'text' has 256 elements, the implementation reads at most 255"),
        ("table:f32=1", "field 'table' is FLOAT32, the implementation reads it as TENSOR"),
    ],
)
def test_a_field_that_does_not_fit_is_refused_with_both_sides(run, field, text):
    assert run(field) == [f"create: INVALID_ARGUMENT, dovetail::Error: {text}"]


def test_a_row_says_why_it_does_not_fit(run):
    assert run("axis:i64=9")[:2] == [
        "row packing:",
        "fits: UNSUPPORTED, dovetail::Error: axis 9 is never served [rows.hpp]",
    ]


def test_fields_and_extents_are_checked_where_the_struct_says_how(run):
    assert run("axis:i64=11") == ["create: INVALID_ARGUMENT, dovetail::Error: field 'axis' is 11, not -10..10"]
    assert run("axis:i64=-10")[:2] == ["row packing:", "fits: UNSUPPORTED, dovetail::Error: bias is missing"]
    assert run("axis:i64=-9")[1] == "fits: UNSUPPORTED, dovetail::Error: x has no axis -9, its rank is 1"


def test_extents_are_checked_again_where_they_are_others_than_the_likeliest(run):
    assert run("axis:i64=10")[-1] == "shape_changed: SHAPE, dovetail::Error: x has 3 values, not 5"


def test_a_row_that_throws_is_named(run):
    lines = run("mode:i32=1")
    assert lines[-1] == "enqueue: PLUGIN_FAILED, std::out_of_range: plain: as told"
    assert run("mode:i32=3")[-1] == (
        "enqueue: PLUGIN_FAILED, unknown: plain: threw something that is not a std::exception"
    )
    assert run("alpha:f64=-1")[1] == (
        "prepare: PLUGIN_FAILED, std::domain_error: packing: negative alpha cannot be packed"
    )
    assert run("mode:i32=2")[-1] == "enqueue: SHAPE, dovetail::Error: plain: task 1 of 3 [rows.cpp]"

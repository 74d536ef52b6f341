"""An implementation is compared with the op that it names."""

import pytest
from registry_parts import implementation, spec

from dovetail.core.contract import Field, Port
from dovetail.core.errors import ImplementationMismatch
from dovetail.core.types import DataType, DeviceType, FieldType
from dovetail.registry.checks import check_implementation


def refusal(op, one) -> ImplementationMismatch:
    with pytest.raises(ImplementationMismatch) as error:
        check_implementation(op, one, "acme")
    return error.value


def test_fields_of_equal_type_and_enough_room_fit():
    reads = [("axis", "INT64", 1), ("sizes", "INT64", 8)]
    check_implementation(spec(), implementation(reads=reads, types=["f32 -> f32"]), "acme")


def test_a_field_that_the_op_lacks_shows_both_lines():
    error = refusal(spec(), implementation(reads=[("axes", "INT64", 1)]))
    assert str(error).splitlines() == [
        "Blur@1#cpu does not fit Blur@1",
        "  Blur@1#cpu  reads 'axes' as int64  cpu.hpp:12",
        "  Blur@1      fields: axis, sizes    blur.py:10",
        "  Change one of the two. Nothing of acme was registered.",
    ]
    assert (error.op, error.implementation, error.plugin) == ("Blur@1", "Blur@1#cpu", "acme")


@pytest.mark.parametrize(
    "read, mine, theirs",
    [
        (("axis", "INT32", 1), "reads 'axis' as int32", "axis: int64 = -1"),
        (("axis", "FLOAT64", 1), "reads 'axis' as float64", "axis: int64 = -1"),
        (("sizes", "INT64", 1), "reads 'sizes' as int64", "sizes: int64[1..4]"),
        (("sizes", "INT64", 3), "reads 'sizes' as int64[..3]", "sizes: int64[1..4]"),
    ],
    ids=["narrower integer", "float for integer", "scalar for list", "too little room"],
)
def test_another_type_or_too_little_room_is_refused(read, mine, theirs):
    error = refusal(spec(), implementation(reads=[read]))
    assert (error.got, error.expected) == ([mine], [theirs])


def test_a_list_without_limit_needs_a_reader_without_limit():
    op = spec(fields=(Field("sizes", FieldType.INT64, max_length=-1),))
    check_implementation(op, implementation(reads=[("sizes", "INT64", -1)]), "acme")
    assert refusal(op, implementation(reads=[("sizes", "INT64", 8)])).expected == ["sizes: int64[1..]"]


def test_an_enum_shows_the_type_in_which_it_is_read():
    op = spec(fields=(Field("mode", FieldType.INT32, DeviceType.CPU, enum=DeviceType),))
    assert refusal(op, implementation(reads=[("mode", "INT64", 1)])).expected[0].startswith("mode: DeviceType (int32)")


def test_all_disagreements_come_at_once():
    reads = [("a", "INT64", 1), ("b", "INT64", 1), ("c", "INT64", 1), ("d", "INT64", 1)]
    error = refusal(spec(), implementation(reads=reads))
    assert len(error.got) == 4
    assert "and 1 more" in str(error)


def test_types_outside_the_rule_are_refused():
    error = refusal(spec(), implementation(types=["f32|i8|u8 -> f32|i8|u8", "i8 -> i8", "f32 -> f32"]))
    assert error.got == ["row row0 and 1 more: 'x' as INT8 | UINT8"]
    assert error.expected == ["x: FLOAT | HALF"]


def test_a_port_that_may_be_quantized_takes_int8():
    op = spec(inputs=(Port("x", (DataType.FLOAT,), quantized=True),))
    check_implementation(op, implementation(types=["i8 -> i8"]), "acme")


@pytest.mark.parametrize(
    "types, rule",
    [
        ("f32 f32 -> f32", "inputs: x"),
        ("-> f32", "inputs: x"),
        ("f32 -> f32 f32", "outputs: y"),
        ("f32 f32", "a row is 'inputs -> outputs', or one word for all tensors"),
    ],
)
def test_a_row_with_the_wrong_number_of_words_is_refused(types, rule):
    assert refusal(spec(), implementation(types=[types])).expected == [rule]


def test_an_unknown_type_lists_the_known_ones():
    assert refusal(spec(), implementation(types=["float -> f32"])).expected[0].startswith("types are f32 f16")


@pytest.mark.parametrize("types", ["f32", "f32... -> f32", "f32|f16 -> f32|f16"])
def test_one_word_repeats_and_alternatives_are_read(types):
    check_implementation(spec(), implementation(types=[types]), "acme")


def test_words_of_absent_optional_inputs_may_be_left_out():
    op = spec(inputs=(Port("x"), Port("bias", optional=True)))
    check_implementation(op, implementation(types=["f32 -> f32", "f32 f32 -> f32"]), "acme")


def test_an_op_that_takes_anything_takes_any_row():
    op = spec(inputs=(Port("inputs", variadic=True),), outputs=())
    check_implementation(op, implementation(types=["f32 i8 i32 -> f32 f32"]), "acme")


def test_an_unknown_op_lists_what_is_near():
    with pytest.raises(ImplementationMismatch) as error:
        check_implementation(None, implementation("Blurr@1"), "acme", "Blur@1 (built in)")
    assert error.value.missing_op == "Blurr@1"
    assert "near" in str(error.value) and "Blur@1 (built in)" in str(error.value)

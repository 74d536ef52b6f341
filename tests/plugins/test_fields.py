"""Limits and second spellings of fields."""

import pytest

from dovetail.core.errors import FieldValueError
from dovetail.core.types import DataType
from dovetail.plugins import bit_mask, both, deprecated, field, renamed
from dovetail.plugins.fields import make_field


def test_a_mask_reads_and_writes_the_axis():
    values = {"axis": 1}
    mask = bit_mask("axis")
    assert mask.get(values) == 2
    mask.set(values, 1 << 3)
    assert values == {"axis": 3}


@pytest.mark.parametrize("mask", [0, 3, -4])
def test_a_mask_has_exactly_one_bit(mask):
    with pytest.raises(FieldValueError, match="exactly one bit"):
        bit_mask("axis").set({"axis": 0}, mask)


def test_both_writes_two_fields_and_reads_the_first():
    values = {"pre": (1,), "post": (2,)}
    padding = both("pre", "post")
    assert padding.get(values) == (1,)
    padding.set(values, (3,))
    assert values == {"pre": (3,), "post": (3,)}


def test_deprecated_spellings_say_what_to_use():
    values = {"stride_nd": (1, 1)}
    stride = renamed("stride_nd")
    stride.set(values, (2, 2))
    assert (stride.get(values), stride.deprecated) == ((2, 2), "stride_nd")
    assert deprecated(both("pre", "post"), "padding_nd").deprecated == "padding_nd"


def test_a_limit_may_be_a_member_of_an_enumeration():
    made = make_field("to", int, field(-1, low=-1, high=DataType.INT64))
    with pytest.raises(FieldValueError) as error:
        made.check("Identity@1", 99)
    assert error.value.expected == f"is allowed -1..{int(DataType.INT64)}"

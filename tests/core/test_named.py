"""Enumerations print as their names, count as their values, and say what else could be written."""

import json
import pickle

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import DTypeError, FieldValueError
from dovetail.core.named import Named

MEMBERS = [
    (trt.BuilderFlag.FP16, "BuilderFlag.FP16", 0),
    (trt.MemoryPoolType.TACTIC_DRAM, "MemoryPoolType.TACTIC_DRAM", 4),
    (trt.Logger.WARNING, "Severity.WARNING", 2),
    (trt.ElementWiseOperation.PROD, "ElementWiseOperation.PROD", 1),
    (trt.ActivationType.SIGMOID, "ActivationType.SIGMOID", 1),
    (trt.DataType.HALF, "DataType.HALF", 1),
    (trt.ParserError.Code.INVALID_NODE, "ErrorCode.INVALID_NODE", 6),
]


@pytest.mark.parametrize(("member", "text", "value"), MEMBERS)
def test_a_member_prints_as_its_name_and_counts_as_its_value(member, text, value):
    assert str(member) == f"{member}" == f"{member!s}" == text
    assert f"{member:>40}" == text.rjust(40)
    assert repr(member) == f"<{text}: {value}>"
    assert int(member) == value == member and 1 << member == 1 << value
    assert json.dumps(member) == str(value)
    assert pickle.loads(pickle.dumps(member)) is member


def test_every_public_enumeration_prints_as_its_name():
    enums = [value for name in dir(trt) if isinstance(value := getattr(trt, name), type) and issubclass(value, int)]
    enums = [enum for enum in enums if hasattr(enum, "__members__")]
    assert len(enums) > 40
    for enum in enums:
        assert issubclass(enum, Named), enum
        assert all(str(member) == f"{enum.__name__}.{member.name}" for member in enum)


@pytest.mark.parametrize(
    ("enum", "value", "error", "words"),
    [
        (trt.BuilderFlag, "FP16", DTypeError, ["a BuilderFlag cannot be 'FP16'", "Write trt.BuilderFlag.FP16."]),
        (trt.BuilderFlag, None, DTypeError, ["a BuilderFlag cannot be None", "FP16, INT8", "of trt.BuilderFlag"]),
        (trt.BuilderFlag, 99, FieldValueError, ["a BuilderFlag cannot be 99", "FP16, INT8"]),
        (trt.ElementWiseOperation, "add", DTypeError, ["an ElementWiseOperation cannot be 'add'"]),
        (trt.DataType, np.float32, DTypeError, ["Write trt.DataType.FLOAT."]),
        (trt.DataType, np.dtype("int8"), DTypeError, ["Write trt.DataType.INT8."]),
        (trt.DataType, "float16", DTypeError, ["Write trt.DataType.HALF."]),
        (trt.DataType, "torch.float16", DTypeError, ["Write trt.DataType.HALF."]),
        (trt.DataType, "floats", DTypeError, ["Write trt.DataType.FLOAT."]),
        (trt.Logger.Severity, "WARN", DTypeError, ["Write trt.Logger.Severity.WARNING."]),
    ],
)
def test_what_is_no_member_is_named_with_the_nearest_one(enum, value, error, words):
    with pytest.raises(error) as caught:
        enum(value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_nothing_is_suggested_for_a_text_that_is_like_no_member():
    with pytest.raises(DTypeError) as caught:
        trt.BuilderFlag("zzz")
    assert "Write" not in str(caught.value)

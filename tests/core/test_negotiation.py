"""Negotiation: which rows fit, where their tensors lie, and why the others do not."""

from types import SimpleNamespace

import pytest

from dovetail.core.contract import Implementation, Row
from dovetail.core.errors import DTypeError
from dovetail.core.negotiation import FormatRow, Place, Target, Trace, negotiate, words_for
from dovetail.core.tensor import DynamicTensorDesc
from dovetail.core.types import DataType, DeviceType, TensorFormat

CPU, GPU = DeviceType.CPU, DeviceType.GPU
LINEAR, CHW32 = TensorFormat.LINEAR, TensorFormat.CHW32
X = DynamicTensorDesc((1, 32, 4, 4), DataType.FLOAT)
NOBODY = Target()
A100 = Target(frozenset({"avx2"}), 80, "NVIDIA A100")


def trace_of(target, *rows, device=GPU, tensors=(X, X), n_inputs=1):
    native = SimpleNamespace(fits=lambda *arguments: "", supports=lambda *arguments: True)
    table = tuple(Row(f"row{i}", "f32", index=i, **facts) for i, facts in enumerate(rows))
    trace = Trace()
    negotiate(Implementation("Copy@1", "x", device, table, native=native), None, tensors, n_inputs, target, trace)
    return trace


def places_of(formats, **facts):
    (row,) = trace_of(A100, {"formats": formats}, **facts).found
    return row.places


def test_words_keep_their_suffix():
    assert words_for("linear@cpu -> linear", 1, 1) == (["linear@cpu"], ["linear"])
    assert words_for("linear@cpu... -> linear", 3, 1) == (["linear@cpu"] * 3, ["linear"])
    assert words_for("chw32@cpu", 1, 2) == (["chw32@cpu"], ["chw32@cpu"] * 2)


def test_a_word_is_a_place():
    assert Place.of_word("chw32", GPU) == (CHW32, GPU)
    assert Place.of_word("chw32@cpu", GPU) == (CHW32, CPU)
    assert Place.of_word("linear@cpu", CPU) == (LINEAR, CPU)
    assert str(Place(CHW32, GPU)) == "CHW32 on the GPU"


def test_a_word_with_another_suffix_is_no_format():
    with pytest.raises(DTypeError, match="linear@gpu"):
        Place.of_word("linear@gpu", GPU)


def test_tensors_are_on_the_device_of_the_implementation():
    assert places_of("linear") == (Place(LINEAR, GPU), Place(LINEAR, GPU))
    assert places_of("linear", device=CPU) == (Place(LINEAR, CPU), Place(LINEAR, CPU))


def test_a_copy_has_one_tensor_on_the_host():
    assert places_of("linear@cpu -> linear") == (Place(LINEAR, CPU), Place(LINEAR, GPU))
    assert places_of("chw32 -> chw32@cpu") == (Place(CHW32, GPU), Place(CHW32, CPU))


def test_absent_inputs_have_no_place():
    assert places_of("linear linear@cpu -> linear", tensors=(X, None, X), n_inputs=2)[1] is None


def test_formats_follow_from_places():
    row = FormatRow(Implementation("Copy@1", "x"), 0, "", (Place(CHW32, GPU), None, Place(LINEAR, CPU)))
    assert row.formats == (CHW32, None, LINEAR)


def test_what_is_asked_position_by_position_lies_on_its_device():
    assert {place.device for row in trace_of(A100).found for place in row.places} == {GPU}
    assert {place.device for row in trace_of(A100, device=CPU).found for place in row.places} == {CPU}


def test_a_row_for_a_newer_card_names_both():
    trace = trace_of(A100, {"min_sm": 90}, {"min_sm": 80}, {})
    assert [refusal.reason for refusal in trace.refused] == ["needs sm_90, this device is sm_80"]
    assert [row.tactic for row in trace.found] == ["row1", "row2"]


def test_a_row_for_a_card_where_there_is_none():
    (refusal,) = trace_of(NOBODY, {"min_sm": 80}).refused
    assert refusal.reason == "needs sm_80, no GPU is used here"


def test_instruction_sets_are_those_of_the_cpu():
    (refusal,) = trace_of(A100, {"needs": ("avx2", "avx512")}, device=CPU).refused
    assert refusal.reason == "needs avx512, which this cpu lacks"


def test_a_machine_has_a_cpu_and_perhaps_a_gpu():
    assert NOBODY.has(CPU) and not NOBODY.has(GPU) and A100.has(GPU) and not A100.has(DeviceType.DLA)
    assert A100.describe(GPU) == "this gpu (NVIDIA A100, sm_80)"
    assert A100.describe(CPU) == "this cpu (avx2)"

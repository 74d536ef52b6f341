"""Negotiation: which rows fit, where their tensors lie, and why the others do not."""

from types import SimpleNamespace

import numpy as np
import pytest

from dovetail.core.contract import Implementation, Row
from dovetail.core.errors import DTypeError
from dovetail.core.negotiation import PINNED, FormatRow, Place, Refusal, Target, Trace, negotiate, words_for
from dovetail.core.tensor import DynamicTensorDesc
from dovetail.core.types import DataType, DeviceType, TensorFormat

CPU, GPU = DeviceType.CPU, DeviceType.GPU
LINEAR, CHW32 = TensorFormat.LINEAR, TensorFormat.CHW32
FLOAT, HALF, BF16 = DataType.FLOAT, DataType.HALF, DataType.BF16
X = DynamicTensorDesc((1, 32, 4, 4), DataType.FLOAT)
NOBODY = Target()
A100 = Target(frozenset({"avx2"}), 80, "NVIDIA A100")


def trace_of(target, *rows, device=GPU, tensors=(X, X), n_inputs=1, fits=lambda *arguments: "", **facts):
    native = SimpleNamespace(fits=fits, supports=lambda *arguments: True)
    table = tuple(Row(f"row{i}", index=i, **{"types": "f32", **row}) for i, row in enumerate(rows))
    trace = Trace()
    implementation = Implementation("Copy@1", "x", device, table, native=native)
    negotiate(implementation, None, tensors, n_inputs, target, trace, **facts)
    return trace


def places_of(formats, **facts):
    (row,) = trace_of(A100, {"formats": formats}, **facts).found
    return row.places


def test_rows_that_a_pin_leaves_out_share_a_line():
    reason = f"{PINNED}#mine"
    refused = [Refusal(f"Copy@1#{name}", "row", -1, reason) for name in ("a", "b", "c")]
    trace = Trace(refused=[refused[0], Refusal("Copy@1#mine", "own", -1, "needs 4 dims"), *refused[1:]])
    assert trace.facts() == [("#a row and 2 more", reason), ("#mine own", "needs 4 dims")]


def test_words_keep_their_suffix():
    assert words_for("linear@cpu -> linear", 1, 1) == (["linear@cpu"], ["linear"])
    assert words_for("linear@cpu... -> linear", 3, 1) == (["linear@cpu"] * 3, ["linear"])
    assert words_for("chw32@cpu", 1, 2) == (["chw32@cpu"], ["chw32@cpu"] * 2)


def test_a_type_and_a_word_are_a_place():
    assert Place.of_word(FLOAT, "chw32", GPU) == (FLOAT, CHW32, GPU)
    assert Place.of_word(FLOAT, "chw32@cpu", GPU) == (FLOAT, CHW32, CPU)
    assert Place.of_word(HALF, "linear@cpu", CPU) == (HALF, LINEAR, CPU)
    assert str(Place(HALF, CHW32, GPU)) == "HALF CHW32 on the GPU"


def test_a_place_says_what_distinguishes_it_from_another():
    here = Place(FLOAT, LINEAR, CPU)
    assert Place(FLOAT, CHW32, CPU).beside(here) == "CHW32"
    assert Place(HALF, LINEAR, CPU).beside(here) == "HALF"
    assert Place(HALF, CHW32, CPU).beside(here) == "HALF CHW32"
    assert Place(FLOAT, LINEAR, GPU).beside(here) == "LINEAR on the GPU"
    assert Place(HALF, LINEAR, GPU).beside(here) == "HALF LINEAR on the GPU"


def test_a_word_with_another_suffix_is_no_format():
    with pytest.raises(DTypeError, match="linear@gpu"):
        Place.of_word(FLOAT, "linear@gpu", GPU)


def test_tensors_are_on_the_device_of_the_implementation():
    assert places_of("linear") == (Place(FLOAT, LINEAR, GPU), Place(FLOAT, LINEAR, GPU))
    assert places_of("linear", device=CPU) == (Place(FLOAT, LINEAR, CPU), Place(FLOAT, LINEAR, CPU))


def test_a_copy_has_one_tensor_on_the_host():
    assert places_of("linear@cpu -> linear") == (Place(FLOAT, LINEAR, CPU), Place(FLOAT, LINEAR, GPU))
    assert places_of("chw32 -> chw32@cpu") == (Place(FLOAT, CHW32, GPU), Place(FLOAT, CHW32, CPU))


def test_absent_inputs_have_no_place():
    assert places_of("linear linear@cpu -> linear", tensors=(X, None, X), n_inputs=2)[1] is None


def test_types_and_formats_follow_from_places():
    row = FormatRow(Implementation("Copy@1", "x"), 0, "", (Place(HALF, CHW32, GPU), None, Place(FLOAT, LINEAR, CPU)))
    assert row.formats == (CHW32, None, LINEAR)
    assert row.types == (HALF, None, FLOAT)


FLOATS_ROW = {"types": "f32|f16|bf16 f32|f16|bf16 -> f32|f16|f32"}


def test_a_row_is_offered_in_the_types_of_the_network():
    (row,) = trace_of(NOBODY, FLOATS_ROW, device=CPU, tensors=(X, X, X), n_inputs=2).found
    assert row.types == (FLOAT, FLOAT, FLOAT)


def test_a_row_is_offered_in_each_assignment_of_allowed_types():
    several = (FLOAT, HALF, BF16)
    trace = trace_of(
        NOBODY, FLOATS_ROW, device=CPU, tensors=(X, X, X), n_inputs=2, types=[several, several, (FLOAT, HALF)]
    )
    assert [row.types for row in trace.found] == [(FLOAT, FLOAT, FLOAT), (HALF, HALF, HALF), (BF16, BF16, FLOAT)]


def test_a_row_of_types_that_are_not_allowed_names_those_that_are():
    trace = trace_of(NOBODY, {"types": "i8"}, device=CPU, types=[(FLOAT, HALF), (FLOAT,)])
    assert [str(refusal) for refusal in trace.refused] == ["Copy@1#x:row0 position 0: takes i8 only, got FLOAT or HALF"]


def test_a_row_sees_constants_in_the_type_that_it_takes():
    seen = []

    def fits(native_object, row, inputs, outputs):
        seen.append((inputs[1].dtype, inputs[1].data.dtype.name, inputs[1].data.tolist()))

    weights = DynamicTensorDesc((2,), FLOAT, data=np.array([1.0, 70000.0], np.float32))
    several = (FLOAT, HALF)
    tensors = (X, weights, X)
    trace_of(NOBODY, FLOATS_ROW, device=CPU, tensors=tensors, n_inputs=2, types=[several] * 3, fits=fits)
    assert seen == [(FLOAT, "float32", [1.0, 70000.0]), (HALF, "float16", [1.0, np.inf])]


def test_only_wanted_places_are_asked_about():
    wanted = (Place(HALF, CHW32, CPU), Place(HALF, CHW32, CPU))
    rows = [{"types": types, "formats": formats} for types in ("f32", "f16") for formats in ("linear", "chw32")]
    trace = trace_of(NOBODY, *rows, device=CPU, wanted=wanted)
    assert [(row.tactic, row.places) for row in trace.found] == [("row3", wanted)]


def walked(accepts, **facts):
    """What is found where a predicate is asked, which accepts these (type, format) pairs by position."""
    native = SimpleNamespace(
        supports=lambda obj, pos, descs, n_in, n_out: accepts(pos, [(one.dtype, one.format) for one in descs])
    )
    trace = Trace()
    negotiate(Implementation("V2@1", "x", CPU, (), native=native), None, (X, X), 1, NOBODY, trace, **facts)
    return trace


def test_a_predicate_is_asked_about_other_types_behind_those_of_the_network():
    trace = walked(
        lambda pos, given: given[pos][1] == LINEAR and (pos == 0 or given[1][0] == given[0][0]),
        types=[(FLOAT, HALF), (FLOAT, HALF)],
    )
    assert [row.types for row in trace.found] == [(FLOAT, FLOAT), (HALF, HALF)]


def test_a_predicate_may_mix_types():
    trace = walked(lambda pos, given: given[pos][1] == LINEAR, types=[(FLOAT, HALF), (FLOAT, HALF)])
    assert [row.types for row in trace.found] == [(FLOAT, FLOAT), (HALF, HALF), (HALF, FLOAT), (FLOAT, HALF)]


def test_what_a_predicate_refuses_names_the_types():
    trace = walked(lambda pos, given: pos == 0 and given[0] == (HALF, LINEAR), types=[(FLOAT, HALF), (FLOAT, HALF)])
    assert trace.found == []
    assert any("refused HALF in LINEAR, " in r.reason and " and FLOAT in LINEAR, " in r.reason for r in trace.refused)
    assert trace.refused[-1].reason.endswith(" after HALF LINEAR")


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

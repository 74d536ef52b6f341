"""Loading a good plan: what is looked up, made and configured, and what is said when that cannot be."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dovetail import _native
from dovetail.core.errors import FieldValueError, PlanVersionError, PluginFailed, PluginNotFound
from tests.runtime.plans import Draft, chain, fixed, open_chain

pytestmark = pytest.mark.usefixtures("tiny")


def run(plan: bytes, *inputs: np.ndarray, n_threads: int = 1) -> np.ndarray:
    context = _native.Context(_native.Engine(plan, n_threads))
    for io, array in enumerate(inputs):
        context.set_input_shape(io, array.shape)
        context.set_buffer(io, array)
    y = np.full(context.tensor_shape(len(inputs)), np.nan, np.float32)
    context.set_buffer(len(inputs), y)
    context.execute()
    return y


def test_attributes_say_what_the_plan_says():
    engine = _native.Engine(open_chain().to_bytes(), 3)
    assert (engine.name, engine.n_profiles, engine.n_threads) == ("open", 1, 3)
    assert engine.inputs == [
        {
            "name": "x",
            "dtype": 0,
            "format": 0,
            "scale": -1.0,
            "dims": (-1, 3),
            "dim_names": ["batch", None],
            "device": 1,
            "is_shape": False,
            "is_data": True,
            "is_sized_late": False,
        }
    ]
    assert engine.outputs[0]["dims"] == (-1,)
    assert engine.profile(0)["inputs"] == [((1, 3), (4, 3), (16, 3))]
    assert engine.steps[1]["inputs"] == ["view", None]
    assert json.loads(engine.metadata)["name"] == "open"


def test_a_profile_says_what_the_plan_was_made_for():
    engine = _native.Engine(open_chain().to_bytes())
    profile = engine.profile(0)
    assert profile["contents"] == [((), (), ())]
    assert (profile["cuda_arena_bytes"], profile["cuda_lower_bound"]) == (0, 0)
    assert (engine.n_steps, engine.producer) == (len(engine.steps), "by hand")


def test_a_report_within_the_plan_is_taken_where_the_file_has_none_beside_it():
    draft = open_chain()
    draft.plan["report"] = {"steps": [], "notes": ["as plans of earlier versions have it"]}
    assert json.loads(_native.Engine(draft.to_bytes()).report) == draft.plan["report"]


def test_a_file_is_mapped_and_gives_the_same(tmp_path):
    path = tmp_path / "net.plan"
    path.write_bytes(chain().to_bytes())
    context = _native.Context(_native.Engine(path))
    path.unlink()  # the map stays
    x, y = np.arange(8, dtype=np.float32), np.zeros(8, np.float32)
    context.set_buffer(0, x)
    context.set_buffer(1, y)
    context.execute()
    assert y.tolist() == x.tolist()


@pytest.mark.parametrize("offset", [0, 1, 8, 63])
def test_a_buffer_at_any_address_will_do(offset):
    plan = chain().to_bytes()
    storage = np.zeros(len(plan) + 128, np.uint8)
    start = -storage.ctypes.data % 64 + offset
    storage[start : start + len(plan)] = np.frombuffer(plan, np.uint8)
    view = memoryview(storage)[start : start + len(plan)]
    assert run(view, np.ones(8, np.float32)).tolist() == [1] * 8


def test_host_memory_is_an_aligned_copy_that_files_take(tmp_path):
    class Plan(_native.HostMemory):
        """As the machine derives from it."""

    plan = Plan(chain().to_bytes())
    assert (len(plan), bytes(plan)) == (plan.nbytes, chain().to_bytes())
    assert memoryview(plan).readonly
    assert np.asarray(plan).ctypes.data % 64 == 0
    (tmp_path / "net.plan").write_bytes(plan)
    assert run(plan, np.ones(8, np.float32)).tolist() == [1] * 8


def test_constants_and_fields_reach_the_kernel():
    draft = Draft()
    x, w = draft.add_tensor("x", [4], "input"), draft.add_weights("w", np.array([1, 2, 3, 4]))
    y = draft.add_tensor("y", [4], "output")
    draft.add_step("tiny::Add@1#c", [x, w], [y], "plain", fields=[["factor", 2, 0.5]])
    draft.add_profile(fixed(4))
    assert run(draft.to_bytes(), np.full(4, 10, np.float32)).tolist() == [5.5, 6, 6.5, 7]


def test_infinity_is_written_as_a_word():
    draft = chain(1)
    draft.plan["steps"][0]["fields"] = [["factor", 2, "-inf"]]
    assert run(draft.to_bytes(), np.ones(8, np.float32)).tolist() == [-np.inf] * 8


def test_packed_bytes_reach_the_kernel():
    draft = Draft()
    x, y = draft.add_tensor("x", [2], "input"), draft.add_tensor("y", [2], "output")
    packed = draft.add_constant(np.float32([7]))
    draft.add_step("tiny::Packed@1#c", [x], [y], "packed", packed=packed)
    draft.add_profile(fixed(2))
    assert run(draft.to_bytes(), np.zeros(2, np.float32)).tolist() == [7, 7]


def test_packed_bytes_of_another_build_are_refused():
    draft = Draft()
    x, y = draft.add_tensor("x", [2], "input"), draft.add_tensor("y", [2], "output")
    packed = draft.add_constant(np.float32([7]))
    draft.add_step("tiny::Packed@1#c", [x], [y], "packed", packed=packed)
    draft.plan["requires"] = [{"op": "tiny::Packed@1", "implementation": "tiny::Packed@1#c", "hash": "0" * 16}]
    draft.add_profile(fixed(2))
    with pytest.raises(PlanVersionError, match="packed by another build of tiny::Packed@1#c"):
        _native.Engine(draft.to_bytes())


W = np.float32([1, 2, 3])


def twice(how: str, row: str = "twice", **changes) -> Draft:
    """y = x + 2 * w; of w the plan has both forms, or one: "packed", or "raw", which is packed at load."""
    draft = Draft()
    x, y = draft.add_tensor("x", [3], "input"), draft.add_tensor("y", [3], "output")
    w = draft.add_weights("w", W)
    packed = draft.add_constant(np.float32([2, 0, 4, 0, 6, 0]))
    if how == "packed":
        draft.plan["tensors"][w]["constant"] = -1
    if how == "raw":
        draft.plan["constants"][packed] = {"step": 0, "bytes": 24}
    draft.add_step("tiny::Twice@1#c", [x, w], [y], row, packed=packed)
    draft.add_profile(fixed(3))
    return draft


@pytest.mark.parametrize("how", ["both", "packed", "raw"])
def test_a_constant_may_be_in_the_plan_packed_or_as_it_is(how):
    assert run(twice(how).to_bytes(), np.zeros(3, np.float32)).tolist() == [2, 4, 6]


@pytest.mark.parametrize("row", ["given", "giving"])
def test_what_a_row_gives_is_emitted_in_its_order(row):
    """Kept where it lies if it comes first; joined with what comes after it."""
    assert run(twice("raw", row).to_bytes(), np.zeros(3, np.float32)).tolist() == [2, 4, 6]


@pytest.mark.parametrize("row", ["foreign", "too_much"])
def test_a_row_may_give_only_memory_that_it_got(row):
    with pytest.raises(FieldValueError, match="tiny::Twice@1#c failed in prepare") as caught:
        _native.Engine(twice("raw", row).to_bytes())
    assert "INVALID_ARGUMENT" in str(caught.value)


def many_twice(n_steps: int = 10, n: int = 64) -> Draft:
    """y = x + 2 * w1 + 2 * w2 + ..., where wk is k everywhere; all are packed at load."""
    draft = Draft()
    x = draft.add_tensor("x", [n], "input")
    for k in range(n_steps):
        last = k == n_steps - 1
        y = draft.add_tensor(f"t{k}", [n], **({"where": "output"} if last else {"room": 4 * n}))
        w = draft.add_weights(f"w{k}", np.full(n, k + 1, np.float32))
        packed = draft.add_constant(np.zeros(2 * n, np.float32))
        draft.plan["constants"][packed] = {"step": k, "bytes": 8 * n}
        draft.add_step("tiny::Twice@1#c", [x, w], [y], "given" if k % 2 else "twice", packed=packed)
        x = y
    draft.add_profile(fixed(n))
    return draft


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_constants_are_packed_by_all_threads(n_threads):
    """Each step gets its own, whichever thread packs it. Of several failures that of the largest constant is raised."""
    draft = many_twice()
    assert run(draft.to_bytes(), np.zeros(64, np.float32), n_threads=n_threads).tolist() == [110.0] * 64
    for step, more in ((3, 8), (7, 16)):
        draft.plan["constants"][draft.plan["steps"][step]["packed"]]["bytes"] += more
    with pytest.raises(PlanVersionError, match="into 512 bytes, the plan was made for 528"):
        _native.Engine(draft.to_bytes(), n_threads)


def test_a_row_that_reads_a_constant_must_have_it():
    with pytest.raises(PlanVersionError, match="it reads input 1, of which the plan has a packed form only"):
        _native.Engine(twice("packed", "never").to_bytes())


def without_contents(inputs: str) -> Draft:
    """As `twice("raw")`, but for the constant that is packed."""
    draft = twice("raw", "trusting")
    x = draft.plan["inputs"][0]
    draft.plan["steps"][0]["inputs"] = {"one": [x], "absent": [x, -1], "computed": [x, x]}[inputs]
    return draft


@pytest.mark.parametrize(
    ("inputs", "reason"), [("one", "is missing"), ("absent", "is missing"), ("computed", "no contents")]
)
def test_a_row_packs_nothing_that_the_plan_does_not_have(inputs, reason):
    """Its `prepare` reads it without a look, and it has no `fits`."""
    assert run(twice("raw", "trusting").to_bytes(), np.zeros(3, np.float32)).tolist() == [2, 4, 6]
    for load in (_native.Engine, _native.check_plan):
        with pytest.raises(PlanVersionError, match=f"it packs input 1, .*{reason}"):
            load(without_contents(inputs).to_bytes())


@pytest.mark.parametrize("row", ["never", "older"])
def test_a_row_that_replaces_nothing_packs_nothing_at_load(row):
    """Nor does a row of interface 1.0, which knows nothing of it."""
    with pytest.raises(PlanVersionError, match="it packs nothing when a plan is loaded"):
        _native.Engine(twice("raw", row).to_bytes())
    with pytest.raises(PlanVersionError, match="it reads input 1, of which the plan has a packed form only"):
        _native.Engine(twice("packed", row).to_bytes())


def test_a_packed_form_without_bytes_takes_no_inputs_place():
    draft = twice("packed", "trusting")
    draft.plan["constants"][draft.plan["steps"][0]["packed"]]["bytes"] = 0
    with pytest.raises(PlanVersionError, match="it reads input 1, of which the plan has a packed form only"):
        _native.Engine(draft.to_bytes())


def test_a_row_that_packs_into_another_number_of_bytes_is_refused():
    draft = twice("raw")
    draft.plan["constants"][1]["bytes"] = 23
    with pytest.raises(PlanVersionError, match="it packs its constants into 24 bytes, the plan was made for 23"):
        _native.Engine(draft.to_bytes())


@pytest.mark.parametrize("stored", ["fields", "state"])
def test_an_op_object_comes_from_fields_or_from_its_saved_state(stored):
    draft = Draft()
    x, y = draft.add_tensor("x", [3], "input"), draft.add_tensor("y", [3], "output")
    if stored == "fields":
        draft.add_step("tiny::Fill@1#v2", [x], [y], fields=[["value", 10, 42]])
    else:
        state = draft.add_constant(np.int64([42]))
        draft.add_step("tiny::Fill@1#v2", [x], [y], state=state)
    draft.add_profile(fixed(3))
    assert run(draft.to_bytes(), np.zeros(3, np.float32)).tolist() == [42, 42, 42]


def test_a_state_that_load_refuses_is_the_plugins_failure():
    draft = Draft()
    x, y = draft.add_tensor("x", [3], "input"), draft.add_tensor("y", [3], "output")
    draft.add_step("tiny::Fill@1#v2", [x], [y], state=draft.add_constant(b"short"))
    draft.add_profile(fixed(3))
    with pytest.raises(PluginFailed, match="layer0") as error:
        _native.Engine(draft.to_bytes())
    assert "the state has another size" in str(error.value)


def test_a_create_that_fails_names_the_layer():
    draft = chain(1)
    draft.plan["steps"][0]["fields"] = [["refuse", 5, 1]]
    with pytest.raises(PluginFailed, match="of layer 'layer0'") as error:
        _native.Engine(draft.to_bytes())
    assert "the field says so" in str(error.value)


@pytest.mark.parametrize(
    ("field", "stored"),
    [
        (["factor", 1, 2.0], "FLOAT32 x 1"),
        (["factor", 2, [2.0, 3.0]], "FLOAT64 x 2"),
        (["factor", 2, []], "FLOAT64 x 0"),
    ],
)
def test_a_field_that_the_kernel_reads_otherwise_is_refused(field, stored):
    draft = chain(1)
    draft.plan["steps"][0]["fields"] = [field]
    with pytest.raises(PlanVersionError, match="has a field 'factor' that tiny::Add@1#c cannot read") as error:
        _native.Engine(draft.to_bytes())
    assert error.value.facts == [("reads", "FLOAT64 x 1"), ("plan", stored)]


def test_a_missing_implementation_says_how_to_get_it():
    draft = chain(1)
    draft.plan["steps"][0] |= {"op": "acme::NMS@2", "implementation": "acme::NMS@2#fast"}
    draft.plan["requires"] = [
        {
            "op": "acme::NMS@2",
            "implementation": "acme::NMS@2#fast",
            "plugin": "acme-nms",
            "plugin_version": "2.1",
            "library": "libacme.so",
            "hash": "",
            "distribution": "acme-nms",
            "python": "",
        }
    ]
    with pytest.raises(PluginNotFound) as error:
        _native.Engine(draft.to_bytes())
    assert error.value.message == "layer 'layer0' needs acme::NMS@2#fast, which no loaded plugin provides"
    assert error.value.facts == [
        ("op", "acme::NMS@2"),
        ("implementation", "acme::NMS@2#fast"),
        ("plugin", "acme-nms 2.1"),
        ("library", "libacme.so"),
        ("distribution", "acme-nms"),
    ]
    assert error.value.hint == (
        "Load libacme.so (registry.load_library, dt_runtime_load_library), or run pip install acme-nms. "
        "Then load the plan again."
    )
    assert error.value.implementation == "acme::NMS@2#fast"


def test_a_tactic_that_is_gone_lists_those_there_are():
    draft = chain(1, row="fast_avx2")
    with pytest.raises(PlanVersionError) as error:
        _native.Engine(draft.to_bytes())
    assert "present  alien, plain" in str(error.value)


def test_a_tactic_whose_instructions_this_machine_lacks_is_refused():
    with pytest.raises(PlanVersionError, match="which this cpu lacks"):
        _native.Engine(chain(1, row="alien").to_bytes())


def test_a_row_is_asked_whether_it_takes_the_tensors():
    draft = chain(1)
    draft.plan["tensors"][0]["dims"], draft.plan["profiles"][0]["inputs"] = [9], [fixed(9)]
    with pytest.raises(PlanVersionError) as error:
        _native.Engine(draft.to_bytes())
    assert "all tensors must have one shape" in str(error.value)


def test_a_row_of_other_types_is_refused():
    draft = chain(1)
    for tensor in draft.plan["tensors"]:
        tensor["dtype"] = 3
    with pytest.raises(PlanVersionError) as error:
        _native.Engine(draft.to_bytes())
    assert "it takes f32 f32 -> f32" in str(error.value)


@pytest.mark.parametrize("minor", [0, 7])
def test_a_later_minor_is_accepted(minor):
    draft = chain()
    draft.plan["version"] = [2, minor]
    draft.plan["something new"] = {"a": 1}
    assert _native.Engine(draft.to_bytes()).name == "chain"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": [3, 0]}, "its format is another one"),
        ({"version": [0, 9]}, "its format is another one"),
        ({"device": {"type": "tpu", "isa": []}}, "it is for device 'tpu'"),
        ({"device": {"type": "cpu", "isa": ["avx9000"]}}, "it needs avx9000, which this cpu lacks"),
        ({"device": {"type": "cpu", "isa": [], "machine": "vax"}}, "another kind of machine"),
    ],
)
def test_a_plan_for_somewhere_else_is_a_version_error(change, text):
    draft = chain()
    draft.plan |= change
    with pytest.raises(PlanVersionError, match=text):
        _native.Engine(draft.to_bytes())


def test_life_cycle_is_tensorrts():
    events: list[str] = []
    _native.set_log_sink(lambda level, text: events.append(text))
    try:
        engine = _native.Engine(open_chain().to_bytes(), 1)
        assert events == ["create layer0", "create layer1", "configure layer0", "configure layer1"]
        events.clear()
        context = _native.Context(engine)
        other = _native.Context(engine)
        assert events == ["make_context layer0", "make_context layer1"] * 2
        events.clear()
        for n, expected in [(2, ["shape_changed layer0", "shape_changed layer1"]), (2, []), (3, None)]:
            context.set_input_shape(0, (n, 3))
            context.set_buffer(0, np.zeros((n, 3), np.float32))
            context.set_buffer(1, np.zeros(3 * n, np.float32))
            context.execute()
            assert events == (["shape_changed layer0", "shape_changed layer1"] if expected is None else expected)
            events.clear()
        del context, engine
        assert sorted(events) == ["drop_context layer0", "drop_context layer1"]
        events.clear()
        del other
        assert sorted(events)[:2] == ["destroy layer0", "destroy layer1"]
    finally:
        _native.set_log_sink(None)


def test_workspaces_grow_with_the_threads_of_the_engine():
    draft = chain(2)  # planned without any workspace
    one, four = (_native.Engine(draft.to_bytes(), n).device_memory_size() for n in (1, 4))
    assert (one, four) == (64 + 64, 64 + 4 * 64)
    assert run(draft.to_bytes(), np.ones(8, np.float32), n_threads=4).tolist() == [1] * 8

"""Running a plan: shapes, addresses, memory, failures that leave the context usable."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from dovetail import _native
from dovetail.core.errors import BindingError, NoImplementation, PluginFailed, ProfileError, ShapeError
from dovetail.core.tensor import TensorDesc
from dovetail.core.types import DataType
from tests.runtime.plans import Draft, chain, fixed, open_chain

pytestmark = pytest.mark.usefixtures("tiny")


def bound(context, n: int):
    x = np.arange(3 * n, dtype=np.float32).reshape(n, 3)
    y = np.full(3 * n, np.nan, np.float32)
    context.set_input_shape(0, x.shape)
    context.set_buffer(0, x)
    context.set_buffer(1, y)
    return x, y


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_shapes_may_change_between_runs(n_threads):
    context = _native.Context(_native.Engine(open_chain().to_bytes(), n_threads))
    for n in (2, 16, 1, 7):
        x, y = bound(context, n)
        context.execute()
        assert y.tolist() == (4 * x).reshape(-1).tolist()


def test_what_is_not_known_yet_is_minus_one():
    context = _native.Context(_native.Engine(open_chain().to_bytes()))
    assert (context.infer_shapes(), context.tensor_shape(0), context.tensor_shape(1)) == (["x"], (-1, 3), (-1,))
    context.set_input_shape(0, (5, 3))
    assert (context.infer_shapes(), context.tensor_shape(0), context.tensor_shape(1)) == ([], (5, 3), (15,))
    assert (context.tensor_bytes(0), context.tensor_bytes(1)) == (60, 60)


def test_running_without_a_shape_names_the_input():
    context = _native.Context(_native.Engine(open_chain().to_bytes()))
    with pytest.raises(BindingError, match="the shape of x is not set"):
        context.execute()


def test_a_shape_outside_the_profile_says_which_dimension():
    context = _native.Context(_native.Engine(open_chain(low=2, high=8).to_bytes()))
    with pytest.raises(ProfileError) as error:
        context.set_input_shape(0, (9, 3))
    assert str(error.value).splitlines()[:2] == [
        "input 'x' [9, 3] is outside profile 0 of engine 'open'",
        "  batch  9    allowed 2..8",
    ]
    with pytest.raises(ProfileError, match=r"input 'x' \[4, 5\]") as error:
        context.set_input_shape(0, (4, 5))
    assert "dimension 1  5    allowed 3" in str(error.value)
    with pytest.raises(ProfileError, match="cannot have 1 dimensions"):
        context.set_input_shape(0, (4,))
    x, y = bound(context, 8)
    context.execute()
    assert y.tolist() == (4 * x).reshape(-1).tolist()


def test_a_broken_constraint_keeps_the_shapes_of_before():
    draft = open_chain()
    draft.add_constraint("batch must be even", 0, 0, 1, 0, 0, 1, 0, 0, 0, 2, 16 + 7, 0, 2, 16 + 1, 16 + 4, 16 + 5)
    context = _native.Context(_native.Engine(draft.to_bytes()))
    x, y = bound(context, 4)
    context.execute()
    context.set_input_shape(0, (5, 3))
    with pytest.raises(ShapeError, match="batch must be even") as error:
        context.execute()
    assert "x [5, 3]" in str(error.value)
    context.set_input_shape(0, (4, 3))
    y[:] = 0
    context.execute()
    assert y.tolist() == (4 * x).reshape(-1).tolist()


def test_inputs_that_share_an_extent_must_agree():
    draft = Draft()
    n = {"program": draft.add_program(1, 0, 0)}
    a, b = draft.add_tensor("a", [n], "input", dim_names=["n"]), draft.add_tensor("b", [n], "input")
    y = draft.add_tensor("y", [n], "output")
    draft.add_step("tiny::Add@1#c", [a, b], [y], "plain")
    draft.add_profile([[1], [2], [9]], [[1], [2], [9]])
    context = _native.Context(_native.Engine(draft.to_bytes()))
    context.set_input_shape(0, (4,))
    context.set_input_shape(1, (5,))
    with pytest.raises(ShapeError) as error:
        context.infer_shapes()
    assert "required  4 = a.n" in str(error.value)


def test_division_by_zero_names_the_dimension():
    draft = Draft()
    divided = {"program": draft.add_program(0, 12, 1, 0, 0, 0, 5, 16 + 4, 16 + 7)}
    x = draft.add_tensor("x", [-1], "input")
    t, y = draft.add_tensor("t", [divided]), draft.add_tensor("y", [1], "output")
    draft.add_step("tiny::Nop@1#c", [x], [t])
    draft.add_step("tiny::Nop@1#c", [t], [y])
    draft.add_profile([[6], [6], [9]])
    draft.plan["profiles"][0]["inputs"][0][0] = [6]
    context = _native.Context(_native.Engine(draft.to_bytes()))
    context.set_input_shape(0, (7,))
    assert context.infer_shapes() == []
    draft.plan["profiles"][0]["inputs"][0] = [[4], [6], [9]]  # 12//(4 - 5) is negative: seen at load
    with pytest.raises(ValueError, match="profiles") as error:
        _native.Engine(draft.to_bytes())
    assert "cannot have a dimension 0 that is -12" in str(error.value)


def test_missing_addresses_are_named_all_at_once():
    context = _native.Context(_native.Engine(chain().to_bytes()))
    with pytest.raises(BindingError, match="the address of x, y is not set"):
        context.execute()
    context.set_buffer(0, np.zeros(8, np.float32))
    with pytest.raises(BindingError, match="the address of y is not set"):
        context.execute()


def test_a_buffer_that_is_too_small_is_refused_when_running():
    context = _native.Context(_native.Engine(open_chain().to_bytes()))
    _, y = bound(context, 4)
    context.execute()
    context.set_input_shape(0, (6, 3))
    context.set_buffer(0, np.zeros((6, 3), np.float32))
    with pytest.raises(BindingError, match="tensor 'y' cannot live in a buffer of 48 bytes"):
        context.execute()
    assert y[0] == 0


def test_an_output_needs_a_writable_buffer():
    context = _native.Context(_native.Engine(chain().to_bytes()))
    with pytest.raises((BufferError, ValueError)):
        context.set_buffer(1, b"12345678" * 4)


def test_two_outputs_cannot_share_an_address():
    draft = Draft()
    x = draft.add_tensor("x", [4], "input")
    outputs = [draft.add_tensor(name, [4], "output") for name in ("p", "q")]
    for y in outputs:
        draft.add_step("tiny::Add@1#c", [x], [y], "plain")
    draft.add_profile(fixed(4))
    context = _native.Context(_native.Engine(draft.to_bytes()))
    shared = np.zeros(4, np.float32)
    context.set_buffer(0, np.ones(4, np.float32))
    context.set_buffer(1, shared)
    context.set_buffer(2, shared)
    with pytest.raises(BindingError, match="'p' and 'q' cannot lie in the same memory"):
        context.execute()


def test_empty_tensors_need_no_address():
    context = _native.Context(_native.Engine(open_chain(low=0).to_bytes()))
    context.set_input_shape(0, (0, 3))
    context.execute()
    assert context.tensor_shape(1) == (0,)


def test_indices_out_of_range_are_refused():
    context = _native.Context(_native.Engine(chain().to_bytes()))
    for call in (
        lambda: context.tensor_shape(2),
        lambda: context.set_address(9, 64),
        lambda: context.set_input_shape(1, (8,)),
        lambda: context.set_buffer(7, np.zeros(1)),
    ):
        with pytest.raises(BindingError, match="there is no input or output"):
            call()
    for profile in (1, -1):
        with pytest.raises(ProfileError, match="there is no profile"):
            context.set_profile(profile)


def test_a_step_that_fails_says_where_and_the_context_goes_on():
    draft = chain(3)
    draft.plan["steps"][1] |= {"implementation": "tiny::Root@1#c", "op": "tiny::Root@1", "row": "", "layer": "root"}
    context = _native.Context(_native.Engine(draft.to_bytes()))
    x, y = np.full(8, 4, np.float32), np.zeros(8, np.float32)
    context.set_buffer(0, x)
    context.set_buffer(1, y)
    x[3] = -1
    for _ in range(2):
        with pytest.raises(PluginFailed) as error:
            context.execute()
        assert str(error.value).splitlines() == [
            "tiny::Root@1#c failed in enqueue of layer 'root'",
            "  domain       a negative number",
            "  raised at    tiny_plugin.c:150",
            "  input 't0'   Float [8]",
            "  output 't1'  Float [8]",
        ]
    x[3] = 4
    context.execute()
    assert y.tolist() == [2] * 8


def test_a_failure_without_a_sentence_is_not_given_an_old_one():
    draft = chain(2)
    for step, name in zip(draft.plan["steps"], ("Root", "Packed"), strict=True):
        row = "packed" if name == "Packed" else ""
        step |= {"implementation": f"tiny::{name}@1#c", "op": f"tiny::{name}@1", "row": row}
    context = _native.Context(_native.Engine(draft.to_bytes()))
    x, y = np.full(8, -4, np.float32), np.zeros(8, np.float32)
    context.set_buffer(0, x)
    context.set_buffer(1, y)
    with pytest.raises(PluginFailed, match="Root"):
        context.execute()
    x[:] = 4
    with pytest.raises(ValueError, match="Packed") as error:
        context.execute()
    assert "a negative number" not in str(error.value)


def test_memory_may_be_the_users():
    engine = _native.Engine(open_chain().to_bytes(), 1)
    context = _native.Context(engine, own_memory=False)
    x, y = bound(context, 4)
    with pytest.raises(BindingError, match="made without memory"):
        context.execute()
    needed = engine.device_memory_size(0)
    memory = np.zeros(needed + 64, np.uint8)
    address = memory.ctypes.data + -memory.ctypes.data % 64
    for wrong in ((address + 8, needed), (address, needed - 1)):
        with pytest.raises(BindingError, match="cannot work in this memory"):
            context.set_device_memory(*wrong)
    context.set_device_memory(address, needed)
    assert context.device_memory == address
    context.execute()
    assert y.tolist() == (4 * x).reshape(-1).tolist()
    assert memory.any()


def test_memory_of_the_users_stays_for_a_profile_that_needs_no_more():
    draft = open_chain(low=1, high=4)
    draft.add_profile([[1, 3], [1, 3], [8, 3]])
    draft.arena += 4096
    draft.add_profile([[1, 3], [1, 3], [8, 3]])
    engine = _native.Engine(draft.to_bytes(), 1)
    memory = np.zeros(engine.device_memory_size(1) + 64, np.uint8)
    address = memory.ctypes.data + -memory.ctypes.data % 64
    context = _native.Context(engine, own_memory=False)
    context.set_device_memory(address, engine.device_memory_size(1))
    seen = []
    for profile in (1, 0, 2):
        context.set_profile(profile)
        seen.append(context.device_memory)
    assert seen == [address, address, 0]


def test_each_profile_has_its_own_offsets_and_range():
    draft = open_chain(low=1, high=4)
    draft.offsets = {t: offset + 8192 for t, offset in draft.offsets.items()}
    draft.arena += 8192
    draft.add_profile([[10, 3], [20, 3], [30, 3]])
    engine = _native.Engine(draft.to_bytes(), 1)
    assert engine.device_memory_size(1) > engine.device_memory_size(0)
    context = _native.Context(engine)
    for profile, n in ((0, 3), (1, 25), (0, 4)):
        context.set_profile(profile)
        assert (context.profile, context.tensor_shape(0)) == (profile, (-1, 3))
        x, y = bound(context, n)
        context.execute()
        assert y.tolist() == (4 * x).reshape(-1).tolist()
    with pytest.raises(ProfileError, match="outside profile 0"):
        context.set_input_shape(0, (25, 3))


def test_a_plan_for_the_cpu_takes_no_cuda_stream():
    context = _native.Context(_native.Engine(open_chain().to_bytes()))
    x, y = bound(context, 2)
    context.execute_on(0, 0, 0)
    assert y.tolist() == (4 * x).reshape(-1).tolist()
    with pytest.raises(NoImplementation, match="stream of kind 1"):
        context.execute_on(1, 0, 0)


def test_profiled_runs_do_the_same_and_name_the_layers():
    context = _native.Context(_native.Engine(open_chain().to_bytes()))
    x, y = bound(context, 2)
    times = context.execute_profiled()
    assert [layer for layer, _ in times] == ["layer0", "layer1"]
    assert all(ns >= 0 for _, ns in times)
    assert y.tolist() == (4 * x).reshape(-1).tolist()


def test_one_thread_has_the_context_at_a_time():
    context = _native.Context(_native.Engine(chain().to_bytes()))
    met = []

    def attempt(call):
        try:
            call()
        except BindingError as error:
            met.append(str(error))

    x = np.zeros(8, np.float32)
    calls = [
        lambda: context.set_input_shape(0, (8,)),
        lambda: context.set_address(0, x.ctypes.data),
        lambda: context.set_buffer(0, x),
        lambda: context.set_input(0, x),
        lambda: context.set_profile(0),
        lambda: context.set_device_memory(0, 0),
        lambda: context.set_output_allocator(1, None, None),
        lambda: context.infer_shapes(),
        lambda: context.tensor_shape(1),
        lambda: context.tensor_bytes(1),
        lambda: context.max_bytes(1),
        lambda: context.execute(),
        lambda: context.execute_on(0, 0, 0),
        lambda: context.execute_profiled(),
        lambda: context.__enter__(),
    ]
    with context:
        for call in calls:
            thread = threading.Thread(target=attempt, args=(call,))
            thread.start()
            thread.join()
        with pytest.raises(BindingError, match="from within its own execution"):
            context.__enter__()
        context.set_buffer(0, x)
        context.set_buffer(1, np.zeros(8, np.float32))
        context.execute()
    assert len(met) == len(calls)
    assert all("cannot be used by two threads at once" in text for text in met)
    context.execute()


@pytest.mark.parametrize("first", [1, 2])
def test_an_output_may_lie_over_an_input_only_where_nobody_reads_it_afterwards(first):
    """x -> t -> y: y over x is fine, unless the second step reads x, too."""
    draft = chain(2, 8)
    if first == 2:
        draft.plan["steps"][1]["inputs"] = [1, 0]
    context = _native.Context(_native.Engine(draft.to_bytes()))
    memory = np.ones(12, np.float32)
    context.set_buffer(0, memory[:8])
    for shift in (0, 4):
        context.set_buffer(1, memory[shift : shift + 8])
        if first == 2:
            with pytest.raises(BindingError, match="output 'y' cannot lie in the memory of input 'x'"):
                context.execute()
        else:
            memory[:8] = 1
            context.execute()
            assert memory[shift : shift + 8].tolist() == context_result(draft)


def context_result(draft):
    context = _native.Context(_native.Engine(draft.to_bytes()))
    x, y = np.ones(8, np.float32), np.zeros(8, np.float32)
    context.set_buffer(0, x)
    context.set_buffer(1, y)
    context.execute()
    return y.tolist()


@pytest.mark.parametrize("argument", [None, 3, "engine", object(), []])
def test_what_is_not_an_engine_is_a_type_error(argument):
    with pytest.raises(TypeError):
        _native.Context(argument)


class Greedy:
    """An implementation without rows that asks for this workspace."""

    def __init__(self, n_bytes):
        self.n_bytes = n_bytes

    def create(self, layer, fields):
        return self

    def supports(self, pos, descs, n_inputs, n_outputs):
        return True

    def workspace(self, inputs, outputs):
        return self.n_bytes

    def enqueue(self, *arguments):
        raise AssertionError("it must not run")


@pytest.mark.parametrize("n_bytes", [2**64 - 1, 2**64 - 256, 2**63, 2**47 + 1, 2**47])
def test_an_absurd_workspace_is_an_error_that_names_layer_and_plugin(n_bytes):
    made = _native.make_python_implementation("greedy::Op@1", "python", 1, [], Greedy(n_bytes))
    _native.register_implementation(made, None)
    try:
        draft = Draft("greedy")
        x, y = draft.add_tensor("x", [4], "input"), draft.add_tensor("y", [4], "output")
        draft.add_step("greedy::Op@1#python", [x], [y])
        draft.add_profile(fixed(4))
        with pytest.raises((MemoryError, PluginFailed)) as error:
            _native.Context(_native.Engine(draft.to_bytes()))
        assert "'layer0'" in str(error.value)
        assert "greedy::Op@1#python" in str(error.value)
        assert str(n_bytes) in str(error.value)
        x, y = (np.zeros(4, np.float32) for _ in range(2))
        desc = TensorDesc((4,), DataType.FLOAT)
        with pytest.raises(MemoryError):
            made.run_step(made.create("layer0", []), -1, [(desc, x)], [(desc, y)], workspace_bytes=n_bytes)
    finally:
        _native.deregister_implementation(made.id)

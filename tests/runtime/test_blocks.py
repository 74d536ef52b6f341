"""Plans whose steps own blocks: conditionals and loops, run and refused."""

from __future__ import annotations

import os
import signal
import subprocess

import numpy as np
import pytest

from dovetail import _native
from dovetail.core.errors import PlanCorrupt
from tests.runtime.plans import ONE_NUMBER as ONE
from tests.runtime.plans import OPEN, ROWS, Draft, blocks, conditional, fixed, loop, nested

pytestmark = pytest.mark.usefixtures("tiny")


def run(draft: Draft, *inputs: np.ndarray, outputs: int = 1, twice: bool = False) -> list[np.ndarray]:
    context = _native.Context(_native.Engine(draft.to_bytes(), 1))
    results = [np.full_like(inputs[0], -1) for _ in range(outputs)]
    for io, array in enumerate(inputs):
        context.set_input_shape(io, array.shape)
    for io, array in enumerate([*inputs, *results]):
        context.set_buffer(io, array)
    for _ in range(3 if twice else 1):  # the first run is the careful one
        context.execute()
    return results


def rows(draft: Draft, *others: list) -> Draft:
    """With profile 1..4..16 of the first input."""
    draft.add_profile([[1], [4], [16]], *others)
    return draft


X = np.float32([1, 4, 9, 16])


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize(("flag", "expected"), [(True, 4 * X), (False, np.sqrt(X) + X)])
def test_a_conditional_runs_the_branch_that_is_chosen(flag, expected, twice):
    draft = conditional()
    draft.add_profile(fixed(4), ONE)
    (y,) = run(draft, X, np.array(flag), twice=twice)
    assert y.tolist() == expected.tolist()


@pytest.mark.parametrize("n", [1, 3, 16])
def test_a_conditional_of_open_extents(n):
    x = np.arange(n, dtype=np.float32)
    draft = rows(conditional(OPEN, (ROWS,)), ONE)
    assert run(draft, x, np.array(True))[0].tolist() == (4 * x).tolist()
    assert run(draft, x, np.array(False))[0].tolist() == (np.sqrt(x) + x).tolist()


def looped(x: np.ndarray, n: int) -> list[list[float]]:
    a, b = x, np.zeros_like(x)
    for _ in range(n):
        a, b = a + b, a + a
    return [a.tolist(), b.tolist()]


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("n", [-2, 0, 1, 2, 3, 8])
def test_a_loop_carries_tensors(n, twice):
    draft = loop()
    draft.add_profile(fixed(4), fixed(4), fixed(1))
    results = run(draft, X, np.zeros_like(X), np.int64([n]), outputs=2, twice=twice)
    assert [array.tolist() for array in results] == looped(X, n)


def test_a_loop_of_a_fixed_number_of_iterations():
    draft = loop(counted=False)
    draft.add_profile(fixed(4), fixed(4))
    assert [array.tolist() for array in run(draft, X, np.zeros_like(X), outputs=2)] == looped(X, 3)


@pytest.mark.parametrize("rows_", [1, 5, 16])
def test_a_loop_of_open_extents(rows_):
    x = np.arange(rows_, dtype=np.float32)
    draft = rows(loop(OPEN, (ROWS,)), [[1], [4], [16]], fixed(1))
    results = run(draft, x, np.zeros_like(x), np.int64([5]), outputs=2)
    assert [array.tolist() for array in results] == looped(x, 5)


@pytest.mark.parametrize("n_rows", [None, 2, 7])
@pytest.mark.parametrize("flag", [0, 1, -7])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_blocks_in_blocks(count, flag, n_rows):
    if n_rows is None:
        draft = nested()
        draft.add_profile(fixed(4), fixed(1), ONE)
    else:
        draft = rows(nested(OPEN, (ROWS,)), fixed(1), ONE)
    x = np.arange(1, (n_rows or 4) + 1, dtype=np.float32)
    a = x
    for _ in range(count):
        a = a + 3 * x if flag else a + a
    assert run(draft, x, np.int32([flag]), np.int32(count), twice=True)[0].tolist() == (2 * a).tolist()


def test_extents_may_change_between_runs():
    context = _native.Context(_native.Engine(rows(nested(OPEN, (ROWS,)), fixed(1), ONE).to_bytes(), 1))
    for n in (16, 2, 9):
        x, y = np.arange(n, dtype=np.float32), np.zeros(n, np.float32)
        context.set_input_shape(0, x.shape)
        for io, array in enumerate((x, np.int32([1]), np.int32(3), y)):
            context.set_buffer(io, array)
        context.execute()
        assert y.tolist() == (20 * x).tolist()


def test_each_step_has_its_time_whatever_block_it_is_in():
    draft = nested()
    draft.add_profile(fixed(4), fixed(1), ONE)
    engine = _native.Engine(draft.to_bytes(), 1)
    context, y = _native.Context(engine), np.zeros(4, np.float32)
    for io, array in enumerate((X, np.int32([1]), np.int32(2), y)):
        context.set_buffer(io, array)
    names = [name for name, _ in context.execute_profiled()]
    assert names == ["loop0", "conditional1", "loop2", "layer3", "layer4", "layer5"]
    assert [step["layer"] for step in engine.steps] == names
    assert y.tolist() == (14 * X).tolist()


def test_a_failure_in_a_block_names_its_layer():
    draft = conditional()
    draft.add_profile(fixed(4), ONE)
    with pytest.raises(Exception, match="layer2") as error:
        run(draft, -X, np.array(False))
    assert "a negative number" in str(error.value)


def test_an_output_may_not_lie_where_a_block_reads():
    """The step that writes it is not the last one that reads the input: there is another iteration."""
    draft = nested()
    draft.add_profile(fixed(4), fixed(1), ONE)
    draft.plan["steps"].pop()
    draft.plan["steps"][0]["outputs"] = [3]
    draft.workspaces.pop()
    draft.plan["profiles"] = []
    draft.add_profile(fixed(4), fixed(1), ONE)
    context, x = _native.Context(_native.Engine(draft.to_bytes(), 1)), X.copy()
    for io, array in enumerate((x, np.int32([1]), np.int32(2), x)):
        context.set_buffer(io, array)
    with pytest.raises(Exception, match="output 'y' cannot lie in the memory of input 'x', which is still read"):
        context.execute()


def test_an_output_that_a_loop_writes_may_not_lie_where_its_next_iteration_reads():
    draft = loop()
    w = draft.add_tensor("w", [4], "output")
    inside = draft.add_tensor("w inside", [4], "alias", alias_of=w)
    (body,) = draft.plan["steps"][0]["blocks"]
    draft._steps.append(body["steps"])
    draft.add_step("tiny::Add@1#c", [5, 6], [inside], "plain", workspace=128)
    body["steps"].insert(0, body["steps"].pop())
    draft.add_step("tiny::Add@1#c", [0, 6], [draft.add_tensor("t", [4])], "plain", workspace=128)
    body["steps"].insert(0, body["steps"].pop())  # reads x, in front of the step that writes w
    draft.add_profile(fixed(4), fixed(4), fixed(1))
    context, x = _native.Context(_native.Engine(draft.to_bytes(), 1)), X.copy()
    results = [np.zeros_like(X) for _ in range(2)]
    for io, array in enumerate((x, np.zeros_like(X), np.int64([2]), *results, x)):
        context.set_buffer(io, array)
    with pytest.raises(Exception, match="output 'w' cannot lie in the memory of input 'x', which is still read"):
        context.execute()


# ---- what is refused


def refused(draft: Draft) -> PlanCorrupt:
    with pytest.raises(PlanCorrupt) as error:
        _native.Engine(draft.to_bytes(), 1)
    return error.value


def step_of(draft: Draft, path: str) -> dict:
    """`0.1.0`: the step, its block, a step of that ..."""
    numbers = [int(number) for number in path.split(".")]
    steps = draft.plan["steps"]
    while len(numbers) > 1:
        steps = steps[numbers[0]]["blocks"][numbers[1]]["steps"]
        numbers = numbers[2:]
    return steps[numbers[0]]


def test_a_tensor_of_a_block_is_not_taken_outside():
    draft = conditional()
    draft.plan["outputs"] = []
    root = 5
    z = draft.add_tensor("z", [4], "output")
    draft.plan["outputs"] = [2, z]
    draft.add_step("tiny::Root@1#c", [root], [z])
    draft.add_profile(fixed(4), ONE)
    error = refused(draft)
    assert error.field == "steps[1].inputs[0]"
    assert error.expected == "a tensor that an earlier step has written, in its own block or one around it"


def test_a_branch_does_not_take_what_the_other_one_writes():
    draft = conditional()
    draft.add_profile(fixed(4), ONE)
    step_of(draft, "0.1.1")["inputs"] = [3, 0]
    assert refused(draft).field == "steps[0].blocks[1].steps[1].inputs[0]"


CHANGES = [
    (conditional, "0", {"control": "while"}, "steps[0].control"),
    (conditional, "0", {"inputs": []}, "steps[0].inputs"),
    (conditional, "0", {"inputs": [-1]}, "steps[0].inputs"),
    (conditional, "0", {"inputs": [0]}, "steps[0].inputs"),
    (conditional, "0", {"inputs": [1, 1]}, "steps[0].inputs"),
    (conditional, "0", {"inputs": [4]}, "steps[0].inputs"),
    (conditional, "0", {"outputs": []}, "steps[0].blocks[0].outputs"),
    (conditional, "0", {"outputs": [99]}, "steps[0].outputs[0]"),
    (conditional, "0", {"outputs": [0]}, "steps[0].blocks[0].outputs[0]"),
    (conditional, "0", {"blocks": []}, "steps[0].blocks"),
    (conditional, "0", {"blocks": None}, "steps[0].blocks"),
    (conditional, "0.0", {"inputs": [0]}, "steps[0].blocks[0].inputs"),
    (conditional, "0.0", {"outputs": [5]}, "steps[0].blocks[0].outputs[0]"),
    (conditional, "0.0", {"outputs": [2]}, "steps[0].blocks[0].outputs[0]"),
    (conditional, "0.0", {"outputs": [4]}, "steps[0].blocks[0].outputs[0]"),
    (conditional, "0.0", {"steps": []}, "steps[0].blocks[0].outputs[0]"),
    (conditional, "0.1", {"steps": 7}, "steps[0].blocks[1].steps"),
    (conditional, "0.1.0", {"outputs": [4]}, "steps[0].blocks[1].steps[1].inputs[0]"),
    (conditional, "0.1.1", {"outputs": [3]}, "steps[0].blocks[1].steps[1].outputs[0]"),
    (conditional, "0.1.1", {"outputs": [2]}, "steps[0].blocks[1].outputs[0]"),
    (loop, "0", {"inputs": [2, 0]}, "steps[0].inputs"),
    (loop, "0", {"inputs": [2, 0, -1]}, "steps[0].inputs[2]"),
    (loop, "0", {"inputs": [0, 0, 1]}, "steps[0].inputs[0]"),
    (loop, "0", {"inputs": [-1, 0, 1]}, "steps[0]"),
    (loop, "0", {"iterations": 4}, "steps[0]"),
    (loop, "0", {"iterations": -4}, "steps[0].iterations"),
    (loop, "0", {"iterations": 2**64}, "steps[0].iterations"),
    (loop, "0", {"inputs": [2, 0, 3]}, "steps[0].inputs[2]"),
    (loop, "0", {"outputs": []}, "steps[0].outputs"),
    (loop, "0.0", {"inputs": [5]}, "steps[0].blocks[0].inputs"),
    (loop, "0.0", {"outputs": [7]}, "steps[0].blocks[0].outputs"),
    (loop, "0.0", {"inputs": [5, 5]}, "steps[0].blocks[0].inputs[1]"),
    (loop, "0.0", {"inputs": [5, 8]}, "steps[0].blocks[0].inputs[1]"),
    (loop, "0.0", {"inputs": [5, 0]}, "steps[0].blocks[0].inputs[1]"),
    (loop, "0.0", {"outputs": [7, 5]}, "steps[0].blocks[0].outputs[1]"),
    (loop, "0.0", {"outputs": [7, 3]}, "steps[0].blocks[0].outputs[1]"),
    (loop, "0.0.1", {"outputs": [6]}, "steps[0].blocks[0].steps[1].outputs[0]"),
    (loop, "0.0.0", {"inputs": [8, 6]}, "steps[0].blocks[0].steps[0].inputs[0]"),
]


def set_at(draft: Draft, path: str, change: dict) -> None:
    *owner, last = path.split(".")
    target = step_of(draft, path) if len(owner) % 2 == 0 else step_of(draft, ".".join(owner))["blocks"][int(last)]
    target.update(change)


@pytest.mark.parametrize(
    ("make", "path", "change", "field"), CHANGES, ids=lambda value: getattr(value, "__name__", str(value)[:30])
)
def test_what_is_wrong_with_a_block_is_named(make, path, change, field):
    draft = make()
    draft.add_profile(fixed(4), *([ONE] if make is conditional else [fixed(4), fixed(1)]))
    set_at(draft, path, change)
    assert refused(draft).field == field


@pytest.mark.parametrize("make", [conditional, loop])
@pytest.mark.parametrize("change", [{"dtype": 1}, {"format": 1}, {"dims": [3]}, {"dims": [2, 2]}])
def test_branches_and_iterations_that_differ_are_refused(make, change):
    draft = make()
    draft.add_profile(fixed(4), *([ONE] if make is conditional else [fixed(4), fixed(1)]))
    which = {"then": 3, "a after": 7}["then" if make is conditional else "a after"]
    draft.plan["tensors"][which].update(change)
    error = refused(draft)
    assert error.field in ("steps[0].blocks[0].outputs[0]", f"tensors[{which}]")
    if error.field.startswith("steps"):
        assert error.expected.startswith("a tensor with the type, format, device and extents of 'y', Float [4]")


def test_branches_of_two_expressions_are_refused():
    draft = rows(conditional(OPEN, (ROWS, (1, 0, 0, 0, 1, 16 + 1))), ONE)
    draft.plan["tensors"][3]["dims"] = [{"program": 1}]
    assert refused(draft).field == "steps[0].blocks[0].outputs[0]"


def test_memory_of_what_is_carried_is_its_own():
    draft = loop()
    draft.add_profile(fixed(4), fixed(4), fixed(1))
    offsets = draft.plan["profiles"][0]["offsets"]
    for tensor, other in ((7, 5), (8, 7), (6, 5)):
        kept, offsets[tensor] = offsets[tensor], offsets[other]
        assert "into the same memory" in refused(draft).got
        offsets[tensor] = kept


@pytest.mark.parametrize("depth", [8, 9, 12, 40])
def test_blocks_in_each_other_have_an_end(depth):
    draft = Draft("deep")
    x, y = draft.add_tensor("x", [4], "input"), draft.add_tensor("y", [4], "output")
    steps = draft.plan["steps"]
    before, result = x, y
    for level in range(depth):
        a, after = draft.add_tensor(f"a{level}", [4]), draft.add_tensor(f"b{level}", [4])
        block = {"inputs": [a], "outputs": [after], "steps": []}
        control = {"layer": f"l{level}", "control": "loop", "inputs": [-1, before], "outputs": [result]}
        steps.append(control | {"iterations": 2, "blocks": [block]})
        draft.workspaces.append((-1, 0))
        before, result, steps = a, after, block["steps"]
    draft._steps.append(steps)
    draft.add_step("tiny::Add@1#c", [before, x], [result], "plain", workspace=128)
    draft.add_profile(fixed(4))
    if depth > 8:
        assert refused(draft).field in ("plan", "steps[0]" + ".blocks[0].steps[0]" * 8 + ".blocks")
    else:
        assert run(draft, X)[0].tolist() == (257 * X).tolist()


def test_a_size_is_not_told_in_a_block():
    draft = conditional()
    draft.plan["tensors"][5].update(dims=[], dtype=3)
    draft.add_program(0, 4)
    draft.plan["sizes"] = [{"tensor": 5, "upper": 0}]
    draft.add_profile(fixed(4), ONE)
    error = refused(draft)
    assert (error.field, error.expected) == ("sizes[0].tensor", "a tensor that a step of the main block writes")


class Interrupt(Exception):
    pass


def test_a_loop_without_an_end_can_be_interrupted():
    draft = loop()
    draft.add_profile(fixed(4), fixed(4), fixed(1))
    context = _native.Context(_native.Engine(draft.to_bytes(), 1))
    arrays = [X, np.zeros_like(X), np.int64([2**63 - 1]), np.zeros_like(X), np.zeros_like(X)]
    for io, array in enumerate(arrays):
        context.set_buffer(io, array)

    def interrupt(*_):
        raise Interrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(2):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(Interrupt):
                context.execute()
            arrays[2][0] = 3
            context.execute()
            context.execute()
            assert arrays[3].tolist() == looped(X, 3)[0]
            arrays[2][0] = 2**63 - 1
    finally:
        signal.signal(signal.SIGALRM, before)


PROGRAMS = os.environ.get("DOVETAIL_TEST_PROGRAMS")


@pytest.mark.skipif(
    not PROGRAMS, reason="needs the C++ test programs: make test and .ci/sanitize set DOVETAIL_TEST_PROGRAMS"
)
def test_plans_made_in_cpp(tiny_library):
    done = subprocess.run([f"{PROGRAMS}/test_blocks", tiny_library], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "test_blocks: ok\n"), done.stderr


@pytest.mark.skipif(
    not PROGRAMS, reason="needs the C++ test programs: make test and .ci/sanitize set DOVETAIL_TEST_PROGRAMS"
)
@pytest.mark.parametrize("make", [conditional, loop, blocks])
def test_changed_plans_run_or_are_refused(make, tiny_library, tmp_path):
    draft = make()
    if make is not blocks:
        draft.add_profile(fixed(4), *([ONE] if make is conditional else [fixed(4), fixed(1)]))
    (tmp_path / "plan").write_bytes(draft.to_bytes())
    variants = os.environ.get("DOVETAIL_FUZZ_VARIANTS", "400")
    command = [f"{PROGRAMS}/test_plan_fuzz", "--variants", variants, tiny_library, tmp_path / "plan"]
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    environment["ASAN_OPTIONS"] = "detect_stack_use_after_return=0"
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"exit status {done.returncode}\n" + done.stdout[-4000:] + done.stderr[-8000:]

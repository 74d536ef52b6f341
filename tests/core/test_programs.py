"""Programs of a plan: parts that expressions share are stored once, and each program looks up earlier ones only."""

from hypothesis import given
from hypothesis import strategies as st
from pytest import mark, raises

from dovetail import _native
from dovetail.core.errors import ShapeError
from dovetail.core.expr import constant, from_program, input_dim, minimum, operation, select, size_tensor
from dovetail.core.expr_text import PROGRAM
from dovetail.core.programs import Programs
from dovetail.core.types import DimensionOperation as Operation

N, M = input_dim(0, 0, "n"), input_dim(0, 1, "m")
NAMES = {(0, 0): "n", (0, 1): "m"}


def read_back(programs, index):
    """The expression of a program, with those that it looks up in their places."""
    known = []
    for words in programs.programs[: index + 1]:
        flat, at = [], 0
        while at < len(words):
            length = {0: 2, 1: 3, 2: 3, 3: 2, PROGRAM: 2}.get(words[at], 1)
            flat += known[words[at + 1]] if words[at] == PROGRAM else words[at : at + length]
            at += length
        known.append(flat)
    return from_program(known[index], NAMES)


def test_what_two_extents_share_is_a_program_of_its_own():
    shared = (N - 1) // 2
    programs = Programs([minimum(shared, 5), shared * M])
    assert len(programs.programs) == 3
    assert all(PROGRAM in words for words in programs.programs[1:])


def test_what_is_used_once_is_written_where_it_is_used():
    programs = Programs([minimum((N - 1) // 2, 5)])
    assert PROGRAM not in programs.programs[0] and len(programs.programs) == 1


def test_an_expression_that_uses_itself_again_and_again_stays_short():
    shared = N
    for i in range(300):
        shared = select(shared < i, shared + 1, shared)
    words = sum(map(len, Programs([shared]).programs))
    assert words < 300 * 40


@mark.parametrize("build", [lambda e, i: i // (e + 1), lambda e, i: (e + i) // 2], ids=["to the right", "to the left"])
def test_long_and_deep_expressions_are_cut(build):
    deep = N
    for _ in range(3000):
        deep = build(deep, M)
    programs = Programs([deep])
    assert max(map(len, programs.programs)) <= _native.MAX_PROGRAM_LENGTH
    assert all(stack_of(words) <= _native.MAX_PROGRAM_DEPTH for words in programs.programs)
    assert read_back(programs, programs.index(deep)) is deep


def stack_of(words):
    depth = deepest = at = 0
    while at < len(words):
        length = {0: 2, 1: 3, 2: 3, 3: 2, PROGRAM: 2}.get(words[at], 1)
        depth += 1 if words[at] < 16 else -1
        deepest, at = max(deepest, depth), at + length
    return deepest


def test_a_constant_or_a_leaf_may_be_asked_for():
    programs = Programs([constant(3), N])
    assert [programs.programs[programs.index(e)] for e in (constant(3), N)] == [[0, 3], [1, 0, 0]]


def test_sizes_are_looked_up_by_number():
    size = size_tensor(1, N, N * 2)
    assert Programs([size + 1], {size: 4}).programs == [[3, 4, 0, 1, 16 + Operation.SUM]]
    with raises(ShapeError, match="known only after the layer has run"):
        Programs([size + 1])


def test_more_than_a_plan_takes_is_an_error_with_both_numbers(monkeypatch):
    monkeypatch.setattr(_native, "MAX_PROGRAM_WORDS", 10)
    with raises(ShapeError, match="the extents of this network take 16 words of programs") as raised:
        Programs([(N + 3) // 2 - M * 2])
    assert (raised.value.got, raised.value.expected) == (16, 10)


trees = st.recursive(
    st.one_of(st.integers(-6, 12), st.sampled_from(["n", "m"])),
    lambda inner: st.tuples(st.sampled_from(list(Operation)), inner, inner),
    max_leaves=12,
)


def built(tree):
    if not isinstance(tree, tuple):
        return {"n": N, "m": M}.get(tree, tree if isinstance(tree, int) else None)
    try:
        return operation(tree[0], built(tree[1]), built(tree[2]))
    except ShapeError:
        return constant(1)


@given(st.lists(trees.map(built).map(lambda e: constant(e) if isinstance(e, int) else e), min_size=1, max_size=5))
def test_any_expressions_are_read_back(exprs):
    programs = Programs(exprs)
    assert all(read_back(programs, programs.index(expr)) is expr for expr in exprs)

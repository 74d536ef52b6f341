"""Arena: buffers that live at once never overlap, and the bound is met on chains."""

from hypothesis import given
from hypothesis import strategies as st

from dovetail.machine.builder.arena import ALIGNMENT, Buffer, lower_bound, plan_arena

intervals = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 20), st.integers(0, 6)).map(lambda t: (t[0], t[1], t[1] + t[2])),
    max_size=25,
)


@given(intervals)
def test_buffers_alive_at_once_do_not_overlap(raw):
    buffers = [Buffer(i, *item) for i, item in enumerate(raw)]
    arena = plan_arena(buffers)
    assert arena.size >= arena.lower_bound == lower_bound(buffers)
    for a in buffers:
        assert arena.offsets[a.key] % ALIGNMENT == 0
        assert arena.offsets[a.key] + a.size <= arena.size
        for b in buffers:
            if a.key == b.key or a.size == 0 or b.size == 0 or a.last < b.first or b.last < a.first:
                continue
            start_a, start_b = arena.offsets[a.key], arena.offsets[b.key]
            assert start_a + a.size <= start_b or start_b + b.size <= start_a


def test_a_chain_needs_two_buffers():
    buffers = [Buffer(i, 1024, i, i + 1) for i in range(50)]
    assert plan_arena(buffers).size == 2048


def test_nothing_to_place():
    assert plan_arena([]).size == 0

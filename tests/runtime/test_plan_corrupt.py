"""Plans that are damaged or hostile: each is refused with the name of what is wrong, and none does harm."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from dovetail import _native
from dovetail.core.errors import DovetailError, PlanCorrupt
from tests.runtime.plans import ZEROS, chain, container, everything, open_chain

pytestmark = pytest.mark.usefixtures("tiny")


def refused(plan: bytes) -> PlanCorrupt:
    with pytest.raises(PlanCorrupt) as error:
        _native.Engine(plan)
    return error.value


@pytest.mark.parametrize("version", [(1, 0), (2, 0)], ids=str)
def test_the_plan_of_everything_is_good(version):
    context = _native.Context(_native.Engine(everything(version).to_bytes(), 1))
    x = np.ones((5, 3), np.float32)
    y, z = np.zeros(15, np.float32), np.zeros(4, np.float32)
    context.set_input_shape(0, x.shape)
    u = np.zeros(2, np.float32)
    for io, array in enumerate((x, y, z) if version < (2, 0) else (x, y, z, u)):
        context.set_buffer(io, array)
    context.execute()
    assert u.tolist() == ([0, 0] if version < (2, 0) else [8, 12])
    assert (y == 4).all()
    assert z.tolist() == [42.5] * 4


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 63, 64, 500, -129, -64, -1])
def test_a_plan_that_was_cut_is_refused(n):
    plan = everything().to_bytes()
    error = refused(plan[:n])
    assert error.field in ("file", "header length", "header", "checksum")


def test_a_plan_that_goes_on_is_refused():
    assert refused(chain().to_bytes() + b"more").field == "checksum"


def test_every_flipped_bit_is_seen():
    plan = everything().to_bytes()
    chance = random.Random(5)
    for _ in range(2000):
        damaged = bytearray(plan)
        damaged[chance.randrange(len(plan))] ^= 1 << chance.randrange(8)
        refused(bytes(damaged))


def test_noise_is_refused():
    chance = random.Random(6)
    for n in range(300):
        refused(chance.randbytes(n))


@pytest.mark.parametrize("digits", [ZEROS, "f" * 16, "F" * 16, "0x" + "0" * 14])
def test_another_checksum_is_refused(digits):
    assert refused(container(json.dumps(chain().plan), {}, checksum=digits)).field == "checksum"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "plan"),
        ("{", "plan"),
        ("[" * 100_000, "plan"),
        ('{"version": ' + "[" * 1000 + "]" * 1000 + "}", "plan"),
        ("[]", "plan"),
        ("{}", "version"),
        ('{"version": [2]}', "version"),
        ('{"version": ["1", 0]}', "version[0]"),
        ('{"version": [2, 0]}', "name"),
    ],
)
def test_json_that_is_no_plan_is_refused(text, field):
    assert refused(container(text, {})).field == field


def test_metadata_must_say_that_it_is_a_plan():
    assert refused(container("{}", {}, format="dovetail.cache")).field == "__metadata__.format"


def set_at(document, path: list, value) -> None:
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value


HUGE = 2**62
CHANGES = [
    (["tensors", 0, "dtype"], 99),
    (["tensors", 0, "dtype"], -1),
    (["tensors", 0, "dtype"], "FLOAT"),
    (["tensors", 0, "format"], 12),
    (["tensors", 0, "dims"], [1] * 9),
    (["tensors", 0, "dims"], [-2, 3]),
    (["tensors", 0, "dims"], [2**70, 3]),
    (["tensors", 0, "dims", 0], {"program": 99}),
    (["tensors", 0, "dim_names"], ["batch"]),
    (["tensors", 0, "where"], "output"),
    (["tensors", 0, "where"], "heap"),
    (["tensors", 1, "dims"], [5]),
    (["tensors", 1, "dims"], [HUGE, HUGE, HUGE]),
    (["tensors", 1, "constant"], 99),
    (["tensors", 1, "constant"], -1),
    (["tensors", 2, "format"], 5),
    (["tensors", 2, "format"], 9),
    (["tensors", 3, "format"], 3),
    (["tensors", 3, "dims", 1], HUGE),
    (["tensors", 4, "alias_of"], 4),
    (["tensors", 4, "alias_of"], 5),
    (["tensors", 4, "alias_of"], 99),
    (["tensors", 4, "alias_of"], 0.5),
    (["tensors", 4, "dims"], [4096]),
    (["tensors", 4, "name"], "a\0b"),
    (["inputs"], []),
    (["inputs"], [0, 0]),
    (["inputs"], [1]),
    (["inputs"], None),
    (["outputs"], [7]),
    (["outputs", 0], 99),
    (["programs", 0], []),
    (["programs", 0], [16]),
    (["programs", 0], [4, 0]),
    (["programs", 0], [4, 1]),
    (["programs", 1], [4, -1]),
    (["programs", 1], [4]),
    (["programs", 0], [1, 0, 2]),
    (["programs", 0], [1, 1, 0]),
    (["programs", 0], [0, HUGE, 0, HUGE, 17]),
    (["programs", 0], [0, 1, 0, 0, 23]),
    (["programs", 0], [0, 1] * 100 + [16] * 99),
    (["programs", 1], [0, -5]),
    (["programs", 1], [0, HUGE]),
    (["constraints", 0, "program"], 99),
    (["profiles"], []),
    (["profiles", 0, "inputs"], []),
    (["profiles", 0, "inputs", 0, 0], [17, 3]),
    (["profiles", 0, "inputs", 0, 2], [17, 4]),
    (["profiles", 0, "inputs", 0, 2], [HUGE, 3]),
    (["profiles", 0, "inputs", 0, 2], [2**40, 3]),
    (["profiles", 0, "inputs", 0, 2], [16]),
    (["profiles", 0, "arena_bytes"], -1),
    (["profiles", 0, "arena_bytes"], 100),
    (["profiles", 0, "arena_bytes"], 1e9),
    (["profiles", 0, "offsets", 3], -1),
    (["profiles", 0, "offsets", 3], 32),
    (["profiles", 0, "offsets", 3], HUGE),
    (["profiles", 0, "offsets", 0], 0),
    (["profiles", 0, "offsets"], [0]),
    (["profiles", 0, "workspace", 0], -1),
    (["profiles", 0, "workspace", 0], 1),
    (["profiles", 0, "workspace"], []),
    (["profiles", 0, "workspace_bytes", 0], HUGE),
    (["profiles", 0, "workspace_bytes", 0], -1),
    (["steps", 0, "inputs", 0], 3),
    (["steps", 0, "inputs", 0], 99),
    (["steps", 0, "inputs", 0], -2),
    (["steps", 0, "inputs"], {}),
    (["steps", 0, "outputs", 0], 0),
    (["steps", 0, "outputs", 0], 1),
    (["steps", 0, "outputs", 0], -1),
    (["steps", 2, "outputs", 0], 3),
    (["steps", 0, "fields", 0], ["factor", 2]),
    (["steps", 0, "fields", 0, 1], 63),
    (["steps", 0, "fields", 0, 2], "two"),
    (["steps", 0, "fields", 3, 2], [1, "x"]),
    (["steps", 0, "fields", 6, 2, "constant"], 99),
    (["steps", 0, "fields", 6, 2, "dims"], [2, 3]),
    (["steps", 0, "fields", 6, 2, "dims"], [HUGE, HUGE]),
    (["steps", 3, "state"], 99),
    (["steps", 4, "packed"], 99),
    (["steps", 4, "python"], 1),
    (["steps"], []),
    (["constants", 0, "name"], "nothing"),
    (["constants", 0, "bytes"], 65),
    (["constants", 0, "bytes"], -1),
    (["constants"], []),
    (["tensors", 10, "constant"], 6),
    (["tensors", 11, "constant"], 6),
    (["steps", 3, "inputs", 0], 11),
    (["steps", 3, "state"], 6),
    (["steps", 0, "fields", 6, 2, "constant"], 6),
    (["steps", 5, "inputs", 1], 11),
    (["steps", 6, "packed"], -1),
    (["constants", 6, "step"], 6),
    (["constants", 6, "step"], 99),
    (["constants", 6, "step"], -1),
    (["constants", 6, "bytes"], HUGE),
    (["weights"], {}),
    (["weights", 0, "how"], "guessed"),
    (["weights", 0, "role"], None),
    (["weights", 0, "tensor"], 99),
    (["weights", 0, "tensor"], 0),
    (["weights", 0, "tensor"], 11),
    (["weights", 1, "step"], 0),
    (["weights", 1, "step"], 7),
    (["weights", 1, "of"], []),
    (["weights", 1, "of"], [1]),
    (["weights", 5, "of"], [0]),
    (["weights", 5, "of"], [3]),
    (["weights", 5, "tensor"], 10),
    (["weights", 3, "dtype"], 99),
    (["weights", 3, "of"], [2, 2]),
    (["weights", 3, "of"], [3]),
    (["weights", 4, "of"], [-1]),
    (["weights", 4, "not_refittable"], None),
]


@pytest.mark.parametrize(("path", "value"), CHANGES, ids=lambda value: str(value)[:40])
def test_a_wrong_value_under_a_right_checksum_is_refused(path, value):
    draft = everything()
    set_at(draft.plan, path, value)
    error = refused(draft.to_bytes())
    assert error.field.startswith(
        ("tensors", "inputs", "outputs", "programs", "constraints", "profiles", "steps", "constants", "weights")
    )


@pytest.mark.parametrize("key", list(everything().plan))
def test_every_part_that_is_needed_is_missed(key):
    draft = everything()
    del draft.plan[key]
    if key in ("producer", "report"):
        assert _native.Engine(draft.to_bytes()).n_profiles == 2
    else:
        assert refused(draft.to_bytes()).field == key


def test_an_arena_that_nobody_has_is_a_memory_error_when_a_context_is_made():
    draft = open_chain()
    draft.plan["profiles"][0]["arena_bytes"] = 2**47
    engine = _native.Engine(draft.to_bytes())
    with pytest.raises(MemoryError, match=r"there is no memory for a context of 14073748835\d{4} bytes"):
        _native.Context(engine)
    assert isinstance(_native.Context(engine, own_memory=False), _native.Context)


def test_random_changes_never_do_harm():
    """A taste of what test_plan_fuzz does by thousands, and with sanitizers."""
    chance = random.Random(7)
    values = [
        HUGE,
        -HUGE,
        -1,
        0,
        1,
        3,
        64,
        2**31,
        2**64 - 1,
        2**70,
        0.5,
        1e308,
        None,
        True,
        "",
        "alias",
        [],
        {},
        [0, 1],
    ]

    def paths(node, path=()):
        yield path
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, child in items:
            yield from paths(child, (*path, key))

    original = everything().plan
    every = [list(path) for path in paths(original) if path]
    for _ in range(1500):
        draft = everything()
        set_at(draft.plan, chance.choice(every), chance.choice(values))
        try:
            engine = _native.Engine(draft.to_bytes())
        except DovetailError as error:
            assert error.message
        else:
            assert engine.n_profiles >= 1


def test_long_chains_of_views_and_many_tensors_of_one_layer_take_linear_time():
    """Each of these took the square of its length, which is minutes here; no clock is asked."""
    draft = chain(2, 8)
    n = 40_000
    first = len(draft.plan["tensors"])
    for i in range(n):
        draft.add_tensor(f"v{i}", [8], "alias", alias_of=first + i + 1 if i + 1 < n else draft.plan["inputs"][0])
    draft.plan["steps"][0]["inputs"] = [first, first + n // 2]
    draft.plan["requires"] = [{"implementation": f"nobody::{i}@1#c"} for i in range(n)]
    draft.plan["profiles"] = []
    draft.add_profile([[8]] * 3)
    assert _native.Engine(draft.to_bytes()).n_profiles == 1
    many = [draft.add_tensor(f"m{i}", [8], room=32) for i in range(20_000)]
    draft.add_step("tiny::Nop@1#c", [draft.plan["inputs"][0]] * 20_000, many)
    draft.plan["profiles"] = []
    draft.add_profile([[8]] * 3)
    assert _native.Engine(draft.to_bytes()).n_profiles == 1
    draft.plan["profiles"][0]["offsets"][many[7]] += 64
    assert "'m7'" in (got := refused(draft.to_bytes()).got) and "into the same memory" in got
    draft.plan["profiles"][0]["offsets"][many[7]] -= 64
    draft.plan["tensors"][first + n - 1]["alias_of"] = first
    assert refused(draft.to_bytes()).expected == "a chain that ends"

"""Plans written by hand, for tests of the runtime that must not need the builder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dovetail import _native
from dovetail.machine.plan import PackedAtLoad

ALIGNMENT = 64
ZEROS = "0" * 16
OPEN, ROWS = {"program": 0}, (1, 0, 0)  # an extent, and its program: the first extent of the first input
ONE_NUMBER: list[list[int]] = [[], [], []]  # the range of an input without dims
LISTS = (
    "requires",
    "programs",
    "constraints",
    "tensors",
    "inputs",
    "outputs",
    "profiles",
    "steps",
    "constants",
)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


def container(plan_text: str, blobs: dict[str, bytes], checksum: str | None = None, **metadata: str) -> bytes:
    """A safetensors file with everything 64-byte aligned; `checksum` None: the right one."""
    header: dict[str, Any] = {
        "__metadata__": {"format": "dovetail.plan", "checksum": ZEROS, "plan": plan_text, **metadata}
    }
    data = b""
    for name, blob in blobs.items():
        blob = padded(blob)
        header[name] = {"dtype": "U8", "shape": [len(blob)], "data_offsets": [len(data), len(data) + len(blob)]}
        data += blob
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    return seal(len(text).to_bytes(8, "little") + text + data, checksum)


def seal(file: bytes, checksum: str | None = None) -> bytes:
    """The file, which has zeros for its checksum, with the digits in their place."""
    key = b'"checksum": "'
    at = file.index(key) + len(key)
    digits = checksum or _native.checksum(file)
    return file[:at] + digits.encode() + file[at + 16 :]


@dataclass
class Draft:
    """A plan in the making; every `add_*` returns the index of what it added."""

    name: str = "hand made"
    version: tuple[int, int] = (2, 1)
    plan: dict[str, Any] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    arena: int = 0
    offsets: dict[int, int] = field(default_factory=dict)
    workspaces: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plan = {
            "version": list(self.version),
            "name": self.name,
            "producer": "by hand",
            "device": {"type": "cpu", "machine": "", "isa": []},
            **{key: [] for key in LISTS},
            "report": {},
            **({} if self.version < (2, 0) else {"weights": []}),
        }
        self._steps = [self.plan["steps"]]  # that of the block in the making is the last

    def _with(self, plan: dict[str, Any]) -> Draft:
        self.plan = plan
        return self

    def _append(self, key: str, value: Any) -> int:
        self.plan[key].append(value)
        return len(self.plan[key]) - 1

    def add_program(self, *code: int) -> int:
        return self._append("programs", list(code))

    def add_constraint(self, text: str, *code: int) -> int:
        return self._append("constraints", {"program": self.add_program(*code), "text": text})

    def add_tensor(self, name: str, dims: list[Any], where: str = "arena", room: int = 4096, **more: Any) -> int:
        record = {"name": name, "dtype": 0, "format": 0, "scale": -1.0, "device": 1, "dims": dims, "where": where}
        index = self._append("tensors", record | more)
        if where == "arena":
            self.offsets[index] = self.take(room)
        if where in ("input", "output"):
            self.plan[where + "s"].append(index)
        return index

    def take(self, n_bytes: int) -> int:
        """An offset in the arena; nothing is shared."""
        offset, self.arena = self.arena, self.arena + n_bytes + -n_bytes % ALIGNMENT
        return offset

    def add_constant(self, data: np.ndarray | bytes) -> int:
        data = data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
        name = f"constant.{len(self.blobs)}"
        self.blobs[name] = data
        return self._append("constants", {"name": name, "bytes": len(data)})

    def add_weights(self, name: str, array: np.ndarray, **more: Any) -> int:
        """A float32 tensor that is a constant."""
        constant = self.add_constant(array.astype(np.float32))
        return self.add_tensor(name, list(array.shape), "constant", constant=constant, **more)

    def add_step(
        self,
        implementation: str,
        inputs: list[int],
        outputs: list[int],
        row: str = "",
        workspace: int = 0,
        **more: Any,
    ) -> int:
        step = {
            "layer": f"layer{len(self.workspaces)}",
            "op": implementation.split("#")[0],
            "implementation": implementation,
            "row": row,
            "tactic": 0,
            "fields": None,
            "state": -1,
            "inputs": inputs,
            "outputs": outputs,
            "packed": -1,
            "python": False,
        }
        return self._add(step | more, workspace)

    def _add(self, step: dict[str, Any], workspace: int = 0) -> int:
        self._steps[-1].append(step)
        self.workspaces.append((self.take(workspace), workspace) if workspace else (-1, 0))
        return len(self.workspaces) - 1

    def add_control(self, kind: str, inputs: list[int], outputs: list[int], **more: Any) -> list[Any]:
        """A step that owns blocks; returns the list of them, to be filled by `block`."""
        step = {"layer": f"{kind}{len(self.workspaces)}", "control": kind, "inputs": inputs, "outputs": outputs}
        blocks: list[Any] = []
        self._add(step | {"blocks": blocks} | more)
        return blocks

    @contextmanager
    def block(self, of: list[Any], inputs: list[int], outputs: list[int]) -> Iterator[None]:
        """Steps that are added meanwhile are those of a block."""
        of.append({"inputs": inputs, "outputs": outputs, "steps": []})
        self._steps.append(of[-1]["steps"])
        yield
        self._steps.pop()

    def add_profile(self, *inputs: list[list[int]]) -> int:
        """One [min, opt, max] per input; to be called after the last tensor and step."""
        profile = {
            "inputs": list(inputs),
            "arena_bytes": self.arena,
            "lower_bound": self.arena,
            "offsets": [self.offsets.get(t, -1) for t in range(len(self.plan["tensors"]))],
            "workspace": [offset for offset, _ in self.workspaces],
            "workspace_bytes": [n_bytes for _, n_bytes in self.workspaces],
        }
        return self._append("profiles", profile)

    def to_bytes(self) -> bytes:
        return container(json.dumps(self.plan), self.blobs)


def fixed(*dims: int) -> list[list[int]]:
    """The range of an input that has one shape."""
    return [list(dims)] * 3


def chain(n_steps: int = 2, n: int = 8, implementation: str = "tiny::Add@1#c", row: str = "plain") -> Draft:
    """x -> n_steps steps -> y, all float32 [n]."""
    draft = Draft("chain")
    tensor = draft.add_tensor("x", [n], "input")
    for i in range(n_steps):
        is_last = i + 1 == n_steps
        made = draft.add_tensor("y" if is_last else f"t{i}", [n], "output" if is_last else "arena", room=4 * n)
        draft.add_step(implementation, [tensor], [made], row)
        tensor = made
    draft.add_profile(fixed(n))
    return draft


def open_chain(low: int = 1, high: int = 16, version: tuple[int, int] = (2, 1)) -> Draft:
    """y = 2 * (x + x) of x [batch, 3], batch open; a view [3 * batch] of it in the middle."""
    draft = Draft("open", version)
    batch = {"program": draft.add_program(1, 0, 0)}
    flat = {"program": draft.add_program(1, 0, 0, 0, 3, 16 + 1)}
    x = draft.add_tensor("x", [batch, 3], "input", dim_names=["batch", None])
    t = draft.add_tensor("t", [batch, 3])
    view = draft.add_tensor("view", [flat], "alias", alias_of=t)
    y = draft.add_tensor("y", [flat], "output")
    draft.add_step("tiny::Add@1#c", [x, x], [t], "plain")
    draft.add_step("tiny::Add@1#c", [view, -1], [y], "plain", fields=[["factor", 2, 2.0]])
    draft.add_profile([[low, 3], [min(4, high), 3], [high, 3]])
    return draft


def conditional(rows: Any = 4, programs: tuple[tuple[int, ...], ...] = ()) -> Draft:
    """y = 2 * (x + x) where the condition holds, else sqrt(x) + x, of x [rows]."""
    draft = Draft("conditional")
    for program in programs:
        draft.add_program(*program)
    x, condition = draft.add_tensor("x", [rows], "input"), draft.add_tensor("condition", [], "input", dtype=4)
    y = draft.add_tensor("y", [rows], "output")
    then, otherwise = (draft.add_tensor(name, [rows], "alias", alias_of=y) for name in ("then", "else"))
    root = draft.add_tensor("root", [rows])
    blocks = draft.add_control("conditional", [condition], [y])
    with draft.block(blocks, [], [then]):
        draft.add_step("tiny::Add@1#c", [x, x], [then], "plain", fields=[["factor", 2, 2.0]], workspace=128)
    with draft.block(blocks, [], [otherwise]):
        draft.add_step("tiny::Root@1#c", [x], [root])
        draft.add_step("tiny::Add@1#c", [root, x], [otherwise], "plain", workspace=128)
    return draft


def loop(rows: Any = 4, programs: tuple[tuple[int, ...], ...] = (), counted: bool = True) -> Draft:
    """a, b = x, zeros; a, b = a + b, 2 * a again and again; y, z = a, b, of x [rows]."""
    draft = Draft("loop")
    for program in programs:
        draft.add_program(*program)
    x, zeros = draft.add_tensor("x", [rows], "input"), draft.add_tensor("zeros", [rows], "input")
    count = draft.add_tensor("count", [1], "input", dtype=8) if counted else -1
    y, z = draft.add_tensor("y", [rows], "output"), draft.add_tensor("z", [rows], "output")
    a, b, a_after, b_after = (draft.add_tensor(name, [rows], room=256) for name in ("a", "b", "a after", "b after"))
    blocks = draft.add_control("loop", [count, x, zeros], [y, z], **({} if counted else {"iterations": 3}))
    with draft.block(blocks, [a, b], [a_after, b_after]):
        draft.add_step("tiny::Add@1#c", [a, b], [a_after], "plain", workspace=128)
        draft.add_step("tiny::Add@1#c", [a, a], [b_after], "plain", workspace=128)
    return draft


def blocks(version: tuple[int, int] = (2, 1)) -> Draft:
    """A plan that uses each kind of block, of open extents."""
    draft = nested(OPEN, (ROWS,), version)
    draft.add_profile([[1], [4], [16]], fixed(1), ONE_NUMBER)
    return draft


def nested(rows: Any = 4, programs: tuple[tuple[int, ...], ...] = (), version: Any = (2, 1)) -> Draft:
    """`count` times a = (a + 3 * x if the condition holds, else 2 * a), from a = x; y = a + a, of x [rows]."""
    draft = Draft("nested", version)
    for program in programs:
        draft.add_program(*program)
    x, condition = draft.add_tensor("x", [rows], "input"), draft.add_tensor("condition", [1], "input", dtype=3)
    count = draft.add_tensor("count", [], "input", dtype=3)
    y, last = draft.add_tensor("y", [rows], "output"), draft.add_tensor("last", [rows])
    a, a_after, inner, inner_after = (draft.add_tensor(name, [rows]) for name in ("a", "a after", "i", "i after"))
    then, otherwise = (draft.add_tensor(name, [rows], "alias", alias_of=a_after) for name in ("then", "else"))
    outer = draft.add_control("loop", [count, x], [last])
    with draft.block(outer, [a], [a_after]):
        branches = draft.add_control("conditional", [condition], [a_after])
        with draft.block(branches, [], [then]):
            body = draft.add_control("loop", [-1, a], [then], iterations=3)
            with draft.block(body, [inner], [inner_after]):
                draft.add_step("tiny::Add@1#c", [inner, x], [inner_after], "plain", workspace=128)
        with draft.block(branches, [], [otherwise]):
            draft.add_step("tiny::Add@1#c", [a, a], [otherwise], "plain", workspace=128)
    draft.add_step("tiny::Add@1#c", [last, last], [y], "plain", workspace=128)
    return draft


def everything(version: tuple[int, int] = (2, 1)) -> Draft:
    """A plan that uses each part of the format once: y [3 * batch] and z [4] of x [batch, 3]."""
    draft = Draft("everything", version)
    batch = {"program": draft.add_program(1, 0, 0)}
    flat = {"program": draft.add_program(1, 0, 0, 0, 3, 16 + 1)}
    halved = {"program": draft.add_program(1, 0, 0, 0, 2, 16 + 8, 0, 1, 16 + 2)}
    draft.add_constraint("batch must be below 1000", 1, 0, 0, 0, 1000, 16 + 6)
    x = draft.add_tensor("x", [batch, 3], "input", dim_names=["batch", None])
    w = draft.add_weights("w", np.arange(4))
    blocked = draft.add_constant(np.zeros((2, 8, 8, 4), np.int8))
    draft.add_tensor("b", [5, 8, 8], "constant", dtype=2, format=3, scale=0.5, constant=blocked)
    t = draft.add_tensor("t", [batch, 3])
    view = draft.add_tensor("view", [flat], "alias", alias_of=t)
    again = draft.add_tensor("view of view", [flat], "alias", alias_of=view)
    half = draft.add_tensor("half", [halved, 2], dtype=1)
    y, z = draft.add_tensor("y", [flat], "output"), draft.add_tensor("z", [4], "output")
    filled = draft.add_tensor("filled", [4])
    table = {"constant": draft.plan["tensors"][w]["constant"], "dtype": 0, "dims": [2, 2]}
    fields = [
        ["factor", 2, 2.0],
        ["words", 6, "some text"],
        ["flag", 5, True],
        ["list", 10, [1, -2, 3]],
        ["small", 0, [0.5, "inf"]],
        ["wide", 1, 1.5],
        ["table", 64, table],
    ]
    draft.add_step("tiny::Add@1#c", [x, x], [t], "plain", tactic=1, workspace=128, fields=fields)
    draft.add_step("tiny::Nop@1#c", [again], [half])
    draft.add_step("tiny::Add@1#c", [again, -1], [y], "plain", workspace=64)
    draft.add_step("tiny::Fill@1#v2", [w], [filled], state=draft.add_constant(np.int64([42])))
    draft.add_step("tiny::Packed@1#c", [filled], [z], "packed", packed=draft.add_constant(np.float32([0.5])))
    if version >= (2, 0):
        _add_weights(draft)
    names = {step["implementation"]: step["op"] for step in draft.plan["steps"]}
    draft.plan["requires"] = [
        {"op": op, "implementation": name, "plugin": "tiny", "plugin_version": "0.3", "library": "", "hash": ""}
        for name, op in names.items()
    ]
    draft.add_profile([[1, 3], [4, 3], [16, 3]])
    draft.add_profile([[0, 3], [0, 3], [2, 3]])
    return draft


def _add_weights(draft: Draft) -> None:
    """u [2] = 2 * (v + w), of which v is in the plan as it is and packed at load, and w is packed only."""
    v = draft.add_weights("v", np.float32([1, 2]))
    w = draft.add_tensor("w packed", [2], "constant", constant=-1)
    zeros, half = draft.add_weights("zeros", np.zeros(2)), draft.add_tensor("half u", [2])
    u = draft.add_tensor("u", [2], "output")
    at_load = draft._append("constants", {"step": len(draft.plan["steps"]), "bytes": 16})
    first = draft.add_step("tiny::Twice@1#c", [zeros, v], [half], "twice", packed=at_load)
    second = draft.add_step(
        "tiny::Twice@1#c", [half, w], [u], "twice", packed=draft.add_constant(np.float32([6, 0, 8, 0]))
    )
    draft.plan["weights"] += [
        {"how": "given", "layer": "layer5", "role": "kernel", "tensor": v},
        {"how": "packed", "step": first, "of": [0]},
        {"how": "given", "layer": "layer6", "role": "kernel"},
        {"how": "converted", "dtype": 1, "of": [2]},
        {"how": "folded", "layer": "cast", "by": "x#cpu", "not_refittable": "cast made it", "of": [3], "tensor": w},
        {"how": "packed", "step": second, "of": [4]},
    ]


def constants_of(plan: bytes) -> list[bytes | PackedAtLoad]:
    """The constants of a plan of the builder's, as `write_plan` takes them."""
    draft = draft_of(bytes(plan))
    return [
        PackedAtLoad(listed["step"], listed["bytes"])
        if "step" in listed
        else draft.blobs[listed["name"]][: listed["bytes"]]
        for listed in draft.plan["constants"]
    ]


def draft_of(plan: bytes) -> Draft:
    """A plan of the builder's, to be changed and signed again."""
    n = int.from_bytes(plan[:8], "little")
    header = json.loads(plan[8 : 8 + n])
    document = json.loads(header.pop("__metadata__")["plan"])
    data = plan[8 + n :]
    blobs = {name: data[slice(*record["data_offsets"])] for name, record in header.items()}
    return Draft(document["name"], blobs=blobs)._with(document)

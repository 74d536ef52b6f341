"""Specs, implementations, libraries and distributions made up for the tests of the registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from dovetail.core.contract import REQUIRED, Field, Implementation, OpSpec, Port, Row
from dovetail.core.types import DataType, FieldType

BROKEN = Path(__file__).parents[1] / "registry" / "broken"


class PlainOp:
    """An op whose outputs are like its inputs."""

    def __init__(self, layer, values):
        self.layer, self.values = layer, values

    def infer(self, inputs):
        return [tensor.like() for tensor in inputs]


def spec(name="Blur", version="1", namespace="", **facts) -> OpSpec:
    facts = {
        "inputs": (Port("x", (DataType.FLOAT, DataType.HALF)),),
        "outputs": (Port("y", like="x"),),
        "fields": (
            Field("axis", FieldType.INT64, -1, "Axis."),
            Field("sizes", FieldType.INT64, max_length=4),
        ),
        "make": PlainOp,
        "where": f"{name.lower()}.py:10",
        **facts,
    }
    return OpSpec(name, version, namespace, **facts)


def implementation(op="Blur@1", name="cpu", reads=(), types=(), **facts) -> Implementation:
    rows = tuple(Row(f"row{index}", text, index=index) for index, text in enumerate(types))
    reads = tuple(
        (field, FieldType[wire], room, f"{name}.hpp:{12 + index}") for index, (field, wire, room) in enumerate(reads)
    )
    return Implementation(op, name, rows=rows, reads=reads, **facts)


def library_op(name, version="1", namespace="", fields=(), inputs=None, outputs=None):
    """What `_native` gives for a dt_op; its objects remember how they were made."""

    def create(layer, values):
        return SimpleNamespace(layer=layer, values=values)

    return SimpleNamespace(
        name=name, version=version, namespace=namespace, doc="", create=create, load=create, has_save=False,
        inputs=inputs, outputs=outputs, fields=[library_field(**field) for field in fields],
    )  # fmt: skip


def library_field(name, type="INT64", default=REQUIRED, **facts):
    made = {"min_length": 1, "max_length": 1, "low": float("nan"), "high": float("nan"), "doc": None, **facts}
    is_required = default is REQUIRED
    default = None if is_required else default
    return {"name": name, "type": int(FieldType[type]), "required": is_required, "default": default, **made}


def library_implementation(op, name, reads=(), rows=(), traits=0, device=1):
    """What `_native` gives for a dt_implementation."""
    empty = {"needs": 0, "min_sm": 0, "traits": 0, "formats": None, "absorbs": False, "replaces": 0}
    return SimpleNamespace(
        op=op, name=name, id=f"{op}#{name}", device=device, traits=traits,
        reads=[(field, int(FieldType[wire]), room, where) for field, wire, room, where in reads],
        rows=[{**empty, "tactic": tactic, "types": types} for tactic, types in rows],
    )  # fmt: skip


def library(path, name, ops=(), implementations=(), version="1.0", namespace="", abi=(1, 0), hash=""):
    """What `_native.open_library` gives."""
    return SimpleNamespace(
        path=str(path), name=name, version=version, namespace=namespace, abi=abi, ops=list(ops),
        implementations=list(implementations), hash=hash or f"hash of {path}",
    )  # fmt: skip


def install(folder: Path, distribution: str, *modules: str, entries: dict[str, str] | None = None, version="1.0"):
    """A distribution in `folder`: modules of tests/registry/broken, and an entry point for each."""
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    points = entries or {module.replace("_", "-"): module for module in modules}
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[dovetail.plugins]", *lines, ""]))
    for module in modules:
        if (BROKEN / f"{module}.py").exists():
            shutil.copy(BROKEN / f"{module}.py", folder)
    return folder


def command(*arguments: str, path: Path | None = None, **environment: str):
    """The `dovetail` command in a process of its own, with the distributions that lie in `path`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DOVETAIL_PLUGIN")}
    clean["PYTHONPATH"] = os.pathsep.join(filter(None, [str(path or ""), clean.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "dovetail.machine.cli", *arguments],
        env={**clean, **environment}, cwd=path or BROKEN, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def listing(path: Path | None = None, **environment: str) -> dict[str, dict]:
    """Records by name, as `dovetail plugins list --json` gives them."""
    done = command("plugins", "list", "--json", path=path, **environment)
    assert done.returncode == 0, done.stderr
    return {record["name"]: record for record in json.loads(done.stdout)["plugins"]}


def ids(registry) -> list[str]:
    """Everything registered, by id."""
    return [s.id for s in registry.specs()] + [i.id for i in registry.implementations()]

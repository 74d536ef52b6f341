"""Generated files are as the specs say. To refresh them: make refresh."""

import ast
import json
import re
from pathlib import Path

import pytest

import dovetail as trt
import dovetail.machine.network
from dovetail import _native
from dovetail.core.contract import REQUIRED
from dovetail.machine.cli.enumerations import enumerations_header
from dovetail.machine.cli.stubs import built_in_add_methods, native_stub, network_stub, tables_stub
from dovetail.registry.loader import default_registry

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "tests" / "golden" / "specs.json"
HEADER = ROOT / "csrc" / "kernels" / "spec" / "enumerations.hpp"


def test_network_stub_is_fresh():
    registry = default_registry()
    stub = Path(dovetail.machine.network.__file__).with_suffix(".pyi")
    assert stub.read_text() == network_stub(registry, built_in_add_methods(registry)), "run: make refresh"


@pytest.mark.parametrize(
    ("path", "made"),
    [("csrc/bindings/_native.pyi", native_stub), ("core/_tables.pyi", tables_stub)],
)
def test_the_other_stubs_are_fresh(path, made):
    assert (ROOT / path).read_text() == made(), "run: make refresh"


def test_the_stub_of_the_native_module_has_what_the_module_has():
    tree = ast.parse((ROOT / "csrc/bindings/_native.pyi").read_text())
    names = {getattr(node, "name", None) or getattr(getattr(node, "target", None), "id", None) for node in tree.body}
    assert {name for name in vars(_native) if not name.startswith("_")} == names - {None}


def test_enumerations_for_cpp_are_those_of_the_specs():
    text = enumerations_header(default_registry())
    assert HEADER.read_text() == text, "run: make refresh"
    members = dict(
        re.findall(r"X\(prefix, (\w+), (\d+)\)", text[text.index("DOVETAIL_PADDING_MODE") :].partition("\n\n")[0])
    )
    assert {name: int(value) for name, value in members.items()} == {
        member.name.title().replace("_", ""): int(member) for member in trt.PaddingMode
    }


def test_kernels_write_down_no_enumeration_of_their_own():
    """An enumerator with the name of a member of a field's enumeration and a value beside it stands there twice."""
    names = set(re.findall(r"X\(prefix, (\w+), \d+\)", HEADER.read_text()))
    listed = re.compile(r"\bk[A-Z][a-z]*?(\w+) = \d+,")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in sorted((ROOT / "csrc").rglob("*.[hc]*"))
        if path.parts[-2] not in ("runtime", "bindings", "tests", "dovetail", "detail", "onednn")  # oneDNN's own
        for match in listed.finditer(path.read_text())
        if match[0].partition(" ")[0][1:] in names or match[1] in names
    ]
    assert found == []


def specs_as_data(registry):
    """What a person reviews when an op changes: identity, ports, fields, and no code."""
    data = {}
    for spec in registry.specs():
        if registry.record_of(spec.id).kind != "built-in":
            continue
        data[spec.id] = {
            "formula": spec.doc.partition("\n")[0],
            "inputs": [
                {
                    "name": port.name,
                    "types": [t.short for t in port.types],
                    "kind": [k for k in ("optional", "variadic", "weights", "quantized") if getattr(port, k)],
                }
                for port in spec.inputs
            ],
            "outputs": [
                {"name": port.name, "types": [t.short for t in port.types], "like": port.like} for port in spec.outputs
            ],
            "fields": {
                f.name: {
                    "type": f.type_name,
                    "default": "required" if f.default is REQUIRED else repr(f.default),
                    "range": [f.low, f.high],
                    "doc": f.doc,
                }
                for f in spec.fields
            },
            "methods": sorted(spec.add_methods),
            "properties": sorted(spec.properties),
            "scalar": spec.scalar,
            "role": spec.role,
        }
    return data


def test_specs_are_as_reviewed(request):
    found = json.dumps(specs_as_data(default_registry()), indent=1, sort_keys=True) + "\n"
    if request.config.getoption("--refresh-golden"):
        SPECS.write_text(found)
    assert SPECS.read_text() == found, "an op changed: raise its version, or refresh with pytest --refresh-golden"

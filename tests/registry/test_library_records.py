"""Libraries as records: described in a table, and built with a compiler."""

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from registry_parts import implementation, library, library_implementation, library_op, spec

import dovetail
from dovetail import _native
from dovetail.core.contract import REQUIRED, Row, SymbolicTensor
from dovetail.core.errors import FieldValueError, LibraryRefused, PluginConflict
from dovetail.core.expr import DimsExprs, input_dim
from dovetail.core.types import DataType, DeviceType, FieldType
from dovetail.registry import Registry, library_files, library_records, native_tables

PLAIN = Path(__file__).parents[1] / "abi" / "plugins" / "plain.c"


def port(name, types=None, flags=0):
    return {"name": name, "types": types, "flags": flags, "doc": None}


def read_back(op):
    return library_records.specs_of(library("/lib/libacme.so", "acme", [op]))[0]


def test_a_described_op_reads_like_one_written_in_python():
    inputs = [port("x", "f32 f16"), port("bias", "f32", 1 | 4), port("rest", None, 2)]
    op = read_back(library_op("NMS", "2", "acme", inputs=inputs, outputs=[port("y", "=x"), port("n", "i32")]))
    assert (op.id, op.where) == ("acme::NMS@2", "libacme.so")
    assert op.inputs[0].types == (DataType.FLOAT, DataType.HALF)
    assert (op.inputs[1].optional, op.inputs[1].weights, op.inputs[1].variadic) == (True, True, False)
    assert op.inputs[2].variadic
    assert (op.outputs[0].like, op.outputs[0].types, op.outputs[1].types) == ("x", (), (DataType.INT32,))


def test_an_op_without_ports_takes_any_number_of_tensors():
    op = read_back(library_op("NMS"))
    assert [(p.name, p.variadic) for p in op.inputs] == [("inputs", True)]
    assert op.outputs == ()


def test_fields_keep_type_default_range_and_length():
    made = [
        {"name": "iou", "type": "FLOAT64", "default": 0.5, "low": 0.0, "high": 1.0, "doc": "Overlap."},
        {"name": "sizes", "min_length": 0, "max_length": 8},
        {"name": "left_out", "default": None},
        {"name": "mode", "type": "CHAR", "default": "fast", "max_length": -1},
    ]
    iou, sizes, left_out, mode = read_back(library_op("NMS", fields=made)).fields
    assert (iou.wire, iou.default, iou.low, iou.high, iou.doc) == (
        FieldType.FLOAT64,
        0.5,
        0.0,
        1.0,
        "Overlap.",
    )
    assert (sizes.default, sizes.low, sizes.min_length, sizes.max_length) == (REQUIRED, None, 0, 8)
    assert (left_out.default, mode.default) == (None, "fast")


def test_a_default_outside_its_own_rule_is_refused():
    with pytest.raises(FieldValueError, match=r"allowed 0\.\.1"):
        read_back(library_op("NMS", fields=[{"name": "iou", "type": "FLOAT64", "default": 7, "low": 0, "high": 1}]))


def test_fields_reach_the_library_with_their_wire_types_and_absent_ones_do_not():
    op = read_back(library_op("NMS", fields=[{"name": "iou", "type": "FLOAT64"}, {"name": "top", "default": None}]))
    made = op.make("nms_1", {"iou": 0.5, "top": None})
    assert (made.native.layer, made.native.values) == ("nms_1", [("iou", int(FieldType.FLOAT64), 0.5)])


def test_rows_and_traits_are_read_by_name():
    one = library_implementation("NMS@1", "cpu", rows=[("fast", "f32 -> f32"), ("any", "f32 -> f32")], traits=1 | 4)
    features = library_records._FEATURES
    one.rows[0].update(needs=features["avx2"] | features["fma"], formats="chw16", traits=2 | 16)
    made = library_records.implementations_of(library("/lib/libacme.so", "acme", [], [one]), "acme")[0]
    assert made.rows[0] == Row("fast", "f32 -> f32", "chw16", ("avx2", "fma"), 0, 0, is_in_place=True, is_winograd=True)
    assert made.rows[1] == Row("any", "f32 -> f32", "linear", (), 0, 1, is_in_place=True)
    assert (made.traits, made.device, made.native) == ({"op_object", "in_place"}, DeviceType.CPU, one)
    assert (made.plugin, made.library) == ("acme", "/lib/libacme.so")


def test_a_gpu_implementation_is_one():
    one = library_implementation("NMS@1", "cuda", device=2)
    assert library_records.implementations_of(library("l.so", "acme", [], [one]), "acme")[0].device == DeviceType.GPU


def test_a_library_without_output_ports_is_asked_how_many_there_are():
    class Object:
        def count_outputs(self, n_inputs):
            return 2

        def infer_dims(self, index, dims, builder):
            return [*dims[0], builder.constant(index)] if dims[1] is None else []

        def infer_type(self, index, types):
            return types[0] if types[1] == -1 else DataType.INT8

        def clone(self):
            return Object()

    op = library_op("Split")
    op.create = lambda layer, fields: Object()
    made = read_back(op).make("split", {})
    x = SymbolicTensor(DimsExprs([input_dim(0, 0, "N"), 4]), DataType.HALF)
    first, second = made.infer([x, None])
    assert [str(dim) for dim in second.dims] == ["N", "4", "1"]
    assert first.dtype == DataType.HALF
    assert made.num_outputs == 2
    assert made.clone().native is not made.native


def test_a_newer_minor_has_a_star():
    assert (library_files.abi_text((1, 0)), library_files.abi_text((1, 4))) == ("1.0", "1.4*")


def test_a_bare_name_is_looked_for_in_the_search_path(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(library_files, "_native", SimpleNamespace(open_library=asked.append))
    monkeypatch.setenv("DOVETAIL_PLUGIN_PATH", str(tmp_path))
    monkeypatch.chdir("/")
    (tmp_path / "libacme.so").touch()
    library_files.open_library("libacme.so")
    with pytest.raises(LibraryRefused, match=r"other\.so was not opened"):
        library_files.open_library("other.so")
    assert asked == [str(tmp_path / "libacme.so")]


def test_a_file_that_is_no_library_is_refused_and_recorded(registry, tmp_path):
    text = tmp_path / "libtext.so"
    text.write_text("this is a text")
    with pytest.raises(LibraryRefused):
        registry.load_library(text)
    with pytest.raises(LibraryRefused):
        registry.load_library(tmp_path / "libmissing.so")
    assert [(r.name, r.state) for r in registry.records()] == [
        ("libtext.so", "incompatible"),
        ("libmissing.so", "failed"),
    ]


@pytest.mark.parametrize("path", [".", "..", "./", "{folder}", "{folder}/"])
def test_a_folder_is_refused_and_not_remembered(registry, tmp_path, path):
    with pytest.raises(LibraryRefused, match="no library can be called") as info:
        registry.load_library(path.format(folder=tmp_path))
    assert info.value.facts == [("reason", "it is a folder")]
    assert registry.records() == []


# ---- a real one


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    if not shutil.which("gcc"):
        pytest.skip("no gcc on this machine")
    target = tmp_path_factory.mktemp("plain") / "libplain.so"
    include = f"-I{dovetail.get_include()}"
    flags = ["-std=c11", "-shared", "-fPIC", "-fvisibility=hidden"]
    subprocess.run(["gcc", *flags, include, str(PLAIN), "-o", str(target)], check=True)
    return target


def test_a_path_may_have_any_bytes(plain, tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"lib\xff\xe9.so")
    shutil.copy(plain, path)
    registry = Registry()
    record = registry.load_library(path)
    assert record.state == "loaded" and os.fsencode(record.path) == path
    assert os.fsdecode(path) in _native.opened_paths()
    assert not registry.adopt_opened()  # it is known
    os.unlink(path)
    assert not Registry().adopt_opened()  # it is mapped as a deleted file
    with pytest.raises(LibraryRefused, match="was not opened"):
        Registry().load_library(path)
    registry.deregister_library(record)


@pytest.fixture
def loaded(plain):
    registry = Registry()
    record = registry.load_library(plain)
    yield registry, record
    registry.deregister_library(record)


def test_a_library_in_c_is_registered(loaded):
    registry, record = loaded
    assert (record.name, record.version, record.kind) == ("plain", "0.1", "native")
    assert record.implementations == ("plain::Negate@1#cpu",)
    op = registry.find("plain::Negate@1")
    assert op.field_named("scale").default == 1.0
    one = registry.implementations_of(op.id)[0]
    assert [row.tactic for row in one.rows] == ["loop", "loop_chw16"]
    assert one.reads == (("scale", FieldType.FLOAT64, 1, "plain.c:10"),)


def test_its_op_infers_dims_that_are_not_known_yet(loaded):
    op = loaded[0].find("plain::Negate@1").make("neg", {"scale": 2.0})
    x = SymbolicTensor(DimsExprs([input_dim(0, 0, "N"), 3]), DataType.FLOAT)
    (y,) = op.infer([x])
    assert ([str(dim) for dim in y.dims], y.dtype) == (["N", "3"], DataType.FLOAT)
    assert op.clone().infer([x])[0].dims == y.dims


def test_the_same_file_again_is_the_same_record_and_two_registries_may_have_it(loaded, plain):
    registry, record = loaded
    assert registry.load_library(plain) is record
    other = Registry()
    assert other.load_library(plain).hash == record.hash


# ---- implementations written in Python


class Factory:
    def create(self, layer, values):
        return self

    def supports(self, pos, descs, n_in, n_out):
        return True

    def enqueue(self, in_descs, out_descs, inputs, outputs, workspace, stream):
        np.negative(inputs[0], out=outputs[0])


def test_a_factory_gets_one_table_for_the_life_of_the_process():
    one = implementation("Blur@1", "user.python", types=["f32 -> f32"], native=Factory(), traits=frozenset({"python"}))
    first, second = Registry(), Registry()
    for registry in (first, second):
        registry.add_op(spec())
        registry.add_implementation(one)
    tables = [registry.implementations()[0].native for registry in (first, second)]
    assert tables[0] is tables[1]
    assert tables[0].id == "Blur@1#user.python"
    native_tables.withdraw(one)


def test_two_tables_of_one_id_in_a_process_are_a_conflict():
    first, second = Registry(), Registry()
    first.add_op(spec("Smear"))
    second.add_op(spec("Smear"))
    one = implementation("Smear@1", types=["f32 -> f32"], native=Factory())
    first.add_implementation(one)
    with pytest.raises(PluginConflict):
        second.add_implementation(implementation("Smear@1", types=["f32 -> f32"], native=Factory()))
    assert second.implementations() == []
    native_tables.withdraw(one)

"""Opening libraries: what is refused and why, what is opened, what is the same library."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from dovetail import _native
from dovetail.core.errors import LibraryRefused, PluginConflict
from dovetail.registry import library_records


def refusal(path) -> LibraryRefused:
    with pytest.raises(LibraryRefused) as info:
        _native.open_library(path)
    error = info.value
    assert str(error).startswith(f"{os.path.basename(path)} was not opened\n")
    assert error.path == str(path)
    return error


def facts(error) -> dict[str, str]:
    return dict(error.facts)


# ---- before any of its code runs


def test_a_file_that_does_not_exist(tmp_path):
    error = refusal(tmp_path / "libnone.so")
    assert facts(error)["reason"] == "there is no such file"
    assert error.hint == "None of its code has run."


def test_a_folder(tmp_path):
    assert facts(refusal(tmp_path))["contents"] == "a folder, not a library"


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        (b"", "the file is empty"),
        (b"#!/bin/sh\n", "not an ELF shared object; it starts with 23 21 2f 62 '#!/b', a script"),
        (b"MZ\x90\x00", "not an ELF shared object; it starts with 4d 5a 90 00 'MZ..', a Windows library"),
        (b"PK\x03\x04rest", "not an ELF shared object; it starts with 50 4b 03 04 'PK..', a zip archive"),
        (b"a", "not an ELF shared object; it starts with 61 'a'"),
    ],
)
def test_what_is_no_shared_object_shows_its_first_bytes(tmp_path, contents, text):
    path = tmp_path / "libtext.so"
    path.write_bytes(contents)
    assert facts(refusal(path))["contents"] == text


@pytest.mark.parametrize(
    ("offset", "value", "name", "text"),
    [
        (4, 1, "word size", "built for 32 bit, this process is 64 bit"),
        (5, 2, "byte order", "built big-endian, this process is little-endian"),
        (18, 8, "machine", "built for machine 8, this process is"),
        (16, 1, "contents", "an object file (.o), not linked: link it with -shared"),
        (16, 2, "contents", "a program, not a shared object"),
    ],
)
def test_what_is_built_for_another_machine_names_both_sides(compile_plugin, tmp_path, offset, value, name, text):
    image = bytearray(compile_plugin("scale.c").read_bytes())
    image[offset] = value
    path = tmp_path / "libother.so"
    path.write_bytes(image)
    assert facts(refusal(path))[name].startswith(text)


def test_word_size_and_machine_are_told_together(compile_plugin, tmp_path):
    image = bytearray(compile_plugin("scale.c").read_bytes())
    image[4], image[18] = 1, 3
    path = tmp_path / "libold.so"
    path.write_bytes(image)
    assert {"word size", "machine"} <= facts(refusal(path)).keys()


@pytest.mark.parametrize("length", [16, 40, 63, 64, 100, 300, 4096, -1])
def test_a_library_that_is_cut_off_never_crashes(compile_plugin, tmp_path, length):
    image = compile_plugin("scale.c").read_bytes()
    path = tmp_path / "libcut.so"
    path.write_bytes(image[: len(image) * 2 // 3 if length < 0 else length])
    assert "cut off" in facts(refusal(path))["contents"]


def test_without_an_entry_it_says_what_there_is(compile_plugin):
    error = refusal(compile_plugin("no_entry.c"))
    assert facts(error)["entry"] == "this library has no dovetail v1 entry; it exports: alpha, beta, gamma_"


def test_an_entry_of_a_later_major(compile_plugin):
    error = refusal(compile_plugin("refused.c", "ENTRY=dovetail_plugin_entry_v2"))
    assert facts(error)["entry"].endswith("it exports: dovetail_plugin_entry_v2")
    assert error.hint.startswith("It is built for interface major 2, this host has major 1")


def test_an_entry_with_a_mangled_name(compile_plugin):
    assert refusal(compile_plugin("throws.cpp", "CPP_NAME")).hint.startswith('Declare the entry extern "C"')


def test_a_plugin_binary_of_tensorrt_is_told_where_to_go(compile_plugin):
    error = refusal(compile_plugin("no_entry.c", "TENSORRT"))
    assert "getPluginCreators" in facts(error)["entry"]
    assert error.hint == "It is a binary for TensorRT: build its source against dovetail/compat instead."


def test_many_exports_are_cut_short(tmp_path):
    source = tmp_path / "many.c"
    source.write_text("".join(f"int f{i}(void) {{ return {i}; }}\n" for i in range(20)))
    library = tmp_path / "libmany.so"
    subprocess.run(["cc", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    assert facts(refusal(library))["entry"].endswith(" and 12 more")


def test_a_missing_dependency_is_named(compile_plugin, tmp_path):
    dependency = tmp_path / "libacme_base.so"
    shutil.copy(compile_plugin("no_entry.c"), dependency)
    link = ("-Wl,--no-as-needed", f"-L{tmp_path}", "-l:libacme_base.so")
    library = compile_plugin("refused.c", link=link)
    dependency.unlink()
    error = refusal(library)
    assert facts(error)["needs"] == "libacme_base.so, which was not found"
    assert "LD_LIBRARY_PATH" in error.hint


def test_an_undefined_symbol_is_named(compile_plugin):
    assert facts(refusal(compile_plugin("no_entry.c", "MISSING")))["symbol"] == "defined_nowhere is defined nowhere"


# ---- at the entry


def test_an_entry_that_declines_is_quoted(compile_plugin):
    error = refusal(compile_plugin("refused.c", "RETURN_NULL"))
    assert facts(error)["entry"] == "it will not work with this host: acme_error: needs 64 cores (acme.c:7)"
    assert error.hint == "Nothing of this library was registered."


def test_an_entry_that_throws(compile_plugin):
    assert facts(refusal(compile_plugin("throws.cpp")))["entry"] == "threw a C++ exception: no licence file"
    number = refusal(compile_plugin("throws.cpp", "NUMBER"))
    assert facts(number)["entry"] == "threw a C++ exception: no std::exception"


def test_open_that_fails_is_quoted(compile_plugin):
    error = refusal(compile_plugin("refused.c", "OPEN_CODE=DT_UNSUPPORTED"))
    assert facts(error)["open"] == "returned code 2: the licence has run out (shop.c:12)"


# ---- tables that break the rules


@pytest.mark.parametrize(
    ("define", "where", "what"),
    [
        ("PLUGIN_NAME=NULL", "plugin", "its name is null or empty"),
        ("PLUGIN_SIZE=80", "plugin", "struct_size is 80, interface 1.0 has "),
        ("MAJOR=3", "plugin", "is of interface major 3, this host has 1"),
        ("OPS=NULL", "op 0", "is a null pointer"),
        ("IMPLEMENTATIONS=NULL", "implementation 0", "is a null pointer"),
        ("OP_SIZE=64", "op 0", "struct_size is 64, interface 1.0 has "),
        ("CREATE=NULL", "op refused::Op@1", "create is null"),
        ('OUTPUT_TYPES="=z"', "op refused::Op@1 output 0", "'=z' names no input"),
        ("OUTPUT_TYPES=NULL", "op refused::Op@1 output 0", "'y' has no types, and there is no infer_type"),
        ('OUTPUT_TYPES="f32 f64"', "op refused::Op@1 output 0", "types 'f32 f64': 'f64' is not a type"),
        (
            "DEFAULT_TYPE=DT_FIELD_FLOAT32",
            "op refused::Op@1 field 0",
            "'mode' has type 5, its default has type 1",
        ),
        ("OPS=&op, &op", "op refused::Op@1", "is there twice"),
        (
            'IMPLEMENTED="NMS"',
            "implementation 0",
            "implements 'NMS', which is not of the form namespace::Name@version",
        ),
        (
            "IMPLEMENTED=NULL",
            "implementation 0",
            "implements null, which is not of the form namespace::Name@version",
        ),
        ("IMPLEMENTATION=NULL", "implementation 0 of refused::Op@1", "its name is null or empty"),
        ("IMPLEMENTATIONS=&implementation, &implementation", "refused::Op@1#plain", "is there twice"),
        (
            "IMPLEMENTATION_TRAITS=DT_TRAIT_OP_OBJECT",
            "refused::Op@1#plain",
            "works on the op's object (DT_TRAIT_OP_OBJECT) and has a create of its own",
        ),
        ("ENQUEUE=NULL", "refused::Op@1#plain row only", "enqueue is null"),
        ("TYPES=NULL", "refused::Op@1#plain row only", "types are null or empty"),
        ("REPLACES=1", "refused::Op@1#plain row only", "replaces inputs and has no prepare"),
        (
            'TYPES="f32 f33 -> f32"',
            "refused::Op@1#plain row only",
            "types 'f32 f33 -> f32': 'f33' is not a type; known are f32 f16 i8 ",
        ),
        (
            'TYPES="f32 f32"',
            "refused::Op@1#plain row only",
            "types 'f32 f32': no '->' between inputs and outputs",
        ),
        (
            'TYPES="f32... f32 -> f32"',
            "refused::Op@1#plain row only",
            "types 'f32... f32 -> f32': '...' stands before 'f32', only the last input may repeat",
        ),
        (
            'TYPES="f32|f16 i8|i32|u8 -> f32"',
            "refused::Op@1#plain row only",
            "types 'f32|f16 i8|i32|u8 -> f32': alternatives of 2 and of 3 words",
        ),
        ('PLUGIN_NAME="\\xff\\xfe"', "plugin", "its name is not UTF-8: '\\xff\\xfe'"),
        ('FIELD_NAME="mode\\xc0\\xaf"', "op refused::Op@1 field 0", "its name is not UTF-8: 'mode\\xc0\\xaf'"),
        ('FIELD_NAME="\\xed\\xa0\\x80"', "op refused::Op@1 field 0", "its name is not UTF-8"),  # a surrogate
        ('FIELD_DOC="\\xe2\\x82"', "op refused::Op@1 field 0", "its doc is not UTF-8"),
        ('IMPLEMENTATION="\\x80"', "implementation 0", "its name is not UTF-8"),
        ('TYPES="\\xff"', "refused::Op@1#plain row 0", "its types is not UTF-8"),
        ("N_OPS=1000000000", "plugin", "says 1000000000 ops, 65536 are the most"),
        ("N_FIELDS=4000000000u", "op refused::Op@1", "says 4000000000 fields, 65536 are the most"),
        ("LENGTHS=3, 2", "op refused::Op@1 field 0", "'mode' takes 3 to 2 elements"),
        ("LENGTHS=-4, -1", "op refused::Op@1 field 0", "'mode' takes -4 to -1 elements"),
        ("RANGE=2, 1", "op refused::Op@1 field 0", "'mode' is allowed from 2"),
        ("DEFAULT_LENGTH=-5", "op refused::Op@1 field 0", "'mode' has a default without data, of -5 elements"),
        ("DEFAULT_LENGTH=9000000000", "op refused::Op@1 field 0", "'mode' has a default without data"),
        ('FORMATS="nchw"', "refused::Op@1#plain row only", "formats 'nchw': 'nchw' is not a format; known are linear "),
        (
            'FORMATS="linear linear -> linear linear"',
            "refused::Op@1#plain row only",
            "types 'f32 f16... -> f32' and formats 'linear linear -> linear linear' are of different tensors",
        ),
    ],
)
def test_a_table_that_breaks_a_rule_is_named(compile_plugin, define, where, what):
    error = refusal(compile_plugin("refused.c", define))
    assert any(left == where and right.startswith(what) for left, right in error.facts), str(error)
    assert error.hint == "Nothing of this library was registered."


def test_each_unknown_extension_is_named(compile_plugin):
    texts = [right for left, right in refusal(compile_plugin("refused.c", "EXTENSIONS=extensions")).facts]
    assert "it cannot do without 'dovetail.future/1', which this host does not have" in texts
    assert "it cannot do without 'dovetail.trace/9', which this host does not have" in texts


def test_all_violations_are_told_at_once(compile_plugin):
    error = refusal(
        compile_plugin("refused.c", "PLUGIN_NAME=NULL", "ENQUEUE=NULL", 'TYPES="f3"', "EXTENSIONS=extensions")
    )
    assert [left for left, _ in error.facts[:5]] == ["plugin", "extension", "extension"] + [
        "refused::Op@1#plain row only"
    ] * 2


def test_a_name_that_is_too_long_is_refused(compile_plugin):
    error = refusal(compile_plugin("refused.c", f'FIELD_NAME="{"n" * 300}"'))
    assert ("op refused::Op@1 field 0", "its name is longer than 255 bytes") in error.facts


# ---- what is opened


def test_a_row_for_an_instruction_set_that_this_host_does_not_know_is_not_run(compile_plugin):
    library = _native.open_library(compile_plugin("refused.c", "NEEDS=1ull << 60", "DEFAULT_LENGTH=1"))
    row = library_records.implementations_of(library, "refused")[0].rows[0]
    assert row.needs == ("instruction set 60 (unknown to this host)",)


def test_a_library_says_who_it_is(compile_plugin):
    path = compile_plugin("scale.c")
    library = _native.open_library(str(path))
    assert (library.name, library.version, library.namespace) == ("acme", "1.2.3", "acme")
    assert (library.vendor, library.license, library.url) == ("Acme", "MIT", "https://acme.example")
    assert (library.abi, library.path) == (_native.ABI_VERSION, str(path))
    assert len(library.hash) == 16 and int(library.hash, 16)
    assert [op.id for op in library.ops] == ["acme::Scale@1", "acme.deep::Bare@2"]
    assert [one.id for one in library.implementations] == [f"acme::Scale@1#{x}" for x in ("rows", "op", "rude")]


def test_the_same_file_a_link_and_a_copy_are_one_library(compile_plugin, tmp_path):
    path = compile_plugin("scale.c")
    library = _native.open_library(path)
    link, copy = tmp_path / "liblink.so", tmp_path / "libcopy.so"
    link.symlink_to(path)
    shutil.copy(path, copy)
    assert _native.open_library(path) is library
    assert _native.open_library(link) is library
    assert _native.open_library(copy) is library


def test_other_contents_are_another_library(compile_plugin):
    first = _native.open_library(compile_plugin("refused.c", 'PLUGIN_NAME="one"'))
    second = _native.open_library(compile_plugin("refused.c", 'PLUGIN_NAME="two"'))
    assert (first.name, second.name) == ("one", "two")
    assert first.hash != second.hash


def test_a_file_rebuilt_under_its_name_is_refused_and_not_mistaken(compile_plugin, tmp_path):
    path = tmp_path / "libchanging.so"
    shutil.copy(compile_plugin("refused.c", 'PLUGIN_NAME="before"'), path)
    assert _native.open_library(path).name == "before"
    path.unlink()
    shutil.copy(compile_plugin("refused.c", 'PLUGIN_NAME="after"'), path)
    error = refusal(path)
    assert facts(error)["contents"].startswith("changed since this process opened the file")
    assert error.hint.startswith("Give the new build another file name")


def test_a_later_minor_with_longer_structs_works(compile_plugin):
    library = _native.open_library(compile_plugin("later_minor.c"))
    assert library.abi == (1, 7)
    assert library.implementations[0].rows[0]["tactic"] == "later"
    assert library.implementations[0].rows[0]["formats"] == "linear"


def test_the_log_of_a_plugin_arrives(compile_plugin):
    lines = []
    _native.set_log_sink(lambda level, text: lines.append((level, text)))
    try:
        _native.open_library(compile_plugin("scale.c", 'VERSION="1.2.4"'))  # not opened before
    finally:
        _native.set_log_sink(None)
    assert (3, "acme was opened") in lines


# ---- the table of implementations


def test_an_id_belongs_to_one_table(compile_plugin):
    mine = _native.open_library(compile_plugin("refused.c", 'PLUGIN_NAME="mine"'))
    theirs = _native.open_library(compile_plugin("refused.c", 'PLUGIN_NAME="theirs"'))
    first, second = mine.implementations[0], theirs.implementations[0]
    _native.register_implementation(first, None)
    try:
        _native.register_implementation(first, mine.ops[0])
        with pytest.raises(PluginConflict) as info:
            _native.register_implementation(second, None)
        lines = dict(info.value.facts)
        assert lines["registered"] == f"mine 1, {mine.path}"
        assert lines["refused"] == f"theirs 1, {theirs.path}"
    finally:
        assert _native.deregister_implementation(first.id)
    assert not _native.deregister_implementation(first.id)


# ---- instruction sets


def test_the_machine_can_be_capped(monkeypatch):
    monkeypatch.delenv("DOVETAIL_FORCE_ISA", raising=False)
    present = _native.cpu_features()
    assert set(present) <= {name for name, _ in _native.CPU_FEATURES}
    monkeypatch.setenv("DOVETAIL_FORCE_ISA", "scalar")
    assert _native.cpu_features() == []
    monkeypatch.setenv("DOVETAIL_FORCE_ISA", "avx2")
    assert _native.cpu_features() == [x for x in present if x in ("sse2", "avx2", "fma", "f16c")]
    monkeypatch.setenv("DOVETAIL_FORCE_ISA", "avx512")
    v4 = ("sse2", "avx2", "fma", "f16c", "avx512")
    assert _native.cpu_features() == [x for x in present if x in v4]
    for name in ("avx512vnni", "avx512bf16"):
        monkeypatch.setenv("DOVETAIL_FORCE_ISA", name)
        assert _native.cpu_features() == [x for x in present if x in (*v4, name)]
    monkeypatch.setenv("DOVETAIL_FORCE_ISA", "amx")
    assert _native.cpu_features() == [x for x in present if x in (*v4, "avx512vnni", "avx512bf16", "amx")]


def test_an_unknown_cap_is_ignored_with_a_word(monkeypatch):
    monkeypatch.delenv("DOVETAIL_FORCE_ISA", raising=False)
    present, lines = _native.cpu_features(), []
    monkeypatch.setenv("DOVETAIL_FORCE_ISA", "mmx")
    _native.set_log_sink(lambda level, text: lines.append((level, text)))
    try:
        assert _native.cpu_features() == present
    finally:
        _native.set_log_sink(None)
    names = "amx, avx512bf16, avx512vnni, avx512, avx2, scalar"
    assert lines == [(2, f"DOVETAIL_FORCE_ISA=mmx is ignored; it takes one of: {names}")]

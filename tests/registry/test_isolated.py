"""Libraries opened in a child process first, and which file a bare name is."""

import os
import subprocess
import sys
import time

import pytest

from dovetail.core.errors import LibraryRefused
from dovetail.registry import Registry, library_files
from dovetail.registry.isolated import check_library

CONSTRUCTORS = {
    "crashes": "*(volatile int*)0 = 1;",
    "ends": "_exit(3);",
    "ends as if all were well": "_exit(0);",
    "aborts": "abort();",
    "never returns": "for (;;) pause();",
    "writes and starts a child that stays": 'if (fork() == 0) for (;;) pause(); write(1, "noise\\n", 6); abort();',
}


def library(folder, constructor, name="libodd.so"):
    """A library whose constructor does this, and whose entry is right but brings nothing."""
    source = folder / "odd.c"
    source.write_text(
        "#include <stdlib.h>\n#include <unistd.h>\n#include <dovetail/plugin.h>\n"
        f"__attribute__((constructor)) static void begin(void) {{ {constructor} }}\n"
        'static const dt_plugin plugin = {DT_HDR(dt_plugin), "odd", "1.5"};\n'
        '__attribute__((visibility("default"))) const dt_plugin* dovetail_plugin_entry_v1(const dt_host* host) {'
        " return host ? &plugin : 0; }\n"
    )
    include = __import__("dovetail").get_include()
    made = folder / name
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{include}", str(source), "-o", str(made)], check=True)
    return made


@pytest.mark.parametrize(
    ("how", "said"),
    [
        pytest.param("crashes", "died of SIGSEGV while it opened the library", marks=pytest.mark.unsanitized),
        ("ends", "ended with exit status 3 while it opened the library"),
        ("ends as if all were well", "ended with exit status 0 while it opened the library"),
        ("aborts", "died of SIGABRT while it opened the library"),
        ("writes and starts a child that stays", "died of SIGABRT while it opened the library"),
    ],
)
def test_a_library_that_ends_its_process_is_refused_and_this_one_lives(tmp_path, how, said):
    registry = Registry()
    path = library(tmp_path, CONSTRUCTORS[how])
    with pytest.raises(LibraryRefused) as info:
        registry.load_library(path, isolated=True)
    assert dict(info.value.facts)["child process"] == said
    assert info.value.path == str(path)
    record = registry.records()[0]
    assert (record.state, record.ops) == ("incompatible", ())


def test_a_library_whose_constructor_never_returns_is_refused_after_the_time(tmp_path):
    started = time.monotonic()
    with pytest.raises(LibraryRefused, match="had not opened it after 2 s"):
        Registry().load_library(library(tmp_path, CONSTRUCTORS["never returns"]), isolated=True, timeout_s=2)
    assert time.monotonic() - started < 60


def test_a_library_that_is_fine_is_loaded_as_without(tmp_path, caplog):
    record = Registry().load_library(library(tmp_path, ""), isolated=True)
    assert (record.name, record.version, record.state) == ("odd", "1.5", "loaded")
    assert "odd: it registers no op and no implementation: write REGISTER_DOVETAIL_PLUGIN" in caplog.text
    assert record.reason.startswith("it registers no op")


@pytest.mark.parametrize("time", [-1, 0, "20", None, True, float("nan")])
def test_a_time_that_cannot_be_is_not_blamed_on_the_library(tmp_path, time):
    with pytest.raises(LibraryRefused, match=f"(?s)its time cannot be {time!r}.*seconds above 0; 20 if"):
        check_library(library(tmp_path, ""), time)


@pytest.mark.parametrize("path", [None, 5, ["libodd.so"]])
def test_what_is_no_path_is_said_to_be_none(path):
    with pytest.raises(LibraryRefused, match="load_library cannot take an object of"):
        Registry().load_library(path)


def test_what_the_host_refuses_is_said_in_its_own_words(tmp_path):
    path = tmp_path / "libtext.so"
    path.write_text("no library")
    with pytest.raises(LibraryRefused, match="not an ELF shared object") as info:
        check_library(path)
    assert info.value.hint == "None of its code has run in this process."


def test_a_fifo_is_no_library_and_holds_nobody_up(tmp_path):
    path = tmp_path / "libfifo.so"
    os.mkfifo(path)
    with pytest.raises(LibraryRefused, match="not a regular file"):
        Registry().load_library(path)


def command(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-m", "dovetail.machine.cli", "plugins", "check-load", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.unsanitized  # a sanitizer reports SIGSEGV itself
def test_the_command_says_what_a_library_brings_or_why_it_cannot(tmp_path):
    status, text = command(library(tmp_path, ""))
    assert status == 0 and "can be loaded: odd 1.5, interface 1.1" in text and "registers no op" in text
    status, text = command(library(tmp_path, CONSTRUCTORS["crashes"]))
    assert status == 1 and "LibraryRefused" in text and "SIGSEGV" in text
    status, text = command("--timeout", 2, library(tmp_path, CONSTRUCTORS["never returns"]))
    assert status == 1 and "a constructor or the entry does not return" in text


# ---- bare names


@pytest.fixture
def two_folders(tmp_path, monkeypatch):
    here, listed = tmp_path / "here", tmp_path / "listed"
    here.mkdir()
    listed.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("DOVETAIL_PLUGIN_PATH", f"{tmp_path / 'absent'}{os.pathsep}{listed}")
    return here, listed


def test_a_bare_name_is_searched_in_the_path_before_the_working_directory(two_folders):
    here, listed = two_folders
    (here / "libp.so").touch()
    assert library_files.locate("libp.so") == str(here / "libp.so")
    (listed / "libp.so").touch()
    assert library_files.locate("libp.so") == str(listed / "libp.so")
    assert library_files.locate("./libp.so") == "./libp.so"


def test_a_bare_name_that_is_nowhere_says_where_it_was_searched(two_folders):
    here, listed = two_folders
    with pytest.raises(LibraryRefused) as info:
        Registry().load_library("libp.so")
    assert str(listed) in dict(info.value.facts)["DOVETAIL_PLUGIN_PATH"]
    assert info.value.searched[-1] == str(here)

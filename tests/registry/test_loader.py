"""Discovery: whatever a plugin does wrong, the others are there and it is known why."""

import re
import sys
import threading

import pluggy
import pytest
from registry_parts import install, listing

from dovetail.core.errors import LibraryRefused, PluginNotFound
from dovetail.registry import Registry, default_registry, library_files, load_entry_points, loader

BROKEN = {
    "import-fails": ("failed", "ModuleNotFoundError: No module named 'shapely_that_nobody_has'"),
    "exits": ("failed", "SystemExit: 3"),
    "syntax": ("failed", "SyntaxError:"),
    "wrong-argument": (
        "failed",
        "PluginValidationError: .*dovetail_register_ops\\(registry, colour\\).*'colour'",
    ),
    "unknown-hook": ("failed", "PluginValidationError: unknown hook 'dovetail_register_opps'"),
    "unmarked": ("failed", "PluginFailed: plugin unmarked registers nothing"),
    "raises": ("failed", "ZeroDivisionError: half of the ops were offered"),
    "unknown-op": ("failed", "ImplementationMismatch: acme::Twize@1#third.fast implements an op that is not"),
    "squatter": ("failed", "PluginConflict: acme::Thrice@1 cannot be registered: namespace 'acme'"),
    "library-in-hook": ("incompatible", "LibraryRefused: "),
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """What a process knows in which all of them are installed."""
    folder = tmp_path_factory.mktemp("plugins")
    install(folder, "acme-twice", "well")
    install(folder, "aa-early", "early")
    install(folder, "bad-libraries", "wrong_library")
    (folder / "syntax.py").write_text("def dovetail_register_ops(registry)\n    pass\n")  # is not Python
    for name in BROKEN:
        install(folder, f"dovetail-{name}", name.replace("-", "_"))
    return listing(folder)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_recorded_with_its_reason_and_brings_nothing(everything, name):
    state, reason = BROKEN[name]
    record = everything[name]
    assert record["state"] == state
    assert re.match(reason, record["reason"]), record["reason"]
    assert "Traceback" in record["traceback"]
    assert (record["ops"], record["implementations"]) == ([], [])
    assert record["distribution"] == f"dovetail-{name}"


def test_the_others_are_loaded_all_the_same(everything):
    assert everything["builtin"]["kind"] == "built-in"
    well = everything["well"]
    assert (well["state"], well["version"], well["distribution"]) == ("loaded", "1.0", "acme-twice")
    assert well["ops"] == ["acme::Twice@1"]
    assert well["implementations"] == ["acme::Twice@1#reference"]


def test_an_op_may_come_from_a_plugin_later_in_the_order(everything):
    names = list(everything)
    assert names.index("early") > names.index("well")  # registered when it could be
    assert everything["early"]["implementations"] == ["acme::Twice@1#early.fast"]


def test_a_library_that_is_refused_leaves_its_plugin(everything):
    assert everything["wrong-library"]["ops"] == ["fourth::Fourth@1"]
    missing, text = everything["libmissing.so"], everything["libtext.so"]
    assert (missing["state"], text["state"]) == ("failed", "incompatible")
    assert missing["parent"] == text["parent"] == "wrong-library"
    assert missing["distribution"] == "bad-libraries"


# ---- rules; in this process, with modules of their own


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """`installed(distribution, modules...)` into a folder on sys.path; its modules are forgotten later."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("DOVETAIL_PLUGINS_BLOCK", "DOVETAIL_PLUGIN_AUTOLOAD", "DOVETAIL_PLUGINS_STRICT"):
        monkeypatch.delenv(name, raising=False)
    yield lambda *args, **facts: install(tmp_path, *args, **facts)
    for name in ("acme::Twice@1#reference", "fourth::Fourth@1#reference"):
        library_files._native.deregister_implementation(name)  # each import makes the class anew
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def load() -> tuple[Registry, dict]:
    registry = Registry()
    load_entry_points(registry)
    return registry, {record.name: record for record in registry.records()}


@pytest.mark.parametrize("pattern", ["well", "acme-twice", "Acme_Twice", "acme-*", "nothing-like-it, w?ll"])
def test_a_blocked_plugin_is_not_imported(installed, monkeypatch, pattern):
    installed("acme-twice", "well")
    monkeypatch.setenv("DOVETAIL_PLUGINS_BLOCK", pattern)
    _, records = load()
    assert records["well"].state == "disabled"
    assert records["well"].reason == f"DOVETAIL_PLUGINS_BLOCK={pattern.split(', ')[-1]}"
    assert "well" not in sys.modules


def test_a_rule_that_matches_nothing_is_a_warning_with_near_misses(installed, monkeypatch):
    installed("acme-twice", "well")
    monkeypatch.setenv("DOVETAIL_PLUGINS_BLOCK", "acme-twise")
    registry, records = load()
    assert records["well"].state == "loaded"
    assert registry.warnings == ["DOVETAIL_PLUGINS_BLOCK=acme-twise matches no plugin; did you mean acme-twice?"]


def test_built_in_layers_cannot_be_blocked(installed, monkeypatch):
    monkeypatch.setenv("DOVETAIL_PLUGINS_BLOCK", "builtin")
    _, records = load()
    assert records["builtin"].state != "disabled"
    monkeypatch.setenv("DOVETAIL_PLUGINS_BLOCK", "*")
    _, records = load()
    assert records["builtin"].state != "disabled"


def test_without_autoload_only_built_in_layers_come(installed, monkeypatch):
    installed("acme-twice", "well")
    monkeypatch.setenv("DOVETAIL_PLUGIN_AUTOLOAD", "0")
    _, records = load()
    assert (records["well"].state, records["well"].reason) == ("disabled", "DOVETAIL_PLUGIN_AUTOLOAD=0")
    assert records["builtin"].state != "disabled"


def test_a_look_up_shows_what_was_blocked(installed, monkeypatch):
    installed("acme-twice", entries={"acme": "well"})
    monkeypatch.setenv("DOVETAIL_PLUGINS_BLOCK", "acme")
    registry, _ = load()
    with pytest.raises(PluginNotFound, match=r"acme +known, disabled: DOVETAIL_PLUGINS_BLOCK=acme"):
        registry.find("acme::Twice@1")


def test_strict_raises_the_first_failure(installed, monkeypatch):
    installed("broken", "wrong_argument")
    monkeypatch.setenv("DOVETAIL_PLUGINS_STRICT", "1")
    monkeypatch.setattr(loader, "DISTRIBUTION", "broken")  # only this one is loaded first
    with pytest.raises(pluggy.PluginValidationError, match="colour"):
        load_entry_points(Registry())


def test_one_entry_name_of_two_distributions_loads_twice(installed):
    installed("acme-twice", "well", entries={"ops": "well"})
    installed("beta-early", "early", entries={"ops": "early"})
    _, records = load()
    assert [records[name].state for name in ("acme-twice/ops", "beta-early/ops")] == ["loaded", "loaded"]


def test_two_names_of_one_module_load_once(installed):
    installed("acme-twice", "well", entries={"first": "well", "second": "well"})
    _, records = load()
    assert records["first"].state == "loaded"
    assert (records["second"].state, records["second"].reason) == (
        "shadowed",
        "the same object as plugin first",
    )


def test_a_second_copy_of_a_distribution_is_shadowed(installed, tmp_path, monkeypatch):
    other = tmp_path / "other"
    installed("acme-twice", "well")
    install(other, "acme-twice", "well", version="0.9")
    monkeypatch.setattr(sys, "path", [*sys.path, str(other)])
    registry, _ = load()
    found = [record for record in registry.records() if record.distribution == "acme-twice"]
    assert sorted((record.version, record.state) for record in found) == [
        ("0.9", "shadowed"),
        ("1.0", "loaded"),
    ]


def test_an_entry_point_may_name_an_op_itself(installed):
    installed("acme-twice", "well", entries={"twice": "well:Twice"})
    registry, records = load()
    assert registry.find("acme::Twice@1")
    assert records["twice"].state == "loaded"


def test_built_ins_come_first_and_the_rest_is_sorted(installed):
    installed("zz-twice", "well")
    installed("aa-fourth", "wrong_library", entries={"b": "wrong_library"})
    registry, _ = load()
    names = [record.name for record in registry.records() if record.kind == "python" and not record.parent]
    assert names == ["b", "well"]
    assert registry.records()[0].kind == "built-in"


def test_unreadable_metadata_is_a_record(installed, tmp_path):
    folder = installed("acme-twice", "well")
    (folder / "acme_twice-1.0.dist-info" / "entry_points.txt").write_text("[dovetail.plugins\nwell: = =\n")
    registry, _ = load()
    assert all(record.distribution != "acme-twice" or record.state == "failed" for record in registry.records())


def test_a_failed_plugin_hears_no_hook(installed):
    installed("broken", "raises")
    registry, _ = load()
    assert registry.plugins.get_plugin("raises") is None
    assert "raises" not in dict(registry.collect("dovetail_report_header"))


# ---- libraries with conditions


@pytest.fixture
def opened(monkeypatch):
    """Libraries that were tried to be opened."""
    tried = []

    def open_library(path):
        tried.append(str(path).rpartition("/")[2])
        raise LibraryRefused(f"{path} was not opened")

    monkeypatch.setattr(library_files, "open_library", open_library)
    return tried


def test_a_library_for_the_gpu_stays_closed_where_the_cpu_is_asked_for(installed, opened, monkeypatch):
    installed("acme-fifth", "closed_libraries")
    monkeypatch.setenv("DOVETAIL_DEVICE", "cpu")
    _, records = load()
    assert records["closed-libraries"].state == "loaded"
    assert (records["libgpu.so"].state, records["libgpu.so"].reason) == ("disabled", "DOVETAIL_DEVICE=cpu")
    assert (records["libgpu.so"].kind, records["libgpu.so"].parent) == ("native", "closed-libraries")
    assert "libgpu.so" not in opened and "libdovetail_cuda.so" not in opened


def test_a_library_for_the_gpu_stays_closed_without_a_driver(installed, opened, monkeypatch):
    installed("acme-fifth", "closed_libraries")
    monkeypatch.delenv("DOVETAIL_DEVICE")
    no_file = "libcuda.so.1: cannot open shared object file"
    monkeypatch.setattr(library_files._native, "cuda_driver", lambda: no_file)
    _, records = load()
    assert records["libgpu.so"].reason == f"no NVIDIA driver: {no_file}"
    assert "libgpu.so" not in opened


def test_a_library_for_the_gpu_is_opened_where_a_driver_is(installed, opened, monkeypatch):
    installed("acme-fifth", "closed_libraries")
    monkeypatch.delenv("DOVETAIL_DEVICE")
    monkeypatch.setattr(library_files._native, "cuda_driver", lambda: "")
    load()
    assert "libgpu.so" in opened


def test_a_plugin_may_have_a_reason_of_its_own(installed, opened):
    installed("acme-fifth", "closed_libraries")
    _, records = load()
    assert (records["libdnn.so"].state, records["libdnn.so"].reason) == ("disabled", "cuDNN is not installed")
    assert "libdnn.so" not in opened


def test_the_library_of_the_built_in_layers_that_stays_closed_is_no_near_miss():
    registry, records = load()
    assert records["libdovetail_cuda.so"].state == "disabled"
    with pytest.raises(PluginNotFound) as error:
        registry.find("dovetail::Cuda@1")
    assert "libdovetail_cuda" not in str(error.value)


# ---- the registry of the process


@pytest.fixture
def fresh(monkeypatch):
    monkeypatch.setattr(loader, "_default", loader._Default())
    return monkeypatch


def test_the_registry_of_the_process_is_filled_once_whoever_asks(fresh):
    calls = []
    fresh.setattr(loader, "load_entry_points", lambda registry: calls.append(registry))
    found = []
    threads = [threading.Thread(target=lambda: found.append(default_registry())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert {id(registry) for registry in found} == {id(calls[0])}


def test_a_plugin_that_asks_while_it_is_loaded_gets_what_is_there(fresh):
    seen = []
    fresh.setattr(loader, "load_entry_points", lambda registry: seen.append(default_registry()))
    assert default_registry() is seen[0]


def test_a_failure_in_strict_mode_can_be_tried_again(fresh):
    def fail(registry):
        raise PluginNotFound("no")

    fresh.setattr(loader, "load_entry_points", fail)
    with pytest.raises(PluginNotFound):
        default_registry()
    fresh.setattr(loader, "load_entry_points", lambda registry: None)
    assert default_registry().records() == []

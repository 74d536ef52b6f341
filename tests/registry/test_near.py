"""What a look-up that failed might have meant."""

import time

import pytest
from registry_parts import spec

from dovetail.core.errors import PluginNotFound
from dovetail.registry import PluginRecord
from dovetail.registry.near import edit_distance, spelled_like

ACME = PluginRecord("acme-nms", "2.1.4", distribution="acme-nms")


def failed(name, state, reason, **facts):
    record = PluginRecord(name, **facts)
    record.fail(state, reason)
    return record


def miss(registry, *key) -> PluginNotFound:
    with pytest.raises(PluginNotFound) as error:
        registry.find(*key)
    return error.value


def test_other_versions_and_blocked_plugins_are_listed_with_what_to_do(registry):
    registry.add_op(spec("RotatedNMS", "1", "acme"), ACME)
    registry.add_op(spec("RotatedNMS", "2", "acme"), ACME)
    registry.note(failed("acme-extra", "disabled", "DOVETAIL_PLUGINS_BLOCK=acme-e*"))
    assert str(miss(registry, "RotatedNMS", "3", "acme")).splitlines() == [
        "no plugin acme::RotatedNMS@3",
        "  acme::RotatedNMS@1, @2  loaded from acme-nms 2.1.4",
        "  acme-extra              known, disabled: DOVETAIL_PLUGINS_BLOCK=acme-e*",
        '  Ask for version="2", or install a newer acme-nms: pip install -U acme-nms',
    ]


def test_another_namespace(registry):
    registry.add_op(spec("NMS", namespace="acme"), ACME)
    error = miss(registry, "NMS")
    assert error.near == ["acme::NMS@1"]
    assert error.hint == 'Ask for namespace="acme".'


@pytest.mark.parametrize("asked", ["softmax", "Sofmax", "Softmaxx", "SoftMax"])
def test_another_spelling(registry, asked):
    registry.add_op(spec("Softmax"), PluginRecord("builtin", kind="built-in"))
    error = miss(registry, asked)
    assert error.facts == [("Softmax@1", "built in")]
    assert error.hint == "Did you mean Softmax@1?"


def test_the_nearest_comes_first(registry):
    for op in (spec("NMS", "2"), spec("NMS", namespace="acme"), spec("nms"), spec("NMSX")):
        registry.add_op(op, ACME)
    assert [what for what, _ in registry.near_misses("NMS")] == ["NMS@2", "acme::NMS@1", "nms@1", "NMSX@1"]


def test_a_plugin_that_failed_and_has_the_name(registry):
    registry.note(failed("acme", "failed", "ModuleNotFoundError: shapely"))
    error = miss(registry, "NMS", "1", "acme")
    assert error.facts == [("acme", "known, failed: ModuleNotFoundError: shapely")]
    assert error.hint == "See why: dovetail plugins why acme"


def test_anything_not_loaded_is_shown_where_nothing_else_is_near(registry):
    registry.note(failed("oldroi", "failed", "ModuleNotFoundError: shapely"))
    assert registry.near_misses("Deform") == [("oldroi", "known, failed: ModuleNotFoundError: shapely")]


def test_a_refused_library_whose_name_no_file_can_have_does_not_break_look_ups(registry):
    registry.note(failed("a", "failed", "a zero byte ends its name", kind="native", path="/plugins/a\0.so"))
    assert "Deform@1" in str(miss(registry, "Deform"))


def test_libraries_that_lie_in_the_search_path(registry, tmp_path, monkeypatch):
    (tmp_path / "libacme_nms.so").touch()
    (tmp_path / "notes.txt").touch()
    monkeypatch.setenv("DOVETAIL_PLUGIN_PATH", f"/nowhere:{tmp_path}")
    error = miss(registry, "NMS", "1", "acme")
    assert error.facts == [("libacme_nms.so", "in DOVETAIL_PLUGIN_PATH, not loaded")]
    assert error.hint == f'Load it: registry.load_library("{tmp_path}/libacme_nms.so")'


def test_nothing_near_says_where_to_look(registry):
    error = miss(registry, "Nothing")
    assert str(error) == "no plugin Nothing@1\n  See what is here: dovetail plugins list --ops"
    assert (error.name, error.version, error.namespace) == ("Nothing", "1", "")


@pytest.mark.parametrize("a, b, distance", [("", "abc", 3), ("kitten", "sitting", 3), ("NMS", "NMS", 0)])
def test_edit_distance(a, b, distance):
    assert edit_distance(a, b) == edit_distance(b, a) == distance


def test_short_words_need_to_be_nearer():
    assert spelled_like("Pad", ["Add", "Pads"]) == ["Pads"]
    assert spelled_like("Convolutoin", ["Convolution", "Deconvolution"])[0] == "Convolution"


def test_a_name_of_a_megabyte_is_answered_at_once_and_cut_in_the_message(registry):
    registry.add_op(spec("NMS", namespace="acme"), ACME)
    started = time.monotonic()
    error = miss(registry, "N" * 1_000_000)
    assert time.monotonic() - started < 5
    assert len(str(error)) < 1000 and "(1000002 characters)" in str(error)
    assert error.name == "N" * 1_000_000
    assert spelled_like("N" * 1_000_000, ["NMS"]) == []

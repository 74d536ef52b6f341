"""What a record says of a plugin."""

import json
import os

from dovetail.registry import PluginRecord


def test_a_failure_keeps_the_first_line_as_reason_and_the_traceback_whole():
    record = PluginRecord("acme")
    record.fail("failed", "ValueError: first\nsecond", "Traceback\n  line")
    assert (record.state, record.reason, record.traceback) == (
        "failed",
        "ValueError: first",
        "Traceback\n  line",
    )


def test_a_library_belongs_to_the_plugin_that_brought_it():
    assert PluginRecord("acme-cpu", kind="native", parent="acme").owner == "acme"
    assert PluginRecord("alone", kind="native").owner == "alone"


def test_records_of_equal_contents_are_still_two():
    assert PluginRecord("acme") != PluginRecord("acme")


def test_a_record_survives_json():
    record = PluginRecord("acme", ops=("acme::A@1",), devices=("cpu",))
    assert json.loads(json.dumps(record.as_dict()))["ops"] == ["acme::A@1"]


def test_the_home_of_a_library_is_its_file_and_of_a_class_its_line():
    library = PluginRecord("acme", "1.0", kind="native", path="/lib/libacme.so")
    assert library.home_of("libacme.so") == "1.0, /lib/libacme.so"
    assert PluginRecord("acme", "1.0", entry="acme.plugin").home_of("blur.py:3") == "1.0, blur.py:3"
    assert PluginRecord("acme", "1.0", entry="acme.plugin").home_of() == "1.0, acme.plugin"


def test_a_path_that_no_file_can_have_leads_nowhere(tmp_path):
    assert PluginRecord("a", path=f"{tmp_path}/b/../a.so").real_path == os.path.realpath(tmp_path / "a.so")
    for wrong in ("", "/plugins/a\0.so", "/plugins/\ud800.so"):
        assert PluginRecord("a", path=wrong).real_path == ""

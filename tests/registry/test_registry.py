"""The registry: whole changes or none, look-ups, libraries."""

import threading

import pytest
from registry_parts import ids, implementation, library, library_implementation, library_op, spec

from dovetail.core.errors import ImplementationMismatch, LibraryRefused, PluginConflict, PluginNotFound
from dovetail.core.types import FieldType
from dovetail.registry import PluginRecord, Registry
from dovetail.registry.offer import Offer


def nms_library(path="/lib/libacme.so", hash="", **facts):
    op = library_op("NMS", namespace="acme", fields=[{"name": "iou", "type": "FLOAT64", "default": 0.5}])
    cpu = library_implementation("acme::NMS@1", "cpu", [("iou", "FLOAT64", 1, "nms.hpp:4")], [("loop", "f32 -> f32")])
    return library(path, "acme", [op], [cpu], hash=hash, namespace="acme", **facts)


# ---- look-up


def test_a_new_registry_is_empty(registry):
    assert (registry.specs(), registry.records(), registry.implementations_of("Blur@1")) == ([], [], ())
    assert registry.find_add_method("add_blur") is None


def test_an_op_is_found_by_name_or_by_id(registry):
    op = registry.add_op(spec("NMS", "2", "acme"))
    assert registry.find("NMS", "2", "acme") is op
    assert registry.find("acme::NMS@2") is op


def test_an_op_is_found_by_its_role(registry):
    op = registry.add_op(spec(role="reformat"))
    assert registry.with_role("reformat") is op
    with pytest.raises(PluginNotFound, match="reformat \\(Blur@1\\)"):
        registry.with_role("quantize")
    with pytest.raises(PluginNotFound):
        registry.with_role("")


def test_a_network_method_is_found_with_its_op(registry):
    op = registry.add_op(spec(add_methods={"add_blur": len}))
    assert registry.find_add_method("add_blur") == (op, len)
    assert registry.add_methods() == ["add_blur"]


def test_a_parent_is_asked_unless_its_search_is_off(registry):
    child = Registry()
    child.parent = registry
    op = registry.add_op(spec(role="reformat", add_methods={"add_blur": len}))
    child.add_implementation(implementation(name="user.fast"))
    assert child.find("Blur") is child.with_role("reformat") is op
    assert child.find_add_method("add_blur") == (op, len)
    assert child.record_of("Blur@1") is registry.record_of("Blur@1")
    assert [one.name for one in child.implementations_of("Blur@1")] == ["user.fast"]
    assert registry.implementations_of("Blur@1") == ()
    child.parent_search_enabled = False
    with pytest.raises(PluginNotFound):
        child.find("Blur")


def test_a_look_up_during_changes_sees_all_of_a_plugin_or_nothing(registry):
    seen = set()
    stop = threading.Event()

    def look():
        while not stop.is_set():
            seen.add(len([op for op in registry.specs() if op.name.startswith("Op")]))

    thread = threading.Thread(target=look)
    thread.start()
    for turn in range(20):
        offer = Offer(PluginRecord(f"p{turn}"))
        for index in range(10):
            offer.add_op(spec(f"Op{turn}x{index}"))
        registry.commit(offer)
    stop.set()
    thread.join()
    assert all(count % 10 == 0 for count in seen)


# ---- all or nothing


def test_an_offer_with_one_fault_leaves_nothing(registry):
    registry.add_op(spec("Taken"), "first")
    offer = Offer(PluginRecord("acme"))
    for op in (spec("Good"), spec("Taken"), spec("Better")):
        offer.add_op(op)
    with pytest.raises(PluginConflict):
        registry.commit(offer)
    assert ids(registry) == ["Taken@1"]
    assert [record.name for record in registry.records()] == ["first"]


def test_an_implementation_that_does_not_fit_leaves_nothing(registry):
    registry.add_op(spec())
    with pytest.raises(ImplementationMismatch, match=r"(?s)Blur@1#acme.fast does not fit.*Nothing of acme"):
        registry.add_implementation(implementation(name="acme.fast", reads=[("axes", "INT64", 1)]), "acme")
    assert ids(registry) == ["Blur@1"]


def test_an_implementation_of_an_unknown_op_names_what_is_near(registry):
    registry.add_op(spec())
    with pytest.raises(ImplementationMismatch, match=r"Blur@1 \(registered at run time by user\)"):
        registry.add_implementation(implementation("Blurr@1"))


def test_a_process_that_refuses_the_last_table_gets_none(registry, libraries):
    registry.add_op(spec())
    registry.add_implementation(implementation(name="old"))
    libraries.refuse_publishing = "Blur@1#new2"
    offer = Offer(PluginRecord("user"))
    offer.add_implementation(implementation(name="new1"))
    offer.add_implementation(implementation(name="new2"))
    with pytest.raises(LibraryRefused):
        registry.commit(offer)
    assert list(libraries.published) == ["Blur@1#old"]
    assert ids(registry) == ["Blur@1", "Blur@1#old"]


def test_replacing_an_op_keeps_what_others_implement_if_it_still_fits(registry):
    registry.add_op(spec())
    registry.add_implementation(implementation(name="acme.fast", reads=[("axis", "INT64", 1)]), "acme")
    newer = registry.add_op(spec(doc="new"), replace=True)
    assert registry.find("Blur") is newer
    assert ids(registry) == ["Blur@1", "Blur@1#acme.fast"]
    with pytest.raises(ImplementationMismatch):
        registry.add_op(spec(fields=()), replace=True)
    assert registry.find("Blur") is newer


def test_nobody_replaces_the_op_of_another(registry):
    registry.add_op(spec(), "acme")
    with pytest.raises(PluginConflict):
        registry.add_op(spec(), "zeta", replace=True)


def test_a_second_definition_by_one_owner_says_how_to_replace(registry):
    registry.add_op(spec())
    with pytest.raises(PluginConflict, match="replace=True"):
        registry.add_op(spec())


# ---- libraries


def test_a_library_registers_all_it_brings(registry, libraries):
    libraries.add(nms_library(abi=(1, 4)))
    record = registry.load_library("/lib/libacme.so")
    assert ids(registry) == ["acme::NMS@1", "acme::NMS@1#cpu"]
    assert (record.state, record.ops, record.implementations) == (
        "loaded",
        ("acme::NMS@1",),
        ("acme::NMS@1#cpu",),
    )
    assert (record.abi, record.devices, record.path) == ("1.4*", ("cpu",), "/lib/libacme.so")
    assert registry.record_of("acme::NMS@1#cpu") is record
    assert list(libraries.published) == ["acme::NMS@1#cpu"]


def test_the_same_contents_twice_are_one(registry, libraries):
    libraries.add(nms_library("/lib/a.so", "same"))
    libraries.add(nms_library("/lib/copy.so", "same"))
    assert registry.load_library("/lib/a.so") is registry.load_library("/lib/copy.so")
    assert len(registry.records()) == 1


def test_a_clash_of_libraries_names_both_files(registry, libraries):
    libraries.add(nms_library("/lib/a.so"))
    libraries.add(nms_library("/lib/b.so"))
    registry.load_library("/lib/a.so")
    with pytest.raises(PluginConflict) as error:
        registry.load_library("/lib/b.so")
    assert error.value.paths == ("/lib/a.so", "/lib/b.so")
    assert "/lib/a.so" in str(error.value) and "/lib/b.so" in str(error.value)
    assert "replace=True" in error.value.hint
    assert [(record.path, record.state) for record in registry.records()] == [
        ("/lib/a.so", "loaded"),
        ("/lib/b.so", "failed"),
    ]


def test_a_newer_library_takes_the_place_of_the_older(registry, libraries):
    libraries.add(nms_library("/lib/a.so"))
    libraries.add(nms_library("/lib/b.so"))
    registry.load_library("/lib/a.so")
    newer = registry.load_library("/lib/b.so", replace=True)
    assert [record.path for record in registry.records()] == ["/lib/b.so"]
    assert registry.record_of("acme::NMS@1") is newer
    assert list(libraries.published) == ["acme::NMS@1#cpu"]


def test_a_newer_library_that_does_not_fit_leaves_the_older(registry, libraries):
    libraries.add(nms_library("/lib/a.so"))
    wrong = nms_library("/lib/b.so")
    wrong.implementations[0].reads = [("iou", int(FieldType.INT64), 1, "nms.hpp:4")]
    libraries.add(wrong)
    older = registry.load_library("/lib/a.so")
    with pytest.raises(ImplementationMismatch, match="iou"):
        registry.load_library("/lib/b.so", replace=True)
    assert registry.record_of("acme::NMS@1#cpu") is older


def test_a_library_that_mismatches_leaves_nothing_but_its_record(registry, libraries):
    registry.add_op(spec(), "builtin")
    fast = library_implementation("Blur@1", "acme.fast", [("axes", "INT64", 1, "blur.hpp:12")])
    libraries.add(library("/lib/libacme.so", "acme", [library_op("Ok", namespace="acme")], [fast]))
    with pytest.raises(ImplementationMismatch) as error:
        registry.load_library("/lib/libacme.so")
    assert "blur.hpp:12" in str(error.value) and "blur.py:10" in str(error.value)
    assert ids(registry) == ["Blur@1"]
    assert registry.records()[-1].state == "failed"
    assert registry.records()[-1].reason.startswith("ImplementationMismatch: Blur@1#acme.fast")


def test_a_second_try_replaces_the_record_of_the_first(registry, libraries):
    with pytest.raises(LibraryRefused):
        registry.load_library("/lib/libacme.so")
    libraries.add(nms_library())
    registry.load_library("/lib/libacme.so")
    assert [record.state for record in registry.records()] == ["loaded"]


def test_deregistering_a_library_takes_all_of_it(registry, libraries):
    libraries.add(nms_library())
    record = registry.load_library("/lib/libacme.so")
    assert registry.deregister_library(record)
    assert (ids(registry), registry.records(), libraries.published) == ([], [], {})
    assert not registry.deregister_library(record)
    registry.load_library("/lib/libacme.so")
    assert len(ids(registry)) == 2


def test_a_library_offered_with_its_plugin_is_registered_with_it_or_not_at_all(registry, libraries):
    libraries.add(nms_library())
    registry.add_op(spec("Taken"))
    offer = Offer(PluginRecord("acme-python"))
    offer.load_library("/lib/libacme.so")
    offer.add_op(spec("Taken"))
    with pytest.raises(PluginConflict):
        registry.commit(offer)
    assert (ids(registry), libraries.published) == (["Taken@1"], {})


def test_a_library_that_is_here_already_is_not_offered_again(registry, libraries):
    libraries.add(nms_library())
    registry.load_library("/lib/libacme.so")
    offer = Offer(PluginRecord("acme-python"))
    offer.load_library("/lib/libacme.so")
    registry.commit(offer)
    assert [record.name for record in registry.records()] == ["acme", "acme-python"]


# ---- hooks


def test_a_hook_that_fails_in_one_plugin_still_asks_the_others(registry):
    from dovetail.plugins import hookimpl

    class Broken:
        @hookimpl
        def dovetail_report_header(self):
            raise OSError("no driver")

    class Well:
        @hookimpl
        def dovetail_report_header(self):
            return ["cuda 13"]

    registry.plugins.register(Broken(), "broken")
    registry.plugins.register(Well(), "well")
    answers = dict(registry.collect("dovetail_report_header"))
    assert answers["well"] == ["cuda 13"]
    assert isinstance(answers["broken"], OSError)


@pytest.mark.parametrize(
    "path", ["/tmp/a\0.so", b"/tmp/a\0.so", "/tmp/\ud800.so"], ids=["NUL", "NUL in bytes", "surrogate"]
)
def test_a_name_that_no_file_can_have_leaves_no_record(registry, path):
    with pytest.raises(LibraryRefused, match="no library can be called"):
        registry.load_library(path)
    assert registry.records() == []

"""What may stand side by side, and what is a conflict."""

import pytest
from registry_parts import implementation, spec

from dovetail.core.errors import DefinitionError, PluginConflict
from dovetail.registry import PluginRecord
from dovetail.registry.records import AT_RUN_TIME
from dovetail.registry.tables import Tables, natural

ACME = PluginRecord("acme", "2.1", distribution="acme-nms")
ZETA = PluginRecord("zeta", "1.0", distribution="zeta", entry="zeta.plugin")


@pytest.fixture
def tables():
    return Tables()


def conflict(call, *arguments) -> PluginConflict:
    with pytest.raises(PluginConflict) as error:
        call(*arguments)
    return error.value


def test_one_id_from_two_plugins_names_both_with_their_places(tables):
    tables.add_spec(spec(where="acme/blur.py:3"), ACME)
    error = conflict(tables.add_spec, spec(where="zeta/blur.py:9"), ZETA)
    assert str(error).splitlines() == [
        "Blur@1 is defined twice",
        "  acme  2.1, acme/blur.py:3",
        "  zeta  1.0, zeta/blur.py:9",
        "  Nothing of zeta was registered. Block one of them: DOVETAIL_PLUGINS_BLOCK=zeta",
    ]
    assert error.owners == ("acme", "zeta")


def test_versions_and_namespaces_stand_side_by_side(tables):
    for op in (spec(), spec(version="2"), spec(namespace="acme"), spec("Blur2")):
        tables.add_spec(op, ACME)
    assert list(tables.specs) == ["Blur@1", "Blur@2", "acme::Blur@1", "Blur2@1"]


def test_the_same_spec_again_changes_nothing(tables):
    op = spec()
    tables.add_spec(op, ACME)
    tables.add_spec(op, ACME)
    assert list(tables.specs) == ["Blur@1"]


def test_a_plugin_may_describe_its_op_in_python_and_in_its_library(tables):
    library = PluginRecord("acme-cpu", kind="native", parent="acme")
    tables.add_spec(spec(), ACME)
    tables.add_spec(spec(doc="other words"), library)
    assert tables.op_owner["Blur@1"] is ACME
    conflict(tables.add_spec, spec(fields=()), library)


def test_a_named_namespace_belongs_to_the_first(tables):
    tables.add_spec(spec(namespace="acme"), ACME)
    error = conflict(tables.add_spec, spec("Sharpen", namespace="acme"), ZETA)
    assert "namespace 'acme' is another plugin's" in str(error)
    tables.add_spec(spec("Sharpen"), ZETA)  # the empty one is open to all


def test_a_script_and_a_library_of_one_author_are_told_how_to_share(tables):
    script, library = PluginRecord("user", source=AT_RUN_TIME), PluginRecord("acme-cpu", kind="native")
    tables.add_spec(spec(namespace="acme"), script)
    yours = 'If both are yours, register the op in the name of the library: add_op(..., owner="acme-cpu").'
    assert yours in conflict(tables.add_implementation, implementation("acme::Blur@1", "acme.fast"), library).hint
    assert yours in conflict(tables.add_implementation, implementation("acme::Blur@1", "cpu"), library).hint
    assert yours not in conflict(tables.add_spec, spec("Sharpen", namespace="acme"), ZETA).hint
    again = Tables()
    again.add_spec(spec(namespace="acme"), PluginRecord("acme-cpu", source=AT_RUN_TIME))
    again.add_implementation(implementation("acme::Blur@1", "cpu"), library)
    assert [one.name for one in again.implementations["acme::Blur@1"]] == ["cpu"]


def test_a_library_shares_the_namespace_of_its_plugin(tables):
    tables.add_spec(spec(namespace="acme"), ACME)
    tables.add_spec(spec("Sharpen", namespace="acme"), PluginRecord("acme-cpu", kind="native", parent="acme"))
    assert len(tables.specs) == 2


@pytest.mark.parametrize("facts", [{"name": ""}, {"name": "A@B"}, {"name": "A B"}, {"version": "1#2"}, {"make": None}])
def test_a_name_that_cannot_be_written_in_an_id_is_refused(tables, facts):
    with pytest.raises(DefinitionError):
        tables.add_spec(spec(**facts), ACME)


def test_the_owner_of_an_op_names_implementations_freely(tables):
    tables.add_spec(spec(), ACME)
    tables.add_implementation(implementation(name="cpu"), ACME)
    assert tables.implementations["Blur@1"][0].id == "Blur@1#cpu"


def test_others_put_their_namespace_in_front(tables):
    tables.add_spec(spec(), ACME)
    error = conflict(tables.add_implementation, implementation(name="cpu"), ZETA)
    assert "such as 'zeta.cpu'" in str(error)
    tables.add_implementation(implementation(name="zeta.cpu"), ZETA)
    assert tables.namespaces == {"zeta": "zeta"}


def test_nobody_implements_under_the_name_of_another_plugin(tables):
    tables.add_spec(spec(namespace="acme"), ACME)
    tables.add_spec(spec(), ACME)
    error = conflict(tables.add_implementation, implementation(name="acme.fast"), ZETA)
    assert "namespace 'acme'" in str(error)


def test_an_implementation_id_is_there_once(tables):
    tables.add_spec(spec(), ACME)
    tables.add_implementation(implementation(), ACME)
    tables.add_implementation(implementation(), ACME)  # the same one
    error = conflict(tables.add_implementation, implementation(reads=[("axis", "INT64", 1)]), ACME)
    assert "Blur@1#cpu is registered twice" in str(error)


def test_two_ops_cannot_bring_one_network_method(tables):
    tables.add_spec(spec(add_methods={"add_blur": len}), ACME)
    error = conflict(tables.add_spec, spec("Smear", add_methods={"add_blur": len}), ZETA)
    assert str(error).startswith("network.add_blur is defined twice")


def test_the_newest_version_of_an_op_has_the_network_method(tables):
    for version in ("2", "10", "9"):
        tables.add_spec(spec(version=version, add_methods={"add_blur": len}), ACME)
    assert tables.add_methods["add_blur"][0].version == "10"


def test_taking_a_plugin_away_leaves_the_others_and_names_orphans(tables):
    tables.add_spec(spec(), ACME)
    tables.add_spec(spec("Sharpen", namespace="zeta"), ZETA)
    tables.add_implementation(implementation(name="cpu"), ACME)
    tables.add_implementation(implementation(name="zeta.cpu"), ZETA)
    rest, orphans = tables.without(lambda _, record: record is ACME)
    assert list(rest.specs) == ["zeta::Sharpen@1"]
    assert [one.id for one in orphans] == ["Blur@1#zeta.cpu"]
    assert (rest.namespaces, rest.implementations) == ({"zeta": "zeta"}, {})
    assert len(tables.specs) == 2


def test_a_copy_is_independent(tables):
    copy = tables.copy()
    copy.add_spec(spec(), ACME)
    assert not tables.specs


def test_versions_compare_as_people_do():
    assert sorted(["1.10", "2", "1.9", "1"], key=natural) == ["1", "1.9", "1.10", "2"]

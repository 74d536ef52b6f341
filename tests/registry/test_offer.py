"""What may be offered to the registry."""

import pytest
from registry_parts import implementation, spec

from dovetail.core.errors import DefinitionError
from dovetail.registry import PluginRecord
from dovetail.registry.offer import Offer


@pytest.fixture
def offer():
    return Offer(PluginRecord("acme"))


class Described:
    dovetail_spec = spec()
    dovetail_implementations = (implementation(), implementation(name="fast"))


class Describing:
    def dovetail_spec(self):
        return spec()

    def dovetail_implementations(self):
        return [implementation()]


class Creating:
    def to_plugin(self):
        return Described


@pytest.mark.parametrize(
    "op, names",
    [(spec(), []), (Described, ["cpu", "fast"]), (Describing(), ["cpu"]), (Creating(), ["cpu", "fast"])],
    ids=["spec", "attributes", "methods", "to_plugin"],
)
def test_an_op_comes_with_its_implementations(offer, op, names):
    assert offer.add_op(op).id == "Blur@1"
    assert [one.name for one, _ in offer.implementations] == names
    assert all(one.plugin == "acme" for one, _ in offer.implementations)


def test_an_object_that_describes_no_op_is_refused(offer):
    with pytest.raises(DefinitionError, match="add_op cannot take an object of int"):
        offer.add_op(3)
    with pytest.raises(DefinitionError, match="add_op cannot take the class dict"):
        offer.add_op(dict)


def test_implementations_may_come_alone_or_with_what_brings_them(offer):
    offer.add_implementation(implementation())
    offer.add_implementation(Described)
    assert len(offer.implementations) == 3


def test_what_brings_no_implementation_is_refused(offer):
    with pytest.raises(DefinitionError, match="add_implementation cannot take object"):
        offer.add_implementation(object())


def test_a_library_has_a_record_of_its_own_below_the_plugin(offer, libraries):
    from registry_parts import library, library_op

    libraries.add(library("/lib/libacme.so", "acme-cpu", [library_op("Sharp", namespace="acme")]))
    record = offer.load_library("/lib/libacme.so")
    assert (record.name, record.kind, record.owner) == ("acme-cpu", "native", "acme")
    assert offer.records == [offer.record, record]

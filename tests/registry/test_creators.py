"""TensorRT's creators, for any registered op."""

import numpy as np
import pytest
from registry_parts import spec

from dovetail.core.contract import Field, LayerProperty, Port
from dovetail.core.errors import FieldValueError, PlanCorrupt
from dovetail.core.plugin_field import PluginField, PluginFieldCollection, PluginFieldType
from dovetail.core.types import FieldType
from dovetail.registry.creators import RegisteredCreator

FIELDS = (
    Field("axis", FieldType.INT64, -1, "Axis."),
    Field("sizes", FieldType.INT64, (1, 1), max_length=4),
    Field("mode", FieldType.CHAR, "fast", max_length=-1),
    Field("eps", FieldType.FLOAT64, low=0, high=1),
)


@pytest.fixture
def creator():
    op = spec(
        namespace="acme",
        version="2",
        fields=FIELDS,
        inputs=(Port("x"), Port("scale", weights=True)),
        properties={"axes": LayerProperty(lambda v: 1 << v["axis"], lambda v, m: v.update(axis=m.bit_length() - 1))},
    )
    return RegisteredCreator(op)


def collection(**values):
    return PluginFieldCollection([PluginField(name, value) for name, value in values.items()])


def test_a_creator_tells_what_it_makes_and_takes(creator):
    assert (creator.name, creator.plugin_version, creator.plugin_namespace) == ("Blur", "2", "acme")
    fields = {field.name: field for field in creator.field_names}
    assert list(fields) == ["axis", "sizes", "mode", "eps", "scale"]
    assert fields["axis"].type == PluginFieldType.INT64
    assert all(field.data is None for field in fields.values())


def test_arrays_become_canonical_values(creator):
    plugin = creator.create_plugin(
        "blur_1",
        collection(
            axis=np.array([1], np.int32),
            sizes=np.array([3, 5], np.int32),
            mode=b"slow\0",
            eps=np.array(0.5, np.float32),
        ),
    )
    assert plugin.values == {"axis": 1, "sizes": (3, 5), "mode": "slow", "eps": 0.5}
    assert plugin.op.values == plugin.values
    assert (plugin.plugin_type, plugin.plugin_version, plugin.plugin_namespace) == ("Blur", "2", "acme")
    assert plugin.num_outputs == 1


def test_defaults_fill_what_is_left_out_and_advertised_fields_without_data_count_as_that(creator):
    plugin = creator.create_plugin("b", PluginFieldCollection([*creator.field_names, PluginField("eps", 0.25)]))
    assert plugin.values == {"axis": -1, "sizes": (1, 1), "mode": "fast", "eps": 0.25}


def test_weights_are_values_but_not_fields_of_the_op(creator):
    plugin = creator.create_plugin("b", collection(eps=0.5, scale=np.ones(3, np.float32)))
    assert list(plugin.values["scale"]) == [1, 1, 1]
    assert "scale" not in plugin.op.values


def test_a_second_spelling_sets_its_field(creator):
    assert creator.create_plugin("b", collection(eps=0.5, axes=np.array([4]))).values["axis"] == 2


@pytest.mark.parametrize(
    "values, text",
    [
        ({}, "lacks required fields"),
        ({"eps": 2.0}, "allowed 0..1"),
        ({"eps": 0.5, "axis": 1.5}, "takes int64"),
        ({"eps": 0.5, "sizes": [1, 2, 3, 4, 5]}, "got 5"),
        ({"eps": 0.5, "axsi": 1}, "Did you mean 'axis'?"),
    ],
    ids=["missing", "range", "type", "length", "unknown"],
)
def test_a_wrong_value_is_refused_with_the_rule(creator, values, text):
    with pytest.raises(FieldValueError) as error:
        creator.create_plugin("blur_1", collection(**values))
    assert text in str(error.value)
    assert "acme::Blur@2 'blur_1'" in str(error.value)


def test_a_clone_shares_nothing(creator):
    plugin = creator.create_plugin("b", collection(eps=0.5))
    clone = plugin.clone()
    assert (clone.values, clone.spec) == (plugin.values, plugin.spec)
    assert clone.op is not plugin.op


def test_a_plugin_comes_back_from_its_bytes(creator):
    plugin = creator.create_plugin("b", collection(eps=0.5, sizes=[3, 4], scale=np.array([[1, 2]], np.float16)))
    back = creator.deserialize_plugin("b", plugin.serialize())
    scale = back.values.pop("scale")
    assert back.values == {"axis": -1, "sizes": (3, 4), "mode": "fast", "eps": 0.5}
    assert (scale.tolist(), scale.dtype) == ([[1, 2]], np.float16)
    assert plugin.serialization_size == len(plugin.serialize())


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\x00", b"[]", b"{}", b'{"format":"dovetail.plugin","op":"Blur@1","values":{}}']
    + [b'{"format":"dovetail.plugin","op":"acme::Blur@2"' + tail for tail in (b"}", b',"values":3}')]
    + [b'{"format":"dovetail.plugin","op":"acme::Blur@2","values":{"eps":{"dtype":"f4","dims":[9],"data":"AA=="}}}'],
)
def test_other_bytes_are_refused(creator, data):
    with pytest.raises(PlanCorrupt):
        creator.deserialize_plugin("b", data)


def test_a_library_reads_what_its_object_saved():
    class Make:
        def __call__(self, layer, values):
            return ("made", values)

        def load(self, layer, data):
            return ("loaded", layer, data)

    plugin = RegisteredCreator(spec(make=Make())).deserialize_plugin("b", b"\x01\x02")
    assert plugin.op == ("loaded", "b", b"\x01\x02")

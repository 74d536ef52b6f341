"""TensorRT's names on the registry."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from registry_parts import ids, implementation, spec

from dovetail.core.errors import DefinitionError, PluginNotFound
from dovetail.core.plugin_field import PluginField, PluginFieldCollection, PluginFieldType
from dovetail.plugins import IPluginCreator, IPluginV2DynamicExt
from dovetail.registry import native_tables


class Creator:
    name, plugin_version, plugin_namespace = "Smear", "1", ""

    @property
    def dovetail_spec(self):
        return spec(self.name, self.plugin_version, self.plugin_namespace)

    @property
    def dovetail_implementations(self):
        return [implementation(self.dovetail_spec.id, "python")]


def test_every_op_has_a_creator(registry):
    registry.add_op(spec())
    registry.add_op(spec("NMS", "2", "acme"), "acme")
    assert [(c.name, c.plugin_version, c.plugin_namespace) for c in registry.plugin_creator_list] == [
        ("Blur", "1", ""),
        ("NMS", "2", "acme"),
    ]


def test_a_creator_is_found_by_all_three_names(registry):
    registry.add_op(spec("NMS", "2", "acme"))
    assert registry.get_plugin_creator("NMS", "2", "acme").name == "NMS"
    assert registry.get_plugin_creator("NMS", "2") is None


def test_a_miss_is_none_and_the_near_misses_are_logged(registry, caplog):
    registry.add_op(spec("NMS", "2", "acme"))
    reports = []
    registry.error_recorder = SimpleNamespace(report_error=lambda code, text: reports.append((code, text)))
    with caplog.at_level(logging.WARNING, "dovetail"):
        assert registry.get_plugin_creator("NMS", "1", "acme") is None
    assert 'Ask for version="2"' in caplog.text
    assert reports[0][0] == PluginNotFound.code
    assert "acme::NMS@2" in reports[0][1]


def test_a_creator_registers_its_op_once(registry, caplog):
    creator = Creator()
    assert registry.register_creator(creator)
    assert ids(registry) == ["Smear@1", "Smear@1#python"]
    assert not registry.register_creator(Creator())
    assert "Smear@1 is registered already" in caplog.text
    assert registry.deregister_creator(creator)
    assert not registry.deregister_creator(creator)
    assert ids(registry) == []


def test_the_namespace_of_the_call_counts(registry):
    creator = Creator()
    assert registry.register_creator(creator, "acme")
    assert ids(registry) == ["acme::Smear@1", "acme::Smear@1#python"]
    assert creator.plugin_namespace == "acme"
    assert registry.deregister_creator(registry.get_plugin_creator("Smear", "1", "acme"))


def test_a_creator_in_python_makes_plugins_through_the_registry(registry):
    class Gain(IPluginV2DynamicExt):
        def __init__(self, gain):
            self.gain = gain

        def get_output_dimensions(self, output_index, inputs, expr_builder):
            return inputs[0]

        def enqueue(self, input_desc, output_desc, inputs, outputs, workspace, stream):
            np.multiply(inputs[0].array, self.gain, out=outputs[0].array)

        def serialize(self):
            return np.float32(self.gain).tobytes()

    class GainCreator(IPluginCreator):
        name = "Gain"
        field_names = PluginFieldCollection([PluginField("gain", None, PluginFieldType.FLOAT32)])

        def create_plugin(self, name, field_collection):
            return Gain(float(field_collection[0].data[0]))

    assert registry.register_creator(GainCreator(), "acme")
    fields = PluginFieldCollection([PluginField("gain", np.array([3], np.float32), PluginFieldType.FLOAT32)])
    plugin = registry.get_plugin_creator("Gain", "1", "acme").create_plugin("g", fields)
    assert isinstance(plugin, Gain) and plugin.gain == 3.0
    assert (plugin.plugin_type, plugin.plugin_namespace) == ("Gain", "acme")
    native_tables.withdraw(registry.implementations()[0])


def test_a_namespace_of_another_plugin_is_not_taken(registry, caplog):
    registry.add_op(spec(namespace="acme"), "acme-nms")
    assert not registry.register_creator(Creator(), "acme")
    assert "namespace 'acme' is another plugin's" in caplog.text


def test_what_describes_no_op_is_refused(registry):
    with pytest.raises(DefinitionError):
        registry.register_creator(object())

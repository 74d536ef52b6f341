"""Field values as TensorRT's creators take them."""

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import DTypeError, FieldValueError
from dovetail.core.plugin_field import PluginField, PluginFieldCollection, PluginFieldType, values_by_name
from dovetail.core.types import Weights


def test_types_have_the_values_of_tensorrt():
    names = ("FLOAT16", "FLOAT32", "FLOAT64", "INT8", "INT16", "INT32", "CHAR", "DIMS", "UNKNOWN")
    assert [int(PluginFieldType[name]) for name in names] == list(range(9))


@pytest.mark.parametrize(
    "data, type",
    [
        (np.array([1, 2], np.int32), PluginFieldType.INT32),
        (np.float16(2), PluginFieldType.FLOAT16),
        (3, PluginFieldType.INT64),
        (0.5, PluginFieldType.FLOAT64),
        ("text", PluginFieldType.CHAR),
        (b"text", PluginFieldType.CHAR),
        (np.zeros(2, np.complex64), PluginFieldType.UNKNOWN),
    ],
)
def test_the_type_follows_from_the_data(data, type):
    assert PluginField("f", data).type == type


def test_a_type_that_is_given_stays():
    assert PluginField("f", np.zeros(2, np.int8), PluginFieldType.CHAR).type == PluginFieldType.CHAR


@pytest.mark.parametrize(
    "data", ["text", b"text\0", np.frombuffer(b"text\0", np.int8), np.array("text"), np.array([b"text"])]
)
def test_a_text_reads_the_same_however_it_is_given(data):
    assert PluginField("f", data, PluginFieldType.CHAR).value == "text"


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(DTypeError, match="'f' is not UTF-8"):
        PluginField("f", b"\xff", PluginFieldType.CHAR).value  # noqa: B018


def test_a_field_without_data_only_advertises():
    field = PluginField("f", None, PluginFieldType.INT32)
    assert (field.data, field.value, field.size) == (None, None, 0)
    assert PluginField("g", [1, 2, 3]).size == 3


def test_a_collection_is_a_list():
    collection = PluginFieldCollection([PluginField("a")])
    collection.append(PluginField("b"))
    assert [field.name for field in collection] == ["a", "b"]


def test_a_name_that_is_there_twice_is_refused_with_both_values():
    once, twice = PluginField("axis", np.array([1])), PluginField("axis", np.array([2]))
    with pytest.raises(FieldValueError, match="field 'axis' is given 2 times") as error:
        values_by_name(PluginFieldCollection([once, twice]))
    assert "[1]" in str(error.value) and "[2]" in str(error.value)
    only_advertised = PluginField("axis")
    assert values_by_name([only_advertised, twice]) == {"axis": twice.value}


@pytest.mark.parametrize("way", ["creator", "network"])
def test_neither_a_creator_nor_a_network_takes_a_name_twice(way):
    fields = PluginFieldCollection([PluginField("alpha", np.array([value], np.float32)) for value in (1, 2)])
    network = trt.Builder(trt.Logger()).create_network()
    x = network.add_input("x", trt.float32, (1,))
    with pytest.raises(FieldValueError, match="field 'alpha' is given 2 times"):
        if way == "creator":
            trt.get_plugin_registry().get_plugin_creator("Activation", "1").create_plugin("a", fields)
        else:
            network.add_plugin("Activation", [x], fields)
    assert network.num_layers == 0


def test_weights_are_taken_as_their_array():
    field = PluginField("kernel", Weights(np.ones((2, 3), np.float32)))
    assert field.type == PluginFieldType.FLOAT32
    assert (field.size, field.value.shape) == (6, (2, 3))

"""Rewrites of operators that belong to no op: the hook that offers them, and operators composed of others."""

import numpy as np
import pytest
from one_node import computed, error_of, one_node
from onnx_models import model_of, parsed

import dovetail as trt
from dovetail.plugins import onnx_op


class Rewriter:
    """A plugin with rewrites, registered for one test."""

    def __init__(self, *rows):
        self.rows = rows

    @trt.hookimpl
    def dovetail_onnx_rewrites(self):
        if callable(self.rows[0]):
            return self.rows[0]()
        return list(self.rows)


@pytest.fixture
def hook():
    manager = trt.get_plugin_registry().plugins
    added = []

    def add(*rows):
        plugin = Rewriter(*rows)
        manager.register(plugin)
        added.append(plugin)

    yield add
    for plugin in added:
        manager.unregister(plugin)


X = np.float32([[-2, -1, 0], [1, 2, 3]])


def acme(op, inputs=None, **attrs):
    return one_node(op, inputs or {"x": X}, domain="acme", version=3, **attrs)


def mish(node):
    return node.onnx("Mul", [node[0], node.onnx("Tanh", [node.onnx("Softplus", [node[0]])])])


def test_an_operator_of_a_strangers_domain(hook):
    hook(onnx_op("Mish", domain="acme", rewrite=mish))
    y = computed(acme("Mish"), {"x": X})["y"]
    np.testing.assert_allclose(y, X * np.tanh(np.log1p(np.exp(X))), rtol=1e-5)


def test_it_counts_as_supported(hook):
    assert not trt.OnnxParser(trt.Builder(trt.Logger()).create_network(), trt.Logger()).supports_operator("Mish")
    hook(onnx_op("Mish", domain="acme", rewrite=mish))
    assert trt.OnnxParser(trt.Builder(trt.Logger()).create_network(), trt.Logger()).supports_operator("Mish")


def test_it_stands_for_the_versions_of_its_domain_that_it_says(hook):
    hook(onnx_op("Mish", since=4, domain="acme", rewrite=mish))
    text = error_of(acme("Mish"))
    assert "known in opsets 4.." in text, text
    assert "here it is 3" in text, text


def test_several_outputs_constants_and_absent_inputs(hook):
    def halves(node):
        first, second = node.onnx("Split", [node[0], np.array([1, 2])], n_outputs=2, axis=1)
        return [second, node.onnx("Clip", [first, None, np.float32(0)], opset=13)]

    hook(onnx_op("Halves", domain="acme", rewrite=halves))
    results = computed(acme("Halves", outputs=("a", "b")), {"x": X})
    np.testing.assert_array_equal(results["a"], X[:, 1:])
    np.testing.assert_array_equal(results["b"], np.minimum(X[:, :1], 0))


def test_types_that_networks_carry_in_others_stay_known(hook):
    def stored(node):
        return node.onnx("QuantizeLinear", [node[0], node[1], node[2]])

    hook(onnx_op("Stored", domain="acme", rewrite=stored))
    inputs = {"x": np.float32([-9e9, 3, 9e9]), "scale": np.float32(1), "zero": np.uint16(7)}
    y = computed(acme("Stored", inputs, known="*"), inputs)["y"]
    assert y.tolist() == [0, 10, 65535]


def test_what_is_wrong_inside_names_the_operator(hook):
    hook(onnx_op("Mish", domain="acme", rewrite=lambda node: node.onnx("Softmax", [node[0]], axis=7)))
    text = error_of(acme("Mish"))
    assert "(Mish 'here')" in text, text
    assert "Softmax, which it is made of" in text, text


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ((lambda: 1 / 0,), "ZeroDivisionError"),
        ((lambda: ["Mish"],), "'Mish' is not a rewrite"),
        ((onnx_op("Mish", domain="acme"),), "the entry for Mish has no rewrite"),
    ],
)
def test_a_plugin_whose_rewrites_are_wrong_is_left_out_with_a_warning(hook, rows, words):
    hook(*rows)
    said = []

    class Logger(trt.ILogger):
        def log(self, severity, text):
            said.append((severity, text))

    network = trt.Builder(Logger()).create_network()
    model = model_of([("Relu", ["x"], ["y"], {})], [trt_input()])
    assert trt.OnnxParser(network, Logger()).parse(model.SerializeToString())
    warnings = [text for severity, text in said if severity == trt.Logger.WARNING]
    assert any(words in text and "dovetail_onnx_rewrites" in text for text in warnings), said
    assert parsed(model)[2] == []


def trt_input():
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])

"""Models that are not valid ONNX are refused before anything is imported, by name; valid ones are taken."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_models import parsed

import dovetail as trt

FLOAT = TensorProto.FLOAT
node = helper.make_node
X = helper.make_tensor_value_info("x", FLOAT, (3, 4))
W = numpy_helper.from_array(np.ones(4, np.float32), "w")
TRUE = numpy_helper.from_array(np.array(True), "c")


def graph_of(*nodes, inputs=(), outputs=("k",), weights=()):
    made = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    return helper.make_graph(list(nodes), "body", list(inputs), made, list(weights))


def model_of(*nodes, inputs=(X,), outputs=("y",), weights=(), opsets=(("", 17), ("local", 1)), ir=9, functions=()):
    made = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    graph = helper.make_graph(list(nodes), "graph", list(inputs), made, list(weights))
    imports = [helper.make_opsetid(*entry) for entry in opsets]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir, functions=list(functions))


def function_of(name, *nodes, opset=17):
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    return helper.make_function("local", name, ["a"], ["b"], list(nodes), imports)


RELU = node("Relu", ["x"], ["y"])
TWICE = node("Softmax", ["x"], ["y"], axis=0)
TWICE.attribute.append(helper.make_attribute("axis", 1))
CALL = node("F", ["x"], ["y"], domain="local")
RELU_OF_A = node("Relu", ["a"], ["b"])


def negative():
    tensor = numpy_helper.from_array(np.ones(4, np.float32), "w")
    tensor.dims[0] = -4
    return tensor


def cut():
    tensor = numpy_helper.from_array(np.ones(4, np.float32), "w")
    tensor.raw_data = tensor.raw_data[:8]
    return tensor


def branches(*nodes, **facts):
    """An If whose else_branch has these nodes."""
    other = graph_of(node("Relu", ["x"], ["e"]), outputs=("e",))
    return node("If", ["c"], ["y"], then_branch=other, else_branch=graph_of(*nodes, **facts))


ADD_W = node("Add", ["x", "w"], ["y"])
REFUSED = {
    "too few inputs": (model_of(node("Add", ["x"], ["y"], name="sum")), ["node 0 (Add 'sum')", "1 input ('x')", "2"]),
    "too many inputs": (model_of(node("Relu", ["x", "x"], ["y"])), ["node 0 (Relu)", "2 inputs", "Relu of opset 14"]),
    "too many outputs": (model_of(node("Relu", ["x"], ["y", "z"])), ["2 outputs ('y', 'z')", "takes 1"]),
    "an input without a name": (model_of(node("Add", ["x", ""], ["y"])), ["input 1 ('B')", "no name"]),
    "an output without a name": (
        model_of(node("Relu", ["x"], [""]), node("Neg", ["x"], ["y"])),
        ["node 0 (Relu)", "output 0 ('Y')", "no name"],
    ),
    "a later output without a name": (
        model_of(node("TopK", ["x", "k"], ["y", ""]), weights=[numpy_helper.from_array(np.int64([1]), "k")]),
        ["node 0 (TopK)", "output 1 ('Indices')", "no name"],
    ),
    "unknown attribute": (model_of(node("Softmax", ["x"], ["y"], axes=1)), ["no attribute 'axes'", "axis"]),
    "attribute of another type": (model_of(node("Softmax", ["x"], ["y"], axis=0.5)), ["'axis'", "FLOAT", "INT"]),
    "missing attribute": (model_of(node("Cast", ["x"], ["y"])), ["lacks the attribute 'to' (INT)"]),
    "attribute given twice": (model_of(TWICE), ["'axis' is given twice"]),
    "no operator": (model_of(node("", ["x"], ["y"])), ["no operator"]),
    "deprecated operator": (model_of(node("Upsample", ["x", "w"], ["y"]), weights=[W]), ["Upsample", "deprecated"]),
    "a name made twice": (model_of(RELU, node("Neg", ["x"], ["y"])), ["node 1 (Neg)", "'y'", "node 0 (Relu)"]),
    "an input made by a node": (model_of(node("Neg", ["x"], ["x"]), RELU), ["'x'", "an input"]),
    "an initializer made by a node": (model_of(node("Neg", ["x"], ["w"]), ADD_W, weights=[W]), ["'w'", "initializer"]),
    "a default of another type": (
        model_of(ADD_W, inputs=(X, helper.make_tensor_value_info("w", TensorProto.INT64, (4,))), weights=[W]),
        ["input 'w' is INT64", "FLOAT"],
    ),
    "a default of other extents": (
        model_of(ADD_W, inputs=(X, helper.make_tensor_value_info("w", FLOAT, ("n", 4))), weights=[W]),
        ["input 'w' has the shape [-1, 4]", "[4]"],
    ),
    "a default of another extent": (
        model_of(ADD_W, inputs=(X, helper.make_tensor_value_info("w", FLOAT, (1,))), weights=[W]),
        ["input 'w' has the shape [1]", "[4]"],
    ),
    "two inputs of a name": (model_of(RELU, inputs=(X, X)), ["input 'x' is defined twice"]),
    "two initializers of a name": (model_of(ADD_W, weights=[W, W]), ["initializer 'w' is defined twice"]),
    "nothing makes it": (model_of(node("Relu", ["xs"], ["y"])), ["nothing makes its input 'xs'", "did you mean 'x'?"]),
    "its own input": (model_of(node("Add", ["x", "y"], ["y"])), ["0 (Add)", "need each other"]),
    "a cycle": (
        model_of(node("Add", ["x", "q"], ["p"]), node("Relu", ["p"], ["q"]), node("Relu", ["q"], ["y"])),
        ["0 (Add)", "1 (Relu)", "need each other"],
    ),
    "no opset": (model_of(RELU, opsets=()), ["imports no opset"]),
    "no opset of the operators": (model_of(RELU, opsets=(("local", 1),)), ["ai.onnx"]),
    "an opset to come": (model_of(RELU, opsets=(("", 99),)), ["opset is 99", "pip install -U onnx"]),
    "opset 0": (model_of(RELU, opsets=(("", 0),)), ["opset is 0"]),
    "two opsets": (model_of(RELU, opsets=(("", 17), ("ai.onnx", 13))), ["opsets 13 and 17"]),
    "an opset beyond all": (model_of(RELU, opsets=(("", 17), ("local", 1 << 40))), [str(1 << 40), "'local'"]),
    "a format to come": (model_of(RELU, ir=99), ["ir_version is 99"]),
    "no format": (model_of(RELU, ir=0), ["ir_version is 0"]),
    "types that differ": (
        model_of(node("Cast", ["x"], ["i"], to=TensorProto.INT32), node("Add", ["x", "i"], ["y"])),
        ["node 1 (Add)", "FLOAT", "INT32", "Cast"],
    ),
    "a type that an operator has not": (
        model_of(node("Cast", ["x"], ["i"], to=TensorProto.BOOL), node("Relu", ["i"], ["y"])),
        ["node 1 (Relu)", "BOOL"],
    ),
    "negative dims": (model_of(ADD_W, weights=[negative()]), ["'w'", "[-4]"]),
    "data that is too short": (model_of(ADD_W, weights=[cut()]), ["'w'", "8 bytes", "16"]),
    "a branch": (
        model_of(branches(node("Relu", ["x", "x"], ["k"])), weights=[TRUE]),
        ["node 0 (If)", "else_branch", "node 0 (Relu)", "2 inputs"],
    ),
    "a name made twice in a branch": (
        model_of(branches(node("Relu", ["x"], ["k"]), node("Neg", ["x"], ["k"])), weights=[TRUE]),
        ["else_branch", "'k' is defined already"],
    ),
    "a name of the outer graph made in a branch": (
        model_of(node("Neg", ["x"], ["n"]), branches(node("Relu", ["n"], ["n"]), outputs=("n",)), weights=[TRUE]),
        ["'n' is defined already"],
    ),
    "a missing branch": (
        model_of(node("If", ["c"], ["y"], then_branch=graph_of(node("Relu", ["x"], ["k"]))), weights=[TRUE]),
        ["lacks the attribute 'else_branch'"],
    ),
    "a body that makes no output": (
        model_of(branches(outputs=("q",)), weights=[TRUE]),
        ["nothing makes its output 'q'"],
    ),
    "a body that returns an input of the model": (
        model_of(branches(outputs=("x",)), weights=[TRUE]),
        ["else_branch", "its output 'x' is a tensor of the graph around it", "Identity"],
    ),
    "a body that returns another node's output": (
        model_of(node("Neg", ["x"], ["n"]), branches(node("Relu", ["x"], ["k"]), outputs=("n",)), weights=[TRUE]),
        ["node 1 (If)", "else_branch", "its output 'n' is a tensor of the graph around it"],
    ),
    "a function defined twice": (
        model_of(CALL, functions=[function_of("F", RELU_OF_A), function_of("F", RELU_OF_A)]),
        ["local::F is defined twice"],
    ),
    "more inputs than the function has": (
        model_of(node("F", ["x", "x"], ["y"], domain="local"), functions=[function_of("F", RELU_OF_A)]),
        ["2 inputs", "local::F 1"],
    ),
    "a function that nobody calls": (
        model_of(RELU, functions=[function_of("F", node("Relu", ["a", "a"], ["b"]))]),
        ["function local::F", "2 inputs"],
    ),
    "a function's attribute outside of it": (model_of(RELU), ["refers to a function's attribute"]),
}
REFUSED["a function's attribute outside of it"][0].graph.node[0].attribute.append(
    onnx.AttributeProto(name="alpha", ref_attr_name="alpha", type=onnx.AttributeProto.FLOAT)
)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_valid_is_refused_by_name(case):
    model, words = REFUSED[case]
    _, _, errors = parsed(model)
    assert errors
    assert not [word for word in words if word not in errors[0]], errors


def test_names_that_are_not_text():
    data = model_of(node("Relu", ["xx"], ["y"]), inputs=(helper.make_tensor_value_info("xx", FLOAT, (3,)),))
    wrong = data.SerializeToString().replace(b"xx", b"\xff\xfe")
    quiet = trt.Logger(trt.Logger.INTERNAL_ERROR)
    parser = trt.OnnxParser(trt.Builder(quiet).create_network(), quiet)
    assert not parser.parse(wrong)
    assert "not UTF-8" in parser.get_error(0).desc() or "not an ONNX model" in parser.get_error(0).desc()


def test_nothing_is_imported_of_what_is_not_valid():
    _, network, errors = parsed(
        model_of(node("Relu", ["x"], ["a"]), node("Add", ["a"], ["b"]), node("Mul", ["b"], ["y"]))
    )
    assert network.num_layers == 0
    assert [text.split(":")[1] for text in errors] == [" node 1 (Add)", " node 2 (Mul)"]


def run(model, feeds):
    builder, network, errors = parsed(model)
    assert not errors, errors
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    return trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context().run(feeds)


VALUES = np.float32(np.arange(12).reshape(3, 4) - 5)


def test_nodes_out_of_order_are_sorted():
    """Not valid, strictly; ONNX Runtime and TensorRT take it."""
    body = branches(node("Neg", ["m"], ["k"]), node("Relu", ["late"], ["m"]))
    model = model_of(body, node("Neg", ["x"], ["late"]), weights=[numpy_helper.from_array(np.array(False), "c")])
    np.testing.assert_array_equal(run(model, {"x": VALUES})["y"], -np.maximum(-VALUES, 0))


def test_an_input_may_be_an_output():
    results = run(model_of(RELU, outputs=("x", "y")), {"x": VALUES})
    np.testing.assert_array_equal(results["x_output"], VALUES)
    np.testing.assert_array_equal(results["y"], np.maximum(VALUES, 0))


def test_an_output_may_be_listed_twice():
    np.testing.assert_array_equal(run(model_of(RELU, outputs=("y", "y")), {"x": VALUES})["y"], np.maximum(VALUES, 0))


def test_an_initializer_is_the_default_of_an_input():
    inputs = (X, helper.make_tensor_value_info("w", FLOAT, (4,)))
    np.testing.assert_array_equal(run(model_of(ADD_W, inputs=inputs, weights=[W]), {"x": VALUES})["y"], VALUES + 1)


def test_functions_call_functions_of_the_operator_they_replace():
    relu = helper.make_function("", "Relu", ["a"], ["b"], [node("Neg", ["a"], ["b"])], [helper.make_opsetid("", 17)])
    outer = function_of("F", node("G", ["a"], ["t"], domain="local"), node("Relu", ["t"], ["b"]))
    inner = function_of("G", node("Abs", ["a"], ["b"]))
    model = model_of(CALL, functions=[outer, inner, relu])
    np.testing.assert_array_equal(run(model, {"x": VALUES})["y"], -np.abs(VALUES))


def test_attributes_of_functions_and_their_defaults():
    imports = [helper.make_opsetid("", 17)]
    leaky = node("LeakyRelu", ["a"], ["b"])
    leaky.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT))
    default = helper.make_attribute("slope", 0.5)
    function = helper.make_function("local", "F", ["a"], ["b"], [leaky], imports, attribute_protos=[default])
    for call, slope in ((CALL, 0.5), (node("F", ["x"], ["y"], domain="local", slope=2.0), 2.0)):
        expected = np.where(VALUES < 0, slope * VALUES, VALUES)
        np.testing.assert_allclose(run(model_of(call, functions=[function]), {"x": VALUES})["y"], expected)


def test_trailing_inputs_without_a_name_do_not_count():
    np.testing.assert_array_equal(
        run(model_of(node("Relu", ["x", ""], ["y"])), {"x": VALUES})["y"], np.maximum(VALUES, 0)
    )


def test_optional_outputs_need_no_name():
    for made in (["y", ""], ["y"]):
        model = model_of(node("Dropout", ["x"], made))
        np.testing.assert_array_equal(run(model, {"x": VALUES})["y"], VALUES)


def test_a_branch_may_return_what_is_its_own():
    model = model_of(branches(outputs=("w",), weights=[W]), weights=[numpy_helper.from_array(np.array(False), "c")])
    np.testing.assert_array_equal(run(model, {"x": VALUES})["y"], np.ones(4, np.float32))


def test_dims_named_by_a_question_mark_are_not_equal():
    inputs = (helper.make_tensor_value_info("x", FLOAT, ("?", "?", "n", "n")),)
    _, network, errors = parsed(model_of(RELU, inputs=inputs))
    assert not errors
    assert [network.get_input(0).get_dimension_name(axis) for axis in range(4)] == ["", "", "n", "n"]
    first, second, third, fourth = network.get_input(0).symbolic.dims
    assert not first.same(second)
    assert third.same(fourth)


class Told(trt.ILogger):
    """Keeps what is said."""

    def __init__(self):
        self.texts = []

    def log(self, severity, text):
        self.texts.append((severity.name, text))


@pytest.mark.parametrize("made", ["Shape", "Relu"])
def test_outputs_of_another_type_than_declared_are_warned_of(made):
    kind = {"Shape": TensorProto.INT64, "Relu": FLOAT}[made]
    model = model_of(node(made, ["x"], ["y"]))
    for declared in (FLOAT, TensorProto.INT64, TensorProto.STRING, 0):
        model.graph.output[0].type.tensor_type.elem_type = declared
        network, told = trt.Builder(Told()).create_network(), Told()
        assert trt.OnnxParser(network, told).parse(model.SerializeToString())
        given, has = (TensorProto.DataType.Name(one) for one in (declared, kind))
        text = f"output 'y' is declared {given}, and the nodes make {has}: it is {has}"
        assert told.texts == ([] if declared in (kind, 0) else [("WARNING", text)])

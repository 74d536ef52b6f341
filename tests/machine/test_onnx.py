"""ONNX models as networks, against the reference evaluator of the package onnx."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import dovetail as trt
from dovetail.machine.onnx import backend

RNG = np.random.default_rng(0)


def model_of(nodes, inputs, outputs=("y",), weights=None, opset=17, domains=(), **facts):
    """A model from nodes, {input: (dims, type)} and {initializer: array}."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, type_, dims) for name, (dims, type_) in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains)]
    return helper.make_model(graph, opset_imports=opsets, **facts)


def parser_for():
    builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR))
    network = builder.create_network()
    return builder, network, trt.OnnxParser(network, trt.Logger(trt.Logger.INTERNAL_ERROR))


def run(model, feeds):
    builder, network, parser = parser_for()
    assert parser.parse(model.SerializeToString()), [str(parser.get_error(i)) for i in range(parser.num_errors)]
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    return trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context().run(feeds)


def check(model, feeds, tolerance=1e-5):
    results = run(model, feeds)
    expected = ReferenceEvaluator(model).run(None, feeds)
    for info, wanted in zip(model.graph.output, expected, strict=True):
        np.testing.assert_allclose(results[info.name], wanted, rtol=tolerance, atol=tolerance)


def errors_of(model, path=None):
    _, _, parser = parser_for()
    data = model if isinstance(model, bytes) else model.SerializeToString()
    assert not parser.parse(data, path)
    return [parser.get_error(index) for index in range(parser.num_errors)]


X = {"x": ((2, 3, 9, 8), TensorProto.FLOAT)}


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("Relu", {}),
        ("Sigmoid", {}),
        ("Tanh", {}),
        ("Softsign", {}),
        ("Softplus", {}),
        ("LeakyRelu", {}),
        ("LeakyRelu", {"alpha": 0.3}),
        ("Elu", {"alpha": 0.5}),
        ("Selu", {}),
        ("Selu", {"alpha": 1.5, "gamma": 0.5}),
        ("HardSigmoid", {}),
        ("ThresholdedRelu", {}),
        ("Identity", {}),
        ("Dropout", {}),
    ],
)
def test_pointwise_operators(op, attrs):
    x = RNG.standard_normal((2, 3, 9, 8), dtype=np.float32)
    check(model_of([helper.make_node(op, ["x"], ["y"], **attrs)], X), {"x": x})


def test_clip_by_attributes_and_by_inputs():
    x = RNG.standard_normal((2, 3, 9, 8), dtype=np.float32)
    check(model_of([helper.make_node("Clip", ["x"], ["y"], min=-0.5, max=0.25)], X, opset=9), {"x": x})
    limits = {"low": np.float32(-0.5).reshape(()), "high": np.float32(0.25).reshape(())}
    check(model_of([helper.make_node("Clip", ["x", "low", "high"], ["y"])], X, weights=limits), {"x": x})
    check(model_of([helper.make_node("Clip", ["x", "", "high"], ["y"])], X, weights=limits), {"x": x})


@pytest.mark.parametrize(
    ("weights", "attrs"),
    [
        ((4, 3, 3, 3), {}),
        ((6, 1, 3, 3), {"group": 3, "pads": (1, 2, 0, 1)}),
        ((4, 3, 3, 2), {"strides": (2, 1), "dilations": (1, 2), "pads": (1, 1, 1, 1)}),
        ((4, 3, 3, 3), {"auto_pad": "SAME_UPPER", "strides": (2, 2)}),
        ((4, 3, 3, 3), {"auto_pad": "VALID"}),
    ],
)
def test_convolutions(weights, attrs):
    x = RNG.standard_normal((2, 3, 9, 8), dtype=np.float32)
    data = {
        "w": RNG.standard_normal(weights, dtype=np.float32),
        "b": RNG.standard_normal(weights[0], dtype=np.float32),
    }
    check(model_of([helper.make_node("Conv", ["x", "w", "b"], ["y"], **attrs)], X, weights=data), {"x": x}, 1e-4)
    check(model_of([helper.make_node("Conv", ["x", "w"], ["y"], **attrs)], X, weights=data), {"x": x}, 1e-4)


@pytest.mark.parametrize(
    "attrs",
    [
        {},
        {"strides": (2, 2), "pads": (1, 1, 1, 1)},
        {"strides": (2, 2), "pads": (1, 1, 1, 1), "output_padding": (1, 1)},
    ],
)
def test_transposed_convolutions(attrs):
    x = RNG.standard_normal((2, 3, 9, 8), dtype=np.float32)
    data = {"w": RNG.standard_normal((3, 5, 3, 3), dtype=np.float32), "b": RNG.standard_normal(5, dtype=np.float32)}
    model = model_of([helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], **attrs)], X, weights=data)
    check(model, {"x": x}, 1e-4)


def test_batch_normalization_is_a_scale():
    x = RNG.standard_normal((2, 3, 9, 8), dtype=np.float32)
    data = {name: RNG.random(3, dtype=np.float32) + np.float32(0.5) for name in "sbmv"}
    node = helper.make_node("BatchNormalization", ["x", *"sbmv"], ["y"], epsilon=1e-3)
    check(model_of([node], X, weights=data), {"x": x})


def test_dynamic_extents_keep_their_names():
    model = model_of([helper.make_node("Relu", ["x"], ["y"])], {"x": (("batch", 3), TensorProto.FLOAT)})
    _, network, parser = parser_for()
    assert parser.parse(model.SerializeToString())
    assert tuple(network.get_input(0).shape) == (-1, 3)
    assert network.get_input(0).get_dimension_name(0) == "batch"
    assert network.get_output(0).name == "y"


def test_constants_and_inputs_may_be_outputs():
    nodes = [helper.make_node("Constant", [], ["c"], value_floats=[1.0, 2.0])]
    model = model_of(nodes, {"x": ((2,), TensorProto.FLOAT)}, outputs=("c", "x2"))
    model.graph.node.append(helper.make_node("Identity", ["x"], ["x2"]))
    results = run(model, {"x": np.float32([3, 4])})
    np.testing.assert_array_equal(results["c"], [1, 2])
    np.testing.assert_array_equal(results["x2"], [3, 4])


def test_local_functions_are_followed():
    body = [helper.make_node("Relu", ["a"], ["t"]), helper.make_node("Tanh", ["t"], ["b"])]
    function = helper.make_function("local", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    node = helper.make_node("Twice", ["x"], ["y"], domain="local")
    model = model_of([node], X, domains=("local",), functions=[function])
    check(model, {"x": RNG.standard_normal((2, 3, 9, 8), dtype=np.float32)})


def test_an_unknown_operator_is_the_plugin_of_its_name():
    class Doubled(trt.Plugin):
        """y = gain * x

        Inputs    x  any dims
        Outputs   y  those of x
        """

        namespace, version = "onnx.tests", "2"
        x = trt.Input((trt.float32,))
        y = trt.Output(like="x")
        gain: float = trt.field(1.0, doc="Factor.")

        def infer(self, x):
            return x.like()

        def reference(self, x):
            return self.gain * x

    trt.get_plugin_registry().add_op(Doubled)
    x = RNG.standard_normal((2, 3, 9, 8), dtype=np.float32)
    facts = {"gain": 3.0, "plugin_version": "2"}
    for node in (
        helper.make_node("Doubled", ["x"], ["y"], domain="onnx.tests", **facts),
        helper.make_node("Doubled", ["x"], ["y"], plugin_namespace="onnx.tests", **facts),
    ):
        np.testing.assert_allclose(run(model_of([node], X, domains=("onnx.tests",)), {"x": x})["y"], 3 * x)
    (error,) = errors_of(model_of([helper.make_node("Doubled", ["x"], ["y"], domain="onnx.tests")], X))
    assert error.code() == trt.ParserError.Code.UNSUPPORTED_NODE
    assert "onnx.tests::Doubled@1" in error.desc()
    assert "onnx.tests::Doubled@2" in error.desc()  # the near miss


def test_every_unsupported_node_is_named():
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Frobnicate", ["a"], ["b"], name="first"),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Grumble", ["a"], ["y"], name="second"),
    ]
    errors = errors_of(model_of(nodes, X))
    assert [(error.node(), error.node_name()) for error in errors] == [(1, "first"), (3, "second")]
    _, network, parser = parser_for()
    is_fine, groups = parser.supports_model(model_of(nodes, X).SerializeToString())
    assert not is_fine
    assert groups == [([0], True), ([1], False), ([2], True), ([3], False)]
    assert network.num_layers == 0
    assert all(map(parser.supports_operator, ("Relu", "Loop", "SequenceAt", "SplitToSequence")))
    assert not parser.supports_operator("Frobnicate")


@pytest.mark.parametrize("data", [b"", b"no model", b"\x08\x07\x12\xff", bytes(1000)])
def test_what_is_no_model(data):
    (error,) = errors_of(data)
    assert error.code() == trt.ParserError.Code.MODEL_DESERIALIZE_FAILED


def test_missing_files(tmp_path):
    _, _, parser = parser_for()
    assert not parser.parse_from_file(tmp_path / "none.onnx")
    assert "none.onnx" in parser.get_error(0).desc()
    model = model_of([helper.make_node("Conv", ["x", "w"], ["y"])], X, weights={"w": np.ones((4, 3, 3, 3), np.float32)})
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="net.bin", size_threshold=0)
    assert parser_for()[2].parse_from_file(tmp_path / "net.onnx")
    (tmp_path / "net.bin").unlink()
    _, _, parser = parser_for()
    assert not parser.parse_from_file(tmp_path / "net.onnx")
    assert parser.get_error(0).code() == trt.ParserError.Code.INVALID_VALUE
    assert "net.bin" in parser.get_error(0).desc()


def test_shapes_that_do_not_fit_name_the_node():
    data = {"w": np.ones((4, 5, 3, 3), np.float32)}
    (error,) = errors_of(model_of([helper.make_node("Conv", ["x", "w"], ["y"], name="stem")], X, weights=data))
    assert error.code() == trt.ParserError.Code.INVALID_NODE
    assert error.node_name() == "stem"


def test_control_flow_says_not_yet():
    names = [("i", TensorProto.INT64), ("go", TensorProto.BOOL), ("s", TensorProto.FLOAT)]
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Neg", ["s"], ["t"])],
        "body",
        [helper.make_tensor_value_info(name, kind, None) for name, kind in names],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in (("on", 9), ("t", 1))],
    )
    node = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)
    nodes = [helper.make_node("ReduceSum", ["m"], ["n"], keepdims=0), node]
    (error,) = errors_of(model_of(nodes, X | {"m": ((2, 99), TensorProto.INT64)}))
    assert "not imported yet" in error.desc() and "trip count (input 'M') is not known" in error.desc()
    assert "follows_from what the network computes" in error.desc() and "around the network" in error.desc()
    nodes = [
        helper.make_node("Shape", ["x"], ["dims"]),
        helper.make_node("Gather", ["dims", "first"], ["rows"]),
        helper.make_node("Add", ["rows", "one"], ["n"]),
        node,
    ]
    weights = {"first": np.array(0), "one": np.array(1)}
    (error,) = errors_of(model_of(nodes, {"x": (("rows", 4), TensorProto.FLOAT)}, weights=weights))
    assert error.code() == trt.ParserError.Code.UNSUPPORTED_NODE
    assert "extents or contents of inputs, rows + 1" in error.desc() and "update_model_dims" in error.desc()
    node.input[:] = ["", "go", "x"]
    (error,) = errors_of(model_of([node], X | {"go": ((), TensorProto.BOOL)}))
    assert "condition before step 0 (input 'cond') is not known" in error.desc()


def test_old_opsets_are_converted():
    x = RNG.standard_normal((2, 3, 9, 8), dtype=np.float32)
    bias = {"b": RNG.standard_normal(8, dtype=np.float32)}
    node = helper.make_node("Add", ["x", "b"], ["y"], broadcast=1)
    result = run(model_of([node], X, weights=bias, opset=6), {"x": x})["y"]
    np.testing.assert_allclose(result, x + bias["b"])
    (error,) = errors_of(model_of([helper.make_node("Frobnicate", ["x"], ["y"])], X, opset=3))
    assert error.code() == trt.ParserError.Code.UNSUPPORTED_GRAPH
    assert "older than 7" in error.desc()


def test_models_without_the_main_domain():
    trt.get_plugin_registry().add_op(scaled_twice())
    node = helper.make_node("ScaledTwice", ["x"], ["y"], domain="onnx.tests")
    model = model_of([node], X, domains=("onnx.tests",))
    del model.opset_import[0]
    x = RNG.standard_normal((2, 3, 9, 8), dtype=np.float32)
    np.testing.assert_allclose(run(model, {"x": x})["y"], 2 * x)


def scaled_twice():
    class ScaledTwice(trt.Plugin):
        """y = 2 * x

        Inputs    x  any dims
        Outputs   y  those of x
        """

        namespace = "onnx.tests"
        x = trt.Input((trt.float32,))
        y = trt.Output(like="x")

        def infer(self, x):
            return x.like()

        def reference(self, x):
            return 2 * x

    return ScaledTwice


class Told(trt.Logger):
    """Keeps what it is told."""

    def __init__(self):
        super().__init__()
        self.messages = []

    def log(self, severity, message):
        self.messages.append((severity, message))


def test_types_that_networks_lack_are_carried_in_others():
    inputs = {"x": ((2,), TensorProto.DOUBLE), "n": ((2,), TensorProto.UINT16)}
    nodes = [helper.make_node("Exp", ["x"], ["y"]), helper.make_node("BitwiseNot", ["n"], ["m"])]
    model = model_of(nodes, inputs, outputs=("y", "m"), opset=18)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    model.graph.output[1].type.tensor_type.elem_type = TensorProto.UINT16
    builder, logger = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR)), Told()
    network = builder.create_network()
    assert trt.OnnxParser(network, logger).parse(model.SerializeToString())
    assert [network.get_input(index).dtype for index in range(2)] == [trt.float32, trt.int32]
    assert [severity for severity, _ in logger.messages] == [trt.Logger.WARNING] * 2
    assert "DOUBLE" in logger.messages[0][1]
    y, m = backend.prepare(model).run([np.array([0.0, 1.0]), np.array([0, 65535], np.uint16)])
    assert (y.dtype, m.dtype) == (np.float64, np.uint16)
    np.testing.assert_allclose(y, np.exp([0.0, 1.0]), rtol=1e-6)
    np.testing.assert_array_equal(m, [65535, 0])


def test_operators_that_onnx_defines_by_others():
    nodes = [helper.make_node("Celu", ["x"], ["c"], alpha=2.0), helper.make_node("Mish", ["c"], ["y"])]
    check(model_of(nodes, X, opset=18), {"x": RNG.standard_normal((2, 3, 9, 8), dtype=np.float32)})


def test_what_follows_from_constants_is_known():
    nodes = [
        helper.make_node("Add", ["two", "two"], ["four"]),
        helper.make_node("Cast", ["four"], ["axes"], to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["x", "axes"], ["y"]),
    ]
    model = model_of(nodes, {"x": ((2, 3, 4, 5, 6), TensorProto.FLOAT)}, weights={"two": np.float32([2])})
    check(model, {"x": RNG.standard_normal((2, 3, 4, 5, 6), dtype=np.float32)})


def test_engines_of_the_backend_know_the_contents_of_axes():
    model = model_of([helper.make_node("ReduceSum", ["x", "axes"], ["y"])], X | {"axes": ((1,), TensorProto.INT64)})
    ready = backend.prepare(model)
    x = RNG.standard_normal((2, 3, 9, 8), dtype=np.float32)
    for axis in (1, 2):
        (y,) = ready.run([x, np.array([axis])])
        np.testing.assert_allclose(y, x.sum(axis, keepdims=True), rtol=1e-5, atol=1e-5)


def test_a_branch_whose_condition_is_known_is_followed():
    branches = [
        helper.make_graph([helper.make_node(op, ["x"], ["z"])], op, [], [helper.make_tensor_value_info("z", 1, None)])
        for op in ("Relu", "Neg")
    ]
    node = helper.make_node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1])
    for condition in (True, False):
        model = model_of([node], X, weights={"c": np.array(condition)})
        check(model, {"x": RNG.standard_normal((2, 3, 9, 8), dtype=np.float32)})


def test_loops_of_known_length_are_laid_out():
    body = helper.make_graph(
        [
            helper.make_node("Add", ["s", "x"], ["t"]),
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Neg", ["t"], ["seen"]),
        ],
        "body",
        [helper.make_tensor_value_info(name, kind, ()) for name, kind in (("i", 7), ("go", 9), ("s", 1))],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in (("on", 9), ("t", 1), ("seen", 1))],
    )
    node = helper.make_node("Loop", ["n", "", "start"], ["last", "all"], body=body)
    weights = {"n": np.array(3), "start": np.zeros((2, 3, 9, 8), np.float32)}
    x = RNG.standard_normal((2, 3, 9, 8), dtype=np.float32)
    results = run(model_of([node], X, outputs=("last", "all"), weights=weights), {"x": x})
    np.testing.assert_allclose(results["last"], 3 * x, rtol=1e-6)
    np.testing.assert_allclose(results["all"], [-x, -2 * x, -3 * x], rtol=1e-6)
    weights["n"] = np.array(1000)
    (error,) = errors_of(model_of([node], X, outputs=("last", "all"), weights=weights))
    assert error.code() == trt.ParserError.Code.UNSUPPORTED_NODE
    assert "more than 64 steps" in error.desc() and "trip_count 1000" in error.desc()


def test_scans_are_laid_out():
    body = helper.make_graph(
        [helper.make_node("Add", ["s", "row"], ["t"]), helper.make_node("Identity", ["t"], ["sum"])],
        "body",
        [helper.make_tensor_value_info(name, 1, (3,)) for name in ("s", "row")],
        [helper.make_tensor_value_info(name, 1, (3,)) for name in ("t", "sum")],
    )
    node = helper.make_node("Scan", ["start", "x"], ["last", "sums"], body=body, num_scan_inputs=1)
    model = model_of(
        [node], {"x": ((5, 3), TensorProto.FLOAT)}, outputs=("last", "sums"), weights={"start": np.zeros(3, np.float32)}
    )
    check(model, {"x": RNG.standard_normal((5, 3), dtype=np.float32)})


@pytest.mark.parametrize("kind", ["FLOAT8E4M3FN", "FLOAT8E5M2", "FLOAT4E2M1", "INT4", "UINT16"])
def test_narrow_types_are_rounded_in_the_network(kind):
    x = np.concatenate([RNG.standard_normal(200) * 3, [0, -0.0, 6.5, 448, 1e-9, 7.49]]).astype(np.float32)
    x = np.clip(np.abs(x), 0, 7) if kind in ("INT4", "UINT16") else x
    nodes = [
        helper.make_node("Cast", ["x"], ["n"], to=TensorProto.DataType.Value(kind)),
        helper.make_node("Cast", ["n"], ["y"], to=TensorProto.FLOAT),
    ]
    check(model_of(nodes, {"x": ((206,), TensorProto.FLOAT)}, opset=25), {"x": x}, 0)

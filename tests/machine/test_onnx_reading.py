"""What is given to the parser: no models, files that cannot be read, weights where they are. Nothing is raised."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import dovetail as trt

Code = trt.ParserError.Code
FLOAT = TensorProto.FLOAT
X = helper.make_tensor_value_info("x", FLOAT, (3, 4))


def model_of(*nodes, weights=(), functions=(), inputs=(X,), opsets=(("", 17), ("local", 1))):
    made = [helper.make_tensor_value_info("y", FLOAT, None)]
    graph = helper.make_graph(list(nodes), "graph", list(inputs), made, list(weights))
    imports = [helper.make_opsetid(*entry) for entry in opsets]
    return helper.make_model(graph, opset_imports=imports, ir_version=9, functions=list(functions))


def new_parser():
    quiet = trt.Logger(trt.Logger.INTERNAL_ERROR)
    return trt.OnnxParser(trt.Builder(quiet).create_network(), quiet)


def only_error(parser):
    assert parser.num_errors == 1
    return parser.get_error(0)


def refused(model, **budget):
    parser = new_parser()
    parser.budget = trt.Budget(**budget)
    assert not parser.parse(model.SerializeToString())
    return only_error(parser)


RELU = model_of(helper.make_node("Relu", ["x"], ["y"]))


@pytest.mark.parametrize("data", [None, 5, "model.onnx", RELU, [1, 2], object(), 1 << 40])
def test_what_is_not_bytes(data):
    parser = new_parser()
    assert not parser.parse(data)
    assert only_error(parser).code() == Code.MODEL_DESERIALIZE_FAILED
    assert "the bytes of a model" in parser.get_error(0).desc()
    assert parser.supports_model(data) == (False, [])
    assert parser.num_errors == 2


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)])
def test_bytes_of_any_kind(kind):
    assert new_parser().parse(kind(RELU.SerializeToString()))


def large_model():
    """Weights that are large enough to stay where they are: an initializer, a Constant, and one in a branch."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((4, 5000), dtype=np.float32) for _ in range(3)]
    nodes = [helper.make_node("Relu", ["w1"], ["t"])]
    branch = helper.make_graph(
        nodes, "b", [], [helper.make_tensor_value_info("t", FLOAT, None)], [numpy_helper.from_array(arrays[1], "w1")]
    )
    model = model_of(
        helper.make_node("Constant", [], ["w2"], value=numpy_helper.from_array(arrays[2])),
        helper.make_node("If", ["c"], ["b"], then_branch=branch, else_branch=branch),
        helper.make_node("Add", ["b", "w2"], ["s"]),
        helper.make_node("Add", ["s", "w0"], ["q"]),
        helper.make_node("MatMul", ["x", "q"], ["y"]),
        weights=[numpy_helper.from_array(arrays[0], "w0"), numpy_helper.from_array(np.array(True), "c")],
    )
    return model, arrays[0] + np.maximum(arrays[1], 0) + arrays[2]


def computed(parser, x):
    quiet = trt.Logger(trt.Logger.INTERNAL_ERROR)
    builder = trt.Builder(quiet)
    plan = builder.build_serialized_network(parser._network, builder.create_builder_config())
    return trt.Runtime(quiet).deserialize_cuda_engine(plan).create_execution_context().run({"x": x})["y"]


def test_large_weights_of_files_and_of_bytes(tmp_path):
    model, total = large_model()
    x = np.random.default_rng(1).standard_normal((3, 4), dtype=np.float32)
    onnx.save(model, tmp_path / "net.onnx")
    by_path, by_bytes = new_parser(), new_parser()
    assert by_path.parse_from_file(tmp_path / "net.onnx"), by_path.get_error(0)
    (tmp_path / "net.onnx").unlink()
    assert by_bytes.parse(bytearray(model.SerializeToString()))
    for parser in (by_path, by_bytes):
        np.testing.assert_allclose(computed(parser, x), x @ total, rtol=1e-4, atol=1e-4)


def test_large_weights_of_a_message_that_says_where_they_are(tmp_path):
    model, total = large_model()
    for tensor in model.graph.initializer:
        tensor.data_location = TensorProto.DEFAULT  # it is written behind the data
    assert all(tensor.HasField("data_location") for tensor in model.graph.initializer)
    onnx.save(model, tmp_path / "net.onnx")
    x = np.random.default_rng(1).standard_normal((3, 4), dtype=np.float32)
    by_path, by_bytes = new_parser(), new_parser()
    assert by_path.parse_from_file(tmp_path / "net.onnx"), by_path.get_error(0)
    assert by_bytes.parse(model.SerializeToString()), by_bytes.get_error(0)
    for parser in (by_path, by_bytes):
        np.testing.assert_allclose(computed(parser, x), x @ total, rtol=1e-4, atol=1e-4)


@pytest.mark.unsanitized  # memory of the sanitizer's own is counted as well
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_file_is_held_once(tmp_path):
    """In a process of its own: what the import adds to its memory, in sizes of the file."""
    big = numpy_helper.from_array(np.ones((1, 32 << 20), np.float32), "w")  # 128 MiB
    x = helper.make_tensor_value_info("x", FLOAT, (1, 1))
    onnx.save(model_of(helper.make_node("Mul", ["x", "w"], ["y"]), weights=[big], inputs=(x,)), tmp_path / "net.onnx")
    code = f"""
    import re, onnx, dovetail as trt
    def peak():  # KiB
        return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
    log = trt.Logger(trt.Logger.INTERNAL_ERROR)
    parser = trt.OnnxParser(trt.Builder(log).create_network(), log)
    parser.supports_operator("Mul")
    before = peak()
    assert parser.parse_from_file({str(tmp_path / "net.onnx")!r})
    print((peak() - before) / (128 << 10))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 0.9 < float(done.stdout) < 1.5


def test_paths_that_are_not_models(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("no model")
    for path, word in (
        (tmp_path / "pipe", "a pipe"),
        (tmp_path, "a folder"),
        (tmp_path / "empty", "empty"),
        (tmp_path / "none", "none"),
        (tmp_path / "text", "not an ONNX model"),
        ("/dev/zero", "device"),
        ("a\0b", "cannot be read"),
        (None, "NoneType"),
        (7, "int"),
    ):
        parser = new_parser()
        assert not parser.parse_from_file(path)
        assert only_error(parser).code() == Code.MODEL_DESERIALIZE_FAILED
        assert word in parser.get_error(0).desc()


# ---- external data


def external(tmp_path, **facts):
    """A model beside a file of 64 bytes, whose weights are where the facts say; the parser's only error, or ""."""
    folder = tmp_path / "models"
    folder.mkdir(exist_ok=True)
    (folder / "data").write_bytes(np.arange(16, dtype=np.float32).tobytes())
    (tmp_path / "secret").write_bytes(bytes(64))
    weights = TensorProto(name="w", dims=(4,), data_type=FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in facts.items():
        weights.external_data.add(key=key, value=str(value))
    parser = new_parser()
    model = model_of(helper.make_node("Add", ["x", "w"], ["y"]), weights=[weights])
    if parser.parse(model.SerializeToString(), folder / "net.onnx"):
        return ""
    assert only_error(parser).code() == Code.INVALID_VALUE
    return parser.get_error(0).desc()


def test_external_data_beside_the_model(tmp_path):
    assert external(tmp_path, location="data", offset=16, length=16) == ""
    assert external(tmp_path, location="data") == ""
    assert external(tmp_path, location="./data", offset=48) == ""


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"location": "../secret"}, ["'../secret'", "below the model's folder"]),
        ({"location": "/etc/passwd"}, ["'/etc/passwd'", "below"]),
        ({"location": ""}, ["below"]),
        ({}, ["below"]),
        ({"location": "link"}, ["secret", "outside"]),
        ({"location": "none"}, ["none", "No such file"]),
        ({"location": "pipe"}, ["not a file"]),
        ({"location": "."}, ["not a file"]),
        ({"location": "data", "offset": 52}, ["64 bytes", "ends at 68", "too short"]),
        ({"location": "data", "length": 12}, ["12 bytes", "[4]", "16"]),
        ({"location": "data", "offset": "-16"}, ["offset '-16'"]),
        ({"location": "data", "offset": "9" * 30}, ["offset"]),
        ({"location": "\0model", "offset": 1 << 40, "length": 16}, ["below"]),
    ],
)
def test_external_data_that_is_not_there(tmp_path, facts, words):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "models" / "pipe")
    text = external(tmp_path, **facts)
    assert not [word for word in ["'w'", *words] if word not in text], text


def test_links_to_where_models_are_kept(tmp_path):
    """As caches of downloaded models have them: model and data are links to files in one other folder."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "seen").mkdir()
    weights = numpy_helper.from_array(np.ones(4, np.float32), "w")
    model = model_of(helper.make_node("Add", ["x", "w"], ["y"]), weights=[weights])
    onnx.save(model, tmp_path / "kept" / "a1", save_as_external_data=True, location="data", size_threshold=0)
    (tmp_path / "kept" / "data").rename(tmp_path / "kept" / "b2")
    (tmp_path / "seen" / "net.onnx").symlink_to(tmp_path / "kept" / "a1")
    (tmp_path / "seen" / "data").symlink_to(tmp_path / "kept" / "b2")
    parser = new_parser()
    assert parser.parse_from_file(tmp_path / "seen" / "net.onnx"), parser.get_error(0)


# ---- budgets


def function_of(name, *nodes):
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    return helper.make_function("local", name, ["a"], ["b"], list(nodes), imports)


def call(name, x="a", y="b"):
    return helper.make_node(name, [x], [y], domain="local")


def test_functions_that_call_themselves():
    functions = [function_of("F", call("G")), function_of("G", call("H")), function_of("H", call("G"))]
    error = refused(model_of(call("F", "x", "y"), functions=functions))
    assert "local::G -> local::H -> local::G" in error.desc()


def test_functions_that_double_thirty_times():
    functions = [function_of(f"F{i}", call(f"F{i + 1}", "a", "t"), call(f"F{i + 1}", "t", "b")) for i in range(30)]
    functions.append(function_of("F30", helper.make_node("Relu", ["a"], ["b"])))
    error = refused(model_of(call("F0", "x", "y"), functions=functions))
    assert "parser.budget.layers = 200000" in error.desc()
    assert str(2**31) in error.desc() or str(2**31 + 2**30 - 1) in error.desc()


def test_functions_that_are_nested_deeply():
    functions = [function_of(f"F{i}", call(f"F{i + 1}")) for i in range(3000)]
    functions.append(function_of("F3000", helper.make_node("Relu", ["a"], ["b"])))
    assert "64 deep" in refused(model_of(call("F0", "x", "y"), functions=functions)).desc()


def nested(depth):
    """Graphs inside graphs: If in If, or Loop in Loop."""
    made = [helper.make_tensor_value_info("r0", FLOAT, None)]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["r0"])], "g0", [], made)
    for level in range(1, depth):
        other = helper.make_graph([helper.make_node("Neg", ["x"], [f"n{level}"])], "n", [], [])
        other.output.add(name=f"n{level}")
        branch = helper.make_node("If", ["c"], [f"r{level}"], then_branch=graph, else_branch=other)
        graph = helper.make_graph([branch], f"g{level}", [], [])
        graph.output.add(name=f"r{level}")
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["n"])], "n", [], [])
    other.output.add(name="n")
    condition = numpy_helper.from_array(np.array(True), "c")
    return model_of(helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=other), weights=[condition])


def test_graphs_that_are_nested_deeply():
    assert new_parser().parse(nested(20).SerializeToString())
    assert new_parser().parse(deep_calls(30).SerializeToString())


def deep_calls(n):
    """Functions, each of which calls the next in a branch: deeper than graphs alone can be."""
    functions = []
    for level in range(n):
        inner = helper.make_graph(
            [call(f"F{level + 1}", "a", "t")], "g", [], [helper.make_tensor_value_info("t", FLOAT, None)]
        )
        other = helper.make_graph(
            [helper.make_node("Neg", ["a"], ["u"])], "g", [], [helper.make_tensor_value_info("u", FLOAT, None)]
        )
        truth = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True)))
        functions.append(
            function_of(f"F{level}", truth, helper.make_node("If", ["c"], ["b"], then_branch=inner, else_branch=other))
        )
    functions.append(function_of(f"F{n}", helper.make_node("Relu", ["a"], ["b"])))
    return model_of(call("F0", "x", "y"), functions=functions)


def test_branches_and_functions_that_are_nested_deeply():
    assert "at most 64 are followed" in refused(deep_calls(60)).desc()


def test_a_message_that_is_nested_deeper_than_messages_are():
    """Made by hand: protobuf does not write it."""
    inner = b""
    for number in (1, 5, 6) * 200:  # GraphProto.node, NodeProto.attribute, AttributeProto.g
        size, length = len(inner), b""
        while size > 0x7F:
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        inner = bytes([number << 3 | 2]) + length + bytes([size]) + inner
    size, length = len(inner), b""
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    parser = new_parser()
    assert not parser.parse(bytes([7 << 3 | 2]) + length + bytes([size]) + inner)
    assert only_error(parser).code() == Code.MODEL_DESERIALIZE_FAILED


def loops(depth):
    body = helper.make_graph(
        [helper.make_node("Neg", ["s0"], ["t0"]), helper.make_node("Identity", ["c0"], ["d0"])], "b", [], []
    )
    for level in range(depth):
        body.input.add(name=f"i{level}")
        body.input.add(name=f"c{level}")
        body.input.add(name=f"s{level}")
        body.output.add(name=f"d{level}")
        body.output.add(name=f"t{level}")
        up = level + 1
        nodes = [
            helper.make_node("Loop", ["n", "", f"s{up}"], [f"t{up}"], body=body),
            helper.make_node("Identity", [f"c{up}"], [f"d{up}"]),
        ]
        body = helper.make_graph(nodes, "b", [], [])
    loop = helper.make_node("Loop", ["n", "", "x"], ["y"], body=body.node[0].attribute[0].g)
    return model_of(loop, weights=[numpy_helper.from_array(np.array(64), "n")])


def test_loops_inside_loops():
    error = refused(loops(4), layers=2000)
    assert "node 0 (Loop)" in error.desc()
    assert "parser.budget.layers = 2000" in error.desc()
    assert "parser.budget = Budget(" in error.desc()


def test_an_import_that_takes_too_long():
    assert "parser.budget.seconds = 0" in refused(RELU, seconds=0).desc()


def test_a_budget_is_one_import_and_not_the_parser():
    parser = new_parser()
    parser.budget = trt.Budget(layers=2)
    data = RELU.SerializeToString()
    assert parser.supports_model(data)[0]
    assert parser.supports_model(data)[0]
    assert parser.supports_model(data)[0]


def test_names_of_a_megabyte():
    parser = new_parser()
    assert not parser.parse(model_of(helper.make_node("A" * (1 << 20), ["x"], ["y"])).SerializeToString())
    assert "1048576 characters" in only_error(parser).desc()
    assert len(str(parser.get_error(0))) < 5000


# ---- sparse tensors


def sparse(values, places, dims):
    return helper.make_sparse_tensor(
        numpy_helper.from_array(np.float32(values), "w"), numpy_helper.from_array(np.int64(places), "places"), dims
    )


def test_sparse_tensors_are_filled_up():
    x = np.random.default_rng(0).standard_normal((3, 4), dtype=np.float32)
    by_name = model_of(helper.make_node("Add", ["x", "w"], ["y"]))
    by_name.graph.sparse_initializer.append(sparse([1, 2], [0, 3], (4,)))
    constant = helper.make_node("Constant", [], ["w"], sparse_value=sparse([1, 2], [[0, 1], [2, 3]], (3, 4)))
    by_node = model_of(constant, helper.make_node("Add", ["x", "w"], ["y"]))
    filled = np.zeros((3, 4), np.float32)
    filled[0, 1], filled[2, 3] = 1, 2
    for model, added in ((by_name, np.float32([1, 0, 0, 2])), (by_node, filled)):
        parser = new_parser()
        assert parser.parse(model.SerializeToString()), parser.get_error(0)
        np.testing.assert_array_equal(computed(parser, x), x + added)


@pytest.mark.parametrize(
    ("places", "dims", "words"),
    [
        ([0, 4], (4,), "places"),
        ([-1, 3], (4,), "places"),
        ([0, 1, 2], (4,), "places"),
        ([[0, 1], [1, 4]], (2, 4), "places"),
        ([0, 3], (1 << 40,), "parser.budget.bytes"),
    ],
)
def test_sparse_tensors_that_cannot_be_filled_up(places, dims, words):
    model = model_of(helper.make_node("Add", ["x", "w"], ["y"]))
    model.graph.sparse_initializer.append(sparse([1, 2], places, dims))
    error = refused(model)
    assert "'w'" in error.desc() and words in error.desc()

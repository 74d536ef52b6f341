"""Mistakes in decorated functions: each is said where it is written, with what to write instead."""

from __future__ import annotations

import re

import pytest

from dovetail.core.errors import DefinitionError, DovetailError, DTypeError, FieldValueError, PluginFailed, ShapeError
from tests.support.mistakes import FILE, run

F = '@op("acme::F@1"{})\ndef f({}):\n    "y = f(x)."\n    return {}\n'


def f(parameters: str = "x", result: str = "x", more: str = "", then: str = "use(f)") -> str:
    """The function with one thing wrong in it, and what is done with it."""
    return F.format(more and ", " + more, parameters, result) + then


# (what is wrong, code, class of the error, words of its text)
AT_THE_DECORATOR = [
    ("no parentheses", '@op\ndef soft(x):\n    "y"\n', "@op does not say which op it is", '@op("namespace::Soft@1")'),
    ("no name", '@op()\ndef f(x):\n    "y"\n', "does not say which op it is", "namespace::"),
    ("a name of two words", '@op("acme::Hard Swish@1")\ndef f(x):\n    "y"\n', "'Hard Swish'", "letters, digits"),
    ("one colon", '@op("acme:Hard@1")\ndef f(x):\n    "y"\n', "'acme:Hard'", '"namespace::Name@version"'),
    ("two versions", '@op("acme::Hard@1@2")\ndef f(x):\n    "y"\n', "version", "'1@2'"),
    ("a namespace of two words", '@op("ac me::Hard@1")\ndef f(x):\n    "y"\n', "namespace", "'ac me'"),
    ("no docstring", '@op("acme::F@1")\ndef f(x):\n    return x\n', "no formula line", "docstring"),
    (
        "on a class",
        '@op("acme::F@1")\nclass F:\n    "y"\n',
        "not from the class F",
        "derived from dovetail.plugins.Plugin",
    ),
    ("async", '@op("acme::F@1")\nasync def f(x):\n    "y"\n', "f, which is a coroutine", "plain function"),
    ("yield", '@op("acme::F@1")\ndef f(x):\n    "y"\n    yield x\n', "f, which is a generator", "plain function"),
    ("a kernel of an unknown format", f(then="f.kernel('f32', formats='nchw')"), "such as 'linear linear -> linear'"),
    ("a kernel of types in a list", f(then="f.kernel(['f32'])"), "types of a kernel cannot be a list of 1", "'f32'"),
    ("a field before the star", f("x, k=2.0"), "input 'k' cannot have the default 2.0", "*, k: float = 2.0"),
    ("a field without type", f("x, *, alpha=1.5"), "field 'alpha' of f has no type", "alpha: float = 1.5"),
    ("a field of no known type", f("x, *, alpha: dict = None"), "cannot have the type dict", "int, float, bool"),
    ("a default of another type", f("x, *, n: int = 1.5"), "cannot have the default 1.5", "int64"),
    ("an input typed as a field", f("x: float"), "input 'x' cannot be float", "after a star"),
    ("an array as annotation", f("x: np.ndarray"), "input 'x' cannot be ndarray", "x: Input(FLOATS)"),
    ("a port without parentheses", f("x: Input"), "input 'x' cannot be Input", "with its parentheses"),
    ("a type of NumPy", f("x: Input(np.float32)"), "Input cannot have the type float32", "DataType.FLOAT"),
    ("a type as text", f('x: Input("f32")'), "Input cannot have the type 'f32'", "DataType.FLOAT"),
    ("an unknown annotation", f('x: "Inputs()"'), "annotations of f cannot be read", "Inputs"),
    ("fields by **", f("x, **fields"), "cannot take **fields", "def f(x, *, alpha: float = 1.0)"),
    ("an input called as a method", f("reference"), "cannot be called 'reference'", "Choose another name"),
    ("an input called as an attribute", f("label"), "cannot have something called 'label'", "base class"),
    ("outputs in a list", f(more='outputs=[Output(like="x")]'), "outputs of an op cannot be a list", 'outputs={"y"'),
    ("an output that is no name", f(more='outputs={"my y": Output(like="x")}'), "'my y'", "is not an identifier"),
    ("like an unknown input", f(more='outputs={"y": Output(like="z")}'), "'y' is like 'z'", "Name an input"),
    ("like by position", f(more='outputs={"y": Output("x")}'), "Output cannot have the type 'x'", 'like="x"'),
    ("infer of two inputs", f(more="infer=lambda x, z: x"), "takes 2 inputs, and the op has 1", "as the function does"),
    ("infer of an unknown field", f(more="infer=lambda x, *, k: x"), "asks for a field 'k'", "fields"),
    ("a kernel of other parameters", f(then="@f.kernel()\ndef k(x):\n    pass"), "k(x)", "inputs, outputs, workspace"),
    (
        "a kernel without parentheses",
        f(then="@f.kernel\ndef k(op, i, o, w, s):\n    pass"),
        "not become a kernel",
        "()",
    ),
    ("a kernel of NumPy's types", f(then='f.kernel("float32 -> float32")'), "'float32'", "Write 'f32' for 'float32'"),
    ("a kernel of unknown formats", f(then='f.kernel(formats="nhwc")'), "'nhwc'", "linear"),
    ("registered without decorator", "def f(x):\n    return x\nregistry.add_op(f)", "the function f", "@op("),
]

WHEN_A_LAYER_IS_MADE = [
    ("infer gives None", f(more="infer=lambda x: None"), DefinitionError, "returned None", "x.like(dims)"),
    ("infer gives dims", f(more="infer=lambda x: [2, 3]"), DefinitionError, "a list of 2", "1 SymbolicTensor"),
    ("infer gives two", f(more="infer=lambda x: [x, x]"), DefinitionError, "a list of 2", "1 SymbolicTensor: y"),
    ("infer asks for shape", f(more="infer=lambda x: x.shape"), PluginFailed, "infer", "dims is what is meant", FILE),
    ("infer raises", f(more='infer=lambda x: {}["k"]'), PluginFailed, "infer of layer 'mine'", "KeyError", FILE),
    ("a quotient", f(more="infer=lambda x: x.like([x.dims[0] / 2, 3])"), ShapeError, "x.0 / 2", "//", "infer", FILE),
    ("int()", f(more="infer=lambda x: x.like([int(x.dims[0]), 3])"), ShapeError, "cannot become an int", FILE),
    ("range()", f(more="infer=lambda x: list(range(x.dims[0]))"), ShapeError, "cannot become an int", FILE),
    ("float()", f(more="infer=lambda x: x.like([float(x.dims[0])])"), ShapeError, "float(x.0)", FILE),
    ("an if", f(more="infer=lambda x: x if x.dims[0] > 2 else x"), ShapeError, "cannot decide an `if`", "select", FILE),
    ("a float as extent", f(more="infer=lambda x: x.like([1.5])"), DTypeError, "1.5 cannot be an extent", FILE),
    (
        "-1 for unknown",
        f(more="infer=lambda x: x.like([-1, 3])"),
        ShapeError,
        "mine",
        "[-1, 3]",
        "acme::F@1",
        "-1 does",
    ),
    ("a negative rest", f(more="infer=lambda x: x.like([x.dims[1] - 4])"), ShapeError, "mine", "[-1]", "negative"),
    (
        "a type of NumPy",
        f(more="infer=lambda x: x.like(dtype=np.int32)"),
        DTypeError,
        "cannot take the type int32",
        FILE,
    ),
    ("a missing field", f("x, *, alpha: float"), FieldValueError, "lacks required fields", "alpha"),
    (
        "a misspelt field",
        f("x, *, alpha: float = 1.0", then='use(f, {"alphas": 2.0})'),
        DovetailError,
        "alphas",
        "'alpha'",
    ),
    (
        "a text for a number",
        f("x, *, a: float = 1.0", then='use(f, {"a": "two"})'),
        FieldValueError,
        "a = 'two'",
        "str",
    ),
    (
        "a tensor for a list",
        f(then="registry.add_op(f)\nnetwork.add_plugin('acme::F', input((2,), trt.float32))"),
        DTypeError,
        "[x]",
    ),
    ("the function for its name", f(then="network.add_plugin(f, [])"), DTypeError, 'its id, "acme::F@1"'),
    (
        "pairs for fields",
        f(then="registry.add_op(f)\nnetwork.add_plugin('acme::F', [], 3)"),
        DTypeError,
        "int",
        "a dict",
    ),
    ("another input type", f("x: Input(trt.int32)"), DTypeError, "cannot take FLOAT on input 'x'", "INT32"),
]

WHEN_IT_RUNS = [
    ("nothing is returned", f(result="None"), PluginFailed, "f of layer 'mine'", "it returned None", "array of 'y'"),
    ("complex numbers", f(result="x * 1j"), PluginFailed, "complex64", "FLOAT", "y.astype(np.float32)"),
    ("a wider type", f(result="x.astype(np.float64)"), PluginFailed, "float64", "nothing is converted silently"),
    ("truth values", f(result="x > 0"), PluginFailed, "it returned bool for output 'y', which is FLOAT"),
    ("integers", f(result="np.int32([[1, 2, 3], [4, 5, 6]])"), PluginFailed, "it returned int32 for output 'y'"),
    ("a text", f(result="'abc'"), PluginFailed, "output 'y'", "np.asarray(y, np.float32)"),
    ("a list", f(result="x.tolist()"), PluginFailed, "a list of 2", "np.asarray(y, np.float32)"),
    ("an object", f(result="object()"), PluginFailed, "object for output 'y'"),
    ("another shape", f(result="x.sum(0)"), PluginFailed, "wrong dims", "[3]", "[2, 3]", "Without an infer"),
    ("two results", f(result="(x, x)"), PluginFailed, "it returned a tuple of 2", "array of 'y'"),
    (
        "one result for two outputs",
        f(more='outputs={"a": Output(like="x"), "b": Output(like="x")}, infer=lambda x: [x, x]'),
        PluginFailed,
        "Return a tuple of arrays: a, b",
    ),
    ("an exception", f(result="x @ x"), PluginFailed, "f of layer 'mine'", "ValueError", f"{FILE}:4"),
    ("inputs are written", f(result="np.add(x, 1, out=x)"), PluginFailed, "read-only", f"{FILE}:4"),
    (
        "a kernel that returns",
        f(then="@f.kernel()\ndef k(op, inputs, outputs, workspace, stream):\n    return inputs[0]\nuse(f)"),
        PluginFailed,
        "acme::F@1#python failed in k of layer 'mine'",
        "a kernel writes into its outputs",
        "outputs[0][...] = value",
    ),
    (
        "a kernel that writes nothing",
        f(then="@f.kernel()\ndef k(op, inputs, outputs, workspace, stream):\n    y = inputs[0] + 1\nuse(f)"),
        DovetailError,
        "unwritten",
        "mine",
    ),
]


def said(code: str, kind: type[BaseException]) -> str:
    with pytest.raises(kind) as error:
        run(code)
    text = str(error.value)
    if error.value.__cause__ is not None:
        assert isinstance(error.value, DovetailError)
    return text


def named(table):
    return [pytest.param(*entry[1:2], entry[2:], id=entry[0]) for entry in table]


@pytest.mark.parametrize(("code", "words"), named(AT_THE_DECORATOR))
def test_it_is_said_when_the_function_is_decorated(code, words):
    text = said(code, DefinitionError)
    assert all(word in text for word in words), text


@pytest.mark.parametrize(("code", "words"), named(WHEN_A_LAYER_IS_MADE))
def test_it_is_said_when_a_layer_is_made(code, words):
    kind, *words = words
    text = said(code.replace("use(f)", "use(f, shape=(-1, 3))"), kind)
    assert all(word in text for word in words), text


@pytest.mark.parametrize(("code", "words"), named(WHEN_IT_RUNS))
def test_it_is_said_when_it_is_built(code, words):
    kind, *words = words
    text = said(code, kind)
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    "result",
    ["x.astype(np.float16)", "np.float32(2) * x", "np.asfortranarray(x)", "[x]", "(x,)", "x[...]"],
)
def test_the_same_kind_without_loss_is_fine(result):
    assert run(f(result=result, then="result = use(f)")).shape == (2, 3)


@pytest.mark.parametrize("number", ["2", "2.5", "True"])
def test_numbers_of_python_take_the_type_of_the_output(number):
    code = f(result=number, more="infer=lambda x: x.like([])", then="result = use(f)")
    assert float(run(code)) == float(eval(number))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("place", ["infer", "run"])
def test_what_ends_the_program_stays_what_it_is(kind, place):
    stop = f"\ndef stop(*x):\n    raise {kind.__name__}\n"
    code = stop + (f(result="stop()") if place == "run" else f(more="infer=stop"))
    with pytest.raises(kind) as error:
        run(code)
    assert re.search(r"in stop\b", "".join(map(str, error.traceback))) or error.traceback[-1].name == "stop"

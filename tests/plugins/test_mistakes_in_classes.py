"""Mistakes in Plugin classes: each is said where it is written, with what to write instead."""

from __future__ import annotations

import textwrap

import pytest

from dovetail.core.errors import DefinitionError, DovetailError, DTypeError, NoImplementation, PluginFailed
from tests.support.mistakes import FILE, run

PORTS = "x = Input(FLOATS)\ny = Output(like='x')\n"
COPY = "def enqueue(self, inputs, outputs, workspace, stream):\n    outputs[0][...] = inputs[0]\n"


def cls(body: str, then: str = "use(A)", ports: str = PORTS, doc: str = '"y = x."') -> str:
    return "class A(Plugin):\n" + textwrap.indent(f"{doc}\n{ports}{body}\n", "    ") + then


def method(name: str, result: str = "pass", then: str = "use(A)", more: str = COPY) -> str:
    return cls(f"def {name}:\n    {result}\n{more}", then)


AT_THE_CLASS = [
    ("no output", cls("", ports="x = Input()\n"), "has no output", "y = Output(like='x')"),
    ("no docstring", cls("", doc=""), "no formula line", "docstring"),
    ("a port as annotation", cls("", ports="x: Input\ny = Output()\n"), "as an annotation", "x = Input(...)"),
    (
        "a port without parentheses",
        cls("", ports="x = Input\ny = Output()\n"),
        "'x'",
        "is the class Input",
        "x = Input(",
    ),
    ("a type of NumPy", cls("", ports="x = Input(np.int64)\ny = Output()\n"), "type int64", "DataType.INT64"),
    ("like by position", cls("", ports="x = Input()\ny = Output('x')\n"), "type 'x'", 'like="x"'),
    ("like an unknown input", cls("", ports="x = Input()\ny = Output(like='z')\n"), "'y' is like 'z'", "inputs"),
    ("a field without type", cls("alpha = field(1.0)"), "field 'alpha' of A has no type", "alpha: float = 1.0"),
    ("a field of no known type", cls("alpha: list = None"), "type list", "Floats"),
    ("a default out of range", cls("n: int = field(5, high=3)"), "default 5", "..3"),
    ("a name that is taken", cls("label: int = 1"), "something called 'label'", "base class"),
    ("a port and a field", cls("", ports="x: int = Input()\ny = Output()\n"), "a port and a field called 'x'"),
    ("infer of other inputs", method("infer(self, a)"), "infer(self, a)", "def infer(self, x)"),
    ("reference of two inputs", method("reference(self, x, z)"), "(self, x, z)", "def reference(self, x)"),
    ("a method without self", method("reference(x)"), "reference(x)", "def reference(self, x)"),
    ("enqueue of two", method("enqueue(self, a, b)", more=""), "enqueue(self, a, b)", "outputs, workspace, stream"),
    ("a workspace of one", method("get_workspace_size(self, a)"), "get_workspace_size(self, a)", "inputs, outputs"),
    ("configure of none", method("configure(self)"), "configure(self)", "inputs, outputs"),
    ("__init__ of nothing", method("__init__(self)"), "__init__(self)", "super().__init__(layer_name, **fields)"),
    ("a kernel without parentheses", cls("@kernel\n" + COPY), "would not become a kernel", "@kernel()"),
    ("a kernel of NumPy's types", cls("@kernel('int32 -> int32')\n" + COPY), "'int32'", "'i32'"),
    ("a kernel of unknown formats", cls("@kernel(formats='nchw')\n" + COPY), "'nchw'", "linear"),
    ("kernels alike", cls(COPY + "@kernel()\n" + COPY.replace("enqueue", "other")), "two kernels", "enqueue", "other"),
    ("a device as text", cls("device = 'gpu'\n" + COPY), "'gpu'", "DeviceType.GPU"),
    ("a device as a number", cls("device = 0\n" + COPY), "cannot have a kernel on 0", "DeviceType.GPU"),
    ("a number as infer", cls("infer = 5\n" + COPY), "infer = 5, which is not a method", "def infer(self, ...)"),
    ("a number as enqueue", cls("enqueue = 5"), "enqueue = 5, which is not a method", "def enqueue(self, ...)"),
    ("a number as configure", cls("configure = 5\n" + COPY), "configure = 5, which is not a method"),
    (
        "an operator as text",
        cls("onnx = 'Hard'"),
        "onnx that is not a tuple",
        "got         'Hard'",
        'onnx_op("Hard"),)',
    ),
    ("operators as texts", cls("onnx = ['Hard']"), "onnx that is not a tuple", "a list of 1", 'onnx_op("A"),)'),
    ("one operator alone", cls("onnx = onnx_op('Hard')"), "onnx that is not a tuple", 'onnx_op("A"),)'),
    ("a version of two words", cls("version = '1 beta'"), "'1 beta'", "version"),
    ("no namespace at all", cls("namespace = None"), "namespace", "None"),
    ("a name of two words", cls("name = 'Hard Swish'"), "'Hard Swish'", "letters"),
]

LATER = [
    ("nothing computes", cls(""), NoImplementation, "A@1 'mine'", "No implementation of A@1 is registered"),
    (
        "an output of no type",
        cls(COPY, ports="x = Input()\ny = Output()\n"),
        DefinitionError,
        "what 'y' is",
        "def infer",
    ),
    ("infer raises", method("infer(self, x)", "return 1 / 0"), PluginFailed, "infer of layer 'mine'", "Zero", FILE),
    ("infer gives None", method("infer(self, x)"), DefinitionError, "infer of A@1 'mine' returned None", "x.like("),
    (
        "infer gives a negative",
        method("infer(self, x)", "return x.like([-2])"),
        DovetailError,
        "'mine'",
        "[-2]",
        "infer",
    ),
    (
        "infer gives another type",
        cls("def infer(self, x):\n    return x.like()\n" + COPY, ports="x = Input()\ny = Output(DataType.INT32)\n"),
        DTypeError,
        "cannot give FLOAT on output 'y'",
        "INT32",
    ),
    (
        "an unknown size",
        method("infer(self, x)", "return x.like([self.declare_size('n', 1, 2)])"),
        DefinitionError,
        "by 'n'",
        "n = Output(DataType.INT64, size=True)",
    ),
    (
        "__init__ raises",
        method("__init__(self, layer='', **fields)", "raise OSError('no file')"),
        PluginFailed,
        "A@1 failed in __init__ of layer 'mine'",
        "no file",
        FILE,
    ),
    (
        "weight_dims raises",
        cls(
            "def weight_dims(self, x, w):\n    return {'w': (x.units,)}\n",
            "use(A, {'w': np.ones(3, np.float32)})",
            "x = Input()\nw = Weights(FLOATS)\ny = Output(like='x')\n",
        ),
        PluginFailed,
        "weight_dims of layer 'mine'",
        "units",
        FILE,
    ),
    (
        "weight_dims gives dims",
        cls(
            "def weight_dims(self, x, w):\n    return (3,)\n",
            "use(A, {'w': np.ones(3, np.float32)})",
            "x = Input()\nw = Weights(FLOATS)\ny = Output(like='x')\n",
        ),
        DefinitionError,
        "weight_dims of A@1 'mine' returned a tuple",
        "by name of the port",
    ),
    *[
        (
            f"{name} raises",
            method(f"{name}(self, a, b)", "raise KeyError('lost')"),
            PluginFailed,
            f"A@1#python failed in {name} of layer 'mine'",
            "lost",
            f"{FILE}:6",
        )
        for name in ("configure", "get_workspace_size", "shape_changed")
    ],
    *[
        (
            f"a workspace of {size}",
            method("get_workspace_size(self, a, b)", f"return {size}"),
            PluginFailed,
            "get_workspace_size of layer 'mine'",
            f"it returned {size}",
            "bytes as an int",
            FILE,
        )
        for size in ("None", "-1", "1.5", "True")
    ],
    (
        "enqueue raises",
        method("enqueue(self, inputs, outputs, workspace, stream)", "1 / 0", more=""),
        PluginFailed,
        FILE,
    ),
    (
        "enqueue returns",
        method("enqueue(self, inputs, outputs, workspace, stream)", "return inputs[0]", more=""),
        PluginFailed,
        "enqueue of layer 'mine'",
        "it returned an array of float32 [2, 3]",
        "writes into its outputs",
    ),
    (
        "enqueue makes another array",
        method("enqueue(self, inputs, outputs, workspace, stream)", "outputs[0] = inputs[0]", more=""),
        PluginFailed,
        "does not support item assignment",
        f"{FILE}:6",
    ),
    (
        "enqueue writes into an input",
        method("enqueue(self, inputs, outputs, workspace, stream)", "inputs[0][...] = 1", more=""),
        PluginFailed,
        "read-only",
        f"{FILE}:6",
    ),
    (
        "more than the bound",
        cls(
            "def infer(self, x):\n    n = self.declare_size('n', 1, 2)\n    return x.like([n]), x.like((), trt.int64)\n"
            "def reference(self, x):\n    return x.reshape(-1), np.int64(6)\n",
            ports="x = Input()\ny = Output(like='x')\nn = Output(trt.int64, size=True)\n",
        ),
        PluginFailed,
        "[6]",
        "at most",
        "[2]",
    ),
    (
        "a reference of another kind",
        method("reference(self, x)", "return x > 0", more=""),
        PluginFailed,
        "it returned bool for output 'y', which is FLOAT",
        FILE,
    ),
    (
        "one extent for dims",
        method("infer(self, x)", "return x.like(6)"),
        DTypeError,
        "the dims 6",
        "infer of A@1",
        "[n]",
    ),
    (
        "a workspace beyond 64 bits",
        method("get_workspace_size(self, inputs, outputs)", "return 2**64"),
        PluginFailed,
        "get_workspace_size of layer 'mine'",
        "it returned 18446744073709551616",
    ),
    ("an input of another type", cls(COPY, ports="x = Input(trt.int32)\ny = Output(like='x')\n"), DTypeError, "INT32"),
    ("a field that is not there", cls(COPY, "use(A, {'alpha': 1.0})"), DovetailError, "'alpha'", "A@1 'mine'"),
]


def named(table):
    return [pytest.param(entry[1], entry[2:], id=entry[0]) for entry in table]


@pytest.mark.parametrize(("code", "words"), named(AT_THE_CLASS))
def test_it_is_said_when_the_class_is_made(code, words):
    with pytest.raises(DefinitionError) as error:
        run(code.replace("use(A)", ""))
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(("code", "words"), named(LATER))
def test_it_is_said_when_it_shows(code, words):
    kind, *words = words
    with pytest.raises(kind) as error:
        run(code)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "def references(self, x):\n    return x\n",
            "A.references at author.py:1 is never called; is reference meant",
        ),
        ("def get_workspace(self, a, b):\n    return 1\n", "is get_workspace_size meant"),
        ("def workspace(self, inputs, outputs):\n    return 1\n", "A.workspace .*; is get_workspace_size meant"),
        ("alpha = 2.0\n", "write `alpha: float = 2.0`"),
    ],
)
def test_what_looks_misspelt_is_a_warning(body, words):
    with pytest.warns(UserWarning, match=words):
        run(cls(body, ""))


def test_constants_and_helpers_are_no_mistakes(recwarn):
    run(cls("LIMIT = 3\n_scale = 2.0\ndef half(self, n):\n    return n // 2\n" + COPY))
    assert not recwarn.list


@pytest.mark.parametrize("name", ["infer(self, x)", "enqueue(self, inputs, outputs, workspace, stream)"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_stays_what_it_is(name, kind):
    with pytest.raises(kind):
        run(method(name, f"raise {kind.__name__}", more="" if "enqueue" in name else COPY))


def test_a_reference_may_be_wider_than_its_output():
    code = cls("def reference(self, x):\n    return np.float64(2) / 3 * x\n", "result = use(A)")
    assert run(code).tolist() == [[pytest.approx(2 / 3)] * 3] * 2

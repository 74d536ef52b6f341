"""Mistakes in TensorRT's plugin classes and creators: each is said where it is written, with what to write instead."""

from __future__ import annotations

import textwrap

import pytest

import dovetail as trt
from dovetail.core.errors import DefinitionError, DTypeError, FieldValueError, PluginFailed, ShapeError
from tests.support.mistakes import FILE, Author, run

BODY = {
    "get_output_dimensions(self, index, inputs, builder)": "return inputs[0]",
    "enqueue(self, in_descs, out_descs, inputs, outputs, space, stream)": "outputs[0].array[:] = inputs[0].array + 1",
}
NAMES = 'plugin_type, plugin_namespace = "Plus", "mine"\n'


def cls(changes=None, names: str = NAMES, then: str = "use_v2(Plus())", more: str = "") -> str:
    """A class with other methods: signature -> body, None to leave one out."""
    methods = {k: v for k, v in {**BODY, **(changes or {})}.items() if v is not None}
    text = "".join(f"def {signature}:\n    {body}\n" for signature, body in methods.items())
    return "class Plus(trt.IPluginV2DynamicExt):\n" + textwrap.indent(names + text, "    ") + more + then


CREATOR = """
class PlusCreator(trt.IPluginCreator):
    name, plugin_namespace = "Plus", "mine"
    field_names = trt.PluginFieldCollection([trt.PluginField("k", None, trt.PluginFieldType.INT32)])
    def create_plugin(self, name, field_collection):
        return Plus(field_collection)
    def deserialize_plugin(self, name, data):
        return Plus([trt.PluginField("k", np.int32([int(data)]))])
"""
CREATED = """
assert registry.register_creator(PlusCreator())
fields = trt.PluginFieldCollection([trt.PluginField("k", np.int32([4]))])
use_v2(registry.get_plugin_creator("Plus", "1", "mine").create_plugin("mine", fields))
"""
INIT = {
    "__init__(self, fields=())": "self.k = int(fields[0].data[0]) if fields else 0",
    "serialize(self)": "return str(self.k)",
}


def creator(old: str = "", new: str = "", changes=None, then: str = CREATED) -> str:
    """The class with a creator, whose text has `old` replaced by `new`."""
    assert old in CREATOR
    return cls({**INIT, **(changes or {})}, more=CREATOR.replace(old, new), then=then)


DIMS, ENQUEUE = BODY

AT_THE_CLASS = [
    (
        "C++'s names",
        cls({"getOutputDimensions(self, i, d, e)": "pass"}, then="").replace(DIMS, "_d(self)"),
        "Call it get_",
    ),
    ("enqueue of three", cls({ENQUEUE: None, "enqueue(self, i, o, s)": "pass"}, then=""), "enqueue", "in", FILE),
    (
        "supports of five",
        cls({"supports_format_combination(self, p, a, b, c)": "pass"}, then=""),
        "(self, pos, in_out",
        FILE,
    ),
    (
        "a creator of one",
        creator("name, field_collection)", "name)", then=""),
        "create_plugin",
        "field_collection",
        FILE,
    ),
    (
        "a creator in C++'s names",
        creator("def create_plugin", "def createPlugin", then=""),
        "Call it create_plugin",
        FILE,
    ),
]

WHEN_GIVEN = [
    (
        "no plugin_type",
        cls(names=""),
        DefinitionError,
        "Plus does not say its plugin_type",
        'self.plugin_type = "Plus"',
    ),
    ("registered without one", cls(names="", then="registry.add_op(Plus)"), DefinitionError, 'plugin_type = "Plus"'),
    ("no version", cls(names=NAMES + "plugin_version = None\n"), DefinitionError, "plugin_version", "None"),
    ("no namespace", cls(names=NAMES + "plugin_namespace = None\n"), DefinitionError, "plugin_namespace", "None"),
    ("no outputs", cls(names=NAMES + "num_outputs = 0\n"), DefinitionError, "num_outputs", "from 1 on"),
    ("a billion outputs", cls(names=NAMES + "num_outputs = 10**9\n"), DefinitionError, "more than 4096 outputs", FILE),
    ("a NUL", cls(names=NAMES + "plugin_type = 'a' + chr(0)\n"), DefinitionError, "plugin_type that is not valid"),
    ("a surrogate", cls(names=NAMES + "plugin_namespace = chr(0xD800)\n"), DefinitionError, "plugin_namespace", FILE),
    ("outputs as a method", cls({"num_outputs(self)": "return 1"}), DefinitionError, "num_outputs", "a number"),
    (
        "no dims",
        cls({DIMS: None, "get_output_dims(self, a, b, c)": "pass"}),
        DefinitionError,
        "near",
        "get_output_dims",
    ),
    ("no enqueue", cls({ENQUEUE: None}), DefinitionError, "does not have enqueue", "def enqueue(self, input_desc"),
    ("dims are None", cls({DIMS: "return None"}), DefinitionError, "mine::Plus@1", "returned None", "inputs[0]"),
    ("dims are a number", cls({DIMS: "return 3"}), DefinitionError, "get_output_dimensions", "returned 3"),
    ("dims are negative", cls({DIMS: "return [-1, 3]"}), ShapeError, "mine::Plus@1 '", "[-1, 3]", "does not mean"),
    ("dims by a quotient", cls({DIMS: "return [inputs[0][0] / 2]"}), ShapeError, "2 / 2", "//", "get_output_dim", FILE),
    ("dims raise", cls({DIMS: "return inputs[1]"}), PluginFailed, "get_output_dimensions", "IndexError", FILE),
    (
        "a type of NumPy",
        cls({"get_output_datatype(self, i, t)": "return np.float32"}),
        DTypeError,
        "class float32",
        "trt.",
    ),
    ("no type", cls({"get_output_datatype(self, i, t)": "pass"}), DTypeError, "returned None", "input_types[0]"),
    (
        "the type raises",
        cls({"get_output_datatype(self, i, t)": "return t[4]"}),
        PluginFailed,
        "get_output_datatype",
        FILE,
    ),
    ("clone is None", cls({"clone(self)": "pass"}), PluginFailed, "clone of mine::Plus@1 returned None", "new object"),
    ("clone raises", cls({"clone(self)": "1 / 0"}), PluginFailed, "failed in clone", "ZeroDivision", FILE),
    (
        "serialize is None",
        cls({"serialize(self)": "pass"}),
        PluginFailed,
        "serialize of mine::Plus@1 returned None",
        "bytes",
    ),
    ("serialize is a number", cls({"serialize(self)": "return 5"}), PluginFailed, "returned 5"),
    ("serialize raises", cls({"serialize(self)": "1 / 0"}), PluginFailed, "failed in serialize", "ZeroDivision", FILE),
    ("a class as object", cls(then="network.add_plugin_v2([input((2,), trt.float32)], Plus)"), DTypeError, "Plus(...)"),
    (
        "something else",
        "network.add_plugin_v2([input((2,), trt.float32)], object())",
        DTypeError,
        "creator.create_plugin",
    ),
    ("the name of another", cls(names='plugin_type = "Activation"\n'), DefinitionError, "Activation@1 is registered"),
    (
        "changed after it was made",
        cls({"__init__(self, k: int = 1)": "self.k = k"}, then="registry.add_op(Plus)\np = Plus()\np.k = 5\nuse_v2(p)"),
        DefinitionError,
        "k of mine::Plus@1 was changed",
        "5",
        "1",
    ),
    (
        "parameters without types",
        cls({"__init__(self, k=1)": "self.k = k"}, then="registry.add_op(Plus)"),
        DefinitionError,
        "parameter 'k' of Plus has no type",
        "IPluginCreator",
    ),
]

WHEN_BUILT = [
    *[
        (
            f"{signature.partition('(')[0]} raises",
            cls({signature: "raise KeyError('lost')"}),
            signature.partition("(")[0],
        )
        for signature in (
            "supports_format_combination(self, pos, in_out, n)",
            "configure_plugin(self, a, b)",
            "get_workspace_size(self, a, b)",
            "initialize(self)",
            "attach_to_context(self, a, b, c)",
            ENQUEUE,
        )
    ],
    (
        "no answer about formats",
        cls({"supports_format_combination(self, p, d, n)": "pass"}),
        "returned None",
        "True or",
    ),
    ("no workspace", cls({"get_workspace_size(self, a, b)": "pass"}), "returned None", "bytes as an int"),
    ("a code", cls({ENQUEUE: "return 7"}), "it returned 7", "0 or None is success"),
    ("an array", cls({ENQUEUE: "return inputs[0].array"}), "it returned an array", "Outputs are written in place"),
    ("True", cls({ENQUEUE: "return True"}), "it returned True"),
    ("initialize says 1", cls({"initialize(self)": "return 1"}), "failed in initialize", "returned 1"),
]

CREATORS = [
    (
        "no name",
        creator('"Plus", "mine"', '"", "mine"'),
        DefinitionError,
        "does not say its plugin's name",
        "self.name",
    ),
    (
        "no version",
        creator("    field_names", "    plugin_version = None\n    field_names"),
        DefinitionError,
        "version",
    ),
    (
        "fields are None",
        cls(INIT, more=CREATOR, then="PlusCreator.field_names = None" + CREATED),
        DefinitionError,
        "None",
    ),
    (
        "fields are texts",
        cls(INIT, more=CREATOR, then="PlusCreator.field_names = ['k']" + CREATED),
        DefinitionError,
        "'k'",
    ),
    ("a field is missing", creator('"k", None', '"n", None'), FieldValueError, "'k'", "n"),
    ("no create_plugin", creator("def create_plugin", "def _c"), DefinitionError, "does not have create_plugin"),
    ("it gives None", creator("return Plus(field_collection)", "pass"), PluginFailed, "create_plugin returned", "None"),
    (
        "it raises",
        creator("return Plus(field_c", "1 / 0; (field_c"),
        PluginFailed,
        "create_plugin of layer 'mine'",
        FILE,
    ),
    ("deserialize gives None", creator("return Plus([", "_ = (["), PluginFailed, "deserialize_plugin returned", "None"),
    (
        "deserialize raises",
        creator("int(data)", "data[99]"),
        PluginFailed,
        "failed in deserialize_plugin",
        "Index",
        FILE,
    ),
    (
        "deserialize forgets",
        creator("int(data)", "0"),
        PluginFailed,
        "does not make the same mine::Plus@1 again",
        "b'4'",
    ),
    ("clone forgets", creator(changes={"clone(self)": "return Plus()"}), PluginFailed, "clone of mine::Plus@1 forgets"),
    (
        "clone returns the object",
        creator(changes={"clone(self)": "return self"}),
        PluginFailed,
        "clone of mine::Plus@1 returned the object itself",
        "Return a new object",
    ),
    (
        "another name",
        creator(
            'name, plugin_namespace = "Plus"',
            'name, plugin_namespace = "Plud"',
            then=CREATED.replace('"Plus", "1"', '"Plud", "1"'),
        ),
        PluginFailed,
        "another name",
        "Plud@1",
        "Plus@1",
    ),
    (
        "a dict of fields",
        creator(then=CREATED.replace('"mine", fields', '"mine", {"k": 4}')),
        DTypeError,
        "PluginField(",
    ),
    (
        "a class",
        creator(then="registry.register_creator(PlusCreator)"),
        DefinitionError,
        "register_creator cannot",
        "PlusCreator()",
    ),
    ("a plugin", cls(names="", then="registry.register_creator(Plus())"), DefinitionError, "plugin_type"),
    (
        "no serialize",
        creator(changes={"serialize(self)": None}, then="registry.register_creator(PlusCreator())\nuse_v2(Plus())"),
        DefinitionError,
        "Plus does not have serialize",
        "PlusCreator.deserialize_plugin",
    ),
]


def named(table):
    return [pytest.param(entry[1], entry[2:], id=entry[0]) for entry in table]


def check(code, kind, words):
    with pytest.raises(kind) as error:
        run(code)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(("code", "words"), named(AT_THE_CLASS))
def test_it_is_said_when_the_class_is_made(code, words):
    check(code, DefinitionError, words)


@pytest.mark.parametrize(("code", "words"), named(WHEN_GIVEN))
def test_it_is_said_when_an_object_is_given(code, words):
    check(code, words[0], words[1:])


@pytest.mark.parametrize(("code", "words"), named(WHEN_BUILT))
def test_it_is_said_with_plugin_layer_and_method_when_it_is_built(code, words):
    check(code, PluginFailed, [*words, "mine::Plus@1#python failed in", "Layer* 0", FILE])


@pytest.mark.parametrize(("code", "words"), named(CREATORS))
def test_it_is_said_of_a_creator(code, words):
    check(code, words[0], words[1:])


@pytest.mark.parametrize("method", ["clone", "configure_plugin", "enqueue", "initialize"])
def test_an_exception_that_was_raised_before_names_where_it_is_raised_now(method):
    again = ValueError("again")

    def fails(*arguments):
        raise again

    body = {"plugin_type": "Again", "get_output_dimensions": lambda self, index, inputs, builder: inputs[0]}
    body["enqueue"] = lambda self, in_descs, out_descs, inputs, outputs, space, stream: None
    for name in (
        "serialize",
        "configure_plugin",
        "serialize",
        method,
    ):  # serialize is called by Python, others natively
        made = type("Again", (trt.IPluginV2DynamicExt,), body | {name: fails})()
        author = Author()
        with pytest.raises(PluginFailed, match=f"failed in {name}"):
            author.use_v2(made)
        author.forget()


def test_a_misspelt_method_is_a_warning():
    with pytest.warns(UserWarning, match="get_workspace_sizes at author.py:7 .* which has get_workspace_size;"):
        run(cls({"get_workspace_sizes(self, a, b)": "pass"}, then=""))


@pytest.mark.parametrize(
    "signature", [DIMS, ENQUEUE, "serialize(self)", "clone(self)", "get_workspace_size(self, a, b)"]
)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_stays_what_it_is(signature, kind):
    with pytest.raises(kind):
        run(cls({signature: f"raise {kind.__name__}"}))

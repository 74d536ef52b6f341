"""Plugin classes: what a well-formed one becomes, and what each mistake is told."""

from __future__ import annotations

import functools
from enum import IntEnum

import numpy as np
import pytest

from dovetail.core.contract import REQUIRED, SymbolicTensor
from dovetail.core.errors import DefinitionError, DTypeError, FieldValueError
from dovetail.core.expr import DimsExprs
from dovetail.core.types import FLOATS, DataType, FieldType
from dovetail.plugins import Floats, Input, Ints, Output, Plugin, Tensor, Weights, field


class Corner(IntEnum):
    ROUND = 0
    SHARP = 1


class Everything(Plugin):
    """y = x, with one field of each type."""

    namespace = "acme"
    version = "3"
    x = Input(FLOATS, doc="The data.")
    w = Weights(FLOATS, optional=True)
    y = Output(like="x")
    whole: int
    real: float = field(0.5, low=0, high=1, doc="A share.")
    flag: bool = True
    corner: Corner = Corner.SHARP
    label_text: str = "none"
    extents: Ints = (1, 2)
    factors: Floats = field((), max_length=3)
    table: Tensor = None

    def infer(self, x, w):
        return x.like()

    def reference(self, x, w):
        return x * self.real


def tensor(*dims, dtype=DataType.FLOAT):
    return SymbolicTensor(DimsExprs(dims), dtype)


def test_identity_doc_and_place():
    spec = Everything.dovetail_spec
    assert (spec.id, spec.doc) == ("acme::Everything@3", "y = x, with one field of each type.")
    name, _, line = spec.where.rpartition(":")
    assert name.endswith("test_plugin.py")
    with open(__file__) as source:
        assert source.read().splitlines()[int(line) - 1].startswith("class Everything")


def test_fields_have_wire_types_defaults_and_ranges():
    fields = {f.name: f for f in Everything.dovetail_spec.fields}
    wires = {name: (f.wire.name, f.default) for name, f in fields.items()}
    assert wires == {
        "whole": ("INT64", REQUIRED),
        "real": ("FLOAT64", 0.5),
        "flag": ("INT32", True),
        "corner": ("INT32", Corner.SHARP),
        "label_text": ("CHAR", "none"),
        "extents": ("INT64", (1, 2)),
        "factors": ("FLOAT64", ()),
        "table": ("TENSOR", None),
    }
    assert (fields["real"].low, fields["real"].high, fields["real"].doc) == (0, 1, "A share.")
    assert (fields["extents"].max_length, fields["factors"].max_length) == (8, 3)
    assert fields["corner"].enum is Corner and fields["flag"].is_bool


def test_ports_in_the_order_of_the_class():
    spec = Everything.dovetail_spec
    assert [(p.name, p.weights, p.optional) for p in spec.inputs] == [("x", False, False), ("w", True, True)]
    assert [(p.name, p.like) for p in spec.outputs] == [("y", "x")]


def test_values_are_attributes_of_the_object():
    plugin = Everything(whole=3, corner=0)
    assert (plugin.whole, plugin.corner, plugin.real, plugin.table) == (3, Corner.ROUND, 0.5, None)


def test_the_spec_makes_ops_that_infer():
    op = Everything.dovetail_spec.make("there", {"whole": 1})
    (y,) = op.infer([tensor(2, 3, dtype=DataType.HALF)])
    assert (y.dims.known(), y.dtype) == ((2, 3), DataType.HALF)


def test_the_reference_takes_values_and_arrays():
    assert Everything.dovetail_spec.reference({"whole": 1, "real": 0.25}, np.array([4.0])).tolist() == [1]


def test_a_missing_field_is_named_with_its_meaning():
    with pytest.raises(FieldValueError, match="acme::Everything@3 'there' needs a value for whole"):
        Everything.dovetail_spec.make("there", {})


def test_an_unknown_field_is_named_with_those_known():
    with pytest.raises(FieldValueError, match="no field 'wide'") as error:
        Everything(whole=1, wide=2)
    assert "whole, real" in str(error.value)


def test_an_input_of_another_type_is_refused():
    op = Everything.dovetail_spec.make("there", {"whole": 1})
    with pytest.raises(DTypeError, match="cannot take INT32 on input 'x'"):
        op.infer([tensor(2, dtype=DataType.INT32)])


def test_a_missing_input_is_named():
    with pytest.raises(DefinitionError, match="lacks its input 'x'"):
        Everything.dovetail_spec.make("there", {"whole": 1}).infer([None])


def test_infer_may_be_left_out_where_dims_stay():
    class Twice(Plugin):
        """y = 2 x."""

        x = Input(FLOATS)
        y = Output(like="x")

    (y,) = Twice.dovetail_spec.make("", {}).infer([tensor(4)])
    assert y.dims.known() == (4,)


def test_several_outputs_and_any_number_of_inputs():
    class Extremes(Plugin):
        """low, high = min and max over all inputs."""

        xs = Input(FLOATS, variadic=True)
        low = Output(FLOATS)
        high = Output(FLOATS)

        def infer(self, xs):
            return xs[0].like(), xs[0].like()

        def reference(self, xs):
            return np.minimum.reduce(xs), np.maximum.reduce(xs)

    spec = Extremes.dovetail_spec
    assert len(spec.make("", {}).infer([tensor(2)] * 3)) == 2
    low, high = spec.reference({}, np.array([1, 5]), np.array([3, 2]))
    assert (low.tolist(), high.tolist()) == ([1, 2], [3, 5])


def test_infer_that_returns_something_else_is_named():
    class Wrong(Plugin):
        """y = x."""

        x = Input()
        y = Output()

        def infer(self, x):
            return 3

    with pytest.raises(DefinitionError, match="infer of Wrong@1 returned 3"):
        Wrong.dovetail_spec.make("", {}).infer([tensor(1)])


def test_a_base_class_lends_ports_fields_and_spellings():
    class Base(Plugin, abstract=True):
        x = Input(FLOATS)
        y = Output(like="x")
        factor: float = 2.0

    class Times(Base):
        """y = factor x."""

    assert not hasattr(Base, "dovetail_spec")
    assert [f.name for f in Times.dovetail_spec.fields] == ["factor"]


def test_a_front_is_made_for_an_op_without_a_namespace():
    class SharpCorner(Plugin):
        """y = x."""

        x = Input(FLOATS)
        w = Weights(FLOATS, optional=True)
        y = Output(like="x")
        size: int = 1

    calls = []

    class Recorder:
        def add_plugin(self, *args, **kwargs):
            calls.append((args, kwargs))

    SharpCorner.dovetail_spec.add_methods["add_sharp_corner"](Recorder(), "tensor", size=3)
    assert calls == [(("SharpCorner", ["tensor"], {"size": 3}), {"version": "1"})]
    assert not Everything.dovetail_spec.add_methods


@pytest.mark.parametrize(("given", "wanted"), [([], ["x"]), ([["a", "b"]], ["x", "a", "b"])])
def test_an_add_method_does_without_optional_inputs(given, wanted):
    class Several(Plugin):
        """y = x."""

        x = Input(FLOATS)
        more = Input(FLOATS, variadic=True, optional=True)
        y = Output(like="x")

    class Recorder:
        def add_plugin(self, name, inputs, values, version):
            self.inputs = inputs

    network = Recorder()
    Several.dovetail_spec.add_methods["add_several"](network, "x", *given)
    assert network.inputs == wanted


def refuse(**body):
    """The class statement with this body raises; its text."""
    body = {"__doc__": "y = x.", "x": Input(FLOATS), "y": Output(like="x"), **body}
    with pytest.raises(DefinitionError) as error:
        type("Broken", (Plugin,), {k: v for k, v in body.items() if v is not None})
    assert "test_plugin.py:" in str(error.value), "the author's line is missing"
    return str(error.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"__annotations__": {"size": complex}}, "field 'size' cannot have the type complex"),
        ({"__annotations__": {"size": "Missing"}}, "an annotation that cannot be read: Missing"),
        ({"__annotations__": {"size": int}, "size": 0.5}, "field 'size' cannot have the default 0.5"),
        ({"__annotations__": {"size": int}, "size": field(9, high=8)}, "rule        is allowed ..8"),
        ({"size": field(1)}, "field 'size' of Broken has no type"),
        ({"label": Input()}, "cannot have something called 'label'"),
        ({"infer": lambda self, a: a}, "has infer(self, a), whose parameters are not those expected"),
        ({"reference": lambda self, x, y: x}, "Write def reference(self, x)."),
        ({"reference": lambda self, x, *, y: x}, "has reference(self, x, *, y), whose"),
        ({"reference": lambda self, x, **y: x}, "has reference(self, x, **y), whose"),
        ({"enqueue": lambda self, x: x}, "Write def enqueue(self, inputs, outputs, workspace, stream)."),
        ({"__doc__": None}, "has no formula line"),
        ({"y": None}, "has no output"),
        ({"y": Output(like="q")}, "says 'y' is like 'q'"),
        ({"x": Input(variadic=True), "z": Input()}, "has inputs after the variadic 'x'"),
    ],
)
def test_a_mistake_is_told_when_the_class_is_made(body, words):
    assert words in refuse(**body)


def test_a_wrapped_method_has_the_parameters_of_what_it_wraps():
    class Wrapped(Plugin):
        """y = x."""

        x, y = Input(FLOATS), Output(like="x")

        @functools.wraps(lambda self, x: x)
        def reference(*args):
            return args[1]

    assert Wrapped.dovetail_spec.reference is not None


def test_a_port_named_like_a_field_is_refused():
    class Base(Plugin, abstract=True):
        size: int = 1

    with pytest.raises(DefinitionError, match="has a port and a field called 'size'"):

        class Broken(Base):
            """y = size."""

            size = Input()
            y = Output(like="size")


def test_enum_and_wire_types_survive_postponed_annotations():
    assert Everything.dovetail_spec.field_named("corner").wire == FieldType.INT32

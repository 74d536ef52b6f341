"""The kit for ONNX rewrites: a stranger's package writes with it what built-in layers write."""

import inspect
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from one_node import computed, error_of, one_node
from registry_parts import install

import dovetail as trt
from dovetail.core.errors import DefinitionError
from dovetail.core.types import FLOATS
from dovetail.plugins import Input, Output, Plugin, onnx
from dovetail.plugins.onnx import OnnxOp, onnx_op

PACKAGE = '''
"""Operators of a domain of other people: they import what authors may import, and nothing else."""

from dovetail.plugins import Input, Output, Plugin, hookimpl
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import onnx as kit

DOMAIN = "com.acme.kit"


class Doubled(Plugin):
    """y = x + x"""

    namespace = "com.acme.kit"
    x = Input(FLOATS)
    y = Output(like="x")
    scalar = "x + x"

    @staticmethod
    def onnx():
        return (kit.onnx_op("Doubled", domain="com.acme.kit", rewrite=doubled),)


def doubled(node):
    """Of integers too: they are converted, and back."""
    y = node.network.add_plugin("com.acme.kit::Doubled", [kit.cast(node, node[0], DataType.FLOAT)]).get_output(0)
    return kit.cast(node, y, node[0].dtype)


def rows_centred(node):
    """[N, ...] less the mean of each row, as [N, rest]; extents may be unknown."""
    x, dims = node[0], kit.extents(node, node[0])
    flat = kit.reshaped(node, x, kit.joined(node, [dims[:1], dims[1:].product()]))
    return kit.combined(node, "SUB", flat, kit.reduced(node, "AVG", flat, [1]))


def first_part(node):
    """The first `count` slices of an axis, scaled."""
    axis = kit.axis_given(node, kit.rank_of(node[0]), -1)
    (count,) = kit.integers(node, 1, "count")
    y = kit.part(node, node[0], axis, 0, count)
    return kit.elementwise(node, "PROD", y, kit.scalar(y, node.attr("scale", 1.0)))


@hookimpl
def dovetail_register_ops(registry):
    registry.add_op(Doubled)


@hookimpl
def dovetail_onnx_rewrites():
    return [
        kit.checked_op("RowsCentred", rows_centred, (1, 1), domain=DOMAIN),
        kit.checked_op("FirstPart", first_part, (2, 2), "axis scale", domain=DOMAIN, needs="axis", counts=("axis",)),
    ]
'''
X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package, installed and loaded; its rewrites are there for these tests."""
    folder = install(tmp_path_factory.mktemp("acme"), "acme-operators", entries={"acme": "acme_operators"})
    (folder / "acme_operators.py").write_text(PACKAGE)
    registry = trt.get_plugin_registry()
    sys.path.insert(0, str(folder))
    module = EntryPoint("acme", "acme_operators", "dovetail.plugins").load()
    sys.path.remove(str(folder))
    registry.plugins.register(module, "acme")
    module.dovetail_register_ops(registry)
    yield module
    registry.plugins.unregister(module)
    del sys.modules["acme_operators"]


def acme(op, inputs, **more):
    return one_node(op, inputs, domain="com.acme.kit", **more)


def test_a_strangers_rewrites_are_imported_and_computed(package):
    centred = X.reshape(2, 12) - X.reshape(2, 12).mean(1, keepdims=True)
    np.testing.assert_allclose(computed(acme("RowsCentred", {"x": X}), {"x": X})["y"], centred, rtol=1e-6)
    x = np.int32([[1, -2], [3, 4]])
    np.testing.assert_array_equal(computed(acme("Doubled", {"x": x}), {"x": x})["y"], 2 * x)
    given = {"x": X, "count": np.int64(2)}
    y = computed(acme("FirstPart", given, known=["count"], axis=2, scale=3.0), given)["y"]
    np.testing.assert_allclose(y, 3 * X[:, :, :2])


def test_extents_may_be_known_only_at_run_time(package):
    model = acme("RowsCentred", {"x": X}, dims={"x": ("n", 3, "m")})
    y = computed(model, {"x": X}, shapes={"x": ((1, 3, 1), (4, 3, 8))})["y"]
    np.testing.assert_allclose(y, X.reshape(2, 12) - X.reshape(2, 12).mean(1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "attrs", "said"),
    [
        ({"x": X}, {"axis": 2}, "another number of inputs"),
        ({"x": X, "count": np.int64(2)}, {}, "its attribute axis is missing"),
        ({"x": X, "count": np.int64(2)}, {"axis": 0}, "its attribute axis is 0, not 1 or more"),
        ({"x": X, "count": np.int64(2)}, {"axis": 2, "colour": 1}, "an attribute that is not known: colour"),
        ({"x": X, "count": np.int64(2)}, {"axis": 7}, "cannot use axis 7"),
    ],
)
def test_what_a_rewrite_does_not_honour_is_refused(package, inputs, attrs, said):
    known = [name for name in inputs if name != "x"]
    assert said in error_of(acme("FirstPart", inputs, known=known, **attrs))


def test_everything_public_is_documented_and_takes_the_node_first():
    for name in onnx.__all__:
        value = getattr(onnx, name)
        assert name in onnx.__doc__, f"{name} is not in the kit's docstring"
        if inspect.isfunction(value):
            assert value.__doc__, f"{name} has no docstring"
            assert "return" in inspect.get_annotations(value), f"{name} has no types"


def test_operators_given_by_a_function_are_read_when_they_are_needed():
    calls = []

    class Late(Plugin):
        """y = x."""

        x = Input(FLOATS)
        y = Output(like="x")
        scalar = "x"

        @staticmethod
        def onnx():
            calls.append(1)
            return (onnx_op("Late", domain="acme"),)

    assert not calls
    assert [type(one) for one in Late.dovetail_spec.onnx] == [OnnxOp]
    assert Late.dovetail_spec.onnx[0].op_type == "Late" and len(calls) == 1


def test_a_function_that_gives_no_operators_is_refused_at_registration():
    class Wrong(Plugin):
        """y = x."""

        x = Input(FLOATS)
        y = Output(like="x")
        scalar = "x"

        @staticmethod
        def onnx():
            return "Wrong"

    with pytest.raises(DefinitionError, match="has an onnx that is not a tuple of onnx_op") as error:
        trt.get_plugin_registry().add_op(Wrong)
    assert 'onnx_op("Wrong")' in error.value.hint

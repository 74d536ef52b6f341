"""The package of built-in layers: found by looking, offered through hooks."""

import ast
from pathlib import Path

import pytest

import dovetail as trt
from dovetail.core.types import FLOATS
from dovetail.plugins import Input, Output, Plugin, builtin


def test_every_module_offers_its_layer():
    offered = []

    class Recorder:
        def add_op(self, plugin):
            offered.append(plugin.dovetail_spec)

    builtin.dovetail_register_ops(Recorder())
    files = sorted(p.stem for p in Path(builtin.__path__[0]).glob("[a-z]*.py"))
    assert [spec.name.lower() for spec in offered] == [name.replace("_", "") for name in files]


def test_specs_point_at_their_line():
    for module in builtin.layer_modules():
        for plugin in builtin.layer_plugins(module):
            path, _, line = plugin.dovetail_spec.where.partition(":")
            assert path == f"plugins/builtin/{module.__name__.rpartition('.')[2]}.py"
            source = Path(module.__file__).read_text().splitlines()[int(line) - 1]
            assert source.startswith(f"class {plugin.__name__}")


def test_the_libraries_lie_beside_the_native_module():
    path, cuda = builtin.dovetail_native_libraries()
    assert Path(path).parts[-2:] == ("lib", "libdovetail_cpu.so")
    assert (Path(cuda.path).parts[-2:], cuda.device) == (("lib", "libdovetail_cuda.so"), trt.DeviceType.GPU)
    assert bool(cuda.reason) != Path(cuda.path).is_file()


def test_roles_are_filled_once():
    roles = [s.role for s in trt.get_plugin_registry().specs() if s.role]
    assert sorted(roles) == ["constant", "dequantize", "identity", "quantize", "reformat"]


# Functions that scalar expressions may name beside those of plugin.py's list.
UNARY = """sqrt sin cos tan sinh cosh asin acos atan asinh acosh atanh ceil floor erf sign round fmod inf""".split()  # noqa: SIM905


@pytest.mark.parametrize("spec", [s for s in trt.get_plugin_registry().specs() if s.scalar], ids=lambda s: s.id)
def test_scalar_expressions_name_only_inputs_fields_and_functions(spec):
    known = {p.name for p in spec.inputs} | {f.name for f in spec.fields}
    known |= {"choice", "min", "max", "abs", "exp", "log", "tanh", *UNARY}
    tree = ast.parse(spec.scalar, mode="eval")
    assert {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} <= known
    for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call) and n.keywords):
        field = spec.field_named(call.args[0].id)
        assert [k.arg for k in call.keywords] == [member.name for member in field.enum]


def test_built_ins_need_nothing_that_a_stranger_does_not_have():
    class Stranger(Plugin):
        """y = x."""

        x = Input(FLOATS)
        y = Output(like="x")

        def reference(self, x):
            return x

    assert Stranger.dovetail_implementations[0].id == "Stranger@1#reference"

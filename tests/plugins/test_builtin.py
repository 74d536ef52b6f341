"""The package of built-in layers: found by looking, offered through hooks."""

from pathlib import Path

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


def test_the_add_name_of_a_layer_is_that_of_its_module():
    for module in builtin.layer_modules():
        for plugin in builtin.layer_plugins(module):
            name = f"add_{module.__name__.rpartition('.')[2]}"
            methods = plugin.dovetail_spec.add_methods
            # ops of a namespace have no method: their layers are added with add_plugin
            assert name in methods if not plugin.dovetail_spec.namespace else not methods, (name, sorted(methods))


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
    assert len(set(roles)) == len(roles)
    assert {"constant", "dequantize", "identity", "quantize", "reformat"} <= set(roles)


def test_built_ins_need_nothing_that_a_stranger_does_not_have():
    class Stranger(Plugin):
        """y = x."""

        x = Input(FLOATS)
        y = Output(like="x")

        def reference(self, x):
            return x

    assert Stranger.dovetail_implementations[0].id == "Stranger@1#reference"

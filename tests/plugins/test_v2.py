"""TensorRT's plugin classes in Python: a creator and its plugin, a class alone, and the order of calls."""

import ctypes
import gc
import json

import numpy as np
import pytest

import dovetail as trt
from dovetail import _native
from dovetail.core.contract import REQUIRED
from dovetail.core.errors import DefinitionError, DovetailError, PluginFailed, PluginNotFound
from dovetail.plugins import IPluginCreator, IPluginV2DynamicExt
from dovetail.plugins.v2_adapter import Address, V2Object
from dovetail.registry.records import PluginRecord
from tests.runtime.plans import draft_of


class Pad(IPluginV2DynamicExt):
    """y = x with zeros around its last axis; written as a plugin for TensorRT is."""

    calls = []

    def __init__(self, fc=None):
        IPluginV2DynamicExt.__init__(self)
        self.pads = np.zeros(2, np.int32)
        self.num_outputs = 1
        self.plugin_namespace = ""
        self.plugin_type = "Pad"
        self.plugin_version = "1"
        for f in fc or []:
            if f.name == "pads":
                self.pads = np.array(f.data, np.int32)

    def get_output_datatype(self, index, input_types):
        return input_types[0]

    def get_output_dimensions(self, output_index, inputs, exprBuilder):  # noqa: N803
        output_dims = type(inputs[0])(inputs[0])
        total = exprBuilder.constant(int(self.pads.sum()))
        output_dims[-1] = exprBuilder.operation(trt.DimensionOperation.SUM, inputs[0][-1], total)
        return output_dims

    def supports_format_combination(self, pos, in_out, num_inputs):
        desc = in_out[pos]
        if desc.format != trt.TensorFormat.LINEAR:
            return False
        return desc.type == trt.DataType.FLOAT if pos == 0 else desc.type == in_out[0].type

    def configure_plugin(self, inp, out):
        self.calls.append(f"configure {tuple(inp[0].desc.dims)} max {tuple(inp[0].max)}")

    def get_workspace_size(self, input_desc, output_desc):
        self.calls.append(f"workspace {tuple(input_desc[0].dims)}")
        return 16

    def initialize(self):
        self.calls.append("initialize")

    def terminate(self):
        self.calls.append("terminate")

    def attach_to_context(self, cudnn, cublas, allocator):
        self.calls.append("attach")

    def detach_from_context(self):
        self.calls.append("detach")

    def enqueue(self, input_desc, output_desc, inputs, outputs, workspace, stream):
        self.calls.append(f"enqueue {tuple(input_desc[0].dims)} -> {tuple(output_desc[0].dims)}")
        assert isinstance(inputs[0], int) and inputs[0] == inputs[0].array.ctypes.data
        outputs[0].array[:] = np.pad(inputs[0].array, [(0, 0), tuple(self.pads)])
        return 0

    def clone(self):
        self.calls.append("clone")
        cloned_plugin = Pad()
        cloned_plugin.__dict__.update(self.__dict__)
        return cloned_plugin

    def serialize(self):
        return self.pads.tobytes()


class PadCreator(IPluginCreator):
    def __init__(self):
        IPluginCreator.__init__(self)
        self.name = "Pad"
        self.plugin_namespace = ""
        self.plugin_version = "1"
        field = trt.PluginField("pads", np.array([]), trt.PluginFieldType.INT32)
        self.field_names = trt.PluginFieldCollection([field])

    def create_plugin(self, name, field_collection):
        return Pad(field_collection)

    def deserialize_plugin(self, name, data):
        return Pad([trt.PluginField("pads", np.frombuffer(data, np.int32), trt.PluginFieldType.INT32)])


class Twice(IPluginV2DynamicExt):
    """y = factor * x, without a creator."""

    plugin_type = "Twice"
    plugin_namespace = "acme"

    def __init__(self, factor: float = 2.0):
        self.factor = factor

    def get_output_dimensions(self, output_index, inputs, expr_builder):
        return inputs[0]

    def enqueue(self, input_desc, output_desc, inputs, outputs, workspace, stream):
        np.multiply(inputs[0].array, self.factor, out=outputs[0].array)


@pytest.fixture
def calls():
    Pad.calls.clear()
    return Pad.calls


PADDED = [[0, 1, 2, 0, 0], [0, 3, 4, 0, 0]]


def test_a_creator_is_a_spec():
    spec = PadCreator().dovetail_spec
    assert (spec.id, [f.name for f in spec.fields]) == ("Pad@1", ["pads", "serialized"])
    assert spec.inputs[0].variadic


def test_through_the_registry_as_in_tensorrt(bench, calls):
    assert bench.registry.register_creator(PadCreator())
    creator = bench.registry.get_plugin_creator("Pad", "1")
    field = trt.PluginField("pads", np.array([1, 2], np.int32), trt.PluginFieldType.INT32)
    plugin = creator.create_plugin("there", trt.PluginFieldCollection([field]))
    layer = bench.network.add_plugin_v2([bench.input(2, 2)], plugin)
    assert tuple(layer.get_output(0).shape) == (2, 5)
    assert bench.run(layer, [[1, 2], [3, 4]]).tolist() == PADDED


def test_an_object_handed_to_the_network_travels_serialised(bench, calls):
    bench.registry.register_creator(PadCreator())
    plugin = Pad([trt.PluginField("pads", np.array([1, 2], np.int32))])
    layer = bench.network.add_plugin_v2([bench.input(2, 2)], plugin)
    plugin.pads[:] = 0
    assert bench.run(layer, [[1, 2], [3, 4]]).tolist() == PADDED


def test_by_name_with_field_values(bench, calls):
    bench.registry.add_op(PadCreator())
    layer = bench.network.add_plugin("Pad", [bench.input(2, 2)], {"pads": (1, 2)})
    assert bench.run(layer, [[1, 2], [3, 4]]).tolist() == PADDED


def test_shapes_are_symbolic(bench, calls):
    bench.registry.add_op(PadCreator())
    context = bench.context(bench.network.add_plugin("Pad", [bench.input(2, -1)], {"pads": (1, 2)}))
    for n in (1, 5, 2):
        assert context.run({"x": np.ones((2, n), np.float32)})["y"].shape == (2, n + 3)


def test_methods_are_called_in_tensorrts_order(bench, calls):
    bench.registry.add_op(PadCreator())
    context = bench.context(bench.network.add_plugin("Pad", [bench.input(2, -1)], {"pads": (1, 2)}))
    gc.collect()  # objects of builds end when they are collected
    built = list(calls)
    calls.clear()
    context.run({"x": np.ones((2, 3), np.float32)})
    context.run({"x": np.ones((2, 3), np.float32)})
    context.run({"x": np.ones((2, 4), np.float32)})
    assert "configure (2, -1) max (2, 8)" in built and "workspace (2, 8)" in built
    assert [c for c in calls if not c.startswith(("clone", "attach", "initialize", "configure (2, -1)"))] == [
        "configure (2, 3) max (2, 3)",
        "enqueue (2, 3) -> (2, 6)",
        "enqueue (2, 3) -> (2, 6)",
        "configure (2, 4) max (2, 4)",
        "enqueue (2, 4) -> (2, 7)",
    ]
    order = [c for c in [*built, *calls] if c in ("initialize", "clone", "attach")]
    assert order.index("initialize") < order.index("attach")
    del context
    gc.collect()
    assert calls.index("detach") < calls.index("terminate")


def test_a_class_without_a_creator_takes_the_parameters_of_init(bench):
    spec = bench.registry.add_op(Twice)
    assert [(f.name, f.default) for f in spec.fields[:-1]] == [("factor", 2.0)]
    layer = bench.network.add_plugin("acme::Twice", [bench.input(2)], {"factor": 3.0})
    assert bench.run(layer, [1, 2]).tolist() == [3, 6]


def test_an_object_of_such_a_class_keeps_its_arguments(bench):
    bench.registry.add_op(Twice)
    layer = bench.network.add_plugin_v2([bench.input(2)], Twice(5.0))
    assert bench.run(layer, [1, 2]).tolist() == [5, 10]


def test_a_code_other_than_zero_is_a_failure(bench):
    class Failing(Twice):
        plugin_type = "Failing"

        def enqueue(self, *arguments):
            return 7

    bench.registry.add_op(Failing)
    layer = bench.network.add_plugin("acme::Failing", [bench.input(2)])
    with pytest.raises(PluginFailed, match="7"):
        bench.run(layer, [1, 2])


def test_a_creator_that_returns_none_is_a_failure():
    class Nothing(PadCreator):
        def create_plugin(self, name, field_collection):
            return None

    with pytest.raises(PluginFailed, match="was not created"):
        Nothing().dovetail_spec.make("there", {})


class Untyped(Twice):
    """A class that needs a creator, since nothing says what its fields are."""

    plugin_type = "Untyped"

    def __init__(self, factor=2.0):
        self.factor = factor


class Required(Twice):
    """A class with a field that has no default."""

    plugin_type = "Required"

    def __init__(self, factor: float):
        self.factor = factor


def test_a_parameter_without_a_default_is_a_required_field(bench):
    bench.registry.add_op(Required)
    defaults = {field.name: field.default for field in bench.registry.find("acme::Required@1").fields}
    assert defaults["factor"] is REQUIRED


def test_a_class_whose_parameters_have_no_types_needs_a_creator(bench):
    with pytest.raises(DefinitionError, match="parameter 'factor' of Untyped has no type"):
        bench.registry.add_op(Untyped)


# ---- objects that a script made


class Counter(IPluginV2DynamicExt):
    """y = x + step; written as for TensorRT, state set in __init__ and as a text."""

    def __init__(self, step=1):
        IPluginV2DynamicExt.__init__(self)
        self.step, self.cloned_from = step, None
        self.plugin_type, self.plugin_namespace, self.plugin_version = "Counter", "acme", "1"
        self.num_outputs = 1

    def get_output_dimensions(self, output_index, inputs, expr_builder):
        return inputs[0]

    def enqueue(self, input_desc, output_desc, inputs, outputs, workspace, stream):
        np.asarray(outputs[0])[...] = np.asarray(inputs[0]) + self.step

    def clone(self):
        made = Counter(self.step)
        made.cloned_from = self
        return made

    def serialize(self):
        return json.dumps({"step": self.step})


class CounterCreator(IPluginCreator):
    def __init__(self):
        IPluginCreator.__init__(self)
        self.name, self.plugin_namespace, self.plugin_version = "Counter", "acme", "1"
        self.field_names = trt.PluginFieldCollection([trt.PluginField("step", None, trt.PluginFieldType.INT32)])

    def create_plugin(self, name, field_collection):
        return Counter(int(field_collection[0].data[0]))

    def deserialize_plugin(self, name, data):
        return Counter(**json.loads(data.decode("utf-8")))


def test_an_object_whose_class_nobody_registered_is_built(bench):
    layer = bench.network.add_plugin_v2([bench.input(2)], Counter(5))
    layer.get_output(0).name = "y"
    bench.network.mark_output(layer.get_output(0))
    plan = bench.builder.build_serialized_network(bench.network, bench.config)
    runtime = trt.Runtime(bench.builder.logger)
    with pytest.raises(PluginNotFound, match=r"register_creator.*Counter|Counter"):
        runtime.deserialize_cuda_engine(plan)
    bench.registry.register_creator(CounterCreator())
    context = runtime.deserialize_cuda_engine(plan).create_execution_context()
    assert context.run({"x": np.float32([1, 2])})["y"].tolist() == [6, 7]


def test_a_build_asks_clones_of_the_object_itself(bench):
    asked = []

    class Watched(Counter):
        def clone(self):
            made = Watched(self.step)
            made.cloned_from = self.cloned_from or self
            return made

        def supports_format_combination(self, pos, in_out, num_inputs):
            asked.append(self.cloned_from)
            return in_out[pos].format == trt.TensorFormat.LINEAR

    class WatchedCreator(CounterCreator):
        def deserialize_plugin(self, name, data):
            return Watched(**json.loads(data))

    bench.registry.register_creator(WatchedCreator())
    plugin = Watched(5)
    layer = bench.network.add_plugin_v2([bench.input(2)], plugin)
    layer.get_output(0).name = "y"
    bench.network.mark_output(layer.get_output(0))
    assert bench.builder.build_serialized_network(bench.network, bench.config)
    assert plugin in asked


def test_a_layer_has_the_clone_of_its_plugin(bench):
    plugin = Counter(5)
    layer = bench.network.add_plugin_v2([bench.input(2)], plugin)
    assert type(layer.plugin) is Counter and layer.plugin is not plugin and layer.plugin.step == 5
    assert layer.type == trt.LayerType.PLUGIN_V2 and isinstance(layer, trt.IPluginV2Layer)


def test_a_layer_of_a_creators_plugin_has_one_that_stands_for_its_op():
    network = trt.Builder(trt.Logger()).create_network()
    x = network.add_input("x", trt.float32, (2,))
    fields = trt.PluginFieldCollection([trt.PluginField("type", np.array([3], np.int32))])
    plugin = trt.get_plugin_registry().get_plugin_creator("Activation", "1").create_plugin("leaky", fields)
    layer = network.add_plugin_v2([x], plugin)
    assert (layer.plugin.plugin_type, layer.plugin.plugin_version, layer.plugin.num_outputs) == ("Activation", "1", 1)
    assert layer.plugin is not plugin and layer.plugin.op is not plugin.op
    assert layer.plugin.serialize() == plugin.serialize()
    with pytest.raises(AttributeError, match="no field 'plugin'"):
        network.add_identity(x).plugin  # noqa: B018  raises


def test_a_creator_gives_back_the_objects_of_its_author(bench):
    bench.registry.register_creator(CounterCreator())
    creator = bench.registry.get_plugin_creator("Counter", "1", "acme")
    fields = trt.PluginFieldCollection([trt.PluginField("step", np.array([4], np.int32))])
    plugin = creator.create_plugin("four", fields)
    assert type(plugin) is Counter and plugin.step == 4
    for data in (plugin.serialize(), plugin.serialize().encode()):
        again = creator.deserialize_plugin("four", data)
        assert type(again) is Counter and again.step == 4
    assert bench.run(bench.network.add_plugin_v2([bench.input(2)], plugin), [1, 2]).tolist() == [5, 6]


def test_an_address_is_the_array_for_numpy():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    address = Address.of(array)
    assert np.asarray(address) is array and int(address) == array.ctypes.data
    assert np.array(address).tolist() == array.tolist() and np.array(address) is not array
    assert np.asarray(address, np.float64).dtype == np.float64
    np.asarray(address)[0, 0] = 9
    assert array[0, 0] == 9
    assert isinstance(address, int) and hex(address) == hex(array.ctypes.data)
    assert (address + 4) % 4 == array.ctypes.data % 4 and address == Address.of(array)
    to = np.zeros_like(array)
    ctypes.memmove(Address.of(to), address, array.nbytes)
    assert np.array_equal(to, array)
    with pytest.raises(AttributeError, match=r"the tensor is address.array"):
        print(address.shape)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda y: y.update(dims=[2, 1]), r"output 0 is FLOAT \[2, 5\], not FLOAT \[2, 1\]"),
        (lambda y: y.update(dims=[2, 7]), r"output 0 is FLOAT \[2, 5\], not FLOAT \[2, 7\]"),
        (lambda y: y.update(dims=[10], dim_names=[None]), r"output 0 is FLOAT \[2, 5\], not FLOAT \[10\]"),
        (lambda y: y.update(dtype=3), "supports refuses tensor 1"),
    ],
)
def test_a_plan_with_other_outputs_than_the_plugin_says_is_refused(bench, calls, change, text):
    bench.registry.add_op(PadCreator())
    layer = bench.network.add_plugin("Pad", [bench.input(2, 2)], {"pads": (1, 2)})
    layer.get_output(0).name = "y"
    bench.network.mark_output(layer.get_output(0))
    draft = draft_of(bytes(bench.builder.build_serialized_network(bench.network, bench.config)))
    assert _native.Engine(draft.to_bytes()).n_profiles == 1
    change(next(tensor for tensor in draft.plan["tensors"] if tensor["name"] == "y"))
    with pytest.raises(DovetailError, match=text):
        _native.Engine(draft.to_bytes())


def test_a_plan_whose_plugin_is_blocked_says_so(bench):
    layer = bench.network.add_plugin_v2([bench.input(2)], Counter(5))
    layer.get_output(0).name = "y"
    bench.network.mark_output(layer.get_output(0))
    plan = bench.builder.build_serialized_network(bench.network, bench.config)
    blocked = PluginRecord("acme-counter", source="entry point")
    blocked.fail("disabled", "DOVETAIL_PLUGINS_BLOCK=acme*")
    bench.registry.note(blocked)
    with pytest.raises(PluginNotFound, match=r"acme-counter +known, disabled: DOVETAIL_PLUGINS_BLOCK=acme\*"):
        trt.Runtime(bench.builder.logger, bench.registry).deserialize_cuda_engine(plan)


def test_what_the_end_of_an_object_raises_is_logged_and_the_rest_is_called(caplog):
    ended = []

    class Stubborn(Counter):
        def clone(self):
            return Stubborn(self.step)

        def detach_from_context(self):
            raise RuntimeError("still attached")

        def terminate(self):
            raise RuntimeError("still running")

        def destroy(self):
            ended.append(self)

    made = V2Object(Stubborn(5))
    context = made.make_context()
    with caplog.at_level("ERROR", "dovetail"):
        context.drop()
        del made, context
        gc.collect()
    assert "acme::Counter@1 failed in detach_from_context: RuntimeError: still attached" in caplog.text
    assert "acme::Counter@1 failed in terminate: RuntimeError: still running" in caplog.text
    assert len(ended) == 2

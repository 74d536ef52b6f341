"""Where kernels written in Python compute: what their records say, and what they are handed. No GPU is needed."""

import numpy as np
import pytest

from dovetail.core.errors import DefinitionError
from dovetail.core.types import FLOATS, DataType, DeviceType
from dovetail.plugins import Input, IPluginCreator, IPluginV2DynamicExt, Output, Plugin, kernel, op
from dovetail.plugins.v2_adapter import Address
from dovetail.registry.registry import Registry

GPU, CPU = DeviceType.GPU, DeviceType.CPU


def offered(owner):
    """[(implementation, device, tactics)]"""
    return [(i.name, i.device, [row.tactic for row in i.rows]) for i in owner.dovetail_implementations]


class OnGpu(Plugin):
    """y = x."""

    device = GPU
    x = Input(FLOATS)
    y = Output(like="x")

    def reference(self, x):
        return x

    def enqueue(self, inputs, outputs, workspace, stream):
        pass


def test_a_class_says_where_its_kernels_compute_and_its_reference_stays():
    assert offered(OnGpu) == [("python.cuda", GPU, ["enqueue"]), ("reference", CPU, ["reference"])]
    assert [field.name for field in OnGpu.dovetail_spec.fields] == []


def test_an_annotated_device_is_no_field():
    class Annotated(OnGpu):
        """y = x."""

        device: DeviceType = GPU

    assert Annotated.dovetail_spec.fields == ()


def test_a_kernel_may_say_otherwise():
    class Both(Plugin):
        """y = x."""

        x = Input((DataType.FLOAT, DataType.HALF))
        y = Output(like="x")

        @kernel(types="f32 -> f32")
        def slow(self, inputs, outputs, workspace, stream):
            pass

        @kernel(types="f32 -> f32", device=GPU)
        def fast(self, inputs, outputs, workspace, stream):
            pass

        @kernel(types="f16 -> f16", formats="linear@cpu -> linear", device=GPU)
        def faster(self, inputs, outputs, workspace, stream):
            pass

    assert offered(Both) == [("python", CPU, ["slow"]), ("python.cuda", GPU, ["fast", "faster"])]
    on_gpu = Both.dovetail_implementations[1].native.create("", {}).make_context()

    class Desc:
        format = 0

        def __init__(self, dtype):
            self.dtype = dtype

    half, single = Desc(DataType.HALF), Desc(DataType.FLOAT)
    assert on_gpu._kernel_for([single], [single]) == "fast"
    assert on_gpu._kernel_for([half], [half]) == "faster"


def test_a_device_that_has_no_kernels_in_python_is_refused():
    with pytest.raises(DefinitionError, match="cannot have a kernel on"):

        class Wrong(OnGpu):
            """y = x."""

            device = DeviceType.DLA


def test_kernels_are_added_to_a_function():
    @op("acme::SoftClip@1")
    def soft_clip(x: Input(FLOATS), *, limit: float = 1.0):
        """y = limit * tanh(x / limit)."""
        return limit * np.tanh(x / limit)

    assert offered(soft_clip) == [("reference", CPU, ["reference"])]

    @soft_clip.kernel(types="f32 -> f32", device=GPU)
    def on_gpu(op, inputs, outputs, workspace, stream):
        return op.limit

    @soft_clip.kernel(types="f32 -> f32")
    def on_cpu(op, inputs, outputs, workspace, stream):
        pass

    assert offered(soft_clip) == [
        ("python.cuda", GPU, ["on_gpu"]),
        ("python", CPU, ["on_cpu"]),
        ("reference", CPU, ["reference"]),
    ]
    made = soft_clip.dovetail_plugin("layer", limit=2.5)
    assert made.on_gpu([], [], None, 0) == 2.5
    assert [field.name for field in soft_clip.dovetail_spec.fields] == ["limit"]
    assert soft_clip(0.0) == 0

    with pytest.raises(DefinitionError, match="has something called 'x' already"):

        @soft_clip.kernel(device=GPU)
        def x(op, inputs, outputs, workspace, stream):
            pass

    with pytest.raises(DefinitionError, match="parameters are not those expected"):

        @soft_clip.kernel(device=GPU)
        def short(op, inputs, outputs):
            pass


def test_v2_classes_and_creators_say_it_too():
    class Doubled(IPluginV2DynamicExt):
        """y = 2 * x."""

        plugin_type = "Doubled"
        plugin_namespace = "acme"
        device = GPU

        def get_output_dimensions(self, output_index, inputs, expr_builder):
            return inputs[0]

        def enqueue(self, input_desc, output_desc, inputs, outputs, workspace, stream):
            pass

    class Creator(IPluginCreator):
        name = "Doubled"
        plugin_namespace = "acme"
        device = GPU

        def create_plugin(self, name, field_collection):
            return Doubled()

    assert offered(Doubled) == offered(Creator()) == [("python.cuda", GPU, [])]


def test_it_reaches_the_table_and_the_record():
    registry = Registry()
    registry.add_op(OnGpu, "mine")
    found = {i.name: i.native.device for i in registry.implementations()}
    assert found == {"python.cuda": GPU.dlpack_code, "reference": CPU.dlpack_code}


def test_v2_addresses_of_either_kind():
    native = pytest.importorskip("dovetail._native")
    array = np.zeros(3, np.float32)
    assert Address.of(array) == array.ctypes.data
    there = native.DeviceArray(0x7000, [3])
    assert Address.of(there) == 0x7000 and Address.of(there).array is there

"""Building for a GPU: what runs where, which copies that takes, and what is said where it cannot be done.

The GPU of these tests exists on paper: its implementations can be planned for and have times, nothing runs.
"""

import numpy as np
import pytest
from paper_gpu import CARD, COPIES, IDENTITY, RELU, SUM, WithGpu, built, document_of, new_network, on_gpu

import dovetail as trt
from dovetail.core import errors
from dovetail.core.types import DeviceType, TensorLocation
from dovetail.machine import devices
from dovetail.machine.builder.candidates import Candidates
from dovetail.machine.builder.graph import LayerGroup
from dovetail.machine.builder.measurements import Measurements
from dovetail.machine.testing import make_layer
from dovetail.machine.timing_cache import Measurement, devices_of

CPU, CUDA = 1, 2  # DLPack's numbers, which plans use


@pytest.fixture(autouse=True)
def card(monkeypatch):
    """A made-up GPU; its facts can be changed."""
    facts = dict(CARD)
    monkeypatch.setattr(devices, "gpus", lambda: ([facts], ""))
    return facts


@pytest.fixture(autouse=True)
def times(monkeypatch):
    """Times in ns by tactic; 1000 where nothing is said."""
    table = {}

    def measured(measurements, ways, contents=None):
        return [Measurement(float(table.get(candidate.row.tactic, 1000)), 3) for _, candidate in ways]

    monkeypatch.setattr(Measurements, "times", measured)
    return table


def relus(n, *implementations):
    """x -> n activations -> y, for the GPU."""
    builder, network, config = new_network(*implementations)
    tensor = network.add_input("x", trt.float32, (1, 16, 4, 4))
    for index in range(n):
        layer = network.add_activation(tensor, trt.ActivationType.RELU)
        layer.name = f"layer {index}"
        tensor = layer.get_output(0)
    tensor.name = "y"
    network.mark_output(tensor)
    return builder, network, config


def with_scale(*implementations):
    """x -> activation -> scale -> activation -> y, where nothing scales on the GPU unless it is given."""
    builder, network, config = new_network(*implementations)
    x = network.add_input("x", trt.float32, (1, 16, 4, 4))
    first = network.add_activation(x, trt.ActivationType.RELU).get_output(0)
    scale = network.add_scale(first, trt.ScaleMode.UNIFORM, shift=np.ones(1, np.float32))
    scale.name = "double"
    last = network.add_activation(scale.get_output(0), trt.ActivationType.RELU).get_output(0)
    last.name = "y"
    network.mark_output(last)
    return builder, network, config


def runs_on(document):
    return [(step["device"], step["runs_on"].partition(":")[2]) for step in document["report"]["steps"]]


def tensors(document):
    return {tensor["name"]: tensor["device"] for tensor in document["tensors"]}


# ---- a network that lies on the GPU as a whole


def test_a_network_of_the_gpu_stays_there():
    document = document_of(*relus(3, RELU, COPIES))
    assert document["device"]["type"] == "cuda"
    assert (document["device"]["sm"], document["device"]["name"]) == (90, CARD["name"])
    assert {tensor["device"] for tensor in document["tensors"]} == {CUDA}
    assert [step["device"] for step in document["steps"]] == [CUDA] * 3
    profile = document["profiles"][0]
    assert (profile["arena_bytes"], profile["cuda_arena_bytes"]) == (0, 2 * 1024)


def test_a_network_of_the_cpu_knows_nothing_of_the_gpu(monkeypatch):
    monkeypatch.setattr(devices, "gpus", lambda: pytest.fail("a build for the CPU looked for a GPU"))
    builder, network, config = relus(2, RELU, COPIES)
    config.default_device_type = DeviceType.CPU
    document = document_of(builder, network, config)
    assert document["device"]["type"] == "cpu" and "sm" not in document["device"]
    assert "cuda_arena_bytes" not in document["profiles"][0]
    assert {tensor["device"] for tensor in document["tensors"]} == {CPU}


def test_offsets_on_the_gpu_are_multiples_of_256():
    builder, network, config = new_network(on_gpu("Activation@1", ("relu", "f32", "linear"), workspace_bytes=40))
    tensor = network.add_input("x", trt.float32, (1, 5))
    for _ in range(5):
        tensor = network.add_activation(tensor, trt.ActivationType.RELU).get_output(0)
    network.mark_output(tensor)
    profile = document_of(builder, network, config)["profiles"][0]
    placed = [offset for offset in [*profile["offsets"], *profile["workspace"]] if offset >= 0]
    assert len(placed) == 4 + 5
    assert all(offset % 256 == 0 for offset in placed)
    assert profile["cuda_arena_bytes"] == profile["cuda_lower_bound"] == 3 * 256


def test_constants_lie_where_they_are_taken():
    builder, network, config = new_network(SUM, RELU, COPIES)
    x = network.add_input("x", trt.float32, (2, 2))
    weights = network.add_constant((2, 2), np.ones((2, 2), np.float32)).get_output(0)
    on_cuda = network.add_elementwise(x, weights, trt.ElementWiseOperation.SUM)
    on_cpu = network.add_elementwise(on_cuda.get_output(0), weights, trt.ElementWiseOperation.SUM)
    config.set_device_type(on_cpu, DeviceType.CPU)
    network.mark_output(on_cpu.get_output(0))
    document = document_of(builder, network, config)
    constants = [(t["device"], t["constant"]) for t in document["tensors"] if t["where"] == "constant"]
    assert sorted(constants) == [(CPU, 0), (CUDA, 0)]  # two tensors, one copy of the data
    assert len(document["constants"]) == 1


def test_constants_are_folded_on_the_cpu():
    builder, network, config = new_network(SUM)
    x = network.add_input("x", trt.float32, (2, 2))
    two = network.add_constant((2, 2), np.full((2, 2), 2, np.float32)).get_output(0)
    four = network.add_elementwise(two, two, trt.ElementWiseOperation.PROD).get_output(0)
    network.mark_output(network.add_elementwise(x, four, trt.ElementWiseOperation.SUM).get_output(0))
    document = document_of(builder, network, config)
    assert runs_on(document) == [("gpu", "sum")]


# ---- a layer that the GPU cannot run


def test_without_the_flag_the_error_names_layer_reason_and_flag():
    builder, network, config = with_scale(RELU, COPIES, on_gpu("Scale@1", ("half", "f16", "linear")))
    with pytest.raises(errors.NoImplementation) as error:
        builder.build_serialized_network(network, config)
    text = str(error.value)
    assert "nothing can run Scale@1 'double' on this gpu (NVIDIA H100 80GB HBM3, sm_90)" in text
    assert "#cuda half" in text and "takes f16 only, got FLOAT" in text
    assert "on the CPU" in text and "fits" in text
    assert "config.set_flag(BuilderFlag.GPU_FALLBACK)" in text
    assert error.value.fits_on == DeviceType.CPU
    assert not builder.is_network_supported(network, config)


def test_an_op_without_any_implementation_there_says_so():
    builder, network, config = with_scale(RELU, COPIES)
    with pytest.raises(errors.NoImplementation, match=r"on the GPU +no implementation"):
        builder.build_serialized_network(network, config)


def test_what_fits_nowhere_names_both_devices():
    builder, network, config = with_scale(RELU, COPIES)
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    config.pin_implementation("double", "#acme.fast")
    with pytest.raises(errors.NoImplementation, match=r"on this gpu \(.*\) or this cpu \("):
        builder.build_serialized_network(network, config)


def test_with_the_flag_it_runs_on_the_cpu_between_two_copies():
    builder, network, config = with_scale(RELU, COPIES)
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    assert builder.is_network_supported(network, config)
    document = document_of(builder, network, config)
    assert [device for device, _ in runs_on(document)] == ["gpu", "gpu", "cpu", "gpu", "gpu"]
    assert [tactic for _, tactic in runs_on(document)][1::2] == ["to_host", "to_device"]
    note = "Scale@1 'double' runs on the CPU: nothing on the GPU fits; 2 copies inserted"
    assert note in document["report"]["notes"]
    assert (document["report"]["reformats"], document["report"]["copies"]) == (2, 2)
    profile = document["profiles"][0]
    # Each in its own arena; on the CPU the scale writes over what it reads.
    assert profile["arena_bytes"] == profile["cuda_arena_bytes"] == 1024
    devices_of = tensors(document)
    assert (devices_of["x"], devices_of["y"]) == (CUDA, CUDA)


def test_the_report_shows_devices_and_copies():
    builder, network, config = with_scale(RELU, COPIES)
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    text = str(built(builder, network, config))
    assert "nothing on the GPU fits; 2 copies inserted" in text
    assert "reformats inserted: 2, 2 of them copies between devices" in text
    assert "Float[1,16,4,4]@cpu" in text and "on the gpu 1024 bytes" in text
    assert "device" in text.splitlines()[1]


def test_neighbours_that_fall_back_share_their_copies():
    builder, network, config = new_network(COPIES)
    tensor = network.add_input("x", trt.float32, (1, 16, 4, 4))
    for _ in range(3):
        tensor = network.add_activation(tensor, trt.ActivationType.RELU).get_output(0)
    network.mark_output(tensor)
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    document = document_of(builder, network, config)
    assert [device for device, _ in runs_on(document)] == ["gpu", "cpu", "cpu", "cpu", "gpu"]
    copies = [note.rpartition("; ")[2] for note in document["report"]["notes"] if "fits; " in note]
    assert copies == ["1 copy inserted", "no copies inserted", "1 copy inserted"]


def test_a_layer_of_the_cpu_may_fall_back_to_the_gpu(monkeypatch):
    builder, network, config = relus(1, RELU, COPIES)
    config.default_device_type = DeviceType.CPU
    config.pin_implementation("layer 0", "#cuda")
    with pytest.raises(errors.NoImplementation):
        builder.build_serialized_network(network, config)
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    document = document_of(builder, network, config)
    assert [tactic for _, tactic in runs_on(document)] == ["to_device", "relu", "to_host"]
    assert (tensors(document)["x"], tensors(document)["y"]) == (CPU, CPU)


def test_a_layer_can_be_put_on_the_cpu_without_the_flag():
    builder, network, config = relus(3, RELU, COPIES)
    config.set_device_type(network.get_layer(1), DeviceType.CPU)
    document = document_of(builder, network, config)
    assert [device for device, _ in runs_on(document)] == ["gpu", "gpu", "cpu", "gpu", "gpu"]
    assert document["device"]["isa"]  # of the step that runs on the CPU


def test_copies_that_nobody_brings():
    builder, network, config = relus(3, RELU)
    config.set_device_type(network.get_layer(1), DeviceType.CPU)
    with pytest.raises(errors.FormatError, match="on the CPU"):
        builder.build_serialized_network(network, config)


def test_a_row_for_a_newer_card_is_refused_with_both(card):
    card["sm"], card["name"] = 80, "NVIDIA A100"
    builder, network, config = relus(1, on_gpu("Activation@1", ("fast", "f32", "linear", 90)))
    with pytest.raises(errors.NoImplementation, match="needs sm_90, this device is sm_80"):
        builder.build_serialized_network(network, config)


# ---- choosing: places have costs


def test_formats_of_inputs_and_outputs_on_the_host():
    builder, network, config = relus(2, RELU, COPIES)
    network.get_input(0).location = network.get_output(0).location = TensorLocation.HOST
    document = document_of(builder, network, config)
    assert [tactic for _, tactic in runs_on(document)] == ["to_device", "relu", "relu", "to_host"]
    assert (tensors(document)["x"], tensors(document)["y"]) == (CPU, CPU)
    assert document["device"]["type"] == "cuda"


@pytest.mark.parametrize(
    ("slow", "devices_of_steps", "tactics"),
    [
        ("to_host_chw16", ["gpu", "gpu", "cpu"], ["relu", "to_host"]),
        ("to_host", ["gpu", "gpu", "gpu"], ["relu", "pack", "to_host_chw16"]),
    ],
)
def test_where_format_and_device_change_the_cheaper_order_is_taken(times, slow, devices_of_steps, tactics):
    times[slow] = 50_000
    builder, network, config = relus(1, RELU, COPIES)
    network.get_output(0).location = TensorLocation.HOST
    network.get_output(0).allowed_formats = 1 << int(trt.TensorFormat.CHW16)
    steps = runs_on(document_of(builder, network, config))
    assert [device for device, _ in steps] == devices_of_steps
    assert [tactic for _, tactic in steps][: len(tactics)] == tactics


def test_a_row_that_reads_the_host_saves_the_copy_if_it_is_worth_it(times):
    both = on_gpu("Activation@1", ("on_device", "f32", "linear"), ("from_host", "f32", "linear@cpu -> linear"))
    builder, network, config = relus(1, both, COPIES)
    network.get_input(0).location = TensorLocation.HOST
    times.update(on_device=100, from_host=900, to_device=700)
    assert [tactic for _, tactic in runs_on(document_of(builder, network, config))] == ["to_device", "on_device"]
    times.update(to_device=900)
    document = document_of(builder, network, config)
    assert [tactic for _, tactic in runs_on(document)] == ["from_host"]
    assert "@cpu" in document["report"]["steps"][0]["inputs"][0]


def test_a_tensor_goes_to_a_device_once_for_all_that_take_it():
    builder, network, config = new_network(RELU, SUM, COPIES)
    x = network.add_input("x", trt.float32, (1, 4))
    x.location = TensorLocation.HOST
    a = network.add_activation(x, trt.ActivationType.RELU).get_output(0)
    network.mark_output(network.add_elementwise(a, x, trt.ElementWiseOperation.SUM).get_output(0))
    document = document_of(builder, network, config)
    assert [tactic for _, tactic in runs_on(document)].count("to_device") == 1


def test_inputs_that_are_outputs_are_copied_where_they_lie():
    builder, network, config = new_network(IDENTITY, COPIES)
    for name, location in (("a", TensorLocation.DEVICE), ("b", TensorLocation.HOST)):
        tensor = network.add_input(name, trt.float32, (2, 2))
        tensor.location = location
        network.mark_output(tensor)
    document = document_of(builder, network, config)
    assert [device for device, _ in runs_on(document)] == ["gpu", "cpu"]
    assert [document["tensors"][index]["device"] for index in document["outputs"]] == [CUDA, CPU]


# ---- quantisation


CONVOLUTION = on_gpu("Convolution@1", ("float", "f32 f32 f32 -> f32", "linear"))
CONVOLUTION_INT8 = on_gpu("Convolution@1", ("int8", "i8 i8 f32 -> f32", "linear"), name="cuda.int8")
DEQUANTIZE = on_gpu("Dequantize@1", ("dequantize", "i8 f32 -> f32", "linear"))
QUANTIZE = on_gpu("Quantize@1", ("quantize", "f32 f32 -> i8", "linear"))
INT8_COPIES = on_gpu(
    "Reformat@1", ("to_device", "f32|i8", "linear@cpu -> linear"), ("to_host", "f32|i8", "linear -> linear@cpu")
)


def quantized_convolution(*implementations):
    builder, network, config = new_network(*implementations)
    x = network.add_input("x", trt.float32, (1, 4, 8, 8))
    scale = network.add_constant((), np.float32(0.1)).get_output(0)
    quantized = network.add_quantize(x, scale).get_output(0)
    kernel = network.add_constant((4, 4, 3, 3), np.ones((4, 4, 3, 3), np.float32)).get_output(0)
    stored = network.add_quantize(kernel, scale).get_output(0)
    layer = network.add_convolution_nd(network.add_dequantize(quantized, scale).get_output(0), 4, (3, 3), None)
    layer.set_input(1, network.add_dequantize(stored, scale).get_output(0))
    network.mark_output(layer.get_output(0))
    return builder, network, config


def test_int8_is_taken_on_the_gpu():
    document = document_of(*quantized_convolution(QUANTIZE, DEQUANTIZE, CONVOLUTION, CONVOLUTION_INT8, INT8_COPIES))
    assert runs_on(document) == [("gpu", "quantize"), ("gpu", "int8")]


def test_int8_is_no_reason_to_leave_the_gpu():
    builder, network, config = quantized_convolution(QUANTIZE, DEQUANTIZE, CONVOLUTION, INT8_COPIES)
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    document = document_of(builder, network, config)
    assert runs_on(document) == [("gpu", "quantize"), ("gpu", "dequantize"), ("gpu", "float")]


def test_a_layer_that_must_leave_the_gpu_takes_int8_on_the_cpu():
    builder, network, config = quantized_convolution(QUANTIZE, DEQUANTIZE, INT8_COPIES)
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    document = document_of(builder, network, config)
    assert "dequantize" not in [tactic for _, tactic in runs_on(document)]
    assert any("takes INT8" in note for note in document["report"]["notes"])


# ---- the config, and machines without a GPU


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.delenv(devices.VARIABLE)
    monkeypatch.setattr(devices, "gpus", lambda: ([], "no NVIDIA driver: libcuda.so.1: cannot open shared object"))


def test_the_default_device_is_the_gpu_where_one_works(monkeypatch):
    config = trt.Builder(trt.Logger()).create_builder_config()
    assert config.default_device_type == DeviceType.CPU  # DOVETAIL_DEVICE=cpu, as tests set it
    monkeypatch.delenv(devices.VARIABLE)
    assert config.default_device_type == DeviceType.GPU
    config.default_device_type = DeviceType.CPU
    assert config.default_device_type == DeviceType.CPU
    config.reset()
    assert config.default_device_type == DeviceType.GPU


def test_the_default_device_is_the_cpu_elsewhere(no_gpu):
    assert trt.Builder(trt.Logger()).create_builder_config().default_device_type == DeviceType.CPU


def test_a_wrong_name_of_a_device(monkeypatch):
    monkeypatch.setenv(devices.VARIABLE, "tpu")
    with pytest.raises(errors.DefinitionError, match="'tpu' is not a device"):
        _ = trt.Builder(trt.Logger()).create_builder_config().default_device_type


def test_building_for_a_gpu_that_is_not_there_says_why_and_what_to_do(no_gpu):
    builder, network, config = relus(1, RELU)
    with pytest.raises(errors.BuildError) as error:
        builder.build_serialized_network(network, config)
    text = str(error.value)
    assert "none works here" in text and "no NVIDIA driver: libcuda.so.1" in text
    assert "DOVETAIL_DEVICE=cpu" in text and "config.default_device_type = DeviceType.CPU" in text


def test_one_layer_for_a_gpu_that_is_not_there(no_gpu):
    builder, network, config = relus(1, RELU)
    config.default_device_type = DeviceType.CPU
    config.set_device_type(network.get_layer(0), DeviceType.GPU)
    with pytest.raises(errors.BuildError, match="none works here"):
        builder.build_serialized_network(network, config)


def test_fallback_without_a_gpu_is_only_the_cpu(no_gpu):
    builder, network, config = relus(1, RELU)
    config.default_device_type = DeviceType.CPU
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    assert document_of(builder, network, config)["device"]["type"] == "cpu"


def test_device_types_of_layers_have_tensorrts_names():
    _, network, config = relus(2, RELU)
    first, second = network.get_layer(0), network.get_layer(1)
    config.set_device_type(first, DeviceType.CPU)
    assert config.is_device_type_set(first) and not config.is_device_type_set(second)
    assert (config.get_device_type(first), config.get_device_type(second)) == (DeviceType.CPU, DeviceType.GPU)
    config.reset_device_type(first)
    assert config.get_device_type(first) == DeviceType.GPU
    assert not config.can_run_on_DLA(first) and config.DLA_core == -1
    with pytest.raises(errors.DefinitionError, match="DLA"):
        config.set_device_type(first, DeviceType.DLA)
    with pytest.raises(errors.DefinitionError, match="DLA"):
        config.default_device_type = DeviceType.DLA


def test_the_builder_answers_for_the_default_device(monkeypatch, card):
    builder = trt.Builder(trt.Logger())
    assert not builder.platform_has_tf32
    monkeypatch.delenv(devices.VARIABLE)
    assert builder.platform_has_tf32 and builder.platform_has_fast_fp16 and builder.platform_has_fast_int8
    card["sm"] = 75
    assert not builder.platform_has_tf32


def test_a_measurement_belongs_to_its_device(card):
    lookup = WithGpu(on_gpu("Activation@1", ("relu", "f32", "linear"), name="cpu"))  # a name says nothing
    layer = make_layer(lookup, "Activation@1", [np.zeros((2, 2), np.float32)], lookup.find("Activation").defaults())
    config = trt.Builder(trt.Logger()).create_builder_config()
    signatures = set()
    for sm in (80, 90):
        card["sm"] = sm
        target = devices.this_target(with_gpu=True)
        for device in (DeviceType.GPU, DeviceType.CPU):
            found = Candidates(lookup, config, target).on(device, layer)
            measurements = Measurements(lookup, config, target)
            keys = {measurements.key(LayerGroup(layer), c) for c in found.candidates[:1]}
            names = devices_of(target)
            signatures |= {(key, names[key.device]) for key in keys}
    assert len(signatures) == 3  # two cards, one CPU

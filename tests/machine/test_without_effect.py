"""Settings that are accepted and not honoured are warnings in the log of the build."""

import numpy as np
import pytest
from logs import Log

import dovetail as trt
from dovetail.core.errors import NoImplementation
from dovetail.machine.builder.without_effect import without_effect


class Building:
    """A network of one layer, to be built with a config of the test's."""

    def __init__(self):
        self.log = Log()
        self.builder = trt.Builder(self.log)
        self.network = self.builder.create_network()
        self.x = self.network.add_input("x", trt.float32, (2, 3))
        self.layer = self.network.add_activation(self.x, trt.ActivationType.RELU)
        self.network.mark_output(self.layer.get_output(0))
        self.config = self.builder.create_builder_config()

    def warnings(self):
        assert self.builder.build_serialized_network(self.network, self.config) is not None
        return self.log.warnings()


@pytest.fixture
def building():
    return Building()


def test_a_build_without_settings_warns_of_nothing(building):
    assert building.warnings() == []


FLAGS = [flag for flag in trt.BuilderFlag if flag.name not in (
    "TF32", "GPU_FALLBACK", "PREFER_PRECISION_CONSTRAINTS", "OBEY_PRECISION_CONSTRAINTS", "DISABLE_TIMING_CACHE",
    "ERROR_ON_TIMING_CACHE_MISS", "DISABLE_WINOGRAD", "FP16", "BF16",
)]  # fmt: skip


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_a_flag_that_is_not_honoured_is_a_warning(building, flag):
    building.config.set_flag(flag)
    (text,) = building.warnings()
    assert text.startswith(f"BuilderFlag.{flag.name} has no effect ") and len(text) > 60


@pytest.mark.parametrize("flag", [trt.BuilderFlag.FP16, trt.BuilderFlag.BF16], ids=lambda flag: flag.name)
def test_narrow_types_are_allowed_on_the_cpu_in_a_weakly_typed_network(building, flag):
    building.config.set_flag(flag)
    building.config.default_device_type = trt.DeviceType.CPU
    assert list(without_effect(building.network, building.config)) == []
    strong = building.builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    (text,) = without_effect(strong, building.config)
    assert text.startswith(f"BuilderFlag.{flag.name} has no effect on a network that is STRONGLY_TYPED: ")
    building.config.default_device_type = trt.DeviceType.GPU
    (text,) = without_effect(building.network, building.config)
    assert text.startswith(f"BuilderFlag.{flag.name} has no effect on layers that run in FLOAT on a GPU: ")


def test_int8_is_honoured_where_layers_quantise(building):
    network = building.network
    scale = network.add_constant((), np.array(0.1, np.float32)).get_output(0)
    quantised = network.add_quantize(building.x, scale).get_output(0)
    network.mark_output(network.add_dequantize(quantised, scale).get_output(0))
    building.config.set_flag(trt.BuilderFlag.INT8)
    assert building.warnings() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("engine_capability", trt.EngineCapability.SAFETY),
        ("avg_timing_iterations", 8),
        ("min_timing_iterations", 2),
        ("hardware_compatibility_level", trt.HardwareCompatibilityLevel.AMPERE_PLUS),
        ("max_aux_streams", 0),
        ("profile_stream", 7),
        ("progress_monitor", trt.IProgressMonitor()),
        ("plugins_to_serialize", ["liba.so"]),
    ],
)
def test_a_setting_that_is_not_honoured_is_a_warning(building, name, value):
    setattr(building.config, name, value)
    (text,) = building.warnings()
    assert text.startswith(f"IBuilderConfig.{name} = ") and "has no effect in this version: " in text


def test_previews_sources_and_pools_are_warnings(building):
    config = building.config
    config.set_preview_feature(trt.PreviewFeature.FASTER_DYNAMIC_SHAPES_0805, True)
    config.set_tactic_sources(1 << int(trt.TacticSource.CUBLAS))
    config.set_memory_pool_limit(trt.MemoryPoolType.DLA_LOCAL_DRAM, 1 << 20)
    config.set_quantization_flag(trt.QuantizationFlag.CALIBRATE_BEFORE_FUSION)  # what is done anyway
    texts = "\n".join(building.warnings())
    for word in ("FASTER_DYNAMIC_SHAPES_0805", "set_tactic_sources", "DLA_LOCAL_DRAM"):
        assert word in texts
    assert config.get_preview_feature(trt.PreviewFeature.FASTER_DYNAMIC_SHAPES_0805)
    assert config.get_tactic_sources() == 1 << int(trt.TacticSource.CUBLAS)


def test_a_pin_of_a_layer_that_is_not_there_is_a_warning_with_the_nearest(building):
    building.layer.name = "act"
    building.config.pin_implementation("acts", "#cpu")
    (text,) = building.warnings()
    assert (
        text.startswith("pin_implementation('acts', '#cpu') has no effect on this network") and "Nearest: act." in text
    )


def test_pins_of_layers_of_the_network_and_of_the_builder_are_none(building):
    building.layer.name = "act"
    for name in ("act", "act, x as HALF", "reformat y to CHW16"):
        building.config.pin_implementation(name, "#cpu")
    assert list(building.warnings()) == []


def test_a_precision_that_a_layer_does_not_have_is_a_warning(building):
    building.layer.name = "act"
    building.layer.precision = trt.float16
    building.config.set_flag(trt.BuilderFlag.PREFER_PRECISION_CONSTRAINTS)
    (text,) = building.warnings()
    assert "precision set for Activation@1 'act' has no effect" in text and "add_cast" in text


def test_a_precision_that_a_layer_has_is_honoured(building):
    building.layer.precision = trt.float32
    assert building.warnings() == []


def test_under_obey_a_precision_that_a_layer_does_not_have_is_an_error(building):
    building.layer.precision = trt.float16
    building.config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    with pytest.raises(NoImplementation, match="was asked to run in HALF"):
        building.builder.build_serialized_network(building.network, building.config)


def test_the_dynamic_range_of_a_float_tensor_is_a_warning(building):
    building.x.dynamic_range = (-1, 1)
    building.layer.get_output(0).set_dynamic_range(-2, 2)
    (text,) = building.warnings()
    assert "dynamic range of 'x', " in text and "has no effect" in text


def test_a_profile_memory_target_is_a_warning(building):
    profile = building.builder.create_optimization_profile()
    profile.extra_memory_target = 0.5
    building.config.add_optimization_profile(profile)
    assert "IOptimizationProfile.extra_memory_target = 0.5" in building.warnings()[0]


def test_settings_of_objects_with_a_logger_warn_at_once():
    log = Log()
    builder, runtime = trt.Builder(log), trt.Runtime(log)
    builder.max_batch_size = 1
    assert log.warnings() == []
    builder.max_batch_size = 16
    builder.max_threads = 2
    runtime.gpu_allocator = trt.IGpuAllocator()
    assert [text.split(" = ")[0] for text in log.warnings()] == [
        "Builder.max_batch_size", "Builder.max_threads", "Runtime.gpu_allocator",
    ]  # fmt: skip


def test_an_implicit_batch_is_a_warning():
    log = Log()
    network = trt.Builder(log).create_network(0)
    assert not network.has_implicit_batch_dimension and "explicit batch" in log.warnings()[0]


def test_a_setting_of_tensors_is_one_warning_however_many_have_it(building):
    building.x.broadcast_across_batch = True
    building.layer.get_output(0).broadcast_across_batch = True
    (warning,) = building.warnings()
    assert "ITensor.broadcast_across_batch = True has no effect" in warning and "explicit batch" in warning


@pytest.mark.parametrize("value", [np.zeros(3), np.float64(0.5), [1.0], object(), "much"])
def test_a_setting_without_effect_takes_any_value_and_warns(building, value):
    """Also what does not compare to one answer, as arrays do."""
    profile = building.builder.create_optimization_profile()
    profile.extra_memory_target = value
    building.config.add_optimization_profile(profile)
    (warning,) = building.warnings()
    assert "extra_memory_target" in warning and "has no effect" in warning
    profile.extra_memory_target = np.float64(1.0)
    assert len(building.warnings()) == 1

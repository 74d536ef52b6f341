"""Public objects take no attribute that they do not have, and all of them work with `with`."""

import warnings

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import DefinitionError, DovetailError, NotAvailable, UnknownAttribute


class Scene:
    """One object of each public class."""

    def __init__(self):
        self.logger = trt.Logger(trt.Logger.ERROR)
        self.builder = trt.Builder(self.logger)
        self.network = self.builder.create_network()
        self.tensor = self.network.add_input("x", trt.float32, (2, 3))
        self.layer = self.network.add_activation(self.tensor, trt.ActivationType.RELU)
        self.layer.get_output(0).name = "y"
        self.network.mark_output(self.layer.get_output(0))
        self.config = self.builder.create_builder_config()
        self.profile = self.builder.create_optimization_profile()
        self.parser = trt.OnnxParser(self.network, self.logger)
        self.runtime = trt.Runtime(self.logger)
        self.plan = self.builder.build_serialized_network(self.network, self.config)
        self.engine = self.runtime.deserialize_cuda_engine(self.plan)
        self.context = self.engine.create_execution_context()
        self.inspector = self.engine.create_engine_inspector()
        self.registry = trt.get_plugin_registry()
        self.creator = self.registry.get_plugin_creator("Activation", "1")
        self.field = trt.PluginField("type", np.int32(0))
        self.fields = trt.PluginFieldCollection([self.field])
        self.plugin = self.creator.create_plugin("act", self.fields)
        self.record = self.registry.records()[0]
        self.weights = trt.Weights(np.ones(3, np.float32))
        self.profiler = trt.Profiler()
        self.model = trt.load(self.plan)


NAMES = [
    "logger", "builder", "network", "tensor", "layer", "config", "profile", "parser", "runtime", "plan", "engine",
    "context", "inspector", "registry", "creator", "field", "fields", "plugin", "record", "weights", "profiler",
    "model",
]  # fmt: skip


@pytest.fixture(scope="module")
def scene():
    return Scene()


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_attribute_is_refused(scene, name):
    with pytest.raises(UnknownAttribute, match=r"has no (attribute|field) 'nonsense'"):
        getattr(scene, name).nonsense = 1
    with pytest.raises(AttributeError, match=r"has no (attribute|field) 'nonsense'"):
        _ = getattr(scene, name).nonsense
    assert not hasattr(getattr(scene, name), "nonsense")


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("builder", "fp16_mode"),
        ("network", "name"),
        ("tensor", "dynamic_range"),
        ("context", "debug_sync"),
        ("config", "builder_optimization_level"),
        ("config", "max_workspace_size"),
        ("profile", "extra_memory_target"),
        ("runtime", "max_threads"),
        ("engine", "num_layers"),
        ("logger", "min_severity"),
        ("layer", "precision"),
    ],
)
def test_the_nearest_attribute_is_named(scene, name, right):
    wrong = right[:-2] + right[-1]  # a letter is missing
    with pytest.raises(UnknownAttribute, match=f"[Dd]id you mean '{right}'"):
        setattr(getattr(scene, name), wrong, 1)


@pytest.mark.parametrize("name", NAMES)
def test_every_object_is_a_context_manager_that_ends_nothing(scene, name):
    one = getattr(scene, name)
    with one as entered:
        assert entered is one
    assert scene.context.run({"x": [[1, -1, 0]] * 2})["y"].tolist() == [[1, 0, 0]] * 2


def test_with_lets_an_exception_through(scene):
    with pytest.raises(KeyError), scene.builder:
        raise KeyError("mine")


def test_classes_of_users_have_attributes_of_their_own():
    class Log(trt.ILogger):
        def log(self, severity, msg):
            self.last = msg

    class Quiet(trt.Logger):
        def __init__(self):
            self.lines = []

        def log(self, severity, msg):
            self.lines.append(msg)

    class Calibrator(trt.IInt8EntropyCalibrator2):
        def __init__(self):
            trt.IInt8EntropyCalibrator2.__init__(self)
            self.batch = 0

    class Allocator(trt.IOutputAllocator):
        def __init__(self):
            self.buffers = {}

    class Times(trt.IProfiler):
        def __init__(self):
            self.times = {}

        def report_layer_time(self, layer_name, ms):
            self.times[layer_name] = ms

    log = Log()
    log.log(trt.Logger.ERROR, "text")
    assert (log.last, Quiet().lines, Calibrator().batch, Allocator().buffers, Times().times) == ("text", [], 0, {}, {})
    Quiet().anything = 1


def test_what_is_not_here_says_so_and_what_to_use(scene):
    with pytest.raises(
        NotAvailable, match=r"INetworkDefinition.mark_debug is not in this version of dovetail\n.*as an output"
    ) as error:
        scene.network.mark_debug(None)
    assert isinstance(error.value, (NotImplementedError, AttributeError, DovetailError))
    with pytest.raises(NotAvailable, match=r"INetworkDefinition.add_loop is not in this version of dovetail") as error:
        scene.network.add_loop()
    assert "add_topk" not in str(error.value) and "add_select" in str(error.value)


def test_a_class_that_is_not_here_can_be_named_and_derived_from():
    class Mine(trt.IPluginV3):
        pass

    assert issubclass(Mine, trt.IPluginV3) and trt.IPluginV3 is trt.IPluginV3
    for use in (Mine, lambda: trt.Refitter(None, None), lambda: trt.TensorRTPhase.BUILD, lambda: trt.plugin.register):
        with pytest.raises(NotAvailable, match=r"is not in this version of dovetail\n"):
            use()


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        ("runtime", "max_threads", -1),
        ("runtime", "max_threads", "4"),
        ("runtime", "max_threads", 1025),
        ("runtime", "spin_microseconds", -1),
        ("runtime", "spin_microseconds", 0.5),
        ("runtime", "spin_microseconds", 1_000_001),
        ("runtime", "pin_threads", 2),
        ("runtime", "pin_threads", "yes"),
        ("builder", "max_threads", -1),
        ("builder", "max_batch_size", 0),
        ("builder", "fp16_mode", "yes"),
        ("config", "num_threads", -1),
        ("config", "num_threads", 1.5),
        ("config", "builder_optimization_level", 6),
        ("config", "builder_optimization_level", None),
        ("config", "avg_timing_iterations", 0),
        ("config", "profiling_verbosity", 7),
        ("config", "engine_capability", "STANDARD"),
        ("config", "flags", 1 << 60),
        ("config", "allow_reference", 2),
        ("config", "allow_fusion", "yes"),
        ("config", "DLA_core", 0),
        ("runtime", "DLA_core", 1),
        ("tensor", "allowed_formats", 0),
        ("tensor", "dynamic_range", (1.0, -1.0)),
        ("tensor", "dynamic_range", 3),
        ("tensor", "location", 5),
        ("context", "nvtx_verbosity", -3),
    ],
)
def test_a_value_that_cannot_be_is_refused_and_the_old_one_stays(scene, owner, name, value):
    before = getattr(getattr(scene, owner), name)
    with pytest.raises(DefinitionError):
        setattr(getattr(scene, owner), name, value)
    assert getattr(getattr(scene, owner), name) == before


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        ("config", "avg_timing_iterations", 4),
        ("config", "min_timing_iterations", 3),
        ("config", "profiling_verbosity", trt.ProfilingVerbosity.DETAILED),
        ("config", "max_aux_streams", 2),
        ("config", "hardware_compatibility_level", trt.HardwareCompatibilityLevel.AMPERE_PLUS),
        ("config", "quantization_flags", 1),
        ("builder", "max_batch_size", 8),
        ("builder", "max_workspace_size", 1 << 20),
        ("builder", "fp16_mode", True),
        ("builder", "max_threads", 3),
        ("runtime", "max_threads", 2),
        ("runtime", "spin_microseconds", 0),
        ("runtime", "spin_microseconds", None),
        ("runtime", "pin_threads", True),
        ("runtime", "pin_threads", None),
        ("runtime", "engine_host_code_allowed", True),
        ("context", "enqueue_emits_profile", False),
        ("logger", "min_severity", trt.Logger.INTERNAL_ERROR),
        ("tensor", "dynamic_range", (-2.0, 2.0)),
    ],
)
def test_what_is_set_is_read_back(scene, owner, name, value):
    one = getattr(Scene(), owner)
    setattr(one, name, value)
    assert getattr(one, name) == value


def test_max_threads_that_nobody_set_is_the_number_in_use(scene):
    from dovetail import _native

    assert trt.Runtime(scene.logger).max_threads == trt.Builder(scene.logger).max_threads == _native.default_threads()
    scene.runtime.max_threads = 0
    assert scene.runtime.max_threads == _native.default_threads()


def test_setters_return_what_they_do_in_tensorrt():
    scene = Scene()
    assert scene.tensor.set_dynamic_range(-1, 1) is True and scene.config.set_tactic_sources(0) is True
    assert scene.network.mark_output_for_shapes(scene.network.add_shape(scene.tensor).get_output(0)) is True
    assert scene.config.add_optimization_profile(scene.profile) == 0
    assert (scene.builder.max_workspace_size, scene.config.DLA_core, scene.runtime.DLA_core) == (0, -1, -1)


def test_a_logger_has_log():
    with pytest.raises(DefinitionError, match="a str cannot be a logger"):
        trt.Builder("verbose")
    with pytest.raises(DefinitionError, match="a NoneType cannot be a logger"):
        trt.Runtime(None)


def test_explicit_del_ends_nothing():
    scene = Scene()
    scene.context.__del__()
    scene.engine.__del__()
    assert scene.context.run({"x": [[1, -1, 0]] * 2})["y"].shape == (2, 3)


def test_a_config_that_is_reset_is_a_new_one():
    config = Scene().config
    config.num_threads, config.avg_timing_iterations = 1, 7
    config.set_flag(trt.BuilderFlag.FP16)
    config.reset()
    assert (config.num_threads, config.avg_timing_iterations) == (0, 1)
    assert config.flags == 1 << int(trt.BuilderFlag.TF32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config.set_tactic_sources(config.get_tactic_sources())

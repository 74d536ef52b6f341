"""Builds with a calibrator or with dynamic ranges: what is asked of the calibrator, and how exact the result is."""

import ctypes

import numpy as np
import pytest
from logs import Log
from onnx import TensorProto, helper, numpy_helper, save
from small_classifier import KINDS, SIZE, pictures, trained

import dovetail as trt
from dovetail.core.errors import BuildError, DTypeError, FieldValueError, NoImplementation

BATCH = 50


class Building:
    """The classifier of small_classifier, to be built in INT8 on the CPU."""

    def __init__(self, batch=BATCH):
        self.log = Log()
        self.builder = trt.Builder(self.log)
        self.network = network = self.builder.create_network()
        self.config = self.builder.create_builder_config()
        self.config.default_device_type = trt.DeviceType.CPU
        self.config.set_flag(trt.BuilderFlag.INT8)
        p = trained()
        x = network.add_input("x", trt.float32, (batch, 1, SIZE, SIZE))
        for kernel, bias in (("w1", "b1"), ("w2", "b2")):
            layer = network.add_convolution_nd(x, len(p[kernel]), (3, 3), p[kernel], p[bias])
            layer.stride_nd, layer.padding_nd, layer.name = (2, 2), (1, 1), kernel
            x = network.add_activation(layer.get_output(0), trt.ActivationType.RELU).get_output(0)
        flat = network.add_shuffle(x)
        flat.reshape_dims = (0, -1)
        weights = network.add_constant(p["w3"].shape, p["w3"]).get_output(0)
        none = trt.MatrixOperation.NONE
        product = network.add_matrix_multiply(flat.get_output(0), none, weights, none)
        bias = network.add_constant((1, KINDS), p["b3"][None]).get_output(0)
        scores = network.add_elementwise(product.get_output(0), bias, trt.ElementWiseOperation.SUM).get_output(0)
        scores.name = "scores"
        network.mark_output(scores)

    def plan(self):
        return self.builder.build_serialized_network(self.network, self.config)

    def scores(self, x):
        engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(self.plan())
        context = engine.create_execution_context()
        if -1 in engine.get_tensor_shape("x"):
            context.set_input_shape("x", (BATCH, *x.shape[1:]))
        parts = [context.run({"x": np.ascontiguousarray(part)})["scores"] for part in np.split(x, len(x) // BATCH)]
        return np.concatenate(parts)


class Batches:
    """What all calibrators of these tests have; a class derives from it and from one of TensorRT's."""

    cache = None
    quantile = 0.9999

    def start(self, n=6, seed=2):
        self.arrays = list(np.split(pictures(n * BATCH, seed).x, n)) if n else []
        self.asked = []
        self.written = None
        return self

    def get_batch_size(self):
        return BATCH

    def get_batch(self, names):
        self.asked.append(names)
        if not self.arrays:
            return None
        self.now = np.ascontiguousarray(self.arrays.pop())
        return [self.now.ctypes.data]

    def read_calibration_cache(self):
        return self.cache

    def write_calibration_cache(self, cache):
        self.written = cache

    def get_quantile(self):
        return self.quantile


class Entropy2(Batches, trt.IInt8EntropyCalibrator2):
    pass


class Entropy(Batches, trt.IInt8EntropyCalibrator):
    pass


class MinMax(Batches, trt.IInt8MinMaxCalibrator):
    pass


class Legacy(Batches, trt.IInt8LegacyCalibrator):
    pass


@pytest.mark.parametrize("kind", [Entropy2, Entropy, MinMax, Legacy])
def test_int8_is_as_accurate_as_float32_within_one_in_a_hundred(kind):
    """Top-1 on pictures that neither training nor calibration has seen."""
    test = pictures(2000, seed=9)
    building = Building()
    building.config.clear_flag(trt.BuilderFlag.INT8)
    as_float = (building.scores(test.x).argmax(axis=1) == test.kind).mean()
    building.config.set_flag(trt.BuilderFlag.INT8)
    building.config.int8_calibrator = kind().start()
    scores = building.scores(test.x)
    assert 0.9 < as_float < 0.999
    assert (scores.argmax(axis=1) == test.kind).mean() > as_float - 0.01


def test_the_plan_computes_on_integers_and_says_so():
    building = Building()
    building.config.int8_calibrator = Entropy2().start()
    text = str(building.plan())
    assert "QuantizedConvolution@1#" in text and "QuantizedMatrixMultiply@1#" in text
    assert "in INT8, by the ranges of their inputs: w1, w2" in text
    assert building.log.warnings() == []


def test_a_cutoff_that_is_not_used_is_a_warning():
    class Cut(Legacy):
        def get_regression_cutoff(self):
            return 0.5

    building = Building()
    building.config.int8_calibrator = Cut().start(n=1)
    building.plan()
    (text,) = building.log.warnings()
    assert text.startswith("Cut.get_regression_cutoff has no effect: ")


def test_a_calibrator_is_asked_for_batches_until_there_are_none_and_given_the_cache():
    building = Building()
    calibrator = building.config.int8_calibrator = Entropy2().start(n=3)
    first = building.scores(pictures(BATCH, 9).x)
    assert calibrator.asked == [["x"]] * 4
    lines = calibrator.written.decode().splitlines()
    assert lines[0] == "TRT-8503-EntropyCalibration2"
    names = [line.rsplit(": ", 1)[0] for line in lines[1:]]
    assert names[0] == "x" and "scores" in names and len(names) == 8
    # With the cache, no batch is asked for, and results are the same, but for rounding by other kernels.
    again = Building()
    again.config.int8_calibrator = Entropy2().start(n=0)
    again.config.int8_calibrator.cache = calibrator.written
    assert np.abs(again.scores(pictures(BATCH, 9).x) - first).max() < 0.01 * np.abs(first).max()
    assert again.config.int8_calibrator.asked == []


def test_the_network_is_what_it_was():
    building = Building()
    building.config.int8_calibrator = Entropy2().start(n=1)
    before = str(building.network)
    building.plan()
    assert str(building.network) == before and building.network.num_outputs == 1
    assert building.config.get_flag(trt.BuilderFlag.INT8)


def test_a_cache_of_another_algorithm_is_not_used():
    building = Building()
    calibrator = building.config.int8_calibrator = Entropy2().start(n=1)
    calibrator.cache = b"TRT-8503-MinMaxCalibration\nx: 3f800000\n"
    building.plan()
    (text,) = building.log.warnings()
    assert "cache of Entropy2 is not used" in text and "MinMaxCalibration" in text
    assert len(calibrator.asked) == 2


def test_dynamic_ranges_take_the_place_of_calibration():
    building = Building()
    calibrator = building.config.int8_calibrator = MinMax().start()
    x = pictures(BATCH, 9).x
    calibrated = building.scores(x)
    by_hand = Building()
    for line in calibrator.written.decode().splitlines()[1:]:
        name, step = line.rsplit(": ", 1)
        range_ = 127 * float(np.frombuffer(bytes.fromhex(step), ">f4")[0])
        next(t for t in by_hand.network.tensors() if t.name == name).dynamic_range = (-range_, range_)
    assert np.abs(by_hand.scores(x) - calibrated).max() < 0.01 * np.abs(calibrated).max()
    assert by_hand.log.warnings() == []


def test_a_range_of_the_users_goes_before_the_calibrators():
    building = Building()
    building.config.int8_calibrator = MinMax().start()
    x = next(t for t in building.network.tensors() if t.name == "x")
    x.set_dynamic_range(-0.01, 0.01)
    assert np.abs(building.scores(pictures(BATCH, 9).x)).max() < 5
    x.reset_dynamic_range()


def test_a_tensor_of_zeros_has_no_range():
    building = Building()
    calibrator = building.config.int8_calibrator = MinMax().start(n=1)
    calibrator.arrays[0][:] = 0
    assert "not in INT8, their input has no number but 0: w1" in str(building.plan())


def test_layers_without_a_range_stay_in_float():
    building = Building()
    first = building.network.get_layer(0)
    first.get_input(0).set_dynamic_range(-6, 6)
    text = str(building.plan())
    assert "in INT8, by the ranges of their inputs: w1\n" in text.replace("\r", "")
    assert "not in INT8, their input has no range: w2" in text


def test_a_layer_whose_precision_is_set_stays_in_it():
    building = Building()
    building.network.get_layer(0).precision = trt.float32
    building.network.get_layer(2).precision = trt.int8
    building.config.int8_calibrator = Entropy2().start(n=1)
    text = str(building.plan())
    assert "in INT8, by the ranges of their inputs: w2" in text
    assert building.log.warnings() == []


def test_a_layer_that_must_be_int8_and_has_no_range_fails_the_build():
    building = Building()
    building.network.get_layer(0).precision = trt.int8
    building.network.get_layer(2).get_input(0).set_dynamic_range(-6, 6)
    assert "'w1' was asked to run in INT8; only FLOAT fits here" in str(building.plan())
    building.config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    with pytest.raises(NoImplementation, match="'w1' was asked to run in INT8"):
        building.plan()


def test_dynamic_shapes_take_batches_of_the_calibration_profile():
    building = Building(batch=-1)
    profile = building.builder.create_optimization_profile()
    profile.set_shape("x", (1, 1, SIZE, SIZE), (2, 1, SIZE, SIZE), (BATCH, 1, SIZE, SIZE))
    building.config.add_optimization_profile(profile)
    own = building.builder.create_optimization_profile()
    own.set_shape("x", (BATCH, 1, SIZE, SIZE), (BATCH, 1, SIZE, SIZE), (BATCH, 1, SIZE, SIZE))
    assert building.config.set_calibration_profile(own) and building.config.get_calibration_profile() is own
    building.config.int8_calibrator = Entropy2().start(n=2)
    fixed = Building()
    fixed.config.int8_calibrator = Entropy2().start(n=2)
    x = pictures(BATCH, 9).x
    found, wanted = building.scores(x), fixed.scores(x)
    assert np.abs(found - wanted).max() < 0.01 * np.abs(wanted).max()


def test_arrays_and_pointers_of_other_libraries_are_batches():
    class Arrays(Entropy2):
        def get_batch(self, names):
            return [self.arrays.pop()] if self.arrays else None

    class Pointers(Entropy2):
        def get_batch(self, names):
            if not self.arrays:
                return []
            self.now = np.ascontiguousarray(self.arrays.pop())
            return [ctypes.c_void_p(self.now.ctypes.data).value]

    caches = []
    for kind in (Entropy2, Arrays, Pointers):
        building = Building()
        calibrator = building.config.int8_calibrator = kind().start(n=2)
        building.plan()
        caches.append(calibrator.written)
    assert caches[0] == caches[1] == caches[2]


class Own(Batches, trt.IInt8Calibrator):
    algorithm = trt.CalibrationAlgoType.MINMAX_CALIBRATION

    def get_algorithm(self):
        return self.algorithm


def test_a_calibrator_chooses_its_algorithm_by_get_algorithm():
    caches = []
    for kind in (Own, MinMax, Entropy2):
        building = Building()
        calibrator = building.config.int8_calibrator = kind().start(n=2)
        building.plan()
        caches.append(calibrator.written)
    assert caches[0] == caches[1] != caches[2]
    building = Building()
    building.config.int8_calibrator = Own().start(n=1)
    building.config.int8_calibrator.algorithm = "minmax"
    with pytest.raises((DTypeError, FieldValueError), match="the algorithm of Own"):
        building.plan()


def test_plans_are_cached_with_a_calibrator_only_if_it_has_a_cache(tmp_path):
    model = tmp_path / "model.onnx"
    kernel = np.random.default_rng(3).standard_normal((4, 3, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n, *hw]) for name, n, hw in (
        ("x", 3, (8, 8)), ("y", 4, (6, 6)),
    )]  # fmt: skip
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [numpy_helper.from_array(kernel, "w")])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), model)

    def loaded(calibrator):
        def configure(config):
            config.set_flag(trt.BuilderFlag.INT8)
            config.default_device_type = trt.DeviceType.CPU
            config.int8_calibrator = calibrator

        trt.load(model, configure=configure, cache=tmp_path / "plans")(np.ones((1, 3, 8, 8), np.float32))
        return len(list((tmp_path / "plans").glob("**/*"))) if (tmp_path / "plans").exists() else 0

    class Noise(trt.IInt8MinMaxCalibrator):
        asked, cache = 0, None

        def get_batch(self, names):
            self.asked += 1
            return [np.ones((1, 3, 8, 8), np.float32)] if self.asked < 3 else None

        def read_calibration_cache(self):
            return self.cache

        def write_calibration_cache(self, cache):
            self.cache = cache

    first = Noise()
    assert loaded(first) == 0 and first.asked == 3
    again = Noise()
    again.cache = first.cache
    stored = loaded(again)
    assert stored > 0 and again.asked == 0
    assert loaded(again) == stored
    other = Noise()
    other.cache = b"TRT-8503-MinMaxCalibration\nx: 40000000\n"
    assert loaded(other) > stored


class Failing(Entropy2):
    def get_batch(self, names):
        raise OSError("no such folder")


class Many(Entropy2):
    def get_batch(self, names):
        return [1 << 20, 1 << 20]


class Small(Entropy2):
    def get_batch(self, names):
        return [3]


class Wide(Entropy2):
    def get_batch(self, names):
        return [np.zeros((BATCH, 1, SIZE, SIZE + 1), np.float32)]


class Text(Entropy2):
    cache = "TRT-8503-EntropyCalibration2"


class Writing(Entropy2):
    def write_calibration_cache(self, cache):
        raise OSError("disk full")


@pytest.mark.parametrize(
    ("calibrator", "message"),
    [
        (Failing().start(), r"calibrator Failing failed in get_batch\n.*OSError.*no such folder"),
        (Many().start(), r"Many.get_batch returned 2 values for 1 inputs"),
        (Small().start(), r"Small.get_batch failed\n[^$]*address of input 'x'"),
        (Wide().start(), r"cannot be calibrated with what Wide.get_batch returned\n.*ProfileError"),
        (Text().start(), r"Text.read_calibration_cache returned str, not bytes"),
        (Writing().start(n=1), r"Writing failed in write_calibration_cache\n.*disk full"),
        (Entropy2().start(n=0), r"Entropy2 gave no batch to calibrate with"),
        (trt.IInt8EntropyCalibrator2(), r"IInt8EntropyCalibrator2 failed in get_batch\n.*does not have get_batch"),
    ],
    ids=["raises", "too many", "no address", "wide", "text", "writing", "none", "base class"],
)
def test_a_calibrator_that_fails_fails_the_build(calibrator, message):
    building = Building()
    building.config.int8_calibrator = calibrator
    with pytest.raises(BuildError, match=message):
        building.plan()
    assert building.network.num_outputs == 1


def test_without_the_flag_a_calibrator_is_a_warning_and_is_not_asked():
    building = Building()
    building.config.clear_flag(trt.BuilderFlag.INT8)
    calibrator = building.config.int8_calibrator = Entropy2().start()
    building.plan()
    (text,) = building.log.warnings()
    assert text == "config.int8_calibrator has no effect: BuilderFlag.INT8 is not set." and calibrator.asked == []


def test_quantise_layers_of_the_network_go_before_a_calibrator():
    building = Building()
    scale = building.network.add_constant((1,), np.float32([0.1])).get_output(0)
    layer = building.network.get_layer(0)
    stored = building.network.add_quantize(layer.get_input(0), scale)
    real = building.network.add_dequantize(stored.get_output(0), scale)
    layer.set_input(0, real.get_output(0))
    calibrator = building.config.int8_calibrator = Entropy2().start()
    building.plan()
    (text,) = building.log.warnings()
    assert "has no effect: the network has Quantize or Dequantize layers" in text and calibrator.asked == []


def test_what_is_no_calibrator_is_refused_where_it_is_set():
    building = Building()
    for owner in (building.config, building.builder):
        with pytest.raises(DTypeError, match=r"int8_calibrator takes a calibrator, got object"):
            owner.int8_calibrator = object()
        assert owner.int8_calibrator is None
    with pytest.raises(DTypeError, match=r"set_calibration_profile takes an IOptimizationProfile, got int"):
        building.config.set_calibration_profile(3)


def test_older_scripts_give_the_builder_a_calibrator():
    building = Building()
    building.builder.int8_mode = True
    calibrator = building.builder.int8_calibrator = Entropy2().start(n=1)
    with pytest.warns(DeprecationWarning):
        engine = building.builder.build_cuda_engine(building.network)
    assert engine is not None and calibrator.written is not None

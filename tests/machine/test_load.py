"""`dovetail.load`: a model or a plan as a function of arrays."""

import os
import subprocess
import sys
import threading

import numpy as np
import onnx
import pytest
from networks import convolution_chain
from onnx import TensorProto, helper, numpy_helper
from onnx_models import model_of

import dovetail as trt
from dovetail.core import errors
from dovetail.machine import model_engine, model_source


class Log(trt.ILogger):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def log(self, severity, msg):
        self.lines.append((severity.name, msg))

    def said(self, severity):
        return [text for name, text in self.lines if name == severity]


def floats(name, *dims):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)


def twice(*dims):
    """y = x + x"""
    return model_of([("Add", ["x", "x"], ["y"], {})], [floats("x", *dims)])


@pytest.fixture
def builds(monkeypatch):
    """Counts the builds of a test."""
    done = []
    build = model_engine.build

    def counted(network, *more):
        done.append(network.name)
        return build(network, *more)

    monkeypatch.setattr(model_engine, "build", counted)
    return done


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "twice.onnx"
    onnx.save(twice("n", 3), path)
    return path


def ones(*shape):
    return np.ones(shape, np.float32)


def test_two_lines_run_a_model(file):
    engine = trt.load(file)
    assert engine(ones(2, 3)).tolist() == [[2, 2, 2], [2, 2, 2]]
    assert (engine.inputs, engine.outputs) == (["x"], ["y"])


def test_paths_bytes_and_models_are_taken(file):
    for given in (str(file), file, file.read_bytes(), onnx.load(file)):
        assert trt.load(given)(ones(1, 3)).tolist() == [[2, 2, 2]]


def test_a_model_of_known_extents_is_built_at_once(builds):
    model = trt.load(twice(2, 3))
    assert builds and model.engine is not None
    assert "Elementwise" in model.report() or "y" in model.report()


def test_inputs_come_in_order_by_name_or_as_a_dict():
    model = trt.load(model_of([("Sub", ["a", "b"], ["y"], {})], [floats("a", 2), floats("b", 2)]))
    a, b = np.array([5, 6], np.float32), np.array([1, 2], np.float32)
    for y in (model(a, b), model(a, b=b), model(b=b, a=a), model({"a": a, "b": b})):
        assert y.tolist() == [4, 4]
    for arrays, named, said in (
        ([a], {}, "missing  b"),
        ([a, b, b], {}, "unknown  array 3"),
        ([a], {"c": b}, "unknown  c"),
        ([a, b], {"a": a}, "given twice  a"),
    ):
        with pytest.raises(errors.BindingError) as error:
            model(*arrays, **named)
        assert said in str(error.value)
        assert "a, b" in str(error.value)


def test_several_outputs_are_a_dict_in_the_models_order():
    nodes = [("Add", ["x", "x"], ["sum"], {}), ("Mul", ["x", "x"], ["a.product"], {})]
    y = trt.load(model_of(nodes, [floats("x", 2)], ("sum", "a.product")))(np.array([3, 4], np.float32))
    assert list(y) == ["sum", "a.product"]
    assert y["a.product"].tolist() == [9, 16]


def test_half_precision_stays_what_it_is():
    model = model_of([("Add", ["x", "x"], ["y"], {})], [helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["n"])])
    y = trt.load(model)(np.array([1.5], np.float16))
    assert (y.dtype, y.tolist()) == (np.float16, [3.0])


def test_a_call_that_does_not_fit_widens_the_ranges_with_room(file, builds):
    log = Log()
    model = trt.load(file, logger=log)
    assert not builds
    assert model(ones(4, 3)).shape == (4, 3)
    assert model.engine.get_tensor_profile_shape("x", 0) == [(4, 3)] * 3
    assert model(ones(6, 3)).shape == (6, 3)
    assert [tuple(side) for side in model.engine.get_tensor_profile_shape("x", 0)] == [(4, 3), (6, 3), (12, 3)]
    for rows in (4, 5, 12):
        assert model(ones(rows, 3)).shape == (rows, 3)
    assert len(builds) == 2
    assert model(ones(1, 3)).shape == (1, 3)
    assert len(builds) == 3
    assert log.said("INFO")[0] == "'twice' is built again: x [4, 3] becomes x [4..12, 3]"


def test_what_has_no_room_is_built_for_the_shapes_alone(file, monkeypatch):
    build = model_engine.build

    def at_most_six_rows(network, config, log):
        if config.profiles[0].get_shape("x")[2][0] > 6:
            raise errors.BuildError("seven rows are too many")
        return build(network, config, log)

    monkeypatch.setattr(model_engine, "build", at_most_six_rows)
    log = Log()
    model = trt.load(file, logger=log)
    assert model(ones(2, 3)).shape == (2, 3)
    assert model(ones(5, 3)).shape == (5, 3)
    assert [side[0] for side in model.engine.get_tensor_profile_shape("x", 0)] == [2, 5, 5]
    assert log.said("INFO")[1] == "'twice' has no room for more than x [2..5, 3]: seven rows are too many"
    with pytest.raises(errors.BuildError, match="seven rows"):
        model(ones(7, 3))
    assert model(ones(3, 3)).shape == (3, 3)


def test_ranges_may_be_given(file, builds):
    model = trt.load(file, shapes={"x": ((1, 3), (4, 3), (8, 3))})
    assert len(builds) == 1
    for rows in (1, 8):
        assert model(ones(rows, 3)).shape == (rows, 3)
    assert len(builds) == 1
    assert model(ones(9, 3)).shape == (9, 3)
    assert len(builds) == 2
    exact = trt.load(file, shapes={"x": (2, 3)})
    assert exact.engine.get_tensor_profile_shape("x", 0) == [(2, 3)] * 3


def test_wrong_ranges_are_named(file):
    with pytest.raises(errors.DefinitionError, match="Did you mean 'x'"):
        trt.load(file, shapes={"xx": (2, 3)})
    with pytest.raises(errors.DefinitionError, match="smallest, likeliest and largest"):
        trt.load(file, shapes={"x": "2, 3"})
    with pytest.raises(errors.DefinitionError, match=r"needed  \[any, 3\]"):
        trt.load(file, shapes={"x": ((1, 3), (2, 3), (4, 4))})
    with pytest.raises(errors.DefinitionError, match=r"needed  \[2\]"):
        trt.load(twice(2), shapes={"x": (3,)})
    assert trt.load(twice(2), shapes={"x": (2,)})(ones(2)).tolist() == [2, 2]
    with pytest.raises(errors.ShapeError, match="out of order in dimension 0"):
        trt.load(file, shapes={"x": ((4, 3), (2, 3), (8, 3))})


def test_inputs_whose_contents_are_extents(builds):
    nodes = [("Expand", ["x", "dims"], ["y"], {})]
    inputs = [floats("x", 1), helper.make_tensor_value_info("dims", TensorProto.INT64, [2])]
    model = trt.load(model_of(nodes, inputs))
    for dims in ([2, 3], [4, 3], [1, 1]):
        assert model(ones(1), np.array(dims)).shape == tuple(dims)
    assert len(builds) == 3


def test_another_rank_or_a_fixed_extent_says_what_is_needed(file):
    model = trt.load(file)
    for shape in ((3,), (2, 4)):
        with pytest.raises(errors.BindingError, match=r"needed  \[any, 3\]"):
            model(ones(*shape))
    assert model(ones(2, 3)).shape == (2, 3)


def test_a_plan_is_taken_and_cannot_grow(file, tmp_path):
    model = trt.load(file, shapes={"x": ((1, 3), (2, 3), (4, 3))})
    model.save(tmp_path / "twice.plan")
    for given in (tmp_path / "twice.plan", (tmp_path / "twice.plan").read_bytes()):
        plan = trt.load(given)
        assert plan(ones(3, 3)).tolist() == [[2, 2, 2]] * 3
        with pytest.raises(errors.ProfileError, match=r"allowed 1\.\.4"):
            plan(ones(5, 3))
    with pytest.raises(errors.DefinitionError, match="was built already"):
        trt.load(tmp_path / "twice.plan", shapes={"x": (1, 3)})


def test_a_plan_is_the_first_that_a_process_loads(file, tmp_path):
    trt.load(file, shapes={"x": (2, 3)}).save(tmp_path / "twice.plan")
    script = f"import dovetail as trt; print(trt.load({str(tmp_path / 'twice.plan')!r}).inputs)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "['x']\n", done.stderr


def test_a_model_that_was_not_built_says_so(file):
    with pytest.raises(errors.DefinitionError, match="Call it once"):
        trt.load(file).report()


def test_files_that_are_not_models_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.onnx"):
        trt.load(tmp_path / "nowhere.onnx")
    with pytest.raises(errors.DefinitionError, match="load cannot take a NoneType"):
        trt.load(None)
    with pytest.raises(IsADirectoryError):
        trt.load(tmp_path)
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(errors.PlanCorrupt, match=r"pipe\.onnx' is not a regular file"):
        trt.load(tmp_path / "pipe.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(errors.DefinitionError, match=r"text\.onnx' cannot be imported"):
        trt.load(tmp_path / "text.onnx")
    (tmp_path / "engine.trt").write_bytes(b"ftrt" + bytes(100))
    with pytest.raises(errors.PlanCorrupt):
        trt.load(tmp_path / "engine.trt")


def test_a_model_that_cannot_be_imported_names_the_node():
    with pytest.raises(errors.DefinitionError, match="NoSuchOperator") as error:
        trt.load(model_of([("NoSuchOperator", ["x"], ["y"], {})], [floats("x", 2)]))
    assert len(error.value.errors) >= 1


def test_the_build_can_be_configured(file):
    seen = []
    trt.load(twice(2), configure=lambda config: seen.append(config), device="cpu")
    assert seen[0].default_device_type == trt.DeviceType.CPU
    with pytest.raises(errors.DefinitionError, match='"cpu" or "gpu"'):
        trt.load(twice(2), device="tpu")


# ---- the cache
def test_a_cached_plan_is_taken_without_reading_the_model_again(file, tmp_path, builds, monkeypatch):
    cache = tmp_path / "cache"
    trt.load(file, cache=cache)(ones(2, 3))
    assert len(builds) == 1
    monkeypatch.setattr(model_source, "OnnxParser", None)
    again = trt.load(file, cache=cache)
    assert again(ones(2, 3)).tolist() == [[2, 2, 2]] * 2
    assert len(builds) == 1


def test_a_plugin_that_was_loaded_since_may_build_another_plan(file, tmp_path, builds):
    trt.load(file, cache=tmp_path, shapes={"x": (1, 3)})
    registry = trt.get_plugin_registry()

    @trt.op("cached::Thrice@1")
    def thrice(x: trt.Input(trt.float32)):
        """y = 3 * x."""
        return 3 * x

    registry.add_op(thrice, owner="cached")
    try:
        trt.load(file, cache=tmp_path, shapes={"x": (1, 3)})
        assert len(builds) == 2
    finally:
        registry.deregister_library(registry.record_of("cached::Thrice@1"))
    trt.load(file, cache=tmp_path, shapes={"x": (1, 3)})
    assert len(builds) == 2, "the first plan is there still"


def test_the_cached_plan_grows_with_the_calls(file, tmp_path, builds):
    trt.load(file, cache=tmp_path)(ones(2, 3))
    second = trt.load(file, cache=tmp_path)
    assert second(ones(5, 3)).shape == (5, 3)
    assert len(builds) == 2
    third = trt.load(file, cache=tmp_path)
    for rows in (2, 10):
        assert third(ones(rows, 3)).shape == (rows, 3)
    assert len(builds) == 2
    assert len(list(tmp_path.glob("twice-*.plan"))) == 1
    assert not list(tmp_path.glob("*.part"))


def test_another_model_of_the_same_name_is_not_taken_for_it(file, tmp_path, builds):
    plan = tmp_path / "cache" / "my.plan"
    trt.load(file, cache=plan, shapes={"x": (1, 3)})
    assert plan.is_file()
    onnx.save(
        model_of([("Mul", ["x", "three"], ["y"], {})], [floats("x", "n", 3)], weights={"three": 3 * ones(1)}), file
    )
    log = Log()
    model = trt.load(file, cache=plan, shapes={"x": (1, 3)}, logger=log)
    assert model(ones(1, 3)).tolist() == [[3, 3, 3]]
    assert len(builds) == 2
    assert "is not used" in log.said("INFO")[0]


def test_a_damaged_plan_in_the_cache_is_made_again(file, tmp_path, builds):
    plan = tmp_path / "my.plan"
    plan.write_bytes(b"damaged")
    assert trt.load(file, cache=plan)(ones(1, 3)).tolist() == [[2, 2, 2]]
    assert trt.load(file, cache=plan)(ones(1, 3)).tolist() == [[2, 2, 2]]
    assert len(builds) == 1


def test_weights_in_other_files_count(tmp_path, builds):
    model = model_of([("Add", ["x", "w"], ["y"], {})], [floats("x", 4)], weights={"w": np.zeros(4, np.float32)})
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert trt.load(path, cache=tmp_path)(ones(4)).tolist() == [1, 1, 1, 1]
    np.full(4, 2, np.float32).tofile(tmp_path / "w.bin")
    assert trt.load(path, cache=tmp_path)(ones(4)).tolist() == [3, 3, 3, 3]
    assert len(builds) == 2


def test_settings_count(tmp_path, builds):
    def quickly(config):
        config.builder_optimization_level = 0

    trt.load(twice(2), cache=tmp_path)
    trt.load(twice(2), cache=tmp_path, configure=quickly)
    trt.load(twice(2), cache=tmp_path, configure=quickly)
    assert len(builds) == 2


def test_a_cache_that_cannot_be_written_is_a_warning(file, tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    log = Log()
    assert trt.load(file, cache=tmp_path / "taken", logger=log)(ones(1, 3)).tolist() == [[2, 2, 2]]
    assert "cannot be kept" in log.said("WARNING")[0]


def test_threads_share_a_model_that_grows(file):
    model = trt.load(file)
    wrong = []

    def call(rows):
        for shift in range(6):
            x = np.full((rows + shift, 3), rows, np.float32)
            if not np.array_equal(model(x), 2 * x):
                wrong.append(rows)

    threads = [threading.Thread(target=call, args=(rows,)) for rows in (1, 3, 5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_networks_built_by_hand_are_loaded_as_plans():
    builder, network, config = convolution_chain(1)
    plan = builder.build_serialized_network(network, config)
    x = np.random.default_rng(0).standard_normal((1, 3, 24, 24), dtype=np.float32)
    runtime = trt.Runtime(builder.logger)
    expected = runtime.deserialize_cuda_engine(plan).create_execution_context().run(x)["y"]
    np.testing.assert_array_equal(trt.load(plan)(x), expected)


def test_constants_may_be_outputs():
    model = model_of([("Identity", ["w"], ["y"], {})], [floats("x", 1)], weights={"w": np.array([7], np.float32)})
    assert numpy_helper.to_array(model.graph.initializer[0]).tolist() == [7]
    assert trt.load(model)(ones(1)).tolist() == [7]


# ---- types that networks lack


@pytest.mark.parametrize("kind", [np.float64, np.int16, np.uint16, np.uint32, np.uint64])
@pytest.mark.parametrize("dims", [(3,), ("n",)])
def test_inputs_of_types_that_networks_lack_are_converted(kind, dims, tmp_path):
    elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    inputs = [helper.make_tensor_value_info("x", elem_type, dims), floats("z", *dims)]
    model = model_of([("Cast", ["x"], ["f"], {"to": TensorProto.FLOAT}), ("Add", ["f", "z"], ["y"], {})], inputs)
    path, log = tmp_path / "model.onnx", Log()
    path.write_bytes(model.SerializeToString())
    x, z = np.array([1, 2, 3], kind), np.ones(3, np.float32)
    for given in (model, path, path):  # built, built, from the cache
        log.lines.clear()
        loaded = trt.load(given, cache=tmp_path / "plans", logger=log)
        assert loaded(x, z).tolist() == loaded(x=x, z=z).tolist() == [2, 3, 4]
    with pytest.raises(errors.BindingError, match="input 'z' cannot be float64"):
        loaded(x, z.astype(np.float64))


def test_arrays_of_other_types_than_the_model_declares_are_refused():
    with pytest.raises(errors.BindingError, match="input 'x' cannot be float64"):
        trt.load(twice(2))(np.ones(2))
    model = model_of([("Exp", ["x"], ["y"], {})], [helper.make_tensor_value_info("x", TensorProto.DOUBLE, (2,))])
    with pytest.raises(errors.BindingError, match="input 'x' cannot be int16"):
        trt.load(model, logger=Log())(np.ones(2, np.int16))


def test_shapes_are_given_by_input():
    with pytest.raises(errors.DefinitionError, match="shapes cannot be a list"):
        trt.load(twice("n"), shapes=[(2,)])


@pytest.mark.parametrize("given", [{"cache": 5}, {"configure": "fp16"}, {"logger": "x"}, {"logger": 0}])
def test_arguments_of_other_types_are_refused(given):
    with pytest.raises(errors.DTypeError, match=f"{next(iter(given))}"):
        trt.load(twice(2), **given)

"""Contexts: addresses, arrays, threads, profilers."""

import threading

import numpy as np
import pytest
from networks import convolution_chain, engine_of, new_network

import dovetail as trt


@pytest.fixture(scope="module")
def engine():
    return engine_of(*convolution_chain(3))


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((1, 3, 24, 24), dtype=np.float32)


def test_addresses_arrays_and_names_give_the_same(engine, x):
    context = engine.create_execution_context()
    by_run = context.run({"x": x})["y"]
    y = np.empty_like(by_run)
    assert context.execute_v2([x.ctypes.data, y.ctypes.data])
    np.testing.assert_array_equal(y, by_run)
    y[:] = 0
    context.set_tensor_address("x", x.ctypes.data)
    context.set_tensor_address("y", y.ctypes.data)
    assert context.execute_async_v3(0)
    np.testing.assert_array_equal(y, by_run)


def test_results_may_be_written_in_place(engine, x):
    context = engine.create_execution_context()
    y = np.empty((1, 32, 24, 24), np.float32)
    result = context.run({"x": x}, outputs={"y": y})["y"]
    assert np.shares_memory(result, y)
    np.testing.assert_array_equal(y, context.run({"x": x})["y"])


def test_an_only_input_needs_no_name(engine, x):
    context = engine.create_execution_context()
    expected = context.run({"x": x})["y"]
    for given in (x, [x], (x,), memoryview(x)):
        np.testing.assert_array_equal(context.run(given)["y"], expected)


def test_several_inputs_come_in_the_engines_order():
    builder, network, config = new_network()
    a, b = (network.add_input(name, trt.float32, (3,)) for name in ("a", "b"))
    y = network.add_elementwise(a, b, trt.ElementWiseOperation.SUB).get_output(0)
    y.name = "y"
    network.mark_output(y)
    context = engine_of(builder, network, config).create_execution_context()
    ones = np.ones(3, np.float32)
    assert context.run([3 * ones, ones])["y"].tolist() == [2, 2, 2]
    for given, said in ((ones, "one ndarray"), ([ones], "1 arrays"), ([ones] * 3, "3 arrays"), (None, "one NoneType")):
        with pytest.raises(trt.errors.BindingError) as error:
            context.run(given)
        assert f"cannot match {said} with the 2 inputs" in str(error.value)
        assert "a, b" in str(error.value)


def test_a_list_of_numbers_is_not_taken_for_inputs(engine):
    with pytest.raises(trt.errors.BindingError, match=r"np\.asarray"):
        engine.create_execution_context().run([1.0, 2.0])


def test_strided_inputs_are_copied_right(engine, x):
    wide = np.zeros((1, 3, 24, 48), np.float32)
    wide[..., ::2] = x
    context = engine.create_execution_context()
    np.testing.assert_array_equal(context.run({"x": wide[..., ::2]})["y"], context.run({"x": x})["y"])


def test_dlpack_and_buffers_are_taken(engine, x):
    class Exchanged:
        def __dlpack_device__(self):
            return x.__dlpack_device__()

        def __dlpack__(self, **arguments):
            return x.__dlpack__(**arguments)

    context = engine.create_execution_context()
    expected = context.run({"x": x})["y"]
    np.testing.assert_array_equal(context.run({"x": Exchanged()})["y"], expected)
    np.testing.assert_array_equal(context.run({"x": memoryview(x)})["y"], expected)


def test_contexts_run_at_once(engine):
    inputs = [np.random.default_rng(i).standard_normal((1, 3, 24, 24), dtype=np.float32) for i in range(4)]
    expected = [engine.create_execution_context().run({"x": x})["y"] for x in inputs]
    wrong = []

    def work(index):
        context = engine.create_execution_context()
        for _ in range(50):
            if not np.array_equal(context.run({"x": inputs[index]})["y"], expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_profiler_hears_of_every_step(engine, x):
    class Profiler:
        def __init__(self):
            self.heard = []

        def report_layer_time(self, layer_name, ms):
            self.heard.append((layer_name, ms))

    context = engine.create_execution_context()
    context.profiler = Profiler()
    context.run({"x": x})
    assert len(context.profiler.heard) == engine.num_layers
    assert all(ms >= 0 for _, ms in context.profiler.heard)


def test_memory_may_be_the_users(engine, x):
    context = engine.create_execution_context_without_device_memory()
    memory = np.zeros(engine.device_memory_size + 64, np.uint8)
    context.device_memory = memory.ctypes.data + -memory.ctypes.data % 64
    np.testing.assert_array_equal(context.run({"x": x})["y"], engine.create_execution_context().run({"x": x})["y"])


def test_queries_by_name_and_by_binding_agree(engine):
    assert [engine[i] for i in range(engine.num_bindings)] == ["x", "y"] == list(engine)
    assert engine.get_binding_index("y") == 1 == engine["y"]
    assert engine.get_tensor_mode("x") == trt.TensorIOMode.INPUT
    assert not engine.binding_is_input(1)
    assert engine.get_tensor_dtype("x") == trt.float32 == engine.get_binding_dtype(0)
    assert tuple(engine.get_tensor_shape("y")) == (1, 32, 24, 24)
    assert engine.get_tensor_vectorized_dim("x") == -1
    inspector = engine.create_engine_inspector()
    assert "Convolution" in inspector.get_layer_information(0, trt.LayerInformationFormat.JSON) or engine.num_layers
    assert "Layers" in inspector.get_engine_information(trt.LayerInformationFormat.JSON)


def test_a_plan_can_be_written_like_bytes(tmp_path):
    builder, network, config = convolution_chain(1)
    plan = builder.build_serialized_network(network, config)
    with open(tmp_path / "a.plan", "wb") as file:
        file.write(plan)
    plan.save(tmp_path / "b.plan")
    assert (tmp_path / "a.plan").read_bytes() == (tmp_path / "b.plan").read_bytes() == bytes(plan)
    assert len(plan) == plan.nbytes == len(bytes(plan))

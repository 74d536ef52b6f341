"""What a call does when it fails: False or None and a line in the log, or an exception."""

import os
import subprocess
import sys

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import BindingError, BuildError, PlanCorrupt, ProfileError


class Log(trt.ILogger):
    def __init__(self):
        super().__init__()
        self.errors = []

    def log(self, severity, msg):
        if severity == trt.Logger.ERROR:
            self.errors.append(msg)


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def as_tensorrt():
    with trt.raise_on_error(False):
        yield


def network_and_config(log):
    builder = trt.Builder(log)
    network, config = builder.create_network(), builder.create_builder_config()
    layer = network.add_activation(network.add_input("x", trt.float32, (-1, 3)), trt.ActivationType.RELU)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (1, 3), (2, 3), (4, 3))
    config.add_optimization_profile(profile)
    return builder, network, config


@pytest.fixture
def context(log):
    return trt.Builder(log).build_engine(*network_and_config(log)[1:]).create_execution_context()


@pytest.mark.usefixtures("as_tensorrt")
def test_a_build_that_fails_returns_none_and_logs_why(log):
    builder, network, config = network_and_config(log)
    assert builder.build_serialized_network(builder.create_network(), config) is None
    assert builder.build_engine(builder.create_network(), config) is None
    assert log.errors == ["BuildError: the network has no outputs\n  Call network.mark_output(tensor)."] * 2
    assert builder.build_serialized_network(network, None) is None
    assert "takes an IBuilderConfig, got NoneType" in log.errors[-1]


@pytest.mark.usefixtures("as_tensorrt")
def test_a_plan_that_is_none_returns_none(log):
    runtime = trt.Runtime(log)
    assert runtime.deserialize_cuda_engine(b"nonsense") is None
    assert log.errors[0].startswith("PlanCorrupt: ")
    assert runtime.deserialize_cuda_engine(b"") is None


@pytest.mark.usefixtures("as_tensorrt")
def test_what_a_failed_build_returned_says_so_where_it_is_used(log):
    builder, network, _ = network_and_config(log)
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    engine = trt.Runtime(log).deserialize_cuda_engine(plan)
    assert plan is None and not engine
    with pytest.raises(BuildError, match="there is no plan") as error:
        engine.create_execution_context()
    assert "input 'x' [-1, 3] has unknown extents and no profile" in str(error.value)
    with pytest.raises(BuildError, match="there is no plan"), engine:
        pass


@pytest.mark.usefixtures("as_tensorrt")
@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda c: c.set_input_shape("x", (9, 3)), "ProfileError: input 'x'"),
        (lambda c: c.set_input_shape("nobody", (1, 3)), "BindingError: the engine has no input or output 'nobody'"),
        (lambda c: c.set_input_shape("y", (1, 3)), "BindingError: 'y' is an output"),
        (lambda c: c.set_binding_shape(0, (2, 2, 2)), ""),
        (lambda c: c.set_binding_shape(7, (1, 3)), "BindingError: the engine has no binding 7"),
        (lambda c: c.set_shape_input(0, [1]), "BindingError: 'x'"),
        (lambda c: c.set_tensor_address("nobody", 64), "BindingError: the engine has no input or output 'nobody'"),
        (lambda c: c.set_output_allocator("x", trt.IOutputAllocator()), "BindingError: 'x' is an input"),
        (lambda c: c.set_optimization_profile_async(3, 0), ""),
        (lambda c: c.execute_async_v3(0), ""),
        (lambda c: c.execute_v2([0]), "BindingError: 1 addresses were given for 2"),
        (lambda c: c.execute_async_v2([0], 0), "BindingError: 1 addresses were given for 2"),
        (lambda c: c.execute(1, [0]), "BindingError: 1 addresses were given for 2"),
        (lambda c: c.execute_async(1, [0], 0), "BindingError: 1 addresses were given for 2"),
    ],
)
def test_a_method_of_a_context_that_fails_returns_false_and_logs_why(context, log, call, reason):
    assert call(context) is False
    assert len(log.errors) == 1 and log.errors[0].startswith(reason)


@pytest.mark.usefixtures("as_tensorrt")
def test_methods_of_dovetails_own_raise_whatever_was_chosen(context):
    with pytest.raises(ProfileError):
        context.run({"x": np.zeros((9, 3), np.float32)})
    with pytest.raises(BindingError):
        context.engine.get_tensor_profile_shape("y", 0)


def test_raise_on_error_is_a_call_and_a_context_manager(context):
    with trt.raise_on_error(False):
        assert context.set_input_shape("x", (9, 3)) is False
        with trt.raise_on_error(), pytest.raises(ProfileError):
            context.set_input_shape("x", (9, 3))
        assert context.set_input_shape("x", (9, 3)) is False
        trt.raise_on_error(True)
        with pytest.raises(PlanCorrupt):
            trt.Runtime(trt.ILogger()).deserialize_cuda_engine(b"nonsense")
        with pytest.raises(BuildError, match="there is no plan"):
            trt.Runtime(trt.ILogger()).deserialize_cuda_engine(None)
    with pytest.raises(BindingError):  # as tests/conftest.py says
        context.set_input_shape("nobody", (9, 3))


@pytest.mark.parametrize(
    ("value", "module", "prints"),
    [
        (None, "dovetail", "None BuildError"),
        (None, "dovetail.tensorrt", "None None"),
        ("0", "dovetail", "None None"),
        ("1", "dovetail", "PlanCorrupt BuildError"),
        ("1", "dovetail.tensorrt", "PlanCorrupt BuildError"),
        ("no?", "dovetail", "DefinitionError DefinitionError"),
    ],
)
def test_the_environment_and_the_name_choose_for_a_process(value, module, prints):
    code = (
        f"import {module} as trt\n"
        "builder = trt.Builder(trt.ILogger())\n"
        "def result(call, *arguments):\n"
        "    try: return call(*arguments)\n"
        "    except Exception as error: return type(error).__name__\n"
        "print(result(trt.Runtime(trt.ILogger()).deserialize_cuda_engine, b'nonsense'), end=' ')\n"
        "with trt.raise_on_error(): network = builder.create_network()\n"
        "print(result(builder.build_engine, network, builder.create_builder_config()))"
    )
    environment = {name: text for name, text in os.environ.items() if name != "DOVETAIL_RAISE_ON_ERROR"}
    if value is not None:
        environment["DOVETAIL_RAISE_ON_ERROR"] = value
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == prints


@pytest.mark.usefixtures("as_tensorrt")
def test_an_error_recorder_gets_every_error(log):
    recorder, runtime = trt.IErrorRecorder(), trt.Runtime(log)
    runtime.error_recorder = recorder
    assert runtime.deserialize_cuda_engine(b"nonsense") is None
    assert recorder.num_errors() == 1 and recorder.get_error_desc(0).startswith("PlanCorrupt: ")
    assert recorder.get_error_code(0) == PlanCorrupt.code and not recorder.has_overflowed()
    recorder.clear()
    assert recorder.num_errors() == 0

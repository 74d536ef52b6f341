"""Golden error texts: what a user reads when something is wrong, kept in golden/messages.txt.

A changed message is a reviewed change: `pytest tests/test_messages.py --refresh-golden` rewrites the file. What
depends on the machine (folders, instruction sets, versions) is replaced before texts are compared.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import engine_of, new_network, profile_of

import dovetail as trt
from dovetail import _native
from dovetail.core.errors import DovetailError
from dovetail.core.types import FLOATS
from dovetail.machine import devices
from dovetail.registry.loader import load_entry_points
from dovetail.registry.registry import Registry

GOLDEN = Path(__file__).parent / "golden" / "messages.txt"
PLAN = Path(__file__).parent / "runtime" / "golden" / "everything_1_0.safetensors"
CASES = {}


def case(function):
    CASES[function.__name__.replace("_", " ")] = function
    return function


def convolution(network, x, **changes):
    fields = {"num_output_maps": 2, "kernel_size_nd": (3, 3), "kernel": np.ones((2, 4, 3, 3), np.float32)}
    return network.add_plugin("Convolution", [x], fields | changes, layer_name="stem")


def network_and_input(shape=(1, 4, 8, 8)):
    builder, network, config = new_network()
    return builder, network, config, network.add_input("x", trt.float32, shape)


def load(plan):
    trt.Runtime(trt.Logger(trt.Logger.INTERNAL_ERROR)).deserialize_cuda_engine(plan)


def small_engine():
    """y = relu(x) for x of 1..8 rows, 4 columns."""
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (-1, 4))
    x.set_dimension_name(0, "batch")
    y = network.add_activation(x, trt.ActivationType.RELU).get_output(0)
    y.name = "y"
    network.mark_output(y)
    profile_of(builder, config, x=((1, 4), (4, 4), (8, 4)))
    return builder, network, config


@case
def an_unknown_plugin(folder):
    _, network, _, x = network_and_input()
    network.add_plugin("Convolutoin", [x])


@case
def an_unknown_version(folder):
    _, network, _, x = network_and_input()
    network.add_plugin("Scale", [x], version="7")


@case
def an_unknown_namespace(folder):
    _, network, _, x = network_and_input()
    network.add_plugin("Scale", [x], namespace="acme")


@case
def a_wrong_field_name(folder):
    _, network, _, x = network_and_input()
    convolution(network, x, strid_nd=(1, 1))


@case
def a_wrong_field_type(folder):
    _, network, _, x = network_and_input()
    convolution(network, x, stride_nd=(1.5, 1))


@case
def a_wrong_number_of_values(folder):
    _, network, _, x = network_and_input()
    convolution(network, x, stride_nd=(1,) * 9)


@case
def a_field_out_of_range(folder):
    _, network, _, x = network_and_input()
    convolution(network, x, num_groups=0)


@case
def weights_that_do_not_fit(folder):
    builder, network, config, x = network_and_input()
    network.mark_output(convolution(network, x, kernel=np.ones((2, 4, 3, 2), np.float32)).get_output(0))
    builder.build_serialized_network(network, config)


@case
def channels_that_groups_do_not_divide(folder):
    _, network, _, x = network_and_input()
    convolution(network, x, num_groups=3)


@case
def an_extent_below_one(folder):
    _, network, _, x = network_and_input((1, 4, 2, 8))
    convolution(network, x)


@case
def a_rank_that_is_too_small(folder):
    _, network, _, x = network_and_input((4, 8, 8))
    convolution(network, x)


@case
def a_flag_that_is_a_text(folder):
    new_network()[2].set_flag("fp16")


@case
def a_shape_that_is_a_number(folder):
    new_network()[1].add_input("x", trt.float32, 5)


@case
def a_type_of_numpys(folder):
    new_network()[1].add_input("x", np.float32, (1, 3))


@case
def a_field_that_is_given_twice(folder):
    _, network, _, x = network_and_input()
    fields = trt.PluginFieldCollection([trt.PluginField("alpha", np.float32(value)) for value in (1, 2)])
    network.add_plugin("Activation", [x], fields)


@case
def a_plugin_that_nvidia_ships(folder):
    _, network, _, x = network_and_input()
    network.add_plugin("InstanceNormalization_TRT", [x])


@case
def a_plan_that_is_a_number(folder):
    with trt.raise_on_error(True):
        load(5)


@case
def bindings_that_are_none(folder):
    with trt.raise_on_error(True):
        engine_of(*small_engine()).create_execution_context().execute_v2(None)


@case
def a_type_that_a_layer_does_not_take(folder):
    _, network, _ = new_network()
    convolution(network, network.add_input("x", trt.int32, (1, 4, 8, 8)))


@case
def a_name_that_is_taken(folder):
    _, network, _, _ = network_and_input()
    network.add_input("x", trt.float32, (1,))


@case
def an_if_on_an_unknown_extent(folder):
    class Careless(trt.Plugin):
        """y = x, or its half."""

        namespace = "acme"
        x = trt.Input(FLOATS)
        y = trt.Output(like="x")

        def infer(self, x):
            return x.like([4, 4]) if x.dims[0] > 4 else x.like()

        def reference(self, x):
            return x

    registry = Registry()
    registry.add_op(Careless)
    network = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR), registry).create_network()
    network.add_plugin("acme::Careless", [network.add_input("x", trt.float32, (-1, 4))])


@case
def no_output(folder):
    builder, network, config, _ = network_and_input()
    builder.build_serialized_network(network, config)


@case
def no_profile(folder):
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (-1, 4))
    network.mark_output(network.add_activation(x, trt.ActivationType.RELU).get_output(0))
    builder.build_serialized_network(network, config)


@case
def a_profile_out_of_order(folder):
    profile = trt.Builder(trt.Logger()).create_optimization_profile()
    profile.set_shape("x", (1, 4), (9, 4), (8, 4))


@case
def a_format_that_nobody_supports(folder):
    @trt.op("acme::Shy@1")
    def shy(x: trt.Input((trt.float32,))):
        """y = x."""
        return x

    registry = Registry()
    load_entry_points(registry)
    registry.add_op(shy)
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    builder = trt.Builder(logger, registry)
    network, config = builder.create_network(), builder.create_builder_config()
    config.allow_reference = False
    layer = network.add_plugin("acme::Shy", [network.add_input("x", trt.float32, (4,))], layer_name="shy")
    network.mark_output(layer.get_output(0))
    builder.build_serialized_network(network, config)


def build_for_the_gpu(name, *gpus, reason=""):
    """Build a layer that only NumPy computes for the GPU, where these are the GPUs there are."""

    @trt.op(f"acme::{name}@1")
    def function(x: trt.Input((trt.float32,))):
        """y = x."""
        return x

    registry = Registry()
    registry.add_op(function)
    builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR), registry)
    network, config = builder.create_network(), builder.create_builder_config()
    config.default_device_type = trt.DeviceType.GPU
    layer = network.add_plugin(f"acme::{name}", [network.add_input("x", trt.float32, (4,))], layer_name="only")
    network.mark_output(layer.get_output(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "gpus", lambda: (list(gpus), reason))
        builder.build_serialized_network(network, config)


@case
def a_gpu_that_does_not_work(folder):
    build_for_the_gpu("Modest", reason="no NVIDIA driver: libcuda.so.1: cannot open shared object file")


@case
def a_layer_that_the_gpu_cannot_run(folder):
    build_for_the_gpu("Timid", {"name": "NVIDIA A100-SXM4-80GB", "sm": 80})


@case
def a_truncated_plan(folder):
    load(PLAN.read_bytes()[:-64])


@case
def a_plan_with_a_flipped_bit(folder):
    plan = bytearray(PLAN.read_bytes())
    plan[-1] ^= 1
    load(bytes(plan))


@case
def a_plan_whose_plugin_is_missing(folder):
    plan = PLAN.read_bytes().replace(b"tiny", b"huge")
    at = re.search(rb'"checksum": ?"', plan).end()
    blank = plan[:at] + b"0" * 16 + plan[at + 16 :]
    load(plan[:at] + _native.checksum(blank).encode() + plan[at + 16 :])


@case
def a_foreign_file_as_a_plan(folder):
    load(b"\x89PNG\r\n\x1a\n" + bytes(200))


@case
def a_wrong_rank_at_run_time(folder):
    engine_of(*small_engine()).create_execution_context().run({"x": np.zeros((2, 4, 1), np.float32)})


@case
def a_shape_outside_the_profile(folder):
    engine_of(*small_engine()).create_execution_context().run({"x": np.zeros((9, 4), np.float32)})


@case
def a_wrong_type_at_run_time(folder):
    engine_of(*small_engine()).create_execution_context().run({"x": np.zeros((2, 4))})


@case
def an_input_that_is_missing(folder):
    engine_of(*small_engine()).create_execution_context().run({"z": np.zeros((2, 4), np.float32)})


@case
def an_address_that_is_missing(folder):
    context = engine_of(*small_engine()).create_execution_context()
    context.set_input_shape("x", (2, 4))
    context.execute_async_v3()


@case
def an_output_that_is_unknown(folder):
    engine_of(*small_engine()).get_tensor_shape("z")


@case
def a_library_that_is_none(folder):
    (folder / "libnone.so").write_bytes(b"not a library")
    trt.get_plugin_registry().load_library(folder / "libnone.so")


@case
def a_library_that_is_not_there(folder):
    trt.get_plugin_registry().load_library(folder / "libabsent.so")


def stable(text: str, folder: Path) -> str:
    """The text without what differs from machine to machine and from run to run."""
    text = text.replace(str(folder), "<folder>").replace(str(Path(__file__).parent), "<tests>")
    text = re.sub(r"on this cpu \([^)]*\)", "on this cpu (<instruction sets>)", text)
    return re.sub(rf"\b{re.escape(trt.__version__)}\b", "<version>", re.sub(r"\.py:\d+", ".py:<line>", text))


def collected(folder: Path) -> dict[str, str]:
    """The message of each case, by its name."""
    found = {}
    for index, (name, function) in enumerate(CASES.items()):
        own = folder / str(index)
        own.mkdir()
        with pytest.raises(DovetailError) as error:
            function(own)
        found[name] = stable(f"{type(error.value).__name__}: {error.value}", own)
    return found


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """Collected in a process of its own: messages list plugins, and other tests leave theirs in the registry."""
    command = [sys.executable, __file__, str(tmp_path_factory.mktemp("messages"))]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent / "support")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_messages_are_those_that_were_reviewed(messages, request):
    text = "\n\n".join(f"# {name}\n{message}" for name, message in messages.items()) + "\n"
    if request.config.getoption("--refresh-golden"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8"), "a message changed; pytest --refresh-golden if that is meant"


@pytest.mark.parametrize("name", CASES)
def test_a_message_has_the_agreed_anatomy(messages, name):
    first, *rest = messages[name].splitlines()
    assert re.match(r"\w+: \S", first)
    assert all(line.startswith("  ") for line in rest), "facts and hints are indented by two spaces"
    assert len(rest) < 10 and max(map(len, [first, *rest])) <= 110
    assert messages[name].isascii()
    empty = re.search(r"\b(failed to|invalid argument|sorry|oops)\b|!", messages[name], re.IGNORECASE)
    assert not empty, "words that say nothing"


if __name__ == "__main__":
    print(json.dumps(collected(Path(sys.argv[1]))))

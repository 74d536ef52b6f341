"""A V2 class that throws or refuses costs one call: a code, a sentence, and the process lives on."""

import pytest

# method -> (step at which the host hears of it, what is said where the method refuses in its own way)
FAILS = {
    "createPlugin": ("create", "returned nullptr"),
    "setPluginNamespace": ("create", None),
    "getNbOutputs": ("count_outputs", "returned -1 outputs"),
    "getOutputDataType": ("infer_type", "returned 77 for output 0, which is not a data type"),
    "getOutputDimensions": ("infer_dims", "output 0 cannot be computed from these inputs (nbDims -1)"),
    "supportsFormatCombination": ("supports", None),
    "clone": ("clone", "returned nullptr"),
    "configurePlugin": ("configure", None),
    "initialize": ("workspace", "returned 3, 0 is success"),
    "getWorkspaceSize": ("workspace", None),
    "attachToContext": ("make_context", None),
    "enqueue": ("enqueue", "returned 3, 0 is success"),
    "getSerializationSize": ("save", None),
    "serialize": ("save", None),
    "deserializePlugin": ("load", "returned nullptr"),
}
SILENT = ("detachFromContext", "terminate", "destroy")  # nobody can be told; the log is


def run(toolchain, host, probe, method, how):
    """The line of the failure, and how many objects were left when all was over."""
    lines = toolchain.run(host, "run", probe, "acme::Probe@1", f"fail:str={method}", f"how:str={how}")
    left = [line for line in lines if line.endswith(" left")]
    assert not left or left[-1] == "  0 left"
    return [line for line in lines if "Probe::" in line and "3 bytes" not in line]


@pytest.mark.parametrize("method", FAILS)
def test_a_throw_becomes_a_code_with_class_method_and_text(toolchain, host, probe, method):
    step, _ = FAILS[method]
    assert run(toolchain, host, probe, method, "throw") == [
        f"{step}: PLUGIN_FAILED, std::runtime_error: Probe::{method}(): as told, in {method}"
    ]


@pytest.mark.parametrize("method", [m for m in FAILS if m != "configurePlugin"])
def test_what_is_no_exception_is_caught_too(toolchain, host, probe, method):
    step, _ = FAILS[method]
    assert run(toolchain, host, probe, method, "int") == [
        f"{step}: PLUGIN_FAILED, unknown: Probe::{method}(): threw something that is not a std::exception"
    ]


@pytest.mark.parametrize("method", [m for m in FAILS if FAILS[m][1]])
def test_a_refusal_in_tensorrts_way_gets_a_sentence(toolchain, host, probe, method):
    step, text = FAILS[method]
    code = "SHAPE" if method == "getOutputDimensions" else "PLUGIN_FAILED"
    assert run(toolchain, host, probe, method, "code") == [
        f"{step}: {code}, dovetail::Error: Probe::{method}(): {text}"
    ]


@pytest.mark.parametrize("method", SILENT)
def test_what_cannot_fail_is_logged_and_goes_on(toolchain, host, probe, method):
    lines = run(toolchain, host, probe, method, "throw")
    assert set(lines) == {f"  error Probe::{method}(): as told, in {method}"}


def test_a_buffer_overrun_in_serialize_is_found(toolchain, host, probe):
    assert run(toolchain, host, probe, "getSerializationSize", "code") == [
        "save: PLUGIN_FAILED, dovetail::Error: Probe::serialize(): "
        "wrote past the 84 bytes that getSerializationSize() says"
    ]


def test_a_throw_at_execution_names_the_same_method(toolchain, host, probe):
    assert run(toolchain, host, probe, "configurePlugin at execution", "throw") == [
        "shape_changed: PLUGIN_FAILED, std::runtime_error: Probe::configurePlugin(): as told, at execution"
    ]


def test_a_failure_on_a_thread_of_the_pool_keeps_code_and_place(toolchain, host, probe):
    assert run(toolchain, host, probe, "task", "throw") == [
        "enqueue: DEVICE_FAULT, dovetail::Error: Probe::enqueue(): task 2 gave up [probe.cpp]"
    ]


def test_more_tasks_than_an_int32_counts_are_an_error(toolchain, host, probe):
    (line,) = run(toolchain, host, probe, "tasks", "throw")
    assert line.startswith("enqueue: INVALID_ARGUMENT, ")
    assert "parallel_for takes at most 2147483647 tasks, got 4294967296: let a task do more" in line


def test_an_unknown_operation_is_null_and_then_an_error(toolchain, host, probe):
    assert run(toolchain, host, probe, "operation", "throw") == [
        "infer_dims: SHAPE, dovetail::Error: Probe::getOutputDimensions(): "
        "extent 0 of output 0 is null: an unknown operation or a null operand"
    ]


def test_a_division_that_the_host_refuses_keeps_the_hosts_words(toolchain, host, probe):
    lines = toolchain.run(host, "run", probe, "acme::Probe@1", "fail:str=division")
    assert [line for line in lines if line.startswith("infer_dims")] == ["infer_dims: SHAPE, "]


def test_a_creator_that_throws_refuses_its_library_alone(toolchain, host):
    refuser = toolchain.build("plugins/refuser.cpp", toolchain.map)
    assert toolchain.run(host, "list", refuser)[-2:] == [
        "raised at entry: std::runtime_error: refuser: no fields today",
        "the entry returned null",
    ]

"""`dovetail ops` and `dovetail explain`, and the exit status of every command.

0: done; 1: not done, or not there; 2: the command line is wrong.
"""

import json
import subprocess
import sys

import onnx
import pytest
from networks import convolution_chain
from onnx import TensorProto, helper
from onnx_models import model_of

from dovetail.core.errors import DefinitionError
from dovetail.machine import cli
from dovetail.machine.plan import read_plan
from dovetail.machine.report import report_text


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    path = tmp_path_factory.mktemp("plans") / "chain.plan"
    builder, network, config = convolution_chain(2)
    network.name = "chain"
    builder.build_serialized_network(network, config).save(path)
    return path


@pytest.fixture
def ask(capsys):
    """ask("ops", "list"): status, output, error output; a traceback would be an error of this call."""

    def run(*words):
        try:
            status = cli.main([str(word) for word in words])
        except SystemExit as end:  # argparse
            status = end.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


# ---- ops
def test_ops_are_listed_with_what_they_compute(ask):
    status, out, _ = ask("ops", "list")
    (line,) = [line for line in out.splitlines() if line.startswith("SoftMax@1")]
    assert status == 0
    assert "cpu" in line.split()
    assert "exp(x - max(x))" in line


def test_one_op_is_shown_with_ports_fields_rows_and_onnx_operators(ask):
    status, out, _ = ask("ops", "show", "Pooling")
    assert status == 0
    for text in (
        "plugins/builtin/pooling.py",
        "FLOAT | HALF | BF16 | INT8",
        "window_size_nd",
        "int64[2..3]",
        "required",
        "At least 1.",
        "MAX | AVERAGE |",
        "network.add_pooling_nd(...)",
        "AveragePool",
        "Pooling@1#cpu",
        "linear_scalar",
        "runs here",
    ):
        assert text in out, text


def test_every_op_is_shown(ask):
    ids = [line.split()[0] for line in ask("ops", "list")[1].splitlines()[1:]]
    assert len(ids) > 40 and [ask("ops", "show", op)[0] for op in ids] == [0] * len(ids)


def test_rows_that_this_machine_cannot_run_say_what_they_need(ask, monkeypatch):
    from dovetail.core.negotiation import Target
    from dovetail.machine.cli import ops

    monkeypatch.setattr(ops, "this_target", lambda with_gpu=False: Target(frozenset()))
    out = ask("ops", "show", "SoftMax")[1]
    rows = [line for line in out.splitlines() if line.strip().startswith("linear_")]
    assert all("runs here" in line or "which this cpu lacks" in line for line in rows)
    assert any(line.strip().startswith("linear_scalar") and "runs here" in line for line in rows)


def test_ops_as_json(ask):
    ops = json.loads(ask("ops", "list", "--json")[1])
    assert ops["schema"] == 1
    assert {"op", "doc", "inputs", "outputs", "fields", "implementations", "onnx"} <= set(ops["ops"][0])
    one = json.loads(ask("ops", "show", "SoftMax", "--json")[1])
    assert one["op"] == "SoftMax@1"
    assert one["fields"][0]["name"] == "axes"


def test_an_unknown_op_shows_what_is_near(ask):
    status, out, err = ask("ops", "show", "softmax")
    assert (status, out) == (1, "")
    assert err.startswith("PluginNotFound: no plugin softmax@1\n  SoftMax@1")


def test_why_of_an_op_says_which_plugin_brings_it(ask):
    status, out, _ = ask("plugins", "why", "softmax")
    assert status == 1
    assert "SoftMax@1  is an op of builtin: dovetail ops show SoftMax@1" in out


# ---- explain
def test_a_missing_plan_is_named_with_what_is_near(ask, plan):
    status, _, err = ask("explain", plan.with_name("chains.plan"))
    assert status == 1
    assert err.splitlines() == [
        f"PlanCorrupt: there is no plan '{plan.with_name('chains.plan')}'",
        f"  nearest  {plan}",
    ]


def test_an_unknown_layer_is_named_with_what_is_near(ask, plan):
    name = read_plan(plan)["report"]["steps"][0]["layer"]
    assert ask("explain", plan, name)[0] == 0
    status, _, err = ask("explain", plan, name + "x")
    assert status == 1
    assert f"DefinitionError: the plan 'chain' has no layer '{name}x'" in err
    assert "nearest" in err and name in err
    with pytest.raises(DefinitionError) as error:
        report_text(read_plan(plan), "nothing like it")
    assert "nearest" not in str(error.value)


def test_a_damaged_plan_is_shown_and_named(ask, plan, tmp_path):
    assert ask("explain", plan)[0] == 0
    whole = plan.read_bytes()
    for name, damaged in (("flipped", whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:]), ("longer", whole + b" ")):
        (tmp_path / name).write_bytes(damaged)
        for options in ([], ["--weights"], ["--json"]):
            status, out, err = ask("explain", tmp_path / name, *options)
            assert status == 1 and out
            assert err.startswith("PlanCorrupt: this plan is damaged, and no engine loads it\n  its checksum")


def test_options_that_do_not_go_together_are_refused(ask, plan):
    status, _, err = ask("explain", plan, "nothing like it", "--weights")
    assert status == 1 and err.startswith("DefinitionError: no layer 'nothing like it' of this plan has weights")
    status, _, err = ask("explain", plan, "nothing like it", "--json")
    assert status == 1 and err.startswith("DefinitionError: --json prints the whole plan, not a layer")
    assert ask("explain", plan, "--json", "--weights")[0] == 2


def test_a_plan_without_what_is_asked_for_is_named(ask, tmp_path):
    for document in ("{}", "[1]"):
        header = f'{{"__metadata__":{{"format":"dovetail.plan","checksum":"{"0" * 16}","plan":"{document}"}}}}'.encode()
        (tmp_path / "odd.plan").write_bytes(len(header).to_bytes(8, "little") + header)
        status, _, err = ask("explain", tmp_path / "odd.plan", "--weights")
        assert status == 1 and err.startswith("PlanCorrupt: "), err


def test_files_that_are_not_plans_are_named(ask, tmp_path):
    model = model_of([("Add", ["x", "x"], ["y"], {})], [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])])
    onnx.save(model, tmp_path / "model.plan")
    (tmp_path / "engine.plan").write_bytes(b"ftrt" + bytes(100))
    (tmp_path / "weights.plan").write_bytes(b"PK\x03\x04" + bytes(100))
    (tmp_path / "text.plan").write_text("no plan at all")
    for name, said in (
        ("model", "this is an ONNX model, not a dovetail plan\n  dovetail.load(path) runs it"),
        ("engine", "this is a TensorRT engine, not a dovetail plan"),
        ("weights", "this is a zip archive, as torch.save writes, not a dovetail plan"),
        ("text", "this is not a dovetail plan"),
    ):
        status, out, err = ask("explain", tmp_path / f"{name}.plan")
        assert (status, out) == (1, "")
        assert err.startswith(f"PlanCorrupt: {said}")
    assert ask("explain", tmp_path)[2] == f"PlanCorrupt: '{tmp_path}' is a folder; a plan is a file\n"


# ---- the command as a whole
@pytest.mark.parametrize(
    "words", [[], ["nothing"], ["ops"], ["ops", "show"], ["plugins"], ["explain"], ["env", "--yaml"]]
)
def test_a_wrong_command_line_is_status_2(ask, words):
    status, out, err = ask(*words)
    assert (status, out) == (2, "")
    assert err.startswith("usage: dovetail")


def test_env_as_json(ask):
    status, out, _ = ask("env", "--json")
    document = json.loads(out)
    assert (status, document["schema"]) == (0, 1)
    assert set(document) == {"schema", "software", "machine", "cuda", "settings", "plugins", "reports"}
    assert document["software"]["dovetail"].startswith("0.")


def test_python_m_dovetail_is_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "dovetail", "--version"], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("dovetail 0.")


def test_an_unreadable_file_is_no_traceback(ask, monkeypatch):
    from dovetail.machine.cli import explain

    def refuse(path):
        raise PermissionError(13, "Permission denied", "secret.plan")

    monkeypatch.setattr(explain, "read_plan", refuse)
    assert ask("explain", __file__)[::2] == (1, "cannot read 'secret.plan': Permission denied\n")

"""The `dovetail` command."""

import json

import pytest
from registry_parts import command, install

from dovetail.machine import cli
from dovetail.machine.cli import plugins
from dovetail.registry import PluginRecord, Registry


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    install(folder, "acme-twice", "well")
    install(folder, "oldroi", "import_fails", entries={"oldroi": "import_fails"})
    return folder


def test_every_module_of_the_folder_is_a_subcommand():
    assert {"plugins", "env"} <= set(cli.subcommands())


def test_help_says_what_each_is_for(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "all plugins with their states" in capsys.readouterr().out


def test_the_list_shows_what_works_and_why_the_rest_does_not(folder):
    done = command("plugins", "list", path=folder)
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert done.returncode == 0, done.stderr
    assert lines["NAME"].split() == [
        "NAME",
        "VERSION",
        "STATE",
        "KIND",
        "OPS",
        "IMPLS",
        "ABI",
        "FOR",
        "SOURCE",
    ]
    assert lines["well"].split()[1:8] == ["1.0", "loaded", "python", "1", "1", "-", "cpu"]
    assert lines["oldroi"].split()[2] == "failed"
    assert "No module named 'shapely_that_nobody_has' (dovetail plugins why oldroi)" in lines["oldroi"]


def test_strict_is_for_scripts(folder):
    assert command("plugins", "list", "--strict", path=folder).returncode == 1


def test_the_list_still_comes_when_the_library_of_the_built_in_layers_is_gone(folder, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import dovetail.plugins.builtin as b\nb.LIBRARY = 'gone/libdovetail_cpu.so'\n"
    )
    done = command("plugins", "list", "--json", path=tmp_path)
    records = {record["name"]: record for record in json.loads(done.stdout)["plugins"]}
    assert done.returncode == 0
    assert records["builtin"]["state"] == "loaded"
    assert records["libdovetail_cpu.so"]["state"] == "failed"
    assert records["libdovetail_cpu.so"]["parent"] == "builtin"


def test_json_has_a_schema_number_and_the_same_keys_for_all(folder):
    document = json.loads(command("plugins", "list", "--json", path=folder).stdout)
    assert document["schema"] == 1
    assert document["warnings"] == []
    keys = {
        "name",
        "version",
        "state",
        "kind",
        "source",
        "distribution",
        "path",
        "abi",
        "ops",
        "implementations",
    }
    assert all(keys <= set(record) for record in document["plugins"])


def test_one_state_can_be_asked_for(folder):
    settings = {"DOVETAIL_PLUGINS_BLOCK": "well", "DOVETAIL_ONEDNN": "0"}
    done = command("plugins", "list", "--state", "disabled", path=folder, **settings)
    expected = ["NAME", "well", "libdovetail_cuda.so", "libdovetail_onednn.so"]
    assert [line.split()[0] for line in done.stdout.splitlines()] == expected


def test_ops_are_listed_below_their_plugin(folder):
    lines = command("plugins", "list", "--ops", path=folder).stdout.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("well"))
    assert lines[at + 1 : at + 3] == ["    acme::Twice@1", "    acme::Twice@1#reference"]


def test_a_rule_that_matches_nothing_is_said(folder):
    done = command("plugins", "list", path=folder, DOVETAIL_PLUGINS_BLOCK="oldroy")
    assert "warning: DOVETAIL_PLUGINS_BLOCK=oldroy matches no plugin; did you mean oldroi?" in done.stdout


def test_strict_mode_of_the_process_does_not_stop_the_list(folder):
    done = command("plugins", "list", path=folder, DOVETAIL_PLUGINS_STRICT="1")
    assert (done.returncode, "oldroi" in done.stdout) == (0, True)


def test_why_tells_all_about_one(folder):
    done = command("plugins", "why", "oldroi", path=folder)
    assert done.returncode == 0
    assert done.stdout.startswith("oldroi  failed: ModuleNotFoundError")
    assert "  | ModuleNotFoundError: No module named" in done.stdout


def test_why_of_an_unknown_name_shows_what_is_near(folder):
    done = command("plugins", "why", "oldroy", path=folder)
    assert done.returncode == 1
    assert done.stdout.splitlines()[:2] == ["no plugin is called 'oldroy'", "  oldroi  is near"]


def test_env_tells_versions_settings_and_what_plugins_report(folder):
    done = command("env", path=folder, DOVETAIL_PLUGINS_BLOCK="oldroi")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["dovetail"].endswith("plugin interface 1.1")
    assert lines["DOVETAIL_PLUGINS_BLOCK"] == "oldroi"
    assert lines["oldroi"] == "disabled: DOVETAIL_PLUGINS_BLOCK=oldroi"
    assert lines["well"] == "acme is well"
    assert " ops, " in lines["plugins"]


def cuda_lines(monkeypatch, record=None, devices=(), reason="", version=""):
    env = cli.subcommands()["env"]
    registry = Registry()
    if record is not None:
        registry.note(record)
    monkeypatch.setattr(env, "gpus", lambda: (list(devices), reason))
    monkeypatch.setattr(env._native, "cuda_version", lambda: version)
    return env._cuda(registry)


def cuda_record(state="loaded", reason=""):
    record = PluginRecord("dovetail_cuda", kind="native", path="/lib/libdovetail_cuda.so")
    record.fail(state, reason)
    return record


def test_env_shows_each_gpu(monkeypatch):
    h100 = {"name": "NVIDIA H100 80GB HBM3", "sm": 90, "memory_bytes": 85_029_158_912}
    lines = cuda_lines(monkeypatch, cuda_record(), [h100], version="CUDA 13.0, driver 580.159")
    assert lines == [
        ("cuda", "CUDA 13.0, driver 580.159, 1 device"),
        ("gpu 0", "NVIDIA H100 80GB HBM3, sm_90, 79.2 GiB"),
    ]
    assert cuda_lines(monkeypatch, cuda_record(), [h100, h100], version="CUDA 13.0")[0][1] == "CUDA 13.0, 2 devices"


def test_env_says_why_there_is_no_gpu(monkeypatch):
    not_built = "not built (DOVETAIL_CUDA=OFF, or no nvcc or driver at build)"
    no_file = "libcuda.so.1: cannot open shared object file"
    assert cuda_lines(monkeypatch, cuda_record("disabled", not_built)) == [("cuda", not_built)]
    no_driver = cuda_record("disabled", f"no NVIDIA driver: {no_file}")
    assert cuda_lines(monkeypatch, no_driver) == [("cuda", f"no: {no_file}")]
    no_device = cuda_lines(monkeypatch, cuda_record(), reason="no CUDA-capable device is detected")
    assert no_device == [("cuda", "no: no CUDA-capable device is detected")]


def test_the_list_says_why_the_library_for_the_gpu_is_closed(folder):
    done = command("plugins", "list", path=folder, DOVETAIL_DEVICE="cpu")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("libdovetail_cuda.so")]
    assert line.split()[2:4] == ["disabled", "native"]
    assert line.endswith(("DOVETAIL_DEVICE=cpu", "no nvcc or driver at build)"))


def test_an_error_of_ours_is_printed_without_a_traceback(monkeypatch, capsys):
    from dovetail.core.errors import PlanCorrupt

    def run(args):
        raise PlanCorrupt("model.plan is cut", hint="Build it again.")

    monkeypatch.setattr(cli.subcommands()["env"], "run", run)
    assert cli.main(["env"]) == 1
    assert capsys.readouterr().err == "PlanCorrupt: model.plan is cut\n  Build it again.\n"


def test_the_table_aligns_and_marks_newer_interfaces():
    records = [PluginRecord("acme", "1.0", kind="native", abi="1.4*"), PluginRecord("a-longer-name", "10.0")]
    heading, first, second = plugins.table(records)
    assert heading.index("STATE") == first.index("loaded") == second.index("loaded")
    assert "* newer interface" in first

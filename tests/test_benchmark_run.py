"""benchmarks/run.py: which results count, what is printed of them, and a run of small workloads."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def run():
    """The module; those beside it and in models/ are imported by their bare names."""
    kept = list(sys.path)
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module("run")
    finally:
        sys.path[:] = kept


def engine(low, agrees=True, median=None):
    found = {"min_ms": low, "median_ms": median or 2 * low, "agrees": agrees, "difference": 0.0 if agrees else 0.5}
    return found | {"load_mb": 10.0, "run_mb": 10.0}


def row(engines, workload="resnet50", **more):
    from_engines = {"workload": workload, "threads": 2, "target": 1.3, "engines": engines, "model_bytes": 100}
    return from_engines | more


def test_the_ratio_is_that_of_the_fastest_peer_that_agrees(run):
    engines = {"dovetail": engine(2.0), "onnxruntime": engine(3.0), "openvino": engine(1.0, agrees=False)}
    found = run.ratios(engines | {"torch": engine(5.0)})
    assert found == {"fastest": "onnxruntime", "ratio": 1.5, "median_ratio": 1.5}


@pytest.mark.parametrize(
    "engines",
    [
        {"dovetail": engine(2.0)},
        {"dovetail": engine(2.0, agrees=False), "onnxruntime": engine(3.0)},
        {"dovetail": {"failure": "why"}, "onnxruntime": engine(3.0)},
    ],
)
def test_no_ratio_without_two_that_agree(run, engines):
    assert run.ratios(engines) == {}


@pytest.mark.parametrize(
    ("result", "off"),
    [
        ([1.0, -4.0], 0.0),
        ([1.0, -3.0], 0.25),
        ([1.0, np.nan], np.inf),
        ([1.0], np.inf),
        (None, np.inf),
    ],
)
def test_differences_are_shares_of_the_largest_value(run, result, off):
    results = {} if result is None else {"y": np.array(result)}
    assert run.difference(results, {"y": np.array([1.0, -4.0])}) == off


def test_integers_have_to_be_equal(run):
    expected = {"y": np.array([1, 2])}
    assert run.difference({"y": np.array([1, 2])}, expected) == 0
    assert run.difference({"y": np.array([1, 3])}, expected) == np.inf


def test_a_line_says_what_is_wrong_and_which_target_is_missed(run):
    engines = {"dovetail": engine(2.0), "onnxruntime": engine(2.2), "openvino": engine(1.0, agrees=False)}
    line = run.line(row(engines, **run.ratios(engines)), [*engines, "torch"])
    assert "2.000 (4.000)" in line and "1.10" in line and "missed" in line
    assert "openvino: outputs differ by 5.0e-01" in line
    assert "missed" not in run.line(row(engines, **run.ratios(engines), target=1.0), list(engines)).replace("1.30", "")


def test_means_are_geometric_and_of_networks_and_layers_apart(run):
    rows = [row({}, ratio=1.0, median_ratio=1.0), row({}, "unet", ratio=4.0, median_ratio=9.0), row({}, "dcgan")]
    rows.append(row({}, "conv3x3-64-56", ratio=3.0, median_ratio=3.0))
    networks, layers = run.means(rows)
    assert networks.startswith("2 threads, 2 networks") and "2.000 (of medians 3.000)" in networks
    assert layers.startswith("2 threads, 1 layers") and "3.000" in layers


def test_a_workload_that_is_not_there_is_named(run, capsys):
    with pytest.raises(SystemExit):
        run.options_of(["resnet51"])
    assert "no workload is called resnet51" in capsys.readouterr().err


@pytest.mark.unsanitized
@pytest.mark.parametrize(("mode", "threads"), [("latency", "1"), ("throughput", "2")])
def test_small_workloads_run(tmp_path, mode, threads):
    pytest.importorskip("onnxruntime")
    given = ["lstm-tagger", "conv3x3-64-56", "--small", "--threads", threads, "--rounds", "1", "--seconds", "0.01"]
    given += ["--mode", mode]
    given += ["--engines", "dovetail", "onnxruntime", "--json", str(tmp_path / "figures.json")]
    done = subprocess.run([sys.executable, FOLDER / "run.py", *given], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert set(figures["versions"]) == {"dovetail", "onnxruntime"}
    for row in figures["rows"]:
        assert all(found["agrees"] and found["calls"] >= 5 for found in row["engines"].values())
        assert row["ratio"] > 0 and row["engines"]["dovetail"]["steps"] > 0

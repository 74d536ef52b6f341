"""benchmarks/run.py: which results count, what is printed of them, files as workloads, and runs of small workloads.

The peers are those of the interpreter that the variable PEERS names, else those that are installed beside dovetail.
"""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
FOLDER = Path(__file__).parents[1] / "benchmarks"
PEERS = os.environ.get("PEERS", sys.executable)


def module(name):
    """A module of benchmarks; those beside it and in models/ are imported by their bare names."""
    kept = list(sys.path)
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path[:] = kept


@pytest.fixture(scope="module")
def run():
    return module("run")


@pytest.fixture(scope="module")
def files():
    return module("files")


@pytest.fixture(scope="module")
def peers(run):
    """Those that PEERS has."""
    return set(run.installed(sys.executable, PEERS, list(run.ENGINES))[0]) - {run.OURS}


def engine(low, agrees=True, median=None):
    found = {"min_ms": low, "median_ms": median or 2 * low, "agrees": agrees, "difference": 0.0 if agrees else 0.5}
    return found | {"load_mb": 10.0, "run_mb": 10.0}


def row(engines, workload="resnet50", **more):
    from_engines = {"workload": workload, "threads": 2, "target": 1.3, "engines": engines, "model_bytes": 100}
    from_engines["group"] = "layers" if workload.startswith("conv") else "networks"
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


def test_what_is_slower_stands_worst_first(run):
    rows = [row({}, name, ratio=ratio, fastest="openvino") for name, ratio in (("unet", 0.9), ("yolo", 0.5))]
    rows += [row({}, ratio=1.5, fastest="openvino"), row({}, "dcgan")]
    (found,) = run.slower(rows)
    assert found == "slower than the fastest peer, 2 threads: yolo 0.50 (openvino), unet 0.90 (openvino)"
    assert run.slower(rows[2:]) == []


def test_names_of_workloads_fit_their_column(run):
    assert all(run.label(name).rstrip() == name for name in run.WORKLOADS)
    assert len(run.label("x" * 200)) == len(run.label("x"))


def test_a_workload_that_is_not_there_is_named(run, capsys):
    with pytest.raises(SystemExit):
        run.options_of(["resnet51"])
    assert "no workload is called resnet51" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["sequence", "=3", "sequence=", "sequence=0", "sequence=-1", "sequence=x"])
def test_extents_are_positive_numbers_with_names(run, text, capsys):
    with pytest.raises(SystemExit):
        run.options_of(["--extents", text])
    assert "is not NAME=N" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_named(run, tmp_path, capsys):
    (tmp_path / "other.onnx").write_bytes(b"this is not a model")
    for name in ("missing.onnx", "other.onnx"):
        with pytest.raises(SystemExit):
            run.options_of([str(tmp_path / name)])
        assert name in capsys.readouterr().err


def lookup(type_=1):
    """Embeddings of words, times a mask; with open extents, and the weights among the inputs as in old files."""
    from onnx import helper, numpy_helper

    table = numpy_helper.from_array(np.ones((7, 4), np.float16 if type_ == 10 else np.float32), "table")
    nodes = [
        helper.make_node("Cast", ["words"], ["numbers"], to=7),
        helper.make_node("Cast", ["mask"], ["m"], to=type_),
    ]
    nodes.append(helper.make_node("Gather", ["table", "numbers"], ["rows"], axis=0))
    nodes.append(helper.make_node("Mul", ["rows", "m"], ["y"]))
    inputs = [helper.make_tensor_value_info("words", 6, ["batch", "length"])]
    inputs.append(helper.make_tensor_value_info("mask", 7, ["batch", "length", 1]))
    inputs.append(helper.make_tensor_value_info("table", type_, [7, 4]))
    outputs = [helper.make_tensor_value_info("y", type_, ["batch", "length", 4])]
    graph = helper.make_graph(nodes, "lookup", inputs, outputs, [table])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=3)


def test_open_extents_are_set_and_initializers_are_not_inputs(files):
    def extents(model):
        return {entry.name: [d.dim_value for d in entry.type.tensor_type.shape.dim] for entry in model.graph.input}

    assert extents(files.static(lookup(), {"length": 5})) == {"words": [1, 5], "mask": [1, 5, 1]}
    assert extents(files.static(lookup(), {"batch": 2})) == {"words": [2, 64], "mask": [2, 64, 1]}


def test_the_extents_of_a_picture(files):
    from onnx import helper

    picture = helper.make_tensor_value_info("x", 1, ["n", 3, "height", None])
    model = helper.make_model(helper.make_graph([], "g", [picture], []))
    dims = files.static(model, {"height": 96}).graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims] == [1, 3, 96, 224]


def test_integers_are_valid_where_they_are_indices(files):
    found = files.feeds(files.static(lookup(), {}))
    assert found["words"].dtype == np.int32 and found["words"].min() == 0 and found["words"].max() == 6
    assert found["mask"].dtype == np.int64 and set(found["mask"].ravel()) == {0, 1}


def test_the_precision_of_a_file(files):
    from onnx import helper

    assert files.precision(lookup()) == "fp32"
    assert files.precision(lookup(10)) == "fp16"
    model = lookup()
    model.graph.node.append(helper.make_node("DynamicQuantizeLinear", ["rows"], ["q", "s", "z"]))
    assert files.precision(model) == "int8"


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_a_plot_has_every_workload(tmp_path, suffix):
    pytest.importorskip("matplotlib")
    rows = [row({}, name, threads=n, ratio=1.0 + n) for name in ("unet", "conv3x3-64-56") for n in (1, 2)]
    picture = tmp_path / "deeper" / f"ratios.{suffix}"
    module("chart").draw([*rows, row({}, "dcgan")], picture, "a machine")
    content = picture.read_bytes()
    assert content.startswith({"svg": b"<?xml", "png": b"\x89PNG"}[suffix])
    if suffix == "svg":
        assert all(text in content for text in (b"unet", b"conv3x3-64-56", b"threads: 2", b"a machine"))
        assert b"dcgan" not in content


def figures_of(tmp_path, *given):
    """What a run of run.py writes."""
    more = ["--rounds", "1", "--seconds", "0.01", "--peers", PEERS, "--json", str(tmp_path / "figures.json")]
    done = subprocess.run([sys.executable, FOLDER / "run.py", *given, *more], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((tmp_path / "figures.json").read_text()), done.stdout


@pytest.mark.unsanitized
@pytest.mark.parametrize(("mode", "threads"), [("latency", "1"), ("throughput", "2")])
def test_small_workloads_run(tmp_path, mode, threads, peers):
    if "onnxruntime" not in peers:
        pytest.skip("without ONNX Runtime")
    given = ["lstm-tagger", "conv3x3-64-56", "--small", "--threads", threads, "--mode", mode]
    figures, _ = figures_of(tmp_path, *given, "--engines", "dovetail", "onnxruntime")
    assert set(figures["versions"]) == {"dovetail", "onnxruntime"}
    for found in figures["rows"]:
        assert all(engine["agrees"] and engine["calls"] >= 5 for engine in found["engines"].values())
        assert found["ratio"] > 0 and found["engines"]["dovetail"]["steps"] > 0


@pytest.mark.unsanitized
@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "ncnn", "torch", "torch-eager"])
def test_each_peer_agrees(tmp_path, peers, name):
    if name not in peers:
        pytest.skip(f"without {name}")
    given = ["conv3x3-64-56", "gemm-1-768-3072", "attention-12-128-64", "--small", "--threads", "1"]
    figures, _ = figures_of(tmp_path, *given, "--engines", "dovetail", name)
    assert [found.get("fastest") for found in figures["rows"]] == [name] * 3


@pytest.mark.unsanitized
def test_files_run(tmp_path, peers):
    import onnx

    if "onnxruntime" not in peers:
        pytest.skip("without ONNX Runtime")
    onnx.save(lookup(), tmp_path / "lookup.onnx")
    given = [str(tmp_path / "lookup.onnx"), "--extents", "length=5", "--threads", "1"]
    figures, text = figures_of(tmp_path, *given, "--engines", "dovetail", "onnxruntime")
    (found,) = figures["rows"]
    assert found["workload"] == "lookup" and found["group"] == "files" and found["ratio"] > 0
    assert "1 thread, 1 files: geometric mean" in text


@pytest.mark.unsanitized
def test_a_file_without_tensors_fails_alone(run, tmp_path, capsys):
    from onnx import helper, save

    sequence = helper.make_tensor_sequence_value_info("x", 1, [1])
    save(helper.make_model(helper.make_graph([], "g", [sequence], [])), tmp_path / "sequence.onnx")
    assert run.main([str(tmp_path / "sequence.onnx"), "--threads", "1", "--engines", "dovetail"]) == 1
    assert "no model or no inputs" in capsys.readouterr().out


def test_the_sum_of_the_steps_is_compared_with_the_network_step_by_step(tmp_path):
    path = tmp_path / "sums.json"
    options = ["--small", "--turns", "1", "--threads", "1", "--worst", "1", "--json", str(path)]
    command = [sys.executable, FOLDER / "sum_against_network.py", "yolo", *options]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "network / sum" in printed
    rows = json.loads(path.read_text())
    assert [one["model"] for one in rows] == ["yolo"]
    for one in rows:
        assert min(one["built_sum_ms"], one["network_ms"], one["sum_ms"]) > 0
        assert sum(step["alone_ms"] for step in one["steps"]) == pytest.approx(one["sum_ms"])
        assert all(step["network_ms"] > 0 for step in one["steps"])

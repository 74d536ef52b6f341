"""Overhead per step and per Python call, beside ONNX Runtime in one run, on one thread.

Chains of tiny steps (8 floats) of two lengths: the slope between them is the time of one more step, what is
left over at length 0 is the time of a call. Then a network of 30 small layers, the same ONNX model in both, where the
work of a layer is so short that what surrounds it shows. The subjects take turns in every round, so that whatever else
the machine does falls on all. Minimum and median over the rounds are printed; compare ratios of them elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

import numpy as np

os.environ.setdefault("DOVETAIL_NUM_THREADS", "1")

import dovetail as trt

SHORT, LONG, FLOATS = 20, 220, 8
MAPS, SIDE, BLOCKS, LAYERS_OF_BLOCK = 16, 16, 5, 6  # of the small network
ALPHA = 0.99
COLUMNS = ("step_ns", "call_us", "chain_us")
HERE = Path(__file__).parent


class Nothing(trt.Plugin):
    """y is whatever was there: a layer for timing the executor."""

    namespace = "bench"
    x = trt.Input((trt.float32,))
    y = trt.Output(like="x")
    number: int = trt.field(0, doc="Tells one layer from another.")

    def reference(self, x):
        return x


def dovetail_engine(length: int, add: Callable) -> tuple[trt.ICudaEngine, str]:
    """An engine of `length` layers, and what the last of them runs on."""
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network()
    tensor = network.add_input("x", trt.float32, (FLOATS,))
    for number in range(length):
        tensor = add(network, tensor, number).get_output(0)
    tensor.name = "y"
    network.mark_output(tensor)
    config = builder.create_builder_config()
    config.builder_optimization_level = 0  # nothing is timed: a step that writes nothing would be refused
    config.allow_fusion = False  # one step a layer: what a step costs is asked
    plan = builder.build_serialized_network(network, config)
    engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
    assert engine.num_layers == length, f"{engine.num_layers} steps of {length}: a pass removed some"
    inspector = engine.create_engine_inspector()
    return engine, inspector.get_layer_information(length - 1, trt.LayerInformationFormat.ONELINE)


def add_leaky_relu(network, tensor, number):
    layer = network.add_activation(tensor, trt.ActivationType.LEAKY_RELU)
    layer.alpha = ALPHA
    return layer


def add_nothing(network, tensor, number):
    return network.add_plugin("bench::Nothing@1", [tensor], {"number": number})


def load_nothing(folder: Path) -> None:
    library = folder / "libnothing.so"
    compiler = os.environ.get("CXX", "c++")
    flags = ["-shared", "-fPIC", "-O2", "-std=c++20", "-fvisibility=hidden", f"-I{trt.get_include()}"]
    subprocess.run([compiler, *flags, str(HERE / "nothing_plugin.cpp"), "-o", str(library)], check=True)
    registry = trt.get_plugin_registry()
    registry.add_op(Nothing, owner="bench")
    registry.load_library(library)


def small_model() -> bytes:
    """Blocks of convolution and Relu, pooling that keeps the extents, and scale and activation of each kind."""
    from onnx import helper, numpy_helper

    random = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"

    def constant(name: str, values: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def layer(op: str, *more: str, **attributes) -> None:
        nonlocal last
        made = f"{op}{len(nodes)}"
        nodes.append(helper.make_node(op, [last, *more], [made], made, **attributes))
        last = made

    windows = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    for block in range(BLOCKS):
        kernel = random.normal(0, (2 / (9 * MAPS)) ** 0.5, (MAPS, MAPS, 3, 3))
        layer(
            "Conv", constant(f"kernel{block}", kernel), constant(f"bias{block}", random.normal(0, 0.1, MAPS)), **windows
        )
        layer("Relu")
        layer("MaxPool" if block % 2 else "AveragePool", strides=[1, 1], **windows)
        statistics_of = {
            "scale": random.uniform(0.8, 1.2, MAPS),
            "shift": random.normal(0, 0.1, MAPS),
            "mean": random.normal(0, 0.1, MAPS),
            "variance": random.uniform(0.5, 1.5, MAPS),
        }
        layer("BatchNormalization", *(constant(f"{word}{block}", values) for word, values in statistics_of.items()))
        layer("LeakyRelu", alpha=0.1)
        layer("MaxPool", strides=[1, 1], **windows)
    info = [helper.make_tensor_value_info(name, 1, [1, MAPS, SIDE, SIDE]) for name in ("x", last)]
    graph = helper.make_graph(nodes, "small", info[:1], info[1:], weights)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()


def small_engine(model: bytes) -> tuple[trt.ICudaEngine, str]:
    """The engine of that model, and what its steps run on."""
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network()
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        raise SystemExit("\n".join(str(parser.get_error(i)) for i in range(parser.num_errors)))
    config = builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    engine = trt.Runtime(logger).deserialize_cuda_engine(builder.build_serialized_network(network, config))
    inspector, oneline = engine.create_engine_inspector(), trt.LayerInformationFormat.ONELINE
    steps = [inspector.get_layer_information(i, oneline) for i in range(engine.num_layers)]
    kernels = Counter(re.search(r"(\S+#\S+): ", step)[1] for step in steps)
    return engine, f"{len(steps)} steps, " + ", ".join(f"{n} {kernel}" for kernel, n in kernels.items())


def chain_model(length: int) -> bytes:
    import onnx

    nodes = [onnx.helper.make_node("LeakyRelu", [f"t{i}"], [f"t{i + 1}"], alpha=ALPHA) for i in range(length)]
    info = [onnx.helper.make_tensor_value_info(name, 1, [FLOATS]) for name in ("t0", f"t{length}")]
    graph = onnx.helper.make_graph(nodes, "chain", info[:1], info[1:])
    opset = onnx.helper.make_opsetid("", 17)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()


def ort_session(model: bytes):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Subject:
    """One way of running one chain: `call` does it once; `result` says what came out."""

    def __init__(self, call: Callable[[], object], result: Callable[[], np.ndarray]) -> None:
        self.call, self.result = call, result
        self.ns: list[float] = []
        call()
        start = perf_counter_ns()
        for _ in range(100):
            call()
        self.n_calls = max(20, int(100 * 4e6 / (perf_counter_ns() - start + 1)))  # about 4 ms a round

    def round(self) -> None:
        call, turns = self.call, range(self.n_calls)
        start = perf_counter_ns()
        for _ in turns:
            call()
        self.ns.append((perf_counter_ns() - start) / self.n_calls)


def dovetail_subjects(engine: trt.ICudaEngine, x: np.ndarray) -> dict[str, Subject]:
    source, target = engine.get_tensor_name(0), engine.get_tensor_name(1)
    bound, y = engine.create_execution_context(), np.zeros_like(x)
    bound.set_tensor_address(source, x.ctypes.data)
    bound.set_tensor_address(target, y.ctypes.data)
    context, feed = engine.create_execution_context(), {source: x}
    return {
        "bound": Subject(bound.execute_async_v3, lambda: y),
        "arrays": Subject(lambda: context.run(feed), lambda: context.run(feed)[target]),
    }


def ort_subjects(session, x: np.ndarray) -> dict[str, Subject]:
    import onnxruntime

    source, target = session.get_inputs()[0].name, session.get_outputs()[0].name
    y, binding, feed = np.zeros_like(x), session.io_binding(), {source: x}
    binding.bind_ortvalue_input(source, onnxruntime.OrtValue.ortvalue_from_numpy(x))
    binding.bind_output(target, "cpu", 0, np.float32, list(x.shape), y.ctypes.data)
    return {
        "bound": Subject(lambda: session.run_with_iobinding(binding), lambda: y),
        "arrays": Subject(lambda: session.run(None, feed), lambda: session.run(None, feed)[0]),
    }


def small_subjects() -> tuple[dict[str, dict[str, Subject]], str]:
    """The ways of running the small network in each runtime, and the steps that dovetail made of it."""
    model = small_model()
    x = np.random.default_rng(1).normal(0, 1, (1, MAPS, SIDE, SIDE)).astype(np.float32)
    engine, steps = small_engine(model)
    return {"dovetail": dovetail_subjects(engine, x), "ONNX Runtime": ort_subjects(ort_session(model), x)}, steps


def figures(short: Subject, long: Subject, over: Callable) -> dict[str, float]:
    """ns per step from the slope, us per call from what is left at length 0."""
    at_short, at_long = over(short.ns), over(long.ns)
    step = (at_long - at_short) / (LONG - SHORT)
    return {"step_ns": step, "call_us": (at_short - SHORT * step) / 1e3, "chain_us": at_long / 1e3}


def measure(rounds: int) -> dict:
    x = np.linspace(-4, 4, FLOATS, dtype=np.float32)
    runtimes: dict[str, dict[int, dict[str, Subject]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        load_nothing(Path(folder))
        kernels = {}
        for name, add in (("dovetail", add_leaky_relu), ("dovetail, empty steps", add_nothing)):
            engines = {length: dovetail_engine(length, add) for length in (SHORT, LONG)}
            kernels[name] = engines[LONG][1]
            runtimes[name] = {n: dovetail_subjects(engine, x) for n, (engine, _) in engines.items()}
        runtimes["ONNX Runtime"] = {n: ort_subjects(ort_session(chain_model(n)), x) for n in (SHORT, LONG)}
        small, kernels["small network"] = small_subjects()
        chains = [ways for lengths in runtimes.values() for ways in lengths.values()]
        for _ in range(rounds):
            for ways in [*chains, *small.values()]:
                for subject in ways.values():
                    subject.round()
        expected = np.where(x < 0, x * np.float32(ALPHA) ** LONG, x)
        for name in ("dovetail", "ONNX Runtime"):
            for subject in runtimes[name][LONG].values():
                np.testing.assert_allclose(subject.result(), expected, rtol=1e-4, err_msg=name)
        theirs = small["ONNX Runtime"]["arrays"].result()
        for name, ways in small.items():
            for subject in ways.values():
                np.testing.assert_allclose(subject.result(), theirs, rtol=1e-4, atol=1e-5, err_msg=name)
    summaries = {"minimum": min, "median": statistics.median}
    results = {
        name: {
            way: {word: figures(lengths[SHORT][way], lengths[LONG][way], over) for word, over in summaries.items()}
            for way in ("bound", "arrays")
        }
        for name, lengths in runtimes.items()
    }
    of_small = {
        name: {way: {word: over(subject.ns) / 1e3 for word, over in summaries.items()} for way, subject in ways.items()}
        for name, ways in small.items()
    }
    return {"results": results, "small": of_small, "kernels": kernels}


def versions() -> dict[str, str]:
    import onnxruntime

    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {cpu_name()}",
        "python": platform.python_version(),
        "dovetail": trt.__version__,
        "onnxruntime": onnxruntime.__version__,
    }


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def table(report: dict) -> str:
    results = report["results"]
    lines = ["; ".join(f"{key} {value}" for key, value in report["versions"].items())]
    for way, title in (("bound", "with bound buffers"), ("arrays", "with arrays in and out")):
        lines += [
            "",
            title,
            f"  {'minimum (median)':26}{'ns a step':>18}{'us a call':>16}{f'us, {LONG} steps':>18}",
        ]
        for name, ways in results.items():
            low, mid = ways[way]["minimum"], ways[way]["median"]
            cells = [f"{low[key]:.2f} ({mid[key]:.2f})" for key in COLUMNS]
            lines.append(f"  {name:26}{cells[0]:>18}{cells[1]:>16}{cells[2]:>18}")
        ours, theirs = results["dovetail"][way], results["ONNX Runtime"][way]
        quotients = {key: [theirs[w][key] / ours[w][key] for w in ("minimum", "median")] for key in COLUMNS}
        ratios = [f"{low:.1f} ({mid:.1f})" for low, mid in quotients.values()]
        lines.append(f"  {'ONNX Runtime / dovetail':26}{ratios[0]:>18}{ratios[1]:>16}{ratios[2]:>18}")
    lines += ["", *small_table(report["small"])]
    lines += ["", *(f"{name}: {kernel}" for name, kernel in report["kernels"].items())]
    return "\n".join(lines)


def small_table(small: dict) -> list[str]:
    n = BLOCKS * LAYERS_OF_BLOCK
    lines = [f"{n} layers on {MAPS} maps of {SIDE} x {SIDE}"]
    lines.append(f"  {'minimum (median)':26}{'us, bound':>18}{'us, arrays':>16}{'us a layer':>18}")

    def row(name: str, low: list[float], mid: list[float], digits: int) -> str:
        cells = [f"{a:.{digits}f} ({b:.{digits}f})" for a, b in zip(low, mid, strict=True)]
        return f"  {name:26}{cells[0]:>18}{cells[1]:>16}{cells[2]:>18}"

    columns = {
        name: [
            [*times, times[0] / n] for times in ([ways[way][word] for way in ways] for word in ("minimum", "median"))
        ]
        for name, ways in small.items()
    }
    lines += [row(name, low, mid, 2) for name, (low, mid) in columns.items()]
    ours, theirs = columns["dovetail"], columns["ONNX Runtime"]
    quotients = [[b / a for a, b in zip(*pair, strict=True)] for pair in zip(ours, theirs, strict=True)]
    return [*lines, row("ONNX Runtime / dovetail", *quotients, 1)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    report = {"versions": versions(), **measure(options.rounds)}
    print(table(report))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

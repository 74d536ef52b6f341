"""Whole models in dovetail and in ONNX Runtime, in one run: are the results the same, and how long does it take?

Every model is built with a static batch for each size, and once with a dynamic one; each engine runs on random inputs,
and so does ONNX Runtime on the CPU. The error is the largest difference divided by the largest value of the output;
outputs of integers have to be equal. What is right to float32: two correct programs differ by the order in which they
add up and by what they fuse, so ONNX Runtime is run with its optimisations and without, and the difference of the two,
`peer`, is a sample of that. A result passes within PEER_SPREADS times that, or within FLOOR where the two happen to
agree: a rounding is 6e-8, some hundred layers in a row, each rounding anew, leave about 1e-6, and the floor is ten
times that. One layer in half precision, bfloat16 or TF32 leaves 1e-4 or more, and fails.

Each number of threads is measured in a process of its own; the subjects take turns in every round, so that whatever
else the machine does falls on both. A round is one call with arrays in and out; with `--device cuda` that includes the
copies, and the peer is ONNX Runtime's CUDA provider where it has one, else the CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from catalog import MODELS, Model, feeds

FLOOR = 1e-5
PEER_SPREADS = 4
LEAST_ROUNDS, MOST_ROUNDS = 3, 200
Arrays = dict[str, np.ndarray]


class ImportFailed(Exception):
    """A model that the parser refuses: how many nodes of which kind, and the first error in full."""

    def __init__(self, errors: Sequence[Any]) -> None:
        counts = Counter(error.node_operator() for error in errors)
        kinds = ", ".join(f"{name} {count} times" for name, count in counts.most_common())
        super().__init__(f"{kinds}; first: {errors[0]}")


# ---- the two runtimes
class Engine:
    """A model in dovetail. `shapes` has (min, opt, max) for each input with dynamic extents."""

    def __init__(self, data: bytes, shapes: dict[str, list[Sequence[int]]], level: int | None, device: str) -> None:
        import dovetail as trt

        logger = trt.Logger(trt.Logger.ERROR)
        builder = trt.Builder(logger)
        started = perf_counter()
        network, config = builder.create_network(), builder.create_builder_config()
        parser = trt.OnnxParser(network, trt.Logger(trt.Logger.INTERNAL_ERROR))
        if not parser.parse(data):
            raise ImportFailed([parser.get_error(index) for index in range(parser.num_errors)])
        self.parse_s = perf_counter() - started
        config.default_device_type = trt.DeviceType.GPU if device == "cuda" else trt.DeviceType.CPU
        config.clear_flag(trt.BuilderFlag.TF32)
        if level is not None:
            config.builder_optimization_level = level
        if shapes:
            profile = builder.create_optimization_profile()
            for name, (low, likely, high) in shapes.items():
                profile.set_shape(name, low, likely, high)
            config.add_optimization_profile(profile)
        started = perf_counter()
        plan = builder.build_serialized_network(network, config)
        self.build_s = perf_counter() - started
        started = perf_counter()
        self._engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
        self._context = self._engine.create_execution_context()
        self.load_s = perf_counter() - started

    def run(self, inputs: Arrays) -> Arrays:
        return {name: np.asarray(value) for name, value in self._context.run(inputs).items()}


class Session:
    """The same in ONNX Runtime."""

    def __init__(self, data: bytes, n_threads: int, device: str = "cpu", optimized: bool = True) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
        options.log_severity_level = 3
        if not optimized:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        wanted = ["CUDAExecutionProvider"] if device == "cuda" else []
        available = onnxruntime.get_available_providers()
        providers = [name for name in [*wanted, "CPUExecutionProvider"] if name in available]
        started = perf_counter()
        self._session = onnxruntime.InferenceSession(data, options, providers=providers)
        self.build_s = perf_counter() - started
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Arrays) -> Arrays:
        return dict(zip(self._names, self._session.run(None, inputs), strict=True))


# ---- results
def error_of(results: Arrays, expected: Arrays) -> float:
    """Largest error of all outputs, as a fraction of the largest value; infinite where extents or integers differ."""
    worst = 0.0
    for name, wanted in expected.items():
        got = results[name]
        if got.shape != wanted.shape or got.dtype != wanted.dtype or not np.isfinite(got).all():
            return float("inf")
        if wanted.dtype.kind != "f":
            worst = worst if np.array_equal(got, wanted) else float("inf")
        elif wanted.size:
            scale = float(np.abs(wanted).max()) or 1.0
            worst = max(worst, float(np.abs(got - wanted).max()) / scale)
    return worst


def absolute_error(results: Arrays, expected: Arrays) -> float:
    pairs = [(results[name], wanted) for name, wanted in expected.items() if wanted.dtype.kind == "f"]
    found = [np.abs(got - wanted).max() for got, wanted in pairs if got.shape == wanted.shape and got.size]
    return float(max(found, default=0.0))


def in_turns(calls: Sequence[Callable[[], object]], seconds: float) -> list[list[float]]:
    """Milliseconds of each call in each round; all together take about that long."""
    started = perf_counter()
    for call in calls:
        call()
    once = perf_counter() - started
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(max(LEAST_ROUNDS, min(MOST_ROUNDS, int(seconds / max(once, 1e-6))))):
        for call, taken in zip(calls, times, strict=True):
            started = perf_counter()
            call()
            taken.append((perf_counter() - started) * 1e3)
    return times


# ---- one model
def measure(name: str, options: argparse.Namespace, n_threads: int) -> Iterator[dict[str, Any]]:
    """Rows of figures; a row with `failure` where something could not be built or run."""
    model = MODELS[name]
    batches = {"static": options.batches, "dynamic": ["dynamic"]}
    for batch in [batch for variant in options.variants for batch in batches[variant]]:
        proto = model.make(batch, options.small)
        data = proto.SerializeToString()
        cases = list(cases_of(model, batch, options.batches))
        inputs = [feeds(proto, *case) for case in cases]
        row = {"model": name, "built for": str(batch), "threads": n_threads}
        try:
            engine = Engine(data, profile_of(inputs) if batch == "dynamic" else {}, options.level, options.device)
        except Exception as failure:
            yield {**row, "failure": f"{type(failure).__name__}: {failure}"}
            continue
        peer = Session(data, n_threads, options.device)
        plain = Session(data, n_threads, optimized=False)
        exact = Session(data, n_threads) if options.device == "cuda" else peer
        row |= {key: getattr(engine, key) for key in ("parse_s", "build_s", "load_s")}
        row["peer_build_s"] = peer.build_s
        for case, arrays in zip(cases, inputs, strict=True):
            row["run on"] = " x ".join(str(extent) for extent in case if extent is not None)
            try:
                yield row | compared(engine, peer, plain.run(arrays), exact.run(arrays), arrays, options.seconds)
            except Exception as failure:
                yield {**row, "failure": f"{type(failure).__name__}: {failure}"}


def cases_of(model: Model, batch: int | str, batches: Sequence[int]) -> Iterator[tuple[int, int | None]]:
    """(batch, sequence) of the runs of one engine."""
    if batch != "dynamic":
        yield int(batch), None
        return
    for size in batches:
        for sequence in model.sequences:
            yield size, sequence


def profile_of(inputs: Sequence[Arrays]) -> dict[str, list[Sequence[int]]]:
    """(min, opt, max) of each input over these; the first is the likeliest."""
    found = {}
    for name, first in inputs[0].items():
        shapes = [arrays[name].shape for arrays in inputs]
        low, high = ([over(extents) for extents in zip(*shapes, strict=True)] for over in (min, max))
        found[name] = [low, first.shape, high]
    return found


def compared(
    engine: Engine, peer: Session, plain: Arrays, expected: Arrays, inputs: Arrays, seconds: float
) -> dict[str, Any]:
    """Errors of `engine` against `expected`, and of `plain`, which is the same without optimisations; times of both."""
    results = engine.run(inputs)
    error, spread = error_of(results, expected), error_of(plain, expected)
    figures = {
        "error": error,
        "absolute": absolute_error(results, expected),
        "spread": spread,
        "passed": error <= max(FLOOR, PEER_SPREADS * spread),
    }
    if seconds:
        ours, theirs = in_turns([lambda: engine.run(inputs), lambda: peer.run(inputs)], seconds)
        for key, times in (("ours_ms", ours), ("theirs_ms", theirs)):
            figures[key] = [min(times), statistics.median(times)]
    return figures


# ---- all of them
def in_own_process(name: str, options: argparse.Namespace, n_threads: int) -> list[dict[str, Any]]:
    """Rows of one model with this number of threads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        command = [sys.executable, __file__, *sys.argv[1:], "--child", name, str(n_threads), str(path)]
        names = ("DOVETAIL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        process = subprocess.run(command, env={**os.environ, **dict.fromkeys(names, str(n_threads))})
        if process.returncode and not path.exists():
            return [{"model": name, "threads": n_threads, "failure": f"the process ended with {process.returncode}"}]
        return json.loads(path.read_text())


HEADER = (
    f"{'model':16}{'built for':>10}{'run on':>9}{'error':>10}{'peer':>9}{'':>6}{'build, s':>10}{'peer, s':>9}"
    f"{'ms, min (median)':>21}{'ONNX Runtime':>21}{'ratio':>14}"
)


def line(row: dict[str, Any]) -> str:
    start = f"{row['model']:16}{row.get('built for', ''):>10}{row.get('run on', ''):>9}"
    if "failure" in row:
        return f"{start}  FAILED  {' '.join(row['failure'].split())[:400]}"
    verdict = "pass" if row["passed"] else "FAIL"
    text = f"{start}{row['error']:10.1e}{row['spread']:9.1e}{verdict:>6}"
    text += f"{row['build_s']:10.2f}{row['peer_build_s']:9.2f}"
    if "ours_ms" in row:
        ours, theirs = row["ours_ms"], row["theirs_ms"]
        pairs = [f"{low:.2f} ({mid:.2f})" for low, mid in (ours, theirs)]
        ratio = f"{theirs[0] / ours[0]:.2f} ({theirs[1] / ours[1]:.2f})"
        text += f"{pairs[0]:>21}{pairs[1]:>21}{ratio:>14}"
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(MODELS)}; all if none is given")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--variants", nargs="+", choices=("static", "dynamic"), default=["static", "dynamic"])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 5], help="the first is timed in builds")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--level", type=int, help="builder_optimization_level")
    parser.add_argument("--seconds", type=float, default=2.0, help="of measuring, for each run; 0: results only")
    parser.add_argument("--small", action="store_true", help="few channels and layers, as in the tests")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, n_threads, path = options.child
        rows = []
        for row in measure(name, options, int(n_threads)):
            print(line(row), flush=True)
            rows.append(row)
            Path(path).write_text(json.dumps(rows))
        return 0
    unknown = sorted(set(options.names) - set(MODELS))
    if unknown:
        parser.error(f"no model is called {', '.join(unknown)}; there are {', '.join(MODELS)}")
    rows = []
    for n_threads in options.threads:
        print(f"\n{n_threads} thread{'s' * (n_threads > 1)}; ratio: theirs / ours\n{HEADER}", flush=True)
        for name in options.names or MODELS:
            rows += in_own_process(name, options, n_threads)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if all(row.get("passed") for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

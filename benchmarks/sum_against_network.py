"""Do the times of the chosen steps add up to the time of the network? The builder decides on the former.

For each model: the sum over the steps of its plan, the time of one run with buffers bound, both as the builder measures
(the least of several runs), and their ratio. Then the steps that differ most: what each takes in the network, by
`context.profiler`, against what was measured alone. Each number of threads has a process of its own. Trust only what a
quiet machine says; on any other run it several times and take the smallest of each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "models"))

from catalog import MODELS, feeds

import dovetail as trt
from dovetail.machine.plan import read_plan

SEVEN = ("resnet50", "mobilenetv2", "efficientnet-b0", "unet", "dcgan", "bert-base", "yolo")
LEAST_RUNS, MOST_RUNS = 5, 200


class StepTimes(trt.IProfiler):
    """Milliseconds of each step in each run."""

    def __init__(self) -> None:
        self.runs: list[list[float]] = [[]]

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        self.runs[-1].append(ms)


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    model = MODELS[name].make(1, options.small)
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network, config = builder.create_network(), builder.create_builder_config()
    parser = trt.OnnxParser(network, builder.logger)
    if not parser.parse(model.SerializeToString()):
        raise SystemExit(f"{name}: {parser.get_error(0)}")
    config.default_device_type = trt.DeviceType.CPU
    started = perf_counter()
    plan = builder.build_serialized_network(network, config)
    build_s = perf_counter() - started
    context = trt.Runtime(builder.logger).deserialize_cuda_engine(plan).create_execution_context()
    inputs = feeds(model)
    times: list[float] = []
    context.run(inputs)
    started = perf_counter()
    while len(times) < LEAST_RUNS or (len(times) < MOST_RUNS and perf_counter() - started < options.seconds):
        before = perf_counter()
        context.run(inputs)
        times.append((perf_counter() - before) * 1e3)
    steps = read_plan(plan)["report"]["steps"]
    return {
        "model": name,
        "build_s": build_s,
        "sum_ms": sum(step["time_ns"] for step in steps) / 1e6,
        "network_ms": min(times),
        "steps": in_network(context, inputs, steps, len(times)),
    }


def in_network(context: Any, inputs: dict[str, Any], steps: list[dict[str, Any]], n_runs: int) -> list[dict[str, Any]]:
    """What each step takes alone and in the network, those that differ most first."""
    profiler = context.profiler = StepTimes()
    for _ in range(min(n_runs, 20)):
        profiler.runs.append([])
        context.run(inputs)
    runs = [run for run in profiler.runs if len(run) == len(steps)]
    rows = [
        {
            "layer": step["layer"],
            "runs_on": step["runs_on"],
            "alone_ms": step["time_ns"] / 1e6,
            "network_ms": min([run[i] for run in runs]),
        }
        for i, step in enumerate(steps)
    ]
    return sorted(rows, key=lambda row: -abs(row["network_ms"] - row["alone_ms"]))


def in_own_process(name: str, n_threads: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "row.json"
        command = [sys.executable, __file__, *sys.argv[1:], "--child", name, str(path)]
        environment = {**os.environ, "DOVETAIL_NUM_THREADS": str(n_threads)} if n_threads else dict(os.environ)
        subprocess.run(command, env=environment, check=True)
        return {**json.loads(path.read_text()), "threads": n_threads}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(MODELS)}; {', '.join(SEVEN)} if none")
    parser.add_argument("--threads", type=int, nargs="+", default=[0], help="0: as many as this process may use")
    parser.add_argument("--seconds", type=float, default=2.0, help="of running each network")
    parser.add_argument("--worst", type=int, default=3, help="steps to name for each model")
    parser.add_argument("--small", action="store_true", help="few channels and layers")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, path = options.child
        Path(path).write_text(json.dumps(measure(name, options)))
        return 0
    rows = []
    for n_threads in options.threads:
        print(f"\n{n_threads or 'default'} threads")
        print(f"{'model':18}{'build, s':>10}{'sum, ms':>12}{'network, ms':>13}{'network / sum':>15}")
        for name in options.names or SEVEN:
            row = in_own_process(name, n_threads)
            ratio = row["network_ms"] / row["sum_ms"]
            figures = f"{row['build_s']:10.2f}{row['sum_ms']:12.3f}{row['network_ms']:13.3f}{ratio:15.3f}"
            print(f"{name:18}{figures}", flush=True)
            for step in row["steps"][: options.worst]:
                alone, inside = step["alone_ms"], step["network_ms"]
                print(f"    {step['layer'][:40]:42}{step['runs_on'][:40]:42}{alone:8.3f} alone, {inside:8.3f} in it")
            rows.append(row)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Do the times of the chosen steps add up to the time of the network? The builder decides on the former.

For each model a plan is built. Then each chosen step runs alone, as the builder times it, and the network runs as a
whole, in turns, so that a busy moment of the machine falls on both. Printed are the sum of the steps as the builder
found it, the sum of the steps in these turns, the time of the network, and the ratio of the last two: medians, since
these add up where minima do not (a short step finds a quiet moment that a whole network never has). Then the steps that
differ most: what each takes alone, and in the network by `context.profiler`. Each number of threads has a process of
its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "models"))

from catalog import MODELS, feeds

import dovetail as trt
from dovetail.machine.builder.build import build_of
from dovetail.machine.builder.graph import Graph
from dovetail.machine.builder.passes.time_candidates import contents_of
from dovetail.machine.builder.pipeline import run, with_plugins

SEVEN = ("resnet50", "mobilenetv2", "efficientnet-b0", "unet", "dcgan", "bert-base", "yolo")
RUNS = 2  # of each step, and of the network, in a turn


class StepTimes(trt.IProfiler):
    """Milliseconds of each step in one run."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        self.times.append(ms)


def build(name: str, options: argparse.Namespace) -> tuple[Any, Graph, list[Any], float]:
    """(model, graph with its plan, what runs each of its steps alone, seconds that the build took)."""
    model = MODELS[name].make(1, options.small)
    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network, config = builder.create_network(), builder.create_builder_config()
    parser = trt.OnnxParser(network, builder.logger)
    if not parser.parse(model.SerializeToString()):
        raise SystemExit(f"{name}: {parser.get_error(0)}")
    config.default_device_type = trt.DeviceType.CPU
    made, passes = build_of(network, config), with_plugins(network.lookup)
    started = perf_counter()
    graph = run(made, passes)
    build_s = perf_counter() - started
    timed = run(made, passes, until="time_candidates")  # again, for what layers compute whose work depends on it
    contents = {group.head.name: contents_of(timed, made, group) for group in timed.all_groups()}
    steps = [group for group in graph.all_groups() if group.chosen is not None]
    return model, graph, [made.measurements.runs_alone(one, contents.get(one.head.name)) for one in steps], build_s


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    model, graph, runs_alone, build_s = build(name, options)
    engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(graph.plan)
    whole, watched = engine.create_execution_context(), engine.create_execution_context()
    profiler = watched.profiler = StepTimes()
    inputs = feeds(model)
    alone: list[list[float]] = [[] for _ in runs_alone]
    inside: list[list[float]] = [[] for _ in runs_alone]
    network: list[float] = []
    for turn in range(options.turns + 1):
        for context in (whole, watched):
            for again in range(RUNS + 1):
                profiler.times.clear()
                before = perf_counter()
                context.run(inputs)
                spent_ms = (perf_counter() - before) * 1e3
                if not turn or not again:  # the first run after the steps finds the caches as these left them
                    continue
                if context is whole:
                    network.append(spent_ms)
                else:
                    for times, ms in zip(inside, profiler.times, strict=True):
                        times.append(ms)
        for times, run_alone in zip(alone, runs_alone, strict=True):
            found = run_alone(RUNS + 1)[1:]  # the first finds what all the others left
            times += [ns / 1e6 for ns in found] if turn else []
    steps = graph.document["report"]["steps"]
    rows = [
        {"layer": step["layer"], "runs_on": step["runs_on"], "alone_ms": median(one), "network_ms": median(other)}
        for step, one, other in zip(steps, alone, inside, strict=True)
    ]
    return {
        "model": name,
        "build_s": build_s,
        "built_sum_ms": sum(step["time_ns"] for step in steps) / 1e6,
        "sum_ms": sum(row["alone_ms"] for row in rows),
        "network_ms": median(network),
        "least_network_ms": min(network),
        "steps": sorted(rows, key=lambda row: -abs(row["network_ms"] - row["alone_ms"])),
    }


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
    parser.add_argument("--turns", type=int, default=20, help="in which steps and network run")
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
        heads = f"{'build, s':>10}{'sum built, ms':>15}{'sum, ms':>10}{'network, ms':>13}{'network / sum':>15}"
        print(f"{'model':18}{heads}")
        for name in options.names or SEVEN:
            row = in_own_process(name, n_threads)
            ratio = row["network_ms"] / row["sum_ms"]
            times = f"{row['built_sum_ms']:15.3f}{row['sum_ms']:10.3f}{row['network_ms']:13.3f}"
            print(f"{name:18}{row['build_s']:10.2f}{times}{ratio:15.3f}", flush=True)
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

"""dovetail beside ONNX Runtime, OpenVINO, ncnn and PyTorch on the CPU: time, memory, and whether the results agree.

Each engine has a process of its own, on the same cores, and all but the one that is being timed are stopped: a thread
that another engine leaves spinning costs nothing. In each round every engine runs for a while, in an order that moves
on from round to round. A ratio is the time of the fastest peer whose results agree, divided by ours: above 1, dovetail
is faster. On a shared machine, minima and their ratios are the most reliable.

Outputs are compared with those of the first peer, within what the precision allows (`workloads.py`). An engine whose
outputs differ more is marked with `!` and left out of the ratios, and the run fails.

A name that ends in .onnx is a file. Extents that it leaves open are set by --extents, else to 1 for the batch, 224 for
axes of pictures, and 64; its inputs are random.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from engines import ENGINES, MODES, OURS
from workloads import GROUPS, WORKLOADS, File, Workload, is_file, named

FOLDER = Path(__file__).parent


# ---- one engine in its process
class Failed(Exception):
    """An engine cannot build or run a workload."""


@dataclass
class Setting:
    """What all engines of a row share."""

    workload: Workload | File
    n_threads: int
    folder: Path
    pythons: Mapping[str, str]  # of each engine that is installed
    mode: str

    def command(self, verb: str, engine: str, *rest: object) -> list[str]:
        given = [self.pythons[engine], FOLDER / "engines.py", verb, engine, *rest]
        return [*map(str, given), str(self.n_threads), self.workload.precision, self.mode]


class Subject:
    """An engine with a workload: built, loaded, and stopped except while it is timed."""

    def __init__(self, engine: str, setting: Setting) -> None:
        self.engine, self.times, self.facts = engine, [], {}
        folder = setting.folder
        file, self.outputs = folder / "model.onnx", folder / f"{engine}.npz"
        if ENGINES[engine].builds_ahead:
            artifact = folder / f"{engine}.built"
            command = setting.command("build", engine, file, artifact)
            self.facts |= answer(subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout)
            file = artifact
        command = setting.command("serve", engine, file, folder / "feeds.npz", self.outputs)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.facts |= answer(self._process.stdout.readline())
        except Failed:
            self._process.wait()
            raise
        self.facts["file_bytes"] = size_of(file)
        self._process.send_signal(signal.SIGSTOP)

    def run(self, seconds: float) -> None:
        """Time calls for about that long."""
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        self.times += answer(self._process.stdout.readline())
        self._process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def figures(self) -> dict[str, Any]:
        ms = [1e3 * seconds for seconds in self.times]
        return self.facts | {"min_ms": min(ms), "median_ms": statistics.median(ms), "calls": len(ms)}


def answer(line: str) -> Any:
    """What a process said. Raises Failed with the reason if it could not do what it was asked for."""
    found = json.loads(line) if line.strip() else {"failure": "the process ended without a word"}
    if isinstance(found, dict) and "failure" in found:
        raise Failed(found["failure"])
    return found


def size_of(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*")) if path.is_dir() else path.stat().st_size


# ---- one row
def difference(results: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> float:
    """The largest of all outputs, as a share of the largest value; infinite where extents or integers differ."""
    worst = 0.0
    for name, wanted in expected.items():
        if name not in results or results[name].shape != wanted.shape:
            return float("inf")
        if wanted.dtype.kind != "f":
            worst = worst if np.array_equal(results[name], wanted) else float("inf")
        elif wanted.size:
            off = float(np.abs(results[name] - wanted).max()) / (float(np.abs(wanted).max()) or 1.0)
            worst = max(worst, off if np.isfinite(off) else float("inf"))
    return worst


def compared(subjects: Sequence[Subject], names: Sequence[str], tolerance: float) -> dict[str, dict[str, Any]]:
    """How far the outputs of each engine are from those of the first peer, or from our own where there is no peer.

    `names` are those of the outputs; OpenVINO has more than one name for some.
    """
    first = next((subject for subject in subjects if subject.engine != OURS), subjects[0])
    outputs, found = np.load(first.outputs), {}
    expected = {name: outputs[name] for name in names}
    for subject in subjects:
        off = difference(dict(np.load(subject.outputs)), expected)
        found[subject.engine] = {"difference": off, "agrees": off <= tolerance}
    return found


def measure(workload: Workload | File, n_threads: int, options: argparse.Namespace, pythons: Mapping[str, str]) -> dict:
    """The figures of each engine, or why there are none."""
    row: dict[str, Any] = {"workload": workload.name, "threads": n_threads, "precision": workload.precision}
    row["mode"] = options.mode
    row |= {"group": workload.group, "target": workload.target, "engines": {}}
    with tempfile.TemporaryDirectory() as name:
        setting = Setting(workload, n_threads, Path(name), pythons, options.mode)
        try:
            names = write_model(setting, options.small)
        except Exception as error:  # a file may have inputs that are not tensors, or be too large
            failure = {"failure": f"no model or no inputs: {type(error).__name__}: {error}"}
            return row | {"engines": dict.fromkeys(pythons, failure)}
        row["model_bytes"] = size_of(setting.folder / "model.onnx")
        subjects = []
        try:
            for engine in pythons:
                if workload.precision in ENGINES[engine].precisions and options.mode in ENGINES[engine].modes:
                    try:
                        subjects.append(Subject(engine, setting))
                    except Failed as failure:
                        row["engines"][engine] = {"failure": str(failure)}
            for turn in range(options.rounds):
                for index in range(len(subjects)):
                    subjects[(index + turn) % len(subjects)].run(options.seconds)
            agreement = compared(subjects, names, workload.tolerance) if subjects else {}
            for subject in subjects:
                row["engines"][subject.engine] = subject.figures | agreement[subject.engine]
        finally:
            for subject in subjects:
                subject.close()
    return row | ratios(row["engines"])


def write_model(setting: Setting, is_small: bool) -> list[str]:
    """Write the model and its inputs; the names of its outputs."""
    model, feeds = setting.workload.made(is_small)
    onnx.save(model, setting.folder / "model.onnx")
    np.savez(setting.folder / "feeds.npz", **feeds)
    return [entry.name for entry in model.graph.output]


def ratios(engines: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The fastest peer that agrees, and its times over ours."""
    peers = {name: found for name, found in engines.items() if name != OURS and found.get("agrees")}
    ours = engines.get(OURS, {})
    if not peers or not ours.get("agrees"):
        return {}
    found: dict[str, Any] = {"fastest": min(peers, key=lambda name: peers[name]["min_ms"])}
    for key, name in (("min_ms", "ratio"), ("median_ms", "median_ratio")):
        found[name] = min(peer[key] for peer in peers.values()) / ours[key]
    return found


# ---- tables
WIDTH = 2 + max(map(len, WORKLOADS))  # of the column of names


def label(name: str) -> str:
    return f"{name[: WIDTH - 2]:{WIDTH}}"


def heading(engines: Sequence[str]) -> str:
    start = label("workload") + "".join(f"{name:>20}" for name in engines)
    return f"{start}{'ratio':>8}{'median':>8}{'target':>8}  off by"


def line(row: Mapping[str, Any], engines: Sequence[str]) -> str:
    """Minimum and median of each engine in ms; the ratios; the largest difference of ours."""
    text, ours = label(row["workload"]), row["engines"].get(OURS, {})
    for name in engines:
        found = row["engines"].get(name)
        cell = "-" if found is None else "failed"
        if found and "min_ms" in found:
            cell = f"{found['min_ms']:.3f} ({found['median_ms']:.3f})" + ("" if found["agrees"] else " !")
        text += f"{cell:>20}"
    if "ratio" in row:
        missed = " missed" if row["ratio"] < row["target"] else ""
        text += f"{row['ratio']:8.2f}{row['median_ratio']:8.2f}{row['target']:8.2f}  {ours['difference']:.0e}{missed}"
    failures = {name: found["failure"] for name, found in row["engines"].items() if "failure" in found}
    failures |= {name: f"outputs differ by {found['difference']:.1e}" for name, found in wrong(row)}
    return text + "".join(f"\n    {name}: {' '.join(why.split())[:200]}" for name, why in failures.items())


def wrong(row: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((name, found) for name, found in row["engines"].items() if found.get("agrees") is False)


def means(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The geometric mean of each number of threads, for networks, layers and files apart."""
    lines = []
    for n_threads in dict.fromkeys(row["threads"] for row in rows):
        for group in dict.fromkeys(row["group"] for row in rows):
            found = [row for row in rows if row["threads"] == n_threads and row["group"] == group and "ratio" in row]
            if found:
                mean, median = (
                    statistics.geometric_mean(row[key] for row in found) for key in ("ratio", "median_ratio")
                )
                lines.append(
                    f"{n_threads} thread{'s' * (n_threads > 1)}, {len(found)} {group}: geometric mean of the ratios "
                    f"{mean:.3f} (of medians {median:.3f})"
                )
    return lines


def slower(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where the fastest peer is faster, worst first."""
    lines = []
    for n_threads in dict.fromkeys(row["threads"] for row in rows):
        found = [row for row in rows if row["threads"] == n_threads and row.get("ratio", 1) < 1]
        found.sort(key=lambda row: row["ratio"])
        if found:
            names = (f"{row['workload']} {row['ratio']:.2f} ({row['fastest']})" for row in found)
            lines.append(f"slower than the fastest peer, {n_threads} thread{'s' * (n_threads > 1)}: {', '.join(names)}")
    return lines


SIDES = f"{label('workload')}{'build, s':>9}{'load, ms':>9}{'steps':>7}{'plan / model':>13}{'arena / bound':>14}"
MEMORY = f"{'build, MB':>11}{'load, MB':>10}{'run, MB':>9}{'peer load':>11}{'peer run':>10}"


def side_figures(row: Mapping[str, Any]) -> str:
    """What dovetail's build and plan are like, and the memory of both; of the peer with the least."""
    ours = row["engines"].get(OURS, {})
    if "load_s" not in ours:
        return f"{label(row['workload'])}  failed"
    bound = ours["arena"] / ours["arena_bound"] if ours["arena_bound"] else 1.0
    text = f"{label(row['workload'])}{ours['build_s']:9.2f}{1e3 * ours['load_s']:9.1f}{ours['steps']:7}"
    text += f"{ours['file_bytes'] / row['model_bytes']:13.2f}{bound:14.3f}"
    text += f"{ours['build_mb']:11.0f}{ours['load_mb']:10.0f}{ours['run_mb']:9.0f}"
    peers = [found for name, found in row["engines"].items() if name != OURS and "load_mb" in found]
    if peers:
        text += "".join(
            f"{min(found[key] for found in peers):{width}.0f}" for key, width in (("load_mb", 11), ("run_mb", 10))
        )
    return text


# ---- the whole
def installed(python: str, peers: str, wanted: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """By engine: the interpreter that has it, and its version. Names those that are missing."""
    pythons, found = {}, {}
    for interpreter in dict.fromkeys((python, peers)):
        done = subprocess.run([interpreter, FOLDER / "engines.py", "versions"], stdout=subprocess.PIPE, text=True)
        for name, version in answer(done.stdout).items():
            if version and name in wanted and (name == OURS) <= (interpreter == python):
                pythons[name], found[name] = interpreter, version
    for name in wanted:
        if name not in found:
            print(f"{name} is not installed: {ENGINES[name].install}")
    order = [name for name in wanted if name in found]
    return {name: pythons[name] for name in order}, {name: found[name] for name in order}


def machine() -> str:
    """The processor and the cores that this process may use."""
    info = Path("/proc/cpuinfo").read_text(errors="replace").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [text.partition(":")[2].strip() for text in info if text.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {len(os.sched_getaffinity(0))} cores, {platform.system()}"


def write_json(path: Path, about: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names",
        nargs="*",
        default=["networks"],
        metavar="NAME",
        help=f"{', '.join(GROUPS)}, FILE.onnx, or any of {', '.join(WORKLOADS)}",
    )
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), help="all that are installed")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--mode",
        choices=MODES,
        default=MODES[0],
        help="latency: all threads compute one call; throughput: each computes calls of its own, and a time is that of "
        "many at once divided by their number",
    )
    parser.add_argument(
        "--extents", type=extent_of, nargs="+", default=[], metavar="NAME=N", help="of axes that files leave open"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one engine in one round")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="an interpreter that has the peers")
    parser.add_argument("--small", action="store_true", help="few channels and layers, as in the tests")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--plot", type=Path, help="draw the ratios to this file, .png or .svg (needs matplotlib)")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if not is_file(name) and name not in GROUPS and name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload is called {', '.join(unknown)}")
    for name in filter(is_file, options.names):
        try:
            onnx.load(name, load_external_data=False)
        except Exception as error:
            parser.error(f"{name}: {error}")
    return options


def extent_of(text: str) -> tuple[str, int]:
    name, _, extent = text.rpartition("=")
    if not name or not extent.isdecimal() or not int(extent):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=N, as in sequence=128")
    return name, int(extent)


def main(arguments: Sequence[str] | None = None) -> int:
    options = options_of(arguments)
    pythons, versions = installed(sys.executable, options.peers, options.engines)
    about = {"date": date.today().isoformat(), "machine": machine(), "versions": versions, "mode": options.mode}
    print(
        f"{about['date']}  {about['machine']}\n" + ", ".join(f"{name} {version}" for name, version in versions.items())
    )
    rows: list[dict[str, Any]] = []
    workloads = named(options.names, dict(options.extents))
    for n_threads in options.threads:
        setting = f"{options.mode}, {n_threads} thread{'s' * (n_threads > 1)}"
        print(f"\n{setting}: minimum (median) in ms; ratio: fastest peer / {OURS}")
        print(heading(list(pythons)), flush=True)
        for workload in workloads:
            rows.append(measure(workload, n_threads, options, pythons))
            print(line(rows[-1], list(pythons)), flush=True)
            if options.json:
                write_json(options.json, about, rows)
    print("\n" + SIDES + MEMORY, *map(side_figures, rows[-len(workloads) :]), "", *means(rows), *slower(rows), sep="\n")
    if options.plot:
        from chart import draw

        draw(rows, options.plot, f"{about['machine']}, {about['date']}")
    return int(any(dict(wrong(row)) or "failure" in row["engines"].get(OURS, {}) for row in rows))


if __name__ == "__main__":
    sys.exit(main())

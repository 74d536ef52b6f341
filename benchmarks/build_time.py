"""How long builds take: with all candidates measured, and with all times in the timing cache.

Each model is built in turns: with an empty cache, with the cache that the first build filled, and without timing
(builder_optimization_level 0), which is the part of a build that no cache saves. Minima over the rounds. Plans that
come out of one cache are compared: they have to be equal, bit for bit.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "models"))

from catalog import MODELS

import dovetail as trt

SUBJECTS = ("measuring", "from the cache", "without timing")


class Subject:
    """One model, parsed once."""

    def __init__(self, name: str, is_small: bool, n_threads: int) -> None:
        self.builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
        self.network = self.builder.create_network()
        self.n_threads = n_threads
        parser = trt.OnnxParser(self.network, self.builder.logger)
        if not parser.parse(MODELS[name].make(1, is_small).SerializeToString()):
            raise SystemExit(f"{name}: {parser.get_error(0)}")
        self.cache = self.config().create_timing_cache(b"")
        self.build(self.cache)
        self.plans: set[bytes] = set()

    def config(self) -> trt.IBuilderConfig:
        config = self.builder.create_builder_config()
        config.default_device_type = trt.DeviceType.CPU
        config.num_threads = self.n_threads
        return config

    def build(self, cache: Any = None, level: int | None = None) -> tuple[float, bytes]:
        """Seconds of one build, and the plan."""
        config = self.config()
        if cache is not None:
            config.set_timing_cache(cache)
        if level is not None:
            config.builder_optimization_level = level
        started = perf_counter()
        plan = self.builder.build_serialized_network(self.network, config)
        return perf_counter() - started, bytes(plan)

    def round(self) -> list[float]:
        measuring, _ = self.build(self.config().create_timing_cache(b""))
        cached, plan = self.build(self.cache)
        untimed, _ = self.build(level=0)
        self.plans.add(plan)
        return [measuring, cached, untimed]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(MODELS)}; resnet50 if none is given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as this process may use")
    parser.add_argument("--small", action="store_true", help="few channels and layers")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    rows, is_equal = [], True
    print(f"{'model':18}{'layers':>8}" + "".join(f"{f'{subject}, s':>20}" for subject in SUBJECTS))
    for name in options.names or ["resnet50"]:
        subject = Subject(name, options.small, options.threads)
        times = list(zip(*(subject.round() for _ in range(options.rounds)), strict=True))
        best = [min(seconds) for seconds in times]
        print(f"{name:18}{len(subject.network):>8}" + "".join(f"{seconds:20.3f}" for seconds in best), flush=True)
        is_equal &= len(subject.plans) == 1
        rows.append({"model": name, "plans": len(subject.plans), **dict(zip(SUBJECTS, times, strict=True))})
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if not is_equal:
        print("builds from one cache made different plans")
    return 0 if is_equal else 1


if __name__ == "__main__":
    sys.exit(main())

"""Ratios of `run.py` as a bar chart: `chart.py FIGURES.json PICTURE.svg` draws what `--json` wrote."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLOURS = ("#9db8d2", "#2f6ea5", "#16395a")
ROW_INCHES = 0.2


def draw(rows: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """One group of bars for each workload, one bar for each number of threads, and a mark at each target."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise SystemExit("--plot needs matplotlib: pip install matplotlib") from None
    rows = [row for row in rows if "ratio" in row]
    names = list(dict.fromkeys(row["workload"] for row in rows))
    counts = list(dict.fromkeys(row["threads"] for row in rows))
    figure = Figure(figsize=(8, 1.5 + ROW_INCHES * len(names) * max(1, len(counts))), layout="constrained")
    axes, height = figure.add_subplot(), 0.8 / max(1, len(counts))
    for index, n_threads in enumerate(counts):
        found = {row["workload"]: row["ratio"] for row in rows if row["threads"] == n_threads}
        places = [place + (index - (len(counts) - 1) / 2) * height for place in range(len(names))]
        values = [found.get(name, 0) for name in names]
        bars = axes.barh(places, values, height, color=COLOURS[index % len(COLOURS)], label=f"threads: {n_threads}")
        axes.bar_label(bars, [f"{value:.2f}" for value in values], padding=2, fontsize=6)
    targets = {row["workload"]: row["target"] for row in rows}
    axes.scatter(
        [targets[name] for name in names], range(len(names)), marker="|", s=160, color="#c0392b", label="target"
    )
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set(
        yticks=range(len(names)), yticklabels=names, title=title, xlabel="time of the fastest peer / time of dovetail"
    )
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.legend(loc="lower right", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    figures = json.loads(Path(sys.argv[1]).read_text())
    draw(figures["rows"], Path(sys.argv[2]), f"{figures['machine']}, {figures['date']}")

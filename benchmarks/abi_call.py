"""Cost of one call across the plugin interface, beside a direct call of the same work.

Compiles abi_call.cpp and abi_call_plugin.cpp with the installed headers, as an author of plugins would.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

import dovetail

HERE = Path(__file__).parent


def measure() -> list[tuple[str, float, float]]:
    """(way of calling, minimum, median) in ns a call."""
    compiler = [os.environ.get("CXX", "c++"), "-O2", "-std=c++20", f"-I{dovetail.get_include()}"]
    with tempfile.TemporaryDirectory() as folder:
        library, program = Path(folder, "libabi_call_plugin.so"), Path(folder, "abi_call")
        hidden = ["-shared", "-fPIC", "-fvisibility=hidden"]
        subprocess.run([*compiler, *hidden, HERE / "abi_call_plugin.cpp", "-o", library], check=True)
        subprocess.run([*compiler, HERE / "abi_call.cpp", "-o", program, "-ldl"], check=True)
        text = subprocess.run([program, library], check=True, capture_output=True, text=True).stdout
    rows = [line.split("\t") for line in text.splitlines()]
    return [(name, float(minimum), float(median)) for name, minimum, median in rows]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    rows = measure()
    direct = rows[0]
    print(f"{'ns a call':24}{'minimum':>10}{'median':>10}{'over direct':>14}")
    for name, minimum, median in rows:
        print(f"{name:24}{minimum:10.2f}{median:10.2f}{minimum - direct[1]:+14.2f}")
    if options.json:
        figures = {name: {"minimum_ns": minimum, "median_ns": median} for name, minimum, median in rows}
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")

"""Time until dovetail is there, beside ONNX Runtime: each import in a process of its own, in turn; minima.

    python benchmarks/import_time.py [--rounds N] [--json FILE]

All times are beyond NumPy's own import, with bytecode written beforehand, as an installation has it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec

SUBJECTS = {
    "import dovetail": "import dovetail",
    "and what runs plans": "import dovetail; dovetail.Runtime(dovetail.Logger())",
    "and what builds them": "import dovetail; dovetail.Builder(dovetail.Logger()); dovetail.OnnxParser",
    "import onnxruntime": "import onnxruntime",
}
TIMED = "import time, numpy\nstart = time.perf_counter()\n{}\nprint(time.perf_counter() - start)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", help="file for the figures")
    args = parser.parse_args()
    subjects = {name: code for name, code in SUBJECTS.items() if "onnxruntime" not in code or find_spec("onnxruntime")}
    best = dict.fromkeys(subjects, float("inf"))
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = folder
        for turn in range(args.rounds + 1):
            for name, code in subjects.items():
                command = [sys.executable, "-c", TIMED.format(code)]
                done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
                if turn > 0:  # the first one writes the bytecode
                    best[name] = min(best[name], float(done.stdout))
    peer = best.get("import onnxruntime")
    for name, seconds in best.items():
        ratio = f"  {seconds / peer:5.2f} x onnxruntime" if peer else ""
        print(f"{name:<22} {1e3 * seconds:7.1f} ms{ratio}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({name: {"seconds": seconds} for name, seconds in best.items()}, file, indent=1)


if __name__ == "__main__":
    main()

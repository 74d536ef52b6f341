"""The test-suite of the package onnx, case by case: `python suite.py GROUP...` prints those that do not pass."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test import loader
from onnx.backend.test.runner import Runner

GROUPS = ("node", "simple", "pytorch-operator", "pytorch-converted", "light")
BATCH = 40  # cases that a process takes at once; of light models one
TOLERANCES = {"rtol": 2e-3, "atol": 1e-6}  # of the light models, whose outputs another program computed


@cache
def cases(group):
    """The cases of a group, by name."""
    if group == "light":
        folder = Path(onnx.__file__).parent / "backend/test/data/light"
        return {
            path.stem: SimpleNamespace(model=None, model_dir=path, **TOLERANCES) for path in folder.glob("light_*.onnx")
        }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package's own generators
        return {case.name: case for case in loader.load_model_tests(kind=group)}


def data_of(case):
    """(model, [(inputs, outputs)]) of a case, wherever it lies."""
    if case.model is not None:
        return case.model, [tuple([_array(value) for value in side] for side in both) for both in case.data_sets]
    path = Path(case.model_dir)
    if path.is_file():
        return _light(path)
    sets = []
    for data in sorted(path.glob("test_data_set_*")):
        sides = []
        for side in ("input", "output"):
            files = sorted(data.glob(f"{side}_*.pb"), key=lambda path: int(path.stem.rpartition("_")[2]))
            sides.append([numpy_helper.to_array(onnx.load_tensor(file)) for file in files])
        sets.append(tuple(sides))
    return onnx.load(path / "model.onnx"), sets


def _array(value):
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _light(path):
    """A model of the zoo with made-up weights, the input that its outputs were computed for, and these."""
    model = onnx.load(path)
    given = {tensor.name for tensor in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in given]
    arrays = [Runner.generate_dummy_data(entry, seed=0, name=path.stem, random=False) for entry in inputs]
    outputs = [path.with_name(f"{path.stem}_output_{index}.pb") for index in range(len(model.graph.output))]
    return model, [(arrays, [numpy_helper.to_array(onnx.load_tensor(file)) for file in outputs])]


def outcome(case, device="CPU"):
    """ "" if the case passes on CPU or CUDA, else why not, in a few words."""
    from dovetail.machine.onnx import backend

    try:
        model, sets = data_of(case)
        ready = backend.prepare(model, device)
        for inputs, outputs in sets:
            results = ready.run(list(inputs))
            if len(results) != len(outputs):
                return f"{len(results)} outputs instead of {len(outputs)}"
            for got, wanted in zip(results, outputs, strict=True):
                wanted = np.asarray(wanted)
                if got.shape != wanted.shape or got.dtype != wanted.dtype:
                    return f"gives {got.dtype}{list(got.shape)} instead of {wanted.dtype}{list(wanted.shape)}"
                np.testing.assert_allclose(got, wanted, rtol=case.rtol, atol=case.atol)
    except AssertionError:
        return "other values"
    except Exception as error:
        facts = getattr(error, "facts", [])
        text = str(facts[0][1]) if facts else str(error)
        return f"{type(error).__name__}: {' '.join(text.split())[:110]}"
    return ""


def _outcomes(device, batch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy: overflows are part of the cases
        return {(group, name): outcome(cases(group)[name], device) for group, name in batch}


def run(groups=GROUPS, n_processes=2, device="CPU"):
    """{(group, name): outcome} of all cases of the groups."""
    batches = []
    for group in groups:
        names, size = [(group, name) for name in sorted(cases(group))], 1 if group == "light" else BATCH
        batches += [names[start : start + size] for start in range(0, len(names), size)]
    results = {}
    with ProcessPoolExecutor(n_processes) as pool:
        for part in pool.map(partial(_outcomes, device), batches):
            results |= part
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", default=GROUPS)
    parser.add_argument("--json", action="store_true", help="all outcomes, as a list")
    parser.add_argument("--device", default="CPU", choices=("CPU", "CUDA"))
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    outcomes = run(options.groups, options.processes, options.device)
    if options.json:
        print(json.dumps([[*case, reason] for case, reason in outcomes.items()]))
    else:
        for group in dict.fromkeys(group for group, _ in outcomes):
            reasons = [reason for (of, _), reason in outcomes.items() if of == group]
            print(f"# {group}: {reasons.count('')} of {len(reasons)} pass", file=sys.stderr)
        for (group, name), reason in sorted(outcomes.items()):
            if reason:
                print(f"{group}/{name}\t{reason}")

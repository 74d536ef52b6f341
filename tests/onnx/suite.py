"""The test-suite of the package onnx, case by case: `python suite.py GROUP...` prints those that do not pass."""

from __future__ import annotations

import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test import loader

GROUPS = ("node", "simple", "pytorch-operator", "pytorch-converted")


def cases(group):
    """The cases of a group, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package's own generators
        return {case.name: case for case in loader.load_model_tests(kind=group)}


def data_of(case):
    """(model, [(inputs, outputs)]) of a case, wherever it lies."""
    if case.model is not None:
        return case.model, [tuple([_array(value) for value in side] for side in both) for both in case.data_sets]
    folder = Path(case.model_dir)
    sets = []
    for data in sorted(folder.glob("test_data_set_*")):
        sides = []
        for side in ("input", "output"):
            files = sorted(data.glob(f"{side}_*.pb"), key=lambda path: int(path.stem.rpartition("_")[2]))
            sides.append([numpy_helper.to_array(onnx.load_tensor(file)) for file in files])
        sets.append(tuple(sides))
    return onnx.load(folder / "model.onnx"), sets


def _array(value):
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def outcome(case):
    """ "" if the case passes, else why not, in a few words."""
    from dovetail.machine.onnx import backend

    try:
        model, sets = data_of(case)
        ready = backend.prepare(model)
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


def _outcomes(group, names):
    found = cases(group)
    return {name: outcome(found[name]) for name in names}


def run(group, n_processes=2):
    """{name: outcome} of all cases of a group. A case that ends its process counts as a crash."""
    names = sorted(cases(group))
    parts = [names[start::n_processes] for start in range(n_processes)]
    with ProcessPoolExecutor(n_processes) as pool:
        results = {}
        for part in pool.map(_outcomes, [group] * n_processes, parts):
            results |= part
    return results


if __name__ == "__main__":
    for name in sys.argv[1:] or GROUPS:
        results = run(name)
        passed = sum(not reason for reason in results.values())
        print(f"# {name}: {passed} of {len(results)} pass", file=sys.stderr)
        for case, reason in sorted(results.items()):
            if reason:
                print(f"{case}\t{reason}")

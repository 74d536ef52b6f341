"""ONNX Runtime in a process of its own, so that a crash of it is not one of the tests."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

_pool = None


class Crashed(Exception):
    """ONNX Runtime ended its process."""


def outputs_of(model, feeds):
    """Outputs in order, of a serialised model. Raises what ONNX Runtime raises as RuntimeError, and Crashed."""
    global _pool
    if _pool is None:
        _pool = ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"))
    try:
        return _pool.submit(_run, model, feeds).result()
    except BrokenProcessPool:
        _pool = None
        raise Crashed("ONNX Runtime crashed") from None


def _run(model, feeds):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return session.run(None, feeds)
    except Exception as error:  # its own classes cannot be pickled
        raise RuntimeError(str(error)) from None

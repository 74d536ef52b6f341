"""MatrixMultiply beside NumPy's BLAS, and beside ONNX Runtime where it is installed, in one run.

One matrix product an engine, b a constant or an input. The subjects take turns in every round, so that whatever else
the machine does falls on all, and their results are compared with a product in float64 before anything is printed.
Minimum and median over the rounds are printed; compare ratios of them elsewhere. Each number of threads is measured in
a process of its own, since BLAS libraries read it when they are loaded.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

# m, k, n, how many in a batch, is b transposed, is b a constant
SHAPES = {
    "square": (512, 512, 512, 1, False, False),
    "square, constant b": (512, 512, 512, 1, False, True),
    "square, b transposed": (512, 512, 512, 1, True, False),
    "large": (1024, 1024, 1024, 1, False, True),
    "wide": (64, 768, 3072, 1, False, True),
    "deep": (64, 4096, 64, 1, False, False),
    "attention": (128, 64, 128, 12, True, False),
    "small": (64, 64, 64, 1, False, False),
    "many small": (8, 8, 8, 256, False, False),
    "one row": (1, 1024, 1024, 1, False, False),
    "one row, constant b": (1, 1024, 1024, 1, False, True),
    "one column": (1024, 1024, 1, 1, False, False),
}


class Subject:
    """One way of computing one product: `call` does it once; `result` says what came out."""

    def __init__(self, call: Callable[[], object], result: Callable[[], object], kernel: str = "") -> None:
        self.call, self.result, self.kernel = call, result, kernel
        self.ns: list[float] = []
        call()
        start = perf_counter_ns()
        for _ in range(3):
            call()
        self.n_calls = max(1, int(3 * 10e6 / (perf_counter_ns() - start + 1)))  # about 10 ms a round

    def round(self) -> None:
        call, turns = self.call, range(self.n_calls)
        start = perf_counter_ns()
        for _ in turns:
            call()
        self.ns.append((perf_counter_ns() - start) / self.n_calls)


def dovetail_subject(a, b, is_transposed: bool, is_constant: bool) -> Subject:
    import numpy as np

    import dovetail as trt

    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network()
    left = network.add_input("a", trt.float32, a.shape)
    if is_constant:
        right = network.add_constant(b.shape, b).get_output(0)
    else:
        right = network.add_input("b", trt.float32, b.shape)
    op = trt.MatrixOperation.TRANSPOSE if is_transposed else trt.MatrixOperation.NONE
    y = network.add_matrix_multiply(left, trt.MatrixOperation.NONE, right, op).get_output(0)
    y.name = "y"
    network.mark_output(y)
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
    inspector = engine.create_engine_inspector()
    kernel = inspector.get_layer_information(engine.num_layers - 1, trt.LayerInformationFormat.ONELINE)
    context = engine.create_execution_context()
    result = np.zeros(tuple(y.shape), np.float32)
    for name, array in {"a": a, "y": result, **({} if is_constant else {"b": b})}.items():
        context.set_tensor_address(name, array.ctypes.data)
    return Subject(context.execute_async_v3, lambda: result, kernel)


def numpy_subject(a, b, is_transposed: bool) -> Subject:
    import numpy as np

    right = b.swapaxes(-1, -2) if is_transposed else b
    result = np.zeros((*a.shape[:-1], right.shape[-1]), np.float32)
    return Subject(lambda: np.matmul(a, right, out=result), lambda: result)


def ort_subject(a, b, is_transposed: bool, is_constant: bool, n_threads: int) -> Subject:
    import numpy as np
    import onnx
    import onnxruntime

    def info(name, array):
        return onnx.helper.make_tensor_value_info(name, 1, array.shape)

    nodes, right = [], "b"
    if is_transposed:
        order = [*range(b.ndim - 2), b.ndim - 1, b.ndim - 2]
        nodes, right = [onnx.helper.make_node("Transpose", ["b"], ["bt"], perm=order)], "bt"
    nodes.append(onnx.helper.make_node("MatMul", ["a", right], ["y"]))
    y = np.zeros((*a.shape[:-1], b.shape[-2] if is_transposed else b.shape[-1]), np.float32)
    inputs = [info("a", a)] + ([] if is_constant else [info("b", b)])
    weights = [onnx.numpy_helper.from_array(b, "b")] if is_constant else []
    graph = onnx.helper.make_graph(nodes, "product", inputs, [info("y", y)], weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for name, array in {"a": a, **({} if is_constant else {"b": b})}.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    binding.bind_output("y", "cpu", 0, np.float32, y.shape, y.ctypes.data)
    return Subject(lambda: session.run_with_iobinding(binding), lambda: y)


def has_ort() -> bool:
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


def measure(rounds: int, only: str, n_threads: int) -> dict[str, dict]:
    """Per shape and subject: minimum and median of the microseconds of one product."""
    import numpy as np

    report = {}
    for name, (m, k, n, batch, is_transposed, is_constant) in SHAPES.items():
        if only not in name:
            continue
        rng = np.random.default_rng(0)
        front = (batch,) if batch > 1 else ()
        a = rng.uniform(-1, 1, (*front, m, k)).astype(np.float32)
        b = rng.uniform(-1, 1, (*front, *((n, k) if is_transposed else (k, n)))).astype(np.float32)
        subjects = {
            "dovetail": dovetail_subject(a, b, is_transposed, is_constant),
            "NumPy": numpy_subject(a, b, is_transposed),
        }
        if has_ort():
            subjects["ONNX Runtime"] = ort_subject(a, b, is_transposed, is_constant, n_threads)
        for _ in range(rounds):
            for subject in subjects.values():
                subject.round()
        wanted = np.matmul(a.astype(np.float64), b.swapaxes(-1, -2) if is_transposed else b)
        for who, subject in subjects.items():
            np.testing.assert_allclose(subject.result(), wanted, atol=1e-5 * k**0.5, err_msg=f"{name}, {who}")
        report[name] = {
            "flop": 2 * m * k * n * batch,
            "kernel": subjects["dovetail"].kernel,
            "us": {who: [min(s.ns) / 1e3, statistics.median(s.ns) / 1e3] for who, s in subjects.items()},
        }
    return report


def in_own_process(options: argparse.Namespace, n_threads: int) -> dict[str, dict]:
    names = ("DOVETAIL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "report.json")
        given = [
            "--rounds",
            str(options.rounds),
            "--only",
            options.only,
            "--child",
            str(n_threads),
            "--json",
            str(path),
        ]
        settings = {**os.environ, **dict.fromkeys(names, str(n_threads)), "DOVETAIL_DEVICE": "cpu"}
        subprocess.run([sys.executable, __file__, *given], check=True, env=settings)
        return json.loads(path.read_text(encoding="utf-8"))


def versions() -> str:
    import numpy as np

    import dovetail as trt

    facts = [platform.machine(), f"{os.cpu_count()} cores", f"Python {platform.python_version()}"]
    facts += [f"dovetail {trt.__version__}", f"NumPy {np.__version__}"]
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    facts.append(f"{blas.get('name', 'BLAS')} {blas.get('version', '')}".strip())
    if has_ort():
        import onnxruntime

        facts.append(f"ONNX Runtime {onnxruntime.__version__}")
    return "; ".join(facts)


def table(n_threads: int, report: dict[str, dict]) -> str:
    whose = list(next(iter(report.values()))["us"]) if report else []
    lines = ["", f"{n_threads} thread{'s' * (n_threads > 1)}: us a product, minimum (median); ratio: theirs / ours"]
    lines.append(
        f"  {'':22}{'GFLOP/s':>9}" + "".join(f"{who:>22}{'' if who == 'dovetail' else '  ratio':7}" for who in whose)
    )
    for name, facts in report.items():
        ours = facts["us"]["dovetail"]
        line = f"  {name:22}{facts['flop'] / ours[0] / 1e3:9.1f}"
        for who in whose:
            low, middle = facts["us"][who]
            line += f"{f'{low:.1f} ({middle:.1f})':>22}"
            line += f"{'' if who == 'dovetail' else f'{low / ours[0]:7.2f}':7}"
        lines.append(line)
    lines += ["", *(f"  {name}: {facts['kernel']}" for name, facts in report.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", metavar="TEXT", help="shapes whose name has this in it")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--child", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        reports = measure(options.rounds, options.only, options.child)
    else:
        print(versions())
        reports = {}
        for n_threads in options.threads:
            reports[str(n_threads)] = in_own_process(options, n_threads)
            print(table(n_threads, reports[str(n_threads)]), flush=True)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(reports, indent=1) + "\n", encoding="utf-8")

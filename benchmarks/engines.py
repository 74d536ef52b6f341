"""The engines that `run.py` compares, and the process that each of them runs in.

`engines.py build ENGINE MODEL ARTIFACT THREADS PRECISION MODE` converts an ONNX file to what the engine loads and
prints figures of that; only for engines that build ahead of time. `serve ENGINE FILE FEEDS OUTPUTS THREADS PRECISION
MODE` loads it, writes the outputs, and then blocks on its standard input: a line says for how many seconds to run, and
is answered by the time of each call in seconds. MODE is `latency`, where all threads compute one call, or `throughput`,
where each computes calls of its own: the time of a call is then that of many at once, divided by their number. Answers
are lines of JSON. Memory is in MB beyond what the imported packages take.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

LEAST_CALLS = 5
WARMING_CALLS = 3
MODES = ("latency", "throughput")
STREAM_CALLS = 8  # of each thread, that are timed together
Arrays = dict[str, Any]
Call = Callable[[Arrays], Arrays]


class Engine:
    """An engine. `modules` are imported before anything is measured, `tools` are programs; `install` gets both."""

    modules: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    package = ""
    install = ""
    precisions: tuple[str, ...] = ("fp32", "int8")
    modes: tuple[str, ...] = MODES[:1]
    builds_ahead = False

    def start(self) -> None:
        """What an application does once, whatever it runs."""
        for module in self.modules:
            importlib.import_module(module)

    def build(self, model: str, artifact: str, n_threads: int, precision: str) -> dict[str, Any]:
        """Write the artifact; facts about it."""
        raise NotImplementedError

    def load(self, file: str, n_threads: int, precision: str) -> Call:
        """A function that runs the model: arrays by name in and out. `file` is the artifact, or the model."""
        raise NotImplementedError

    def load_streams(self, file: str, n_threads: int, precision: str, n_calls: int) -> Call:
        """A function that runs the model `n_calls` times, `n_threads` at once with one thread each."""
        raise NotImplementedError


class Dovetail(Engine):
    modules = ("dovetail",)
    package = "dovetail-runtime"
    install = "make .venv/installed"
    precisions = ("fp32", "int8", "bf16", "fp16")
    modes = MODES
    builds_ahead = True

    def start(self) -> None:
        import dovetail as trt

        self.runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))

    def build(self, model: str, artifact: str, n_threads: int, precision: str) -> dict[str, Any]:
        import dovetail as trt
        from dovetail.machine.plan import read_plan
        from dovetail.machine.report import facts_of_document

        logger = trt.Logger(trt.Logger.ERROR)
        builder = trt.Builder(logger)
        network, config = builder.create_network(), builder.create_builder_config()
        parser = trt.OnnxParser(network, logger)
        if not parser.parse_from_file(model):
            raise RuntimeError(str(parser.get_error(0)))
        config.default_device_type, config.num_threads = trt.DeviceType.CPU, n_threads
        if precision == "bf16":
            config.set_flag(trt.BuilderFlag.BF16)
        plan = builder.build_serialized_network(network, config)
        Path(artifact).write_bytes(plan)
        facts = facts_of_document(read_plan(plan))
        arena = facts.arenas[0][0]
        return {"steps": facts.n_steps, "arena": arena.size, "arena_bound": arena.bound}

    def load(self, file: str, n_threads: int, precision: str) -> Call:
        self.engine = self.runtime.deserialize_cuda_engine(Path(file))  # mapped
        return self.engine.create_execution_context().run

    def load_streams(self, file: str, n_threads: int, precision: str, n_calls: int) -> Call:
        import dovetail as trt

        model = trt.load(Path(file), throughput=True)

        def run(feeds: Arrays) -> Arrays:
            results = list(model.map([feeds] * n_calls, n_threads))[-1]
            return results if isinstance(results, dict) else {model.outputs[0]: results}

        return run


class OnnxRuntime(Engine):
    """It has no bfloat16 on the CPU, and computes such workloads in float32."""

    modules = ("onnxruntime",)
    package = "onnxruntime"
    install = "pip install onnxruntime"
    precisions = ("fp32", "int8", "bf16", "fp16")
    modes = MODES

    def load(self, file: str, n_threads: int, precision: str) -> Call:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return lambda feeds: dict(zip(names, session.run(None, feeds), strict=True))

    def load_streams(self, file: str, n_threads: int, precision: str, n_calls: int) -> Call:
        from concurrent.futures import ThreadPoolExecutor

        call, threads = self.load(file, 1, precision), ThreadPoolExecutor(n_threads)  # a session may be run by many
        return lambda feeds: list(threads.map(call, [feeds] * n_calls))[-1]


class OpenVino(Engine):
    modules = ("openvino",)
    package = "openvino"
    install = "pip install openvino"
    precisions = ("fp32", "int8", "bf16", "fp16")
    modes = MODES

    def _compiled(self, file: str, n_threads: int, precision: str, n_streams: int) -> Any:
        import openvino

        hint = "LATENCY" if n_streams == 1 else "THROUGHPUT"
        settings = {"INFERENCE_NUM_THREADS": n_threads, "NUM_STREAMS": n_streams, "PERFORMANCE_HINT": hint}
        settings["INFERENCE_PRECISION_HINT"] = "bf16" if precision == "bf16" else "f32"
        return openvino.Core().compile_model(file, "CPU", settings)

    def load_streams(self, file: str, n_threads: int, precision: str, n_calls: int) -> Call:
        import openvino

        model = self._compiled(file, n_threads, precision, n_threads)
        requests, results = openvino.AsyncInferQueue(model, 2 * n_threads), {}
        names = [name for output in model.outputs for name in output.names]
        requests.set_callback(
            lambda request, _: results.update({name: request.get_tensor(name).data for name in names})
        )

        def run(feeds: Arrays) -> Arrays:
            for _ in range(n_calls):
                requests.start_async(feeds)
            requests.wait_all()
            return results

        return run

    def load(self, file: str, n_threads: int, precision: str) -> Call:
        import openvino

        model = self._compiled(file, n_threads, precision, 1)
        request = model.create_infer_request()
        names = [name for output in model.outputs for name in output.names]
        tensors: Arrays = {}

        def run(feeds: Arrays) -> Arrays:
            if not tensors:  # the arrays are the same in each call: they are shared with the request once
                tensors.update({name: openvino.Tensor(array) for name, array in feeds.items()})
                for name, tensor in tensors.items():
                    request.set_tensor(name, tensor)
            request.infer()
            return {name: request.get_tensor(name).data for name in names}

        return run


class Ncnn(Engine):
    """`pnnx` converts the model. It calls inputs in0, in1, ..., outputs out0, out1, ..., and writes an example in
    Python, which says for each of them what axis ncnn takes for the batch."""

    modules = ("ncnn", "onnx")
    tools = ("pnnx",)  # not imported, since that imports PyTorch
    package = "ncnn"
    install = "pip install ncnn pnnx onnx"
    precisions = ("fp32",)
    builds_ahead = True

    def build(self, model: str, artifact: str, n_threads: int, precision: str) -> dict[str, Any]:
        import re
        import subprocess

        import onnx

        graph = onnx.load(model, load_external_data=False).graph
        folder = Path(artifact)
        folder.mkdir()
        program = Path(importlib.util.find_spec("pnnx").origin).with_name("pnnx")
        command = [str(program), str(Path(model).resolve()), "fp16=0"]
        for side in ("ncnnparam", "ncnnbin", "ncnnpy", "pnnxparam", "pnnxbin", "pnnxpy", "pnnxonnx"):
            command.append(f"{side}={folder.resolve() / side}")
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        unknown = [line for line in done.stderr.splitlines() if "layer" in line and "not" in line]
        if done.returncode or not (folder / "ncnnparam").exists():
            raise RuntimeError(f"pnnx cannot convert it: {' '.join(unknown or done.stderr.splitlines()[-1:])}"[:300])
        example = (folder / "ncnnpy").read_text()
        axes = {
            "inputs": re.findall(r"ncnn\.Mat\(in\d+\.numpy\(\), batch_index=(\d+)\)", example),
            "outputs": re.findall(r"out\d+\.numpy\(batch_index=(\d+)\)", example),
        }
        names = {"inputs": [entry.name for entry in graph.input], "outputs": [entry.name for entry in graph.output]}
        if any(len(axes[side]) != len(names[side]) for side in names):
            raise RuntimeError("the example that pnnx wrote has other inputs or outputs than the model")
        found = {side: list(zip(names[side], map(int, axes[side]), strict=True)) for side in names}
        (folder / "names.json").write_text(json.dumps(found))
        return {}

    def load(self, file: str, n_threads: int, precision: str) -> Call:
        import ncnn
        import numpy as np

        names = json.loads((Path(file) / "names.json").read_text())
        net = ncnn.Net()
        net.opt.num_threads = n_threads
        for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(net.opt, option, False)
        if net.load_param(str(Path(file) / "ncnnparam")) or net.load_model(str(Path(file) / "ncnnbin")):
            raise RuntimeError("ncnn cannot load what pnnx wrote")
        self.net = net

        def run(feeds: Arrays) -> Arrays:
            extractor = net.create_extractor()
            for index, (name, axis) in enumerate(names["inputs"]):
                array = feeds[name].astype(np.int32) if feeds[name].dtype == np.int64 else feeds[name]
                extractor.input(f"in{index}", ncnn.Mat(np.ascontiguousarray(array), batch_index=axis))
            results = {}
            for index, (name, axis) in enumerate(names["outputs"]):
                code, found = extractor.extract(f"out{index}")
                if code:
                    raise RuntimeError(f"ncnn cannot compute {name}: code {code}")
                results[name] = found.numpy(batch_index=axis)
            return results

        return run


class Torch(Engine):
    """`onnx2torch` makes a module of the model, which `torch.compile` compiles with its weights frozen."""

    modules = ("torch", "onnx2torch", "onnx")
    package = "torch"
    install = "pip install torch onnx2torch --extra-index-url https://download.pytorch.org/whl/cpu"
    precisions = ("fp32", "bf16")

    def prepared(self, module: Any) -> Any:
        """What is called in the place of the module."""
        import torch
        import torch._inductor.config

        torch._inductor.config.freezing = True
        return torch.compile(module)

    def load(self, file: str, n_threads: int, precision: str) -> Call:
        import onnx
        import onnx2torch
        import torch

        torch.set_num_threads(n_threads)
        model = onnx.load(file)
        names = [[entry.name for entry in side] for side in (model.graph.input, model.graph.output)]
        module = onnx2torch.convert(model).eval()
        call = self.prepared(module.bfloat16() if precision == "bf16" else module)

        def run(feeds: Arrays) -> Arrays:
            arrays = [torch.from_numpy(feeds[name]) for name in names[0]]
            if precision == "bf16":
                arrays = [array.bfloat16() if array.is_floating_point() else array for array in arrays]
            with torch.inference_mode():
                results = call(*arrays)
            results = [results] if isinstance(results, torch.Tensor) else results
            results = [array.float() if array.dtype == torch.bfloat16 else array for array in results]
            return {name: array.numpy() for name, array in zip(names[1], results, strict=True)}

        return run


class TorchEager(Torch):
    """The same module, called as it is."""

    def prepared(self, module: Any) -> Any:
        return module


OURS = "dovetail"
ENGINES: dict[str, Engine] = {
    OURS: Dovetail(),
    "onnxruntime": OnnxRuntime(),
    "openvino": OpenVino(),
    "ncnn": Ncnn(),
    "torch": Torch(),
    "torch-eager": TorchEager(),
}


# ---- what runs in a process of its own
def memory_mb(key: str) -> float:
    """VmRSS, or VmHWM: the largest that it was."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


class Peak:
    """The most memory since it was made, beyond `base`."""

    def __init__(self, base: float) -> None:
        self.base = base
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew

    @property
    def mb(self) -> float:
        return memory_mb("VmHWM") - self.base


def begin(name: str, n_threads: int) -> Engine:
    """The engine, with its packages imported, on the first `n_threads` cores of this process."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_threads])
    os.environ |= dict.fromkeys(("DOVETAIL_NUM_THREADS", "OMP_NUM_THREADS"), str(n_threads))
    ENGINES[name].start()
    return ENGINES[name]


def build(name: str, model: str, artifact: str, threads: str, precision: str, mode: str) -> None:
    engine = begin(name, int(threads))
    peak, started = Peak(memory_mb("VmRSS")), perf_counter()
    facts = engine.build(model, artifact, int(threads) if mode == "latency" else 1, precision)
    print(json.dumps(facts | {"build_s": perf_counter() - started, "build_mb": peak.mb}))


def serve(name: str, file: str, feeds: str, outputs: str, threads: str, precision: str, mode: str) -> None:
    import numpy as np

    engine, inputs = begin(name, int(threads)), dict(np.load(feeds))
    base, started = memory_mb("VmRSS"), perf_counter()
    peak = Peak(base)
    n_calls = 1 if mode == "latency" else STREAM_CALLS * int(threads)
    if mode == "latency":
        run = engine.load(file, int(threads), precision)
    else:
        run = engine.load_streams(file, int(threads), precision, n_calls)
    facts = {"load_s": perf_counter() - started, "load_mb": peak.mb}
    peak = Peak(base)
    for _ in range(WARMING_CALLS):
        results = run(inputs)
    np.savez(outputs, **{key: np.array(value) for key, value in results.items()})
    print(json.dumps(facts | {"run_mb": peak.mb}), flush=True)
    for line in sys.stdin:
        times, seconds = [], float(line)
        run(inputs)  # fills the caches again, which other engines have used since
        begun = perf_counter()
        while perf_counter() - begun < seconds or len(times) < LEAST_CALLS:
            before = perf_counter()
            run(inputs)
            times.append((perf_counter() - before) / n_calls)
        print(json.dumps(times), flush=True)


def versions() -> None:
    """Which engines can be imported here, with the versions of their packages; null for the others."""
    found = {
        name: importlib.metadata.version(engine.package)
        if all(map(importlib.util.find_spec, engine.modules + engine.tools))
        else None
        for name, engine in ENGINES.items()
    }
    print(json.dumps(found))


if __name__ == "__main__":
    try:
        {"build": build, "serve": serve, "versions": versions}[sys.argv[1]](*sys.argv[2:])
    except Exception as error:
        print(json.dumps({"failure": f"{type(error).__name__}: {error}"}), flush=True)
        sys.exit(1)

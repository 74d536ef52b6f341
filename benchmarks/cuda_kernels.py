"""CUDA kernels of Scale, Convolution and Deconvolution, as fractions of what the card itself does in the same run.

First the card: copies from memory to memory (bytes read and written) and, where PyTorch is installed, large matrix
products. Then every row that fits each layer, timed one by one with events, always on the same buffers. Then whole
engines beside PyTorch (cuDNN): both are captured into CUDA graphs that go round several sets of buffers, together
larger than the caches; they take turns in every round, and their results are compared. Minima and medians over the
rounds are printed.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter_ns

import numpy as np

import dovetail as trt
from dovetail import _native
from dovetail.core.types import from_numpy
from dovetail.machine.builder.graph import LayerGroup
from dovetail.machine.builder.run_group import run_candidate
from dovetail.machine.testing import make_layer, rows_of

try:
    import torch
except ImportError:
    torch = None

CACHES = 200e6  # bytes; the caches of any card are smaller
MOST_SETS = 24
SIDE = 8192  # of the matrices
FORMATS = {"linear": trt.TensorFormat.LINEAR, "hwc8": trt.TensorFormat.HWC8}
WORD = {np.float32: "fp32", np.float16: "fp16", np.int8: "int8"}


@dataclass
class Case:
    """One layer: its input, [images, channels, height, width], and what it does to it."""

    op: str
    dtype: type
    format: str
    shape: tuple[int, int, int, int]
    maps: int = 0
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def name(self) -> str:
        n, c, h, w = self.shape
        window = f" {self.kernel}x{self.kernel}/{self.stride} {c}->{self.maps}" if self.maps else f" {c}"
        groups = f" groups {self.groups}" if self.groups > 1 else ""
        return f"{self.op}{window}{groups} {h}x{w} n{n} {WORD[self.dtype]} {self.format}"

    @property
    def is_transposed(self) -> bool:
        return self.op == "Deconvolution"

    @property
    def out_shape(self) -> tuple[int, ...]:
        if not self.maps:
            return self.shape
        n, _, *spatial = self.shape
        room = 2 * self.padding - self.kernel
        if self.is_transposed:
            return n, self.maps, *((size - 1) * self.stride - room for size in spatial)
        return n, self.maps, *((size + room) // self.stride + 1 for size in spatial)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        c, k = self.shape[1], self.maps
        first, second = (c, k // self.groups) if self.is_transposed else (k, c // self.groups)
        return first, second, self.kernel, self.kernel

    @property
    def operations(self) -> float:
        """Multiplications and additions, those at the borders included."""
        if not self.maps:
            return 2.0 * math.prod(self.shape)
        positions = math.prod((self.shape if self.is_transposed else self.out_shape)[2:])
        return 2.0 * self.shape[0] * positions * math.prod(self.kernel_shape)

    @property
    def out_dtype(self) -> type:
        return np.float32 if self.dtype == np.int8 else self.dtype

    @property
    def traffic(self) -> float:
        """Bytes of x and y, each once."""
        sizes = ((self.shape, self.dtype), (self.out_shape, self.out_dtype))
        return float(sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in sizes))

    def weights(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(11)
        if not self.maps:
            n = self.shape[1]
            scale, shift = rng.uniform(0.5, 1.5, n), rng.normal(0, 1, n)
            return {"scale": scale.astype(np.float32), "shift": shift.astype(np.float32)}
        if self.dtype == np.int8:
            kernel = rng.integers(-127, 128, self.kernel_shape)
        else:
            kernel = rng.normal(0, 1, self.kernel_shape) / math.sqrt(math.prod(self.kernel_shape[1:]))
        return {"kernel": kernel.astype(self.dtype), "bias": rng.normal(0, 1, self.maps).astype(self.out_dtype)}

    def input(self, seed: int = 5) -> np.ndarray:
        rng = np.random.default_rng(seed)
        if self.dtype == np.int8:
            return rng.integers(-127, 128, self.shape, np.int8)
        return rng.standard_normal(self.shape, np.float32).astype(self.dtype)

    def fields(self) -> dict[str, object]:
        if not self.maps:
            return {"mode": 1, "channel_axis": 1}
        pair = {name: (value,) * 2 for name, value in (("kernel_size_nd", self.kernel), ("stride_nd", self.stride))}
        pads = {"pre_padding": (self.padding,) * 2, "post_padding": (self.padding,) * 2}
        return {"num_output_maps": self.maps, "num_groups": self.groups, **pair, **pads}


F32, F16, I8 = np.float32, np.float16, np.int8
CASES = [
    *(Case("Scale", dtype, "linear", (32, 256, 112, 112)) for dtype in (F32, F16)),
    Case("Scale", F16, "hwc8", (32, 256, 112, 112)),
    *(
        Case(op, dtype, format, shape, *window)
        for dtype, format in ((F32, "linear"), (F32, "hwc8"), (F16, "linear"), (F16, "hwc8"))
        for op, shape, window in (
            ("Convolution", (32, 64, 56, 56), (64, 3, 1, 1)),
            ("Convolution", (32, 256, 14, 14), (256, 3, 1, 1)),
            ("Convolution", (32, 256, 14, 14), (1024, 1)),
            ("Convolution", (32, 3, 224, 224), (64, 7, 2, 3)),
            ("Convolution", (32, 256, 56, 56), (256, 3, 1, 1, 256)),
            ("Convolution", (1, 256, 14, 14), (256, 3, 1, 1)),
            ("Deconvolution", (32, 256, 32, 32), (128, 4, 2, 1)),
            ("Deconvolution", (32, 128, 32, 32), (64, 2, 2, 0)),
        )
    ),
    *(Case("Convolution", I8, format, (32, 64, 56, 56), 64, 3, 1, 1) for format in FORMATS),
]


# ---- the card


def copy_rate(rounds: int) -> float:
    """Bytes a second of copies within the card's memory, those read and those written."""
    size, turns = 1 << 30, 10
    source, target = (_native.DeviceMemory(size, 0) for _ in range(2))
    best = math.inf
    for _ in range(rounds + 2):
        _native.wait_for_stream(0)
        start = perf_counter_ns()
        for _ in range(turns):
            _native.copy(0, target.address, source.address, size)
        _native.wait_for_stream(0)
        best = min(best, (perf_counter_ns() - start) / turns)
    return 2 * size / best * 1e9


def product_rates(rounds: int) -> dict[str, float]:
    """Operations a second of matrix products, float32 without TF32 and float16."""
    rates = {}
    torch.backends.cuda.matmul.allow_tf32 = False
    for word, dtype in (("fp32", torch.float32), ("fp16", torch.float16)):
        a, b = (torch.randn(SIDE, SIDE, device="cuda", dtype=dtype) for _ in range(2))
        out = torch.empty_like(a)
        subject = Subject([lambda a=a, b=b, out=out: torch.mm(a, b, out=out)] * 2)
        for _ in range(rounds):
            subject.round()
        rates[word] = 2.0 * SIDE**3 / min(subject.us) * 1e6
    return rates


# ---- row by row


def time_rows(case: Case, repeat: int) -> dict[str, list[float]]:
    """{tactic: microseconds of each run} of the rows that take x and y in the format of the case."""
    arrays = [case.input(), *case.weights().values()]
    lookup = trt.get_plugin_registry()
    layer = make_layer(lookup, f"{case.op}@1", arrays, case.fields())
    for tensor in layer.inputs:
        tensor.scale = 0.01 if tensor.dtype == trt.int8 else -1.0
    times = {}
    for candidate in rows_of(lookup, layer, trt.DeviceType.GPU)[0]:
        formats = {candidate.formats[0], candidate.formats[-1]}
        if formats == {FORMATS[case.format]}:
            _, ns = run_candidate(LayerGroup(layer), candidate, arrays, repeat=repeat + 3)
            times[candidate.row.tactic] = [time / 1e3 for time in ns[3:]]
    return times


# ---- engines beside PyTorch


class Subject:
    """Calls captured into one graph, a different set of buffers each; microseconds a call in each round."""

    def __init__(self, calls: list[Callable[[], object]]) -> None:
        self.calls, self.us = calls, []
        self.stream = torch.cuda.Stream()
        with torch.cuda.stream(self.stream):
            for call in calls:  # libraries are loaded and algorithms chosen outside of the graph
                call()
        self.stream.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=self.stream):
            for call in calls:
                call()
        self.turns = max(1, math.ceil(2000 / self.time(1) / len(calls)))  # 2 ms a round, at least

    def time(self, turns: int) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        with torch.cuda.stream(self.stream):
            start.record()
            for _ in range(turns):
                self.graph.replay()
            end.record()
        end.synchronize()
        return start.elapsed_time(end) * 1e3 / turns / len(self.calls)

    def round(self) -> None:
        self.us.append(self.time(self.turns))


def build_engine(case: Case) -> tuple[trt.ICudaEngine, str]:
    """An engine of the layer alone, and what it runs on."""
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network()
    x = network.add_input("x", from_numpy(case.dtype), case.shape)
    fields = {**case.fields(), **case.weights()}
    layer = network.add_plugin(f"{case.op}@1", [x], fields)
    y = layer.get_output(0)
    y.name = "y"
    network.mark_output(y)
    for tensor in (x, y):
        tensor.allowed_formats = 1 << int(FORMATS[case.format])
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
    inspector = engine.create_engine_inspector()
    return engine, inspector.get_layer_information(0, trt.LayerInformationFormat.ONELINE)


def torch_call(case: Case, x, y, weights: dict) -> Callable[[], object]:
    """PyTorch's way from x to y; what it allocates belongs to the graph."""
    if not case.maps:
        shape = (1, -1, 1, 1)
        scale, shift = (weights[name].to(x.dtype).view(shape) for name in ("scale", "shift"))
        return lambda: torch.addcmul(shift, x, scale, out=y)
    options = {"stride": case.stride, "padding": case.padding, "groups": case.groups}
    function = torch.nn.functional.conv_transpose2d if case.is_transposed else torch.nn.functional.conv2d
    kept = []

    def call() -> None:
        kept[:] = [function(x, weights["kernel"], weights["bias"], **options)]

    call.result = lambda: kept[0]
    return call


def compare(case: Case, rounds: int) -> dict[str, object]:
    """Both subjects over the same inputs. Channels that fill no chunk of 8 have no peer on the same memory."""
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False
    engine, kernel = build_engine(case)
    context = engine.create_execution_context()
    layout = torch.channels_last if case.format == "hwc8" else torch.contiguous_format
    dtypes = [getattr(torch, np.dtype(dtype).name) for dtype in (case.dtype, case.out_dtype)]
    n_sets = max(2, min(MOST_SETS, math.ceil(CACHES / case.traffic)))
    has_peer = case.format == "linear" or case.shape[1] % 8 == case.out_shape[1] % 8 == 0
    lanes = 8 if case.format == "hwc8" else 1

    def new(shape, dtype):
        stored = (shape[0], -(-shape[1] // lanes) * lanes, *shape[2:])
        return torch.empty(stored, dtype=dtype, device="cuda").contiguous(memory_format=layout)

    sets = []
    for number in range(n_sets):
        x, y, peer = new(case.shape, dtypes[0]), new(case.out_shape, dtypes[1]), new(case.out_shape, dtypes[1])
        x[:, : case.shape[1]].copy_(torch.from_numpy(case.input(number)).cuda())
        sets.append((x, y, peer))
    weights = {name: torch.from_numpy(array).cuda() for name, array in case.weights().items()}
    if case.maps and has_peer:
        weights["kernel"] = weights["kernel"].contiguous(memory_format=layout)

    def ours(x, y):
        def call() -> None:
            context.set_tensor_address("x", x.data_ptr())
            context.set_tensor_address("y", y.data_ptr())
            context.execute_async_v3(torch.cuda.current_stream().cuda_stream)

        return call

    subjects = {"dovetail": Subject([ours(x, y) for x, y, _ in sets])}
    if has_peer:
        calls = [torch_call(case, x, peer, weights) for x, _, peer in sets]
        subjects["PyTorch"] = Subject(calls)
    for _ in range(rounds):
        for subject in subjects.values():
            subject.round()
    error = math.nan
    if has_peer:
        torch.cuda.synchronize()
        y = sets[0][1].float()
        theirs = (calls[0].result() if case.maps else sets[0][2]).float()
        error = float((y - theirs).norm() / theirs.norm())
        limit = 1e-4 if case.dtype == np.float32 else 2e-3  # TF32 would be near 3e-4
        assert error < limit, f"{case.name}: the results of dovetail and PyTorch differ by {error:.1e}"
    return {"us": {name: s.us for name, s in subjects.items()}, "kernel": kernel, "sets": n_sets, "error": error}


# ---- report


def measure(options: argparse.Namespace) -> dict:
    card = {"copy": copy_rate(options.rounds)}
    if torch is not None:
        card.update(product_rates(options.rounds))
    layers = []
    for case in CASES:
        if options.only not in case.name:
            continue
        layer = {"name": case.name, "case": {**asdict(case), "dtype": WORD[case.dtype]}}
        layer.update(operations=case.operations, bytes=case.traffic, rows=time_rows(case, options.repeat))
        if torch is not None and case.dtype != np.int8:  # an engine of int8 has layers around it
            layer.update(compare(case, options.rounds))
        layers.append(layer)
        print(layer_text(layer, card), flush=True)
    return {"card": card, "layers": layers}


def fractions(layer: dict, card: dict, us: float) -> str:
    """Against the larger of what the card copies and what it multiplies."""
    moved = layer["bytes"] / us * 1e6 / card["copy"]
    rate = card.get(layer["case"]["dtype"])
    computed = f"{layer['operations'] / us * 1e6 / rate:6.0%} of products" if rate else ""
    return f"{moved:6.0%} of copies {computed}"


def layer_text(layer: dict, card: dict) -> str:
    lines = ["", layer["name"]]
    for tactic, us in sorted(layer["rows"].items(), key=lambda item: min(item[1])):
        low, mid = min(us), statistics.median(us)
        lines.append(f"  {tactic:28}{low:10.1f} ({mid:.1f}) us   {fractions(layer, card, low)}")
    for name, us in layer.get("us", {}).items():
        low, mid = min(us), statistics.median(us)
        lines.append(f"  {name + ', in a graph':28}{low:10.1f} ({mid:.1f}) us   {fractions(layer, card, low)}")
    if "PyTorch" in layer.get("us", {}):
        ours, theirs = layer["us"]["dovetail"], layer["us"]["PyTorch"]
        low, mid = (over(theirs) / over(ours) for over in (min, statistics.median))
        lines.append(f"  {'PyTorch / dovetail':28}{low:10.2f} ({mid:.2f})      apart by {layer['error']:.0e}")
    if "kernel" in layer:
        lines.append(f"  {layer['kernel']}")
    return "\n".join(lines)


def card_text(card: dict) -> str:
    words = [f"copies {card['copy'] / 1e12:.2f} TB/s (read and written)"]
    words += [f"products {word} {card[word] / 1e12:.1f} TFLOP/s" for word in ("fp32", "fp16") if word in card]
    if torch is None:
        words.append("PyTorch is not installed: no products, no peer")
    return "; ".join(words)


def versions() -> dict[str, str]:
    devices, _ = _native.cuda_devices()
    found = {"card": devices[0]["name"], "cuda": _native.cuda_version(), "dovetail": trt.__version__}
    if torch is not None:
        found["torch"], found["cudnn"] = torch.__version__, str(torch.backends.cudnn.version())
    return {**found, "python": platform.python_version()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=20, help="runs of each row")
    parser.add_argument("--only", default="", help="layers with this in their name")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    trt.get_plugin_registry()
    if not _native.cuda_devices()[0]:
        raise SystemExit(f"no GPU can be used: {_native.cuda_devices()[1]}")
    report = {"versions": versions(), **measure(options)}
    print("", "; ".join(map(" ".join, report["versions"].items())), card_text(report["card"]), sep="\n")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

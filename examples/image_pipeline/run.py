"""Makes a poster of a picture: large areas are left few colours, and outlines are drawn in ink.

    python run.py [picture] [--out result.png]

builds a network by the names of its plugins, one of them from a third party's C++ library that is compiled on
the spot and loaded while the program runs, stores the plan, and starts a second process that runs it.

    x = Scale(picture)                          0..1
    low = Convolution(x)                        low-pass, half the size
    paint = Deconvolution(acme::Posterize(low)) few values; bilinear, back to the full size
    edges = ReLU(Convolution(x))                slopes in sixteen directions
    ink = Convolution(edges)                    their sum, negative
    result = clip(Scale(paint + ink))           0..255
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import dovetail as trt

PLUGIN = Path(__file__).resolve().parents[1] / "plugins" / "cpp_v2" / "posterize.cpp"
LIBRARY = "libacme_posterize.so"
LEVELS = 8  # values left to the large areas, of each colour
INK = 1.5  # how dark an outline is, for the slope that it follows
GRAIN = 0.012  # slopes below this are not drawn
N_DIRECTIONS = 16
MARGIN = 8  # pixels repeated around the picture, so that its border is drawn like the rest

BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16  # low-pass in one direction
TENT = np.array([1, 3, 3, 1], np.float32) / 4  # bilinear interpolation to twice the size


def compile_plugin(folder: Path) -> Path:
    """Builds the plugin's library with the installed headers, as its author would."""
    flags = ["-shared", "-fPIC", "-O2", "-std=c++17", "-fvisibility=hidden", f"-I{trt.get_include()}"]
    subprocess.run([os.environ.get("CXX", "c++"), *flags, PLUGIN, "-o", folder / LIBRARY], check=True)
    return folder / LIBRARY


def per_channel(line: np.ndarray) -> np.ndarray:
    """[3, 1, n, n]: the two-dimensional kernel of a separable filter, once for each of three groups."""
    return np.broadcast_to(np.outer(line, line), (3, 1, line.size, line.size)).copy()


def slopes() -> np.ndarray:
    """[N_DIRECTIONS, 3, 5, 5]: derivatives of a Gaussian, of all colours together."""
    row, column = np.mgrid[-2:3, -2:3].astype(np.float32)
    angles = np.arange(N_DIRECTIONS) * 2 * np.pi / N_DIRECTIONS
    ramps = np.cos(angles)[:, None, None] * column + np.sin(angles)[:, None, None] * row
    kernels = ramps * np.exp(-(row**2 + column**2) / 2)
    return np.repeat(kernels[:, None] / 3 / np.abs(kernels).sum((1, 2)).max(), 3, axis=1).astype(np.float32)


def define(network: trt.INetworkDefinition, height: int, width: int) -> None:
    """The network of this module's first page."""
    picture = network.add_input("picture", trt.float32, (1, 3, height, width))

    def layer(plugin: str, name: str, *inputs: trt.ITensor, **fields) -> trt.ITensor:
        return network.add_plugin(plugin, inputs, fields, layer_name=name).get_output(0)

    x = layer("Scale", "normalise", picture, scale=1 / 255)
    halve = {"kernel_size_nd": (5, 5), "stride_nd": (2, 2), "pre_padding": (2, 2), "post_padding": (2, 2)}
    double = {"kernel_size_nd": (4, 4), "stride_nd": (2, 2), "pre_padding": (1, 1), "post_padding": (1, 1)}
    each = {"num_output_maps": 3, "num_groups": 3}
    low = layer("Convolution", "low-pass", x, kernel=per_channel(BINOMIAL), **halve, **each)
    poster = layer("acme::Posterize", "posterize", low, levels=LEVELS)
    paint = layer("Deconvolution", "paint", poster, kernel=per_channel(TENT), **double, **each)

    same = {"kernel_size_nd": (5, 5), "padding_mode": trt.PaddingMode.SAME_UPPER}
    threshold = np.full(N_DIRECTIONS, -GRAIN, np.float32)
    found = layer("Convolution", "slopes", x, num_output_maps=N_DIRECTIONS, kernel=slopes(), bias=threshold, **same)
    edges = layer("Activation", "edges", found, type=trt.ActivationType.RELU)
    weights = np.full((3, N_DIRECTIONS, 1, 1), -INK, np.float32)
    ink = layer("Convolution", "ink", edges, num_output_maps=3, kernel_size_nd=(1, 1), kernel=weights)

    mixed = layer("ElementWise", "mix", paint, ink, op=trt.ElementWiseOperation.SUM)
    scaled = layer("Scale", "to 0..255", mixed, scale=255.0)
    result = layer("Activation", "clip", scaled, type=trt.ActivationType.CLIP, alpha=0.0, beta=255.0)
    result.name = "result"
    network.mark_output(result)


def build(height: int, width: int) -> trt.IHostMemory:
    """A plan for pictures of this size; kernels are timed, and formats chosen, for it."""
    builder = trt.Builder(trt.Logger(trt.Logger.WARNING))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    network.name = "poster"
    define(network, height, width)
    config = builder.create_builder_config()
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)  # where there is a GPU, Posterize alone runs on the CPU
    return builder.build_serialized_network(network, config)


def read_picture(path: Path) -> np.ndarray:
    """[height, width, 3], in any format that Pillow reads."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def to_network(picture: np.ndarray) -> np.ndarray:
    """[1, 3, height, width] with the margin, and one row or column more where the size is odd."""
    height, width, _ = picture.shape
    around = ((MARGIN, MARGIN + height % 2), (MARGIN, MARGIN + width % 2), (0, 0))
    return np.pad(picture, around, mode="edge").transpose(2, 0, 1)[None].astype(np.float32)


def from_network(array: np.ndarray, height: int, width: int) -> np.ndarray:
    inner = array[0, :, MARGIN : MARGIN + height, MARGIN : MARGIN + width]
    return np.rint(inner.transpose(1, 2, 0)).astype(np.uint8)


def run(plan: Path, library: Path, source: Path, target: Path) -> None:
    """The second process: knows the plan and the library, and nothing of how they came about."""
    trt.get_plugin_registry().load_library(library)
    engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(plan)
    context = engine.create_execution_context()
    picture = read_picture(source)
    height, width, _ = picture.shape
    feed = {"picture": to_network(picture)}
    context.run(feed)
    start = time.perf_counter()
    result = context.run(feed)["result"]
    spent_ms = (time.perf_counter() - start) * 1e3
    Image.fromarray(from_network(result, height, width)).save(target)
    print(f"process {os.getpid()}: {width} x {height} pixels in {spent_ms:.2f} ms, written to {target}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", nargs="?", type=Path, default=Path(__file__).with_name("picture.png"))
    parser.add_argument("--out", type=Path, default=Path("result.png"), help="plan and library go beside it")
    parser.add_argument("--run", type=Path, metavar="PLAN", help="only run a stored plan")
    options = parser.parse_args()
    folder = options.out.resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    if options.run:
        run(options.run, options.run.with_name(LIBRARY), options.picture, options.out)
        return

    library = compile_plugin(folder)
    record = trt.get_plugin_registry().load_library(library)
    print(f"process {os.getpid()}: loaded {record.name} {record.version} with {', '.join(record.ops)}")
    array = to_network(read_picture(options.picture))
    plan = build(*array.shape[2:])
    stored = options.out.with_suffix(".plan")
    plan.save(stored)
    print(f"process {os.getpid()}: stored the plan, {stored.stat().st_size} bytes, in {stored}")
    sys.stdout.flush()
    again = [sys.executable, __file__, options.picture, "--out", options.out, "--run", stored]
    subprocess.run(again, check=True)
    print(trt.build_report(plan))


if __name__ == "__main__":
    main()

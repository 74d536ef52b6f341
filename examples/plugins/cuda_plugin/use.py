"""Builds the library, loads it while the program runs, and uses its op on a GPU, at two sizes and in two types."""

import subprocess
import sys
from pathlib import Path

import numpy as np

import dovetail as trt

HERE = Path(__file__).resolve().parent
NO_GPU = 77  # the exit status of a program that cannot run here


def build() -> Path:
    """The library, made as its author would make it."""
    made = HERE / "build"
    include = f"-DDOVETAIL_INCLUDE_DIR={trt.get_include()}"
    subprocess.run(["cmake", "-S", HERE, "-B", made, "-DCMAKE_BUILD_TYPE=Release", include], check=True)
    subprocess.run(["cmake", "--build", made], check=True)
    return made / "libacme_contrast.so"


def expected(x: np.ndarray) -> np.ndarray:
    low, high = (extreme(x.astype(np.float64), axis=(-2, -1), keepdims=True) for extreme in (np.min, np.max))
    return np.divide(x - low, high - low, out=np.zeros(x.shape), where=high > low)


def main() -> None:
    record = trt.get_plugin_registry().load_library(sys.argv[1] if len(sys.argv) > 1 else str(build()))
    print(record.name, record.version, "brings", *record.implementations)
    for dtype, tolerance in ((trt.float32, 1e-6), (trt.float16, 1e-3)):
        builder = trt.Builder(trt.Logger())
        network = builder.create_network()
        picture = network.add_input("picture", dtype, (-1, 3, -1, -1))
        layer = network.add_plugin("acme::Contrast@1", [picture])
        layer.get_output(0).name = "stretched"
        network.mark_output(layer.get_output(0))
        config, profile = builder.create_builder_config(), builder.create_optimization_profile()
        if config.default_device_type != trt.DeviceType.GPU:
            print("this example needs a GPU; `dovetail env` says why none is used", file=sys.stderr)
            sys.exit(NO_GPU)
        profile.set_shape("picture", (1, 3, 1, 1), (1, 3, 480, 640), (4, 3, 2160, 3840))
        config.add_optimization_profile(profile)
        plan = builder.build_serialized_network(network, config)
        print(trt.build_report(plan))

        context = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan).create_execution_context()
        for shape in ((1, 3, 480, 640), (4, 3, 7, 5), (2, 3, 1, 1), (1, 3, 2160, 3840)):
            values = np.random.default_rng(0).normal(3, 2, shape).astype(trt.nptype(dtype))
            stretched = context.run({"picture": values})["stretched"]
            error = np.abs(stretched - expected(values)).max()
            print(dtype.name, shape, f"largest error {error:.1e}")
            assert error < tolerance


if __name__ == "__main__":
    main()

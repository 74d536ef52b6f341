"""Memory that is handed out to Python stays while anything reads it: views, and views of views, of owners long gone."""

import subprocess
import sys
import textwrap

CODE = """
    import ctypes, gc, sys
    import numpy as np
    import dovetail as trt
    from dovetail import _native

    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network, config = builder.create_network(), builder.create_builder_config()
    config.default_device_type, config.builder_optimization_level = trt.DeviceType.CPU, 0
    x = network.add_input("x", trt.float32, (1 << 20,))  # results large enough for a mapping of their own
    weights = np.random.default_rng(3).uniform(size=1 << 20).astype(np.float32)
    layer = network.add_elementwise(
        x, network.add_constant(weights.shape, weights).get_output(0), trt.ElementWiseOperation.SUM
    )
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    plan = builder.build_serialized_network(network, config)
    path, wanted = sys.argv[1], bytes(plan)
    plan.save(path)
    zeros, n = np.zeros(1 << 20, np.float32), len(wanted)

    def runtime():
        return trt.Runtime(trt.Logger(trt.Logger.ERROR))

    def loaded():
        return trt.load(path)

    def result():
        return runtime().deserialize_cuda_engine(wanted).create_execution_context().run(zeros)["y"]

    # What makes a view, without a name for any owner, and the bytes that it has to show when they are gone.
    views = {
        "the plan of a mapped file": (lambda: _native.Engine(path).plan_bytes(), wanted),
        "a slice of it": (lambda: _native.Engine(path).plan_bytes()[64 : n // 2], wanted[64 : n // 2]),
        "a slice of a slice": (lambda: _native.Engine(path).plan_bytes()[64:][1:], wanted[65:]),
        "an array of it": (lambda: np.frombuffer(_native.Engine(path).plan_bytes(), np.uint8)[8:], wanted[8:]),
        "another look at it": (lambda: _native.Engine(path).plan_bytes()[:-8].toreadonly().cast("b"), wanted[:-8]),
        "the plan of a buffer": (lambda: _native.Engine(bytearray(wanted)).plan_bytes()[5:], wanted[5:]),
        "a plan in memory": (lambda: _native.HostMemory(wanted).__class__(wanted), wanted),
        "a slice of a plan": (lambda: runtime().deserialize_cuda_engine(wanted).serialize()[9:], wanted[9:]),
        "a plan's array": (lambda: np.asarray(memoryview(loaded().engine.serialize()))[9:], wanted[9:]),
        "a result": (result, weights.tobytes()),
        "a part of a result": (lambda: result()[10:-10], weights[10:-10].tobytes()),
        "a result elsewhere": (lambda: np.from_dlpack(result())[10:], weights[10:].tobytes()),
        "a borrowed array": (lambda: _native.DLPackArray(weights.copy().__dlpack__()), weights.tobytes()),
    }
    kept = {}
    for name, (make, _) in views.items():
        kept[name] = make()
        gc.collect()
    noise = [np.full(1 << 20, 0xA5, np.uint8) for _ in range(64)]  # into whatever was freed
    for name, (_, right) in views.items():
        print(name, flush=True)
        view = kept[name]
        is_borrowed = isinstance(view, _native.DLPackArray)
        found = ctypes.string_at(view.address, 4 << 20) if is_borrowed else bytes(memoryview(view).cast("B"))
        assert found == right, name
    for name in ("the plan of a mapped file", "a slice of it", "a slice of a plan"):
        assert memoryview(kept[name]).readonly, name
    print("all")
"""


def test_what_is_handed_out_outlives_its_owner(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(CODE), str(tmp_path / "a.plan")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["all"]), done.stdout[-200:] + done.stderr[-2000:]

"""A product with values of channels and a 1x1 convolution in one step. Tests say which takes less time: what wins here
must not decide them."""

import numpy as np
import pytest
from fusing import PROD, SIGMOID, SUM, Net
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import dovetail as trt
from dovetail.machine.builder import joins
from dovetail.machine.plan import read_plan

OP = "GatedConvolution@1"
ALWAYS, NEVER = -1e12, 2.0


@pytest.fixture(autouse=True)
def always_faster(monkeypatch):
    monkeypatch.setattr(joins, "GAIN", ALWAYS)


class Gated(Net):
    """x times one value for each channel, which its means decide, and a convolution behind."""

    def mean(self, x, axes=12):
        return self.named(self.network.add_reduce(x, trt.ReduceOperation.AVG, axes, True), "mean")

    def gate(self, x, kind=SIGMOID):
        return self.activation(self.conv(self.mean(x), x.shape[1], "excite", 1), "gate", kind)

    def built(self, *outputs, fused=True, setup=None):
        for output in outputs:
            if not output.is_network_output:
                self.network.mark_output(output)
        config = self.builder.create_builder_config()
        config.default_device_type = trt.DeviceType.CPU
        config.allow_fusion = fused
        if self.batch:
            profile = self.builder.create_optimization_profile()
            profile.set_shape("x", *((n, *tuple(self.x.shape)[1:]) for n in self.batch))
            config.add_optimization_profile(profile)
        if setup:
            setup(config)
        return self.builder.build_serialized_network(self.network, config)


def ops(plan):
    return [step["op"] for step in read_plan(plan)["steps"]]


def run(plan, x):
    engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan)
    return engine.create_execution_context().run({"x": x})


def check_same(net, y, x=None):
    """With the step and without it, results are the same."""
    plan, apart = net.built(y), net.built(y, fused=False)
    assert ops(plan).count(OP) == 1 and OP not in ops(apart)
    (found,), (wanted,) = (run(one, net.values if x is None else x).values() for one in (plan, apart))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("kind", [SIGMOID, trt.ActivationType.HARD_SIGMOID])
def test_results_are_those_of_layers_by_themselves(kind, is_first):
    net = Gated((2, 19, 7, 9))
    gate = net.gate(net.x, kind)
    product = net.add(*((net.x, gate) if is_first else (gate, net.x)), "product", PROD)
    check_same(net, net.conv(product, 24, "project", 1))


def test_a_tensor_behind_both_is_added():
    net = Gated((1, 24, 9, 9))
    product = net.add(net.x, net.gate(net.x), "product", PROD)
    check_same(net, net.activation(net.add(net.conv(product, 24, "project", 1), net.x), "last"))


def test_one_gate_for_all_images():
    net = Gated((3, 8, 5, 5))
    gate = net.network.add_constant((1, 8, 1, 1), net.rng.uniform(0, 1, (1, 8, 1, 1)).astype(np.float32)).get_output(0)
    config = {"builder_optimization_level": 0}  # where the values would become part of the weights
    product = net.add(net.activation(net.x), gate, "product", PROD)
    y = net.conv(product, 24, "project", 1)

    def setup(made):
        for name, value in config.items():
            setattr(made, name, value)

    plan = net.built(y, setup=setup)
    wanted = run(net.built(y, fused=False), net.values)["project.y"]
    np.testing.assert_allclose(run(plan, net.values)["project.y"], wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n", [1, 3])
def test_the_number_of_images_may_vary(n):
    net = Gated((4, 19, 7, 9), batch=(1, 2, 4))
    product = net.add(net.x, net.gate(net.x), "product", PROD)
    check_same(net, net.conv(product, 24, "project", 1), net.values[:n])


def test_the_time_decides_and_the_report_has_it(monkeypatch):
    net = Gated((1, 16, 9, 9))
    y = net.conv(net.add(net.x, net.gate(net.x), "product", PROD), 24, "project", 1)
    notes = read_plan(net.built(y))["report"]["notes"]
    assert any(note.startswith("product + project: a product and a convolution in one step") for note in notes)
    monkeypatch.setattr(joins, "GAIN", NEVER)
    assert OP not in ops(net.built(y))


def test_what_the_config_pins_stays():
    net = Gated((1, 16, 9, 9))
    y = net.conv(net.add(net.x, net.gate(net.x), "product", PROD), 24, "project", 1)
    assert OP not in ops(net.built(y, setup=lambda config: config.pin_implementation("project", "Convolution@1#cpu")))


@pytest.mark.parametrize("kind", ["output", "two takers", "window", "stride", "axis", "sum", "between", "square"])
def test_others_stay_as_they_are(kind):
    net = Gated((2, 16, 9, 9))
    gate = net.mean(net.x, 8) if kind == "axis" else net.gate(net.x)
    product = net.add(net.x, net.x if kind == "square" else gate, "product", SUM if kind == "sum" else PROD)
    between = net.activation(product) if kind == "between" else product
    y = net.conv(between, 16, "project", 3 if kind == "window" else 1)
    if kind == "stride":
        net.network.get_layer(net.network.num_layers - 1).stride_nd = (2, 2)
    outputs = [y, product] if kind == "output" else [net.add(y, product)] if kind == "two takers" else [y]
    assert OP not in ops(net.built(*outputs))


def model(mean, is_gemm, hard, is_first):
    """Squeeze and excitation as exporters write it."""
    rng, c = np.random.default_rng(0), 16
    weights = {"project": (24, c, 1, 1)}
    weights |= {"a": (4, c), "b": (c, 4)} if is_gemm else {"a": (4, c, 1, 1), "b": (c, 4, 1, 1)}
    constants = [numpy_helper.from_array(rng.standard_normal(d).astype(np.float32), n) for n, d in weights.items()]
    constants.append(numpy_helper.from_array(np.int64([2, 3]), "axes"))
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["mean"])
        if mean == "pool"
        else helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=1)
    ]
    if is_gemm:
        nodes += [
            helper.make_node("Flatten", ["mean"], ["flat"]),
            helper.make_node("Gemm", ["flat", "a"], ["hidden"], transB=1),
            helper.make_node("Relu", ["hidden"], ["relu"]),
            helper.make_node("Gemm", ["relu", "b"], ["raw_flat"], transB=1),
            helper.make_node("Unsqueeze", ["raw_flat", "axes"], ["raw"]),
        ]
    else:
        nodes += [
            helper.make_node("Conv", ["mean", "a"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["relu"]),
            helper.make_node("Conv", ["relu", "b"], ["raw"]),
        ]
    nodes += [
        helper.make_node("HardSigmoid" if hard else "Sigmoid", ["raw"], ["gate"]),
        helper.make_node("Mul", ["x", "gate"] if is_first else ["gate", "x"], ["product"]),
        helper.make_node("Conv", ["product", "project"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(n, 1, d) for n, d in (("x", [2, c, 7, 6]), ("y", [2, 24, 7, 6]))]
    graph = helper.make_graph(nodes, "se", ports[:1], ports[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize("is_gemm", [False, True])
@pytest.mark.parametrize(("mean", "hard", "is_first"), [("pool", False, True), ("reduce", True, False)])
def test_what_exporters_write_is_found(mean, is_gemm, hard, is_first):
    builder = trt.Builder(trt.Logger())
    network = builder.create_network()
    parser = trt.OnnxParser(network, trt.Logger())
    made = model(mean, is_gemm, hard, is_first)
    assert parser.parse(made.SerializeToString())
    config = builder.create_builder_config()
    config.default_device_type = trt.DeviceType.CPU
    plan = builder.build_serialized_network(network, config)
    assert ops(plan).count(OP) == 1
    x = np.random.default_rng(1).standard_normal((2, 16, 7, 6)).astype(np.float32)
    (wanted,) = ReferenceEvaluator(made).run(None, {"x": x})
    np.testing.assert_allclose(run(plan, x)["y"], wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())

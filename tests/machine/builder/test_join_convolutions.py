"""Two convolutions in one step. Tests say which takes less time: what wins here must not decide them."""

import numpy as np
import pytest
from fusing import PROD, SIGMOID, SUM, Net

import dovetail as trt
from dovetail.machine.builder import joins
from dovetail.machine.plan import read_plan

OP = "ExpandedDepthwise@1"
ALWAYS, NEVER = -1e12, 2.0


class Blocks(Net):
    """A 1x1 convolution, and a depthwise one behind it."""

    def expand(self, x, maps=48, size=1):
        return self.conv(x, maps, "expand", size)

    def depthwise(self, x, stride=1, size=3, groups=None):
        maps = x.shape[1]
        kernel = self.rng.uniform(-0.5, 0.5, (maps, maps // (groups or maps), size, size)).astype(np.float32)
        bias = self.rng.uniform(-0.5, 0.5, maps).astype(np.float32)
        layer = self.network.add_convolution_nd(x, maps, (size, size), kernel, bias)
        layer.num_groups, layer.stride_nd, layer.padding_nd = groups or maps, (stride,) * 2, (size // 2,) * 2
        return self.named(layer, "depthwise")

    def clip(self, x, low, high):
        layer = self.network.add_activation(x, trt.ActivationType.CLIP)
        layer.alpha, layer.beta = low, high
        return self.named(layer, "clip")

    def silu(self, x, name="silu"):
        return self.add(x, self.activation(x, f"{name} sigmoid", SIGMOID), name, PROD)

    def built(self, *outputs, fused=True, setup=None):
        for output in outputs:
            if not output.is_network_output:
                self.network.mark_output(output)
        config = self.builder.create_builder_config()
        config.default_device_type = trt.DeviceType.CPU
        config.allow_fusion = fused
        if setup:
            setup(config)
        return self.builder.build_serialized_network(self.network, config)

    def run(self, plan):
        engine = trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan)
        return engine.create_execution_context().run({"x": self.values})


def ops(plan):
    return [step["op"] for step in read_plan(plan)["steps"]]


def between(net, x, kind):
    """What stands between the convolutions."""
    if kind == "relu":
        return net.activation(x)
    if kind == "clip":
        return net.clip(x, -0.25, 0.75)
    if kind == "relu and an upper limit":
        return net.clip(net.activation(x), -1.0, 0.5)
    if kind == "silu":
        return net.silu(x)
    if kind == "silu and relu":
        return net.activation(net.silu(x))
    return x


@pytest.mark.parametrize("kind", ["nothing", "relu", "clip", "relu and an upper limit", "silu", "silu and relu"])
@pytest.mark.parametrize(("stride", "size"), [(1, 3), (2, 5)])
def test_results_are_those_of_layers_by_themselves(monkeypatch, kind, stride, size):
    monkeypatch.setattr(joins, "GAIN", ALWAYS)
    net = Blocks((2, 10, 13, 11))
    y = net.activation(net.depthwise(between(net, net.expand(net.x), kind), stride, size), "last")
    plan = net.built(y)
    assert ops(plan).count(OP) == 1 and "Convolution@1" not in ops(plan)
    apart = net.built(y, fused=False)
    assert OP not in ops(apart)
    (found,), (wanted,) = net.run(plan).values(), net.run(apart).values()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


def test_a_tensor_behind_both_is_added(monkeypatch):
    monkeypatch.setattr(joins, "GAIN", ALWAYS)
    net = Blocks((1, 24, 9, 9))
    y = net.add(net.depthwise(net.activation(net.expand(net.x, 24))), net.x, "add", SUM)
    plan, apart = net.built(y), net.built(y, fused=False)
    assert OP in ops(plan)
    np.testing.assert_allclose(*[net.run(one)["add.y"] for one in (plan, apart)], rtol=1e-5, atol=1e-4)


def test_the_time_decides_and_the_report_has_it(monkeypatch):
    net = Blocks((1, 10, 13, 11))
    y = net.depthwise(net.activation(net.expand(net.x)))
    monkeypatch.setattr(joins, "GAIN", NEVER)
    assert OP not in ops(net.built(y))
    monkeypatch.setattr(joins, "GAIN", ALWAYS)
    notes = read_plan(net.built(y))["report"]["notes"]
    assert any(note.startswith("expand + act + depthwise: two convolutions in one step") for note in notes)


def refuse_by_pin(config):
    config.pin_implementation("depthwise", "Convolution@1#cpu")


def refuse_by_selector(config):
    class Selector(trt.IAlgorithmSelector):
        def select_algorithms(self, context, choices):
            return list(range(len(choices)))

        def report_algorithms(self, contexts, choices):
            pass

    config.algorithm_selector = Selector()


@pytest.mark.parametrize("setup", [refuse_by_pin, refuse_by_selector])
def test_what_the_config_chooses_stays(monkeypatch, setup):
    monkeypatch.setattr(joins, "GAIN", ALWAYS)
    net = Blocks((1, 10, 13, 11))
    assert OP not in ops(net.built(net.depthwise(net.activation(net.expand(net.x))), setup=setup))


@pytest.mark.parametrize("kind", ["output", "two takers", "window", "groups", "function"])
def test_others_stay_as_they_are(monkeypatch, kind):
    monkeypatch.setattr(joins, "GAIN", ALWAYS)
    net = Blocks((1, 10, 13, 11))
    v = net.expand(net.x, size=3 if kind == "window" else 1)
    v = net.activation(v, kind=trt.ActivationType.TANH if kind == "function" else trt.ActivationType.RELU)
    y = net.depthwise(v, groups=4 if kind == "groups" else None)
    outputs = [y, v] if kind == "output" else [net.add(y, v)] if kind == "two takers" else [y]
    assert OP not in ops(net.built(*outputs))

"""Graphs with blocks whose numbers come from the host, from a layer, or from the loop itself; what they compute."""

import numpy as np
from networks import new_network, profile_of

import dovetail as trt
from dovetail.core.expr import DimsExprs
from dovetail.machine.builder.build import build_of
from dovetail.machine.builder.control import conditional, loop
from dovetail.machine.builder.graph import Block, Graph, GraphTensor
from dovetail.machine.builder.pipeline import with_plugins

COLUMNS = 3
SOURCES = ("host", "device", "computed")  # where a number comes from: an input that lies there, or a layer before


class BlockNetwork:
    """A network of x [rows, 3] and the numbers n, m and one, whose layers `arrange` puts into blocks.

    device    what it is built for
    control   where its conditionals and loops are, and what they carry; the device unless said
    source    where n lies; "computed": on the device
    """

    def __init__(self, device, control=None, source="device", level=0):
        self.device, self.control, self.source = device, control or device, source
        self.builder, self.network, self.config = new_network()
        self.config.default_device_type = device
        self.config.builder_optimization_level = level
        add = self.network
        x = add.add_input("x", trt.float32, (-1, COLUMNS))
        n, m, one = (add.add_input(name, trt.int32, (1,)) for name in ("n", "m", "one"))
        n.location = trt.TensorLocation.HOST if source == "host" else trt.TensorLocation.DEVICE
        profile_of(self.builder, self.config, x=((1, COLUMNS), (4, COLUMNS), (8, COLUMNS)))
        operation = trt.ElementWiseOperation
        self._name("double", add.add_elementwise(x, x, operation.SUM))
        self._name("plus x", add.add_elementwise(x, x, operation.SUM))
        self._name("tanh", add.add_activation(x, trt.ActivationType.TANH))
        self._name("last", add.add_unary(x, trt.UnaryOperation.NEG))
        self._name("less", add.add_elementwise(n, one, operation.SUB))
        self._name("product", add.add_elementwise(n, m, operation.PROD))
        self._name("greater", add.add_elementwise(n, m, operation.GREATER))

    def _name(self, name, layer):
        layer.name = name
        layer.get_output(0).name = f"{name} out"
        self.network.mark_output(layer.get_output(0))

    def plan(self, arrange):
        """The plan of the graph that `arrange(self)` makes of self.graph, self.layers and self.inputs."""
        build = build_of(self.network, self.config)
        graph = self.graph = Graph(self.network.name, self.network.lookup)
        for name, pass_ in with_plugins(self.network.lookup):
            graph = pass_(graph, build)
            if name == "infer_shapes":
                self.layers = {layer.name: layer for layer in graph.layers}
                self.inputs = {tensor.name: tensor for tensor in graph.inputs}
                graph.layers = []
                arrange(self)
        return graph.plan

    def engine(self, arrange):
        return trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(self.plan(arrange))

    # ---- for `arrange`

    def like(self, name, of="x"):
        given = self.inputs[of]
        return GraphTensor(name, DimsExprs(given.dims), given.dtype, given.ranges, allowed_device=self.device)

    def layer(self, name, *inputs):
        """The layer with these inputs, and its output."""
        layer = self.layers[name]
        layer.inputs = list(inputs)
        return layer, layer.outputs[0]

    def number(self, computed):
        """What decides: n, or what the layer `computed` makes of n and m."""
        if self.source != "computed":
            return self.inputs["n"]
        layer, made = self.layer(computed, self.inputs["n"], self.inputs["m"])
        self.graph.layers.append(layer)
        return made

    def choice(self, name, condition, output, *layers):
        """One layer for each branch."""
        blocks = tuple(Block(layers=[layer], outputs=layer.outputs[:]) for layer in layers)
        return conditional(name, condition, [output], blocks, self.control)

    def loop(self, name, count, initial, outputs, body):
        return loop(name, count, initial, outputs, body, self.control)

    def end(self, result):
        """-result is the output y."""
        layer, y = self.layer("last", result)
        y.name = "y"
        self.graph.layers.append(layer)
        self.graph.outputs = [y]


def choose(net):
    """2 x if the condition holds, else tanh(x)."""
    x, chosen = net.inputs["x"], net.like("chosen")
    then, otherwise = net.layer("double", x, x)[0], net.layer("tanh", x)[0]
    condition = net.number("greater")
    net.graph.layers.append(net.choice("choice", condition, chosen, then, otherwise))
    net.end(chosen)


def chosen(x, n, m, source):
    holds = n > m if source == "computed" else n != 0
    return -(2 * x if holds else np.tanh(x))


def repeat(net, count=None):
    """a, b = x, tanh(x); count times a, b = b + x, 2 a; then the sum of a and b."""
    x, (a, b, first, second) = net.inputs["x"], map(net.like, ("a", "b", "first", "second"))
    tanh, initial = net.layer("tanh", x)
    count = net.number("product") if count is None else count
    (plus, after_a), (double, after_b) = net.layer("plus x", b, x), net.layer("double", a, a)
    body = Block(layers=[plus, double], inputs=[a, b], outputs=[after_a, after_b])
    net.graph.layers += [tanh, net.loop("again", count, [x, initial], [first, second], body)]
    net.end(first)
    net.graph.outputs.append(second)


def repeated(x, n, m, source):
    a, b = x, np.tanh(x)
    for _ in range(n * m if source == "computed" else n):
        a, b = b + x, a + a
    return -a, b


def choose_in_loop(net, after):
    """a, k = x, n; m times: a = a + x if k, else tanh(a); k = k - 1. `after`: k as this iteration has it."""
    x, (a, k, chosen_, last, rest) = net.inputs["x"], _carried(net)
    less, k_after = net.layer("less", k, net.inputs["one"])
    then, otherwise = net.layer("plus x", a, x)[0], net.layer("tanh", a)[0]
    choice = net.choice("choice", k_after if after else k, chosen_, then, otherwise)
    body = Block(layers=[less, choice], inputs=[a, k], outputs=[chosen_, k_after])
    net.graph.layers.append(net.loop("again", net.inputs["m"], [x, net.inputs["n"]], [last, rest], body))
    net.end(last)
    net.graph.outputs.append(rest)


def chosen_in_loop(x, n, m, after):
    a, k = x, n
    for _ in range(m):
        a = a + x if k - after else np.tanh(a)
        k -= 1
    return -a, np.int32([k])


def loop_in_loop(net, after):
    """a, k = x, n; m times: k times a = a + x; k = k - 1. `after`: k as this iteration has it."""
    x, (a, k, inner, last, rest) = net.inputs["x"], _carried(net)
    b = net.like("b")
    less, k_after = net.layer("less", k, net.inputs["one"])
    plus, b_after = net.layer("plus x", b, x)
    body = Block(layers=[plus], inputs=[b], outputs=[b_after])
    within = net.loop("within", k_after if after else k, [a], [inner], body)
    body = Block(layers=[less, within], inputs=[a, k], outputs=[inner, k_after])
    net.graph.layers.append(net.loop("again", net.inputs["m"], [x, net.inputs["n"]], [last, rest], body))
    net.end(last)
    net.graph.outputs.append(rest)


def looped_in_loop(x, n, m, after):
    a, k = x, n
    for _ in range(m):
        a = a + max(k - after, 0) * x
        k -= 1
    return -a, np.int32([k])


def _carried(net):
    return net.like("a"), net.like("k", "n"), net.like("inner"), net.like("carried"), net.like("rest", "n")


def feed(x, n, m):
    return {"x": x, "n": np.int32([n]), "m": np.int32([m]), "one": np.int32([1])}

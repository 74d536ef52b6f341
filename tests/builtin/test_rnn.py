"""RNN. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from networks import engine_of, new_network

import dovetail as trt
from dovetail.core.errors import FieldValueError, ShapeError
from dovetail.core.types import FLOATS
from dovetail.machine.testing import Case, check
from dovetail.plugins.builtin._recurrent import RecurrentActivation, RecurrentDirection

BOTH, REVERSE = RecurrentDirection.BIDIRECTIONAL, RecurrentDirection.REVERSE
EACH = tuple(RecurrentActivation)
LENGTHS = np.array([4, 0, 6, 1], np.int32)

CASES = [
    Case("one step", x=(1, 1, 3), w=(1, 4, 3), r=(1, 4, 4)),
    Case("steps", x=(5, 2, 7), w=(1, 19, 7), r=(1, 19, 19), b=(1, 38), initial_h=(1, 2, 19), dtypes=FLOATS),
    Case("both ways", x=(4, 3, 5), w=(2, 8, 5), r=(2, 8, 8), b=(2, 16), direction=BOTH, dtypes=FLOATS),
    Case("both ways, batch first", x=(3, 4, 5), w=(2, 8, 5), r=(2, 8, 8), initial_h=(3, 2, 8), direction=BOTH,
         layout=1),
    Case("lengths", x=(6, 4, 5), w=(1, 8, 5), r=(1, 8, 8), sequence_lens=LENGTHS),
    Case("lengths, reverse", x=(6, 4, 5), w=(1, 8, 5), r=(1, 8, 8), initial_h=(1, 4, 8), sequence_lens=LENGTHS,
         direction=REVERSE, dtypes=FLOATS),
    Case("lengths, both ways, batch first", x=(4, 6, 5), w=(2, 8, 5), r=(2, 8, 8), sequence_lens=LENGTHS,
         direction=BOTH, layout=1),
    Case("lengths beyond the end", x=(3, 2, 5), w=(1, 8, 5), r=(1, 8, 8), sequence_lens=np.array([9, -2], np.int32)),
    Case("clipped", x=(4, 2, 9), w=(1, 8, 9), r=(1, 8, 8), clip=0.25),
    *(
        Case(kind.name.lower(), x=(2, 2, 9), w=(1, 8, 9), r=(1, 8, 8), activations=(kind,), activation_alpha=(0.3,),
             activation_beta=(0.2,))
        for kind in EACH
    ),
    Case("one activation each way", x=(4, 2, 9), w=(2, 8, 9), r=(2, 8, 8), direction=BOTH, activations=EACH[3:5],
         activation_alpha=(0.5, 0.125), activation_beta=(0.25, 0.0)),
    Case("no step", x=(0, 2, 3), w=(1, 4, 3), r=(1, 4, 4), initial_h=(1, 2, 4)),
    Case("nobody", x=(3, 0, 3), w=(1, 4, 3), r=(1, 4, 4)),
    Case("no input", x=(3, 2, 0), w=(1, 4, 0), r=(1, 4, 4), initial_h=(1, 2, 4)),
    Case("large", x=(6, 17, 40), w=(1, 130, 40), r=(1, 130, 130), b=(1, 260), low=-0.2, high=0.2, dtypes=FLOATS),
    Case("speech", x=(100, 16, 256), w=(1, 512, 256), r=(1, 512, 512), b=(1, 1024), low=-0.1, high=0.1, bench=True),
]  # fmt: skip
test_kernels = check("RNN@1", CASES)


def test_the_state_goes_round(compute):
    """h' = x + 2 h."""
    affine, ones = (RecurrentActivation.AFFINE,), np.ones((1, 1, 1))
    fields = {"activations": affine, "activation_alpha": (1.0,)}
    y, y_h = compute("RNN", np.ones((3, 1, 1)), ones, 2 * ones, **fields)
    assert (y.ravel().tolist(), y_h.tolist()) == ([1, 3, 7], [[[7]]])


def test_weights_that_are_computed():
    """They are packed at each run then."""
    builder, network, config = new_network()
    x, w = network.add_input("x", trt.float32, (3, 2, 5)), network.add_input("w", trt.float32, (1, 4, 5))
    layer = network.add_rnn(x, w, np.linspace(-0.5, 0.5, 16, dtype=np.float32).reshape(1, 4, 4))
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(3, 2, 5)).astype(np.float32), "w": rng.normal(size=(1, 4, 5)).astype(np.float32)}
    got = engine_of(builder, network, config).create_execution_context().run(arrays)["y"]
    wanted = layer.spec.reference({**layer.spec.defaults()}, arrays["x"], arrays["w"], layer.r)[0]
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("dims", "fields", "text"),
    [
        (((4, 2, 3), (1, 5, 3), (1, 4, 4)), {}, r"cannot use w of \[1, 5, 3\]"),
        (((4, 2, 3), (1, 4, 3), (1, 4, 5)), {}, r"cannot use w of \[1, 4, 3\]"),
        (((4, 2, 3), (1, 4, 3), (1, 4, 4)), {"direction": BOTH}, r"cannot use w of \[1, 4, 3\]"),
        (((4, 2, 3), (1, 4, 3), (1, 4, 4), (1, 4)), {}, r"cannot use b of \[1, 4\]"),
        (((4, 2, 3), (1, 4, 3), (1, 4, 4), None, None, (1, 3, 4)), {}, r"cannot use initial_h of \[1, 3, 4\]"),
        (((4, 2, 3), (1, 4, 3), (1, 4, 4)), {"activations": (1, 1)}, "activations of 2 values"),
        (((4, 2, 3), (1, 4, 3), (1, 4, 4)), {"activation_alpha": (1.0, 1.0)}, "activation_alpha of 2 values"),
        (((4, 2), (1, 4, 3), (1, 4, 4)), {}, "x and r of three dims"),
    ],
)
def test_what_does_not_agree_is_named(infer, dims, fields, text):
    with pytest.raises(ShapeError, match=text):
        infer("RNN", *dims, **fields)


# ---- TensorRT's RNNv2


class Rnnv2:
    """A network of one RNNv2 with seeded weights, and the layers that it stands for."""

    STEPS, BATCH, HIDDEN = 4, (3,), 6

    def __init__(self, op, n_layers, data=5, batch=BATCH, **settings):
        self.data = data
        self.rng = np.random.default_rng(5)
        self.builder, self.network, self.config = new_network()
        self.arrays = {"x": self.noise(*batch, self.STEPS, self.data)}
        x = self.network.add_input("x", trt.float32, self.arrays["x"].shape)
        with pytest.warns(DeprecationWarning, match="Use add_lstm"):
            self.layer = self.network.add_rnn_v2(x, n_layers, self.HIDDEN, self.STEPS, op)
        for name, value in settings.items():
            setattr(self.layer, name, value)
        self.directions = 2 if self.layer.direction == trt.RNNDirection.BIDIRECTION else 1

    def noise(self, *dims):
        return self.rng.uniform(-0.5, 0.5, dims).astype(np.float32)

    def feed(self, name, array):
        self.arrays[name] = array
        dtype = trt.int32 if array.dtype == np.int32 else trt.float32
        setattr(self.layer, name, self.network.add_input(name, dtype, array.shape))

    def set_weights(self, gates, with_w=True):
        """Sets all; gives w, r and b of each layer with gates in ONNX's order."""
        n, given = self.directions, []
        for layer in range(self.layer.layer_count):
            inputs = self.HIDDEN * n if layer else self.data
            w = self.noise(n, len(gates), self.HIDDEN, inputs)
            r, b = self.noise(n, len(gates), self.HIDDEN, self.HIDDEN), self.noise(n, 2, len(gates), self.HIDDEN)
            for d in range(n):
                for i, gate in enumerate(gates):
                    at = layer * n + d
                    if with_w:
                        self.layer.set_weights_for_gate(at, gate, True, w[d, i])
                    self.layer.set_weights_for_gate(at, gate, False, trt.Weights(r[d, i]))
                    self.layer.set_bias_for_gate(at, gate, True, b[d, 0, i])
                    self.layer.set_bias_for_gate(at, gate, False, b[d, 1, i])
            given.append((w.reshape(n, -1, inputs), r.reshape(n, -1, self.HIDDEN), b.reshape(n, -1)))
        return given

    def run(self):
        for index in range(self.layer.num_outputs):
            self.layer.get_output(index).name = f"out{index}"
            self.network.mark_output(self.layer.get_output(index))
        return engine_of(self.builder, self.network, self.config).create_execution_context().run(self.arrays)


def reference(name, **fields):
    spec = trt.get_plugin_registry().find(f"{name}@1")
    return lambda *arrays: spec.reference({**spec.defaults(), "layout": 1, **fields}, *arrays)


def test_rnn_v2_stacks_lstm_layers_that_read_both_ways():
    gates = [trt.RNNGateType[name] for name in ("INPUT", "OUTPUT", "FORGET", "CELL")]
    rnn = Rnnv2(trt.RNNOperation.LSTM, 2, direction=trt.RNNDirection.BIDIRECTION)
    rnn.feed("hidden_state", rnn.noise(3, 4, 6))
    rnn.feed("cell_state", rnn.noise(3, 4, 6))
    rnn.feed("seq_lengths", np.array([4, 2, 3], np.int32))
    weights = rnn.set_weights(gates)
    got, lstm = rnn.run(), reference("LSTM", direction=BOTH)
    x, h, c, lengths = (rnn.arrays[name] for name in ("x", "hidden_state", "cell_state", "seq_lengths"))
    states = []
    for layer, (w, r, b) in enumerate(weights):
        part = slice(2 * layer, 2 * layer + 2)
        y, y_h, y_c = lstm(x, w, r, b, lengths, h[:, part], c[:, part])
        x = y.reshape(3, 4, 12)
        states.append((y_h, y_c))
    for name, wanted in zip(got, (x, *(np.concatenate(s, 1) for s in zip(*states, strict=True))), strict=True):
        np.testing.assert_allclose(got[name], wanted, rtol=1e-5, atol=1e-6, err_msg=name)


def test_rnn_v2_gives_gates_their_input_as_it_is():
    gates = [trt.RNNGateType[name] for name in ("UPDATE", "RESET", "HIDDEN")]
    rnn = Rnnv2(trt.RNNOperation.GRU, 1, data=6, input_mode=trt.RNNInputMode.SKIP)
    ((_, r, b),) = rnn.set_weights(gates, with_w=False)
    got = rnn.run()
    unit = np.tile(np.eye(6, dtype=np.float32), (1, 3, 1))
    y, y_h = reference("GRU", linear_before_reset=True)(rnn.arrays["x"], unit, r, b)
    np.testing.assert_allclose(got["out0"], y[:, :, 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got["out1"], y_h, rtol=1e-5, atol=1e-6)


def test_rnn_v2_names_a_gate_that_is_not_there():
    rnn = Rnnv2(trt.RNNOperation.RELU, 2)
    with pytest.raises(FieldValueError, match="no gate FORGET in layer 0"):
        rnn.layer.set_weights_for_gate(0, trt.RNNGateType.FORGET, True, np.zeros((6, 5)))
    with pytest.raises(FieldValueError, match="no gate INPUT in layer 2"):
        rnn.layer.set_weights_for_gate(2, trt.RNNGateType.INPUT, True, np.zeros((6, 5)))
    with pytest.raises(ShapeError, match="weights of 30 values"):
        rnn.layer.set_weights_for_gate(1, trt.RNNGateType.INPUT, True, np.zeros((6, 5)))


@pytest.mark.parametrize("batch", [(2, 3), (), (2, 1, 2)])
@pytest.mark.parametrize("direction", [trt.RNNDirection.UNIDIRECTION, trt.RNNDirection.BIDIRECTION])
def test_rnn_v2_takes_any_number_of_batch_dims(batch, direction):
    """As with one batch dim that holds all of them."""
    gates = [trt.RNNGateType[name] for name in ("INPUT", "OUTPUT", "FORGET", "CELL")]

    def run(dims):
        rnn = Rnnv2(trt.RNNOperation.LSTM, 2, batch=dims, direction=direction)
        n = 2 * rnn.directions
        rnn.feed("seq_lengths", np.resize([4, 2, 3], dims).astype(np.int32))
        rnn.feed("hidden_state", rnn.noise(*dims, n, 6))
        rnn.feed("cell_state", rnn.noise(*dims, n, 6))
        rnn.set_weights(gates)
        return rnn.run()

    found, wanted = run(batch), run((int(np.prod(batch)),))
    for name, array in wanted.items():
        assert found[name].shape == (*batch, *array.shape[1:])
        np.testing.assert_allclose(found[name].reshape(array.shape), array, rtol=1e-5, atol=1e-6, err_msg=name)


def test_rnn_v2_refuses_settings_that_it_does_not_have():
    rnn = Rnnv2(trt.RNNOperation.GRU, 2)
    assert rnn.layer.num_layers == rnn.layer.layer_count == 2
    with pytest.raises(AttributeError, match="Did you mean 'hidden_state'"):
        rnn.layer.hidden_stat = None


def test_rnn_v2_refuses_what_is_no_sequence():
    network = trt.Builder(trt.Logger()).create_network()
    for name, shape in (("a", (4,)), ("b", (2, 5, 3)), ("c", (-1, -1, 4, 3)), ("d", (2, 4, -1))):
        with pytest.warns(DeprecationWarning), pytest.raises(ShapeError, match="RNNv2 cannot use an input"):
            network.add_rnn_v2(network.add_input(name, trt.float32, shape), 1, 6, 4, trt.RNNOperation.LSTM)


def test_an_rnn_v2_has_what_any_layer_has():
    setup = Rnnv2(trt.RNNOperation.TANH, 2)
    setup.set_weights([trt.RNNGateType.INPUT])
    layer = setup.layer
    assert layer.type == trt.LayerType.RNN_V2 != trt.LayerType.PLUGIN_V2
    assert isinstance(layer, trt.IRNNv2Layer) and not isinstance(layer.layers[0], trt.IRNNv2Layer)
    assert (layer.precision, layer.precision_is_set, layer.metadata) == (trt.float32, False, "")
    layer.precision, layer.metadata = trt.float16, "of a script"
    assert layer.precision_is_set and {part.precision for part in layer.layers} == {trt.float16}
    assert layer.metadata == "of a script"
    layer.reset_precision()
    assert not layer.precision_is_set
    assert layer.get_output_type(0) == trt.float32
    layer.set_output_type(0, trt.float16)
    assert layer.get_output_type(0) == layer.get_output(0).dtype == trt.float16
    with pytest.raises(FieldValueError, match="RNNv2 has no output 7"):
        layer.get_output_type(7)
    with pytest.raises(AttributeError, match="Did you mean 'hidden_size'"):
        layer.hidden_sizes = 3

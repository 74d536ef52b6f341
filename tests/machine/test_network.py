"""The network: shapes follow edits, attributes are fields, names are unique."""

import numpy as np
import pytest
from networks import new_network

import dovetail as trt
from dovetail.core import errors


def test_shapes_follow_later_edits():
    _, network, _ = new_network()
    x = network.add_input("x", trt.float32, (1, 1, 6, 9))
    layer = network.add_convolution_nd(x, 1, (1, 1), np.zeros(1, np.float32))
    after = network.add_activation(layer.get_output(0), trt.ActivationType.RELU)
    assert after.get_output(0).shape == (1, 1, 6, 9)
    layer.kernel_size_nd = (3, 3)
    assert after.get_output(0).shape == (1, 1, 4, 7)
    layer.stride_nd = (2, 2)
    assert after.get_output(0).shape == (1, 1, 2, 4)


def test_unknown_extents_are_minus_one_and_print_as_expressions():
    _, network, _ = new_network()
    x = network.add_input("x", trt.float32, (-1, 3, -1, 8))
    x.set_dimension_name(0, "batch")
    layer = network.add_convolution_nd(x, 4, (3, 3), np.zeros((4, 3, 3, 3), np.float32))
    assert layer.get_output(0).shape == (-1, 4, -1, 6)
    assert "batch" in repr(layer.get_output(0))


def test_symmetric_padding_writes_both_sides_and_reads_the_front():
    _, network, _ = new_network()
    x = network.add_input("x", trt.float32, (1, 1, 6, 9))
    layer = network.add_convolution_nd(x, 1, (3, 3), np.zeros(9, np.float32))
    layer.padding_nd = (1, 2)
    assert tuple(layer.pre_padding) == (1, 2) == tuple(layer.post_padding)
    layer.post_padding = (0, 0)
    assert tuple(layer.padding_nd) == (1, 2)


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [("kernel_size", "kernel_size_nd", (1, 1)), ("stride", "stride_nd", (2, 2)), ("padding", "padding_nd", (1, 1)),
     ("dilation", "dilation_nd", (1, 1))],
)  # fmt: skip
def test_old_names_warn_and_work(old, new, value):
    _, network, _ = new_network()
    x = network.add_input("x", trt.float32, (1, 1, 6, 9))
    layer = network.add_convolution_nd(x, 1, (1, 1), np.zeros(1, np.float32))
    with pytest.warns(DeprecationWarning, match=f"Use {new} instead"):
        setattr(layer, old, value)
    assert tuple(getattr(layer, new)) == value


def test_old_methods_warn_and_work():
    _, network, _ = new_network()
    x = network.add_input("x", trt.float32, (1, 1, 6, 9))
    with pytest.warns(DeprecationWarning, match="Use add_convolution_nd instead"):
        layer = network.add_convolution(x, 1, (3, 3), np.zeros(9, np.float32))
    with pytest.warns(DeprecationWarning, match="Use add_deconvolution_nd instead"):
        network.add_deconvolution(layer.get_output(0), 1, (3, 3), np.zeros(9, np.float32))


def test_a_failed_add_leaves_nothing():
    _, network, _ = new_network()
    x = network.add_input("x", trt.float32, (1, 4, 8, 8))
    before = str(network)
    with pytest.raises(errors.DefinitionError):
        kernel = np.ones((3, 4, 9, 9), np.float32)
        network.add_plugin("Convolution", [x], {"num_output_maps": 3, "kernel_size_nd": (9, 9), "kernel": kernel})
    assert str(network) == before


def test_a_copy_of_weights_is_kept():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (1, 3, 2, 2))
    shift = np.full(1, 2.0, np.float32)
    layer = network.add_scale(x, trt.ScaleMode.UNIFORM, shift)
    shift[:] = 99
    network.mark_output(layer.get_output(0))
    from networks import engine_of

    y = engine_of(builder, network, config).create_execution_context().run({"x": np.zeros((1, 3, 2, 2), np.float32)})
    assert (next(iter(y.values())) == 2).all()


def test_orders_of_axes_and_older_names_of_enumerations():
    _, network, _ = new_network()
    x = network.add_input("x", trt.float32, (2, 3, 4))
    layer = network.add_shuffle(x)
    layer.first_transpose = trt.Permutation([2, 0, 1])
    assert layer.get_output(0).shape == (4, 2, 3)
    assert trt.SliceMode is trt.SampleMode
    assert trt.ResizeMode is trt.InterpolationMode
    assert {"SliceMode", "ResizeMode", "RNNOperation"} <= set(dir(trt))

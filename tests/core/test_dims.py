"""Dims: plain extents, as TensorRT's scripts use them."""

import copy
import pickle

import numpy as np
from pytest import mark, raises

from dovetail.core.dims import Dims, Dims2, Dims3, Dims4, DimsCHW, DimsHW, DimsNCHW, Permutation, volume
from dovetail.core.errors import DTypeError, ShapeError


def test_dims_compare_as_a_tuple_of_ints():
    dims = Dims([np.int64(2), 3])
    assert dims == (2, 3)
    assert type(dims[0]) is int
    assert str(dims) == "(2, 3)"
    assert dims[1:] == Dims([3])
    assert str(dims[1:]) == "(3,)"
    assert dims == (2, 3) and dims == [2, 3] and dims != (2,) and dims < (3,) and {(2, 3): 1}[dims] == 1
    four = (4,)
    assert dims + four == (2, 3, 4) and four + dims == (4, 2, 3) and dims * 2 == (2, 3, 2, 3)


def test_all_extents_fit_into_one_place_of_a_text():
    assert "shape: %s" % Dims([1, 3, -1]) == "shape: (1, 3, -1)"  # noqa: UP031


def test_numpy_takes_dims_as_a_shape():
    dims = Dims([2, 3])
    assert np.zeros(dims).shape == np.ones(6).reshape(dims).shape == np.broadcast_to(1, dims).shape == dims
    assert np.prod(dims) == 6 and np.array(dims).tolist() == [2, 3]


def test_an_extent_can_be_set():
    dims = Dims([-1, 3])
    dims[0] = 4
    assert dims == (4, 3)
    with raises(DTypeError, match="takes integers"):
        dims[0] = "x"
    with raises(ShapeError, match="cannot change its number of dims"):
        dims[0:1] = (1, 2)


def test_an_unknown_extent_makes_the_volume_unknown():
    assert (Dims((2, -1)).is_dynamic, Dims((2, -1)).volume, Dims((2, 3)).volume) == (True, -1, 6)


def test_a_scalar_has_one_element():
    assert volume(()) == 1


def test_eight_dims_are_the_most():
    assert len(Dims(range(8))) == Dims.MAX_DIMS
    with raises(ShapeError, match="has 9 dims; 8 is the most"):
        Dims(range(9))


def test_an_extent_is_an_integer():
    with raises(DTypeError, match="takes integers"):
        Dims([1.5])


@mark.parametrize("dims", [Dims2(3, 4), Dims2((3, 4)), DimsHW([3, 4])])
def test_fixed_numbers_of_dims_come_as_one_sequence_or_one_by_one(dims):
    assert dims == (3, 4)


def test_height_and_width_have_names():
    assert (DimsHW(3, 4).h, DimsHW(3, 4).w) == (3, 4)


def test_channels_and_batch_have_names():
    dims = DimsNCHW(2, 3, 4, 5)
    assert isinstance(dims, Dims4) and (dims.n, dims.c, dims.h, dims.w) == dims == (2, 3, 4, 5)
    dims = DimsCHW((3, 4, 5))
    assert isinstance(dims, Dims3) and (dims.c, dims.h, dims.w) == dims == (3, 4, 5)
    with raises(ShapeError, match="DimsNCHW takes 4 dims"):
        DimsNCHW(3, 4, 5)


def test_a_wrong_number_of_dims_names_both():
    with raises(ShapeError, match=r"Dims3 takes 3 dims, got \[1, 2\]"):
        Dims3(1, 2)


def test_a_permutation_compares_as_a_tuple_of_axes():
    assert Permutation([2, 0, 1]) == (2, 0, 1)
    assert Permutation(()) == ()


@mark.parametrize("order", [(0, 0), (1, 2), (0, -1), range(9)])
def test_what_is_no_permutation_is_refused(order):
    with raises(ShapeError, match=r"not a permutation|8 is the most"):
        Permutation(order)


@mark.parametrize("travel", [copy.deepcopy, lambda dims: pickle.loads(pickle.dumps(dims))])
@mark.parametrize(
    "dims", [Dims((1,)), DimsHW(3, 4), DimsCHW(3, 4, 5), DimsNCHW(2, 3, 4, 5), Dims4(1, 2, 3, 4), Permutation((1, 0))]
)
def test_dims_travel(travel, dims):
    assert travel(dims) == dims
    assert type(travel(dims)) is type(dims)

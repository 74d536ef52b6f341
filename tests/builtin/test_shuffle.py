"""Shuffle. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from networks import engine_of, new_network, profile_of

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check

N = input_dim(0, 0, "N")
ALL = (*FLOATS, DataType.INT32, DataType.INT64, DataType.INT8, DataType.UINT8, DataType.BOOL)


def random_cases(n, seed=0):
    """Shuffles of up to 8 axes, some empty, with transpositions before and after."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        rank = int(rng.integers(0, 9))
        largest = 4 if rank > 5 else 9 if rank > 3 else 40
        dims = [int(rng.integers(1, largest)) for _ in range(rank)]
        if rank and rng.random() < 0.1:
            dims[int(rng.integers(rank))] = 0
        fields = {}
        if rng.random() < 0.7:
            fields["first_transpose"] = tuple(int(a) for a in rng.permutation(rank))
        reshaped = [dims[a] for a in fields.get("first_transpose", range(rank))]
        if rng.random() < 0.7:
            factors = [f for d in reshaped for f in ((d,) if d < 4 or d % 2 else (2, d // 2))]
            while len(factors) > 8 or (len(factors) > 1 and rng.random() < 0.4):
                at = int(rng.integers(len(factors) - 1))
                factors[at : at + 2] = [factors[at] * factors[at + 1]]
            fields["reshape_dims"] = tuple(factors)
            fields["zero_is_placeholder"] = False
            reshaped = factors
        if rng.random() < 0.7:
            fields["second_transpose"] = tuple(int(a) for a in rng.permutation(len(reshaped)))
        dtype = ALL[i % len(ALL)]
        yield Case(f"{i}: {dims} {fields}", x=tuple(dims), seed=i, dtypes=(dtype,), **fields)


CASES = [
    Case("as it is", x=(3, 37), dtypes=ALL),
    Case("a reshape", x=(2, 3, 4), reshape_dims=(6, -1)),
    Case("0 copies", x=(2, 3, 4), reshape_dims=(0, -1)),
    Case("0 is an extent", x=(0, 3), reshape_dims=(0, 5, 0), zero_is_placeholder=False),
    Case("to a scalar", x=(1, 1), reshape_dims=()),
    Case("from a scalar", x=(), reshape_dims=(1, 1)),
    Case("a transposed matrix", x=(67, 131), first_transpose=(1, 0), dtypes=ALL),
    Case("channels last", x=(2, 19, 13, 11), second_transpose=(0, 2, 3, 1), dtypes=ALL),
    Case("channels first", x=(2, 13, 11, 3), first_transpose=(0, 3, 1, 2), dtypes=ALL),
    Case("heads", x=(2, 17, 24), reshape_dims=(0, 0, 3, 8), second_transpose=(0, 2, 1, 3), dtypes=ALL),
    Case("blocks of channels to channels last", x=(2, 48, 13, 11), second_transpose=(0, 2, 3, 1)),
    Case("channels last to blocks of channels", x=(2, 13, 11, 48), first_transpose=(0, 3, 1, 2)),
    Case("one block, one cell", x=(1, 1, 1, 16), first_transpose=(0, 3, 1, 2)),
    Case("many blocks and cells", x=(3, 96, 9, 37), first_transpose=(0, 2, 3, 1)),
    Case(
        "the order that two transpositions give",
        x=(2, 32, 5, 7),
        first_transpose=(0, 1, 3, 2),
        second_transpose=(0, 3, 2, 1),
    ),
    Case("a reshape between", x=(2, 4, 8, 16), reshape_dims=(2, 8, 4, 16), second_transpose=(0, 3, 1, 2)),
    Case("another order of the cells", x=(2, 7, 5, 32), first_transpose=(0, 3, 2, 1)),
    Case("two at once", x=(3, 4, 5), first_transpose=(2, 0, 1), second_transpose=(1, 2, 0)),
    Case("one after the other", x=(4, 6), first_transpose=(1, 0), reshape_dims=(3, 8), second_transpose=(1, 0)),
    Case("dims given", x=(2, 3, 4), dims=np.array([0, -1], np.int32)),
    Case("dims given as int64", x=(2, 3, 4), dims=np.array([4, 6], np.int64), second_transpose=(1, 0)),
    *random_cases(60),
    Case("a photograph", x=(8, 224, 224, 3), first_transpose=(0, 3, 1, 2), bench=True),
]
test_kernels = check("Shuffle@1", CASES)


def of(*dims, dtype=DataType.FLOAT, **facts):
    return SymbolicTensor(DimsExprs(dims), dtype, **facts)


def test_an_unknown_batch_stays(infer):
    (y,) = infer("Shuffle", of(N, 3, 4), reshape_dims=(0, -1))
    assert y.dims.same((N, 12))
    (y,) = infer("Shuffle", of(N, 3, 4), reshape_dims=(-1, 6))
    assert y.dims.same((N * 2, 6))


def test_what_is_decided_later_is_recorded(infer):
    with constraints() as found:
        infer("Shuffle", of(N, 3), reshape_dims=(2, 6))
    assert [bool(c.condition.evaluate([[n]])) for c in found for n in (4, 5)] == [True, False]


@pytest.mark.parametrize(
    ("dims", "wanted", "rule"),
    [
        ((2, 3), (4, 2), "numbers of elements differ"),
        ((2, 3), (-1, -1), "one -1 at most"),
        ((2, 3), (6, 1, 0), "copies from 2 dims"),
        ((2, 3), (5, -1), "numbers of elements differ"),
    ],
)
def test_what_cannot_be_reshaped_is_named(infer, dims, wanted, rule):
    with pytest.raises(ShapeError, match=rule):
        infer("Shuffle", dims, reshape_dims=wanted)


def test_a_transposition_names_each_axis_once(infer):
    with pytest.raises(ShapeError, match="first_transpose"):
        infer("Shuffle", (2, 3), first_transpose=(0, 0))
    with pytest.raises(ShapeError, match="second_transpose"):
        infer("Shuffle", (2, 3), reshape_dims=(6,), second_transpose=(1, 0))


def test_dims_that_are_data_are_refused(infer):
    with pytest.raises(ShapeError, match="dims"):
        infer("Shuffle", of(2, 3), of(2, dtype=DataType.INT32))


def test_contents_are_followed(infer):
    values = tuple(DimsExprs((N, 2, 3, 4)))
    (y,) = infer("Shuffle", of(4, dtype=DataType.INT32, values=values), reshape_dims=(2, 2), second_transpose=(1, 0))
    assert [str(e) for e in y.elements()] == ["N", "3", "2", "4"]


def test_flattening_by_a_computed_shape():
    builder, network, config = new_network()
    x = network.add_input("x", trt.float32, (-1, 3, 4))
    batch = network.add_slice(network.add_shape(x).get_output(0), (0,), (1,), (1,)).get_output(0)
    rest = network.add_constant((1,), np.array([-1], np.int32)).get_output(0)
    layer = network.add_shuffle(x)
    layer.set_input(1, network.add_concatenation([batch, rest]).get_output(0))
    assert tuple(layer.get_output(0).shape) == (-1, 12)
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    profile_of(builder, config, x=((1, 3, 4), (2, 3, 4), (5, 3, 4)))
    context = engine_of(builder, network, config).create_execution_context()
    x = np.random.default_rng(0).standard_normal((5, 3, 4), dtype=np.float32)
    np.testing.assert_array_equal(context.run({"x": x})["y"], x.reshape(5, 12))

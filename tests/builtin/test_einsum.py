"""Einsum. Cases are shared by correctness, benchmark and the reference page."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import engine_of, new_network

import dovetail as trt
from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError, FieldValueError, ShapeError
from dovetail.core.expr import DimsExprs, constraints, input_dim
from dovetail.core.types import FLOATS, DataType
from dovetail.machine.testing import Case, check, check_case
from dovetail.registry.loader import default_registry

NUMBERS = (*FLOATS, DataType.INT32, DataType.INT64)
EXTENTS = dict(zip("abcdefgh", (3, 4, 2, 5, 3, 2, 4, 3), strict=True))


def case(equation, a=None, b=None, **more):
    terms = equation.split("->")[0].split(",")
    shapes = [tuple(EXTENTS.get(letter, 1) for letter in term) for term in terms]
    inputs = dict(zip("ab", (a or shapes[0], b or (shapes[1] if len(terms) > 1 else None)), strict=True))
    return Case(equation, equation=equation, **{k: v for k, v in inputs.items() if v is not None}, **more)


CASES = [
    case("ab,bc->ac", dtypes=NUMBERS),
    case("ab,cb->ca", dtypes=NUMBERS),
    case("ab->ba", dtypes=NUMBERS),
    case("abc->b", dtypes=NUMBERS),
    case("ab->", dtypes=FLOATS),
    case("abcd->dbca", dtypes=FLOATS),
    case("a,b->ab", dtypes=NUMBERS),
    case("a,a->", dtypes=NUMBERS),
    case("ab,ab->ab", dtypes=FLOATS),
    case("ab,ab->b", dtypes=FLOATS),
    case("abcd,aefd->abcef", dtypes=FLOATS),
    case("abc,dbe->adce", dtypes=FLOATS),
    case("abcd,bd->ac", dtypes=NUMBERS),
    case("ab,cd->bd", dtypes=FLOATS),
    case("abcd,cdef->efab", dtypes=FLOATS),
    case(",a->a", (), (3,)),
    case("ab,bc->ac", (3, 0), (0, 4)),
    case("ab,bc->ac", (0, 3), (3, 4)),
    case("ab,ab->ab", (1, 5), (4, 1), dtypes=NUMBERS),
    case("ab,ab->a", (1, 5), (4, 5), dtypes=FLOATS),
    case("ab,bc->ac", (3, 1), (70, 40), dtypes=NUMBERS),
    case("ab,bc->ac", (40, 70), (1, 33), dtypes=FLOATS),
    case("abc,acd->abd", (1, 40, 33), (3, 33, 50), dtypes=FLOATS),
    case("abc,acd->abd", (3, 40, 33), (1, 33, 50), dtypes=FLOATS),
    case("ab,ab->", (1, 5), (0, 5), dtypes=FLOATS),
    case("a,a->", (1,), (300,), dtypes=FLOATS),
    case("bhqd,bhkd->bhqk", (2, 3, 40, 33), (2, 3, 50, 33), dtypes=FLOATS),
    case("bqhd,bkhd->bhqk", (2, 40, 3, 33), (2, 50, 3, 33), dtypes=FLOATS),
    case("bhqk,bkhd->bqhd", (2, 3, 40, 50), (2, 50, 3, 33), dtypes=FLOATS),
    case("ijk,jil->kl", (30, 20, 65), (20, 30, 70), bench=True),
]
test_kernels = check("Einsum@1", CASES)


@settings(max_examples=80, deadline=None)
@given(st.data(), st.sampled_from(NUMBERS))
def test_random(data, dtype):
    letters = st.permutations("abcdef").flatmap(lambda order: st.integers(0, 4).map(lambda n: "".join(order[:n])))
    terms = [data.draw(letters), data.draw(letters)][: data.draw(st.integers(1, 2))]
    every = sorted(set("".join(terms)))
    y = "".join(data.draw(st.permutations(every)))[: data.draw(st.integers(0, len(every)))]
    sizes = {letter: data.draw(st.integers(0, 5)) for letter in every}
    ones = st.sampled_from([False, False, False, True])
    shapes = [tuple(1 if data.draw(ones) else sizes[letter] for letter in term) for term in terms]
    equation = ",".join(terms) + "->" + y
    inputs = dict(zip("ab", shapes, strict=False))
    check_case(default_registry(), "Einsum@1", Case("random", equation=equation, **inputs), dtype, 2)


def of(*dims, dtype=DataType.FLOAT):
    return SymbolicTensor(DimsExprs(dims), dtype)


def test_dims_without_an_arrow_are_sorted(infer):
    (y,) = infer("Einsum", (3, 4), (4, 2), equation="ca, ab")
    assert y.dims.known() == (2, 3)


def test_unknown_extents_are_checked_when_they_are_bound(infer):
    with constraints() as found:
        (y,) = infer("Einsum", of(input_dim(0, 0, "N"), input_dim(0, 1, "K")), (5, 4), equation="nk,km->nm")
    assert y.dims.evaluate([[7, 5]]) == (7, 4)
    assert [all(c.condition.evaluate([[7, k]]) for c in found) for k in (5, 1, 6)] == [True, True, False]


def test_unknown_extents_of_1_are_repeated(infer):
    with constraints() as found:
        (y,) = infer("Einsum", of(input_dim(0, 0, "N")), of(input_dim(1, 0, "M")), equation="n,n->n")
    for n, m, extent in ((1, 4, 4), (4, 1, 4), (4, 4, 4), (1, 0, 0), (1, 1, 1)):
        assert all(c.condition.evaluate([[n], [m]]) for c in found) and y.dims.evaluate([[n], [m]]) == (extent,)
    assert not all(c.condition.evaluate([[3], [4]]) for c in found)


@pytest.mark.parametrize(
    ("equation", "what"),
    [
        ("...i,ij->j", "ellipsis"),
        ("ii->i", "diagonals"),
        ("ij,jk,kl->il", "3 inputs"),
        ("ij->ijk", "in no input"),
        ("i1->i", "well formed"),
        ("ij->jj", "diagonals"),
    ],
)
def test_equations_that_are_refused(infer, equation, what):
    with pytest.raises(FieldValueError, match=what):
        infer("Einsum", (3, 3), equation=equation)


def test_terms_and_inputs_must_agree(infer):
    with pytest.raises(ShapeError, match="has 1 inputs"):
        infer("Einsum", (3, 3), equation="ij,jk->ik")
    with pytest.raises(ShapeError, match="3 letters for a, 'ijk', and 2 dims"):
        infer("Einsum", (3, 3), equation="ijk->i")
    with pytest.raises(ShapeError, match="got 3 and 4"):
        infer("Einsum", (3, 3), (4, 5), equation="ij,jk->ik")
    with pytest.raises(DTypeError, match="FLOAT with HALF"):
        infer("Einsum", of(3, 3), of(3, 3, dtype=DataType.HALF), equation="ij,jk->ik")


def test_a_layer_with_a_constant():
    rng = np.random.default_rng(8)
    x, weights = rng.uniform(-1, 1, (2, 3, 40)), rng.uniform(-1, 1, (40, 4, 50)).astype(np.float32)
    builder, network, config = new_network()
    source = network.add_input("x", trt.float32, x.shape)
    constant = network.add_constant(weights.shape, weights).get_output(0)
    layer = network.add_einsum([source, constant], "b t d, d h e -> b h t e")
    layer.get_output(0).name = "y"
    network.mark_output(layer.get_output(0))
    y = engine_of(builder, network, config).create_execution_context().run({"x": x.astype(np.float32)})["y"]
    np.testing.assert_allclose(y, np.einsum("btd,dhe->bhte", x, weights), atol=1e-4)

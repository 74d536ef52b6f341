"""Einsum."""

from __future__ import annotations

import re

import numpy

from dovetail.core.arguments import sequence
from dovetail.core.arguments import text as checked_text
from dovetail.core.errors import DTypeError, FieldValueError, ShapeError
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, broadcast, field, require_equal
from dovetail.plugins.onnx import combined, extents, number_like, off_diagonal, onnx_op, rank_of, reduced

NUMBERS = (*FLOATS, DataType.INT32, DataType.INT64)
EQUATION = re.compile(r"[A-Za-z]*(,[A-Za-z]*)?(->[A-Za-z]*)?")


class Einsum(Plugin):
    """y = sum of the products of a and b over the letters of `equation` that y does not have

    Inputs    a, b  any dims, one for each letter of their terms; of one type. b is absent if the equation has one
                    term. Extents of 1 are repeated to that of the same letter in the other input
    Outputs   y     a dim for each letter behind the arrow; type of a
    Equation  "ij,jk->ik" multiplies matrices, "ij->ji" transposes, "ij->" sums. Letters are A-Z and a-z, blanks
              are ignored; without an arrow y has the letters that stand once, in alphabetical order
    Numerics  floats are summed in float32; integers wrap around;
              denormal bfloat16 elements may count as zeros (CPUs with AVX512-BF16)
    Errors    FieldValueError for an equation with an ellipsis, a letter twice in one term, or more than two inputs;
              ShapeError if terms and dims differ in number, or extents of one letter differ, none of them 1
    Source    TensorRT 8.5 IEinsumLayer
    """

    purpose = "Matrices and convolutions"
    a = Input(NUMBERS)
    b = Input(NUMBERS, optional=True)
    y = Output(like="a")
    equation: str = field(doc="Which dims are multiplied, summed and kept.")

    type_rows = ("f32|f16|bf16|i32|i64 f32|f16|bf16|i32|i64 -> f32|f16|bf16|i32|i64",)

    def infer(self, a, b):
        terms, y = terms_of(self.label, self.equation)
        inputs = [tensor for tensor in (a, b) if tensor is not None]
        if len(terms) != len(inputs):
            raise ShapeError(
                f"{self.label} has {len(inputs)} inputs, and its equation '{self.equation}' {len(terms)}",
                expected=len(terms),
                got=len(inputs),
            )
        if b is not None and a.dtype != b.dtype:
            raise DTypeError(
                f"{self.label} cannot multiply {a.dtype.name} with {b.dtype.name}",
                facts=[("a", a.dtype.name), ("b", b.dtype.name), ("rule", "both of one type")],
                hint="Convert one of them with an Identity layer.",
                expected=a.dtype,
                got=b.dtype,
            )
        extents = {}
        for name, term, tensor in zip("ab", terms, inputs, strict=False):
            if tensor.rank != len(term):
                raise ShapeError(
                    f"{self.label} has {len(term)} letters for {name}, '{term}', and {tensor.rank} dims, {tensor.dims}",
                    facts=[("equation", self.equation), (name, tensor.dims)],
                    expected=len(term),
                    got=tensor.rank,
                )
            for letter, extent in zip(term, tensor.dims, strict=True):
                extents[letter] = self._both(letter, extents[letter], extent) if letter in extents else extent
        return a.like([extents[letter] for letter in y])

    def _both(self, letter, a, b):
        """The extent of a letter that both inputs have."""
        if a.value is not None and b.value is not None and 1 not in (a.value, b.value):
            require_equal(self.label, (f"'{letter}' of a", a), (f"'{letter}' of b", b))
        return broadcast(f"{self.label}, for '{letter}',", [a], [b])[0]

    def reference(self, a, b=None):
        terms, y = terms_of(self.label, self.equation)
        inputs = [array for array in (a, b) if array is not None]
        wide = [array.astype(numpy.float32) if array.dtype.itemsize == 2 else array for array in inputs]
        # Multiplied, then summed; extents of 1 stand for the letters that an input lacks.
        letters = y + "".join(sorted(set("".join(terms)) - set(y)))
        product = numpy.ones((), a.dtype if a.dtype.itemsize > 2 else numpy.float32)
        for term, array in zip(terms, wide, strict=True):
            order = sorted(range(len(term)), key=lambda axis: letters.index(term[axis]))
            shape = [array.shape[term.index(letter)] if letter in term else 1 for letter in letters]
            product = product * array.transpose(order).reshape(shape)
        return product.sum(tuple(range(len(y), len(letters))), dtype=product.dtype).astype(a.dtype)

    @staticmethod
    def onnx():
        return (onnx_op("Einsum", rewrite=einsum),)

    @classmethod
    def add_einsum(cls, network, inputs, equation):
        """An Einsum layer over one or two inputs."""
        terms, y = terms_of("add_einsum", equation)
        inputs = list(sequence("the inputs of add_einsum", inputs, "tensors", "Write [x, y]."))
        return network.add_plugin("Einsum", inputs, {"equation": ",".join(terms) + "->" + y})


def terms_of(label, equation):
    """The letters of each input, and those of y. Without an arrow y has the letters that stand once, sorted.

    Raises:
        FieldValueError: the equation is not well formed, has an ellipsis, more than two inputs, or a letter twice in
            one term.
    """
    text = "".join(checked_text(f"the equation of {label}", equation).split())

    def refuse(what):
        return FieldValueError(
            f"{label} cannot use the equation '{equation}': {what}",
            facts=[("equation", "letters for the dims of one or two inputs, and of y, as in 'ij,jk->ik'")],
            field="equation",
            got=equation,
        )

    if "." in text:
        raise refuse("an ellipsis is not supported")
    if text.count(",") > 1:
        raise refuse(f"{text.count(',') + 1} inputs, at most two are supported")
    if not EQUATION.fullmatch(text):
        raise refuse("it is not well formed")
    left, arrow, y = text.partition("->")
    inputs = left.split(",")
    every = "".join(inputs)
    y = y if arrow else "".join(sorted(letter for letter in set(every) if every.count(letter) == 1))
    for term in (*inputs, y):
        twice = sorted({letter for letter in term if term.count(letter) > 1})
        if twice:
            raise refuse(f"'{twice[0]}' stands twice in '{term}', and diagonals are not supported")
    alone = sorted(set(y) - set(every))
    if alone:
        raise refuse(f"'{alone[0]}' of the output is in no input")
    return inputs, y


# ---- ONNX


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def einsum(node):
    """ONNX Einsum: an ellipsis becomes letters, diagonals are taken first, and inputs are joined two by two."""
    terms, y = spelled_out(node)
    tensors = []
    for index, term in enumerate(terms):
        x = node[index]
        for letter in sorted(set(term)):
            while term.count(letter) > 1:
                x, term = diagonal(node, x, term, letter)
        tensors.append((x, term))
    tensors = without_repeated(node, tensors)
    while len(tensors) > 1:
        (a, first), (b, second), *others = tensors
        needed = y + "".join(term for _, term in others)
        kept = "".join(letter for letter in dict.fromkeys(first + second) if letter in needed) if others else y
        tensors = [(node.add("Einsum", [a, b], equation=f"{first},{second}->{kept}"), kept), *others]
    ((x, term),) = tensors
    return x if term == y else node.add("Einsum", [x], equation=f"{term}->{y}")


def without_repeated(node, tensors):
    """Inputs and terms without the axes of extent 1 whose letter has another extent elsewhere: they are repeated."""
    others = {letter for x, term in tensors for letter, extent in zip(term, x.shape, strict=True) if extent != 1}
    result = []
    for x, term in tensors:
        dropped = [axis for axis, letter in enumerate(term) if x.shape[axis] == 1 and letter in others]
        x = node.add("Squeeze", [x, numpy.array(dropped)]) if dropped else x
        result.append((x, "".join(letter for axis, letter in enumerate(term) if axis not in dropped)))
    return result


def spelled_out(node):
    """The letters of each input and of y, those of an ellipsis among them."""
    left, arrow, y = "".join(node.attr("equation", "").split()).partition("->")
    terms = left.split(",")
    if any(rank_of(node[i]) != len(term) for i, term in enumerate(terms[: len(node)]) if "..." not in term):
        facts = {f"input {i}": node[i].shape for i in range(len(node))}
        raise node.fail("its terms have another number of letters than its inputs dims", equation=left, **facts)
    if len(terms) != len(node):
        raise node.fail("its equation has another number of terms than it has inputs", equation=node.attr("equation"))
    free = [letter for letter in LETTERS if letter not in left + y]
    hidden = [rank_of(node[i]) - len(term.replace("...", "")) if "..." in term else 0 for i, term in enumerate(terms)]
    if min(hidden) < 0 or max(hidden) > len(free):
        raise node.fail("its terms do not fit the dims of its inputs", equation=node.attr("equation"))
    ellipsis = "".join(free[: max(hidden)])
    terms = [term.replace("...", ellipsis[len(ellipsis) - n :]) for term, n in zip(terms, hidden, strict=True)]
    if arrow:
        return terms, y.replace("...", ellipsis)
    every = "".join(terms)
    return terms, ellipsis + "".join(sorted(x for x in set(every) - set(ellipsis) if every.count(x) == 1))


def diagonal(node, x, term, letter):
    """x and its term without the second of two equal letters: what is off the diagonal is 0, then summed over it.

    A product with the unit matrix would make NaN of infinities that are not on the diagonal.
    """
    first = term.index(letter)
    second = term.index(letter, first + 1)
    dims = extents(node, x)[[first, second]]
    rule = f"the extents of '{letter}' in the term '{term}' must be equal"
    if dims.known is None:
        same = combined(node, "EQUAL", dims[0].tensor(), dims[1].tensor())
        node.network.add_plugin("Assertion", [same], {"message": rule})
    elif dims.known[0] != dims.known[1]:
        raise node.fail(rule, **{f"axis {axis}": x.shape[axis] for axis in (first, second)})
    else:
        extent = int(dims.known[0])
        node.reserve(f"the mask of the diagonal of '{term}', {extent} by {extent}", bytes=extent * extent * 8)
    off = off_diagonal(node, dims)
    on = node.as_tensor(off == 0) if isinstance(off, numpy.ndarray) else combined(node, "EQUAL", off, 0)
    others = numpy.array([axis for axis in range(rank_of(x)) if axis not in (first, second)], numpy.int64)
    on = node.add("Unsqueeze", [on, others]) if others.size else on
    kept = node.add("Select", [on, x, number_like(x, 0)])
    return reduced(node, "SUM", kept, [second], keep_dims=False), term[:second] + term[second + 1 :]

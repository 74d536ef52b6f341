"""MatrixMultiply."""

from __future__ import annotations

import warnings

import numpy

from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.named import Named
from dovetail.core.types import FLOATS, DataType
from dovetail.plugins import Input, Output, Plugin, broadcast, field, require_equal
from dovetail.plugins.onnx import (
    BYTES,
    bytes_product,
    cast,
    centred,
    elementwise,
    factor_of,
    is_given,
    is_single,
    onnx_op,
    rank_of,
    requantized,
    scalar,
    with_rank,
)

NUMBERS = (*FLOATS, DataType.INT32, DataType.INT64, DataType.INT8)


class MatrixOperation(Named):
    """How an input is seen: as matrices, as their transposes, or as vectors."""

    NONE = 0
    TRANSPOSE = 1
    VECTOR = 2

    @property
    def n_dims(self) -> int:
        """Dims of one matrix or vector."""
        return 1 if self == self.VECTOR else 2


class MatrixMultiply(Plugin):
    """y = op0(a) @ op1(b), for all matrices of a batch

    Inputs    a  [batch..., m, k]; [batch..., k, m] with TRANSPOSE, [batch..., k] with VECTOR
              b  [batch..., k, n]; [batch..., n, k] with TRANSPOSE, [batch..., k] with VECTOR; of a's type
    Outputs   y  [batch..., m, n], without m if a is VECTOR, without n if b is; float32 for int8
    Batch     the dims in front of the matrices: of equal number, per axis equal extents or 1, which is repeated
    Numerics  floats are summed in float32; int32 and int64 wrap around; sums of int8 are exact in int32, then
              times the scales of a and b; denormal bfloat16 elements may count as zeros (CPUs with AVX512-BF16)
    Errors    ShapeError if an input has too few dims, or batches or k do not agree; DTypeError if types differ
    Source    TensorRT 8.5 IMatrixMultiplyLayer
    """

    purpose = "Matrices and convolutions"
    role = "matrix product"
    a = Input(NUMBERS, quantized=True)
    b = Input(NUMBERS, quantized=True)
    y = Output(NUMBERS)
    op0: MatrixOperation = field(MatrixOperation.NONE, doc="How a is seen.")
    op1: MatrixOperation = field(MatrixOperation.NONE, doc="How b is seen.")

    type_rows = ("f32|f16|bf16|i32|i64 f32|f16|bf16|i32|i64 -> f32|f16|bf16|i32|i64",)

    def infer(self, a, b):
        if a.dtype != b.dtype:
            raise DTypeError(
                f"{self.label} cannot multiply {a.dtype.name} with {b.dtype.name}",
                facts=[("a", a.dtype.name), ("b", b.dtype.name), ("rule", "both of one type")],
                hint="Convert one of them with an Identity layer.",
                expected=a.dtype,
                got=b.dtype,
            )
        for name, tensor, op in (("a", a, self.op0), ("b", b, self.op1)):
            if tensor.rank < op.n_dims:
                raise ShapeError(
                    f"{self.label} needs {op.n_dims} dims or more for {name} with {op.name}, got {tensor.rank}",
                    facts=[(name, tensor.dims), ("op", f"{op.name}, {op.n_dims} dims and those of the batch")],
                    expected=op.n_dims,
                    got=tensor.rank,
                )
        batches = [t.dims[: t.rank - op.n_dims] for t, op in ((a, self.op0), (b, self.op1))]
        batch = broadcast(f"the batch of {self.label}", *batches)
        rows, columns = list(a.dims[len(batch) :]), list(b.dims[len(batch) :])
        k_a = rows.pop(0 if self.op0 == MatrixOperation.TRANSPOSE else -1)
        k_b = columns.pop(-1 if self.op1 == MatrixOperation.TRANSPOSE else 0)
        require_equal(
            self.label,
            (f"the summed extent of a, {self.op0.name} of {a.dims}", k_a),
            (f"the summed extent of b, {self.op1.name} of {b.dims}", k_b),
            hint="The columns of op0(a) are multiplied by the rows of op1(b).",
        )
        return a.like((*batch, *rows, *columns), DataType.FLOAT if a.dtype == DataType.INT8 else a.dtype)

    def reference(self, a, b):
        if a.dtype == numpy.int8:
            a, b = a.astype(numpy.float32), b.astype(numpy.float32)
        a = numpy.swapaxes(a, -1, -2) if self.op0 == MatrixOperation.TRANSPOSE else a
        b = numpy.swapaxes(b, -1, -2) if self.op1 == MatrixOperation.TRANSPOSE else b
        rows, columns = self.op0 != MatrixOperation.VECTOR, self.op1 != MatrixOperation.VECTOR
        y = (a if rows else a[..., None, :]) @ (b if columns else b[..., None])
        y = y if rows else y[..., 0, :]
        return y if columns else y[..., 0]

    @staticmethod
    def onnx():
        return (
            onnx_op("MatMul", rewrite=mat_mul),
            onnx_op("Gemm", rewrite=gemm),
            onnx_op("MatMulInteger", rewrite=mat_mul_integer),
            onnx_op("QLinearMatMul", rewrite=q_linear_mat_mul),
        )

    @classmethod
    def add_matrix_multiply(cls, network, input0, op0, input1, op1):
        """A MatrixMultiply layer: op0(input0) @ op1(input1)."""
        return network.add_plugin("MatrixMultiply", [input0, input1], {"op0": op0, "op1": op1})

    @classmethod
    def add_matrix_multiply_deprecated(cls, network, input0, transpose0, input1, transpose1):
        """add_matrix_multiply as TensorRT 5 had it: says with bools which of the two is transposed."""
        warnings.warn("Use add_matrix_multiply instead.", DeprecationWarning, stacklevel=3)
        ops = [MatrixOperation.TRANSPOSE if is_on else MatrixOperation.NONE for is_on in (transpose0, transpose1)]
        return cls.add_matrix_multiply(network, input0, ops[0], input1, ops[1])


# ---- ONNX


def multiplied(node, a, b):
    """a @ b as numpy.matmul has it: one dim is a vector, batches are aligned from behind."""
    operands = [(x, 1 if rank_of(x) == 1 else 2) for x in (a, b)]
    batch = max(rank_of(x) - n for x, n in operands)
    ops = [MatrixOperation.VECTOR if n == 1 else MatrixOperation.NONE for _, n in operands]
    return node.add("MatrixMultiply", [with_rank(node, x, batch + n) for x, n in operands], op0=ops[0], op1=ops[1])


def mat_mul(node):
    """ONNX MatMul."""
    return multiplied(node, node[0], node[1])


def gemm(node):
    """ONNX Gemm: alpha * A @ B + beta * C."""
    sides = [MatrixOperation.TRANSPOSE if node.attr(name, 0) else MatrixOperation.NONE for name in ("transA", "transB")]
    y = node.add("MatrixMultiply", [node[0], node[1]], op0=sides[0], op1=sides[1])
    y = _times(node, y, node.attr("alpha", 1.0))
    if not is_given(node, 2):
        return y
    return elementwise(node, "SUM", y, _times(node, node[2], node.attr("beta", 1.0)))


def _times(node, x, factor):
    if factor == 1:
        return x
    if x.dtype in FLOATS:
        return elementwise(node, "PROD", x, scalar(x, factor))
    wide = cast(node, x, DataType.FLOAT)
    return cast(node, elementwise(node, "PROD", wide, scalar(wide, factor)), x.dtype)


def mat_mul_integer(node):
    """ONNX MatMulInteger: exact in int32; zero points are one for a, or for each row, and for b, or each column."""
    y = bytes_product(node, 0, 1, (2, 3))
    if y is not None:
        return y
    a, b = node[0], node[1]
    return multiplied(node, centred(node, a, 2, max(0, rank_of(a) - 2)), centred(node, b, 3, max(0, rank_of(b) - 1)))


def q_linear_mat_mul(node):
    """ONNX QLinearMatMul."""
    a, b = node[0], node[3]
    if node.type_name(7) in BYTES and all(is_single(node[index]) for index in (1, 6, 7)) and rank_of(node[4]) < 2:
        more = factor_of(node, (1, 4, 6)), None, node[7]
        y = bytes_product(node, 0, 3, (2, 5), *more, to_type=DataType[node.type_name(7)])
        if y is not None:
            return y
    sums = multiplied(node, centred(node, a, 2, max(0, rank_of(a) - 2)), centred(node, b, 5, max(0, rank_of(b) - 1)))
    return requantized(node, sums, (1, 4, 6), 7, max(0, rank_of(sums) - 1))

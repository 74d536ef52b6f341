"""Fill."""

from __future__ import annotations

import math

import numpy

from dovetail.core.contract import SymbolicTensor
from dovetail.core.errors import DTypeError, ShapeError
from dovetail.core.expr import DimsExprs
from dovetail.core.named import Named
from dovetail.core.types import FLOATS, DataType, from_numpy, nptype
from dovetail.plugins import Input, Ints, Output, Plugin, field, require_that
from dovetail.plugins.builtin._values import elements_of, follow
from dovetail.plugins.onnx import (
    MOST_KNOWN,
    Counts,
    applied,
    as_extents,
    as_float64,
    cast,
    combined,
    extents,
    off_diagonal,
    onnx_op,
    rank_of,
    reshaped,
)

TYPES = (*FLOATS, DataType.INT32, DataType.INT64)
WORDS = "|".join(t.short for t in TYPES)


class FillOperation(Named):
    """What a tensor is filled with."""

    LINSPACE = 0
    RANDOM_UNIFORM = 1
    RANDOM_NORMAL = 2


class Fill(Plugin):
    """y = numbers on a line, or random ones

    Inputs    dims    optional, 1-D int32 | int64: dims of y, instead of the field `shape`
              alphas  optional, one value, instead of the field `alpha`; of the type of y
              betas   optional, instead of the field `beta`; of the type of y: for LINSPACE one for each axis
                      of y, else one value
    Outputs   y       of type `to_type`; if that is FLOAT and a LINSPACE has integer alphas, of their type
    Numerics  LINSPACE        alpha + the sum over axes k of beta[k] * index[k]; y has one axis unless betas is
                              given. In float64, rounded once; integers wrap around
              RANDOM_UNIFORM  alpha + (beta - alpha) * u, u uniform in [0, 1) in steps of 2^-24; floats only
              RANDOM_NORMAL   alpha + beta * z, z of mean 0 and deviation 1; floats only
              Element i takes word i % 4 of block i // 4 of Philox 4x32-10 whose key is `seed`: the same
              numbers in every run, whatever the number of threads and the device
    Errors    ShapeError if the number of betas does not fit, or an extent is negative; DTypeError for random
              integers
    Source    TensorRT 8.5 IFillLayer, where each run draws other numbers
    """

    purpose = "Constants, fills and checks"
    dims = Input((DataType.INT32, DataType.INT64), optional=True, shape=True, doc="Dims of y.")
    alphas = Input(TYPES, optional=True, doc="Start, least value or mean.")
    betas = Input(TYPES, optional=True, doc="Steps, upper limit or deviation.")
    y = Output(TYPES)
    shape: Ints = field((), low=0, doc="Dims of y where there is no input `dims`.")
    operation: FillOperation = field(FillOperation.LINSPACE, doc="What y is filled with.")
    alpha: float = field(0.0, doc="Start of LINSPACE, least value of RANDOM_UNIFORM, mean of RANDOM_NORMAL.")
    beta: float = field(1.0, doc="Step of LINSPACE, upper limit of RANDOM_UNIFORM, deviation of RANDOM_NORMAL.")
    seed: int = field(0, doc="Key of the random numbers.")
    to_type: DataType = field(DataType.FLOAT, doc="Type of y.")

    type_rows = tuple(f"{dims} {WORDS} {WORDS} -> {WORDS}" for dims in ("i32|i32|i32|i32|i32", "i64|i64|i64|i64|i64"))

    def infer(self, dims, alphas, betas):
        extents = DimsExprs(self.shape if dims is None else elements_of(self.label, "dims", dims))
        for axis, extent in enumerate(extents):
            require_that(
                extent >= 0,
                f"{self.label} cannot give {extent} elements on axis {axis}",
                [("dims", extents), ("rule", "0 or more on each axis")],
                axis=axis,
            )
        is_line = self.operation == FillOperation.LINSPACE
        if not is_line and self.to_type not in FLOATS:
            raise DTypeError(
                f"{self.label} cannot give random numbers of type {self.to_type.name}",
                facts=[("to_type", self.to_type.name), ("rule", ", ".join(t.name for t in FLOATS))],
                hint="Convert them with a Cast layer.",
                got=self.to_type,
            )
        if is_line and betas is None and len(extents) != 1:
            raise ShapeError(
                f"{self.label} cannot fill {len(extents)} axes with one step",
                facts=[("dims", extents), ("rule", "1 axis, or an input betas with a step for each")],
                hint="layer.set_input(1, start) and layer.set_input(2, steps).",
                expected=1,
                got=len(extents),
            )
        to_type = self._type_of_y(None if alphas is None else alphas.dtype)
        for name, tensor, wanted in (("alphas", alphas, 1), ("betas", betas, len(extents) if is_line else 1)):
            if tensor is None:
                continue
            if tensor.dtype != to_type:
                raise DTypeError(
                    f"{self.label} cannot give {to_type.name} from {name} of {tensor.dtype.name}",
                    facts=[(name, tensor.dtype.name), ("to_type", to_type.name), ("rule", "one type")],
                    expected=to_type,
                    got=tensor.dtype,
                )
            require_that(
                tensor.dims.volume == wanted,
                f"{self.label} needs {wanted} {name}, got {tensor.dims.volume}",
                [(name, tensor.dims), ("dims", extents), ("operation", self.operation.name)],
                expected=wanted,
            )
        y = SymbolicTensor(extents, to_type)
        given = [tensor for tensor in (alphas, betas) if tensor is not None]
        if to_type in FLOATS:
            return y
        return follow(
            y, lambda *arrays: self._line(extents.known(), *self._given(to_type, alphas, betas, arrays)), *given
        )

    def _type_of_y(self, alphas):
        """The type of y, where `alphas` is that of the input or None."""
        is_integer = self.operation == FillOperation.LINSPACE and alphas is not None and alphas not in FLOATS
        return alphas if is_integer and self.to_type == DataType.FLOAT else self.to_type

    def _given(self, to_type, alphas, betas, arrays):
        """alpha and a list of betas: elements of the inputs that are there, in order in `arrays`, else the fields."""
        left = list(arrays)
        whole = float if to_type in FLOATS else int
        alpha = whole(self.alpha) if alphas is None else left.pop(0).reshape(-1)[0]
        return alpha, [whole(self.beta)] if betas is None else list(left.pop(0).reshape(-1))

    @staticmethod
    def _line(shape, alpha, betas, dtype=object):
        y = numpy.full(shape, alpha, dtype)
        for axis, (extent, beta) in enumerate(zip(shape, betas, strict=True)):
            if dtype is object:  # expressions
                steps = numpy.array([index * beta for index in range(extent)], object)
            else:
                steps = numpy.arange(extent).astype(dtype) * dtype(beta)
            y = y + steps.reshape([-1] + [1] * (len(shape) - axis - 1))
        return y

    def reference(self, dims, alphas, betas):
        shape = tuple(self.shape if dims is None else dims.tolist())
        to_type = self._type_of_y(from_numpy(alphas.dtype) if alphas is not None and alphas.dtype.kind == "i" else None)
        alpha, betas = self._given(to_type, alphas, betas, [array for array in (alphas, betas) if array is not None])
        if self.operation == FillOperation.LINSPACE:
            if to_type in FLOATS:
                return self._line(shape, float(alpha), betas, numpy.float64).astype(numpy.float32)
            with numpy.errstate(over="ignore"):
                return self._line(shape, alpha, betas, numpy.int64).astype(nptype(to_type))
        n = int(numpy.prod(shape, dtype=numpy.int64))
        words = philox(numpy.arange((n + 3) // 4), self.seed)
        is_uniform = self.operation == FillOperation.RANDOM_UNIFORM
        numbers = (uniform(words) if is_uniform else normal(words)).reshape(-1)[:n].reshape(shape)
        alpha, beta = float(alpha), float(betas[0])
        return (alpha + (beta - alpha if is_uniform else beta) * numbers).astype(numpy.float32)

    @staticmethod
    def onnx():
        return (onnx_op("Range", rewrite=range_), onnx_op("EyeLike", rewrite=eye_like))

    @classmethod
    def add(cls, network, shape, op, output_type=DataType.FLOAT):
        """A Fill layer. shape is ignored where input 0 is set; RANDOM_UNIFORM and RANDOM_NORMAL have a `seed`."""
        return network.add_plugin("Fill", [], {"shape": shape, "operation": op, "to_type": output_type})


def philox(blocks, seed):
    """Words 0..3 of the blocks with these numbers, [n, 4] uint32: Philox 4x32-10 with the seed as its key.

    Source: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    low = numpy.uint64(0xFFFFFFFF)
    half = numpy.uint64(32)
    blocks = numpy.asarray(blocks, numpy.uint64)
    c = [blocks & low, blocks >> half, numpy.zeros_like(blocks), numpy.zeros_like(blocks)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF
    for _ in range(10):
        first, second = c[0] * numpy.uint64(0xD2511F53), c[2] * numpy.uint64(0xCD9E8D57)
        c = [
            second >> half ^ c[1] ^ numpy.uint64(k0),
            second & low,
            first >> half ^ c[3] ^ numpy.uint64(k1),
            first & low,
        ]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return numpy.stack(c, -1).astype(numpy.uint32)


def uniform(words):
    """Numbers in [0, 1) of 24 bits."""
    return (words >> 8) * 2.0**-24


def normal(words):
    """Box and Muller: words 0 and 1 of a block give two numbers, 2 and 3 two more."""
    radius = numpy.sqrt(-2 * numpy.log((words[:, 0::2] + 0.5) * 2.0**-32))
    angle = 2 * numpy.pi * words[:, 1::2] * 2.0**-32
    return numpy.stack([radius * numpy.cos(angle), radius * numpy.sin(angle)], -1)


# ---- ONNX


def range_(node):
    """ONNX Range: numbers from start on, below the limit."""
    known = [node.constant(index) for index in range(3)]
    start, limit, delta = (node[index] for index in range(3))
    dtype, step = start.dtype, known[2]
    if step is None or float(step.reshape(())) == 0:
        raise node.fail("its delta must be known when the network is built, and not 0", delta=delta.name)
    if None not in [type(value) if value is not None else None for value in known]:
        first, last, step = (value.reshape(()).astype(object if dtype not in FLOATS else float)[()] for value in known)
        if dtype in FLOATS and not numpy.isfinite([first, last, step]).all():
            raise node.fail("its numbers are not finite", start=first, limit=last, delta=step)
        n = _count(node, dtype, first, last, step)
        if n >= 2**63:
            raise node.fail("it has more elements than 64 bits count", start=first, limit=last, delta=step)
        if n <= MOST_KNOWN:
            return (first + numpy.arange(n) * step).astype(nptype(dtype))
        inputs = [Counts(node, [n]).tensor(), start, reshaped(node, delta, (1,))]
        return node.add("Fill", inputs, operation="LINSPACE", to_type=dtype)
    if dtype in FLOATS:
        whole = _steps(node, start, limit, delta)
        if whole.symbolic.elements() is None:
            facts = {"start": start.name, "limit": limit.name, "delta": float(step.reshape(()))}
            raise node.fail("its limits must follow from constants and extents", **facts)
        n = Counts(node, reshaped(node, whole, (1,))).greatest(0)
    else:
        step = int(step.reshape(()))
        first, last = (_extent(node, x) for x in (start, limit))
        n = (last - first if step > 0 else first - last).ceil_div(abs(step)).greatest(0)
    inputs = [n.tensor(), start, reshaped(node, delta, (1,))]
    return node.add("Fill", inputs, operation="LINSPACE", to_type=dtype)


def _steps(node, start, limit, delta):
    """How many floats there are, not cut to 0: counted in float64 whatever the type, as ONNX Runtime does."""
    start, limit, delta = (as_float64(node, x) for x in (start, limit, delta))
    steps = combined(node, "DIV", combined(node, "SUB", limit, start), delta)
    return cast(node, applied(node, "CEIL", steps), DataType.INT64)


def _count(node, dtype, first, last, step):
    """The same of known ones, cut to 0."""
    if dtype not in FLOATS:
        return max(0, -((first - last) // step))
    if node.type_name(0) == "DOUBLE":  # whose digits the layers' contents have
        elements = _steps(node, *(node[index] for index in range(3))).symbolic.elements()
        if elements is not None:
            return max(0, elements[0].value)
    return max(0, math.ceil((last - first) / step))


def _extent(node, x):
    """An integer as a list of one, which may be an extent."""
    counts = Counts(node, reshaped(node, cast(node, x, DataType.INT64), (1,)))
    return counts if counts.known is not None else Counts(node, as_extents(node, counts.value))


def eye_like(node):
    """ONNX EyeLike: 1 on a diagonal, 0 elsewhere."""
    x, k = node[0], node.attr("k", 0)
    if rank_of(x) != 2:
        raise node.fail("its input is not a matrix", x=x.shape)
    dtype = node.carrier(node.attr_type("dtype", node.type_name(0)))
    off = off_diagonal(node, extents(node, x))
    if isinstance(off, numpy.ndarray):
        return (off == k).astype(nptype(dtype))
    return cast(node, combined(node, "EQUAL", off, k), dtype)

"""BitCast."""

from __future__ import annotations

from dovetail.core.errors import DTypeError
from dovetail.core.types import DataType, nptype
from dovetail.plugins import Input, Output, Plugin, field
from dovetail.plugins.onnx import converted_to, onnx_op

PAIRS = (
    (DataType.FLOAT, DataType.INT32),
    (DataType.INT32, DataType.FLOAT),
    (DataType.HALF, DataType.BF16),
    (DataType.BF16, DataType.HALF),
    (DataType.BOOL, DataType.UINT8),
    (DataType.INT8, DataType.UINT8),
    (DataType.UINT8, DataType.INT8),
)
# Floats come to a reference in float32 or wider; what they are in the network follows from what they shall be.
FLOATS_OF = {DataType.INT32: DataType.FLOAT, DataType.BF16: DataType.HALF, DataType.HALF: DataType.BF16}


class BitCast(Plugin):
    """y = the bits of x, taken for `to_type`

    Inputs    x  any dims; float32 | int32 | float16 | bfloat16 | bool | int8 | uint8
    Outputs   y  dims of x; of type `to_type`: int32 of float32 and back, bfloat16 of float16 and back, uint8 of int8
                 and back, uint8 of bool
    Numerics  none: bits are copied, those of nan too
    Errors    DTypeError for other pairs of types; bool of uint8 is none, since it holds 0 and 1 alone
    Source    ONNX BitCast
    """

    purpose = "Types and quantisation"
    x = Input(tuple(dict.fromkeys(of for of, _ in PAIRS)))
    y = Output(tuple(dict.fromkeys(to for _, to in PAIRS)))
    to_type: DataType = field(doc="Type of the output, as wide as that of the input.")

    type_rows = tuple(f"{of.short} -> {to.short}" for of, to in PAIRS)

    def infer(self, x):
        if (x.dtype, self.to_type) not in PAIRS:
            allowed = [to.name for of, to in PAIRS if of == x.dtype]
            raise DTypeError(
                f"{self.label} cannot take the bits of {x.dtype.name} for {self.to_type.name}",
                facts=[("x", x.dtype.name), ("to_type", self.to_type.name), ("rule", f"to {' or '.join(allowed)}")],
                field="to_type",
                got=self.to_type,
            )
        return x.like(dtype=self.to_type)

    def reference(self, x):
        if self.to_type in FLOATS_OF:
            x = x.astype(nptype(FLOATS_OF[self.to_type]))
        return x.view(nptype(self.to_type))

    @staticmethod
    def onnx():
        return (onnx_op("BitCast", 26, rewrite=bit_cast),)


# ---- ONNX


def bit_cast(node):
    """ONNX BitCast. Bits of integers are their low bits, so that wider types can carry them; floats must be exact."""
    x, of, to = node[0], node.type_name(0), node.attr_type("to")
    if of == to:
        return x
    dtypes = {dtype.name: dtype for dtype in DataType} | {"FLOAT16": DataType.HALF, "BFLOAT16": DataType.BF16}
    if (dtypes.get(of), dtypes.get(to)) in PAIRS:
        return node.add("BitCast", [x], to_type=dtypes[to])
    if "INT" in of and of.removeprefix("U") == to.removeprefix("U"):
        return converted_to(node, x, to)
    raise node.fail(f"the bits of {of} cannot be had as {to}: a network lacks one of them, or not all bits are legal")

"""Generated from the C interface by `dovetail stubs --tables`; no module at run time, see core.types."""

from dovetail.core.named import Named
from dovetail.core.types import _DataType, _FieldType, _TensorFormat

class DataType(_DataType):
    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5
    FP8 = 6
    BF16 = 7
    INT64 = 8

class TensorFormat(_TensorFormat):
    LINEAR = 0
    CHW2 = 1
    HWC8 = 2
    CHW4 = 3
    CHW16 = 4
    CHW32 = 5
    DHWC8 = 6
    CDHW32 = 7
    HWC = 8
    DLA_LINEAR = 9
    DLA_HWC4 = 10
    HWC16 = 11

class FieldType(_FieldType):
    FLOAT16 = 0
    FLOAT32 = 1
    FLOAT64 = 2
    INT8 = 3
    INT16 = 4
    INT32 = 5
    CHAR = 6
    DIMS = 7
    UNKNOWN = 8
    BF16 = 9
    INT64 = 10
    TENSOR = 64

class DimensionOperation(Named):
    SUM = 0
    PROD = 1
    MAX = 2
    MIN = 3
    SUB = 4
    EQUAL = 5
    LESS = 6
    FLOOR_DIV = 7
    CEIL_DIV = 8

class FloatOperation(Named):
    FLOAT_OF = 32
    FLOAT_SUM = 33
    FLOAT_SUB = 34
    FLOAT_PROD = 35
    FLOAT_DIV = 36
    FLOAT_ROUND = 37
    DOUBLE_OF = 38
    DOUBLE_SUM = 39
    DOUBLE_SUB = 40
    DOUBLE_PROD = 41
    DOUBLE_DIV = 42
    DOUBLE_ROUND = 43
    DOUBLE_OF_FLOAT = 44
    FLOAT_OF_DOUBLE = 45

class Rounding(Named):
    TO_ZERO = 0
    DOWN = 1
    UP = 2
    TO_EVEN = 3

"""Python's operators on extents, in terms of the nine operations of the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from dovetail.core.errors import ShapeError
from dovetail.core.types import DimensionOperation as Operation

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _not_an_extent(expression: str, instead: str) -> ShapeError:
    return ShapeError(
        f"an extent cannot be computed as {expression}",
        facts=[("reason", "extents are integers, and this one may be known at run time only")],
        hint=f"Use {instead}.",
        expression=expression,
    )


_operation: Callable[[Operation, Any, Any], Any] | None = None


def computes(function: _Function) -> _Function:
    """Decorates the function that combines operands; it is in the folding module, which imports this one."""
    global _operation
    _operation = function
    return function


class Operators:
    """`+ - * // %` and comparisons, computed by the function decorated with `computes`; `a <= b` is `1 - (b < a)`."""

    __slots__ = ()
    __array_ufunc__ = None  # numpy's integers leave the arithmetic to us
    __hash__: Any = None

    @staticmethod
    def _combine(op: Operation, a: Any, b: Any) -> Any:
        """`a op b`."""
        assert _operation is not None, "import dovetail.core.expr, which sets the operation"
        return _operation(op, a, b)

    def __add__(self, other: Any) -> Any:
        return self._combine(Operation.SUM, self, other)

    def __radd__(self, other: Any) -> Any:
        return self._combine(Operation.SUM, other, self)

    def __sub__(self, other: Any) -> Any:
        return self._combine(Operation.SUB, self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._combine(Operation.SUB, other, self)

    def __mul__(self, other: Any) -> Any:
        return self._combine(Operation.PROD, self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._combine(Operation.PROD, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return self._combine(Operation.FLOOR_DIV, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._combine(Operation.FLOOR_DIV, other, self)

    def __truediv__(self, other: Any) -> Any:
        raise _not_an_extent(f"{self} / {other}", f"{self} // {other}, or ceil_div({self}, {other}) to round up")

    def __rtruediv__(self, other: Any) -> Any:
        raise _not_an_extent(f"{other} / {self}", f"{other} // {self}, or ceil_div({other}, {self}) to round up")

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __pow__(self, other: Any) -> Any:
        if isinstance(other, int) and 1 <= other <= 8:
            return self if other == 1 else self * self ** (other - 1)
        raise _not_an_extent(f"{self} ** {other}", "a product, such as n * n")

    def __rpow__(self, other: Any) -> Any:
        raise _not_an_extent(f"{other} ** {self}", "the nine operations of IExprBuilder")

    def __float__(self) -> float:
        raise _not_an_extent(f"float({self})", "// and ceil_div; a factor such as 1.5 is n * 3 // 2")

    def __round__(self, digits: Any = None) -> Any:
        raise _not_an_extent(f"round({self})", "(n + 1) // 2 and the like")

    def __abs__(self) -> Any:
        return self._combine(Operation.MAX, self, -self)

    def __mod__(self, other: Any) -> Any:
        return self - other * (self // other)

    def __rmod__(self, other: Any) -> Any:
        return other - self * (other // self)

    def __neg__(self) -> Any:
        return self._combine(Operation.PROD, -1, self)

    def __lt__(self, other: Any) -> Any:
        return self._combine(Operation.LESS, self, other)

    def __gt__(self, other: Any) -> Any:
        return self._combine(Operation.LESS, other, self)

    def __le__(self, other: Any) -> Any:
        return 1 - self._combine(Operation.LESS, other, self)

    def __ge__(self, other: Any) -> Any:
        return 1 - self._combine(Operation.LESS, self, other)

    def __eq__(self, other: Any) -> Any:
        return self._combine(Operation.EQUAL, self, other) if hasattr(other, "__index__") else NotImplemented

    def __ne__(self, other: Any) -> Any:
        return 1 - self._combine(Operation.EQUAL, self, other) if hasattr(other, "__index__") else NotImplemented

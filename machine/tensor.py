"""Tensors of a network under construction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dovetail.core.arguments import whole
from dovetail.core.contract import Port, SymbolicTensor
from dovetail.core.errors import DefinitionError, FieldValueError
from dovetail.core.expr import DimsExprs, Expr, input_element
from dovetail.core.named import member_of
from dovetail.core.strict import Strict
from dovetail.core.types import DataType, Dims, TensorFormat, TensorLocation
from dovetail.machine.names import checked_name
from dovetail.machine.settings import Setting, integer, member, yes_or_no

if TYPE_CHECKING:
    from dovetail.machine.layer import ILayer
    from dovetail.machine.network import INetworkDefinition


MAX_SHAPE_ELEMENTS = 64  # of a shape input


def _is_followed(tensor: ITensor) -> bool:
    """True if its contents are known as expressions over extents."""
    symbolic = tensor.symbolic
    return symbolic.values is not None or symbolic.fractions is not None


def _range(what: str, value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    try:
        low, high = (float(side) for side in value)
    except (TypeError, ValueError):
        low = high = math.nan
    if not low < high < math.inf or low == -math.inf:
        raise FieldValueError(f"{what} cannot be {value!r}", facts=[("allowed", "(min, max), min < max")], got=value)
    return low, high


_BATCH = "every network has an explicit batch."


class ITensor(Strict):
    """A tensor of a network. Extents in `shape` are -1 if known only at run time."""

    allowed_formats = Setting(1 << int(TensorFormat.LINEAR), integer(1, (1 << len(TensorFormat)) - 1))
    dynamic_range = Setting(None, _range)
    location = Setting(TensorLocation.DEVICE, member(TensorLocation))  # HOST: it lies in host memory in a GPU's engine
    broadcast_across_batch = Setting(False, yes_or_no, _BATCH)

    def __init__(self, network: INetworkDefinition, name: str, producer: ILayer | None, index: int) -> None:
        self._network = network
        self._producer = producer
        self._index = index
        self._name = name
        self._dtype: DataType | None = None  # of a network input; or asked for by set_output_type
        self._dims: DimsExprs | None = None  # of a network input
        self._dimension_names: dict[int, str] = {}

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._network._rename(self, name)

    @property
    def producer(self) -> ILayer | None:
        """The layer that makes it; None for an input of the network."""
        return self._producer

    @property
    def dimension_names(self) -> Mapping[int, str]:
        """Names of its dimensions, by axis."""
        return self._dimension_names

    @property
    def symbolic(self) -> SymbolicTensor:
        """Dims as expressions over the network's inputs, and the type. Raises the errors of inference."""
        if self._producer is None:
            assert self._dims is not None and self._dtype is not None
            return SymbolicTensor(self._dims, self._dtype, self._name, values=self._elements())
        return self._producer.infer()[self._index]

    def _elements(self) -> tuple[Expr, ...] | None:
        """The contents of a network input that may be a shape input, known when it is bound."""
        shape = self.declared_shape
        if self._dtype not in (DataType.INT32, DataType.INT64) or len(shape) > 1 or -1 in shape:
            return None
        n_elements = shape[0] if shape else 1
        if not 1 <= n_elements <= MAX_SHAPE_ELEMENTS:
            return None
        return tuple(input_element(self._index, k, f"{self._name}[{k}]") for k in range(n_elements))

    @property
    def shape(self) -> Dims:
        return Dims(-1 if dim.value is None else dim.value for dim in self.symbolic.dims)

    @shape.setter
    def shape(self, shape: Sequence[int]) -> None:
        self._network._set_input_shape(self, shape)

    @property
    def dtype(self) -> DataType:
        return self.symbolic.dtype

    @dtype.setter
    def dtype(self, dtype: DataType) -> None:
        if self._producer is not None:
            self._producer.set_output_type(self._index, dtype)
            return
        self._dtype = member_of(DataType, dtype, f"the type of tensor '{self.name}'")
        self._network._invalidate_from(self)

    @property
    def is_network_input(self) -> bool:
        return self._producer is None

    @property
    def is_network_output(self) -> bool:
        return self in self._network._outputs

    @property
    def is_shape_tensor(self) -> bool:
        """True if extents depend on its contents, directly or through other layers."""
        return self in self._network.shape_outputs or any(
            port.shape or any(_is_followed(out) and out.is_shape_tensor for out in layer._outputs)
            for layer, port in self._uses()
        )

    @property
    def is_execution_tensor(self) -> bool:
        """True if a layer uses it as data, or it is an output."""
        uses = self._uses()
        if self in self._network._outputs and self not in self._network.shape_outputs:
            return True
        return not self.is_shape_tensor or any(
            not port.shape and any(out.is_execution_tensor for out in layer._outputs) for layer, port in uses
        )

    def _uses(self) -> list[tuple[ILayer, Port]]:
        return [
            (layer, port)
            for layer in self._network._consumers_of(self)
            for port, given in layer.ports_in_use()
            if given is self
        ]

    def set_dimension_name(self, index: int, name: str) -> None:
        """Name an extent of a network input. Extents of one name must be equal at run time; errors use the name."""
        if self._producer is not None:
            raise DefinitionError(
                f"dimension {index} of tensor '{self.name}' cannot be named",
                hint="Only dimensions of network inputs have names; others follow from them.",
            )
        index = whole(f"the dimension of tensor '{self.name}' to be named", index)
        self._dimension_names[index] = checked_name("a dimension", name)
        self._network._name_extents(self)

    def get_dimension_name(self, index: int) -> str:
        return self._dimension_names.get(whole("the index of a dimension", index), "")

    def set_dynamic_range(self, min: float, max: float) -> bool:
        """Symmetric range of the tensor for implicit quantisation."""
        self.dynamic_range = (min, max)
        return True

    def reset_dynamic_range(self) -> None:
        self.dynamic_range = None

    def __repr__(self) -> str:
        try:
            symbolic = self.symbolic
            return f"<ITensor '{self.name}' {symbolic.dtype.name} [{', '.join(map(str, symbolic.dims))}]>"
        except (DefinitionError, RuntimeError) as error:
            return f"<ITensor '{self.name}', {type(error).__name__}>"

    declared_shape: tuple[int, ...] = ()

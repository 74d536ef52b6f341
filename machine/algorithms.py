"""TensorRT's view of candidates: what `config.algorithm_selector` chooses among, and what it is told of the choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dovetail.core.arguments import whole
from dovetail.core.errors import DefinitionError
from dovetail.core.strict import Strict
from dovetail.core.types import DataType, Dims, TensorFormat

if TYPE_CHECKING:
    from dovetail.core.negotiation import Place


_CHANNELS_LAST = 2  # TensorFormat.kind


class IAlgorithmVariant(Strict):
    """Which algorithm it is: the same numbers in every build of the same version of the implementation.

    Args:
        implementation: number of the implementation; `name` has it in words.
        tactic: number of the row, and of how many layers it computes.
        name: "Convolution@1#cpu direct_avx2", and how many layers behind the first are computed with it.
    """

    def __init__(self, implementation: int, tactic: int, name: str) -> None:
        self._implementation, self._tactic, self._name = implementation, tactic, name

    @property
    def implementation(self) -> int:
        return self._implementation

    @property
    def tactic(self) -> int:
        return self._tactic

    @property
    def name(self) -> str:
        return self._name

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IAlgorithmVariant):
            return NotImplemented
        return (self.implementation, self.tactic) == (other.implementation, other.tactic)

    def __hash__(self) -> int:
        return hash((self._implementation, self._tactic))

    def __repr__(self) -> str:
        return f"<IAlgorithmVariant {self._implementation:#x}:{self._tactic:#x} {self._name}>"


class IAlgorithmIOInfo(Strict):
    """How an algorithm takes an input, or leaves an output."""

    def __init__(self, place: Place, extents: Sequence[int]) -> None:
        self._place, self._extents = place, tuple(extents)

    @property
    def tensor_format(self) -> TensorFormat:
        return self._place.format

    @property
    def dtype(self) -> DataType:
        return self._place.dtype

    @property
    def vectorized_dim(self) -> int:
        """The axis whose elements lie side by side in vectors; -1 in a linear format."""
        axis = self._place.format.channel_axis(len(self._extents))
        return -1 if axis is None or self.components_per_element == 1 else axis

    @property
    def components_per_element(self) -> int:
        """Elements of a vector; 1 in a linear format."""
        return max(self._place.format.lanes, 1)

    @property
    def strides(self) -> Dims:
        """Of each axis, at the opt extents of the first profile: in elements, in vectors where channels are blocked."""
        extents, lanes = list(self._extents), self.components_per_element
        axis = self._place.format.channel_axis(len(extents))
        order = list(range(len(extents)))
        if axis is not None:
            extents[axis] = -(-extents[axis] // lanes)
            if self._place.format.kind == _CHANNELS_LAST:
                extents[axis] *= lanes
                order.append(order.pop(axis))
        strides, step = [0] * len(extents), 1
        for index in reversed(order):
            strides[index], step = step, step * extents[index]
        return Dims(strides)

    def __repr__(self) -> str:
        return f"<IAlgorithmIOInfo {self.dtype.name} {self.tensor_format.name} strides {tuple(self.strides)}>"


class IAlgorithm(Strict):
    """One way to compute a layer, or a group of layers."""

    def __init__(
        self, variant: IAlgorithmVariant, tensors: Sequence[IAlgorithmIOInfo | None], ns: float, workspace_bytes: int
    ) -> None:
        self._variant, self._tensors = variant, tuple(tensors)
        self._ns, self._workspace_bytes = ns, workspace_bytes

    @property
    def algorithm_variant(self) -> IAlgorithmVariant:
        return self._variant

    @property
    def timing_msec(self) -> float:
        """As the builder measured it; 0 while algorithms are selected, and where nothing is measured."""
        return 0.0 if self._ns != self._ns else self._ns / 1e6

    @property
    def workspace_size(self) -> int:
        """Scratch memory in bytes."""
        return self._workspace_bytes

    def get_algorithm_io_info(self, index: int) -> IAlgorithmIOInfo | None:
        """Of an input, or of an output, which are counted after the inputs; None for an input that it does not take.

        Raises:
            DefinitionError: there is no such input or output.
        """
        return self._tensors[_index("get_algorithm_io_info", index, len(self._tensors))]

    def __repr__(self) -> str:
        return f"<IAlgorithm {self._variant.name}>"


class IAlgorithmContext(Strict):
    """The layer, or the group of layers, that algorithms are chosen for."""

    def __init__(self, name: str, shapes: Sequence[Sequence[Dims]], n_inputs: int) -> None:
        self._name, self._shapes, self._n_inputs = name, tuple(shapes), n_inputs

    @property
    def name(self) -> str:
        """The name of the layer; of a group that of all layers, "conv1 + relu1"."""
        return self._name

    @property
    def num_inputs(self) -> int:
        return self._n_inputs

    @property
    def num_outputs(self) -> int:
        return len(self._shapes) - self._n_inputs

    def get_shape(self, index: int) -> list[Dims]:
        """The least, likeliest and largest extents of an input, or of an output, which are counted after the inputs.

        Raises:
            DefinitionError: there is no such input or output.
        """
        return list(self._shapes[_index("get_shape", index, len(self._shapes))])

    def __repr__(self) -> str:
        return f"<IAlgorithmContext '{self._name}': {self.num_inputs} inputs, {self.num_outputs} outputs>"


def _index(method: str, index: Any, number: int) -> int:
    found = whole(f"the index of {method}", index)
    if not 0 <= found < number:
        raise DefinitionError(f"{method} takes an index from 0 to {number - 1}, got {found}", got=found)
    return found


class IAlgorithmSelector:
    """Derive from it and set `config.algorithm_selector`, to choose among the algorithms of layers and to record them.

    `select_algorithms` is called for each layer or group before anything is timed: the builder times what it returns,
    and takes what is best for the network as a whole. `report_algorithms` is called once, with what was taken.
    """

    def select_algorithms(self, context: IAlgorithmContext, choices: list[IAlgorithm]) -> list[int]:
        """Indices of the choices that may be taken; none: the builder may take any of them."""
        raise NotImplementedError(f"{type(self).__name__} does not have select_algorithms")

    def report_algorithms(self, contexts: list[IAlgorithmContext], choices: list[IAlgorithm]) -> None:
        """What was taken: a choice for each context, in the order of the layers."""

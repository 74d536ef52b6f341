"""Inputs and outputs of an engine: their properties, and lookup by name, index and binding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dovetail.core.arguments import whole
from dovetail.core.errors import BindingError, DTypeError
from dovetail.core.types import DataType, DeviceType, TensorFormat, nptype, storage_nptype


class IOTensor:
    """One input or output. Extents in `dims` are -1 if known only at run time."""

    __slots__ = (
        "dims", "dtype", "format", "index", "is_data", "is_input", "is_linear", "is_shape", "is_sized_late", "name",
        "numpy_type", "on_gpu", "rank",
    )  # fmt: skip

    def __init__(self, index: int, facts: Mapping[str, Any], is_input: bool) -> None:
        """`facts`: its properties from the native engine. `index` counts the inputs first, then the outputs."""
        self.index, self.is_input = index, is_input
        self.name: str = facts["name"]
        self.dims: tuple[int, ...] = facts["dims"]
        self.rank = len(self.dims)
        self.dtype, self.format = DataType(facts["dtype"]), TensorFormat(facts["format"])
        self.is_linear = self.format == TensorFormat.LINEAR
        self.on_gpu: bool = facts["device"] == DeviceType.GPU.dlpack_code
        self.is_shape: bool = facts["is_shape"]  # an input whose contents are extents
        self.is_data: bool = facts["is_data"]  # a step reads it
        self.is_sized_late: bool = facts["is_sized_late"]  # an output whose extents only an execution decides
        try:
            self.numpy_type: Any = nptype(self.dtype)
        except DTypeError:
            self.numpy_type = storage_nptype(self.dtype)


class IOTensors:
    """All inputs and outputs of an engine, the inputs first. Each profile has bindings of its own, as in TensorRT."""

    def __init__(self, engine: Any) -> None:
        """`engine`: the native one."""
        inputs, outputs = engine.inputs, engine.outputs
        self.n_inputs, self.n_profiles = len(inputs), engine.n_profiles
        self.all = tuple(
            IOTensor(index, facts, index < self.n_inputs) for index, facts in enumerate([*inputs, *outputs])
        )
        self.inputs, self.outputs = self.all[: self.n_inputs], self.all[self.n_inputs :]
        self._by_name = {tensor.name: tensor for tensor in self.all}

    def __len__(self) -> int:
        return len(self.all)

    def __iter__(self) -> Iterator[IOTensor]:
        return iter(self.all)

    # ---- by name
    def find(self, name: str) -> IOTensor | None:
        return self._by_name.get(name)

    def named(self, name: Any) -> IOTensor:
        """Raises BindingError, with the names that exist, if there is none of that name."""
        try:
            return self._by_name[name]
        except (KeyError, TypeError):  # TypeError: not hashable
            shown = f"'{name}'" if isinstance(name, str) else f"{name!r:.200}"
            raise BindingError(
                f"the engine has no input or output {shown}",
                facts=[("it has", ", ".join(self._by_name))],
                hint="" if isinstance(name, str) else "Tensors are named by a str, as engine.get_tensor_name(i) gives.",
                got=name,
            ) from None

    def input(self, name: str) -> IOTensor:
        """Raises BindingError if it is an output, or does not exist."""
        tensor = self.named(name)
        if not tensor.is_input:
            raise BindingError(f"'{name}' is an output: its shape follows from the inputs")
        return tensor

    def output(self, name: str) -> IOTensor:
        """Raises BindingError if it is an input, or does not exist."""
        tensor = self.named(name)
        if tensor.is_input:
            raise BindingError(f"'{name}' is an input: only outputs have allocators")
        return tensor

    def shape_input(self, name: str) -> IOTensor:
        """Raises BindingError if no extent depends on the contents of the tensor."""
        tensor = self.named(name)
        if not tensor.is_shape:
            raise BindingError(f"'{name}' is not a shape input: no extent depends on its contents", got=name)
        return tensor

    # ---- by binding
    @property
    def n_bindings(self) -> int:
        return len(self.all) * self.n_profiles

    def binding(self, index: int | str) -> IOTensor:
        """By index of a binding, or by name. Raises BindingError."""
        if isinstance(index, str):
            return self.named(index)
        if not 0 <= whole("a binding", index, "Give its index, or its name.") < self.n_bindings:
            last = self.n_bindings - 1
            raise BindingError(f"the engine has no binding {index}", facts=[("bindings", f"0..{last}")])
        return self.all[index % len(self.all)]

    # ---- arrays
    def inputs_by_name(self, given: Any) -> Mapping[str, Any]:
        """Arrays by input name, from a mapping, a list in the engine's order, or one array if there is one input.

        Raises:
            BindingError: an input is missing or unknown, or their number differs.
        """
        if not isinstance(given, Mapping):
            return self._in_order(given)
        wanted = [tensor.name for tensor in self.inputs]
        missing = [name for name in wanted if name not in given]
        unknown = [name for name in given if name not in wanted]
        if missing or unknown:
            facts = [("missing", ", ".join(missing))] if missing else []
            facts += [("unknown", ", ".join(map(str, unknown)))] if unknown else []
            raise BindingError(
                "the inputs given are not those of the engine", facts=[*facts, ("inputs", ", ".join(wanted))]
            )
        return given

    def _in_order(self, given: Any) -> Mapping[str, Any]:
        names = [tensor.name for tensor in self.inputs]
        arrays = given if isinstance(given, (list, tuple)) else [given]
        if len(arrays) != len(names):
            what = f"{len(arrays)} arrays" if isinstance(given, (list, tuple)) else f"one {type(given).__name__}"
            count = "one input" if len(names) == 1 else f"{len(names)} inputs"
            raise BindingError(
                f"run cannot match {what} with the {count} of the engine",
                facts=[("inputs", ", ".join(names) or "none")],
                hint="Numbers in a list are one array: run(np.asarray(values))."
                if len(names) == 1
                else "Pass one array for each input, in this order, or a dict of arrays by name.",
                expected=len(names),
                got=len(arrays),
            )
        return dict(zip(names, arrays, strict=True))

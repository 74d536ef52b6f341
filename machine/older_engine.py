"""The part of `ICudaEngine` for TensorRT's scripts: bindings by index, constant properties, later names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dovetail.core.arguments import text, whole
from dovetail.core.types import DataType, Dims, TensorFormat, TensorIOMode, TensorLocation
from dovetail.machine.enums import EngineCapability, HardwareCompatibilityLevel, ProfilingVerbosity
from dovetail.machine.io_tensors import IOTensors
from dovetail.machine.logger import Reporting


class OlderEngine(Reporting):
    """Access by binding index; each profile has its own bindings, as in TensorRT."""

    _tensors: IOTensors

    # ---- of the engine, whose class is in engine.py
    def get_tensor_shape(self, name: str) -> Dims:
        raise NotImplementedError

    def get_tensor_dtype(self, name: str) -> DataType:
        raise NotImplementedError

    def get_tensor_format(self, name: str) -> TensorFormat:
        raise NotImplementedError

    def get_tensor_format_desc(self, name: str) -> str:
        raise NotImplementedError

    def get_tensor_vectorized_dim(self, name: str) -> int:
        raise NotImplementedError

    def get_tensor_components_per_element(self, name: str) -> int:
        raise NotImplementedError

    def get_tensor_bytes_per_component(self, name: str) -> int:
        raise NotImplementedError

    def get_tensor_location(self, name: str) -> TensorLocation:
        raise NotImplementedError

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        raise NotImplementedError

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Dims]:
        raise NotImplementedError

    def get_tensor_profile_values(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        raise NotImplementedError

    def get_device_memory_size_for_profile(self, profile_index: int) -> int:
        raise NotImplementedError

    @property
    def device_memory_size(self) -> int:
        raise NotImplementedError

    # ---- by binding
    @property
    def num_bindings(self) -> int:
        return self._tensors.n_bindings

    def _name(self, binding: int | str) -> str:
        return self._tensors.binding(binding).name

    def get_binding_name(self, index: int) -> str:
        name = self._name(whole("the index of a binding", index))
        profile = index // len(self._tensors)
        return f"{name} [profile {profile}]" if profile else name

    def get_binding_index(self, name: str) -> int:
        """Index of a binding; -1 if there is none of that name."""
        tensor = self._tensors.find(text("the name of a binding", name))
        return -1 if tensor is None else tensor.index

    def get_binding_shape(self, index: int | str) -> Dims:
        return self.get_tensor_shape(self._name(index))

    def get_binding_dtype(self, index: int | str) -> DataType:
        return self.get_tensor_dtype(self._name(index))

    def get_binding_format(self, index: int | str) -> TensorFormat:
        return self.get_tensor_format(self._name(index))

    def get_binding_format_desc(self, index: int | str) -> str:
        return self.get_tensor_format_desc(self._name(index))

    def get_binding_vectorized_dim(self, index: int | str) -> int:
        return self.get_tensor_vectorized_dim(self._name(index))

    def get_binding_components_per_element(self, index: int | str) -> int:
        return self.get_tensor_components_per_element(self._name(index))

    def get_binding_bytes_per_component(self, index: int | str) -> int:
        return self.get_tensor_bytes_per_component(self._name(index))

    def get_location(self, index: int | str) -> TensorLocation:
        return self.get_tensor_location(self._name(index))

    def binding_is_input(self, index: int | str) -> bool:
        return self.get_tensor_mode(self._name(index)) == TensorIOMode.INPUT

    def get_profile_shape(self, profile_index: int, binding: int | str) -> list[Dims]:
        return self.get_tensor_profile_shape(self._name(binding), profile_index)

    def get_profile_shape_input(self, profile_index: int, binding: int | str) -> list[tuple[int, ...]]:
        return self.get_tensor_profile_values(self._name(binding), profile_index)

    def is_shape_binding(self, binding: int | str) -> bool:
        return self._tensors.binding(binding).is_shape

    def is_execution_binding(self, binding: int | str) -> bool:
        """True if a layer uses it as data. A shape input may be both."""
        tensor = self._tensors.binding(binding)
        return tensor.is_data or not tensor.is_shape

    def __len__(self) -> int:
        return self.num_bindings

    def __getitem__(self, index: int | str) -> Any:
        """Name of a binding by index, or index by name."""
        return self.get_binding_index(index) if isinstance(index, str) else self.get_binding_name(index)

    def __iter__(self) -> Iterator[str]:
        return (self.get_binding_name(index) for index in range(self.num_bindings))

    # ---- constant properties
    @property
    def max_batch_size(self) -> int:
        return 1

    @property
    def has_implicit_batch_dimension(self) -> bool:
        return False

    @property
    def refittable(self) -> bool:
        return False

    @property
    def profiling_verbosity(self) -> ProfilingVerbosity:
        """Always DETAILED: the report is part of the plan."""
        return ProfilingVerbosity.DETAILED

    @property
    def engine_capability(self) -> EngineCapability:
        return EngineCapability.STANDARD

    @property
    def hardware_compatibility_level(self) -> HardwareCompatibilityLevel:
        return HardwareCompatibilityLevel.NONE

    @property
    def tactic_sources(self) -> int:
        """0: implementations come from plugins, which `report()` lists."""
        return 0

    @property
    def num_aux_streams(self) -> int:
        return 0

    # ---- later names
    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int:
        return self.get_device_memory_size_for_profile(profile_index)

    @property
    def device_memory_size_v2(self) -> int:
        return self.device_memory_size

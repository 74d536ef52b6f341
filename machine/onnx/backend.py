"""The backend interface of the package onnx, through which its own test suite runs models here.

import dovetail.machine.onnx.backend as backend
backend.prepare(model).run([x])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.backend.base import Backend, BackendRep

from dovetail.core.errors import BindingError, DovetailError
from dovetail.core.failures import raise_on_error
from dovetail.core.types import DeviceType, nptype
from dovetail.machine.builder import Builder
from dovetail.machine.devices import gpus
from dovetail.machine.logger import ILogger
from dovetail.machine.onnx.parser import OnnxParser
from dovetail.machine.onnx.types import ElementTypes, carried, name_of
from dovetail.machine.runtime import Runtime

MAX_KNOWN = 64  # elements of an input that is made a constant
_DEVICES = {"CPU": DeviceType.CPU, "CUDA": DeviceType.GPU}


class ModelError(DovetailError):
    """A model that cannot be imported; the message has all errors of the parser."""


class DovetailRep(BackendRep):
    """A model that is ready to run. An engine is built for each set of input shapes.

    Where a network must know what a model takes as inputs, such as axes, engines are built for their contents too.
    """

    def __init__(self, model: bytes, device: DeviceType) -> None:
        self._model, self._device = onnx.load_model_from_string(model), device
        initialized = {tensor.name for tensor in self._model.graph.initializer}
        self._inputs = [entry.name for entry in self._model.graph.input if entry.name not in initialized]
        self._declared = _declared_types(self._model)
        self._known: dict[tuple, tuple[int, ...]] = {}  # by shapes: the inputs whose contents the engine was built for
        self._contexts: dict[tuple, Any] = {}
        self._whole: tuple[Builder, Any] | None = None  # the network without contents of inputs, which builds share
        try:
            self._parse({})
        except ModelError:
            if not any(map(_may_be_small, self._model.graph.input)):
                raise  # else it is known when the inputs are

    def _parse(self, known: Mapping[str, np.ndarray]) -> tuple[Builder, Any]:
        """The network of the model, with the contents of some inputs as constants."""
        if not known and self._whole:
            return self._whole
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        left = [entry for entry in model.graph.input if entry.name not in known]
        del model.graph.input[:]
        model.graph.input.extend(left)
        model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in known.items())
        builder = Builder(ILogger())
        network = builder.create_network()
        parser = OnnxParser(network, ILogger())
        if not parser.parse(model.SerializeToString()):
            errors = [str(parser.get_error(index)) for index in range(parser.num_errors)]
            raise ModelError("the model cannot be imported", facts=[("error", text) for text in errors])
        if not known:
            self._whole = builder, network
        return builder, network

    def run(self, inputs: Any, **kwargs: Any) -> tuple[np.ndarray, ...]:
        """Outputs in the model's order. `inputs` in the model's order, initializers left out."""
        arrays = [np.asarray(value) for value in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
        if len(arrays) != len(self._inputs):
            text = f"the model takes {len(self._inputs)} inputs, not {len(arrays)}"
            raise BindingError(text, facts=[("inputs", ", ".join(self._inputs))])
        shapes = tuple((array.shape, array.dtype.str) for array in arrays)
        context = self._contexts.get(self._key(shapes, arrays)) or self._build(shapes, arrays)
        known = self._known[shapes]
        feeds = {
            name: array
            for index, (name, array) in enumerate(zip(self._inputs, arrays, strict=True))
            if index not in known
        }
        results = context.run({name: _as_carried(array) for name, array in feeds.items()})
        return tuple(
            array if dtype is None else carried(array, dtype)
            for array, dtype in zip(map(np.asarray, results.values()), self._declared, strict=True)
        )

    def _key(self, shapes: tuple, arrays: Sequence[np.ndarray]) -> tuple:
        return shapes, *(arrays[index].tobytes() for index in self._known.get(shapes, ()))

    def _build(self, shapes: tuple, arrays: Sequence[np.ndarray]) -> Any:
        """A context for these shapes, with as few inputs made constants as does it."""
        small = [index for index, array in enumerate(arrays) if array.ndim <= 1 and array.size <= MAX_KNOWN]
        integers = [index for index in small if arrays[index].dtype.kind in "iub"]
        failure: DovetailError | None = None
        for known in dict.fromkeys([(), tuple(integers), tuple(small)]):
            try:
                context = self._engine(arrays, known).create_execution_context()
            except DovetailError as error:
                failure = failure or error
                continue
            self._known[shapes] = known
            self._contexts[self._key(shapes, arrays)] = context
            return context
        assert failure is not None
        raise failure

    def _engine(self, arrays: Sequence[np.ndarray], known: Sequence[int]) -> Any:
        builder, network = self._parse({self._inputs[index]: arrays[index] for index in known})
        config, profile = builder.create_builder_config(), builder.create_optimization_profile()
        config.default_device_type = self._device
        config.builder_optimization_level = 0
        given = dict(zip(self._inputs, arrays, strict=True))
        for index in range(network.num_inputs):
            tensor = network.get_input(index)
            if -1 in tensor.shape:
                shape = given[tensor.name].shape
                profile.set_shape(tensor.name, shape, shape, shape)
        config.add_optimization_profile(profile)
        with raise_on_error(True):
            plan = builder.build_serialized_network(network, config)
            return Runtime(builder.logger).deserialize_cuda_engine(plan)


def _may_be_small(entry: Any) -> bool:
    """True if an input is so small that its contents may be made a constant."""
    return len(entry.type.tensor_type.shape.dim) <= 1


def _declared_types(model: Any) -> list[np.dtype | None]:
    """The types that a model declares for its outputs; None if it does not. The network may use wider types."""
    elem_types = [entry.type.tensor_type.elem_type for entry in model.graph.output]
    return [onnx.helper.tensor_dtype_to_np_dtype(elem_type) if elem_type else None for elem_type in elem_types]


def _as_carried(array: np.ndarray) -> np.ndarray:
    """An input in the network's type that represents its type."""
    types = ElementTypes(lambda text: None)
    return carried(array, nptype(types.carrier(name_of(onnx.helper.np_dtype_to_tensor_dtype(array.dtype)))))


class DovetailBackend(Backend):
    """See `onnx.backend.base.Backend`."""

    @classmethod
    def prepare(cls, model: Any, device: str = "CPU", **kwargs: Any) -> DovetailRep:
        return DovetailRep(model.SerializeToString(), _DEVICES[device])

    @classmethod
    def run_model(cls, model: Any, inputs: Any, device: str = "CPU", **kwargs: Any) -> tuple[np.ndarray, ...]:
        return cls.prepare(model, device).run(inputs)

    @classmethod
    def run_node(
        cls, node: Any, inputs: Any, device: str = "CPU", outputs_info: Any = None, **kwargs: Any
    ) -> tuple[np.ndarray, ...]:
        """One node on arrays, at the newest opset unless `opset_version` says another."""
        from onnx import defs, helper

        arrays = [np.asarray(value) for value in inputs]
        names = [name for name in node.input if name]
        given = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in zip(names, arrays, strict=True)
        ]
        made = [helper.make_tensor_value_info(name, 0, None) for name in node.output if name]
        opset = helper.make_opsetid("", kwargs.get("opset_version", defs.onnx_opset_version()))
        model = helper.make_model(helper.make_graph([node], "node", given, made), opset_imports=[opset])
        return cls.run_model(model, arrays, device)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device == "CPU" or (device == "CUDA" and bool(gpus()[0]))


prepare = DovetailBackend.prepare
run_model = DovetailBackend.run_model
run_node = DovetailBackend.run_node
supports_device = DovetailBackend.supports_device

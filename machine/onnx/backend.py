"""The backend interface of the package onnx, by which its own test-suite runs models here.

import dovetail.machine.onnx.backend as backend
backend.prepare(model).run([x])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx.backend.base import Backend, BackendRep

from dovetail.core.errors import BindingError, DovetailError
from dovetail.core.types import DeviceType
from dovetail.machine.builder import Builder
from dovetail.machine.devices import gpus
from dovetail.machine.engine import Runtime
from dovetail.machine.logger import ILogger
from dovetail.machine.onnx.parser import OnnxParser

_DEVICES = {"CPU": DeviceType.CPU, "CUDA": DeviceType.GPU}


class ModelError(DovetailError):
    """A model that cannot be imported; every error of the parser is in the text."""


class DovetailRep(BackendRep):
    """A model that is ready to run. Engines are built for the shapes that come, one a set of shapes."""

    def __init__(self, model: bytes, device: DeviceType) -> None:
        self._model, self._device = model, device
        self._contexts: dict[tuple, Any] = {}
        self._parse()  # what cannot be imported is an error now

    def _parse(self) -> tuple[Builder, Any]:
        builder = Builder(ILogger())
        network = builder.create_network()
        parser = OnnxParser(network, ILogger())
        if not parser.parse(self._model):
            errors = [str(parser.get_error(index)) for index in range(parser.num_errors)]
            raise ModelError("the model cannot be imported", facts=[("error", text) for text in errors])
        return builder, network

    def run(self, inputs: Any, **kwargs: Any) -> tuple[np.ndarray, ...]:
        """Outputs in the model's order. `inputs` in the model's order, initializers left out."""
        arrays = [np.asarray(value) for value in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
        key = tuple((array.shape, array.dtype.str) for array in arrays)
        if key not in self._contexts:
            self._contexts[key] = self._build(arrays)
        context, names = self._contexts[key]
        results = context.run(dict(zip(names, arrays, strict=True)))
        return tuple(np.asarray(value) for value in results.values())

    def _build(self, arrays: Sequence[np.ndarray]) -> tuple[Any, list[str]]:
        builder, network = self._parse()
        names = [network.get_input(index).name for index in range(network.num_inputs)]
        if len(names) != len(arrays):
            text = f"the model takes {len(names)} inputs, not {len(arrays)}"
            raise BindingError(text, facts=[("inputs", ", ".join(names))])
        config, profile = builder.create_builder_config(), builder.create_optimization_profile()
        config.default_device_type = self._device
        config.builder_optimization_level = 0
        for index, array in enumerate(arrays):
            if -1 in network.get_input(index).shape:
                profile.set_shape(names[index], array.shape, array.shape, array.shape)
        config.add_optimization_profile(profile)
        plan = builder.build_serialized_network(network, config)
        engine = Runtime(builder.logger).deserialize_cuda_engine(plan)
        return engine.create_execution_context(), names


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
        made = [helper.make_tensor_value_info(name, 1, None) for name in node.output if name]
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

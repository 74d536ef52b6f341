"""The builder: a network goes in, the passes of pipeline.py turn it into a plan."""

from __future__ import annotations

from typing import Any

from dovetail import _native
from dovetail.core.contract import Lookup
from dovetail.core.errors import DefinitionError, DovetailError, DTypeError
from dovetail.core.failures import returns_on_error
from dovetail.core.types import DeviceType
from dovetail.machine.builder.build import build_of
from dovetail.machine.builder.older import OlderBuilder
from dovetail.machine.builder.pipeline import build, run, with_plugins
from dovetail.machine.builder.without_effect import without_effect
from dovetail.machine.config import IBuilderConfig, IOptimizationProfile
from dovetail.machine.devices import default_device, this_target
from dovetail.machine.engine import ICudaEngine
from dovetail.machine.enums import NetworkDefinitionCreationFlag
from dovetail.machine.logger import ILogger, Severity, checked
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.plan import IHostMemory
from dovetail.machine.runtime import Runtime


class Builder(OlderBuilder):
    """Makes networks and configs, and builds plans. TensorRT's `IBuilder`."""

    def __init__(self, logger: ILogger, lookup: Lookup | None = None) -> None:
        self.logger = checked(logger)
        if lookup is None:
            from dovetail.registry.loader import default_registry

            lookup = default_registry()
        self._lookup = lookup

    @returns_on_error(None, builds=True)
    def create_network(self, flags: int = 1) -> INetworkDefinition:
        """An empty network; it always has an explicit batch, whatever the flags are.

        Raises, or returns None (see `raise_on_error`):
            DefinitionError: unknown bits in `flags`.
        """
        known = sum(1 << int(flag) for flag in NetworkDefinitionCreationFlag)
        if not hasattr(flags, "__index__") or not 0 <= int(flags) <= known:
            raise DefinitionError(
                f"a network cannot be created with flags {flags!r}",
                facts=[("known bits", ", ".join(f"1 << {int(f)} {f.name}" for f in NetworkDefinitionCreationFlag))],
                got=flags,
            )
        if not int(flags):
            self._warn("networks always have an explicit batch here: shapes include it.")
        return INetworkDefinition(self._lookup, int(flags))

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def get_plugin_registry(self) -> Lookup:
        return self._lookup

    @property
    def platform_has_fast_fp16(self) -> bool:
        """True if the default device computes faster in FP16 than in FP32."""
        return self._has("avx512fp16", 60)

    @property
    def platform_has_fast_int8(self) -> bool:
        return self._has("avx512vnni", 61)

    @property
    def platform_has_tf32(self) -> bool:
        return self._has("tf32", 80)

    def _has(self, feature: str, sm: int) -> bool:
        """True if the CPU has the instruction set, or the GPU at least this compute capability."""
        on_gpu = default_device() == DeviceType.GPU
        target = this_target(with_gpu=on_gpu)
        return target.sm >= sm if on_gpu else feature in target.features

    @property
    def num_DLA_cores(self) -> int:  # noqa: N802  TensorRT's spelling
        return 0

    @returns_on_error(None, builds=True)
    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory | None:
        """The plan of `network`, which a runtime on this machine loads. Settings that are not honoured are warnings in
        the log; a long build says at INFO how far it is.

        Raises, or returns None (see `raise_on_error`):
            BuildError: no outputs, no profile, or nothing that can run a layer; the log has the same text.
            DefinitionError: a shape, type or field of a layer does not fit.
            PluginError: a plugin failed; plugin, layer and method are named.
        """
        _check_types(network, config)
        _native.default_threads()  # the environment may be wrong
        for text in (*self._not_in(config), *without_effect(network, config)):
            self._warn(text)
        plan = build(
            network,
            config,
            lambda line: self.logger.log(Severity.INFO, line),
            lambda line: self.logger.log(Severity.VERBOSE, line),
            self._warn,
        )
        if getattr(self.logger, "min_severity", Severity.VERBOSE) >= Severity.VERBOSE:
            self.logger.log(Severity.VERBOSE, str(plan))
        return plan

    def build_engine(self, network: INetworkDefinition, config: IBuilderConfig) -> ICudaEngine | None:
        """`build_serialized_network` and `deserialize_cuda_engine` in one call; None if either fails."""
        plan = self.build_serialized_network(network, config)
        return None if plan is None else Runtime(self.logger, self._lookup).deserialize_cuda_engine(plan)

    build_engine_with_config = build_engine

    def is_network_supported(self, network: INetworkDefinition, config: IBuilderConfig) -> bool:
        """True if `build_serialized_network` could choose an implementation for every layer. Raises DTypeError."""
        _check_types(network, config)
        try:
            run(build_of(network, config), with_plugins(network.lookup), until="list_candidates")
        except DovetailError as error:
            self.logger.log(Severity.WARNING, str(error))
            return False
        return True

    def reset(self) -> None:
        """Does nothing: no state is kept between builds."""


def _check_types(network: Any, config: Any) -> None:
    for given, wanted, how in (
        (network, INetworkDefinition, "builder.create_network()"),
        (config, IBuilderConfig, "builder.create_builder_config()"),
    ):
        if not isinstance(given, wanted):
            raise DTypeError(
                f"a build takes an {wanted.__name__}, got {type(given).__name__}", hint=f"Make one: {how}.", got=given
            )

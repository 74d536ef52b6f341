"""The builder: a network goes in, the passes of pipeline.py turn it into a plan."""

from __future__ import annotations

from dovetail.core.contract import Lookup
from dovetail.core.errors import DovetailError
from dovetail.core.types import DeviceType
from dovetail.machine.builder.candidates import list_candidates
from dovetail.machine.builder.infer_shapes import infer_shapes
from dovetail.machine.builder.pipeline import build, machine_of
from dovetail.machine.builder.separate_outputs import separate_outputs
from dovetail.machine.config import IBuilderConfig, IOptimizationProfile
from dovetail.machine.devices import default_device, this_machine
from dovetail.machine.logger import ILogger, Severity
from dovetail.machine.network import INetworkDefinition
from dovetail.machine.plan import IHostMemory


class Builder:
    """Makes networks and configs, and builds plans. TensorRT's `IBuilder`."""

    def __init__(self, logger: ILogger, lookup: Lookup | None = None) -> None:
        if lookup is None:
            from dovetail.registry.loader import default_registry

            lookup = default_registry()
        self.logger = logger
        self._lookup = lookup
        self.max_threads = 0
        self.max_batch_size = 1

    def create_network(self, flags: int = 1) -> INetworkDefinition:
        """An empty network. Its batch is always explicit, whatever the flags say."""
        return INetworkDefinition(self._lookup, flags)

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def get_plugin_registry(self) -> Lookup:
        return self._lookup

    @property
    def platform_has_fast_fp16(self) -> bool:
        """Does the default device compute in FP16 faster than in FP32?"""
        return self._has("avx512fp16", 60)

    @property
    def platform_has_fast_int8(self) -> bool:
        return self._has("avx512vnni", 61)

    @property
    def platform_has_tf32(self) -> bool:
        return self._has("tf32", 80)

    def _has(self, feature: str, sm: int) -> bool:
        """Has the default device the CPU's instruction set, or at least this compute capability?"""
        on_gpu = default_device() == DeviceType.GPU
        machine = this_machine(with_gpu=on_gpu)
        return machine.sm >= sm if on_gpu else feature in machine.features

    @property
    def num_DLA_cores(self) -> int:  # noqa: N802  TensorRT's spelling
        return 0

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory:
        """The plan of `network`.

        Raises:
            BuildError: no outputs, no profile, or nothing that can run a layer; the log has the same text.
            DefinitionError: a shape, type or field of a layer does not fit.
            PluginError: a plugin failed; plugin, layer and method are named.
        """
        try:
            plan = build(network, config)
        except DovetailError as error:
            self.logger.log(Severity.ERROR, f"{type(error).__name__}: {error}")
            raise
        if getattr(self.logger, "min_severity", Severity.VERBOSE) >= Severity.VERBOSE:
            self.logger.log(Severity.VERBOSE, str(plan))
        return plan

    def is_network_supported(self, network: INetworkDefinition, config: IBuilderConfig) -> bool:
        """Could `build_serialized_network` choose an implementation for every layer?"""
        try:
            machine = machine_of(config)
            list_candidates(separate_outputs(infer_shapes(network, config)), config, machine)
        except DovetailError as error:
            self.logger.log(Severity.WARNING, str(error))
            return False
        return True

    def reset(self) -> None:
        """Nothing is kept between builds."""

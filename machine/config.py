"""The configuration of a build: `IBuilderConfig` and optimisation profiles."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dovetail.core.arguments import extents, integers, text
from dovetail.core.errors import DefinitionError, DovetailError, DTypeError, ShapeError
from dovetail.core.failures import returns_on_error
from dovetail.core.named import member_of
from dovetail.core.strict import Strict
from dovetail.core.types import DeviceType, Dims
from dovetail.machine.budget import Budget
from dovetail.machine.config_settings import TensorRTSettings
from dovetail.machine.devices import default_device, this_target
from dovetail.machine.enums import BuilderFlag, MemoryPoolType
from dovetail.machine.settings import Setting, bits, integer, yes_or_no
from dovetail.machine.timing_cache import ITimingCache, checked_cache, devices_of, read_cache, warn_instead

if TYPE_CHECKING:
    from dovetail.machine.layer import ILayer


class IOptimizationProfile(Strict):
    """Ranges of the dynamic extents: for each input the smallest, the likeliest and the largest shape.

    Kernels are timed at `opt`; at run time every extent must lie in min..max.
    """

    extra_memory_target = Setting(1.0, None, "memory of a profile is what its layers need.")

    def __init__(self) -> None:
        self._shapes: dict[str, tuple[Dims, Dims, Dims]] = {}
        self._contents: dict[str, tuple[tuple[int, ...], ...]] = {}

    def set_shape(self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]) -> None:
        """Set the range of input `input`.

        Raises:
            ShapeError: ranks differ, an extent is negative, or not min <= opt <= max; both sides are named.
            DTypeError: a shape is not a sequence of integers, or `input` is not a name.
        """
        _named(input)
        given = {"min": min, "opt": opt, "max": max}
        shapes = [Dims(extents(f"{side} of input '{input}'", shape)) for side, shape in given.items()]
        if len({len(shape) for shape in shapes}) != 1:
            raise ShapeError(
                f"profile of input '{input}' cannot mix ranks",
                facts=[("min", str(tuple(min))), ("opt", str(tuple(opt))), ("max", str(tuple(max)))],
                hint="Give three shapes of the input's rank.",
            )
        for axis, (low, likely, high) in enumerate(zip(*shapes, strict=True)):
            if not 0 <= low <= likely <= high:
                raise ShapeError(
                    f"profile of input '{input}' is out of order in dimension {axis}",
                    facts=[("min", low), ("opt", likely), ("max", high)],
                    hint="Each extent needs 0 <= min <= opt <= max.",
                )
        self._shapes[input] = (shapes[0], shapes[1], shapes[2])

    def get_shape(self, input: str) -> list[Dims]:
        """[min, opt, max] of an input. Raises DefinitionError if none was set."""
        if _named(input) not in self._shapes:
            raise DefinitionError(
                f"no shape was set for input '{input}' in this profile",
                facts=[("inputs set", ", ".join(self._shapes) or "none")],
                hint=f'Call profile.set_shape("{input}", min, opt, max).',
            )
        return list(self._shapes[input])

    def set_shape_input(self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]) -> None:
        """Set the range of the contents of an input that is a shape, one value an element.

        Raises:
            ShapeError: lengths differ, or not min <= opt <= max; all are named.
            DTypeError: contents are not integers, or `input` is not a name.
        """
        _named(input)
        given = {"min": min, "opt": opt, "max": max}
        values = tuple(integers(f"{side} of shape input '{input}'", side_values) for side, side_values in given.items())
        low, likely, high = values
        facts = [("min", str(list(low))), ("opt", str(list(likely))), ("max", str(list(high)))]
        if len({len(side) for side in values}) != 1:
            raise ShapeError(f"profile of shape input '{input}' cannot mix lengths", facts=facts)
        if not all(a <= b <= c for a, b, c in zip(low, likely, high, strict=True)):
            raise ShapeError(
                f"profile of shape input '{input}' is out of order",
                facts=facts,
                hint="Each element needs min <= opt <= max.",
            )
        self._contents[input] = values

    def get_shape_input(self, input: str) -> list[tuple[int, ...]]:
        """[min, opt, max] contents of an input that is a shape; [] if none were set."""
        return list(self._contents.get(_named(input), ()))

    @property
    def inputs(self) -> Iterable[str]:
        return self._shapes.keys()

    def __bool__(self) -> bool:
        return True


class IBuilderConfig(TensorRTSettings):
    """Options of one build. Made by `Builder.create_builder_config()`.

    Each is checked when it is set. What is accepted for scripts' sake and has no effect is a warning in the log of the
    build; what would change results is an error.
    """

    builder_optimization_level = Setting(3, integer(0, 5))  # 0: take the first fitting candidate; >= 1: time them
    allow_reference = Setting(True, yes_or_no)  # may a layer run through its NumPy reference?
    time_network = Setting(False, yes_or_no)  # run the network once it is built; its time is in the report
    allow_fusion = Setting(True, yes_or_no)  # may a kernel compute the pointwise layers behind its own?
    num_threads = Setting(0, integer(0, 1024))  # 0: as many as this process may use

    def __init__(self) -> None:
        super().__init__()
        self._flags = 1 << int(BuilderFlag.TF32)
        self._folding_budget = Budget()
        self._pools: dict[MemoryPoolType, int] = {}
        self._profiles: list[IOptimizationProfile] = []
        self._pins: dict[str, str] = {}
        self._default_device: DeviceType | None = None  # None: found out when it is asked for
        self._devices: dict[ILayer, DeviceType] = {}
        self._timing_cache: ITimingCache | None = None
        self._calibration_profile: IOptimizationProfile | None = None

    # ---- flags
    @property
    def flags(self) -> int:
        """All flags as bits, `1 << int(flag)` each."""
        return self._flags

    @flags.setter
    def flags(self, flags: int) -> None:
        self._flags = bits(BuilderFlag)("builder flags", flags)

    def set_flag(self, flag: BuilderFlag) -> None:
        """Switch a flag on. Raises DTypeError or FieldValueError if it is not a flag."""
        self._flags |= 1 << _flag(flag)

    def clear_flag(self, flag: BuilderFlag) -> None:
        self._flags &= ~(1 << _flag(flag))

    def get_flag(self, flag: BuilderFlag) -> bool:
        return bool(self._flags >> _flag(flag) & 1)

    # ---- memory
    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        """Limit a pool, in bytes. WORKSPACE limits the scratch memory of each layer.

        Raises:
            DefinitionError: no such pool, negative size, or not an integer.
        """
        pool = _pool(pool)
        if not hasattr(pool_size, "__index__") or pool_size < 0:
            raise DefinitionError(
                f"pool {pool.name} cannot be limited to {pool_size!r:.200} bytes",
                facts=[("allowed", "an integer, 0 or more")],
                got=pool_size,
            )
        self._pools[pool] = int(pool_size)

    def get_memory_pool_limit(self, pool: MemoryPoolType) -> int:
        """The limit in bytes; 2**63 - 1 if none was set."""
        return self._pools.get(_pool(pool), 2**63 - 1)

    @property
    def pools_set(self) -> set[MemoryPoolType]:
        """Pools with a limit of their own."""
        return set(self._pools)

    @property
    def max_workspace_size(self) -> int:
        return self.get_memory_pool_limit(MemoryPoolType.WORKSPACE)

    @max_workspace_size.setter
    def max_workspace_size(self, size: int) -> None:
        warnings.warn("Use set_memory_pool_limit instead.", DeprecationWarning, stacklevel=2)
        self.set_memory_pool_limit(MemoryPoolType.WORKSPACE, size)

    # ---- constant folding
    @property
    def folding_budget(self) -> Budget:
        """Limits of constant folding. A layer that would exceed them is computed in every inference instead."""
        return self._folding_budget

    @folding_budget.setter
    def folding_budget(self, budget: Budget) -> None:
        if not isinstance(budget, Budget):
            raise DTypeError(
                f"config.folding_budget takes a Budget, got {type(budget).__name__}",
                hint="Write config.folding_budget = dovetail.Budget(bytes=..., layers=..., seconds=...).",
            )
        self._folding_budget = budget

    # ---- profiles
    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        """Append a profile; returns its index. Raises DTypeError for anything else."""
        self._profiles.append(_profile("add_optimization_profile", profile))
        return len(self._profiles) - 1

    @returns_on_error(False, builds=True)
    def set_calibration_profile(self, profile: IOptimizationProfile) -> bool:
        """Let the batches of the calibrator have the shapes `opt` of this profile; without it, of the first one.

        Raises, or returns False (see `raise_on_error`):
            DTypeError: not a profile.
        """
        self._calibration_profile = _profile("set_calibration_profile", profile)
        return True

    def get_calibration_profile(self) -> IOptimizationProfile | None:
        """The profile that was set for calibration; None if none was."""
        return self._calibration_profile

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._profiles)

    @property
    def profiles(self) -> tuple[IOptimizationProfile, ...]:
        return tuple(self._profiles)

    # ---- devices
    @property
    def default_device_type(self) -> DeviceType:
        """The device of the layers and of inputs and outputs: the GPU if one works, else the CPU.

        The variable DOVETAIL_DEVICE (cpu or gpu) overrides this default; setting the attribute overrides both.
        """
        return default_device() if self._default_device is None else self._default_device

    @default_device_type.setter
    def default_device_type(self, device: DeviceType) -> None:
        self._default_device = _usable(device)

    def set_device_type(self, layer: ILayer, device: DeviceType) -> None:
        """Let `layer` run on `device`; copies are inserted if its neighbours run on another one.

        Raises:
            DTypeError: `layer` is not a layer (but, for instance, its name).
        """
        self._devices[_layer("set_device_type", layer)] = _usable(device)

    def get_device_type(self, layer: ILayer) -> DeviceType:
        return self._devices.get(_layer("get_device_type", layer), self.default_device_type)

    def is_device_type_set(self, layer: ILayer) -> bool:
        return _layer("is_device_type_set", layer) in self._devices

    def reset_device_type(self, layer: ILayer) -> None:
        self._devices.pop(_layer("reset_device_type", layer), None)

    def can_run_on_DLA(self, layer: ILayer) -> bool:  # noqa: N802  TensorRT's spelling
        return False

    @property
    def devices_in_use(self) -> set[DeviceType]:
        """The default device, and the devices set for single layers."""
        return {self.default_device_type, *self._devices.values()}

    # ---- measurements
    @returns_on_error(None, builds=True)
    def create_timing_cache(self, serialized_timing_cache: Any) -> ITimingCache:
        """A timing cache from the bytes of `ITimingCache.serialize`, or an empty one for b''. Does not set it.

        Raises, or returns None (see `raise_on_error`):
            DTypeError: not a buffer of bytes.
            DefinitionError: not a timing cache, or a damaged one.
        """
        return read_cache(serialized_timing_cache)

    @returns_on_error(False, builds=True)
    def set_timing_cache(self, cache: ITimingCache | None, ignore_mismatch: bool = False) -> bool:
        """Let builds take measurements from `cache` and add theirs. None: each build measures anew. Returns True.

        Args:
            ignore_mismatch: accept a cache that was measured on another device; from then on it counts as this one's.

        Raises, or returns False (see `raise_on_error`):
            BuildError: it was measured on another device.
            DTypeError: not an ITimingCache.
        """
        if cache is not None:
            devices = devices_of(this_target(with_gpu=DeviceType.GPU in self.devices_in_use))
            if ignore_mismatch:
                checked_cache("set_timing_cache", cache)._adopt(devices)
            hint = "config.set_timing_cache(cache, ignore_mismatch=True) uses this one all the same."
            checked_cache("set_timing_cache", cache)._check_devices(devices, hint)
        self._timing_cache = cache
        return True

    def get_timing_cache(self) -> ITimingCache | None:
        """The cache that was set, with the measurements of builds; None if none was set."""
        return self._timing_cache

    def _report(self, error: DovetailError) -> None:
        warn_instead(error)

    # ---- choice of implementations
    def pin_implementation(self, layer: str, implementation: str) -> None:
        """Let `layer` run on this implementation only: its id, or `#name`, or `#name:tactic`."""
        named = text("the layer to be pinned", layer, _PINNED)
        self._pins[named] = text(f"the implementation of layer '{named}'", implementation, _PINNED)

    def pinned_implementation(self, layer: str) -> str | None:
        return self._pins.get(text("the layer asked about", layer, _PINNED))

    @property
    def pins(self) -> dict[str, str]:
        """What `pin_implementation` was told: implementation by layer."""
        return dict(self._pins)

    def reset(self) -> None:
        """Back to the state of a new config."""
        self.__dict__.clear()
        self.__init__()  # type: ignore[misc]


def _profile(method: str, profile: Any) -> IOptimizationProfile:
    if not isinstance(profile, IOptimizationProfile):
        raise DTypeError(
            f"{method} takes an IOptimizationProfile, got {type(profile).__name__}",
            hint="Make one: builder.create_optimization_profile().",
            got=profile,
        )
    return profile


def copy_of(config: IBuilderConfig, profiles: Iterable[IOptimizationProfile]) -> IBuilderConfig:
    """A config with the same settings and these profiles; what is set there later does not concern the other one."""
    made = copy.copy(config)
    made._profiles = list(profiles)
    return made


def _usable(device: DeviceType) -> DeviceType:
    """Raises DefinitionError for a DLA, which dovetail does not support."""
    device = member_of(DeviceType, device, "the device of a layer")
    if device == DeviceType.DLA:
        raise DefinitionError(
            "no layer can run on a DLA: dovetail does not support it",
            hint="Use DeviceType.GPU or DeviceType.CPU.",
            got=device,
        )
    return device


_PINNED = 'Give names, as in config.pin_implementation(layer.name, "#naive").'


def _named(input: Any) -> str:
    return text("the input of a profile", input, "Give the name of an input, tensor.name.")


def _flag(flag: Any) -> int:
    return int(member_of(BuilderFlag, flag, "a builder flag"))


def _pool(pool: Any) -> MemoryPoolType:
    return member_of(MemoryPoolType, pool, "a memory pool")


def _layer(method: str, layer: Any) -> ILayer:
    from dovetail.machine.layer import ILayer

    if not isinstance(layer, ILayer):
        raise DTypeError(
            f"{method} takes a layer, got {type(layer).__name__}",
            hint="Pass what network.add_... or network.get_layer(index) returned.",
            got=layer,
        )
    return layer

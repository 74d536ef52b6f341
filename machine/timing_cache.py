"""`ITimingCache`: measured times of kernels, with keys that say of what; what builds keep, and what they take from."""

from __future__ import annotations

import json
import platform
import warnings
from typing import Any, NamedTuple

from dovetail import _native
from dovetail.core.errors import BuildError, DefinitionError, DovetailError, DTypeError
from dovetail.core.failures import raises_on_error, returns_on_error
from dovetail.core.negotiation import Target
from dovetail.core.strict import Strict
from dovetail.core.types import DeviceType
from dovetail.machine.plan import IHostMemory

MAGIC, VERSION = "dovetail.timing_cache", 1
_CPU_INFO = "/proc/cpuinfo"


class Key(NamedTuple):
    """What was measured."""

    op: str  # "Convolution@1"
    fields: str  # digest of the layer's fields, or of the state of a V2 plugin
    tensors: tuple[str, ...]  # type, extents and place of each input and output
    epilogue: tuple[str, ...]  # op and digest of the fields of each layer that the kernel absorbs
    row: str  # implementation and tactic, "Convolution@1#cpu:gemm_avx2"
    library: str  # hash of the library with the kernel; of a plugin without one its name and version
    device: str  # "CPU" or "GPU"; which one, the cache says
    n_threads: int  # 0 on a GPU
    caches: str  # what the rest of the network leaves of the layer's tensors in caches


class Measurement(NamedTuple):
    """Time of one execution in ns, and in how many it was found: few, where another candidate was far faster."""

    ns: float
    runs: int


class ITimingCache(Strict):
    """Times of kernels on one machine. TensorRT's `ITimingCache`; made by `IBuilderConfig.create_timing_cache`.

    A build with a cache measures only what is not in it, and adds that. With all of it there, equal builds make equal
    plans, bit for bit. What was measured with another version of a plugin's library is not used, and does no harm.
    """

    def __init__(self) -> None:
        self._entries: dict[Key, Measurement] = {}
        self._devices: dict[str, str] = {}  # by device type, the machine's name for it

    def __len__(self) -> int:
        return len(self._entries)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        devices = ", ".join(f"{kind} {name}" for kind, name in sorted(self._devices.items()))
        return f"<ITimingCache of {len(self)} measurements{': ' if devices else ''}{devices}>"

    def serialize(self) -> IHostMemory:
        """All measurements as bytes, the same for the same contents."""
        entries = [[*key, ns, runs] for key, (ns, runs) in sorted(dict(self._entries).items())]
        body = json.dumps({"devices": dict(sorted(self._devices.items())), "entries": entries}, indent=0).encode()
        return _Serialized(f"{MAGIC} {VERSION} {_native.checksum(body)}\n".encode() + body)

    @returns_on_error(False, builds=True)
    def combine(self, input_cache: ITimingCache, ignore_mismatch: bool = False) -> bool:
        """Take over what `input_cache` has and this one lacks. True.

        Args:
            ignore_mismatch: also where it was measured on another device.

        Raises, or returns False (see `raise_on_error`):
            BuildError: it was measured on another device.
            DTypeError: it is not an ITimingCache.
        """
        other = checked_cache("combine", input_cache)
        if not ignore_mismatch:
            other._check_devices(
                self._devices, "cache.combine(other, ignore_mismatch=True) combines them all the same."
            )
        for key, measurement in dict(other._entries).items():
            self._entries.setdefault(key, measurement)
        self._devices = {**other._devices, **self._devices}
        return True

    def reset(self) -> bool:
        """Forget all measurements. True."""
        self._entries, self._devices = {}, {}
        return True

    # ---- for builds
    def _find(self, key: Key) -> Measurement | None:
        return self._entries.get(key)

    def _store(self, key: Key, measurement: Measurement, devices: dict[str, str]) -> None:
        """Add a measurement that was made on this machine, whose `devices` are those of `devices_of`."""
        self._entries[key] = measurement
        self._devices[key.device] = devices[key.device]

    def _adopt(self, devices: dict[str, str]) -> None:
        """Take what was measured elsewhere for measurements of these devices."""
        self._devices |= {kind: name for kind, name in devices.items() if kind in self._devices}

    def _check_devices(self, here: dict[str, str], hint: str) -> None:
        """Raise BuildError where a device of `here` is not the one that this cache was measured on."""
        different = [kind for kind in sorted(here) if self._devices.get(kind, here[kind]) != here[kind]]
        if different:
            kind = different[0]
            raise BuildError(
                f"the timing cache was measured on another {kind}",
                facts=[("in the cache", self._devices[kind]), ("here", here[kind])],
                hint=f"Times of another device would choose the wrong kernels. Make a cache on this one; {hint}",
                expected=here[kind],
                got=self._devices[kind],
            )

    def _report(self, error: DovetailError) -> None:
        warn_instead(error)


def warn_instead(error: DovetailError) -> None:
    """Report an error of an object that has no log: a warning, where its method returns instead of raising."""
    if not raises_on_error(builds=True):
        warnings.warn(f"{type(error).__name__}: {error}", RuntimeWarning, stacklevel=5)


class _Serialized(IHostMemory):
    """A timing cache in memory."""

    def __str__(self) -> str:
        return f"a timing cache of {len(self)} bytes"


def found_in(cache: ITimingCache, key: Key) -> Measurement | None:
    """The measurement of this key, for builds."""
    return cache._find(key)


def keep_in(cache: ITimingCache, key: Key, measurement: Measurement, devices: dict[str, str]) -> None:
    """Add a measurement that was made on this machine, whose `devices` are those of `devices_of`, for builds."""
    cache._store(key, measurement, devices)


def checked_cache(method: str, cache: Any) -> ITimingCache:
    """`cache`, if it is one. Raises DTypeError."""
    if not isinstance(cache, ITimingCache):
        raise DTypeError(
            f"{method} takes an ITimingCache, got {type(cache).__name__}",
            hint="Make one of bytes: config.create_timing_cache(data), which may be b''.",
            got=cache,
        )
    return cache


def devices_of(target: Target) -> dict[str, str]:
    """What a cache calls the devices of this machine, by type."""
    found = {DeviceType.CPU.name: f"{_cpu_name()} ({' '.join(sorted(target.features))})"}
    if target.sm:
        found[DeviceType.GPU.name] = f"{target.device_name}, sm_{target.sm}"
    return found


def _cpu_name() -> str:
    try:
        with open(_CPU_INFO, encoding="utf-8", errors="replace") as lines:
            named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
            return next(named, platform.machine())
    except OSError:
        return platform.machine()


def read_cache(serialized: Any) -> ITimingCache:
    """The cache that `serialize` wrote; an empty one for no bytes.

    Raises:
        DTypeError: it is not a buffer of bytes.
        DefinitionError: it is not a timing cache, one of another version, or damaged.
    """
    try:
        data = bytes(memoryview(serialized))
    except TypeError:
        raise DTypeError(
            f"create_timing_cache takes the bytes of a cache, got {type(serialized).__name__}",
            hint="Pass what cache.serialize() returned, or b'' for an empty cache.",
            got=serialized,
        ) from None
    cache = ITimingCache()
    if not data:
        return cache
    first, _, body = data.partition(b"\n")
    words = first.split(b" ")
    if words[0] != MAGIC.encode() or len(words) != 3:
        raise _damaged("its first line", f"{first[:60]!r}", f"{MAGIC} {VERSION} and a checksum")
    if words[1] != str(VERSION).encode():
        raise _damaged("its version", repr(words[1].decode("latin-1")[:20]), str(VERSION))
    if words[2] != _native.checksum(body).encode():
        raise _damaged("its checksum", repr(words[2].decode("latin-1")[:20]), _native.checksum(body))
    try:
        _fill(cache, json.loads(body))
    except (ValueError, RecursionError) as error:  # signed again after a change
        raise _damaged("its contents", str(error), "what serialize() writes") from None
    return cache


def _damaged(what: str, got: str, expected: str) -> DefinitionError:
    return DefinitionError(
        "this is not a timing cache of this version of dovetail, or it is damaged",
        facts=[(what, got), ("expected", expected)],
        hint="Start with an empty one: config.create_timing_cache(b'').",
        got=got,
        expected=expected,
    )


_FIELDS = len(Key._fields)
_MOST_NS = 1e18  # thirty years


def _fill(cache: ITimingCache, document: Any) -> None:
    """Raises ValueError for what `serialize` does not write."""
    if not isinstance(document, dict) or set(document) != {"devices", "entries"}:
        raise ValueError("it has no devices and entries")
    devices, entries = document["devices"], document["entries"]
    kinds = {DeviceType.CPU.name, DeviceType.GPU.name}
    if (
        not isinstance(devices, dict)
        or not set(devices) <= kinds
        or not all(isinstance(n, str) for n in devices.values())
    ):
        raise ValueError("its devices are not names by type")
    if not isinstance(entries, list):
        raise ValueError("its entries are not a list")
    for index, entry in enumerate(entries):
        if not isinstance(entry, list) or len(entry) != _FIELDS + 2:
            raise ValueError(f"entry {index} does not have {_FIELDS + 2} items")
        *parts, ns, runs = entry
        key = Key(*(tuple(part) if isinstance(part, list) else part for part in parts))
        texts = [key.op, key.fields, key.row, key.library, key.device, key.caches]
        if not all(type(text) is str for text in texts) or key.device not in devices:
            raise ValueError(f"entry {index} has no op, fields, row, library, device or caches")
        for listed in (key.tensors, key.epilogue):
            if type(listed) is not tuple or not all(type(text) is str for text in listed):
                raise ValueError(f"entry {index} has no list of tensors or epilogue")
        if type(key.n_threads) is not int or type(runs) is not int or key.n_threads < 0 or runs < 1:
            raise ValueError(f"entry {index} has no number of threads or runs")
        if type(ns) not in (float, int) or not 0 <= ns <= _MOST_NS:
            raise ValueError(f"entry {index} has no time")
        cache._store(key, Measurement(float(ns), runs), devices)

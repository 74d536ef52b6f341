"""The devices that this process can use. GPUs are looked for only when they are needed."""

from __future__ import annotations

import os
from typing import Any

from dovetail import _native
from dovetail.core.errors import BuildError, DefinitionError
from dovetail.core.negotiation import Target
from dovetail.core.types import DeviceType

VARIABLE = "DOVETAIL_DEVICE"
_answers: list[tuple[list[dict[str, Any]], str]] = []  # the answer of the library for the GPU, once it is open


def gpus() -> tuple[list[dict[str, Any]], str]:
    """The GPUs that work; if there are none, the reason. Each has name, sm, multiprocessors, memory_bytes, bus.

    The CUDA library of a plugin is asked once; before the registry is loaded there are none.
    """
    if _answers:
        return _answers[0]
    devices, reason = _native.cuda_devices()
    if devices or _native.cuda_version():
        _answers.append((devices, reason))
    if not devices and _wanted() == "cpu":
        reason = f"{VARIABLE}=cpu: its library is not opened"
    return devices, reason


def default_device() -> DeviceType:
    """The GPU if one works, else the CPU; DOVETAIL_DEVICE = cpu or gpu decides without looking for one.

    Raises:
        DefinitionError: DOVETAIL_DEVICE names something else.
    """
    wanted = _wanted()
    if wanted not in ("", "cpu", "gpu", "cuda"):
        raise DefinitionError(f"{VARIABLE} = {wanted!r} is not a device", hint="Set it to cpu or gpu, or unset it.")
    if wanted:
        return DeviceType.CPU if wanted == "cpu" else DeviceType.GPU
    return DeviceType.GPU if gpus()[0] else DeviceType.CPU


def _wanted() -> str:
    return os.environ.get(VARIABLE, "").lower()


def this_target(with_gpu: bool = False) -> Target:
    """This machine as a target. Without `with_gpu` no GPU is looked for; with it, the thread's current one is used."""
    features = frozenset(_native.cpu_features())
    found = gpus()[0] if with_gpu else []
    if not found:
        return Target(features)
    current = found[_native.cuda_current_device() if len(found) > 1 else 0]
    return Target(features, current["sm"], current["name"])


def target_for(needs_gpu: bool, may_use_gpu: bool = False) -> Target:
    """The target that a build is for.

    Raises:
        BuildError: a GPU is needed and none works.
    """
    target = this_target(needs_gpu or may_use_gpu)
    if needs_gpu and not target.has(DeviceType.GPU):
        raise BuildError(
            "this network cannot be built for the GPU: none works here",
            facts=[("reason", gpus()[1])],
            hint=f"{VARIABLE}=cpu, or config.default_device_type = DeviceType.CPU, builds for the CPU. "
            "What is here: dovetail env",
        )
    return target

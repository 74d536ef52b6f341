"""Shows the candidates of a group to `config.algorithm_selector`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dovetail.core.errors import BuildError
from dovetail.core.types import Dims
from dovetail.machine.algorithms import (
    IAlgorithm,
    IAlgorithmContext,
    IAlgorithmIOInfo,
    IAlgorithmSelector,
    IAlgorithmVariant,
)
from dovetail.machine.builder.candidates import workspace_of
from dovetail.machine.builder.graph import Candidate, LayerGroup


def context_of(group: LayerGroup) -> IAlgorithmContext:
    """The group, with (min, opt, max) of its inputs and outputs in the first profile."""
    shapes = [[Dims()] * 3 if tensor is None else [Dims(dims) for dims in tensor.ranges[0]] for tensor in group.tensors]
    return IAlgorithmContext(group.name, shapes, len(group.inputs))


def algorithm_of(group: LayerGroup, candidate: Candidate, n_threads: int) -> IAlgorithm:
    """A candidate for the group."""
    row = candidate.row
    words = f"{row.implementation.id} {row.tactic}"
    if group.tail:
        words += f", with {candidate.n_absorbed} of {len(group.tail)} layers behind it"
    variant = IAlgorithmVariant(
        _number(row.implementation.id), _number(f"{row.tactic} {row.row} {candidate.n_absorbed}"), words
    )
    return IAlgorithm(
        variant, _tensors(group, candidate), candidate.time_ns, workspace_of(group, candidate, 0, n_threads)
    )


def _tensors(group: LayerGroup, candidate: Candidate) -> list[IAlgorithmIOInfo | None]:
    """How it takes the inputs and leaves the result; None for inputs of layers that it does not compute."""
    part = group.part(candidate.n_absorbed)
    found = [
        None if tensor is None or place is None else IAlgorithmIOInfo(place, tensor.ranges[0][1])
        for tensor, place in zip(part.tensors, part.places(replace(candidate, rest=())), strict=True)
    ]
    n_inputs = len(part.inputs)
    return [*found[:n_inputs], *[None] * (len(group.inputs) - n_inputs), *found[n_inputs:]]


def _number(text: str) -> int:
    """63 bits that are the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def ask(selector: IAlgorithmSelector, method: str, about: str, *given: Any) -> Any:
    """What the method returns. Raises BuildError for what it raises."""
    function: Callable[..., Any] = getattr(selector, method)
    try:
        return function(*given)
    except Exception as error:
        raise BuildError(
            f"config.algorithm_selector failed in {method}{about}",
            facts=[("selector", type(selector).__name__), (type(error).__name__, str(error) or "no text")],
        ) from error

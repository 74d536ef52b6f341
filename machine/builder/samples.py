"""Sample contents of tensors while kernels run alone: constants, and numbers that are the same in every build."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from dovetail.core.types import DataType, nptype
from dovetail.machine.builder.graph import GraphTensor

Arrays = list[np.ndarray | None]
BLOCK = 1_000_003  # elements; a prime, so that rows and planes of tensors differ


def samples(tensors: Sequence[GraphTensor | None]) -> Arrays:
    """Sample contents, the same in every build."""
    return [None if tensor is None else _sample(tensor) for tensor in tensors]


def _sample(tensor: GraphTensor) -> np.ndarray:
    if tensor.constant is not None:
        return tensor.constant
    dims = tensor.ranges[0][1]
    block = sample_block(tensor.dtype, math.prod(dims))
    return np.resize(block, dims) if block.size < math.prod(dims) else block.reshape(dims).copy()


def sample_block(dtype: DataType, n: int) -> np.ndarray:
    """Sample contents of n elements, or, of more than a million, the block that is repeated to make them. Read only."""
    return _block(dtype, min(n, BLOCK))


@functools.lru_cache(maxsize=4)
def _block(dtype: DataType, n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    if dtype in (DataType.FLOAT, DataType.HALF, DataType.BF16):
        made = rng.uniform(-1, 1, n).astype(np.float32).astype(nptype(dtype))
    else:
        made = rng.integers(0, 2 if dtype == DataType.BOOL else 8, n).astype(nptype(dtype))
    made.flags.writeable = False
    return made

"""A small convolutional network that is trained here, in NumPy, on pictures that are made here: ten kinds, shifted and
noisy. For tests of accuracy."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

SIZE, KINDS = 12, 10
Arrays = dict[str, np.ndarray]


class Pictures(NamedTuple):
    x: np.ndarray  # [n, 1, SIZE, SIZE]
    kind: np.ndarray  # [n]


def pictures(n: int, seed: int) -> Pictures:
    """Each kind is a pattern of its own, moved by up to two pixels, in noise."""
    patterns = np.random.default_rng(20).standard_normal((KINDS, SIZE // 2, SIZE // 2)).astype(np.float32)
    patterns = np.repeat(np.repeat(patterns, 2, axis=1), 2, axis=2)
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, KINDS, n)
    shifts = rng.integers(-2, 3, (n, 2))
    x = np.stack([np.roll(patterns[k], shift, (0, 1)) for k, shift in zip(kind, shifts, strict=True)])
    x = x * rng.uniform(0.5, 1.5, (n, 1, 1)) + rng.standard_normal(x.shape) * 0.65
    return Pictures(x[:, None].astype(np.float32), kind)


def _windows(x: np.ndarray) -> np.ndarray:
    """[n, h, w, channels * 9] of 3x3 windows with stride 2 and padding 1."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
    return views.transpose(0, 2, 3, 1, 4, 5).reshape(*views.shape[:1], *views.shape[2:4], -1)


def _back(gradient: np.ndarray, dims: tuple[int, ...]) -> np.ndarray:
    """The gradient of x from that of its windows."""
    n, channels, height, width = dims
    parts = gradient.reshape(n, height // 2, width // 2, channels, 3, 3)
    padded = np.zeros((n, channels, height + 2, width + 2), np.float32)
    for i in range(3):
        for j in range(3):
            padded[:, :, i : i + height : 2, j : j + width : 2] += parts[..., i, j].transpose(0, 3, 1, 2)
    return padded[:, :, 1:-1, 1:-1]


@functools.cache
def trained() -> Arrays:
    """Weights of convolution, ReLU, convolution, ReLU, product: kernels [maps, channels, 3, 3], `w3` [126, KINDS]."""
    rng = np.random.default_rng(3)
    shapes = {"w1": (9, 8), "b1": (8,), "w2": (72, 14), "b2": (14,), "w3": (14 * 9, KINDS), "b3": (KINDS,)}
    p = {
        name: (rng.standard_normal(dims) * np.sqrt(2 / dims[0]) if len(dims) > 1 else np.zeros(dims)).astype(np.float32)
        for name, dims in shapes.items()
    }
    moments = {name: [np.zeros_like(value), np.zeros_like(value)] for name, value in p.items()}
    data = pictures(2000, seed=1)
    for step in range(1, 301):
        chosen = rng.integers(0, len(data.x), 40)
        gradients = _gradients(p, data.x[chosen], data.kind[chosen])
        for name, gradient in gradients.items():
            mean, square = moments[name]
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient**2 - square)
            p[name] -= 4e-3 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    p["w1"] = p["w1"].T.reshape(8, 1, 3, 3)
    p["w2"] = p["w2"].T.reshape(14, 8, 3, 3)
    return p


def _gradients(p: Arrays, x: np.ndarray, kind: np.ndarray) -> Arrays:
    windows1 = _windows(x)
    first = np.maximum(windows1 @ p["w1"] + p["b1"], 0)
    windows2 = _windows(first.transpose(0, 3, 1, 2))
    second = np.maximum(windows2 @ p["w2"] + p["b2"], 0)
    flat = second.transpose(0, 3, 1, 2).reshape(len(x), -1)
    scores = flat @ p["w3"] + p["b3"]
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares[np.arange(len(x)), kind] -= 1
    shares /= len(x)
    n, height, width, maps = second.shape
    behind = (shares @ p["w3"].T).reshape(n, maps, height, width).transpose(0, 2, 3, 1) * (second > 0)
    inside = _back(behind @ p["w2"].T, (n, first.shape[3], *first.shape[1:3])).transpose(0, 2, 3, 1) * (first > 0)

    def of(windows: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        return windows.reshape(-1, windows.shape[-1]).T @ gradient.reshape(-1, gradient.shape[-1])

    return {
        "w1": of(windows1, inside),
        "b1": inside.sum(axis=(0, 1, 2)),
        "w2": of(windows2, behind),
        "b2": behind.sum(axis=(0, 1, 2)),
        "w3": flat.T @ shares,
        "b3": shares.sum(axis=0),
    }

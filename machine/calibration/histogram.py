"""Histograms of magnitudes, and the ranges that the algorithms of the calibrators take from them."""

from __future__ import annotations

import numpy as np

BINS = 2048
_LEVELS = 128  # magnitudes that INT8 tells apart


class Histogram:
    """How often a tensor held which magnitude: bins of one width from 0 on.

    The first batch that is not all 0 decides the width. Where a later one reaches further, the width is doubled until
    the bins reach as far, so order and size of batches matter a little. Infinities, as in masks, and nan do not count.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.limit = 0.0  # right edge of the last bin; 0: nothing but zeros until now
        self.largest = 0.0

    def add(self, values: np.ndarray) -> None:
        """Count the elements of an array of floats."""
        magnitudes = np.abs(np.asarray(values, np.float32).reshape(-1))
        if not np.isfinite(magnitudes).all():
            magnitudes = magnitudes[np.isfinite(magnitudes)]
        if not magnitudes.size:
            return
        largest = float(magnitudes.max())
        self.largest = max(self.largest, largest)
        if largest == 0:
            self.counts[0] += magnitudes.size
            return
        if self.limit == 0:
            self.limit = largest
        while self.limit < largest:
            self.counts[: BINS // 2] = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts[BINS // 2 :] = 0
            self.limit *= 2
        self.counts += np.histogram(magnitudes, BINS, (0.0, self.limit))[0]

    @property
    def width(self) -> float:
        return self.limit / BINS


def by_largest(histogram: Histogram) -> float:
    """The largest magnitude: nothing is cut off."""
    return histogram.largest


def by_quantile(histogram: Histogram, quantile: float) -> float:
    """The right edge of the first bin up to which this share of the elements lies, at most the largest magnitude."""
    shares = np.cumsum(histogram.counts)
    if not shares[-1]:
        return 0.0
    found = int(np.searchsorted(shares, quantile * shares[-1]))
    return min(histogram.largest, (min(found, BINS - 1) + 1) * histogram.width)


def by_entropy(histogram: Histogram) -> float:
    """The range beyond which cutting off loses least information.

    For each number of bins i from 128 on: P has the first i bins, and in the last of them all that lies beyond. Q has
    what 128 groups of them, of equal width, leave of it: the total of a group, spread over those of its bins that are
    not empty. Of the i with the least Kullback-Leibler divergence of P from Q the last one counts. Bin 0 has as many as
    bin 1, since zeros are exact whatever the range is.

    Source: the entropy calibrator of NVIDIA's pytorch-quantization; TensorRT's own is not published.
    """
    counts = histogram.counts.astype(np.float64)
    counts[0] = counts[1]
    if not counts.any():
        return histogram.largest  # all in bin 0: as wide as the data
    n = np.arange(_LEVELS, BINS + 1)
    total = _sums(counts)
    filled = _sums(counts > 0)
    entropy = _sums(_times_log(counts))
    edges = -(-np.arange(_LEVELS + 1) * n[:, None] // _LEVELS)  # the first bin of each group, [i, group]
    sums = np.diff(total[edges], axis=1)
    means = sums / np.maximum(np.diff(filled[edges], axis=1), 1)
    last = counts[n - 1]
    beyond = total[-1] - total[n]
    of_p = entropy[n] - _times_log(last) + _times_log(last + beyond)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_q = _times_log(sums, means).sum(axis=1) + np.where(beyond > 0, beyond * np.log(means[:, -1]), 0.0)
        divergence = (of_p - of_q) / total[-1] - np.log(total[-1]) + np.log(total[n])
    # Q has nothing where P has the rest, or has nothing at all.
    divergence[((beyond > 0) & (last == 0)) | (total[n] == 0)] = np.inf
    least = np.flatnonzero(divergence <= divergence.min() + 1e-12)[-1]
    return float(min(histogram.largest, n[least] * histogram.width))


def _sums(values: np.ndarray) -> np.ndarray:
    """[k]: the sum of the first k."""
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def _times_log(values: np.ndarray, of: np.ndarray | None = None) -> np.ndarray:
    """values * log(of), 0 where the value is 0."""
    of = values if of is None else of
    result: np.ndarray = np.where(values > 0, values * np.log(np.where(values > 0, of, 1.0)), 0.0)
    return result

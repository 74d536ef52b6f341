"""Ranges from histograms, compared with the algorithms written out in loops."""

import numpy as np
import pytest

from dovetail.machine.calibration.histogram import BINS, Histogram, by_entropy, by_largest, by_quantile


def histogram_of(*batches):
    histogram = Histogram()
    for batch in batches:
        histogram.add(np.asarray(batch, np.float32))
    return histogram


def entropy_in_loops(histogram):
    """The same as `by_entropy`, one number of bins after the other."""
    counts = histogram.counts.astype(np.float64)
    counts[0] = counts[1]
    best, at = np.inf, 0
    for n in range(128, BINS + 1):
        p = counts[:n].copy()
        p[-1] += counts[n:].sum()
        group = np.arange(n) * 128 // n
        filled = counts[:n] > 0
        totals = np.bincount(group, counts[:n], 128)
        q = np.where(filled, totals[group] / np.maximum(np.bincount(group, filled, 128), 1)[group], 0)
        if p.sum() == 0 or q.sum() == 0 or ((p > 0) & (q == 0)).any():
            continue
        p, q = p / p.sum(), q / q.sum()
        divergence = (p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum()
        if divergence <= best + 1e-12:
            best, at = min(best, divergence), n
    return min(histogram.largest, at * histogram.width)


DATA = {
    "normal": lambda rng: rng.standard_normal(20000),
    "laplace": lambda rng: rng.laplace(size=20000),
    "uniform": lambda rng: rng.uniform(-1, 3, 9000),
    "relu": lambda rng: np.maximum(rng.standard_normal(20000), 0),
    "outlier": lambda rng: np.append(rng.standard_normal(20000), 90.0),
    "few": lambda rng: rng.standard_normal(40),
    "two values": lambda rng: rng.choice([0.25, -3.0], 500),
    "one value": lambda rng: np.full(100, 2.5),
    "large numbers": lambda rng: rng.standard_normal(5000) * 1e30,
    "small numbers": lambda rng: rng.standard_normal(5000) * 1e-30,
}


@pytest.mark.parametrize("kind", DATA)
def test_entropy_is_that_of_the_loops(kind):
    histogram = histogram_of(DATA[kind](np.random.default_rng(4)))
    assert by_entropy(histogram) == pytest.approx(entropy_in_loops(histogram), rel=1e-6)


def test_entropy_cuts_an_outlier_off_and_nothing_that_is_even():
    rng = np.random.default_rng(5)
    normal = np.append(rng.standard_normal(50000), 40.0)
    assert by_entropy(histogram_of(normal)) < 10 < by_largest(histogram_of(normal))
    even = rng.uniform(-2, 2, 50000)
    assert by_entropy(histogram_of(even)) == pytest.approx(2, rel=0.02)


def test_later_batches_that_reach_further_double_the_bins():
    rng = np.random.default_rng(6)
    small, large = rng.uniform(-1, 1, 4000), rng.uniform(-11, 11, 4000)
    histogram = histogram_of(small, large)
    assert histogram.counts.sum() == 8000
    assert histogram.limit == pytest.approx(np.abs(small).max() * 16)
    edges = np.arange(BINS + 1) * histogram.width
    at_once = np.histogram(np.abs(np.float32([*small, *large])), edges)[0]
    # An element at an edge may be counted on either side of it.
    assert np.abs(np.cumsum(histogram.counts) - np.cumsum(at_once)).max() <= 2
    assert histogram.largest == np.abs(large).astype(np.float32).max()


def test_zeros_infinities_and_nan():
    histogram = histogram_of(np.zeros(10), [1.0, -np.inf, np.nan, np.inf, 2.0], np.zeros(0))
    assert (histogram.counts.sum(), histogram.largest) == (12, 2.0)
    for of in (by_entropy, by_largest):
        assert of(histogram_of(np.zeros(5))) == 0
        assert of(histogram_of([np.nan])) == 0
    assert by_quantile(histogram_of(), 0.5) == 0


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.9999, 1.0])
def test_a_quantile_is_that_of_numpy_within_a_bin(quantile):
    values = np.random.default_rng(7).standard_normal(30000).astype(np.float32)
    histogram = histogram_of(values)
    wanted = np.quantile(np.abs(values), quantile)
    assert wanted - 1e-6 <= by_quantile(histogram, quantile) <= wanted + 2 * histogram.width

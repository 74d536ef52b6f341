"""ONNX TfIdfVectorizer of integers: windows of the input are compared with the n-grams of the pool, and counted."""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.core.types import DataType, nptype
from dovetail.plugins.onnx import Counts, cast, combined, extents, joined, onnx_op, rank_of, reduced, reshaped, sliced

LARGEST = 1 << 24  # comparisons of one input with n-grams of one size
MODES = ("TF", "IDF", "TFIDF")


def tf_idf_vectorizer(node: Any) -> Any:
    """[C] or [N, C] as [columns] or [N, columns]: how often each n-gram is there, or weights."""
    x, mode, columns = node[0], node.attr("mode"), node.attr("ngram_indexes", ())
    rank, n = rank_of(x), max(columns, default=-1) + 1
    if node.attr("pool_strings") or mode not in MODES or not columns or rank not in (1, 2) or x.shape[-1] < 0:
        facts = {"mode": mode, "modes": ", ".join(MODES), "x": x.symbolic.dims}
        raise node.fail("it needs pool_int64s, a mode, ngram_indexes and one or two dims, the last known", **facts)
    if min(columns) < 0:
        raise node.fail("ngram_indexes are negative", ngram_indexes=min(columns))
    node.reserve(f"{n} columns for {len(columns)} n-grams", bytes=4 * n * len(columns))
    weights = node.attr("weights", ())
    if len(weights) not in (0, n):
        raise node.fail("weights are not one for each column", weights=len(weights), columns=n)
    x = reshaped(node, x, [1, x.shape[0]]) if rank == 1 else x
    batch = extents(node, x)[0]
    found, targets = [], []
    for grams, places in _pool(node):
        starts = _windows(node, x.shape[1], grams.shape[1])
        if len(starts):
            found.append(_counted(node, x, starts, grams))
            targets += [columns[place] for place in places]
    if found:
        y = node.add("Concatenation", found, axis=1)
        y = node.add("MatrixMultiply", [y, (numpy.array(targets)[:, None] == numpy.arange(n)).astype(numpy.float32)])
    else:  # too short for all of them
        none = Counts(node, [0, 0])
        y = sliced(node, node.as_tensor(numpy.zeros((1, 1), numpy.float32)), none, joined(node, [batch, n]), none)
    if mode == "IDF":
        y = combined(node, "MIN", y, 1.0)
    if mode != "TF" and weights:
        y = combined(node, "PROD", y, numpy.array([weights], numpy.float32))
    return reshaped(node, y, [n]) if rank == 1 else y


def _pool(node: Any) -> list[tuple[numpy.ndarray, list[int]]]:
    """(n-grams of one size [count, size], their places in the pool) of each size that counts; the last of equals."""
    pool, limits = node.attr("pool_int64s", ()), node.attr("ngram_counts", ())
    if list(limits) != sorted(limits) or (limits and not 0 <= limits[0] <= limits[-1] <= len(pool)):
        facts = {"ngram_counts": limits[:8], "pool": len(pool)}
        raise node.fail("ngram_counts are not places of the pool, in order", **facts)
    result, first = [], 0
    for size, (start, end) in enumerate(zip(limits, (*limits[1:], len(pool)), strict=True), 1):
        count = max(0, end - start) // size
        grams = {tuple(pool[start + i * size : start + (i + 1) * size]): first + i for i in range(count)}
        first += count
        if grams and node.attr("min_gram_length") <= size <= node.attr("max_gram_length"):
            result.append((numpy.array(list(grams), numpy.int64), list(grams.values())))
    if first > len(node.attr("ngram_indexes")):
        raise node.fail("the pool has more n-grams than ngram_indexes", pool=first, indexes=node.attr("ngram_indexes"))
    return result


def _windows(node: Any, length: int, size: int) -> numpy.ndarray:
    """Places of the items of each window, [windows, size]: neighbours, and those with items left out between."""
    skips = node.attr("max_skip_count", 0) if size > 1 else 0
    if skips < 0:
        raise node.fail("max_skip_count is negative", max_skip_count=skips)
    skips = max(0, min(skips, (length - 1) // (size - 1) - 1)) if size > 1 else 0  # wider windows do not fit
    if length * (skips + 1) * size > LARGEST:
        raise node.fail("so many windows are not imported", length=length, skips=skips, size=size, most=LARGEST)
    steps = [numpy.arange(size) * (skip + 1) for skip in range(skips + 1)]
    return numpy.concatenate([numpy.arange(max(0, length - step[-1]))[:, None] + step for step in steps])


def _counted(node: Any, x: Any, windows: numpy.ndarray, grams: numpy.ndarray) -> Any:
    """[N, n-grams] float32: in how many windows each of them is."""
    if len(windows) * len(grams) > LARGEST:
        raise node.fail("a pool of this size is not imported", windows=len(windows), ngrams=len(grams), most=LARGEST)
    limits = numpy.iinfo(nptype(x.dtype))
    work = x.dtype if limits.min <= grams.min() and grams.max() <= limits.max else DataType.INT64
    x, hits = cast(node, x, work), None
    for place in range(grams.shape[1]):
        items = node.add("Gather", [x, windows[:, place : place + 1]], axis=1)  # [N, windows, 1]
        hit = combined(node, "EQUAL", items, grams[None, None, :, place].astype(nptype(work)))
        hits = hit if hits is None else combined(node, "AND", hits, hit)
    return reduced(node, "SUM", cast(node, hits, DataType.FLOAT), [1], keep_dims=False)


rewrites = (onnx_op("TfIdfVectorizer", rewrite=tf_idf_vectorizer),)

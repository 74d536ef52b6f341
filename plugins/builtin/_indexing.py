"""Indexing in numpy, for the references of Gather and Scatter."""

from __future__ import annotations

import numpy


def by_element(shape, indices, axis):
    """One index an element: it takes the place of the element's own on `axis`."""
    places = list(numpy.indices(indices.shape, sparse=True))
    places[axis] = indices
    return _inside(shape, places, indices.shape)


def by_axis(shape, indices, axis, n_shared):
    """Indices for one axis; the first `n_shared` axes are those of the indices too."""
    result = shape[:axis] + indices.shape[n_shared:] + shape[axis + 1 :]
    grid = list(numpy.indices(result, sparse=True))
    between, behind = (1,) * (axis - n_shared), (1,) * (len(shape) - axis - 1)
    spread = indices.reshape(indices.shape[:n_shared] + between + indices.shape[n_shared:] + behind)
    first_behind = axis + indices.ndim - n_shared
    return _inside(shape, [*grid[:axis], spread, *grid[first_behind:]], result)


def by_tuple(shape, indices, n_shared):
    """Tuples of indices on the last axis, for the axes that follow the shared ones."""
    n_parts = indices.shape[-1]
    result = indices.shape[:-1] + shape[n_shared + n_parts :]
    grid = list(numpy.indices(result, sparse=True))
    behind = (1,) * (len(shape) - n_shared - n_parts)
    parts = [indices[..., k].reshape(indices.shape[:-1] + behind) for k in range(n_parts)]
    return _inside(shape, [*grid[:n_shared], *parts, *grid[indices.ndim - 1 :]], result)


def _inside(shape, places, result):
    """(an index array for each axis, which elements are inside); negative indices count from the end."""
    inside = numpy.ones(result, bool)
    found = []
    for extent, place in zip(shape, places, strict=True):
        place = numpy.where(place < 0, place + extent, place)
        inside &= (place >= 0) & (place < extent)
        found.append(numpy.broadcast_to(place, result))
    return found, inside


def gathered(data, places, inside):
    """The elements, 0 for those that are not inside."""
    result = numpy.zeros(inside.shape, data.dtype)
    result[inside] = data[tuple(place[inside] for place in places)]
    return result


def scattered(data, places, inside, updates, combine=None):
    """`data` with the updates that are inside, in row-major order: the last one holds, or a ufunc combines them."""
    result = data.copy()
    at = tuple(place[inside] for place in places)
    if combine is None:
        result[at] = updates[inside]
    else:
        combine.at(result, at, updates[inside])
    return result

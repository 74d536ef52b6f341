"""Every candidate gets its time, measured on this machine."""

from __future__ import annotations

import functools

from dovetail.core.errors import DovetailError
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.contents import computed
from dovetail.machine.builder.graph import Candidate, Found, Graph, LayerGroup, late_leaves
from dovetail.machine.builder.measurements import bytes_at_opt, named, no_memory, note_loss, trespassed
from dovetail.machine.builder.samples import Arrays, samples


def time_candidates(graph: Graph, build: Build) -> Graph:
    """Measure. A candidate that fails while it is timed loses, and the report says so.

    Failing includes writing outside of its outputs, changing an input, and leaving elements of outputs unwritten. Our
    own kernels on a GPU are not watched for that here but by tests: it takes far longer than they do.

    At builder_optimization_level 0 nothing is timed: what stands first is taken, and watched once it is chosen.

    Raises:
        DovetailError: the only candidates of a group failed; the first error is raised.
        MemoryLimitError: there is no memory for the tensors of a layer.
    """
    if not build.is_timed:
        return graph
    build.measurements.surround(_bytes_of(graph))
    groups = graph.computing_groups()
    for done, group in enumerate(groups):
        build.progress.at("timed", done, len(groups))
        _time(graph, build, group, group.found)
        for layer, found in zip(group.tail, group.found_alone, strict=True):
            _time(graph, build, LayerGroup(layer), found)
        for behind in group.behind.values():
            _time(graph, build, behind, behind.found, is_needed=False)
    return graph


def contents_of(graph: Graph, build: Build, group: LayerGroup) -> Arrays | None:
    """What the inputs of the head hold while its candidates are timed, if their work depends on it; None: samples."""
    if all(writer is not group.head for writer, _ in graph.sizes.values()):
        return None
    try:
        return computed(graph, group, build.measurements.n_threads)
    except Exception as error:
        graph.notes.append(f"{group.label} is timed on made-up contents: {error}")
        return samples(group.head.inputs)


def _bytes_of(graph: Graph) -> int:
    """What passes through the caches in one inference: the constants, and tensors that share memory."""
    groups = graph.computing_groups()
    constants = {id(tensor): tensor for group in groups for tensor in group.inputs if tensor and tensor.is_constant}
    beside = [sum(bytes_at_opt(t) for t in group.tensors if t and not t.is_constant) for group in groups]
    return sum(map(bytes_at_opt, constants.values())) + max(beside, default=0)


def _time(graph: Graph, build: Build, group: LayerGroup, found: Found, is_needed: bool = True) -> None:
    """Give times to the candidates in `found`, which start at the head of `group`.

    Args:
        is_needed: one of them has to be left.
    """
    timed: list[Candidate] = []
    errors: list[Exception] = []
    contents = functools.partial(contents_of, graph, build, group)
    ways = [(group.part(candidate.n_absorbed), candidate) for candidate in found.candidates]
    for (part, candidate), time in zip(ways, build.measurements.times(ways, contents), strict=True):
        if isinstance(time, Exception):
            errors.append(time)
            note_loss(graph, part, candidate, time, "timed")
        else:
            timed.append(candidate.changed(time_ns=time.ns, n_runs=time.runs))
    if timed or not is_needed:
        found.candidates = timed
        return
    is_late = any(leaf.is_size_tensor for t in group.tensors if t for leaf in late_leaves(t.dims))
    if is_late and not any(trespassed(error) for error in errors):
        graph.notes.append(f"{group.label} is not timed: no extents were found that its tensors can have at once")
        return
    first = errors[0]
    if isinstance(first, MemoryError) and not isinstance(first, DovetailError):
        first = no_memory(group)
    raise named(first, group)

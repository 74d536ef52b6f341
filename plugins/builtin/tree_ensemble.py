"""TreeEnsemble."""

from __future__ import annotations

import numpy

from dovetail.core.errors import FieldValueError
from dovetail.core.named import Named
from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin, Tensor, field, require_that

FEATURE, MODE, TRACKS_TRUE, IF_TRUE, IF_FALSE = range(5)  # columns of nodes


class TreeAggregate(Named):
    """What becomes of the votes for a target: their sum, the sum by the number of trees, the least, the greatest."""

    SUM = 0
    AVERAGE = 1
    MIN = 2
    MAX = 3


class TreeEnsemble(Plugin):
    """y[n, t] = sum, over the trees, of the votes for target t of the leaf that row n of x reaches, + base_values[t]

    Inputs    x  [rows, features], float32
    Outputs   y  [rows, n_targets], float32
    Nodes     compare a feature with a split: modes 0 <=, 1 <, 2 >=, 3 >, 4 ==, 5 != lead to the true child or the
              false one; nan to the true child with tracks_true, else wherever the comparison leads
    Children  nodes that come later, or -1 - leaf, as roots too; so a walk always ends
    Leaves    have votes: a target and a weight each, any number of them
    Numerics  votes are summed in float64, in the order of the trees. With MIN and MAX a target without votes is 0
    Errors    FieldValueError if the arrays do not fit together; ShapeError if x lacks a feature
    Source    ONNX TreeEnsemble-5 of ai.onnx.ml, without its post_transform
    """

    namespace = "ai.onnx.ml"

    purpose = "Trees and classifiers"
    x = Input(DataType.FLOAT)
    y = Output(DataType.FLOAT)
    n_targets: int = field(1, doc="Columns of y.", low=1, high=65536)
    aggregate: TreeAggregate = field(TreeAggregate.SUM, doc="What becomes of the votes.")
    nodes: Tensor = field(doc="int32 [nodes, 5]: feature, mode, tracks_true, true child, false child.")
    splits: Tensor = field(doc="float32 [nodes]: what a feature is compared with.")
    roots: Tensor = field(doc="int32 [trees]: the first node of each, or its only leaf.")
    leaves: Tensor = field(doc="int32 [leaves + 1]: where the votes of each leaf begin, then their number.")
    vote_targets: Tensor = field(doc="int32 [votes].")
    vote_weights: Tensor = field(doc="float32 [votes].")
    base_values: Tensor = field(None, doc="float32 [n_targets]: added to each row; 0 where it is absent.")

    def infer(self, x):
        n_features = self._check()
        require_that(
            x.rank == 2 and x.dims[1] >= n_features,
            f"{self.label} cannot take x of {x.dims}",
            [("x", x.dims), ("needed", f"[rows, features], at least {n_features} features")],
            got=str(x.dims),
        )
        return x.like((x.dims[0], self.n_targets))

    def _check(self):
        """How many features the nodes ask for. Raises FieldValueError if the arrays do not fit together."""
        nodes = self._array("nodes", numpy.int32).reshape(-1, 5) if numpy.ndim(self.nodes) == 2 else None
        splits, roots = self._array("splits", numpy.float32), self._array("roots", numpy.int32)
        leaves, targets = self._array("leaves", numpy.int32), self._array("vote_targets", numpy.int32)
        weights = self._array("vote_weights", numpy.float32)
        self._expect(nodes is not None and len(nodes) == len(splits), "nodes", f"[{len(splits)}, 5], as splits")
        self._expect(len(targets) == len(weights), "vote_targets", f"[{len(weights)}], as vote_weights")
        n_leaves, is_sorted = len(leaves) - 1, bool((leaves[1:] >= leaves[:-1]).all())
        is_whole = n_leaves >= 0 and leaves[0] == 0 and leaves[-1] == len(weights) and is_sorted
        self._expect(is_whole, "leaves", f"rising from 0 to the number of votes, {len(weights)}")
        self._expect(_within(targets, 0, self.n_targets), "vote_targets", f"0..{self.n_targets - 1}")
        behind = numpy.arange(1, len(nodes) + 1)[:, None]
        rule = f"nodes behind their own, or -1 - leaf of {n_leaves} leaves"
        for name, places, first in (("roots", roots, 0), ("nodes", nodes[:, IF_TRUE:], behind)):
            is_fine = numpy.where(places >= 0, (places >= first) & (places < len(nodes)), -1 - places < n_leaves)
            self._expect(bool(is_fine.all()), name, rule)
        self._expect(_within(nodes[:, MODE], 0, 6), "nodes", "modes 0..5")
        self._expect(_within(nodes[:, FEATURE], 0, 2**31), "nodes", "features that are not negative")
        if self.base_values is not None:
            given = self._array("base_values", numpy.float32)
            self._expect(len(given) == self.n_targets, "base_values", f"[{self.n_targets}], one a target")
        return int(nodes[:, FEATURE].max(initial=-1)) + 1

    def _array(self, name, dtype):
        value = numpy.asarray(getattr(self, name))
        self._expect(value.dtype == dtype and 1 <= value.ndim <= 2, name, f"an array of {numpy.dtype(dtype).name}")
        return value

    def _expect(self, holds, name, rule):
        if not holds:
            value = numpy.asarray(getattr(self, name))
            raise FieldValueError(
                f"{self.label} cannot take {name} of {value.dtype.name} {list(value.shape)}",
                facts=[(name, rule)],
                field=name,
                expected=rule,
            )

    def reference(self, x):
        nodes = numpy.asarray(self.nodes)
        n_rows, starts = len(x), numpy.asarray(self.leaves)
        is_sum = self.aggregate in (TreeAggregate.SUM, TreeAggregate.AVERAGE)
        total = numpy.full((n_rows, self.n_targets), 0.0 if is_sum else numpy.nan)
        merge = {TreeAggregate.MIN: numpy.fmin, TreeAggregate.MAX: numpy.fmax}.get(self.aggregate, numpy.add)
        for root in numpy.asarray(self.roots):
            leaf = -1 - self._walk(x, nodes, numpy.full(n_rows, root))
            for place in numpy.unique(leaf):
                rows = numpy.flatnonzero(leaf == place)
                for vote in range(starts[place], starts[place + 1]):
                    target, weight = self.vote_targets[vote], numpy.float64(self.vote_weights[vote])
                    total[rows, target] = merge(total[rows, target], weight)
        if self.aggregate == TreeAggregate.AVERAGE:
            total = total / max(len(self.roots), 1)
        total = total if is_sum else numpy.nan_to_num(total, nan=0.0, posinf=numpy.inf, neginf=-numpy.inf)
        base = 0.0 if self.base_values is None else numpy.asarray(self.base_values).astype(numpy.float64)
        return (total + base).astype(x.dtype)

    def _walk(self, x, nodes, place):
        """-1 - leaf of each row."""
        while (place >= 0).any():
            rows = numpy.flatnonzero(place >= 0)
            at = place[rows]
            value, split, mode = x[rows, nodes[at, FEATURE]], self.splits[at], nodes[at, MODE]
            holds = numpy.select(
                [mode == 0, mode == 1, mode == 2, mode == 3, mode == 4],
                [value <= split, value < split, value >= split, value > split, value == split],
                value != split,
            )
            holds |= numpy.isnan(value) & (nodes[at, TRACKS_TRUE] != 0)
            place[rows] = numpy.where(holds, nodes[at, IF_TRUE], nodes[at, IF_FALSE])
        return place


def _within(values, low, high):
    return bool(((values >= low) & (values < high)).all())

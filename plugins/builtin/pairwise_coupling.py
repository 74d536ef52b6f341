"""PairwiseCoupling."""

from __future__ import annotations

import numpy

from dovetail.core.types import DataType
from dovetail.plugins import Input, Output, Plugin, field, require_that

MOST_ROUNDS = 100
PRECISION = 0.005


class PairwiseCoupling(Plugin):
    """y[n] = the probabilities p of all classes that agree best with those of pairs: sum over i, j of
    (r[j, i] p[i] - r[i, j] p[j])^2 is least, where r[i, j] is x[n] of the pair (i, j), and r[j, i] = 1 - r[i, j]

    Inputs    x  [rows, n_classes (n_classes - 1) / 2], float32: how probable the first of two classes is, in the order
                 (0, 1), (0, 2) ... (1, 2) ...; between 0 and 1, without these
    Outputs   y  [rows, n_classes], float32
    Numerics  float64. From equal probabilities on, one after the other is set to its best value, until all conditions
              hold within 0.005 / n_classes or 100 rounds are over, so results are as far from the exact ones as that
    Errors    ShapeError if x has another number of pairs
    Source    Wu, Lin and Weng, Probability Estimates for Multi-class Classification by Pairwise Coupling, 2004; libsvm;
              SVMClassifier of ai.onnx.ml with prob_a and prob_b
    """

    namespace = "ai.onnx.ml"

    purpose = "Trees and classifiers"
    x = Input(DataType.FLOAT)
    y = Output(DataType.FLOAT)
    n_classes: int = field(2, doc="Classes, of which all pairs are in x.", low=2, high=1024)

    def infer(self, x):
        n_pairs = self.n_classes * (self.n_classes - 1) // 2
        require_that(
            x.rank == 2 and x.dims[1] == n_pairs,
            f"{self.label} cannot take x of {x.dims}",
            [("x", x.dims), ("needed", f"[rows, {n_pairs}], the pairs of {self.n_classes} classes")],
            got=str(x.dims),
        )
        return x.like((x.dims[0], self.n_classes))

    def reference(self, x):
        k = self.n_classes
        y = numpy.empty((len(x), k))
        first, second = numpy.triu_indices(k, 1)
        for row, pairs in enumerate(x.astype(numpy.float64)):
            r = numpy.zeros((k, k))
            r[first, second], r[second, first] = pairs, 1 - pairs
            q = -r.T * r
            numpy.fill_diagonal(q, (r * r).sum(axis=0))
            y[row] = self._coupled(q)
        return y.astype(x.dtype)

    def _coupled(self, q):
        k = self.n_classes
        p = numpy.full(k, 1 / k)
        for _ in range(MOST_ROUNDS):
            qp = q @ p
            least = p @ qp
            if numpy.abs(qp - least).max() < PRECISION / k:
                break
            for i in range(k):
                step = (least - qp[i]) / q[i, i]
                p[i] += step
                least = (least + step * (step * q[i, i] + 2 * qp[i])) / (1 + step) ** 2
                qp, p = (qp + step * q[i]) / (1 + step), p / (1 + step)
        return p

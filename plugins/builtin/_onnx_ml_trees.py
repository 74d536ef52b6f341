"""Tree ensembles of ai.onnx.ml: their attributes, and the resulting scores and labels."""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.plugins.builtin._onnx_ml import (
    best_of,
    complement,
    features,
    is_above,
    labelled,
    labels_of,
    n_labels,
    side_by_side,
    transform_of,
    transformed,
)
from dovetail.plugins.builtin._onnx_ml_forest import EQUAL, MEMBER, Forest
from dovetail.plugins.onnx import ELEMENT_TYPES, onnx_op

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
DOUBLE = 11  # TensorProto's number


# ---- attributes


def numbers(node: Any, name: str) -> list[float]:
    """A list of floats, or the tensor of `name`_as_tensor, whose float64 keep their digits; [] if both are absent."""
    tensor = _tensor(node, f"{name}_as_tensor")
    return list(node.attr(name, ())) if tensor is None else tensor


def _tensor(node: Any, name: str) -> list[float] | None:
    for attribute in node.proto.attribute:
        if attribute.name == name and attribute.t.data_type == DOUBLE:
            raw = attribute.t.raw_data
            return numpy.frombuffer(raw, "<f8").tolist() if raw else list(attribute.t.double_data)
    found = node.attr(name)
    return None if found is None else numpy.asarray(found).reshape(-1).tolist()


def _lists(node: Any, names: list[str], n: int, optional: tuple[str, ...] = ()) -> list[list[Any]]:
    """Attributes of one length; zeros for an optional one that is absent."""
    found = []
    for name in names:
        values = list(node.attr(name, ()))
        values = [0] * n if not values and name in optional else values
        if len(values) != n:
            raise node.fail(f"its attribute {name} has another length", length=len(values), wanted=n)
        found.append(values)
    return found


def forest_of(node: Any, prefix: str, n_targets: int) -> Forest:
    """Trees as the operators of one name for nodes and leaves have them; votes are those of `prefix`_ attributes."""
    modes = list(node.attr("nodes_modes", ()))
    n = len(modes)
    names = ["treeids", "nodeids", "featureids", "truenodeids", "falsenodeids", "missing_value_tracks_true"]
    lists = _lists(node, [f"nodes_{name}" for name in names], n, ("nodes_missing_value_tracks_true",))
    trees, ids, feature, if_true, if_false, tracks_true = lists
    splits = numbers(node, "nodes_values") or [0.0] * n
    unknown = [mode for mode in modes if mode != "LEAF" and mode not in MODES[:MEMBER]]
    if unknown or len(splits) != n:
        raise node.fail("its nodes do not fit", modes=", ".join(sorted(set(unknown))) or n, nodes_values=len(splits))
    forest, place = Forest(), {}
    for index, key in enumerate(zip(trees, ids, strict=True)):
        if key in place:
            raise node.fail("two of its nodes have one name", tree=key[0], node=key[1])
        if modes[index] == "LEAF":
            place[key] = -1 - len(forest.votes)
            forest.votes.append([])
        else:
            place[key] = forest.add(feature[index], MODES.index(modes[index]), tracks_true[index], splits[index], 0, 0)
    below = set()
    for index, tree in enumerate(trees):
        here = place[tree, ids[index]]
        if here < 0:
            continue
        for children, child in ((forest.if_true, if_true[index]), (forest.if_false, if_false[index])):
            if (tree, child) not in place:
                raise node.fail("a child is not among its nodes", tree=tree, node=ids[index], child=child)
            children[here] = place[tree, child]
            below.add((tree, child))
    tops: dict[int, list[int]] = {}
    for key, here in place.items():
        tops.setdefault(key[0], [])
        if key not in below:
            tops[key[0]].append(here)
    for tree, roots in tops.items():
        if len(roots) != 1:
            raise node.fail("a tree has not one root", tree=tree, roots=len(roots))
    forest.roots = [roots[0] for roots in tops.values()]
    n_reached = len(forest.order(node))
    if n_reached != len(forest.feature):
        facts = {"nodes": len(forest.feature), "reached": n_reached}
        raise node.fail("its trees turn in a circle, or have nodes that no root leads to", **facts)
    _add_votes(node, forest, prefix, place, n_targets)
    return forest


def _add_votes(node: Any, forest: Forest, prefix: str, place: dict[tuple[int, int], int], n_targets: int) -> None:
    weights = numbers(node, f"{prefix}_weights")
    names = [f"{prefix}_{name}" for name in ("treeids", "nodeids", "ids")]
    for tree, leaf, target, weight in zip(*_lists(node, names, len(weights)), weights, strict=True):
        here = place.get((tree, leaf), 0)
        if here >= 0:
            raise node.fail("a vote is not at a leaf", tree=tree, node=leaf)
        if not 0 <= target < n_targets:
            raise node.fail("a vote is for none of its targets", target=target, targets=n_targets)
        forest.votes[-1 - here].append((target, weight))


# ---- the operators


def votes_of(node: Any, forest: Forest, n_targets: int, aggregate: str = "SUM", base: Any = ()) -> Any:
    """[rows, targets]."""
    fields: dict[str, Any] = forest.fields(node)
    if len(base):
        fields["base_values"] = numpy.asarray(base, numpy.float32)
    layer = node.network.add_plugin(
        "ai.onnx.ml::TreeEnsemble@1",
        [features(node)],
        {"n_targets": n_targets, "aggregate": ("SUM", "AVERAGE", "MIN", "MAX").index(aggregate), **fields},
    )
    return layer.get_output(0)


def regressed(node: Any) -> Any:
    """ONNX TreeEnsembleRegressor. Of a single target onnxruntime transforms with PROBIT alone, and so it is here."""
    n, aggregate, how = node.attr("n_targets", 1), node.attr("aggregate_function", "SUM"), transform_of(node)
    if aggregate not in AGGREGATES:
        raise node.fail("its aggregate_function is not known", aggregate_function=aggregate)
    base = numbers(node, "base_values")
    if len(base) not in (0, n):
        raise node.fail("base_values are not one for each target", base_values=len(base), targets=n)
    y = votes_of(node, forest_of(node, "target", n), n, aggregate, base)
    return transformed(node, y, how if n > 1 or how == "PROBIT" else "NONE")


def ensemble(node: Any) -> Any:
    """ONNX TreeEnsemble-5, whose leaves are apart. post_transform 1 is SOFTMAX, as ONNX says; onnxruntime takes 2."""
    n, number = node.attr("n_targets", 1), node.attr("aggregate_function", 1)
    if number not in range(len(AGGREGATES)):
        raise node.fail("its aggregate_function is not known", aggregate_function=number)
    how = transform_of(node)
    y = votes_of(node, _forest(node, n), n, AGGREGATES[number])
    y = transformed(node, y, how if n > 1 or how == "PROBIT" else "NONE")
    return node.onnx("Cast", [y], to=ELEMENT_TYPES["FLOAT16"]) if node.type_name(0) == "FLOAT16" else y


def _forest(node: Any, n_targets: int) -> Forest:
    modes = [int(mode) for mode in _tensor(node, "nodes_modes") or ()]
    names = ["featureids", "truenodeids", "trueleafs", "falsenodeids", "falseleafs", "missing_value_tracks_true"]
    lists = _lists(node, [f"nodes_{name}" for name in names], len(modes), ("nodes_missing_value_tracks_true",))
    feature, if_true, true_is_leaf, if_false, false_is_leaf, tracks_true = lists
    splits, weights = _tensor(node, "nodes_splits") or [], _tensor(node, "leaf_weights") or []
    (targets,) = _lists(node, ["leaf_targetids"], len(weights))
    if len(splits) != len(modes) or not all(0 <= mode <= MEMBER for mode in modes):
        raise node.fail("its nodes do not fit", nodes_modes=len(modes), nodes_splits=len(splits))
    if not all(0 <= target < n_targets for target in targets):
        raise node.fail("a leaf is for none of its targets", targets=n_targets)
    forest = Forest(votes=[[vote] for vote in zip(targets, weights, strict=True)])

    def child(number: int, is_leaf: int) -> int:
        if not 0 <= number < (len(weights) if is_leaf else len(modes)):
            raise node.fail("a child is not among its nodes or leaves", child=number, leaf=bool(is_leaf))
        return -1 - number if is_leaf else number

    for index, mode in enumerate(modes):
        children = child(if_true[index], true_is_leaf[index]), child(if_false[index], false_is_leaf[index])
        forest.add(feature[index], mode, tracks_true[index], splits[index], *children)
    _expand_members(node, forest)
    forest.roots = [child(root, 0) for root in node.attr("tree_roots", ())]
    return forest


def _expand_members(node: Any, forest: Forest) -> None:
    """A node that asks for one of several values becomes a chain of nodes that ask for one each."""
    sets: list[list[float]] = [[]]
    for value in _tensor(node, "membership_values") or ():
        if value == value:
            sets[-1].append(value)
        else:
            sets.append([])
    places = [place for place, mode in enumerate(forest.mode) if mode == MEMBER]
    if sets[-1:] == [[]]:  # what is behind the last nan
        sets.pop()
    if len(sets) != len(places):
        raise node.fail("membership_values are not one list for each of its nodes", lists=len(sets), nodes=len(places))
    for place, values in zip(places, sets, strict=True):
        forest.mode[place], forest.split[place] = EQUAL, values[0] if values else float("nan")
        rest = forest.if_false[place]
        for value in reversed(values[1:]):
            rest = forest.add(
                forest.feature[place], EQUAL, forest.tracks_true[place], value, forest.if_true[place], rest
            )
        forest.if_false[place] = rest


def classified(node: Any) -> list[Any]:
    """ONNX TreeEnsembleClassifier: the labels, and scores of all classes.

    Two classes of which the trees know one only are scored as onnxruntime does: s is the score of the second one if it
    is above 1/2 where all weights are positive, above 0 else, and the first has 1 - s or -s.
    """
    labels, n, how = labels_of(node, "classlabels_int64s"), n_labels(node, "classlabels_int64s"), transform_of(node)
    forest, base = forest_of(node, "class", n), numbers(node, "base_values")
    if len(base) not in (0, n) and (n > 2 or len(base) != 1):
        raise node.fail("base_values are not one for each class", base_values=len(base), classes=n)
    votes = [vote for leaf in forest.votes for vote in leaf]
    targets, is_positive = {target for target, _ in votes}, all(weight >= 0 for _, weight in votes)
    limit = 0.5 if is_positive else 0.0
    if n == 1:
        scores = votes_of(node, forest, n, base=base)
        whole = None if labels is None else is_above(node, scores, 0.0)
        return [whole, transformed(node, scores, how if how == "PROBIT" else "NONE")]
    if n == 2 and targets == {0} and len(base) < 2:
        column = _column(node, votes_of(node, forest, n, base=[*base, 0.0] if base else ()), 0)
        return [labelled(node, labels, is_above(node, column, limit)), _of_one(node, column, is_positive, how)]
    full = [*base, 0.0] if n == 2 and len(base) == 1 else base
    if n == 2 and len(targets) == 1 and base:  # onnxruntime adds nothing to a class that nobody votes for
        full = [value if index in targets else 0.0 for index, value in enumerate(full)]
    scores = votes_of(node, forest, n, base=full)
    if n == 2 and len(targets) == 1:
        which = is_above(node, _column(node, scores, targets.pop()), limit)
    else:
        which = best_of(node, _of_candidates(node, scores, targets, base))
    return [labelled(node, labels, which), transformed(node, scores, how)]


def _of_candidates(node: Any, scores: Any, targets: set[int], base: list[float]) -> Any:
    """Scores in which a class without any vote, here or in base_values, never wins."""
    n = scores.shape[1]
    if base or len(targets) in (0, n):
        return scores
    never = numpy.array([[0.0 if target in targets else -numpy.inf for target in range(n)]], numpy.float32)
    return node.onnx("Add", [scores, never])


def _column(node: Any, scores: Any, index: int) -> Any:
    return node.onnx("Gather", [scores, numpy.array([index])], axis=1)


def _of_one(node: Any, score: Any, is_positive: bool, how: str) -> Any:
    """Scores of both classes from the only one, [rows, 1]."""
    if how == "PROBIT":
        raise node.fail("PROBIT of two classes of which the trees know one only gives a single score, and not two")
    negative = node.onnx("Neg", [score])
    if how == "LOGISTIC":
        return transformed(node, side_by_side(node, negative, score), how)
    return side_by_side(node, complement(node, score) if is_positive else negative, score)


rewrites = (
    onnx_op("TreeEnsemble", 5, domain="ai.onnx.ml", rewrite=ensemble),
    onnx_op("TreeEnsembleRegressor", domain="ai.onnx.ml", rewrite=regressed),
    onnx_op("TreeEnsembleClassifier", domain="ai.onnx.ml", rewrite=classified),
)

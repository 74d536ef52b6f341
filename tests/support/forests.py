"""Random forests: as the arrays of the layer, and as the attributes of ONNX's operators."""

import numpy as np

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")


def tree(rng, depth, n_features, modes):
    """Nodes as nested (feature, mode, tracks_true, split, true, false); a leaf is None."""
    if depth == 0 or rng.uniform() < 0.15:
        return None
    split = float(np.float32(rng.integers(-4, 5) / 2))
    mode = int(rng.choice(modes))
    below = [tree(rng, depth - 1, n_features, modes) for _ in range(2)]
    return (int(rng.integers(n_features)), mode, int(rng.integers(2)), split, *below)


def forest(seed, n_trees=5, depth=5, n_features=4, modes=range(6)):
    rng = np.random.default_rng(seed)
    return [tree(rng, depth, n_features, list(modes)) for _ in range(n_trees)]


def rows(seed, n, n_features=4, has_nan=True):
    """Features on a grid, so that they meet splits, and some that are not numbers."""
    rng = np.random.default_rng(seed)
    x = (rng.integers(-8, 9, (n, n_features)) / 4).astype(np.float32)
    return np.where(rng.uniform(size=x.shape) < 0.1, np.float32(np.nan), x) if has_nan else x


def holds(mode, value, split):
    return (value <= split, value < split, value >= split, value > split, value == split, value != split)[mode]


def leaves_of(trees, x):
    """For each row the leaf that it reaches in each tree, by paths such as "0tf": the tree, true, false."""
    found = []
    for row in x:
        paths = []
        for index, node in enumerate(trees):
            path = str(index) + ":"
            while node is not None:
                feature, mode, tracks_true, split, if_true, if_false = node
                value = row[feature]
                goes = bool(holds(mode, value, split)) or (bool(tracks_true) and bool(np.isnan(value)))
                path, node = path + "ft"[goes], if_true if goes else if_false
            paths.append(path)
        found.append(paths)
    return found


def walked(trees):
    """(path, node) of all, parents first."""
    stack = [(f"{index}:", node) for index, node in reversed(list(enumerate(trees)))]
    while stack:
        path, node = stack.pop()
        yield path, node
        if node is not None:
            stack += [(path + "f", node[5]), (path + "t", node[4])]


def layer_fields(trees, votes, n_targets, **more):
    """Fields of TreeEnsemble; `votes` are (target, weight) lists by path of a leaf."""
    inner, ends = {}, {}
    for path, node in walked(trees):
        (ends if node is None else inner)[path] = len(ends if node is None else inner)
    place = lambda path: inner[path] if path in inner else -1 - ends[path]  # noqa: E731
    nodes = [(*node[:3], place(path + "t"), place(path + "f")) for path, node in walked(trees) if node is not None]
    splits = [node[3] for _, node in walked(trees) if node is not None]
    all_votes = [vote for path in ends for vote in votes.get(path, ())]
    return {
        "n_targets": n_targets,
        "nodes": np.array(nodes, np.int32).reshape(-1, 5),
        "splits": np.array(splits, np.float32),
        "roots": np.array([place(f"{index}:") for index in range(len(trees))], np.int32),
        "leaves": np.cumsum([0, *(len(votes.get(path, ())) for path in ends)]).astype(np.int32),
        "vote_targets": np.array([target for target, _ in all_votes], np.int32),
        "vote_weights": np.array([weight for _, weight in all_votes], np.float32),
        **more,
    }


def onnx_attributes(trees, votes, prefix):
    """Attributes of TreeEnsembleRegressor ("target") and TreeEnsembleClassifier ("class")."""
    names = {}
    for path, _ in walked(trees):
        tree_id = int(path.split(":")[0])
        names[path] = (tree_id, sum(1 for other, _ in names.values() if other == tree_id))
    everything = list(walked(trees))
    child = lambda path, node, way: names[path + way][1] if node is not None else 0  # noqa: E731
    given = [(names[path], vote) for path, node in everything if node is None for vote in votes.get(path, ())]
    return {
        "nodes_treeids": [names[path][0] for path, _ in everything],
        "nodes_nodeids": [names[path][1] for path, _ in everything],
        "nodes_featureids": [node[0] if node else 0 for _, node in everything],
        "nodes_modes": [MODES[node[1]] if node else "LEAF" for _, node in everything],
        "nodes_missing_value_tracks_true": [node[2] if node else 0 for _, node in everything],
        "nodes_values": [node[3] if node else 0.0 for _, node in everything],
        "nodes_truenodeids": [child(path, node, "t") for path, node in everything],
        "nodes_falsenodeids": [child(path, node, "f") for path, node in everything],
        f"{prefix}_treeids": [name[0] for name, _ in given],
        f"{prefix}_nodeids": [name[1] for name, _ in given],
        f"{prefix}_ids": [vote[0] for _, vote in given],
        f"{prefix}_weights": [vote[1] for _, vote in given],
    }


def random_votes(seed, trees, n_targets, low=-1.0, several=True):
    """Votes of each leaf for one target, or for all of them."""
    rng = np.random.default_rng(seed)
    weight = lambda: float(np.float32(rng.uniform(low, 1)))  # noqa: E731
    return {
        path: [(target, weight()) for target in (range(n_targets) if several else [int(rng.integers(n_targets))])]
        for path, node in walked(trees)
        if node is None
    }


def counted(trees, votes, x, n_targets, aggregate="SUM", base=0.0):
    """Scores in float64."""
    scores = np.zeros((len(x), n_targets))
    for row, paths in enumerate(leaves_of(trees, x)):
        for target in range(n_targets):
            weights = [w for path in paths for t, w in votes.get(path, ()) if t == target]
            if aggregate in ("SUM", "AVERAGE"):
                scores[row, target] = sum(weights) / (len(trees) if aggregate == "AVERAGE" else 1)
            elif weights:
                scores[row, target] = (min if aggregate == "MIN" else max)(weights)
    return scores + base

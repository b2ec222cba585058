"""An isolation forest as flat arrays: scikit-learn's scores to the bit, without scikit-learn and without pickle.

Liu, Ting and Zhou, "Isolation Forest", ICDM 2008. The nodes of all trees lie in one array, level by level, siblings
side by side, so that one step down all trees for all rows is `left[node] + (x[feature[node]] > threshold[node])`. A
leaf points to itself and holds a threshold of infinity, so that a finished walk stands still.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

MAX_NODES = 4_000_000
MAX_TREES = 10_000
MAX_FEATURES = 65_534
MAX_DEPTH = 512
CHUNK = 256
"""Rows walked at once: what stays in the cache."""

_HEADER = struct.Struct("<4sIId")
_MAGIC = b"IF\x01\n"
_LEAF = 0xFFFF


class Forest:
    """Immutable. `left` is the left child (the right one follows it), `number` a threshold or, at a leaf, a depth.

    Roots are the first `trees` nodes. `denominator` is trees times the mean depth of a tree of `max_samples`.
    """

    __slots__ = (
        "_depth", "_leaf_depth", "_roots", "_step", "_threshold", "_where",
        "denominator", "feature", "features", "left", "number", "trees",
    )  # fmt: skip

    def __init__(self, left: Places, feature: Places, number: Floats, features: int, denominator: float) -> None:
        """Arrays of shape (nodes,); `feature` is `0xFFFF` at leaves, `features` the width of a row.

        Raises:
            ValueError: when the arrays are not proper trees over `features` columns.
        """
        self.left, self.feature, self.number = left, feature, number
        self.features, self.denominator = features, denominator
        leaf = feature == _LEAF
        self.trees = trees = int(left.size - 2 * np.count_nonzero(~leaf))
        _check(self)
        self._depth = int(_by_level(left, left + 1, leaf, np.arange(trees))[1][-1])
        self._step = np.where(leaf, np.arange(left.size), left)
        self._where = np.where(leaf, 0, feature)
        self._roots = np.arange(trees)
        self._threshold = np.where(leaf, np.inf, number)
        self._leaf_depth = np.where(leaf, number, 0.0)

    @classmethod
    def from_sklearn(cls, est: Any) -> Forest:
        """The forest of a fitted `sklearn.ensemble.IsolationForest`; scikit-learn itself is not imported."""
        trees = [tree.tree_ for tree in est.estimators_]
        width = int(est.n_features_in_)
        columns = [np.asarray(chosen) for chosen in est.estimators_features_]
        # scikit-learn hands a tree its columns rearranged only where it gets fewer than all of them
        columns = [chosen if chosen.size < width else np.arange(width) for chosen in columns]
        left, feature, number = _flatten(trees, columns)
        denominator = float(len(trees) * _mean_depth(np.array([est.max_samples_]))[0])
        return cls(left, feature, number, width, denominator)

    def score_samples(self, X: NDArray[np.floating[Any]]) -> Floats:
        """Minus the anomaly score of each row: (n, features) -> (n,), lower = stranger, as scikit-learn returns it.

        Raises:
            ValueError: when X has another width or a number that is not finite (or not so as float32).
        """
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(X, dtype=np.float32).astype(np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.features:
            raise ValueError(f"expected rows of {self.features} features, got an array of shape {rows.shape}")
        if not np.isfinite(rows).all():
            raise ValueError("features must be finite: a row holds NaN, an infinity or more than a float32 can hold")
        if len(rows) <= CHUNK:
            depths = self._depths(rows)
        else:
            depths = np.concatenate([self._depths(rows[at : at + CHUNK]) for at in range(0, len(rows), CHUNK)])
        exponent = depths / self.denominator if self.denominator else np.ones_like(depths)
        return -(2.0**-exponent)

    def _depths(self, rows: Floats) -> Floats:
        """Sum of path lengths over the trees, (n, features) -> (n,); added one by one as scikit-learn does."""
        count, flat, offset = len(rows), rows.ravel(), None
        node = self._roots
        if count != 1:
            node = np.tile(node, count)
            offset = np.repeat(np.arange(count) * self.features, self.trees)
        step, where, threshold = self._step, self._where, self._threshold
        for _ in range(self._depth):
            cell = where[node] if offset is None else where[node] + offset
            node = step[node] + (flat[cell] > threshold[node])
        lengths: Floats = self._leaf_depth[node].reshape(count, self.trees).cumsum(axis=1)[:, -1]
        return lengths

    def to_bytes(self) -> bytes:
        """Header (magic with version, nodes, features, denominator), then u4 left, u2 feature, f8 number."""
        header = _HEADER.pack(_MAGIC, self.left.size, self.features, self.denominator)
        return b"".join(
            (
                header,
                self.left.astype("<u4").tobytes(),
                self.feature.astype("<u2").tobytes(),
                self.number.astype("<f8").tobytes(),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Forest:
        """The forest that `to_bytes` wrote.

        Raises:
            ValueError: when the bytes are no forest, of another version, cut, too large or not proper trees.
        """
        if len(data) < _HEADER.size:
            raise ValueError(f"{len(data)} bytes are too few for a forest")
        magic, nodes, features, denominator = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise ValueError(f"a forest begins with {_MAGIC!r}, not {magic!r}: not a forest, or of another version")
        if nodes > MAX_NODES or len(data) != _HEADER.size + nodes * 14:
            raise ValueError(f"{len(data)} bytes do not hold the {nodes} nodes announced (at most {MAX_NODES})")
        left = np.frombuffer(data, "<u4", nodes, _HEADER.size).astype(np.intp)
        feature = np.frombuffer(data, "<u2", nodes, _HEADER.size + nodes * 4).astype(np.intp)
        number = np.frombuffer(data, "<f8", nodes, _HEADER.size + nodes * 6).astype(np.float64)
        return cls(left, feature, number, features, denominator)


def _flatten(trees: list[Any], columns: list[NDArray[Any]]) -> tuple[Places, Places, Floats]:
    """`left`, `feature` and `number` of scikit-learn trees in the order described above."""
    starts = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
    leaf = np.concatenate([tree.children_left < 0 for tree in trees])
    lefts = np.concatenate([tree.children_left + start for tree, start in zip(trees, starts, strict=True)])
    rights = np.concatenate([tree.children_right + start for tree, start in zip(trees, starts, strict=True)])
    order, levels = _by_level(lefts, rights, leaf, starts)
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    feature = np.concatenate([chosen[np.maximum(t.feature, 0)] for t, chosen in zip(trees, columns, strict=True)])
    threshold = np.concatenate([tree.threshold for tree in trees])
    samples = np.concatenate([tree.n_node_samples for tree in trees])
    leaf, inner = leaf[order], order[~leaf[order]]
    left, number = np.zeros(order.size, np.intp), (levels + 1 + _mean_depth(samples[order])) - 1.0
    left[~leaf], number[~leaf] = place[lefts[inner]], threshold[inner]
    return left, np.where(leaf, _LEAF, feature[order]).astype(np.intp), number


def _by_level(left: Places, right: Places, leaf: NDArray[np.bool_], roots: Places) -> tuple[Places, Places]:
    """All nodes from the roots down, siblings together, and the level of each (roots: 0).

    Raises:
        ValueError: below `MAX_DEPTH` levels.
    """
    found = [roots]
    while (inner := found[-1][~leaf[found[-1]]]).size:
        if len(found) > MAX_DEPTH:
            raise ValueError(f"a tree is deeper than {MAX_DEPTH} levels")
        found.append(np.stack((left[inner], right[inner]), axis=1).ravel())
    return np.concatenate(found), np.repeat(np.arange(len(found)), [level.size for level in found])


def _mean_depth(samples: NDArray[Any]) -> Floats:
    """c(n) of the paper, equation 1: mean depth of an unsuccessful search among n samples, in scikit-learn's order."""
    depth = np.where(samples == 2, 1.0, 0.0)
    many = samples > 2
    n = samples[many]
    depth[many] = 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
    return depth


def _check(forest: Forest) -> None:
    """Raise ValueError unless the arrays are proper trees: every walk then ends, inside the arrays and the row."""
    nodes, trees, features = forest.left.size, forest.trees, forest.features
    if not (1 <= trees <= MAX_TREES and trees <= nodes <= MAX_NODES and 1 <= features <= MAX_FEATURES):
        raise ValueError(f"a forest of {trees} trees, {nodes} nodes and {features} features is out of bounds")
    if not (np.isfinite(forest.number).all() and 0 <= forest.denominator < np.inf):
        raise ValueError("a threshold, depth or the denominator is not finite")
    leaf = forest.feature == _LEAF
    inner, left = np.flatnonzero(~leaf), forest.left[~leaf]
    if (forest.feature[inner] >= features).any():
        raise ValueError(f"a node asks for a feature beyond the {features} there are")
    if (left <= inner).any() or (left + 1 >= nodes).any():
        raise ValueError("a node's children do not come after it, or lie outside")
    parents = np.bincount(np.concatenate((left, left + 1)), minlength=nodes)
    if parents[:trees].any() or (parents[trees:] != 1).any():
        raise ValueError("a node has no parent, or more than one")
    if (forest.number[leaf] < 0).any():
        raise ValueError("a leaf has a negative depth")

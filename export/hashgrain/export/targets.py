"""Fixed +-1 target codes that carry the class hierarchy.

Fine targets: one Hadamard row per superclass, of which each child class flips its own disjoint mask of bits, so that
siblings stand nearer to one another than to strangers; in deeper hierarchies every group flips bits of its parent's
code, the fewer the deeper it stands. Coarse targets: random codes, one per superclass, kept apart
by a minimum distance. The use of fixed, well separated targets follows OrthoHash (Hoe et al., 2021) and CSQ (Yuan et
al., 2020).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FLIPPED_IN_ALL = 10 / 64
"""Share of the bits by which a class of a deeper hierarchy differs from its first group's code."""

DRAWS = 32
"""Draws of a deeper hierarchy's targets, of which the best nested are taken."""

MAX_FLIPPED_SHARE = 8
"""A child flips at most 1/8 of the bits: at 64 bits siblings are 16 apart and strangers at least 16, mostly 24."""


def fine_targets(parent: NDArray[np.int64], bits: int, seed: int) -> NDArray[np.float32]:
    """Target codes of the classes.

    Args:
        parent: int64 (classes,), the superclass of each class.
        bits: length of the fine code.
        seed: decides signs, rows and masks.

    Returns:
        float32 (classes, bits) of -1 and +1.
    """
    rng = np.random.default_rng(seed)
    superclasses = int(parent.max()) + 1
    bases = _spread_codes(superclasses, bits, rng)
    targets = bases[parent]
    for superclass in range(superclasses):
        children = np.flatnonzero(parent == superclass)
        if len(children) == 1:
            continue
        flips = max(1, min(bits // MAX_FLIPPED_SHARE, bits // len(children)))
        order = rng.permutation(bits)
        for position, child in enumerate(children):
            if (position + 1) * flips <= bits:
                mask = order[position * flips : (position + 1) * flips]
            else:  # more children than disjoint masks
                mask = rng.choice(bits, bits // MAX_FLIPPED_SHARE, replace=False)
            targets[child, mask] *= -1
    return targets


def tree_targets(levels: NDArray[np.int64], bits: int, seed: int) -> NDArray[np.float32]:
    """Target codes of the classes of a hierarchy of any depth: the lower their common ancestor, the nearer they are.

    A group's code is its parent's with some bits flipped. Every level has bits of its own to flip, and more of them
    than the level below, so that cousins are farther apart than siblings by construction; only who share nothing depend
    on the draw, of which the best is taken.

    Args:
        levels: int64 (classes, L), see `hierarchy.Tree`.
        bits: length of the fine code.
        seed: decides the draws; with one level they are those of `fine_targets`.

    Returns:
        float32 (classes, bits) of -1 and +1.
    """
    if levels.shape[1] == 1:
        return fine_targets(levels[:, 0], bits, seed)
    rng = np.random.default_rng(seed)
    drawn = [_draw_tree(levels, bits, rng) for _ in range(DRAWS)]
    return max(drawn, key=lambda targets: _nesting(targets, levels))


def coarse_targets(superclasses: int, bits: int, seed: int) -> NDArray[np.float32]:
    """Target codes of the superclasses, float32 (superclasses, bits) of -1 and +1."""
    return _far_codes(superclasses, bits, np.random.default_rng(seed))


def minimum_distance(targets: NDArray[np.float32]) -> int:
    """The smallest Hamming distance between two rows; the length of a code where there is one row."""
    bits = targets.shape[1]
    distances = (bits - targets @ targets.T) / 2
    np.fill_diagonal(distances, bits)
    return int(distances.min())


def _draw_tree(levels: NDArray[np.int64], bits: int, rng: np.random.Generator) -> NDArray[np.float32]:
    whole = np.hstack([levels, np.arange(len(levels))[:, None]])
    targets = _spread_codes(int(levels[:, 0].max()) + 1, bits, rng)[levels[:, 0]]
    pools = np.array_split(rng.permutation(bits), _pool_ends(whole, bits))
    flips = bits
    for below, pool in enumerate(pools, 1):
        families = [
            np.unique(whole[whole[:, below - 1] == group, below]) for group in range(whole[:, below - 1].max() + 1)
        ]
        flips = max(
            1, min(flips - 1, _wanted_flips(below, levels.shape[1], bits), len(pool) // max(map(len, families)))
        )
        for family in families:
            order = rng.permutation(pool)
            for place, child in enumerate(family if len(family) > 1 else ()):
                mask = order[place * flips : (place + 1) * flips]
                if len(mask) < flips:  # more children than disjoint masks
                    mask = rng.choice(pool, flips, replace=False)
                targets[np.ix_(whole[:, below] == child, mask)] *= -1
    return targets


def _wanted_flips(below: int, depth: int, bits: int) -> int:
    """Fewer and fewer from the first level down, 10 of 64 bits in all."""
    return max(1, round(FLIPPED_IN_ALL * bits * 2 * (depth + 1 - below) / (depth * (depth + 1))))


def _pool_ends(whole: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Where the bits of one level end and those of the next begin, in proportion to what they flip."""
    depth = whole.shape[1] - 1
    wanted = np.array([_wanted_flips(below, depth, bits) for below in range(1, depth + 1)], float)
    ends: NDArray[np.int64] = np.rint(bits * np.cumsum(wanted)[:-1] / wanted.sum()).astype(np.int64)
    return ends


def _nesting(targets: NDArray[np.float32], levels: NDArray[np.int64]) -> int:
    """The least by which pairs of one kinship are farther apart than the farthest pair of the next nearer kinship."""
    distances = (targets.shape[1] - targets @ targets.T) / 2
    kinship = (levels[:, None] == levels[None]).sum(2)
    np.fill_diagonal(kinship, -1)
    kinds = [distances[kinship == depth] for depth in range(levels.shape[1] + 1)]
    kinds = [kind for kind in kinds if len(kind)]
    return int(min((far.min() - near.max() for far, near in pairwise(kinds)), default=0))


def _spread_codes(count: int, bits: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Rows of a Hadamard matrix where its order suffices, each with a random sign; else far random codes."""
    order = 1 << (bits - 1).bit_length()
    if count > order // 2 or order != bits:
        return _far_codes(count, bits, rng)
    rows = rng.permutation(_hadamard(order)[1:])[:count]  # the first row is constant
    signs = rng.choice(np.array([-1, 1], np.float32), (count, 1))
    codes: NDArray[np.float32] = rows * signs
    return codes


def _hadamard(order: int) -> NDArray[np.float32]:
    """Sylvester's construction; the order is a power of two."""
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < order:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def _far_codes(count: int, bits: int, rng: np.random.Generator, pool: int = 4096) -> NDArray[np.float32]:
    """Greedy choice from a random pool: each next code is the one farthest from those chosen, the most balanced first.

    Several starts; the set with the greatest minimum distance wins.
    """
    if count > 1 << bits:
        raise ValueError(f"{count} codes of {bits} bits cannot differ; use more bits")
    best = None
    for _ in range(16):
        candidates = rng.choice(np.array([-1, 1], np.float32), (max(pool, 4 * count), bits))
        chosen = [candidates[0]]
        nearest = (bits - candidates @ chosen[0]) / 2
        while len(chosen) < count:
            # The columns' sums with each added, less what is the same for all: |s + c| is |s| + c sign(s), or 1.
            imbalance = candidates @ np.sign(np.sum(chosen, axis=0))
            pick = int(np.lexsort((imbalance, -nearest))[0])
            chosen.append(candidates[pick])
            nearest = np.minimum(nearest, (bits - candidates @ candidates[pick]) / 2)
        codes = np.stack(chosen)
        if best is None or minimum_distance(codes) > minimum_distance(best):
            best = codes
    assert best is not None
    return best

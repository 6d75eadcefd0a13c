"""Fixed +-1 target codes that carry the class hierarchy.

Fine targets: one Hadamard row per superclass, of which each child class flips its own disjoint mask of bits, so that
siblings stand nearer to one another than to strangers; in deeper hierarchies every group flips bits of its parent's
code. Coarse targets: random codes, one per superclass, kept apart by a minimum distance. The use of fixed, well
separated targets follows OrthoHash (Hoe et al., 2021) and CSQ (Yuan et al., 2020).
"""

from __future__ import annotations

from itertools import pairwise
from math import comb

import numpy as np
from numpy.typing import NDArray

GROUP_BITS = 3 / 8
"""Share of the bits in which groups of a deeper hierarchy differ from their parents, in equal parts for every level.

Groups of one parent differ in half of their level's part: with more, cousins would be as far apart as strangers.
"""

DRAWS, MASKS = 16, 256
"""Draws of a deeper hierarchy's targets, of which the best nested are taken; random masks to choose far ones from."""

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

    A group's code is its parent's with some bits flipped, and every level has bits of its own to flip. Classes flip as
    many as with one level above them, so that the levels above cost them nothing: of 64 bits siblings differ in 16,
    cousins in some 26, strangers in 32 and more, as far as codes can be from one another. Only the nearest kin are
    nearer than all others without exception, where the bits suffice for it; of the rest the best draw is taken.

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
    count = int(levels[:, 0].max()) + 1
    first = max(_spread_codes(count, bits, rng), _far_codes(count, bits, rng, starts=1), key=minimum_distance)
    targets = first[levels[:, 0]]
    for below, (pool, flips) in enumerate(_bits_of_levels(levels.shape[1], bits, rng), 1):
        for group in range(whole[:, below - 1].max() + 1):
            family = np.unique(whole[whole[:, below - 1] == group, below])
            if len(family) == 1:
                continue
            for child, mask in zip(family, _far_masks(len(family), pool, flips, bits, rng), strict=True):
                targets[np.ix_(whole[:, below] == child, mask)] *= -1
    return targets


def _bits_of_levels(depth: int, bits: int, rng: np.random.Generator) -> list[tuple[NDArray[np.int64], int]]:
    """From the second level down to the classes: the bits of a level's own, and how many of them siblings differ in."""
    groups, classes = np.split(rng.permutation(bits), [round(GROUP_BITS * bits)])
    parts = np.array_split(groups, depth - 1)
    return [*((part, max(2, len(part) // 2)) for part in parts), (classes, 2 * (bits // MAX_FLIPPED_SHARE))]


def _far_masks(
    count: int, pool: NDArray[np.int64], apart: int, bits: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """So many sets of bits out of a pool, `apart` from one another; as far as can be where the pool is too small."""
    flips = apart // 2
    if count * flips <= len(pool):
        return np.split(rng.permutation(pool)[: count * flips], count)
    alike = len(pool) / 2 * (1 - max(0.0, 1 - 2 * apart / len(pool)) ** 0.5)  # bits of random sets that are `apart`
    flips = max(flips, round(0.8 * alike))  # chosen ones are farther apart than random ones
    if comb(len(pool), flips) < 4 * count:
        pool = np.arange(bits)  # deep and narrow: a level's own bits do not tell so many children apart
    drawn = rng.random((max(MASKS, 4 * count), len(pool))).argpartition(flips, axis=1)[:, :flips]
    candidates = np.ones((len(drawn), bits), np.float32)
    np.put_along_axis(candidates, pool[drawn], -1, axis=1)
    return [np.flatnonzero(row < 0) for row in _farthest(candidates, count)]


def _nesting(targets: NDArray[np.float32], levels: NDArray[np.int64]) -> list[int]:
    """The least by which pairs of one kinship are farther apart than the farthest of the next nearer kinship.

    The nearest kin come first.
    """
    distances = (targets.shape[1] - targets @ targets.T) / 2
    kinship = (levels[:, None] == levels[None]).sum(2)
    np.fill_diagonal(kinship, -1)
    kinds = [distances[kinship == depth] for depth in range(levels.shape[1], -1, -1)]
    kinds = [kind for kind in kinds if len(kind)]
    return [int(far.min() - near.max()) for near, far in pairwise(kinds)]


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


def _far_codes(
    count: int, bits: int, rng: np.random.Generator, pool: int = 4096, starts: int = 16
) -> NDArray[np.float32]:
    """Codes chosen from random pools, see `_farthest`; the start with the greatest minimum distance wins."""
    if count > 1 << bits:
        raise ValueError(f"{count} codes of {bits} bits cannot differ; use more bits")
    signs = np.array([-1, 1], np.float32)
    drawn = (_farthest(rng.choice(signs, (max(pool, 4 * count), bits)), count) for _ in range(starts))
    return max(drawn, key=minimum_distance)


def _farthest(candidates: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Greedy choice of so many rows of -1 and +1: each next is the one farthest from those chosen, the most balanced
    first."""
    bits = candidates.shape[1]
    chosen = [candidates[0]]
    nearest = (bits - candidates @ chosen[0]) / 2
    while len(chosen) < count:
        # The columns' sums with each added, less what is the same for all: |s + c| is |s| + c sign(s), or 1.
        imbalance = candidates @ np.sign(np.sum(chosen, axis=0))
        pick = int(np.lexsort((imbalance, -nearest))[0])
        chosen.append(candidates[pick])
        nearest = np.minimum(nearest, (bits - candidates @ candidates[pick]) / 2)
    return np.stack(chosen)

"""Fixed +-1 target codes that carry the class hierarchy.

Fine targets: one Hadamard row per superclass, of which each child class flips its own disjoint mask of bits, so that
siblings stand nearer to one another than to strangers. Coarse targets: random codes, one per superclass, kept apart
by a minimum distance. The use of fixed, well separated targets follows OrthoHash (Hoe et al., 2021) and CSQ (Yuan et
al., 2020).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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


def coarse_targets(superclasses: int, bits: int, seed: int) -> NDArray[np.float32]:
    """Target codes of the superclasses, float32 (superclasses, bits) of -1 and +1."""
    return _far_codes(superclasses, bits, np.random.default_rng(seed))


def minimum_distance(targets: NDArray[np.float32]) -> int:
    """The smallest Hamming distance between two rows; the length of a code where there is one row."""
    bits = targets.shape[1]
    distances = (bits - targets @ targets.T) / 2
    np.fill_diagonal(distances, bits)
    return int(distances.min())


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
            column_sums = np.sum(chosen, axis=0)
            imbalance = np.abs(candidates + column_sums).sum(1)
            pick = int(np.lexsort((imbalance, -nearest))[0])
            chosen.append(candidates[pick])
            nearest = np.minimum(nearest, (bits - candidates @ candidates[pick]) / 2)
        codes = np.stack(chosen)
        if best is None or minimum_distance(codes) > minimum_distance(best):
            best = codes
    assert best is not None
    return best

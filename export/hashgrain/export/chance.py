"""Whether two samples differ beyond chance: a z statistic for one bit, a permutation test for all together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 200


@dataclass(frozen=True)
class Tested:
    """A difference between two sets, and the same between random halves of both.

    Attributes:
        found: the difference.
        by_chance: its mean over random divisions of the pooled items.
        by_chance_95: what 95 % of these stay below.
        p: the share of divisions, this one counted in, with as great a difference or a greater one.
    """

    found: float
    by_chance: float
    by_chance_95: float
    p: float


def two_proportions(
    before: NDArray[np.floating], earlier: int, after: NDArray[np.floating], later: int
) -> NDArray[np.float64]:
    """The z statistic of two shares of ones under one common share; 0 where nothing varies.

    Args:
        before, after: float (bits,), the shares.
        earlier, later: over how many items.
    """
    common = (before * earlier + after * later) / (earlier + later)
    error = np.sqrt(common * (1 - common) * (1 / earlier + 1 / later))
    z: NDArray[np.float64] = np.divide(after - before, error, out=np.zeros(len(common)), where=error > 0)
    return z


def permuted(bits: NDArray[np.float32], buckets: NDArray[np.int64], first: int, seed: int) -> tuple[Tested, Tested]:
    """Both statistics of the division into the first so many and the rest, and of random divisions."""
    rng = np.random.default_rng(seed)
    count, total = len(bits), bits.sum(0)
    kinds = int(buckets.max()) + 1
    every = np.bincount(buckets, minlength=kinds)
    differences, divergences = (np.empty(PERMUTATIONS + 1) for _ in range(2))
    for number in range(PERMUTATIONS + 1):
        rows = np.arange(first) if number == 0 else rng.permutation(count)[:first]
        chosen = np.zeros(count, np.float32)
        chosen[rows] = 1
        ones = chosen @ bits
        differences[number] = np.abs(ones / first - (total - ones) / (count - first)).mean()
        inside = np.bincount(buckets[rows], minlength=kinds)
        divergences[number] = jensen_shannon(inside, every - inside)
    return _tested(differences), _tested(divergences)


def _tested(values: NDArray[np.float64]) -> Tested:
    """The first value against the others."""
    found, chance = values[0], values[1:]
    as_great = np.count_nonzero(chance >= found * (1 - 1e-9))
    return Tested(
        float(found), float(chance.mean()), float(np.quantile(chance, 0.95)), (1 + as_great) / (1 + len(chance))
    )


def jensen_shannon(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Divergence of two distributions given as counts, in bits: 0 where they are equal, 1 where they share nothing."""
    one, other = first / first.sum(), second / second.sum()

    def entropy(shares: NDArray[np.float64]) -> float:
        some = shares[shares > 0]
        return float(-(some * np.log2(some)).sum())

    return max(0.0, entropy((one + other) / 2) - (entropy(one) + entropy(other)) / 2)

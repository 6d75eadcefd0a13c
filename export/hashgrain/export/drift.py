"""Two sets of codes side by side: two days of one model, or two models on the same pictures. `compare_codes(a, b)`.

Codes of one model can be compared bit by bit. What a bit's share of ones differs by is held against what it would
differ by if both sets were drawn from one collection: a z statistic for every bit, and for all bits and all buckets
together a permutation test, which knows that bits depend on one another. Codes of different models have no bits in
common; of these only the neighbours can be compared, over the items that both have coded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes import CodeLayout, HashCodes, hamming, unpack_bits
from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.packing import coarse_keys
from hashgrain.export.chance import Tested, permuted, two_proportions
from hashgrain.export.dataset import evenly_spaced_rows
from hashgrain.export.metrics import bucket_statistics, within_nearest

NEIGHBOURS = 10
PROBED = 500
PERMUTED = 50_000
"""The permutation test takes so many items of each set at most, evenly spaced."""

DOUBT = 0.01
"""A bit is named where chance alone would name any bit at all in one comparison of a hundred (Bonferroni)."""


@dataclass(frozen=True, eq=False)
class CodeSet:
    """Codes and whose they are.

    Attributes:
        ids: one per row, unique.
        codes: the codes.
        layout: their lengths.
        fingerprint: of the model that made them.
        name: what to call the set.
    """

    ids: Sequence[str | int]
    codes: HashCodes
    layout: CodeLayout
    fingerprint: str
    name: str

    def bits(self) -> NDArray[np.uint8]:
        """All bits, coarse ones first, uint8 (N, coarse + fine)."""
        coarse = unpack_bits(self.codes.coarse, self.layout.coarse_bits)
        return np.hstack([coarse, unpack_bits(self.codes.fine, self.layout.fine_bits)])


@dataclass(frozen=True)
class SetFigures:
    """What one set looks like by itself.

    Attributes:
        name, fingerprint, items: which it is.
        coarse_imbalance, fine_imbalance: mean over bits of |share of ones - 1/2|.
        least_balanced: the share of ones farthest from 1/2 among all bits.
        buckets, entropy_bits, largest_share, collision: of the coarse code, see `metrics.bucket_statistics`.
    """

    name: str
    fingerprint: str
    items: int
    coarse_imbalance: float
    fine_imbalance: float
    least_balanced: float
    buckets: int
    entropy_bits: float
    largest_share: float
    collision: float


@dataclass(frozen=True)
class MovedBit:
    """A bit whose share of ones changed beyond chance; `level` is coarse or fine, `bit` counts from 0."""

    level: str
    bit: int
    before: float
    after: float
    z: float


@dataclass(frozen=True)
class Shift:
    """How the codes of one model differ between two sets.

    Attributes:
        bits: the mean over bits of |difference of the shares of ones|.
        buckets: the Jensen-Shannon divergence of the two distributions over coarse codes, in bits, 0 to 1.
        limit: |z| beyond which a bit is named.
        moved: those bits, the farthest first.
    """

    bits: Tested
    buckets: Tested
    limit: float
    moved: tuple[MovedBit, ...]


@dataclass(frozen=True)
class Overlap:
    """Neighbours that both sets agree on, by fine + coarse distance.

    Attributes:
        items: that both sets hold; they alone are ranked.
        probed: of them, evenly spaced, looked for their neighbours.
        k: how many neighbours.
        same_neighbours: mean share of the k nearest in one set that are so in the other, ties broken alike.
        by_chance: the same between lists drawn at random.
        same_codes: the share of the items with the same code in both; None between different models.
    """

    items: int
    probed: int
    k: int
    same_neighbours: float
    by_chance: float
    same_codes: float | None


@dataclass(frozen=True)
class CodeComparison:
    """Two sets side by side; `shift` is None between different models, `overlap` where too few items are in both."""

    first: SetFigures
    second: SetFigures
    shift: Shift | None
    overlap: Overlap | None

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def compare_codes(first: CodeSet, second: CodeSet, seed: int = 0) -> CodeComparison:
    """Hold two sets of codes against one another.

    Args:
        first, second: the earlier and the later, or two models' codes of the same items.
        seed: of the permutation test.

    Raises:
        InvalidInput: the sets are of different models and share fewer than three items: there is nothing to compare.
    """
    same_model = first.fingerprint == second.fingerprint
    overlap = _overlap(first, second, same_model)
    if overlap is None and not same_model:
        raise InvalidInput(
            f"{first.name} and {second.name} are codes of different models, {first.fingerprint[:12]} and "
            f"{second.fingerprint[:12]}, and have fewer than three ids in common; encode the same items with both"
        )
    shift = _shift(first, second, seed) if same_model else None
    return CodeComparison(_figures(first), _figures(second), shift, overlap)


def _figures(codes: CodeSet) -> SetFigures:
    ones = codes.bits().mean(0)
    away = np.abs(ones - 0.5)
    bound = codes.layout.coarse_bits
    buckets = bucket_statistics(coarse_keys(codes.codes.coarse, bound))
    return SetFigures(
        name=codes.name,
        fingerprint=codes.fingerprint,
        items=len(codes.codes),
        coarse_imbalance=float(away[:bound].mean()),
        fine_imbalance=float(away[bound:].mean()),
        least_balanced=float(ones[away.argmax()]),
        buckets=int(buckets["buckets"]),
        entropy_bits=buckets["entropy_bits"],
        largest_share=buckets["largest_share"],
        collision=buckets["collision"],
    )


def _shift(first: CodeSet, second: CodeSet, seed: int) -> Shift:
    before, after = first.bits(), second.bits()
    limit = NormalDist().inv_cdf(1 - DOUBT / (2 * before.shape[1]))
    z = two_proportions(before.mean(0), len(before), after.mean(0), len(after))
    moved = []
    for bit in np.argsort(-np.abs(z), kind="stable"):
        if abs(z[bit]) > limit:
            coarse = bit < first.layout.coarse_bits
            level, place = ("coarse", bit) if coarse else ("fine", bit - first.layout.coarse_bits)
            moved.append(MovedBit(level, int(place), before[:, bit].mean(), after[:, bit].mean(), float(z[bit])))
    some = [evenly_spaced_rows(len(rows), PERMUTED) for rows in (before, after)]
    keys = [
        coarse_keys(part.codes.coarse[rows], part.layout.coarse_bits)
        for part, rows in zip((first, second), some, strict=True)
    ]
    pooled = np.concatenate([before[some[0]], after[some[1]]]).astype(np.float32)
    _, buckets = np.unique(np.concatenate(keys), return_inverse=True)
    return Shift(*permuted(pooled, buckets, len(some[0]), seed), limit=limit, moved=tuple(moved))


def _overlap(first: CodeSet, second: CodeSet, same_model: bool) -> Overlap | None:
    place = {item: row for row, item in enumerate(second.ids)}
    pairs = np.array([(row, place[item]) for row, item in enumerate(first.ids) if item in place], np.int64)
    if len(pairs) < 3:
        return None
    one, other = first.codes[pairs[:, 0]], second.codes[pairs[:, 1]]
    k = min(NEIGHBOURS, len(pairs) - 1)
    rows = evenly_spaced_rows(len(pairs), PROBED)
    return Overlap(
        items=len(pairs),
        probed=len(rows),
        k=k,
        same_neighbours=float(np.mean([_same_neighbours(one, other, row, k) for row in rows])),
        by_chance=k / (len(pairs) - 1),
        same_codes=_same_codes(one, other) if same_model else None,
    )


def _same_neighbours(one: HashCodes, other: HashCodes, row: int, k: int) -> float:
    """An item tied at the k-th place belongs to the list as likely as its ties leave room."""
    inside = []
    for codes in (one, other):
        distance = sum(hamming(level[row : row + 1], level)[0].astype(np.int64) for level in (codes.coarse, codes.fine))
        inside.append(within_nearest(np.delete(distance, row), k))
    return float(np.minimum(*inside).sum() / k)


def _same_codes(one: HashCodes, other: HashCodes) -> float:
    same = (one.coarse == other.coarse).all(1) & (one.fine == other.fine).all(1)
    return float(same.mean())

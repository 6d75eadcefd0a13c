"""Rankings as counts, and what they are worth: `RankingFigures`.

A ranking of N items for each of Q queries is kept as counts, int64 (Q, levels, grades): how many items of each grade
stand at each distance, nearest first. With classes and superclasses the grades are 0 for another superclass, 1 for the
same superclass, 2 for the same class; in a deeper hierarchy the depth of the lowest common ancestor (`Tree.kinship`).
The metrics need no more, and a row of counts is a thousandth of a row of distances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hashgrain.codes import HashCodes, hamming
from hashgrain.codes.errors import InvalidInput
from hashgrain.export.hierarchy import Tree
from hashgrain.export.metrics import average_precision, normalised_dcg, precision_at

CHUNK = 16
"""Queries per step: distances to 50,000 items then stay in the processor's cache."""


@dataclass(frozen=True)
class Depths:
    """How far down a ranking the metrics look.

    Attributes:
        precision: k of precision@k.
        ndcg: k of NDCG@k.
    """

    precision: int = 10
    ndcg: int = 100

    def __post_init__(self) -> None:
        if min(self.precision, self.ndcg) < 1:
            raise InvalidInput(f"depths must be at least 1, got precision {self.precision} and NDCG {self.ndcg}")


@dataclass(frozen=True)
class RankingFigures:
    """Means over queries of one ranking; a query for which nothing is relevant counts as 0.

    Attributes:
        fine_map, coarse_map: mAP@ALL where items of the same class, or superclass, are relevant.
        fine_precision, coarse_precision: precision@k.
        ndcg: NDCG@k with gain 2 for the same class, 1 for the same superclass; in a deeper hierarchy the gain is the
            depth of the lowest common ancestor.
    """

    fine_map: float
    coarse_map: float
    fine_precision: float
    coarse_precision: float
    ndcg: float


@dataclass(frozen=True, eq=False)
class Grading:
    """Which items are how relevant to which query.

    Attributes:
        queries: int64 (Q,), the class of each query.
        database: int64 (N,), the class of each item.
        parent: int64 (classes,), the superclass of each class.
        tree: the hierarchy, where it has more levels than these.
    """

    queries: NDArray[np.int64]
    database: NDArray[np.int64]
    parent: NDArray[np.int64]
    tree: Tree | None = None

    def __post_init__(self) -> None:
        for side, labels in (("query", self.queries), ("database", self.database)):
            if len(labels) == 0:
                raise InvalidInput(f"the {side} side is empty; a ranking needs at least one picture on each side")
            if not 0 <= labels.min() <= labels.max() < len(self.parent):
                raise InvalidInput(
                    f"the {side} labels run from {labels.min()} to {labels.max()}, but superclasses are given for "
                    f"{len(self.parent)} classes; give one for each"
                )

    @property
    def hierarchy(self) -> Tree:
        """All levels above the classes."""
        return self.tree or Tree.of_parents(self.parent)

    @property
    def grades(self) -> int:
        """How many grades there are."""
        return self.hierarchy.grades

    @property
    def coarse_grade(self) -> int:
        """The least grade of an item of the query's superclass."""
        return self.hierarchy.coarse_level

    def rows(self, rows: slice | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Grades of all items for some queries, uint8 (queries, N)."""
        found: NDArray[np.uint8] = np.take(self.hierarchy.kinship()[self.queries[rows]], self.database, axis=1)
        return found


@dataclass(frozen=True, eq=False)
class HammingCounts:
    """Counts of three rankings, each int64 (Q, levels, grades): by the fine code, the coarse code, and both."""

    fine: NDArray[np.int64]
    coarse: NDArray[np.int64]
    combined: NDArray[np.int64]


def hamming_counts(queries: HashCodes, database: HashCodes, grading: Grading, progress: bool = False) -> HammingCounts:
    """Rank the database for every query by Hamming distance.

    Args:
        queries, database: codes of Q and of N pictures.
        grading: their labels.
        progress: show a progress bar.

    Raises:
        InvalidInput: codes and labels disagree in number.
    """
    for side, codes, labels in (("query", queries, grading.queries), ("database", database, grading.database)):
        if len(codes) != len(labels):
            raise InvalidInput(f"{len(codes)} {side} codes but {len(labels)} labels; give one label per code")
    fine_levels, coarse_levels = (8 * width + 1 for width in (queries.fine.shape[1], queries.coarse.shape[1]))
    parts = []
    for start in tqdm(range(0, len(queries), CHUNK), desc="ranking", unit="batch", disable=not progress):
        rows = slice(start, start + CHUNK)
        grades = grading.rows(rows)
        fine, coarse = hamming(queries.fine[rows], database.fine), hamming(queries.coarse[rows], database.coarse)
        parts.append(
            (
                count_grades(fine, grades, fine_levels, grading.grades),
                count_grades(coarse, grades, coarse_levels, grading.grades),
                count_grades(fine + coarse, grades, fine_levels + coarse_levels - 1, grading.grades),
            )
        )
    return HammingCounts(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def ranking_figures(counts: NDArray[np.int64], depths: Depths, coarse_grade: int = 1) -> RankingFigures:
    """The figures of a ranking given as counts, int64 (Q, levels, grades); see `Grading.coarse_grade`."""
    return RankingFigures(*(float(column) for column in query_figures(counts, depths, coarse_grade).mean(0)))


def query_figures(counts: NDArray[np.int64], depths: Depths, coarse_grade: int = 1) -> NDArray[np.float64]:
    """The figures of each query, float64 (Q, 5), columns in the order of `RankingFigures`."""
    everything, same_class = counts.sum(2), counts[:, :, -1]
    same_superclass = counts[:, :, coarse_grade:].sum(2)
    return np.stack(
        [
            average_precision(everything, same_class),
            average_precision(everything, same_superclass),
            precision_at(everything, same_class, depths.precision),
            precision_at(everything, same_superclass, depths.precision),
            normalised_dcg(counts, depths.ndcg),
        ],
        axis=1,
    )


def count_grades(
    distances: NDArray[np.uint16], grades: NDArray[np.uint8], levels: int, kinds: int
) -> NDArray[np.int64]:
    """Distances and grades below `kinds`, both (queries, N), to counts, int64 (queries, levels, kinds)."""
    cells = distances * np.uint16(kinds) + grades
    counts = [np.bincount(row, minlength=levels * kinds) for row in cells]
    return np.stack(counts).reshape(len(cells), levels, kinds)

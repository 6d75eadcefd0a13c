"""What the codes are held against: float features, a plain classifier's decision, and chance.

A network that classifies well gives good retrieval of the classes it was trained on whatever its codes are: "rank by
the predicted class" alone often beats published hashing (Sablayrolles et al., "How should we evaluate supervised
hashing?", ICASSP 2017). So that decision is a baseline of its own, beside every figure of the codes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from hashgrain.codes.errors import InvalidInput
from hashgrain.export.rankings import (
    CHUNK,
    Depths,
    Grading,
    RankingFigures,
    query_figures,
    ranking_figures,
)


def cosine_figures(
    queries: NDArray[np.float32],
    database: NDArray[np.float32],
    grading: Grading,
    depths: Depths,
    progress: bool = False,
) -> RankingFigures:
    """Rank by the cosine of float features: what binarising costs.

    Args:
        queries, database: float32 (Q, D) and (N, D).
        grading: their labels.
        depths: see `Depths`.
        progress: show a progress bar.
    """
    left, right = _unit(queries), _unit(database)
    parts = []
    for start in tqdm(range(0, len(left), CHUNK), desc="float baseline", unit="batch", disable=not progress):
        rows = slice(start, start + CHUNK)
        order = np.argsort(-(left[rows] @ right.T), axis=1, kind="stable")
        grades = np.take_along_axis(grading.rows(rows), order, axis=1)
        counts = (grades[:, :, None] == np.arange(grading.grades)).astype(np.int64)
        parts.append(query_figures(counts, depths, grading.coarse_grade))
    return RankingFigures(*(float(column) for column in np.concatenate(parts).mean(0)))


def classifier_figures(
    predicted_queries: NDArray[np.int64], predicted_database: NDArray[np.int64], grading: Grading, depths: Depths
) -> RankingFigures:
    """Rank by predicted class: first the items predicted as the query is, then those of its superclass, then the rest.

    It is the ranking by a code that is one-hot in the predicted class and one-hot in its superclass, and in whatever
    stands above that.

    Args:
        predicted_queries, predicted_database: int64 (Q,) and (N,), see `nearest_centroid`.
        grading: their true labels.
        depths: see `Depths`.
    """
    counts = classifier_counts(predicted_queries, predicted_database, grading)
    return ranking_figures(counts, depths, grading.coarse_grade)


def classifier_counts(
    predicted_queries: NDArray[np.int64], predicted_database: NDArray[np.int64], grading: Grading
) -> NDArray[np.int64]:
    """Counts of the ranking by predicted class, int64 (Q, grades, grades)."""
    classes = len(grading.parent)
    confusion = np.zeros((classes, classes))
    np.add.at(confusion, (predicted_database, grading.database), 1)
    grades, kinds = grading.hierarchy.kinship(), grading.grades
    counts = np.empty((len(predicted_queries), kinds, kinds), np.int64)
    for level, relation in enumerate(reversed(range(kinds))):  # same predicted class, same predicted superclass, ...
        for grade in range(kinds):
            items = (grades == relation).astype(float) @ confusion @ (grades == grade).astype(float)
            counts[:, level, grade] = items[predicted_queries, grading.queries]
    return counts


def nearest_centroid(
    features: NDArray[np.float32], labelled: NDArray[np.float32], labels: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """The class whose centroid is nearest by cosine: a plain classifier on the network's own features.

    An exported model does not carry the targets that it was trained towards; the mean direction of each class in the
    pictures whose labels training may see takes their place.

    Args:
        features: float32 (N, D), what to classify.
        labelled: float32 (M, D), pictures whose labels are known.
        labels: int64 (M,), their classes.
        classes: how many there are; one without a labelled picture is never predicted.

    Returns:
        int64 (N,).
    """
    if len(labelled) != len(labels):
        raise InvalidInput(f"{len(labelled)} labelled features but {len(labels)} labels; give one label per picture")
    sums = np.zeros((classes, labelled.shape[1]), np.float32)
    np.add.at(sums, labels, _unit(labelled))
    scores = features @ _unit(sums).T
    scores[:, np.bincount(labels, minlength=classes) == 0] = -np.inf
    predicted: NDArray[np.int64] = scores.argmax(1).astype(np.int64)
    return predicted


def chance_figures(counts: NDArray[np.int64], depths: Depths, coarse_grade: int = 1) -> RankingFigures:
    """All items of a ranking's counts tied, as if nothing were known; its precision is the share of relevant items."""
    return ranking_figures(counts.sum(1, keepdims=True), depths, coarse_grade)


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: NDArray[np.float32] = features / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit

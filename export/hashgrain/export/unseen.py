"""Classes that training has never seen: `measure_unseen(train, test, settings, seed)`.

A network that has learned to tell its classes apart retrieves them whatever its codes are worth; what the codes know
beyond that shows on other classes (Sablayrolles et al., "How should we evaluate supervised hashing?", ICASSP 2017). As
there, three quarters of the classes are trained on; the test items of the last quarter then query the train items of
that quarter, beside the same for the seen classes. Here the unseen also query the items of all classes, since a
collection that has new classes still has the old ones.

The draw follows from a seed by SHA-256 alone: of the classes in the order of SHA-256("seed:name"), the first quarter is
unseen. Most of these have siblings among the seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from hashgrain.codes import HashCodes
from hashgrain.codes.errors import DataError
from hashgrain.export.baselines import chance_figures, cosine_figures
from hashgrain.export.dataset import LabelledImages, evenly_spaced_rows
from hashgrain.export.fit import fitted_network
from hashgrain.export.inference import network_logits
from hashgrain.export.learned_groups import with_coarse_level
from hashgrain.export.network import HashNetwork
from hashgrain.export.rankings import Depths, Grading, RankingFigures, hamming_counts, ranking_figures
from hashgrain.export.settings import TrainSettings
from hashgrain.export.unlabelled import itq_network

SHARE = 0.25
SEEN, UNSEEN, UNSEEN_AMONG_ALL = "seen", "unseen", "unseen among all"
RANKINGS = (
    "fine code",
    "coarse code",
    "fine + coarse distance",
    "cosine of the fine logits",
    "fine code without labels",
    "cosine of the vectors",
    "chance",
)


@dataclass(frozen=True)
class UnseenFigures:
    """The figures of one ranking of one group with one seed.

    Attributes:
        seed: of the draw of classes and of the training.
        group: SEEN, UNSEEN or UNSEEN_AMONG_ALL.
        queries, items: how many items query how many.
        ranking: one of RANKINGS; without labels is iterative quantisation of the same training vectors.
        figures: see `RankingFigures`.
    """

    seed: int
    group: str
    queries: int
    items: int
    ranking: str
    figures: RankingFigures


def unseen_classes(names: tuple[str, ...], seed: int) -> NDArray[np.int64]:
    """The classes of the draw that are kept from training, int64 (a quarter of them,), ascending."""
    order = sorted(range(len(names)), key=lambda n: hashlib.sha256(f"{seed}:{names[n]}".encode()).digest())
    return np.sort(np.array(order[: round(SHARE * len(names))], np.int64))


def measure_unseen(
    train: LabelledImages,
    test: LabelledImages,
    settings: TrainSettings,
    most_queries: int = 1000,
    progress: bool = False,
) -> Iterator[UnseenFigures]:
    """Fit heads to three quarters of the classes and rank all three groups in every way.

    Args:
        train, test: vectors with the same classes.
        settings: for the heads; `seed` draws the classes, too.
        most_queries: of each group, evenly spaced.
        progress: show progress bars.

    Raises:
        DataError: the splits differ in their classes, or there are fewer than four.
    """
    if train.fine_names != test.fine_names or len(train.fine_names) < 4:
        raise DataError(
            f"{train.source} has {len(train.fine_names)} classes, {test.source} {len(test.fine_names)}; "
            "both need the same four or more"
        )
    new = np.isin(np.arange(len(train.fine_names)), unseen_classes(train.fine_names, settings.seed))
    known, _ = with_coarse_level(settings, _restricted(train, np.flatnonzero(~new)))
    fitted = fitted_network(settings, known, progress)
    plain = itq_network(settings, known.images)
    coded = [tuple(_encode(network, side.images) for side in (test, train)) for network in (fitted, plain)]
    for group, asks, holds in ((SEEN, ~new, ~new), (UNSEEN, new, new), (UNSEEN_AMONG_ALL, new, new | True)):
        asking = np.flatnonzero(asks[test.fine])
        rows = asking[evenly_spaced_rows(len(asking), most_queries)], np.flatnonzero(holds[train.fine])
        grading = Grading(test.fine[rows[0]], train.fine[rows[1]], train.parent, train.tree)
        sides = [tuple(codes[some] for codes, some in zip(pair, rows, strict=True)) for pair in coded]
        vectors = (test.images[rows[0]], train.images[rows[1]])
        for ranking, figures in zip(RANKINGS, _rank(sides[0], sides[1], vectors, grading, progress), strict=True):
            yield UnseenFigures(settings.seed, group, len(rows[0]), len(rows[1]), ranking, figures)


def _restricted(data: LabelledImages, classes: NDArray[np.int64]) -> LabelledImages:
    """The items of some classes, and these classes alone."""
    part = data.take(np.flatnonzero(np.isin(data.fine, classes)))
    groups, parent = np.unique(data.parent[classes], return_inverse=True)
    tree = data.tree
    if tree is not None:
        levels = [np.unique(level, return_inverse=True)[1] for level in tree.levels[classes].T]
        tree = replace(tree, levels=np.stack(levels, axis=1))
    return replace(
        part,
        fine=np.searchsorted(classes, part.fine),
        parent=parent,
        fine_names=tuple(data.fine_names[n] for n in classes),
        coarse_names=tuple(data.coarse_names[n] for n in groups),
        tree=tree,
    )


def _encode(network: HashNetwork, vectors: NDArray[np.float32]) -> HashCodes:
    return HashCodes.from_logits(*network_logits(network, vectors, torch.device("cpu"), batch=4096))


def _rank(
    fitted: tuple[HashCodes, ...],
    plain: tuple[HashCodes, ...],
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]],
    grading: Grading,
    progress: bool,
) -> Iterator[RankingFigures]:
    """The figures of RANKINGS, in their order."""
    depths, grade = Depths(), grading.coarse_grade
    counts = hamming_counts(fitted[0], fitted[1], grading, progress)
    for ranked in (counts.fine, counts.coarse, counts.combined):
        yield ranking_figures(ranked, depths, grade)
    logits = [codes.fine_logits for codes in fitted]
    assert logits[0] is not None
    assert logits[1] is not None
    yield cosine_figures(logits[0], logits[1], grading, depths, progress)
    yield ranking_figures(hamming_counts(plain[0], plain[1], grading, progress).fine, depths, grade)
    yield cosine_figures(*vectors, grading, depths, progress)
    yield chance_figures(counts.fine, depths, grade)

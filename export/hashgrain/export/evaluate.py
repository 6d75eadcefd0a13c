"""Measure an exported model: `evaluate(model, task)`, with the protocol named beside every number."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.packing import coarse_keys
from hashgrain.export.baselines import chance_figures, classifier_figures, cosine_figures, nearest_centroid
from hashgrain.export.dataset import evenly_spaced_rows
from hashgrain.export.metrics import bucket_statistics
from hashgrain.export.partition import PartitionRecall, partition_recall
from hashgrain.export.protocols import RetrievalTask
from hashgrain.export.rankings import Depths, Grading, RankingFigures, hamming_counts, ranking_figures

PARTITION_DEPTH = 10


@dataclass(frozen=True)
class Rankings:
    """One line of figures for each way to rank the database.

    Attributes:
        fine: by the fine code.
        coarse: by the coarse code.
        combined: by fine + coarse distance, as an index ranks.
        float_cosine: by the cosine of the fine logits, over `Evaluation.some_queries` queries.
        classifier: by the class predicted from the fine logits, see `baselines.nearest_centroid`.
        chance: in any order; its precision is the share of relevant pictures.
    """

    fine: RankingFigures
    coarse: RankingFigures
    combined: RankingFigures
    float_cosine: RankingFigures
    classifier: RankingFigures
    chance: RankingFigures


@dataclass(frozen=True)
class Evaluation:
    """Figures of one model under one protocol.

    Attributes:
        protocol: which pictures query which, in words.
        protocol_name: such as ``P2`` or ``P1-59k``.
        seed: of the protocol's draw, None where it draws nothing.
        split_sha256: see `protocols.RetrievalTask`.
        queries, database: how many pictures.
        depths: k of precision@k and of NDCG@k.
        rankings: see `Rankings`.
        classifier_accuracy: share of the queries that the classifier of the baseline puts in their class.
        partition: recall@10 of the fine ranking for the share that is scanned, over some_queries queries.
        some_queries: how many, evenly spaced, where all would take long.
        buckets: see `metrics.bucket_statistics`, over the database.
        fingerprint: of the model.
    """

    protocol: str
    protocol_name: str
    seed: int | None
    split_sha256: str
    queries: int
    database: int
    depths: Depths
    rankings: Rankings
    classifier_accuracy: float
    partition: tuple[PartitionRecall, ...]
    some_queries: int
    buckets: dict[str, float]
    fingerprint: str

    def headline(self) -> dict[str, float]:
        """The mAP@ALL that model cards quote, by name: level and ranking."""
        ranked = self.rankings
        return {
            "fine_map": ranked.fine.fine_map,
            "coarse_map": ranked.coarse.coarse_map,
            "combined_fine_map": ranked.combined.fine_map,
            "combined_coarse_map": ranked.combined.coarse_map,
            "combined_ndcg": ranked.combined.ndcg,
            "float_fine_map": ranked.float_cosine.fine_map,
        }

    def as_dict(self) -> dict[str, object]:
        """For JSON: the headline's figures at the top, then everything."""
        return {**self.headline(), **asdict(self)}


class Encoder(Protocol):
    """What can be measured: an exported model (`OnnxEncoder`) or the network of a run (`RunEncoder`)."""

    @property
    def layout(self) -> CodeLayout:
        """The code lengths."""

    @property
    def input_size(self) -> int:
        """Side of the pictures in pixels; 0 for a model of vectors."""

    @property
    def fingerprint(self) -> str:
        """Names the model in what is reported."""

    def encode(self, images: NDArray[Any], what: str, progress: bool) -> HashCodes:
        """Codes and logits of uint8 pictures (N, S, S, 3), or of float32 vectors (N, D).

        `what` names them beside a progress bar.
        """


def evaluate(
    encoder: Encoder,
    task: RetrievalTask,
    depths: Depths | None = None,
    some_queries: int = 1000,
    progress: bool = False,
) -> Evaluation:
    """Encode both sides and rank the database for every query.

    Args:
        encoder: what is measured.
        task: pictures prepared at the model's input size, in the roles of a protocol.
        depths: k of precision@k and NDCG@k; by default 10 and 100.
        some_queries: how many of the queries, evenly spaced, the float baseline and the partition take.
        progress: show progress bars.

    Raises:
        InvalidInput: the pictures do not fit.
    """
    queries = encoder.encode(task.queries.images, "queries", progress)
    database = encoder.encode(task.database.images, "database", progress)
    some = evenly_spaced_rows(len(queries), some_queries)
    depths = depths or Depths()
    layout = encoder.layout
    predicted = _predict(queries, database, task)
    return Evaluation(
        protocol=task.description,
        protocol_name=task.name,
        seed=task.seed,
        split_sha256=task.split_sha256,
        queries=len(queries),
        database=len(database),
        depths=depths,
        rankings=_rank(queries, database, task, predicted, some, depths, progress),
        classifier_accuracy=float((predicted[0] == task.queries.fine).mean()),
        partition=partition_recall(queries[some], database, layout, PARTITION_DEPTH, progress=progress),
        some_queries=len(some),
        buckets=bucket_statistics(coarse_keys(database.coarse, layout.coarse_bits)),
        fingerprint=encoder.fingerprint,
    )


def _predict(
    queries: HashCodes, database: HashCodes, task: RetrievalTask
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The classifier's classes of queries and database."""
    features = _fine_logits(database)
    labelled, labels = features[task.training], task.database.fine[task.training]
    classes = len(task.database.fine_names)
    return (
        nearest_centroid(_fine_logits(queries), labelled, labels, classes),
        nearest_centroid(features, labelled, labels, classes),
    )


def _rank(
    queries: HashCodes,
    database: HashCodes,
    task: RetrievalTask,
    predicted: tuple[NDArray[np.int64], NDArray[np.int64]],
    some: NDArray[np.int64],
    depths: Depths,
    progress: bool,
) -> Rankings:
    grading = Grading(task.queries.fine, task.database.fine, task.database.parent, task.database.tree)
    part = replace(grading, queries=grading.queries[some])
    counts, coarse = hamming_counts(queries, database, grading, progress), grading.coarse_grade
    return Rankings(
        fine=ranking_figures(counts.fine, depths, coarse),
        coarse=ranking_figures(counts.coarse, depths, coarse),
        combined=ranking_figures(counts.combined, depths, coarse),
        float_cosine=cosine_figures(_fine_logits(queries)[some], _fine_logits(database), part, depths, progress),
        classifier=classifier_figures(*predicted, grading, depths),
        chance=chance_figures(counts.fine, depths, coarse),
    )


def _fine_logits(codes: HashCodes) -> NDArray[np.float32]:
    assert codes.fine_logits is not None  # `OnnxEncoder.encode` asks for them
    return codes.fine_logits

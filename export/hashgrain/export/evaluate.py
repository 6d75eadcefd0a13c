"""Measure an exported model: `evaluate(model, data)`, with the protocol named beside every number."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.packing import coarse_keys
from hashgrain.export.dataset import LabelledImages
from hashgrain.export.metrics import bucket_statistics, cosine_mean_average_precision, mean_average_precision
from hashgrain.export.onnx_session import OnnxEncoder


@dataclass(frozen=True)
class Evaluation:
    """Figures of one model on one pair of query and database sets.

    Attributes:
        protocol: which pictures query which, and the metric, in words.
        fine_map: classes, ranked by the fine code.
        coarse_map: superclasses, ranked by the coarse code.
        combined_coarse_map: superclasses, ranked by fine + coarse distance.
        combined_fine_map: classes, ranked by fine + coarse distance.
        float_fine_map: classes, ranked by the cosine of the fine logits: what binarising costs.
        float_queries: number of queries behind float_fine_map (sorting floats is slow).
        buckets: see `metrics.bucket_statistics`, over the database.
        fingerprint: of the model.
    """

    protocol: str
    fine_map: float
    coarse_map: float
    combined_coarse_map: float
    combined_fine_map: float
    float_fine_map: float
    float_queries: int
    buckets: dict[str, float]
    fingerprint: str

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def evaluate(
    model: Path, queries: LabelledImages, database: LabelledImages, float_queries: int = 1000, progress: bool = False
) -> Evaluation:
    """Encode both sides with ONNX Runtime and rank the database for every query.

    Args:
        model: an exported model.onnx, or the folder of a Triton model that holds one.
        queries, database: pictures prepared at the model's input size, with labels at both levels.
        float_queries: how many of the queries, evenly spaced, the float baseline takes.
        progress: show progress bars.

    Raises:
        InvalidInput, ContractViolation: the model or the pictures do not fit.
    """
    encoder = OnnxEncoder(model)
    query = encoder.encode(queries.images, "queries", progress)
    base = encoder.encode(database.images, "database", progress)
    query_all, base_all = (np.concatenate([codes.fine, codes.coarse], 1) for codes in (query, base))
    some = np.linspace(0, len(queries) - 1, min(float_queries, len(queries))).astype(np.int64)
    assert query.fine_logits is not None
    assert base.fine_logits is not None
    return Evaluation(
        protocol=f"{len(queries)} queries of {queries.source} against {len(database)} of {database.source}, "
        "tie-aware mAP@ALL",
        fine_map=mean_average_precision(query.fine, base.fine, queries.fine, database.fine),
        coarse_map=mean_average_precision(query.coarse, base.coarse, queries.coarse, database.coarse),
        combined_coarse_map=mean_average_precision(query_all, base_all, queries.coarse, database.coarse),
        combined_fine_map=mean_average_precision(query_all, base_all, queries.fine, database.fine),
        float_fine_map=cosine_mean_average_precision(
            query.fine_logits[some], base.fine_logits, queries.fine[some], database.fine
        ),
        float_queries=len(some),
        buckets=bucket_statistics(_keys(base, encoder.contract.layout)),
        fingerprint=encoder.contract.fingerprint,
    )


def _keys(codes: HashCodes, layout: CodeLayout) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    return coarse_keys(codes.coarse, layout.coarse_bits)

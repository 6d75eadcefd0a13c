"""The certificate of a converted model: what lower precision costs in codes and retrieval, and what it gains in speed.

The model that it was made from is the reference. Both encode the same real pictures; see `certificate` for how bits are
compared, `rankings` for mAP (its ties count with their expected value).
"""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes import HashCodes
from hashgrain.codes.cores import usable_cores
from hashgrain.codes.errors import CertificateError
from hashgrain.export.certificate import Certificate, LevelCertificate, compare_logits
from hashgrain.export.onnx_session import OnnxEncoder
from hashgrain.export.precision import Lowering
from hashgrain.export.protocols import RetrievalTask
from hashgrain.export.rankings import Depths, Grading, hamming_counts, ranking_figures
from hashgrain.export.throughput import pictures_per_second
from hashgrain.export.trial import Trial

SPEED_PICTURES = 256
"""At most so many; fewer where the trial has fewer."""


@dataclass(frozen=True)
class Retrieval:
    """mAP@ALL of one model.

    Attributes:
        fine: classes, by the fine code.
        coarse: superclasses, by the coarse code.
        both: superclasses, by fine + coarse distance.
    """

    fine: float
    coarse: float
    both: float


@dataclass(frozen=True)
class RetrievalLoss:
    """What the conversion costs in retrieval: the protocol, and both models' figures under it."""

    protocol: str
    reference: Retrieval
    converted: Retrieval


@dataclass(frozen=True)
class Speed:
    """Pictures per second of both models on this machine, measured in turn.

    Attributes:
        threads: that compute.
        reference, converted: pictures per second.
        ratio: converted / reference; it travels better between machines than the other two.
    """

    threads: int
    reference: float
    converted: float
    ratio: float


@dataclass(frozen=True)
class PrecisionCertificate:
    """What was converted, how, and what came out.

    Attributes:
        fingerprint, reference: of the converted model and of the one that it was made from.
        precision: fp16 or int8.
        calibration: the pictures by which 8-bit ranges were found, None for fp16.
        pictures, source: what the bits were compared on.
        limit: greatest share of bits that was allowed to flip, at each level.
        coarse, fine: differences, where "PyTorch" in `LevelCertificate` stands for the reference.
        retrieval: None where the pictures have no labels.
        speed: on one thread, and on all cores where there are more.
        machine, onnxruntime: where and by what it was measured.
        export: the reference's own certificate, where it was exported in the same step.
    """

    fingerprint: str
    reference: str
    precision: str
    calibration: str | None
    pictures: int
    source: str
    limit: float
    coarse: LevelCertificate
    fine: LevelCertificate
    retrieval: RetrievalLoss | None
    speed: tuple[Speed, ...]
    machine: str
    onnxruntime: str
    export: Certificate | None = None

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    def summary(self) -> str:
        """What matters in a few lines for people."""
        flips = ", ".join(
            f"{level.differing_share:.3%} of the {name} bits flip"
            for name, level in (("coarse", self.coarse), ("fine", self.fine))
        )
        lines = [f"{self.pictures} pictures, {self.precision} against {self.reference[:12]}: {flips}"]
        if self.retrieval:
            before, after = self.retrieval.reference, self.retrieval.converted
            lines += [
                f"mAP of {what}: {old:.4f}, {new:.4f} after"
                for what, old, new in (
                    ("classes by the fine code", before.fine, after.fine),
                    ("superclasses by the coarse code", before.coarse, after.coarse),
                    ("superclasses by both", before.both, after.both),
                )
            ]
            lines.append(f"({self.retrieval.protocol})")
        lines += [
            f"{speed.threads} thread{'s' if speed.threads > 1 else ''}: {speed.converted:,.0f} images/s against "
            f"{speed.reference:,.0f}, {speed.ratio:.2f} times"
            for speed in self.speed
        ]
        return "\n".join(lines)


def certify_precision(
    reference: Path,
    converted: Path,
    lowering: Lowering,
    calibration: str | None,
    trial: Trial,
    export: Certificate | None,
) -> PrecisionCertificate:
    """Compare a converted model with the one that it was made from.

    Args:
        reference, converted: the two model.onnx.
        lowering: how it was converted.
        calibration: by which pictures, in words.
        trial: on which pictures.
        export: see `PrecisionCertificate`.

    Raises:
        CertificateError: more bits flip than the limit allows. Nothing was changed; the model should not be used.
    """
    import onnxruntime

    models = [OnnxEncoder(reference), OnnxEncoder(converted)]
    task, settings = trial.task, trial.settings
    queries = [model.encode(task.queries.images, "queries", settings.progress) for model in models]
    coarse, fine = _compare(*queries)
    _require_within(settings.limit, lowering, {"coarse": coarse, "fine": fine}, len(task.queries))
    retrieval = None
    if not settings.unlabelled:
        database = [model.encode(task.database.images, "database", settings.progress) for model in models]
        figures = [_retrieval(*sides, task, settings.progress) for sides in zip(queries, database, strict=True)]
        retrieval = RetrievalLoss(task.description, *figures)
    return PrecisionCertificate(
        fingerprint=models[1].fingerprint,
        reference=models[0].fingerprint,
        precision=str(lowering.precision),
        calibration=calibration,
        pictures=len(task.queries),
        source=task.queries.source,
        limit=settings.limit,
        coarse=coarse,
        fine=fine,
        retrieval=retrieval,
        speed=tuple(
            compare_speed(reference, converted, task.queries.images, threads) for threads in sorted({1, usable_cores()})
        ),
        machine=f"{platform.machine()}, {usable_cores()} cores",
        onnxruntime=onnxruntime.__version__,
        export=export,
    )


def compare_speed(reference: Path, converted: Path, images: NDArray[np.uint8], threads: int) -> Speed:
    """Measure both models in turn on some pictures, uint8 (N, S, S, 3)."""
    some = images[:SPEED_PICTURES]
    rates = pictures_per_second(
        {
            name: partial(OnnxEncoder(model, threads).encode, some, batch=64)
            for name, model in (("reference", reference), ("converted", converted))
        },
        len(some),
    )
    return Speed(threads, rates["reference"], rates["converted"], rates["converted"] / rates["reference"])


def _compare(reference: HashCodes, converted: HashCodes) -> tuple[LevelCertificate, LevelCertificate]:
    assert reference.coarse_logits is not None  # `OnnxEncoder.encode` asks for all four
    assert reference.fine_logits is not None
    assert converted.coarse_logits is not None
    assert converted.fine_logits is not None
    return (
        compare_logits(reference.coarse_logits, converted.coarse, converted.coarse_logits),
        compare_logits(reference.fine_logits, converted.fine, converted.fine_logits),
    )


def _require_within(limit: float, lowering: Lowering, levels: dict[str, LevelCertificate], pictures: int) -> None:
    for name, level in levels.items():
        if level.differing_share > limit:
            raise CertificateError(
                f"{level.differing_share:.3%} of the {name} bits flip in {lowering.precision} on {pictures} pictures, "
                f"the limit is {limit:.3%}; keep more layers in single precision (--float-layers, here "
                f"{lowering.float_layers}), calibrate by more pictures (--calibrate, here {lowering.calibration}), or "
                "raise --flip-limit if you accept it"
            )


def _retrieval(queries: HashCodes, database: HashCodes, task: RetrievalTask, progress: bool) -> Retrieval:
    grading = Grading(task.queries.fine, task.database.fine, task.database.parent)
    counts = hamming_counts(queries, database, grading, progress)
    depths = Depths()
    return Retrieval(
        fine=ranking_figures(counts.fine, depths).fine_map,
        coarse=ranking_figures(counts.coarse, depths).coarse_map,
        both=ranking_figures(counts.combined, depths).coarse_map,
    )

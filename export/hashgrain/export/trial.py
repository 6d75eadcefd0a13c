"""The pictures on which a converted model is tried beside its original: `load_trial(settings)`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.export.dataset import evenly_spaced, evenly_spaced_rows
from hashgrain.export.protocols import RetrievalTask, load_task
from hashgrain.export.unlabelled import pictures_alone

DEFAULT_LIMIT = 0.02
"""Greatest share of bits that may flip; the default model's 8-bit twin flips half as many."""


@dataclass(frozen=True)
class TrialSettings:
    """Which pictures, and what is asked of the model.

    Attributes:
        data, hierarchy: see `readers.load`.
        unlabelled: look at no labels, so that mAP is not measured.
        protocol, protocol_seed: see `protocols.load_task`.
        pictures: how many of the protocol's queries; on these, bits are compared.
        database: how many pictures they query.
        limit: greatest share of bits, at each level, that may flip.
        progress: show progress bars.
    """

    data: str
    hierarchy: str | None = None
    unlabelled: bool = False
    protocol: str = "p2"
    protocol_seed: int = 0
    pictures: int = 2000
    database: int = 10_000
    limit: float = DEFAULT_LIMIT
    progress: bool = False


@dataclass(frozen=True, eq=False)
class Trial:
    """The pictures, read.

    Attributes:
        task: in their roles; without labels, all of one class.
        settings: as they were asked for.
    """

    task: RetrievalTask
    settings: TrialSettings


def load_trial(settings: TrialSettings, size: int) -> Trial:
    """Read the pictures at the model's input size.

    Raises:
        DataError, InvalidInput: see `protocols.load_task`.
    """
    if settings.unlabelled:
        database = evenly_spaced(pictures_alone(settings.data, "train", size), settings.database)
        queries = evenly_spaced(pictures_alone(settings.data, "test", size), settings.pictures)
        return Trial(RetrievalTask("unlabelled", None, queries, database, np.arange(len(database)), ""), settings)
    task = load_task(
        settings.protocol,
        settings.data,
        size,
        settings.hierarchy,
        settings.protocol_seed,
        settings.pictures,
        settings.database,
    )
    return Trial(task, settings)


def calibration_pictures(trial: Trial, most: int) -> tuple[NDArray[np.uint8], str]:
    """So many of the pictures that training may see, uint8 (N, S, S, 3), and a name for them."""
    rows = trial.task.training[evenly_spaced_rows(len(trial.task.training), most)]
    return trial.task.database.images[rows], f"{len(rows)} of {trial.task.database.source}"

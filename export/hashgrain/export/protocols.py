"""Data sets in the roles of a protocol: `load_task(protocol, data, size)`; the protocols are in `splits`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import DataError, InvalidInput
from hashgrain.export import readers
from hashgrain.export.dataset import LabelledImages, evenly_spaced, evenly_spaced_rows, split_validation
from hashgrain.export.settings import TrainSettings
from hashgrain.export.splits import require_known, split_p1, split_p2


@dataclass(frozen=True, eq=False)
class RetrievalTask:
    """Pictures in their roles.

    Attributes:
        name: the protocol's, such as ``P2`` or ``P1-59k``.
        seed: of the draw, None where the protocol draws nothing.
        queries, database: pictures.
        training: int64 (M,), the positions in the database whose labels training may see.
        split_sha256: `Split.digest` of the whole protocol, before any part of it was taken.
        note: what a reader of the figures must know besides, or "".
    """

    name: str
    seed: int | None
    queries: LabelledImages
    database: LabelledImages
    training: NDArray[np.int64]
    split_sha256: str
    note: str = ""

    @property
    def description(self) -> str:
        """The protocol in one line."""
        drawn = "" if self.seed is None else f" (seed {self.seed})"
        return (
            f"{self.name}{drawn}: {len(self.queries)} queries of {self.queries.source} against {len(self.database)} "
            f"of {self.database.source}{self.note}"
        )


def load_task(
    protocol: str,
    data: str | Path,
    size: int,
    hierarchy: str | Path | None = None,
    seed: int = 0,
    most_queries: int | None = None,
    most_items: int | None = None,
    coarse_level: int = 0,
) -> RetrievalTask:
    """Read a data set and put its pictures in the roles of a protocol.

    Args:
        protocol: one of `splits.PROTOCOLS`.
        data, size, hierarchy, coarse_level: see `readers.load`.
        seed: decides P1's draw.
        most_queries, most_items: take only a part of the queries or of the database, evenly spaced.

    Raises:
        InvalidInput: there is no such protocol, or a class has too few pictures for it.
        DataError: the data cannot be read.
    """
    require_known(protocol)
    train, test = _load_splits(data, size, hierarchy, coarse_level)
    same = _same_pictures(train, test)
    if protocol == "p2":
        split = split_p2(len(train), len(test))
        note = ", the same pictures: each query is in the database" if same else ""
    else:
        split = split_p1(_union_labels(train, test), train.fine_names, seed)
        note = f"; holds for networks trained with protocol p1, protocol_seed {seed}"
    queries = split.queries[evenly_spaced_rows(len(split.queries), most_queries)]
    database = split.database[evenly_spaced_rows(len(split.database), most_items)]
    if len(queries) < len(split.queries) or len(database) < len(split.database):
        note = f" (a part of the protocol's {len(split.queries)} and {len(split.database)}){note}"
    return RetrievalTask(
        _name(protocol, len(split.database)),
        seed if protocol == "p1" else None,
        _take(train, test, queries),
        _take(train, test, database),
        np.flatnonzero(np.isin(database, split.training)),
        split.digest(),
        note,
    )


def training_pictures(
    protocol: str,
    data: str | Path,
    size: int,
    hierarchy: str | Path | None = None,
    seed: int = 0,
    coarse_level: int = 0,
) -> LabelledImages:
    """The pictures that a network may be trained on under a protocol; the arguments are those of `load_task`.

    Raises:
        InvalidInput, DataError: as `load_task`.
    """
    require_known(protocol)
    if protocol == "p2":
        return readers.load(data, "train", size, hierarchy, coarse_level)
    train, test = _load_splits(data, size, hierarchy, coarse_level)
    return _take(train, test, split_p1(_union_labels(train, test), train.fine_names, seed).training)


def run_pictures(settings: TrainSettings) -> LabelledImages:
    """The pictures of a run, those that it holds out included; see `training_pictures`."""
    return training_pictures(
        settings.protocol,
        settings.data,
        settings.input_size,
        settings.hierarchy,
        settings.protocol_seed,
        settings.coarse_level,
    )


def held_out_task(settings: TrainSettings, most_queries: int | None = None) -> RetrievalTask:
    """The pictures that a run held out as queries, those that it was trained on as database: for choosing settings.

    Args:
        settings: of the run.
        most_queries: take only a part of the queries, evenly spaced.

    Raises:
        InvalidInput: the run held nothing out.
        DataError: the data cannot be read.
    """
    database, held_out = split_validation(run_pictures(settings), settings.validation, settings.seed)
    if held_out is None:
        raise InvalidInput("the run held no pictures out; train one with --validation 0.1 to choose settings by")
    queries = evenly_spaced(held_out, most_queries)
    note = f", held out and trained on by a run with validation {settings.validation} and seed {settings.seed}"
    digest = hashlib.sha256(held_out.images.tobytes()).hexdigest()
    return RetrievalTask("held out", None, queries, database, np.arange(len(database)), digest, note)


def _name(protocol: str, database: int) -> str:
    if protocol == "p2":
        return "P2"
    return f"P1-{database // 1000}k" if database >= 1000 and database % 1000 == 0 else f"P1-{database}"


def _load_splits(
    data: str | Path, size: int, hierarchy: str | Path | None, coarse_level: int
) -> tuple[LabelledImages, LabelledImages]:
    """Both splits, with one list of classes; a reader may know a class only from the split that has pictures of it."""
    train, test = (readers.load(data, split, size, hierarchy, coarse_level) for split in ("train", "test"))
    shorter, names = sorted((train.fine_names, test.fine_names), key=len)
    if names[: len(shorter)] != shorter:
        differing = sorted(set(train.fine_names) ^ set(test.fine_names)) or ["their order"]
        raise DataError(
            f"{train.source} and {test.source} differ in their {len(train.fine_names)} and {len(test.fine_names)} "
            f"classes, among them {differing[0]!r}; give both splits the same classes"
        )
    parent = np.zeros(len(names), np.int64)
    parent[test.fine] = test.coarse
    parent[train.fine] = train.coarse
    astray = test.fine[parent[test.fine] != test.coarse]
    if len(astray):
        raise DataError(
            f"{test.source} puts class {names[astray[0]]!r} under another superclass than {train.source}; "
            "give both splits the same hierarchy"
        )
    coarse_names = max(train.coarse_names, test.coarse_names, key=len)
    return (
        replace(train, fine_names=names, parent=parent, coarse_names=coarse_names),
        replace(test, fine_names=names, parent=parent, coarse_names=coarse_names),
    )


def _same_pictures(train: LabelledImages, test: LabelledImages) -> bool:
    """Whether one folder without splits serves as both."""
    return len(train) == len(test) and np.array_equal(train.images, test.images)


def _union_labels(train: LabelledImages, test: LabelledImages) -> NDArray[np.int64]:
    return train.fine if _same_pictures(train, test) else np.concatenate([train.fine, test.fine])


def _take(train: LabelledImages, test: LabelledImages, rows: NDArray[np.int64]) -> LabelledImages:
    """Pictures at rows of the union; nothing is copied that is not asked for."""
    boundary = len(train)
    if rows[-1] < boundary:
        return train.take(rows)
    if rows[0] >= boundary:
        return test.take(rows - boundary)
    first, second = train.take(rows[rows < boundary]), test.take(rows[rows >= boundary] - boundary)
    return replace(
        first,
        images=np.concatenate([first.images, second.images]),
        fine=np.concatenate([first.fine, second.fine]),
        source=f"{train.source} + {test.source}",
    )

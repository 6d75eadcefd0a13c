"""Protocols as rows: which pictures query, which are searched, and which may be trained on.

P2: the test split queries, the train split is both training set and database.
P1: of the union of both splits, 100 pictures of each class query and all others are the database; 500 of these, of
each class, are the training set. On CIFAR-10 the database holds 59,000 pictures ("P1-59k").

P1's draw follows from a seed by SHA-256 alone, so that it can be made again in any language and with any version of
any library: the rows of a class (train split first, then test) are put in the order of SHA-256("seed:row"), row counted
in the union from 0; the first are queries, the next are training pictures.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput

PROTOCOLS = ("p1", "p2")
QUERIES_PER_CLASS = 100
TRAINING_PER_CLASS = 500


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the union of both splits, train first, in their roles.

    Attributes:
        queries: int64 (Q,), ascending.
        database: int64 (N,), ascending.
        training: int64 (M,), ascending, all of them rows of the database too.
    """

    queries: NDArray[np.int64]
    database: NDArray[np.int64]
    training: NDArray[np.int64]

    def digest(self) -> str:
        """SHA-256 over the three lists of rows, as decimal numbers: one line each, separated by spaces."""
        lines = (" ".join(map(str, rows.tolist())) for rows in (self.queries, self.database, self.training))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def split_p2(train: int, test: int) -> Split:
    """P2 over so many pictures in the train and in the test split."""
    rows = np.arange(train + test)
    return Split(queries=rows[train:], database=rows[:train], training=rows[:train])


def split_p1(
    labels: NDArray[np.int64],
    names: tuple[str, ...],
    seed: int,
    queries_per_class: int = QUERIES_PER_CLASS,
    training_per_class: int = TRAINING_PER_CLASS,
) -> Split:
    """P1 over the union of both splits.

    Args:
        labels: int64 (N,), the class of each picture, train split first.
        names: of the classes.
        seed: decides the draw.
        queries_per_class, training_per_class: how many are drawn of each class.

    Raises:
        InvalidInput: a class has too few pictures.
    """
    needed = queries_per_class + training_per_class
    queries, training = [], []
    for label, name in enumerate(names):
        rows = np.flatnonzero(labels == label)
        if len(rows) < needed:
            raise InvalidInput(
                f"protocol p1 draws {queries_per_class} queries and {training_per_class} training pictures of each "
                f"class, but class {name!r} has {len(rows)} pictures, not {needed}; use protocol p2"
            )
        drawn = sorted(rows.tolist(), key=lambda row: hashlib.sha256(f"{seed}:{row}".encode()).digest())
        queries += drawn[:queries_per_class]
        training += drawn[queries_per_class:needed]
    database = np.setdiff1d(np.arange(len(labels)), queries)
    return Split(np.sort(np.array(queries)), database, np.sort(np.array(training)))


def require_known(protocol: str) -> None:
    """Raise InvalidInput where there is no protocol of that name."""
    if protocol not in PROTOCOLS:
        raise InvalidInput(f"no protocol {protocol!r}: choose from {list(PROTOCOLS)}")

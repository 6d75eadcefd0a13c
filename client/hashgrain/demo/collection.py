"""Which pictures the demonstration takes: yours, CIFAR-100 where it is at hand or can be fetched, else drawn ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import DataError
from hashgrain.demo.drawn import drawn_collection

SIZE = 32
"""Side in pixels at which the pictures are kept for the page: CIFAR's own."""


@dataclass(frozen=True, eq=False)
class Collection:
    """Pictures to search in and pictures to search by.

    Attributes:
        images, queries: uint8 (N, S, S, 3) and (Q, S, S, 3).
        labels, query_labels: int64 (N,) and (Q,), the class of each.
        parent: int64 (classes,), the superclass of each class.
        fine_names, coarse_names: names of classes and superclasses.
        source: what they are, in words.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    queries: NDArray[np.uint8]
    query_labels: NDArray[np.int64]
    parent: NDArray[np.int64]
    fine_names: tuple[str, ...]
    coarse_names: tuple[str, ...]
    source: str


def find_collection(data: str | None, images: int, queries: int, announce: Callable[[str], object]) -> Collection:
    """The first of: `data`, a CIFAR-100 folder at hand, CIFAR-100 downloaded, a drawn set.

    Args:
        data: what `readers.load` takes (a folder of Parquet files, a CIFAR archive, a folder tree), or None.
        images, queries: how many pictures to take of each split at most, evenly spaced.
        announce: is told in a line which set it is, and why it is not a better one.

    Raises:
        DataError: `data` was given and cannot be read.
    """
    if data is not None:
        return _labelled(data, images, queries)
    for folder in _folders():
        if any(folder.glob("train*.parquet")):
            return _labelled(str(folder), images, queries)
    try:
        return _downloaded(images, queries, announce)
    except DataError as exc:
        announce(f"{exc}")
        announce("searching DRAWN pictures instead, which say little about real ones")
        return _drawn(images, queries)


def _downloaded(images: int, queries: int, announce: Callable[[str], object]) -> Collection:
    if os.environ.get("HASHGRAIN_NO_DOWNLOAD"):
        raise DataError("no CIFAR-100 at hand, and $HASHGRAIN_NO_DOWNLOAD is set; --data takes a folder or an archive")
    announce("no CIFAR-100 at hand: downloading it (169 MB, once); --data takes a folder or an archive instead")
    return _labelled("cifar100", images, queries)


def _folders() -> list[Path]:
    """Where CIFAR-100 is looked for: below $HASHGRAIN_DATA where it is set, else beside the checkout."""
    own = os.environ.get("HASHGRAIN_DATA")
    roots = [Path(own)] if own else [Path("data"), Path("../shared/data")]
    return [root / "cifar100" for root in roots]


def _labelled(source: str, images: int, queries: int) -> Collection:
    from hashgrain.export import readers
    from hashgrain.export.dataset import evenly_spaced

    base = evenly_spaced(readers.load(source, "train", SIZE), images)
    held_out = evenly_spaced(readers.load(source, "test", SIZE), queries)
    if base.fine_names != held_out.fine_names:
        raise DataError(
            f"{source}: the train split has {len(base.fine_names)} classes, the test split {len(held_out.fine_names)}, "
            "or they differ by name; give both the same classes"
        )
    return Collection(
        base.images, base.fine, held_out.images, held_out.fine, base.parent, base.fine_names, base.coarse_names,
        f"{Path(source).name}: train split searched by pictures of the test split",
    )  # fmt: skip


def _drawn(images: int, queries: int) -> Collection:
    drawn = drawn_collection(min(images, 4000) + min(queries, 400), SIZE, seed=0)
    base, held_out = slice(min(queries, 400), None), slice(None, min(queries, 400))
    return Collection(
        drawn.images[base], drawn.labels[base], drawn.images[held_out], drawn.labels[held_out], drawn.parent,
        drawn.fine_names, drawn.coarse_names, "pictures drawn by the program",
    )  # fmt: skip

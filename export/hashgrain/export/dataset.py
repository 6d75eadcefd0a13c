"""`LabelledImages`: pictures, or vectors in their place, with labels at two levels or more, in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import DataError
from hashgrain.export.hierarchy import Tree


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """N pictures, ready for the network, with class and superclass.

    Attributes:
        images: uint8 (N, S, S, 3), RGB, as `codes.images.prepare` makes them; or vectors, float32 (N, D).
        fine: int64 (N,), index into fine_names.
        parent: int64 (len(fine_names),), the superclass of each class, index into coarse_names.
        fine_names, coarse_names: the names of classes and superclasses.
        source: where they came from, for messages and model cards.
        tree: the hierarchy, where it has more levels than `parent`, which is one of them.
    """

    images: NDArray[Any]
    fine: NDArray[np.int64]
    parent: NDArray[np.int64]
    fine_names: tuple[str, ...]
    coarse_names: tuple[str, ...]
    source: str
    tree: Tree | None = None

    def __post_init__(self) -> None:
        if len(self.images) == 0:
            raise DataError(f"{self.source} holds no pictures")
        if len(self.images) != len(self.fine):
            raise DataError(f"{self.source} holds {len(self.images)} pictures but {len(self.fine)} labels")
        if len(self.parent) != len(self.fine_names):
            raise DataError(
                f"{self.source}: {len(self.fine_names)} classes, but superclasses for {len(self.parent)} of them"
            )

    @property
    def coarse(self) -> NDArray[np.int64]:
        """The superclass of each picture, int64 (N,)."""
        return self.parent[self.fine]

    @property
    def hierarchy(self) -> Tree:
        """All levels above the classes."""
        return self.tree or Tree.of_parents(self.parent)

    @property
    def one_level(self) -> bool:
        """Whether nothing stands above the classes: each is its own superclass."""
        return self.tree is None and self.coarse_names == self.fine_names

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: NDArray[np.int64]) -> LabelledImages:
        """The pictures at some positions, in that order."""
        return replace(self, images=self.images[rows], fine=self.fine[rows])

    def under(self, tree: Tree, coarse_names: tuple[str, ...]) -> LabelledImages:
        """The same under another hierarchy; the names are those of the groups at its coarse level."""
        return replace(self, parent=tree.parent, coarse_names=coarse_names, tree=tree)


def evenly_spaced(data: LabelledImages, most: int | None) -> LabelledImages:
    """At most so many of the pictures, evenly spaced over all; None for all of them."""
    if most is None or most >= len(data):
        return data
    return data.take(evenly_spaced_rows(len(data), most))


def evenly_spaced_rows(count: int, most: int | None) -> NDArray[np.int64]:
    """At most so many of the numbers 0..count - 1, evenly spaced over all, int64; None for all of them."""
    return np.linspace(0, count - 1, count if most is None else min(most, count)).astype(np.int64)


def split_validation(data: LabelledImages, share: float, seed: int) -> tuple[LabelledImages, LabelledImages | None]:
    """Hold out a share of each class's pictures, chosen by the seed; None where the share is 0."""
    if share == 0:
        return data, None
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(data), bool)
    for label in range(len(data.fine_names)):
        rows = np.flatnonzero(data.fine == label)
        held_out[rng.permutation(rows)[: round(share * len(rows))]] = True
    return data.take(np.flatnonzero(~held_out)), data.take(np.flatnonzero(held_out))

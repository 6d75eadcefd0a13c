"""`LabelledImages`: pictures with labels at two levels, in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import DataError


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """N pictures, ready for the network, with class and superclass.

    Attributes:
        images: uint8 (N, S, S, 3), RGB, as `codes.images.prepare` makes them.
        fine: int64 (N,), index into fine_names.
        parent: int64 (len(fine_names),), the superclass of each class, index into coarse_names.
        fine_names, coarse_names: the names of classes and superclasses.
        source: where they came from, for messages and model cards.
    """

    images: NDArray[np.uint8]
    fine: NDArray[np.int64]
    parent: NDArray[np.int64]
    fine_names: tuple[str, ...]
    coarse_names: tuple[str, ...]
    source: str

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

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: NDArray[np.int64]) -> LabelledImages:
        """The pictures at some positions, in that order."""
        return LabelledImages(
            self.images[rows], self.fine[rows], self.parent, self.fine_names, self.coarse_names, self.source
        )


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


def apply_hierarchy(
    fine_names: tuple[str, ...], hierarchy: dict[str, list[str]], source: str
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Turn {superclass: [class, ...]} into `parent` and `coarse_names`.

    Raises:
        DataError: a class stands under no superclass or under two, or a name is no class of the data.
    """
    coarse_names = tuple(hierarchy)
    parent = np.full(len(fine_names), -1, np.int64)
    position = {name: number for number, name in enumerate(fine_names)}
    for superclass, children in hierarchy.items():
        for child in children:
            if child not in position:
                raise DataError(f"the hierarchy puts {child!r} under {superclass!r}, but {source} has no such class")
            if parent[position[child]] >= 0:
                first = coarse_names[parent[position[child]]]
                raise DataError(f"the hierarchy puts {child!r} under both {first!r} and {superclass!r}; choose one")
            parent[position[child]] = coarse_names.index(superclass)
    orphans = [fine_names[n] for n in np.flatnonzero(parent < 0)]
    if orphans:
        raise DataError(f"the hierarchy names no superclass for {len(orphans)} classes, among them {orphans[0]!r}")
    return parent, coarse_names

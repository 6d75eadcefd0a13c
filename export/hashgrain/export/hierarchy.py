"""Hierarchies of classes, of any depth: `Tree`, and the files that users write them in.

A file is one JSON object. A key is a group; under it stands an object of further groups, or a list of classes (and of
such objects, where a group holds both):

    {"animal": {"pet": ["cat", "dog"], "wild": ["fox", {"bear": ["black bear", "polar bear"]}]}, "vehicle": ["bus"]}

Level 1 is just below the root. A class that hangs higher than others stands for itself at the levels below it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import DataError


@dataclass(frozen=True, eq=False)
class Tree:
    """The groups above the classes.

    Attributes:
        levels: int64 (classes, L), the group of each class at each level, from just below the root to the classes'
            parents; at every level numbered from 0. Groups nest: who shares one shares those above it.
        coarse_level: 1..L, the level that the coarse code stands for.
    """

    levels: NDArray[np.int64]
    coarse_level: int = 1

    @classmethod
    def of_parents(cls, parent: NDArray[np.int64]) -> Tree:
        """One level above the classes, int64 (classes,)."""
        return cls(parent[:, None])

    @property
    def parent(self) -> NDArray[np.int64]:
        """The group of each class at the coarse level, int64 (classes,)."""
        return self.levels[:, self.coarse_level - 1]

    @property
    def grades(self) -> int:
        """How many degrees of kinship there are: 0 for strangers to L + 1 for the same class."""
        return int(self.levels.shape[1]) + 2

    def kinship(self) -> NDArray[np.uint8]:
        """Depth of the lowest common ancestor of each two classes, uint8 (classes, classes); L + 1 for the same class.

        Two classes are of one coarse group just where it is at least `coarse_level`.
        """
        shared: NDArray[np.uint8] = (self.levels[:, None] == self.levels[None]).sum(2).astype(np.uint8)
        return shared + np.eye(len(self.levels), dtype=np.uint8)


def read_hierarchy(
    path: Path, fine_names: tuple[str, ...], source: str, coarse_level: int = 0
) -> tuple[Tree, tuple[str, ...]]:
    """Read a hierarchy of some classes from a file.

    Args:
        path: the file, see above.
        fine_names: the classes of the data.
        source: what the data are called in an error.
        coarse_level: see `Tree`; 0 for the parents' level. It has the most groups, so that coarse codes spread over the
            most buckets, and is what two levels of labels say.

    Returns:
        The tree, and the names of the groups at the coarse level.

    Raises:
        DataError: the file cannot be read, a class stands nowhere or twice, or the level does not exist.
    """
    try:
        tree = json.loads(path.read_text())
        paths = list(_paths(tree, ()))
    except (OSError, ValueError) as exc:
        raise DataError(f"cannot read the hierarchy from {path}: {exc}") from exc
    above = _above(paths, fine_names, source)
    depth = max(map(len, above))
    if not 0 <= coarse_level <= depth:
        raise DataError(f"{path} has {depth} levels above the classes, there is no coarse level {coarse_level}")
    whole = [(*groups, *fine_names[n : n + 1] * (depth - len(groups))) for n, groups in enumerate(above)]
    numbered, level = np.empty((len(whole), depth), np.int64), coarse_level or depth
    names: tuple[str, ...] = ()
    for number in range(depth):
        groups = list(dict.fromkeys(path[: number + 1] for path in _in_file_order(paths, whole, fine_names)))
        position = {group: place for place, group in enumerate(groups)}
        numbered[:, number] = [position[path[: number + 1]] for path in whole]
        if number == level - 1:
            names = _names(groups)
    return Tree(numbered, level), names


def _paths(node: Any, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """(group, ..., class) for every class of the file."""
    if isinstance(node, dict):
        for name, below in node.items():
            yield from _paths(below, (*above, name))
    elif isinstance(node, list) and above:
        for child in node:
            if isinstance(child, str):
                yield (*above, child)
            else:
                yield from _paths(child, above)
    else:
        raise ValueError('it must hold one JSON object, {"group": ["class", ...], ...} or groups within groups')


def _above(paths: list[tuple[str, ...]], fine_names: tuple[str, ...], source: str) -> list[tuple[str, ...]]:
    """The groups above each class of the data, from the root."""
    found: dict[str, tuple[str, ...]] = {}
    for *groups, name in paths:
        where = " / ".join(groups)
        if name not in fine_names:
            raise DataError(f"the hierarchy puts {name!r} under {where!r}, but {source} has no such class")
        if name in found:
            first = " / ".join(found[name])
            raise DataError(f"the hierarchy puts {name!r} under both {first!r} and {where!r}; choose one")
        found[name] = tuple(groups)
    orphans = [name for name in fine_names if name not in found]
    if orphans:
        raise DataError(f"the hierarchy names no superclass for {len(orphans)} classes, among them {orphans[0]!r}")
    return [found[name] for name in fine_names]


def _in_file_order(
    paths: list[tuple[str, ...]], whole: list[tuple[str, ...]], fine_names: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    position = {name: number for number, name in enumerate(fine_names)}
    return (whole[position[path[-1]]] for path in paths)


def _names(groups: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The last part of each group's path where that is unique, else the whole path."""
    last = [group[-1] for group in groups]
    return tuple(name if last.count(name) == 1 else " / ".join(group) for name, group in zip(last, groups, strict=True))

"""Collections of pictures, or of vectors, to encode: a folder, a list of paths and addresses; files of many elsewhere.

A source is iterated once, lazily; only one item at a time needs to be in memory. What an item's id is:

    folder      the path relative to the folder, with forward slashes      flowers/rose.jpg
    list        the line as it stands                                      /data/flowers/rose.jpg
    Parquet     the id column, or the file's stem and the row              train/17
    .npy        the file's stem and the row                                train/17
    tar         the archive's stem and the file's path in it               train-003/000017.jpg
    address     as for a folder, or the address as it stands               s3://bucket/rose.jpg

With a `prefix` (several sources at once) the ids of folders, archives and Parquet files begin with it, so that they
stay apart.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Protocol

from hashgrain.client.sources.items import Item, joined, printable
from hashgrain.client.sources.location import Location
from hashgrain.codes.errors import DataError
from hashgrain.codes.images import IMAGE_SUFFIXES


class Source(Protocol):
    """A collection: its items, and how many there are where that is known."""

    def __iter__(self) -> Iterator[Item]:
        """The items, in an order that is the same each time.

        Raises:
            DataError: the collection cannot be read, or turns out to be empty.
        """

    def count(self) -> int | None:
        """Number of items, None where it is not known beforehand (standard input)."""


class FolderSource:
    """Every image file below a folder, folder by folder, sorted; names that begin with a dot are left alone.

    The payload is the path and, below a subfolder, that subfolder as label.

    Raises:
        DataError: there is no such folder, or no image in it.
    """

    def __init__(self, root: Path, prefix: str = "") -> None:
        if not root.is_dir():
            raise DataError(f"{root} is no folder; give a folder of images")
        self._root = root
        self._prefix = prefix
        if next(_walk(root), None) is None:
            raise DataError(self._empty())

    def __iter__(self) -> Iterator[Item]:
        """See `Source`."""
        return map(self._item, _walk(self._root))

    def count(self) -> int:
        """See `Source`; walks the folder once more, so that no list of its files is kept."""
        return sum(1 for _ in _walk(self._root))

    def _item(self, path: Path) -> Item:
        relative = path.relative_to(self._root)
        payload = {"path": printable(str(path.absolute()))}
        if relative.parent.name:
            payload["label"] = printable(relative.parent.as_posix())
        return Item(joined(self._prefix, printable(relative.as_posix())), path, payload)

    def _empty(self) -> str:
        if any(self._root.rglob("*.parquet")):
            return f"{self._root} holds Parquet files and no images; give the .parquet files themselves"
        return f"{self._root} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}); give another folder"


class ListSource:
    """Paths, one a line, as bytes; blank lines are skipped. The payload is the path.

    Args:
        lines: an open binary file, standard input for one.
        name: what to call it in an error.
    """

    def __init__(self, lines: Iterable[bytes], name: str) -> None:
        self._lines = lines
        self._name = name

    def __iter__(self) -> Iterator[Item]:
        """See `Source`."""
        paths = (os.fsdecode(line.rstrip(b"\r\n")) for line in self._lines)
        items = (
            Item(printable(path), Location(path).image(), {"path": printable(path)}) for path in paths if path.strip()
        )
        first = next(items, None)
        if first is None:
            raise DataError(f"{self._name} names no images; give one path a line")
        return chain([first], items)

    def count(self) -> None:
        """See `Source`: not known."""


class Chain:
    """Several sources one after the other; ids are not checked for being unique across them."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    def __iter__(self) -> Iterator[Item]:
        """See `Source`."""
        return chain.from_iterable(self._sources)

    def count(self) -> int | None:
        """See `Source`; None where one of them does not know."""
        total = 0
        for source in self._sources:
            count = source.count()
            if count is None:
                return None
            total += count
        return total


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(folder, name)


def _unreadable(error: OSError) -> None:
    raise DataError(f"the folder {error.filename} cannot be read ({error.strerror}); check its permissions") from error

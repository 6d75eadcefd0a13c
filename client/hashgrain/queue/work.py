"""`Work`: what one worker does at a time, as references: never the pictures' bytes.

In Redis it is JSON, one of

    {"pictures": [{"id": ..., "path": ..., "payload": {...}}, ...]}     "address" in place of "path" where it is remote
    {"archive": {"name": ..., "prefix": ..., "image": ..., "id": ..., "payload": [...]}}

Pictures in a tar archive or a Parquet file have no address of their own, so the whole file is one piece of work.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from hashgrain.client.sources.items import Item
from hashgrain.client.sources.location import Location
from hashgrain.client.sources.open_source import STANDARD_INPUT, ParquetColumns, Part
from hashgrain.codes.errors import DataError, InvalidInput

Reference: TypeAlias = Item | Part
"""A picture that can be found by a path or an address, or a file of pictures."""


@dataclass(frozen=True)
class Work:
    """Some pictures, or a file of pictures.

    Attributes:
        references: pictures, or one `Part` alone.
    """

    references: tuple[Reference, ...]

    def items(self) -> Iterable[Item]:
        """The pictures themselves.

        Raises:
            DataError: the file of pictures cannot be read.
        """
        first = self.references[0]
        if isinstance(first, Part):
            return first.open()
        return [item for item in self.references if isinstance(item, Item)]

    def text(self) -> str:
        """As it stands in Redis."""
        first = self.references[0]
        if isinstance(first, Part):
            value: Any = {"archive": _archive(first)}
        else:
            value = {"pictures": [_picture(item) for item in self.references if isinstance(item, Item)]}
        return json.dumps(value, default=str)

    @classmethod
    def read(cls, text: bytes | str) -> Work:
        """What `text` wrote."""
        value = json.loads(text)
        if "archive" in value:
            return cls((_read_archive(value["archive"]),))
        return cls(tuple(_read_picture(picture) for picture in value["pictures"]))

    def __str__(self) -> str:
        first, last = (name_of(self.references[at]) for at in (0, -1))
        return first if first == last else f"{first} to {last} ({len(self.references)} pictures)"


def shared_parts(parts: Iterable[Part]) -> list[Part]:
    """The same with absolute paths, as all machines must see them.

    Raises:
        InvalidInput: one is standard input, which only one process can read.
        DataError: a path does not exist on this machine.
    """
    shared = []
    for part in parts:
        if part.name == STANDARD_INPUT:
            raise InvalidInput(
                "with --queue, standard input cannot be a source: another process could not go on reading it; write "
                "the list to a .txt file that all machines see"
            )
        part.require_there()
        shared.append(part if Location(part.name).is_remote else replace(part, name=str(Path(part.name).absolute())))
    return shared


def references(parts: Iterable[Part]) -> Iterator[Reference]:
    """All that is to be done, lazily, in an order that is the same each time."""
    for part in parts:
        if part.is_archive:
            yield part
        else:
            yield from part.open()


def pieces(found: Iterable[Reference], size: int) -> Iterator[Work]:
    """Pictures `size` at a time, files of pictures each alone."""
    waiting: list[Reference] = []
    for reference in found:
        if isinstance(reference, Part):
            if waiting:
                yield Work(tuple(waiting))
            waiting = []
            yield Work((reference,))
            continue
        waiting.append(reference)
        if len(waiting) == size:
            yield Work(tuple(waiting))
            waiting = []
    if waiting:
        yield Work(tuple(waiting))


def name_of(reference: Reference) -> str:
    """What to call a reference: a picture's id, a file's path or address."""
    return reference.name if isinstance(reference, Part) else str(reference.id)


def _picture(item: Item) -> dict[str, Any]:
    if isinstance(item.image, Path):
        place = {"path": str(item.image.absolute())}
    else:
        address = getattr(item.image, "address", None)
        if address is None:
            raise DataError(f"{item.id} has no path or address by which another machine could find it")
        place = {"address": address}
    return {"id": item.id, **place, "payload": item.payload}


def _read_picture(value: dict[str, Any]) -> Item:
    image = Path(value["path"]) if "path" in value else Location(value["address"]).image()
    return Item(value["id"], image, value["payload"])


def _archive(part: Part) -> dict[str, Any]:
    columns = part.columns
    return {
        "name": part.name,
        "prefix": part.prefix,
        "image": columns.image,
        "id": columns.id,
        "payload": columns.payload,
    }


def _read_archive(value: dict[str, Any]) -> Part:
    columns = ParquetColumns(value["image"], value["id"], tuple(value["payload"]))
    return Part(value["name"], value["prefix"], columns)

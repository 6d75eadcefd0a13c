"""`Item`: one picture of a collection, what it is called, and by what it is known again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

ItemId: TypeAlias = str | int


class Readable(Protocol):
    """An image file that is neither on this machine's disk nor in memory yet; threads may read several at a time."""

    @property
    def stamp(self) -> bytes | None:
        """Changes when the file does, see `stamp_of`; None where nobody can tell without reading it."""

    def read(self, name: str) -> bytes:
        """The file's bytes.

        Raises:
            ImageRejected: it cannot be read; `name` is what to call it.
        """


@dataclass(frozen=True)
class Item:
    """One picture of a collection.

    Attributes:
        id: unique in the collection.
        image: its path, its file's bytes, or what reads these; of a collection of vectors, its float32 values as bytes.
        payload: what an index keeps beside the code; values that JSON knows.
    """

    id: ItemId
    image: Path | bytes | Readable
    payload: dict[str, Any] = field(default_factory=dict)


def joined(prefix: str, name: str) -> str:
    """An id below a prefix."""
    return f"{prefix.rstrip('/')}/{name}" if prefix else name


def printable(text: str) -> str:
    r"""A file name with the bytes that are no UTF-8 spelled out (``caf\udce9``), for Parquet and Redis."""
    return text.encode("utf-8", "backslashreplace").decode()


def stamp_of(*facts: object) -> bytes:
    """A stamp, 16 bytes, of what tells whether a file has changed."""
    return hashlib.blake2b(repr(facts).encode(), digest_size=16).digest()

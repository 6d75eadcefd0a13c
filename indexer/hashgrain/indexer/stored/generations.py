"""Generations: indexes that bear one name one after another, so that the next is built while one serves.

Generation n of index `photos` is an index of its own, stored as `photos@n`; generation 0 is the one stored as `photos`,
which is all that there is until a next generation is made. The hash `hg:{photos}:generations` says which is live: that
is what the name alone means. `switching` changes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hashgrain.codes.errors import IndexCorrupt
from hashgrain.indexer.stored.header import split_name
from hashgrain.indexer.stored.keys import generations_key
from hashgrain.indexer.wire.connection import Connection
from hashgrain.indexer.wire.store_errors import translated


@dataclass(frozen=True)
class Generations:
    """What is noted of an index's generations.

    Attributes:
        name: of the index.
        live: the number of the one that its name alone means.
        past: those that were live before, the last one of them last.
        newest: the highest number that has been given out.
    """

    name: str
    live: int = 0
    past: tuple[int, ...] = ()
    newest: int = 0

    def stored(self, number: int) -> str:
        """The name under which a generation is stored."""
        return stored_as(self.name, number)


def read_generations(connection: Connection, name: str) -> Generations | None:
    """What is noted of the generations of an index, given by its name alone; None where it has none.

    Raises:
        IndexCorrupt: it cannot be read.
    """
    key = generations_key(name)
    with translated(connection.address):
        found: Any = connection.of(key).client.hmget(key, ["live", "past", "newest"])
    if found == [None] * 3:
        return None
    try:
        live, past, newest = (part.decode() for part in found)
        return Generations(name, int(live), tuple(int(number) for number in past.split(",") if number), int(newest))
    except (ValueError, AttributeError) as exc:
        raise IndexCorrupt(
            f"{key} does not say which generation of index {name!r} is live; look for its generations with "
            f"`redis-cli --scan --pattern 'hg:{{{name}@*:0}}:meta'`, and set live, past and newest by hand"
        ) from exc


def stored_name(connection: Connection, name: str) -> str:
    """The name under which the index is stored that a name means: of its live generation, if the name says no number.

    Raises:
        InvalidInput: no index can have that name.
        IndexCorrupt: it is not told which generation is live.
    """
    base, number = split_name(name)
    if number is None:
        known = read_generations(connection, base)
        number = known.live if known else 0
    return stored_as(base, number)


def stored_as(name: str, number: int) -> str:
    """The name under which a generation is stored."""
    return f"{name}@{number}" if number else name

"""What an index held of each item when its picture was about to be read: what was written since is told by it.

It is kept in a temporary SQLite database, which lies on the disk where it is large.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hashgrain.codes.errors import DataError
from hashgrain.indexer import ItemId, StoredItems

_AT_ONCE = 500


@dataclass(frozen=True)
class Late:
    """Items that were written between the last look at them and the switch: the new generation has them as before.

    Attributes:
        written: added, replaced, or given another payload.
        deleted: deleted; the new generation still has them.
    """

    written: tuple[ItemId, ...] = ()
    deleted: tuple[ItemId, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.written or self.deleted)


class Seen:
    """The digests of items; threads may share it. Use it in a `with`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._run("CREATE TABLE seen (id NOT NULL PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID")

    def clear(self) -> None:
        """Forget all."""
        self._run("DELETE FROM seen")

    def note(self, items: StoredItems) -> None:
        """Keep what some items are now.

        Raises:
            DataError: there is no room for it.
        """
        with self._lock, _told():
            self._database.executemany(
                "INSERT OR REPLACE INTO seen VALUES (?, ?)", zip(items.ids, _digests(items), strict=True)
            )

    def note_absent(self, ids: Iterable[ItemId]) -> None:
        """Keep that the index does not hold some ids of which there are pictures.

        Raises:
            DataError: there is no room for it.
        """
        with self._lock, _told():
            self._database.executemany("INSERT OR REPLACE INTO seen VALUES (?, x'')", ((id_,) for id_ in ids))

    def absent(self, ids: Iterable[ItemId]) -> set[ItemId]:
        """Those of some ids that were noted as absent."""
        return {id_ for id_ in ids if self._run("SELECT id FROM seen WHERE id = ? AND digest = x''", [id_])}

    def changed(self, items: StoredItems) -> list[ItemId]:
        """Those of some items that are not what was noted, or of which nothing was; they count as looked at."""
        changed = []
        for start in range(0, len(items), _AT_ONCE):
            ids, digests = items.ids[start : start + _AT_ONCE], _digests(items)[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(ids))
            known = dict(self._run(f"DELETE FROM seen WHERE id IN ({marks}) RETURNING id, digest", ids))
            changed += [id_ for id_, digest in zip(ids, digests, strict=True) if known.get(id_) != digest]
        return changed

    def left(self) -> list[ItemId]:
        """What the index held and has not been looked at."""
        return [row[0] for row in self._run("SELECT id FROM seen WHERE digest != x'' ORDER BY id")]

    def _run(self, statement: str, values: list[ItemId] | tuple[()] = ()) -> list[tuple[ItemId, bytes]]:
        with self._lock, _told(), closing(self._database.execute(statement, values)) as cursor:
            return cursor.fetchall()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._database.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise DataError(
            f"the temporary notes of a rebuild cannot be kept ({exc}); see to space where temporary files lie ($TMPDIR)"
        ) from exc


def _digests(items: StoredItems) -> list[bytes]:
    codes = items.codes
    payloads = items.stored.payloads or [b""] * len(items)
    return [
        hashlib.blake2b(coarse.tobytes() + fine.tobytes() + payload, digest_size=16).digest()
        for coarse, fine, payload in zip(codes.coarse, codes.fine, payloads, strict=True)
    ]

"""`Ledger`: what a bulk job has done, picture by picture, in one SQLite file.

A row per id, `sqlite3 FILE 'SELECT * FROM items'` shows them:

    id         string or integer, as in the sink
    state      'encoded' or 'rejected'
    content    BLAKE2b of the image file's bytes, 16 bytes; null where they could not be read at all
    stamp      digest of place, size and time of change, 16 bytes; null where that proves nothing
    payload    digest of the payload that went with the codes, 8 bytes
    codes      coarse and fine code, packed; null where the picture was rejected
    reason     why it was rejected
    target     where the codes went to and are kept, see `Sink.target`; null where nothing keeps them

The model is the same for all rows and stands in the table `job`. A row is written once the sink has acknowledged the
codes: a process that is killed in between writes the same to the sink again. Several processes of one machine may use
a ledger at a time.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hashgrain.client.sources.items import ItemId
from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import DataError, FingerprintMismatch

APPLICATION_ID = 0x68677264
LEDGER_VERSION = 1
BUSY_S = 60.0
"""How long to wait for another process that writes."""

_SCHEMA = (
    "CREATE TABLE job (fingerprint TEXT NOT NULL, coarse_bits INTEGER NOT NULL, fine_bits INTEGER NOT NULL)",
    """CREATE TABLE items (
        id NOT NULL PRIMARY KEY, content BLOB, stamp BLOB, payload BLOB, codes BLOB, reason TEXT, target TEXT,
        state TEXT AS (CASE WHEN codes IS NULL THEN 'rejected' ELSE 'encoded' END)
    ) WITHOUT ROWID""",
    "CREATE INDEX by_content ON items (content) WHERE content IS NOT NULL",
    "CREATE INDEX by_reason ON items (reason) WHERE reason IS NOT NULL",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {LEDGER_VERSION}",
)
_COLUMNS = "id, content, stamp, payload, codes, reason, target"


@dataclass(frozen=True)
class Entry:
    """What the ledger holds of one id; see the module for each attribute."""

    id: ItemId
    content: bytes | None
    stamp: bytes | None
    payload: bytes
    codes: bytes | None
    reason: str | None
    target: str | None


@dataclass(frozen=True)
class Answer:
    """What is known of a content: its packed codes, or why it was rejected."""

    codes: bytes | None
    reason: str | None


class Ledger:
    """The ledger of a job; threads may share it. Close it, or use it in a `with`.

    Args:
        path: the file; it is created when it is missing.
        fingerprint: of the model that makes the codes.
        layout: the code lengths.

    Raises:
        DataError: the file is no ledger, is damaged, has a version that this code does not know, or cannot be written.
        FingerprintMismatch: it holds codes of another model.
    """

    def __init__(self, path: Path, fingerprint: str, layout: CodeLayout) -> None:
        self.path = path
        self._lock = threading.RLock()
        if not path.parent.is_dir():
            raise DataError(f"the ledger {path} cannot be written: there is no folder {path.parent}; create it first")
        with self._errors():
            self._connection = sqlite3.connect(path, BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            with self._errors():
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = NORMAL")  # a killed process loses nothing
                with self._transaction():
                    self._require_ledger()
                    self._require_model(fingerprint, layout)
        except BaseException:
            self._connection.close()
            raise

    def entries(self, ids: Sequence[ItemId]) -> dict[ItemId, Entry]:
        """What is known of some ids; those that are new are left out."""
        marks = ", ".join("?" * len(ids))
        rows = self._rows(f"SELECT {_COLUMNS} FROM items WHERE id IN ({marks})", ids)
        return {row[0]: Entry(*row) for row in rows}

    def answer(self, content: bytes) -> Answer | None:
        """What is known of a content, under whatever id."""
        rows = self._rows("SELECT codes, reason FROM items WHERE content = ? LIMIT 1", (content,))
        return Answer(*rows[0]) if rows else None

    def record(self, entries: Iterable[Entry]) -> None:
        """Write entries, all or none; one whose id is there already is replaced."""
        with self._errors(), self._transaction():
            self._connection.executemany(
                f"INSERT OR REPLACE INTO items ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", map(astuple, entries)
            )

    def kept_in(self, target: str) -> int:
        """How many items are noted as kept by a target."""
        return int(self._rows("SELECT count(*) FROM items WHERE target = ?", (target,))[0][0])

    def forget_target(self, target: str) -> None:
        """Note that a target keeps nothing, so that all goes to it again; the codes stay known."""
        with self._errors(), self._transaction():
            self._connection.execute("UPDATE items SET target = NULL WHERE target = ?", (target,))

    def forget_rejected(self) -> None:
        """Drop the rejected ones, so that they are tried again."""
        with self._errors(), self._transaction():
            self._connection.execute("DELETE FROM items WHERE reason IS NOT NULL")

    def rejected(self, most: int) -> list[tuple[ItemId, str]]:
        """Ids and reasons of what is rejected, in the order of the ids, so many at most."""
        return self._rows("SELECT id, reason FROM items WHERE reason IS NOT NULL ORDER BY id LIMIT ?", (most,))

    def count_rejected(self) -> int:
        """How many are rejected."""
        return int(self._rows("SELECT count(*) FROM items WHERE reason IS NOT NULL", ())[0][0])

    def close(self) -> None:
        """Let go of the file; calling it twice does no harm."""
        with self._lock:
            self._connection.close()

    def _rows(self, query: str, values: Sequence[Any]) -> list[Any]:
        with self._errors(), self._lock, closing(self._connection.execute(query, values)) as cursor:
            return cursor.fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _require_ledger(self) -> None:
        pragmas = ("application_id", "user_version", "schema_version")
        found, version, schema = (self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas)
        if not schema:
            for statement in _SCHEMA:
                self._connection.execute(statement)
        elif found != APPLICATION_ID:
            raise DataError(f"{self.path} is a SQLite file, but no ledger; give another file")
        elif version != LEDGER_VERSION:
            raise DataError(
                f"the ledger {self.path} has version {version}, this code reads {LEDGER_VERSION}; use the release that "
                "wrote it, or give another file, and everything is encoded again"
            )

    def _require_model(self, fingerprint: str, layout: CodeLayout) -> None:
        mine = (fingerprint, layout.coarse_bits, layout.fine_bits)
        found = self._connection.execute("SELECT fingerprint, coarse_bits, fine_bits FROM job").fetchone()
        if found is None:
            self._connection.execute("INSERT INTO job VALUES (?, ?, ?)", mine)
        elif found != mine:
            raise FingerprintMismatch(
                f"the ledger {self.path} holds codes of model {found[0][:12]}, this is model {fingerprint[:12]}; give "
                "another --ledger FILE for this model (and another index), or go back to the model that it was begun "
                "with"
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OverflowError) as exc:  # OverflowError: an integer id of more than 64 bits
            raise DataError(
                f"the ledger {self.path} cannot be used ({exc}); what it says already is safe: see to space, "
                "permissions and that it is a ledger, or give another file"
            ) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

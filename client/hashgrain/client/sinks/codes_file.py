"""Codes in a file: written batch by batch, read back whole.

.parquet             see `codes_table`
.arrow, .feather     the same table as an Arrow IPC file, uncompressed, so that it can be mapped into memory
.npy                 one structured array, see `npy_file`: ids and codes only, to be read with NumPy alone
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from hashgrain.client.sinks.codes_table import StoredCodes, columns_of, schema_of, stored_codes
from hashgrain.client.sinks.npy_file import NpyWriter
from hashgrain.client.sinks.unfinished_file import UnfinishedFile
from hashgrain.client.sources.items import ItemId
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import DataError

ROWS_PER_GROUP = 65_536

_WRITERS: dict[str, Callable[[Any, pa.Schema], Any]] = {
    ".parquet": pq.ParquetWriter,
    ".arrow": pa.ipc.new_file,
    ".feather": pa.ipc.new_file,
    ".npy": NpyWriter,
}
"""What writes tables into an open file: it has `write_table` and `close`."""

_ARROW_MAGIC, _NPY_MAGIC = b"ARROW1", b"\x93NUMPY"


class CodesFile:
    """A `Sink` that writes a file; use it in a `with`.

    It writes beside the file under another name and renames at the end: on an error nothing is left behind, and a
    file that was there before stays as it was.

    Args:
        path: the file, its suffix being the format, see the module; one that is there is replaced.
        layout: the code lengths.
        fingerprint: of the model that makes the codes.

    Raises:
        DataError: the folder does not exist or cannot be written to, or the suffix stands for no format.
    """

    def __init__(self, path: Path, layout: CodeLayout, fingerprint: str) -> None:
        if not path.is_dir() and path.suffix.lower() not in _WRITERS:
            raise DataError(f"{path} has no suffix that stands for a format; give one of {', '.join(_WRITERS)}")
        self._unfinished = UnfinishedFile(path)
        self._path = path
        self._layout = layout
        self._fingerprint = fingerprint
        self._schema: pa.Schema | None = None
        self._writer: Any = None
        self._held: list[pa.Table] = []
        self._held_rows = 0

    @property
    def target(self) -> None:
        """See `Sink`: the file is written anew each time."""
        return None

    def write(self, ids: list[ItemId], codes: HashCodes, payloads: list[dict[str, Any]]) -> None:
        """See `Sink`.

        Raises:
            DataError: strings and integers are mixed as ids, a payload is not JSON, or the disk is full.
            LayoutMismatch: the codes have other lengths than the file.
        """
        codes.check(self._layout, str(self._path))
        table = self._table(ids, codes, payloads)
        self._held.append(table)
        self._held_rows += len(table)
        if self._held_rows >= ROWS_PER_GROUP:
            self._flush()

    def commit(self) -> None:
        """Finish the file and put it in its place."""
        if self._schema is None:
            raise DataError(f"no codes were written to {self._path}")
        self._flush()
        try:
            assert self._writer is not None
            self._writer.close()
        except OSError as exc:
            raise self._unfinished.cannot_write(exc) from exc
        self._unfinished.commit()

    def discard(self) -> None:
        """Leave nothing behind; after `commit` this does nothing."""
        self._unfinished.discard()

    def _table(self, ids: list[ItemId], codes: HashCodes, payloads: list[dict[str, Any]]) -> pa.Table:
        columns = columns_of(ids, codes, payloads)
        if self._schema is None:
            self._schema = schema_of(columns, self._layout, self._fingerprint)
        try:
            return pa.table(columns, schema=self._schema)
        except (pa.ArrowException, KeyError, ValueError) as exc:
            raise DataError(
                f"{self._path}: a batch does not fit the ones before ({exc}); give ids of one type, strings or "
                "integers, and the same logits throughout"
            ) from exc

    def _flush(self) -> None:
        try:
            if self._writer is None:
                self._writer = _WRITERS[self._path.suffix.lower()](self._unfinished.file, self._schema)
            if self._held:
                self._writer.write_table(pa.concat_tables(self._held))
        except OSError as exc:
            raise self._unfinished.cannot_write(exc) from exc
        self._held, self._held_rows = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.commit()
        finally:
            self.discard()


def read_codes(path: str | os.PathLike[str]) -> StoredCodes:
    """Read a Parquet or Arrow file of codes back.

    Raises:
        DataError: it is not such a file, is damaged, or has a version that this code does not know.
    """
    try:
        with Path(path).open("rb") as file:
            magic = file.read(len(_ARROW_MAGIC))
        if magic == _NPY_MAGIC:
            raise DataError(f"{path} tells neither model nor payloads; give a Parquet or Arrow file of codes")
        return stored_codes(
            pa.ipc.open_file(path).read_all() if magic == _ARROW_MAGIC else pq.read_table(path), str(path)
        )
    except DataError:
        raise
    except (OSError, pa.ArrowException, KeyError, ValueError) as exc:
        raise DataError(f"{path} cannot be read as a file of codes ({exc}); write it with `hashgrain encode`") from exc

"""Codes in a Parquet file: written batch by batch, read back whole.

    id             string or int64
    coarse         fixed_size_binary[ceil(nc / 8)]      packed, most significant bit first
    fine           fixed_size_binary[nf / 8]
    payload        string                               JSON, null where there is none
    coarse_logits  fixed_size_list<float32>[nc]         only where asked for
    fine_logits    fixed_size_list<float32>[nf]         only where asked for

The schema's metadata carries hashgrain.codes_version, .coarse_bits, .fine_bits and .fingerprint. The file is pinned by
tests/golden/codes_v1.parquet: a change of format needs a new version.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hashgrain.client.sources import ItemId
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import DataError, InvalidInput

CODES_VERSION = 1
ROWS_PER_GROUP = 65_536


@dataclass(frozen=True, eq=False)
class StoredCodes:
    """What a file of codes holds.

    Attributes:
        ids: strings or integers, one per row.
        codes: the codes, with the logits that the file has.
        layout: the code lengths.
        fingerprint: of the model that made them.
        payloads: one per row, {} where there is none.
    """

    ids: list[ItemId]
    codes: HashCodes
    layout: CodeLayout
    fingerprint: str
    payloads: list[dict[str, Any]]


class CodesFile:
    """A `Sink` that writes a Parquet file; use it in a `with`.

    It writes beside the file under another name and renames at the end: on an error nothing is left behind, and a
    file that was there before stays as it was.

    Args:
        path: the file; one that is there is replaced.
        layout: the code lengths.
        fingerprint: of the model that makes the codes.

    Raises:
        DataError: the folder does not exist or cannot be written to.
    """

    def __init__(self, path: Path, layout: CodeLayout, fingerprint: str) -> None:
        if path.is_dir():
            raise DataError(f"{path} is a folder; give a file to write the codes to")
        self._path = path
        self._unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
        self._layout = layout
        self._fingerprint = fingerprint
        self._schema: pa.Schema | None = None
        self._writer: pq.ParquetWriter | None = None
        self._held: list[pa.Table] = []
        self._held_rows = 0
        try:
            self._file = self._unfinished.open("wb")
        except OSError as exc:
            raise DataError(f"{path} cannot be written ({exc.strerror}); give a folder that exists") from exc

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
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._unfinished.replace(self._path)
        except OSError as exc:
            raise self._cannot_write(exc) from exc

    def discard(self) -> None:
        """Leave nothing behind; after `commit` this does nothing."""
        with suppress(OSError):  # what a full disk has no room for is not wanted any more
            self._file.close()
        self._unfinished.unlink(missing_ok=True)

    def _table(self, ids: list[ItemId], codes: HashCodes, payloads: list[dict[str, Any]]) -> pa.Table:
        columns = {
            "id": _id_array(ids),
            "coarse": _binary_array(codes.coarse),
            "fine": _binary_array(codes.fine),
            "payload": pa.array([json.dumps(payload) if payload else None for payload in payloads], pa.string()),
        }
        for name, logits in (("coarse_logits", codes.coarse_logits), ("fine_logits", codes.fine_logits)):
            if logits is not None:
                columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(logits.ravel()), logits.shape[1])
        if self._schema is None:
            fields = [pa.field(name, column.type) for name, column in columns.items()]
            self._schema = pa.schema(fields, _metadata(self._layout, self._fingerprint))
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
                self._writer = pq.ParquetWriter(self._file, self._schema)
            if self._held:
                self._writer.write_table(pa.concat_tables(self._held))
        except OSError as exc:
            raise self._cannot_write(exc) from exc
        self._held, self._held_rows = [], 0

    def _cannot_write(self, exc: OSError) -> DataError:
        return DataError(f"{self._path} cannot be written ({exc}); free some space or give another place")

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
    """Read a file of codes back.

    Raises:
        DataError: it is not such a file, is damaged, or has a version that this code does not know.
    """
    try:
        table = pq.read_table(path)
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        layout, fingerprint = _read_metadata(metadata, str(path))
        codes = HashCodes(
            _bytes_matrix(table["coarse"], layout.coarse_bytes),
            _bytes_matrix(table["fine"], layout.fine_bytes),
            _float_matrix(table, "coarse_logits", layout.coarse_bits),
            _float_matrix(table, "fine_logits", layout.fine_bits),
        )
        codes.check(layout, str(path))
        payloads = [json.loads(text) if text else {} for text in table["payload"].to_pylist()]
        return StoredCodes(table["id"].to_pylist(), codes, layout, fingerprint, payloads)
    except DataError:
        raise
    except (OSError, pa.ArrowException, KeyError, ValueError) as exc:
        raise DataError(f"{path} cannot be read as a file of codes ({exc}); write it with `hashgrain encode`") from exc


def _metadata(layout: CodeLayout, fingerprint: str) -> dict[str, str]:
    return {
        "hashgrain.codes_version": str(CODES_VERSION),
        "hashgrain.coarse_bits": str(layout.coarse_bits),
        "hashgrain.fine_bits": str(layout.fine_bits),
        "hashgrain.fingerprint": fingerprint,
    }


def _read_metadata(metadata: dict[str, str], path: str) -> tuple[CodeLayout, str]:
    version = metadata.get("hashgrain.codes_version")
    if version is None:
        raise DataError(f"{path} is a Parquet file, but none of codes; write one with `hashgrain encode`")
    if version != str(CODES_VERSION):
        raise DataError(
            f"{path} has version {version} of the format, this code reads {CODES_VERSION}; use the release that wrote "
            "it, or encode again"
        )
    try:
        layout = CodeLayout(int(metadata["hashgrain.coarse_bits"]), int(metadata["hashgrain.fine_bits"]))
        return layout, metadata["hashgrain.fingerprint"]
    except (KeyError, ValueError, InvalidInput) as exc:
        raise DataError(f"{path} carries metadata that cannot be read ({exc}); encode again") from exc


def _id_array(ids: list[ItemId]) -> pa.Array:
    try:
        return pa.array(ids, pa.int64() if isinstance(ids[0], int) else pa.string())
    except (pa.ArrowException, OverflowError, TypeError) as exc:
        raise DataError(f"ids must be all strings or all integers of 64 bits ({exc})") from exc


def _binary_array(codes: NDArray[np.uint8]) -> pa.Array:
    rows, width = codes.shape
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(codes.tobytes())])


def _bytes_matrix(column: pa.ChunkedArray, width: int) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(column.to_pylist()), np.uint8).reshape(len(column), width)


def _float_matrix(table: pa.Table, name: str, bits: int) -> NDArray[np.float32] | None:
    if name not in table.schema.names:
        return None
    flat: NDArray[np.float32] = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, bits)

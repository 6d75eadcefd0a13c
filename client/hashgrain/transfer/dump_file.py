"""A dump: one Parquet file of an index's items (see `dump_table`), that says whether it is whole.

Parquet and not Arrow's own format, since its footer is written last and can hold what is known only then, and since its
pages are compressed and carry checksums of their own. The footer's metadata:

    hashgrain.dump_version    1
    hashgrain.index           the name of the index
    hashgrain.coarse_bits, .fine_bits, .shards
    hashgrain.fingerprint     of the model; absent where the index knows none
    hashgrain.fields          names and kinds of its fields, as JSON; absent where it has none
    hashgrain.items           how many
    hashgrain.checksum        SHA-256, in hexadecimal digits, over all of these and over the items (see `Checksum`)

A file that is cut short has no footer. The format is pinned by tests/golden/dump_v1.parquet: a change needs a new
version.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from hashgrain.client.sinks.unfinished_file import UnfinishedFile
from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import DataError, InvalidInput
from hashgrain.indexer.adding.collection import Collection
from hashgrain.indexer.managing.fetching import joined
from hashgrain.indexer.stored.fields import NO_FIELDS, Fields
from hashgrain.transfer.dump_table import content_of, items_of, schema_of, table_of

DUMP_VERSION = 1

GROUP_ROWS = 65_536
"""Items of a row group at most: so many are in memory at once."""

GROUP_BYTES = 32 << 20
"""Bytes of payloads of a row group, and one batch's more at most."""


@dataclass(frozen=True)
class DumpHeader:
    """What a dump says of the index that it was made of.

    Attributes:
        index: its name.
        layout: the code lengths.
        fingerprint: of the model, or None.
        shards: how many it had.
        fields: that searches could filter by.
    """

    index: str
    layout: CodeLayout
    fingerprint: str | None
    shards: int
    fields: Fields = NO_FIELDS

    def to_metadata(self) -> dict[str, str]:
        """As the file's metadata."""
        fields = {
            "dump_version": str(DUMP_VERSION),
            "index": self.index,
            "coarse_bits": str(self.layout.coarse_bits),
            "fine_bits": str(self.layout.fine_bits),
            "shards": str(self.shards),
        }
        if self.fingerprint is not None:
            fields["fingerprint"] = self.fingerprint
        if self.fields:
            fields["fields"] = json.dumps(self.fields.declared)
        return {f"hashgrain.{name}": value for name, value in fields.items()}


class Checksum:
    """SHA-256 over the header, the items of each row group, and their number."""

    def __init__(self, header: DumpHeader) -> None:
        self._hash = hashlib.sha256(repr(sorted(header.to_metadata().items())).encode())
        self.items = 0

    def add(self, items: Collection) -> None:
        """Count in the items of a row group."""
        self.items += len(items)
        for part in content_of(items):
            self._hash.update(part)

    def digest(self) -> str:
        """What it comes to."""
        return hashlib.sha256(self._hash.digest() + b"%d" % self.items).hexdigest()


class DumpWriter:
    """Writes a dump; use it in a `with`. On an error nothing is left behind, and an old file stays as it was.

    Raises:
        DataError: the file cannot be written.
    """

    def __init__(self, path: Path, header: DumpHeader) -> None:
        self._header = header
        self._checksum = Checksum(header)
        self._held: list[Collection] = []
        self._rows = self._bytes = 0
        self._unfinished = UnfinishedFile(path)
        schema = schema_of(header.layout).with_metadata(header.to_metadata())
        self._writer = pq.ParquetWriter(
            self._unfinished.file, schema, compression="zstd", use_dictionary=False, write_page_checksum=True
        )

    @property
    def items(self) -> int:
        """How many were written."""
        return self._checksum.items + self._rows

    def write(self, items: Collection) -> None:
        """Write items.

        Raises:
            DataError: the disk is full.
        """
        self._held.append(items)
        self._rows += len(items)
        self._bytes += sum(map(len, items.payloads or ()))
        if self._rows >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            items = joined(self._held)
            self._held, self._rows, self._bytes = [], 0, 0
            self._checksum.add(items)
            try:
                self._writer.write_table(table_of(items, self._header.layout), row_group_size=len(items))
            except OSError as exc:
                raise self._unfinished.cannot_write(exc) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
                said = {"hashgrain.items": str(self.items), "hashgrain.checksum": self._checksum.digest()}
                self._writer.add_key_value_metadata(said)
                try:
                    self._writer.close()
                except OSError as exc:
                    raise self._unfinished.cannot_write(exc) from exc
                self._unfinished.commit()
            else:
                with suppress(OSError, pa.ArrowException):
                    self._writer.close()
        finally:
            self._unfinished.discard()


class DumpReader:
    """Reads a dump, row group by row group; use it in a `with`.

    Attributes:
        header: what it says of the index.
        items: how many it says it holds.

    Raises:
        DataError: it is no dump, is cut short, or has a version that this code does not know.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._source = str(path)
        with self._readable():
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
            stored = self._file.metadata.metadata or {}
            metadata = {key.decode(): value.decode() for key, value in stored.items()}
        try:
            self.header = _header(metadata, self._source)
            self.items, self._digest = int(metadata["hashgrain.items"]), metadata["hashgrain.checksum"]
            if not self._file.schema_arrow.equals(schema_of(self.header.layout)):
                raise DataError(f"{path} has other columns than a dump of {self.header.layout}; dump the index again")
        except (KeyError, ValueError) as exc:
            self._file.close()
            if isinstance(exc, DataError):
                raise
            raise DataError(f"{path} carries metadata that cannot be read ({exc}); {_AGAIN}") from exc

    def groups(self) -> Iterator[Collection]:
        """All items; that they are those that were dumped is known when the last ones have come.

        Raises:
            DataError: the file was altered or damaged.
        """
        checksum = Checksum(self.header)
        for number in range(self._file.num_row_groups):
            with self._readable():
                items = items_of(self._file.read_row_group(number), self.header.layout, self._source)
            checksum.add(items)
            yield items
        if (checksum.items, checksum.digest()) != (self.items, self._digest):
            raise DataError(
                f"{self._source} is not what was dumped: it should hold {self.items:,} items of checksum "
                f"{self._digest[:12]}, and holds {checksum.items:,} of {checksum.digest()[:12]}; {_AGAIN}"
            )

    def verify(self, advance: Callable[[int], object] = lambda _: None) -> None:
        """Read it all.

        Args:
            advance: called with the number of items read since.

        Raises:
            DataError: it was altered or damaged.
        """
        for items in self.groups():
            advance(len(items))

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except DataError:
            raise
        except (OSError, pa.ArrowException, InvalidInput, KeyError, ValueError) as exc:
            raise DataError(f"{self._source} cannot be read as a dump ({exc}); {_AGAIN}") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_header(path: str | os.PathLike[str]) -> DumpHeader:
    """What a dump says of its index.

    Raises:
        DataError: see `DumpReader`.
    """
    with DumpReader(path) as dump:
        return dump.header


_AGAIN = "take another copy, or dump the index again with `hashgrain index dump`"


def _header(metadata: Mapping[str, str], path: str) -> DumpHeader:
    version = metadata.get("hashgrain.dump_version")
    if version is None:
        raise DataError(f"{path} is no dump of an index; write one with `hashgrain index dump`")
    if version != str(DUMP_VERSION):
        raise DataError(
            f"{path} has version {version} of the format, this code reads {DUMP_VERSION}; use the release that wrote it"
        )
    layout = CodeLayout(int(metadata["hashgrain.coarse_bits"]), int(metadata["hashgrain.fine_bits"]))
    fields = Fields(tuple(map(tuple, json.loads(metadata.get("hashgrain.fields", "[]")))))
    return DumpHeader(
        metadata["hashgrain.index"],
        layout,
        metadata.get("hashgrain.fingerprint"),
        int(metadata["hashgrain.shards"]),
        fields,
    )

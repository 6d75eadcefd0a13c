"""From what a user names to a `Source`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hashgrain.client.npy_source import NpySource
from hashgrain.client.sources import Chain, FolderSource, ListSource, Source, printable
from hashgrain.codes.errors import DataError, InvalidInput

STANDARD_INPUT = "-"
LIST_SUFFIXES = frozenset({".txt", ".lst"})


@dataclass(frozen=True)
class ParquetColumns:
    """Which columns of a Parquet file are what; see `ParquetSource`."""

    image: str | None = None
    id: str | None = None
    payload: tuple[str, ...] = ()

    def named(self) -> bool:
        """Whether any column is given by name."""
        return self != ParquetColumns()


def open_sources(names: tuple[str, ...], columns: ParquetColumns | None = None) -> Source:
    """One source of all that is named, in that order.

    Args:
        names: folders, image files, .parquet files, .npy files of vectors, .txt or .lst files with one path a line, "-"
            for standard input. Of several, every id begins with the name of its folder or file.
        columns: for the Parquet files.

    Raises:
        DataError: one does not exist, is empty or cannot be read.
        InvalidInput: columns are named and there is no Parquet file, or nothing is named at all.
    """
    columns = columns or ParquetColumns()
    if not names:
        raise InvalidInput("name at least one folder, image, .parquet file, or - for standard input")
    if columns.named() and not any(map(_is_parquet, names)):
        raise InvalidInput(f"columns are named ({columns}), and no .parquet file is among {', '.join(names)}")
    sources = [_open(name, printable(name) if len(names) > 1 else "", columns) for name in names]
    return sources[0] if len(sources) == 1 else Chain(sources)


def _open(name: str, prefix: str, columns: ParquetColumns) -> Source:
    if name == STANDARD_INPUT:
        return ListSource(sys.stdin.buffer, "standard input")
    path = Path(name)
    if path.is_dir():
        return FolderSource(path, prefix)
    if not path.exists():
        raise DataError(f"there is no {path}; give a folder, an image, a .parquet file, or - for standard input")
    if _is_parquet(name):
        from hashgrain.client.parquet_source import ParquetSource

        return ParquetSource(
            path,
            image_column=columns.image,
            id_column=columns.id,
            payload_columns=columns.payload,
            prefix=prefix.removesuffix(path.suffix),
        )
    if path.suffix.lower() == ".npy":
        return NpySource(path, prefix.removesuffix(path.suffix))
    if path.suffix.lower() in LIST_SUFFIXES:
        return ListSource(_lines(path), str(path))
    return ListSource([os.fsencode(name)], name)


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _is_parquet(name: str) -> bool:
    return Path(name).suffix.lower() == ".parquet"

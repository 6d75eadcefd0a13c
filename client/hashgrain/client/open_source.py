"""From what a user names to a `Source`."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hashgrain.client.location import Location
from hashgrain.client.npy_source import NpySource
from hashgrain.client.sources import Chain, FolderSource, ListSource, Source, printable
from hashgrain.client.tar_source import TAR_SUFFIXES, TarSource
from hashgrain.codes.errors import DataError, InvalidInput
from hashgrain.codes.images import IMAGE_SUFFIXES

STANDARD_INPUT = "-"
LIST_SUFFIXES = (".txt", ".lst")
PARQUET_SUFFIX = ".parquet"


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
        names: folders, image files, .parquet files, .tar archives, .txt or .lst files with one path or address a line,
            "-" for standard input; patterns of these with * in them; any of them as an address that fsspec knows; and
            .npy files of vectors. Of several, every id begins with the name of its folder, file or archive.
        columns: for the Parquet files.

    Raises:
        DataError: one does not exist, is empty or cannot be read.
        InvalidInput: columns are named and there is no Parquet file, or nothing is named at all.
    """
    columns = columns or ParquetColumns()
    if not names:
        raise InvalidInput("name at least one folder, image, .parquet file, .tar archive, or - for standard input")
    found = [each for name in names for each in _matches(name)]
    if columns.named() and not any(_is_parquet(Location(name)) for name in found):
        raise InvalidInput(f"columns are named ({columns}), and no .parquet file is among {', '.join(names)}")
    sources = [_open(name, printable(name) if len(found) > 1 else "", columns) for name in found]
    return sources[0] if len(sources) == 1 else Chain(sources)


def _matches(name: str) -> list[str]:
    """What a pattern stands for, sorted; a name without one stands for itself."""
    if name == STANDARD_INPUT or "*" not in name or Path(name).exists():
        return [name]
    if Location(name).is_remote:
        from hashgrain.client.remote import matching

        found = matching(name)
    else:
        found = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - patterns may be absolute
    if not found:
        raise DataError(f"nothing matches {name}; check the pattern (** stands for any number of folders)")
    return found


def _open(name: str, prefix: str, columns: ParquetColumns) -> Source:
    if name == STANDARD_INPUT:
        return ListSource(sys.stdin.buffer, "standard input")
    location, path = Location(name), Path(name)
    if not location.is_remote and path.is_dir():
        return FolderSource(path, prefix)
    if not location.is_remote and not path.exists():
        raise DataError(
            f"there is no {path}; give a folder, an image, a .parquet file, a .tar archive, or - for standard input"
        )
    if _is_parquet(location):
        from hashgrain.client.parquet_source import ParquetSource

        return ParquetSource(
            location,
            image_column=columns.image,
            id_column=columns.id,
            payload_columns=columns.payload,
            prefix=prefix.removesuffix(path.suffix),
        )
    if not location.is_remote and path.suffix.lower() == ".npy":
        return NpySource(path, prefix.removesuffix(path.suffix))
    if location.has_suffix(*TAR_SUFFIXES):
        ending = next(suffix for suffix in TAR_SUFFIXES if location.has_suffix(suffix))
        return TarSource(location, prefix[: -len(ending)] if prefix else "")
    if location.has_suffix(*LIST_SUFFIXES):
        return ListSource(_lines(location), name)
    if location.is_remote and not location.has_suffix(*IMAGE_SUFFIXES):
        from hashgrain.client.remote import RemoteFolder

        return RemoteFolder(name, prefix)
    return ListSource([os.fsencode(name)], name)


def _lines(location: Location) -> Iterator[bytes]:
    with location.open() as file:
        yield from file


def _is_parquet(location: Location) -> bool:
    return location.has_suffix(PARQUET_SUFFIX)

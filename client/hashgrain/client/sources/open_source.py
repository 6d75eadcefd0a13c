"""From what a user names to a `Source`."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hashgrain.client.sources.files import Chain, FolderSource, ListSource, Source
from hashgrain.client.sources.items import printable
from hashgrain.client.sources.location import Location
from hashgrain.client.sources.npy_source import NpySource
from hashgrain.client.sources.tar_source import TAR_SUFFIXES, TarSource
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


@dataclass(frozen=True)
class Part:
    """One folder, file or list out of all that is named.

    Attributes:
        name: its path or address.
        prefix: begins the ids of its pictures, see `sources`.
        columns: for a Parquet file.
    """

    name: str
    prefix: str = ""
    columns: ParquetColumns = field(default_factory=ParquetColumns)

    @property
    def is_archive(self) -> bool:
        """Whether its items can only be had by reading it: a tar archive, a Parquet file, or an array of vectors."""
        location = Location(self.name)
        rows = _is_parquet(location) or _is_npy(location)
        return not self._is_folder and (rows or location.has_suffix(*TAR_SUFFIXES))

    def open(self) -> Source:
        """Its pictures.

        Raises:
            DataError: it does not exist, is empty or cannot be read.
        """
        if self.name == STANDARD_INPUT:
            return ListSource(sys.stdin.buffer, "standard input")
        self.require_there()
        location, path = Location(self.name), Path(self.name)
        if self._is_folder:
            return FolderSource(path, self.prefix)
        if _is_parquet(location):
            from hashgrain.client.sources.parquet_source import ParquetSource

            return ParquetSource(
                location,
                image_column=self.columns.image,
                id_column=self.columns.id,
                payload_columns=self.columns.payload,
                prefix=self.prefix.removesuffix(path.suffix),
            )
        if _is_npy(location):
            return NpySource(path, self.prefix.removesuffix(path.suffix))
        if location.has_suffix(*TAR_SUFFIXES):
            ending = next(suffix for suffix in TAR_SUFFIXES if location.has_suffix(suffix))
            return TarSource(location, self.prefix[: -len(ending)] if self.prefix else "")
        if location.has_suffix(*LIST_SUFFIXES):
            return ListSource(_lines(location), self.name)
        if location.is_remote and not location.has_suffix(*IMAGE_SUFFIXES):
            from hashgrain.client.sources.remote import RemoteFolder

            return RemoteFolder(self.name, self.prefix)
        return ListSource([os.fsencode(self.name)], self.name)

    def require_there(self) -> None:
        """Look whether a path exists; an address is not asked for.

        Raises:
            DataError: it does not.
        """
        if self.name != STANDARD_INPUT and not Location(self.name).is_remote and not Path(self.name).exists():
            raise DataError(
                f"there is no {Path(self.name)}; give a folder, an image, a .parquet file, a .tar archive, or - for "
                "standard input"
            )

    @property
    def _is_folder(self) -> bool:
        return not Location(self.name).is_remote and Path(self.name).is_dir()


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
    sources = [part.open() for part in named_parts(names, columns)]
    return sources[0] if len(sources) == 1 else Chain(sources)


def named_parts(names: tuple[str, ...], columns: ParquetColumns | None = None) -> list[Part]:
    """What `open_sources` opens one after the other, unopened; arguments and errors are the same."""
    columns = columns or ParquetColumns()
    if not names:
        raise InvalidInput("name at least one folder, image, .parquet file, .tar archive, or - for standard input")
    found = [each for name in names for each in _matches(name)]
    if columns.named() and not any(_is_parquet(Location(name)) for name in found):
        raise InvalidInput(f"columns are named ({columns}), and no .parquet file is among {', '.join(names)}")
    return [Part(name, printable(name) if len(found) > 1 else "", columns) for name in found]


def _matches(name: str) -> list[str]:
    """What a pattern stands for, sorted; a name without one stands for itself."""
    if name == STANDARD_INPUT or "*" not in name or Path(name).exists():
        return [name]
    if Location(name).is_remote:
        from hashgrain.client.sources.remote import matching

        found = matching(name)
    else:
        found = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - patterns may be absolute
    if not found:
        raise DataError(f"nothing matches {name}; check the pattern (** stands for any number of folders)")
    return found


def _lines(location: Location) -> Iterator[bytes]:
    with location.open() as file:
        yield from file


def _is_parquet(location: Location) -> bool:
    return location.has_suffix(PARQUET_SUFFIX)


def _is_npy(location: Location) -> bool:
    return not location.is_remote and location.has_suffix(".npy")

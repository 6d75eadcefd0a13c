"""`Location`: a file on this machine or at any address that fsspec knows; `Readable`: an image file there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from hashgrain.client.sources.items import Readable
from hashgrain.codes.errors import DataError

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(::|://)")


@dataclass(frozen=True)
class Location:
    """Where a file is, as a user writes it: a path, or an address with a scheme (s3://, gs://, https://, memory://).

    Attributes:
        name: the path or address.
    """

    name: str

    @property
    def is_remote(self) -> bool:
        """Whether it is an address."""
        return _ADDRESS.match(self.name) is not None

    @property
    def file_name(self) -> str:
        """Its last part, without what follows a ? in a web address."""
        name = self.name.partition("?")[0] if self.name.startswith("http") else self.name
        return PurePosixPath(name).name

    @property
    def stem(self) -> str:
        """The same up to its first suffix."""
        return self.file_name.partition(".")[0] or self.file_name

    def has_suffix(self, *suffixes: str) -> bool:
        """Whether the file's name ends with one of these, in any case."""
        return self.file_name.lower().endswith(suffixes)

    def image(self) -> Path | Readable:
        """The picture that it names, unread."""
        if not self.is_remote:
            return Path(self.name)
        from hashgrain.client.sources.remote import RemoteImage

        return RemoteImage(self.name)

    def beside(self, name: str) -> Location:
        """What another file calls `name`, the name being an address, an absolute path, or relative to this file."""
        if Location(name).is_remote or name.startswith("/"):
            return Location(name)
        if self.is_remote:
            return Location(f"{self.name.rpartition('/')[0]}/{name}")
        return Location(str(Path(self.name).parent / name))

    def open(self) -> BinaryIO:
        """The file, to be read; close it.

        Raises:
            DataError: it cannot be opened.
            MissingDependency: a package for this kind of address is not installed.
        """
        if self.is_remote:
            from hashgrain.client.sources.remote import open_remote

            return open_remote(self.name)
        try:
            return cast("BinaryIO", Path(self.name).open("rb"))
        except OSError as exc:
            raise DataError(f"{self.name} cannot be read ({exc.strerror}); check the name and its permissions") from exc

    def __str__(self) -> str:
        return self.name

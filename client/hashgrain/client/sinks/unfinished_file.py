"""A file that is there only when it is complete."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hashgrain.codes.errors import DataError


class UnfinishedFile:
    """Written beside its place under another name, and renamed at the end.

    Args:
        path: where it will be; a file that is there stays as it is until then.

    Attributes:
        file: open for writing, binary.

    Raises:
        DataError: the folder does not exist or cannot be written to, or `path` is a folder.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise DataError(f"{path} is a folder; give a file to write to")
        self._path = path
        self._unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
        try:
            self.file = self._unfinished.open("wb")
        except OSError as exc:
            raise DataError(f"{path} cannot be written ({exc.strerror}); give a folder that exists") from exc

    def commit(self) -> None:
        """Put the file in its place, all of it on disk.

        Raises:
            DataError: the disk is full, or it is not allowed.
        """
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            self._unfinished.replace(self._path)
        except OSError as exc:
            raise self.cannot_write(exc) from exc

    def discard(self) -> None:
        """Leave nothing behind; after `commit` this does nothing."""
        with suppress(OSError):  # what a full disk has no room for is not wanted any more
            self.file.close()
        self._unfinished.unlink(missing_ok=True)

    def cannot_write(self, exc: OSError) -> DataError:
        """The error of a write that failed."""
        return DataError(f"{self._path} cannot be written ({exc}); free some space or give another place")

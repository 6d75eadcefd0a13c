"""`RemoteFile`: a file at an address, whose every piece is asked for again where that fails for a moment.

An archive is read for minutes, piece by piece: one connection that breaks must not end it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from hashgrain.client.wire.retry import retry
from hashgrain.codes.errors import DataError, SourceUnavailable
from hashgrain.codes.first_line import first_line

ATTEMPTS = 60
"""At a piece in the midst of a file, within the deadline: with what was read before, minutes of work would be lost."""


class BrokenOff(OSError):
    """What a service answered to the end, in its own words: who reads files knows OSError, not every service's own.

    Attributes:
        passes: whether that may be gone later.
    """

    def __init__(self, words: str, passes: bool) -> None:
        super().__init__(words)
        self.passes = passes

    def told(self, name: object, place: str) -> DataError:
        """As the error of a collection: `name` cannot be read beyond `place`."""
        kind = SourceUnavailable if self.passes else DataError
        return kind(
            f"{name} cannot be read beyond {place} ({self}); check the connection, and run the same command again"
        )


class RemoteFile(io.RawIOBase):
    """One of fsspec's files.

    Args:
        open_file: opens it; with True as one stream, which web servers need that know no pieces. What breaks is then
            read again from the beginning.
        seconds: the deadline for a piece, with all attempts.
        passes: whether an error may be gone the next time.

    Raises:
        Exception: the service's own, where it cannot be opened.
        BrokenOff: on reading: it failed to the end.
    """

    def __init__(self, open_file: Callable[[bool], Any], seconds: float, passes: Callable[[Exception], bool]) -> None:
        self._open = open_file
        self._seconds = seconds
        self._passes = passes
        self._streamed = self._broken = False
        self._position = 0
        self._file: Any = io.BytesIO()  # to be closed where the next line fails
        self._file = retry(lambda _: open_file(False), seconds, passes)
        self._size = getattr(self._file, "size", None)

    def readinto(self, buffer: Any) -> int:
        """Up to as many bytes as the buffer takes; 0 at the end."""
        try:
            data = retry(lambda _: self._read(len(buffer)), self._seconds, self._passes, ATTEMPTS)
        except Exception as exc:
            raise BrokenOff(first_line(exc), self._passes(exc)) from exc
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; what is there is asked for when it is read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence, self._size)
        if start is None:
            raise io.UnsupportedOperation("its size is unknown")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """The place where the next piece begins."""
        return self._position

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is, as far as its size is known."""
        return True

    def close(self) -> None:
        """Let go of it; calling it twice does no harm."""
        self._file.close()
        super().close()

    def _read(self, size: int) -> bytes:
        if self._broken and self._streamed:
            self._file.close()
            self._file = self._open(True)
        self._broken = True
        try:
            self._go()
            data = bytes(self._file.read(size))
        except ValueError:  # fsspec's, where a web server answers with the whole file, whatever piece it is asked for
            if self._streamed:
                raise
            self._streamed = True
            return self._read(size)
        self._broken = False
        return data

    def _go(self) -> None:
        """To the next piece; in a stream, by reading up to it."""
        if not self._streamed:
            self._file.seek(self._position)
            return
        if self._file.tell() > self._position:
            self._file.close()
            self._file = self._open(True)
        while (left := self._position - self._file.tell()) > 0:
            if not self._file.read(min(left, io.DEFAULT_BUFFER_SIZE * 8)):
                return

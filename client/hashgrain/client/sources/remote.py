"""Files at addresses, through fsspec: s3://, gs://, https://, memory:// and whatever else is installed.

Credentials and endpoints come from where the service's own tools take them, or from fsspec's configuration
(https://filesystem-spec.readthedocs.io/en/latest/features.html#configuration). What fails for a moment is tried again,
with pauses that double.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import PurePosixPath
from typing import Any, BinaryIO, TypeVar, cast

from hashgrain.client.sources.images import MAX_FILE_BYTES
from hashgrain.client.sources.items import Item, joined, printable, stamp_of
from hashgrain.client.sources.remote_file import RemoteFile
from hashgrain.client.wire.retry import retry
from hashgrain.codes.errors import DataError, ImageRejected, MissingDependency, SourceUnavailable
from hashgrain.codes.first_line import first_line
from hashgrain.codes.images import IMAGE_SUFFIXES

DEADLINE_S = 120.0
"""For one file or listing, with all attempts; see `retry`."""

ANSWER_S = 30.0
"""How long a web server may take for one picture; of an archive, how long it may be silent."""

PIECE_BYTES = 2**20
"""Of an archive, so much is asked for at a time; fsspec fetches somewhat more in advance."""

_CHANGES = ("ETag", "etag", "LastModified", "last_modified", "Last-Modified", "mtime", "updated", "created")
"""What services call the thing that changes with a file."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class RemoteImage:
    """An image file at an address; see `Readable`."""

    address: str
    stamp: bytes | None = None

    def read(self, name: str) -> bytes:
        """See `Readable`."""
        system, path = _system(self.address)
        try:
            data = _again(lambda: system.cat_file(path))
        except FileNotFoundError:
            raise ImageRejected(name, "there is no such file") from None
        except Exception as exc:  # every service has errors of its own
            raise ImageRejected(name, f"cannot be fetched ({first_line(exc)})") from exc
        if len(data) > MAX_FILE_BYTES:
            raise ImageRejected(name, f"has {len(data):,} bytes, the limit is {MAX_FILE_BYTES:,}; scale it down first")
        return cast("bytes", data)


class RemoteFolder:
    """Every image file below an address, sorted; as `FolderSource`, which see, but listed at once.

    Args:
        address: of the folder.
        prefix: begins the ids.

    Raises:
        DataError: it cannot be listed, or holds no images.
        MissingDependency: a package for this kind of address is not installed.
    """

    def __init__(self, address: str, prefix: str = "") -> None:
        self._prefix = prefix
        self._system, root = _system(address)
        self._root = root.rstrip("/")
        found = _asked(address, lambda: self._system.find(root, detail=True))
        self._files = sorted(((path, facts) for path, facts in found.items() if _is_image(path)), key=itemgetter(0))
        if not self._files:
            raise DataError(f"{address} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}); give another address")

    def __iter__(self) -> Iterator[Item]:
        """See `Source`."""
        return (self._item(path, facts) for path, facts in self._files)

    def count(self) -> int:
        """See `Source`."""
        return len(self._files)

    def _item(self, path: str, facts: dict[str, Any]) -> Item:
        relative = PurePosixPath(path[len(self._root) :].lstrip("/"))
        address = str(self._system.unstrip_protocol(path))
        payload = {"path": printable(address)}
        if relative.parent.name:
            payload["label"] = printable(str(relative.parent))
        return Item(
            joined(self._prefix, printable(str(relative))), RemoteImage(address, _stamp(address, facts)), payload
        )


def matching(pattern: str) -> list[str]:
    """Addresses of the files that a pattern with * stands for, sorted.

    Raises:
        DataError: the service does not answer, or refuses.
        MissingDependency: a package for this kind of address is not installed.
    """
    system, path = _system(pattern)
    found = _asked(pattern, lambda: system.glob(path))
    return sorted(str(system.unstrip_protocol(name)) for name in found)


def open_remote(address: str) -> BinaryIO:
    """The file at an address, to be read; close it. A connection that breaks meanwhile is made anew.

    Raises:
        DataError: it is not there or cannot be read.
        MissingDependency: a package for this kind of address is not installed.
    """
    system, path = _system(address, in_pieces=True)

    def opened(streamed: bool) -> Any:
        web = streamed and address.startswith(("http://", "https://"))
        return system.open(path, "rb", **({"block_size": 0} if web else {}))

    try:
        return cast("BinaryIO", io.BufferedReader(RemoteFile(opened, DEADLINE_S, _passes), PIECE_BYTES))
    except Exception as exc:  # every service has errors of its own
        raise _unreadable(address, exc) from exc


def _asked(address: str, call: Callable[[], Any]) -> Any:
    try:
        return _again(call)
    except Exception as exc:  # every service has errors of its own
        raise _unreadable(address, exc) from exc


def _unreadable(address: str, exc: Exception) -> DataError:
    kind, said = SourceUnavailable if _passes(exc) else DataError, _behind(exc) or exc
    return kind(f"{address} cannot be read ({first_line(said)}); check the address and permissions")


def _system(address: str, in_pieces: bool = False) -> tuple[Any, str]:
    """fsspec's file system for an address, which fsspec itself keeps, and the path within it."""
    try:
        import fsspec

        options: dict[str, Any] = {}
        if address.startswith(("http://", "https://")):
            import aiohttp

            whole = aiohttp.ClientTimeout(total=ANSWER_S)
            piece = aiohttp.ClientTimeout(total=None, sock_connect=ANSWER_S, sock_read=ANSWER_S)
            options = {"client_kwargs": {"timeout": piece if in_pieces else whole}}
        return cast("tuple[Any, str]", fsspec.core.url_to_fs(address, **options))
    except ImportError as exc:
        raise MissingDependency(
            f'{address} needs more packages ({first_line(exc)}); install them with: pip install "hashgrain[remote]", '
            "and s3fs for s3://, gcsfs for gs://, adlfs for az://"
        ) from exc
    except ValueError as exc:
        raise DataError(f"{address} is no address that can be read ({first_line(exc)})") from exc


def _again(call: Callable[[], _T]) -> _T:
    return retry(lambda _: call(), DEADLINE_S, _passes)


def _passes(error: Exception) -> bool:
    """Whether an error may be gone in a moment: not where the file is missing or the request is refused."""
    if behind := _behind(error):
        return _passes(behind)
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotImplementedError):
        return False
    status = getattr(error, "status", None)
    return not isinstance(status, int) or status in (408, 425, 429) or status >= 500


def _behind(error: Exception) -> Exception | None:
    """The error that fsspec takes for a missing file, such as a web server that is not there."""
    cause = error.__cause__ if isinstance(error, FileNotFoundError) else None
    return cause if isinstance(cause, Exception) else None


def _stamp(address: str, facts: dict[str, Any]) -> bytes | None:
    known = [str(facts[name]) for name in _CHANGES if facts.get(name)]
    return stamp_of(address, facts.get("size"), *known) if known else None


def _is_image(path: str) -> bool:
    name = PurePosixPath(path)
    return name.suffix.lower() in IMAGE_SUFFIXES and not name.name.startswith(".")

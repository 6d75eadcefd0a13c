"""Pictures in a tar archive, in WebDataset's layout: files of one key, up to the first dot, belong together.

    000017.jpg    a picture                         id STEM/000017.jpg, STEM being the archive's name without .tar
    000017.json   an object                         its fields are the picture's payload
    000017.cls    a number or a word                payload field "label"
    000017.txt    a text                            payload field "text"

Other files are passed over, and so are names that begin with a dot. A picture without any of these has the archive and
its name as payload. The archive is read from beginning to end, also compressed, without seeking.
https://github.com/webdataset/webdataset
"""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from lzma import LZMAError
from pathlib import PurePosixPath
from typing import Any

from hashgrain.client.sources.images import MAX_FILE_BYTES
from hashgrain.client.sources.items import Item, Readable, joined, printable
from hashgrain.client.sources.location import Location
from hashgrain.client.sources.remote_file import BrokenOff
from hashgrain.codes.errors import DataError, ImageRejected
from hashgrain.codes.images import IMAGE_SUFFIXES

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")

_FIELDS = {".cls": "label", ".txt": "text"}
_JSON = ".json"


@dataclass(frozen=True)
class Refused:
    """A `Readable` that is known to be of no use; see there."""

    reason: str
    stamp: None = None

    def read(self, name: str) -> bytes:
        """See `Readable`."""
        raise ImageRejected(name, self.reason)


@dataclass
class _Sample:
    """The files of one key."""

    key: str
    images: dict[str, bytes | Readable] = field(default_factory=dict)
    payload: dict[str, Any] = field(default_factory=dict)
    fault: str | None = None


class TarSource:
    """The pictures of an archive; one sample at a time is in memory.

    Args:
        location: of the archive.
        prefix: begins the ids, instead of the archive's stem.

    Raises:
        DataError: on iterating: the archive cannot be read, is damaged, or holds no pictures.
    """

    def __init__(self, location: Location, prefix: str = "") -> None:
        self._location = location
        self._prefix = prefix or printable(location.stem)

    def __iter__(self) -> Iterator[Item]:
        """See `Source`."""
        count = 0
        try:
            with self._location.open() as file, tarfile.open(fileobj=file, mode="r|*") as archive:
                for sample in _samples(archive):
                    for item in self._items(sample):
                        yield item
                        count += 1
        except BrokenOff as exc:
            raise exc.told(self._location, f"picture {count:,}") from exc
        except (OSError, EOFError, tarfile.TarError, zlib.error, LZMAError) as exc:
            raise DataError(f"{self._location} is damaged after {count:,} pictures ({exc}); fetch it again") from exc
        if not count:
            raise DataError(f"{self._location} holds no images; give an archive of image files")

    def count(self) -> None:
        """See `Source`: not known before the archive has been read."""

    def _items(self, sample: _Sample) -> Iterator[Item]:
        for name, image in sample.images.items():
            payload = sample.payload or {"path": printable(str(self._location)), "member": name}
            yield Item(joined(self._prefix, name), Refused(sample.fault) if sample.fault else image, payload)


def _samples(archive: tarfile.TarFile) -> Iterator[_Sample]:
    """Neighbours of one key together."""
    sample = _Sample("")
    for member in archive:
        name = PurePosixPath(printable(member.name))
        if not member.isfile() or any(part.startswith(".") for part in name.parts if part not in (".", "..")):
            continue
        stem, dot, rest = name.name.partition(".")
        key, suffix = str(name.with_name(stem)), (dot + rest).lower()
        if key != sample.key:
            yield sample
            sample = _Sample(key)
        if member.size > MAX_FILE_BYTES:
            if name.suffix.lower() in IMAGE_SUFFIXES:
                sample.images[str(name)] = Refused(f"has {member.size:,} bytes, the limit is {MAX_FILE_BYTES:,}")
            continue
        if name.suffix.lower() in IMAGE_SUFFIXES or suffix in _FIELDS or suffix == _JSON:
            file = archive.extractfile(member)
            _take(sample, str(name), suffix, file.read() if file else b"")
    yield sample
    # tarfile takes an archive that is cut off at or within a header for one that ends there.
    if archive.fileobj is None or archive.fileobj.tell() < archive.offset + tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it is cut off, the mark at its end is missing")


def _take(sample: _Sample, name: str, suffix: str, data: bytes) -> None:
    if suffix == _JSON:
        try:
            fields = json.loads(data)
            if not isinstance(fields, dict):
                raise ValueError(f"a {type(fields).__name__} and no object")
            sample.payload |= fields
        except ValueError as exc:
            sample.fault = f"its payload {name} cannot be read ({exc})"
    elif suffix in _FIELDS:
        text = data.decode("utf-8", "backslashreplace").strip()
        number = suffix == ".cls" and text.lstrip("-").isdecimal()
        sample.payload.setdefault(_FIELDS[suffix], int(text) if number else text)
    else:
        sample.images[name] = data

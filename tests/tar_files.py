"""Tar archives for the tests of the client."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    """An archive of some files, in their order."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path

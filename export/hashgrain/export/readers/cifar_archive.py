"""The official CIFAR-10 and CIFAR-100 python archives (Krizhevsky, 2009), given as a path or downloaded."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hashgrain.codes.cache_folder import cache_folder
from hashgrain.codes.errors import DataError
from hashgrain.codes.images import prepare
from hashgrain.export.dataset import LabelledImages


@dataclass(frozen=True)
class Archive:
    """Where an archive is published and how it is laid out."""

    url: str
    md5: str  # as published on the archives' page
    folder: str
    batches: dict[str, tuple[str, ...]]
    meta: str
    fine_key: bytes
    fine_names_key: bytes


ARCHIVES = {
    "cifar10": Archive(
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        md5="c58f30108f718f92721af3b95e74349a",
        folder="cifar-10-batches-py",
        batches={"train": tuple(f"data_batch_{n}" for n in range(1, 6)), "test": ("test_batch",)},
        meta="batches.meta",
        fine_key=b"labels",
        fine_names_key=b"label_names",
    ),
    "cifar100": Archive(
        url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        md5="eb9058c3a382ffc7106e4002c42a8d85",
        folder="cifar-100-python",
        batches={"train": ("train",), "test": ("test",)},
        meta="meta",
        fine_key=b"fine_labels",
        fine_names_key=b"fine_label_names",
    ),
}


def recognises(path: Path) -> bool:
    """Whether a path is one of the archives, packed (.tar.gz) or unpacked."""
    if path.is_file():
        return path.name.endswith((".tar.gz", ".tgz"))
    return _unpacked(path) is not None


def read(path: Path, split: str, size: int) -> LabelledImages:
    """Read one split of an archive.

    Raises:
        DataError: the archive is cut short, of another kind, or has no such split.
    """
    members = _FolderMembers(path) if path.is_dir() else _TarMembers(path)
    archive = members.archive
    if split not in archive.batches:
        raise DataError(f"{path} has the splits {sorted(archive.batches)}, not {split}")
    meta = members.load(archive.meta)
    batches = [members.load(name) for name in archive.batches[split]]
    try:
        pixels = np.concatenate([np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32) for batch in batches])
        fine = np.concatenate([np.asarray(batch[archive.fine_key], np.int64) for batch in batches])
        fine_names = tuple(name.decode() for name in meta[archive.fine_names_key])
        parent, coarse_names = np.arange(len(fine_names)), fine_names
        if b"coarse_label_names" in meta:
            coarse_names = tuple(name.decode() for name in meta[b"coarse_label_names"])
            parent = np.zeros(len(fine_names), np.int64)
            parent[fine] = np.concatenate([np.asarray(batch[b"coarse_labels"], np.int64) for batch in batches])
    except (KeyError, ValueError) as exc:
        raise DataError(f"{path} is not laid out as a CIFAR python archive ({exc!r}); download it again") from exc
    return LabelledImages(_resize(pixels, size), fine, parent, fine_names, coarse_names, f"{path} ({split})")


def download(name: str, cache: Path | None = None) -> Path:
    """Fetch an archive into the cache, once, and check it against the published MD5.

    Args:
        name: ``cifar10`` or ``cifar100``.
        cache: the folder; by default the user's (see `codes.cache_folder`).

    Raises:
        DataError: it cannot be fetched, or what came is not what was published.
    """
    archive = ARCHIVES[name]
    cache = cache or cache_folder()
    target = cache / archive.url.rpartition("/")[2]
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with urllib.request.urlopen(archive.url, timeout=30) as response, part.open("wb") as file:
            while block := response.read(1 << 20):
                digest.update(block)
                file.write(block)
    except (OSError, urllib.error.URLError) as exc:
        part.unlink(missing_ok=True)
        raise DataError(
            f"cannot download {archive.url} ({exc}); fetch it on another machine and give the file's path instead of "
            f"the name {name}, or put it at {target}"
        ) from exc
    if digest.hexdigest() != archive.md5:
        part.unlink()
        raise DataError(
            f"{archive.url} has MD5 {digest.hexdigest()}, published is {archive.md5}; try again, or give a file's path"
        )
    part.rename(target)
    return target


def _unpacked(path: Path) -> Archive | None:
    return next(
        (a for a in ARCHIVES.values() if all((path / name).is_file() for name in (a.meta, *a.batches["test"]))), None
    )


class _FolderMembers:
    def __init__(self, path: Path) -> None:
        archive = _unpacked(path)
        if archive is None:
            raise DataError(f"{path} is not an unpacked CIFAR python archive")
        self.archive, self._path = archive, path

    def load(self, name: str) -> dict[bytes, Any]:
        return _unpickle((self._path / name).read_bytes(), str(self._path / name))


class _TarMembers:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: dict[str, bytes] = {}
        try:
            with tarfile.open(path, "r:gz") as tar:
                for member in tar:
                    if member.isfile() and (file := tar.extractfile(member)) is not None:
                        self._files[member.name] = file.read()
        except (OSError, EOFError, tarfile.TarError) as exc:
            raise DataError(
                f"cannot unpack {path} ({exc}); the file is cut short or damaged: download it again"
            ) from exc
        archive = next((a for a in ARCHIVES.values() if f"{a.folder}/{a.meta}" in self._files), None)
        if archive is None:
            raise DataError(f"{path} is not a CIFAR python archive: it holds neither of the two known folders")
        self.archive = archive

    def load(self, name: str) -> dict[bytes, Any]:
        full = f"{self.archive.folder}/{name}"
        if full not in self._files:
            raise DataError(f"{self._path} lacks {full}; download it again")
        return _unpickle(self._files[full], full)


class _ArrayUnpickler(pickle.Unpickler):
    """Pickles can run code: allow only what the archives hold, NumPy arrays in plain containers."""

    ALLOWED: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it wants to load {module}.{name}")
        return super().find_class(module, name)


def _unpickle(data: bytes, source: str) -> dict[bytes, Any]:
    try:
        value = _ArrayUnpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as exc:  # damaged pickles raise nearly anything
        raise DataError(f"cannot read {source} ({exc}); it is damaged or not a CIFAR batch") from exc
    if not isinstance(value, dict):
        raise DataError(f"{source} holds a {type(value).__name__}, a CIFAR batch is a dict")
    return value


def _resize(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    images = np.empty((len(pixels), size, size, 3), np.uint8)
    for row, picture in enumerate(pixels.transpose(0, 2, 3, 1)):
        images[row] = prepare(Image.fromarray(np.ascontiguousarray(picture)), size)
    return images

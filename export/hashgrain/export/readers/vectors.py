"""Vectors that another network has made, as .npy files: folder/train.npy and folder/test.npy, or one file.

Beside NAME.npy, float (N, D), may lie NAME.labels.npy with the classes, integers or strings: (N,), or (N, 2) with the
superclasses in the second column. In Parquet files, vectors are read by `parquet`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import DataError
from hashgrain.export.dataset import LabelledImages


def recognises(path: Path) -> bool:
    """Whether a path is a .npy file, or a folder with train.npy or test.npy in it."""
    return path.suffix == ".npy" or any((path / f"{split}.npy").is_file() for split in ("train", "test"))


def read(path: Path, split: str) -> LabelledImages:
    """Vectors with their labels; one file serves every split.

    Raises:
        DataError: there are no vectors or no labels, or they do not fit.
    """
    file = _file(path, split)
    vectors = checked_vectors(_load(file), str(file))
    beside = file.with_suffix(".labels.npy")
    if not beside.exists():
        raise DataError(f"{file} has no labels beside it: write {beside.name}, or take the vectors --unlabelled")
    labels = _load(beside)
    if labels.ndim > 2 or labels.shape[1:] not in ((), (2,)) or labels.dtype.kind not in "iuU":
        raise DataError(f"{beside} holds {labels.dtype} {labels.shape}; labels are integers or strings, (N,) or (N, 2)")
    columns = labels[:, None] if labels.ndim == 1 else labels
    fine, fine_names = numbered(columns[:, 0])
    parent, coarse_names = np.arange(len(fine_names)), fine_names
    if columns.shape[1] == 2:
        coarse, coarse_names = numbered(columns[:, 1])
        parent = parents(fine, coarse, len(fine_names), str(beside))
    return LabelledImages(vectors, fine, parent, fine_names, coarse_names, f"{path} ({split})")


def read_alone(path: Path, split: str) -> tuple[NDArray[np.float32], str]:
    """Vectors without a look at labels, float32 (N, D), and where they came from."""
    file = _file(path, split)
    return checked_vectors(_load(file), str(file)), str(file)


def checked_vectors(values: NDArray[Any], source: str) -> NDArray[np.float32]:
    """Vectors as float32 (N, D).

    Raises:
        DataError: they are of another type or shape, or not finite.
    """
    if values.ndim != 2 or values.dtype.kind != "f" or 0 in values.shape:
        raise DataError(f"{source} holds {values.dtype} {values.shape}; vectors are floats (N, D), one row each")
    astray = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(astray):
        raise DataError(f"{source}: {len(astray)} vectors hold a value that is not finite, row {astray[0]} first")
    return np.ascontiguousarray(values, np.float32)


def numbered(labels: NDArray[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels, integers or strings, as numbers from 0, int64 (N,), in the order of their names."""
    names, numbers = np.unique(labels, return_inverse=True)
    return numbers.ravel().astype(np.int64), tuple(map(str, names.tolist()))


def parents(fine: NDArray[np.int64], coarse: NDArray[np.int64], classes: int, source: str) -> NDArray[np.int64]:
    """The superclass of each class, int64 (classes,).

    Raises:
        DataError: a class stands under two.
    """
    parent = np.zeros(classes, np.int64)
    parent[fine] = coarse
    if not np.array_equal(parent[fine], coarse):
        row = int(np.flatnonzero(parent[fine] != coarse)[0])
        raise DataError(f"{source}: class {fine[row]} stands under two superclasses (row {row}); labels must nest")
    return parent


def _file(path: Path, split: str) -> Path:
    if path.is_dir():
        file = path / f"{split}.npy"
        if not file.is_file():
            raise DataError(f"{path} holds no {split}.npy; name the files of vectors by split")
        return file
    return path


def _load(path: Path) -> NDArray[Any]:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
    except (OSError, ValueError) as exc:
        raise DataError(f"{path} cannot be read as an array ({exc}); write it with numpy.save") from exc
    raise DataError(f"{path} is an archive of arrays; write a single one with numpy.save")

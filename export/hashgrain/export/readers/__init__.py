"""Labelled pictures from the layouts that people have them in.

readers.load("data/cifar100", "train", size=64)            a folder of train-*.parquet and test-*.parquet
readers.load("cifar-100-python.tar.gz", "train", size=64)  the official python archive, packed or unpacked
readers.load("cifar100", "train", size=64)                 the same, downloaded and checked
readers.load("photos/", "train", size=64)                  photos/[train/]coarse/fine/*.jpg or class/*.jpg
readers.load("clip/", "train", size=0)                     vectors: clip/train.npy, or Parquet with a column of them
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import DataError
from hashgrain.export.dataset import LabelledImages
from hashgrain.export.hierarchy import read_hierarchy
from hashgrain.export.readers import cifar_archive, folder_tree, parquet, vectors


def load(
    source: str | Path, split: str, size: int, hierarchy: str | Path | None = None, coarse_level: int = 0
) -> LabelledImages:
    """Read the pictures of one split.

    Args:
        source: a folder of Parquet files, an official CIFAR python archive (tar.gz or unpacked folder), a folder
            tree, or the name ``cifar10`` / ``cifar100``, which is downloaded to the cache where no such path exists.
        split: ``train`` or ``test``.
        size: S, side of the network's input in pixels; of no account where the source holds vectors.
        hierarchy: a JSON file of any depth that replaces the hierarchy of the data, see `hierarchy`.
        coarse_level: which of its levels is that of the superclasses, from 1 just below the root; 0 for the parents.

    Returns:
        The pictures in the order of the source. Where neither the data nor a file gives superclasses, every class
        is its own.

    Raises:
        DataError: the source is of no known layout, or a part of it cannot be read.
    """
    path = Path(source)
    if size == 0 and not (path.exists() and holds_vectors(path)):
        raise DataError(f"no vectors at {source}, and the model takes nothing else; give .npy or Parquet files of them")
    if vectors.recognises(path) and path.exists():
        data = vectors.read(path, split)
    elif path.is_dir() and any(path.glob("*.parquet")):
        data = parquet.read(path, split, size)
    elif path.is_file() and path.suffix == ".parquet":
        data = parquet.read_files([path], size, str(path))
    elif cifar_archive.recognises(path):
        data = cifar_archive.read(path, split, size)
    elif path.is_dir():
        data = folder_tree.read(path, split, size)
    elif str(source) in cifar_archive.ARCHIVES:
        data = cifar_archive.read(cifar_archive.download(str(source)), split, size)
    else:
        raise DataError(
            f"no data at {source}: give a folder of Parquet files, a CIFAR python archive, a folder tree of classes, "
            f"or one of the names {sorted(cifar_archive.ARCHIVES)} to download"
        )
    if not hierarchy:
        if coarse_level:
            raise DataError(f"coarse level {coarse_level} is one of a hierarchy file's, and no hierarchy is given")
        return data
    return data.under(*read_hierarchy(Path(hierarchy), data.fine_names, data.source, coarse_level))


def holds_vectors(source: str | Path) -> bool:
    """Whether a source holds vectors, not pictures.

    Raises:
        DataError: it cannot be read.
    """
    path = Path(source)
    if vectors.recognises(path):
        return True
    files = [path] if path.is_file() and path.suffix == ".parquet" else sorted(path.glob("*.parquet"))
    return bool(files) and parquet.holds_vectors(files)


def load_vectors(source: str | Path, split: str) -> tuple[NDArray[np.float32], str]:
    """The vectors of a source that holds some, float32 (N, D), without a look at labels, and what to call them.

    Raises:
        DataError: they cannot be read.
    """
    path = Path(source)
    if vectors.recognises(path):
        return vectors.read_alone(path, split)
    name = f"{path} ({split})"
    return parquet.read_vectors(parquet.files_of(path, split), name), name

"""Labelled pictures from the layouts that people have them in.

readers.load("data/cifar100", "train", size=64)            a folder of train-*.parquet and test-*.parquet
readers.load("cifar-100-python.tar.gz", "train", size=64)  the official python archive, packed or unpacked
readers.load("cifar100", "train", size=64)                 the same, downloaded and checked
readers.load("photos/", "train", size=64)                  photos/[train/]coarse/fine/*.jpg or class/*.jpg
"""

from __future__ import annotations

import json
from pathlib import Path

from hashgrain.codes.errors import DataError
from hashgrain.export.dataset import LabelledImages, apply_hierarchy
from hashgrain.export.readers import cifar_archive, folder_tree, parquet


def load(source: str | Path, split: str, size: int, hierarchy: str | Path | None = None) -> LabelledImages:
    """Read the pictures of one split.

    Args:
        source: a folder of Parquet files, an official CIFAR python archive (tar.gz or unpacked folder), a folder
            tree, or the name ``cifar10`` / ``cifar100``, which is downloaded to the cache where no such path exists.
        split: ``train`` or ``test``.
        size: S, side of the network's input in pixels.
        hierarchy: a JSON file {superclass: [class, ...]} that replaces the hierarchy of the data.

    Returns:
        The pictures in the order of the source. Where neither the data nor a file gives superclasses, every class
        is its own.

    Raises:
        DataError: the source is of no known layout, or a part of it cannot be read.
    """
    path = Path(source)
    if path.is_dir() and any(path.glob("*.parquet")):
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
    return _with_hierarchy(data, Path(hierarchy)) if hierarchy else data


def _with_hierarchy(data: LabelledImages, path: Path) -> LabelledImages:
    try:
        tree = json.loads(path.read_text())
        valid = isinstance(tree, dict) and all(isinstance(children, list) for children in tree.values())
    except (OSError, ValueError) as exc:
        raise DataError(f"cannot read the hierarchy from {path}: {exc}") from exc
    if not valid:
        raise DataError(f'{path} must hold one JSON object, {{"superclass": ["class", ...], ...}}')
    parent, coarse_names = apply_hierarchy(data.fine_names, tree, data.source)
    return LabelledImages(data.images, data.fine, parent, data.fine_names, coarse_names, data.source)

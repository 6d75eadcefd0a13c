"""Pictures in folders: root/[split/]superclass/class/*.jpg, or root/[split/]class/*.jpg.

The depth decides: where the folders under the root hold folders, there are two levels. A root with a folder named
after the split is read from there; a root without splits serves every split.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hashgrain.codes.errors import DataError, ImageRejected
from hashgrain.codes.images import IMAGE_SUFFIXES, decode
from hashgrain.export.dataset import LabelledImages


def read(root: Path, split: str, size: int) -> LabelledImages:
    """Read a folder tree, classes and files in the order of their names.

    Raises:
        DataError: no pictures, two depths mixed, one class name under two superclasses, or a damaged picture.
    """
    base = root / split if (root / split).is_dir() else root
    classes = _classes(base)
    if not classes:
        raise DataError(
            f"{base} holds no pictures in folders: expected {base}/class/*.jpg or {base}/superclass/class/*.jpg "
            f"({', '.join(sorted(IMAGE_SUFFIXES))})"
        )
    fine_names = tuple(name for _, name, _ in classes)
    twice = {name for name in fine_names if fine_names.count(name) > 1}
    if twice:
        raise DataError(f"{base}: class {min(twice)!r} stands under two superclasses; labels must nest, rename one")
    coarse_names = tuple(dict.fromkeys(superclass for superclass, _, _ in classes))
    parent = np.array([coarse_names.index(superclass) for superclass, _, _ in classes], np.int64)
    files = [(path, label) for label, (_, _, paths) in enumerate(classes) for path in paths]
    images = np.empty((len(files), size, size, 3), np.uint8)
    for row, (path, _) in enumerate(files):
        try:
            images[row] = decode(path.read_bytes(), size, str(path))
        except ImageRejected as exc:
            raise DataError(f"{exc}; repair or remove it") from exc
        except OSError as exc:
            raise DataError(f"cannot read {path}: {exc}") from exc
    fine = np.array([label for _, label in files], np.int64)
    return LabelledImages(images, fine, parent, fine_names, coarse_names, f"{root} ({split})")


def _classes(base: Path) -> list[tuple[str, str, list[Path]]]:
    """(superclass, class, pictures) for every class folder that holds any."""
    found: list[tuple[str, str, list[Path]]] = []
    depths = set()
    for folder in _folders(base):
        inner = _folders(folder)
        if _pictures(folder):
            found.append((folder.name, folder.name, _pictures(folder)))
            depths.add("class/*")
        for child in inner:
            if _pictures(child):
                found.append((folder.name, child.name, _pictures(child)))
                depths.add("superclass/class/*")
    if len(depths) > 1:
        raise DataError(f"{base} mixes pictures in class folders with superclass/class folders; keep to one depth")
    return found


def _folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES)

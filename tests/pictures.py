"""Pictures for the tests of the client: arrays, files' bytes and folders of files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tiny_model import SIZE


def arrays(count: int, seed: int = 0, height: int = SIZE, width: int = SIZE) -> NDArray[np.uint8]:
    """uint8 (count, height, width, 3): smooth random pictures, so that their codes differ well."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    pictures = [np.asarray(Image.fromarray(c).resize((width, height), Image.Resampling.BICUBIC)) for c in cells]
    return np.array(pictures, np.uint8).reshape(count, height, width, 3)


def file_bytes(array: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    """An image file that holds the picture."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


def write_tree(root: Path, pictures: NDArray[np.uint8]) -> list[str]:
    """Write pictures as PNG files into two subfolders; returns their paths relative to `root`, sorted."""
    names = []
    for position, picture in enumerate(pictures):
        name = f"{'cats' if position % 2 else 'dogs'}/{position:03}.png"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(file_bytes(picture))
        names.append(name)
    return sorted(names)

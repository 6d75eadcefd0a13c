"""A folder of JPEG files for measurements of encoding: real pictures where there are any, else drawn ones."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from hashgrain.demo.collection import find_collection

SIZE = (256, 192)
QUALITY = 90


def write_jpegs(folder: Path, count: int, data: str | None) -> str:
    """Write `count` files of 256 x 192 pixels, `000000.jpg` and on.

    Args:
        folder: where to, made when missing.
        count: how many, at most as many as there are.
        data: see `find_collection`; pictures of CIFAR-100 are enlarged by a bicubic filter.

    Returns:
        What they are, in words.
    """
    collection = find_collection(data, count, 1, print)
    folder.mkdir(parents=True, exist_ok=True)
    size = 0
    for number, picture in enumerate(collection.images):
        file = folder / f"{number:06}.jpg"
        Image.fromarray(picture).resize(SIZE, Image.Resampling.BICUBIC).save(file, quality=QUALITY)
        size += file.stat().st_size
    files = len(collection.images)
    return (
        f"{files:,} JPEG files of {SIZE[0]} x {SIZE[1]} pixels, {size / files / 1000:.1f} kB each: {collection.source}"
    )

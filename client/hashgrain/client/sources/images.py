"""Whatever a caller has for a picture → the network's input."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hashgrain.codes.errors import ImageRejected
from hashgrain.codes.images import decode

ImageLike: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | NDArray[Any]
"""A path, a file's bytes, a PIL image, or a uint8 array (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA.

For a model of vectors: a float array (D,)."""

MAX_FILE_BYTES = 256 * 2**20
"""Larger files are refused unread: a batch of them would not fit in memory."""


def load(image: ImageLike, size: int, name: str) -> NDArray[np.uint8]:
    """Load, decode and prepare one picture.

    Args:
        image: see `ImageLike`. An array of shape (S, S, 3) is returned as it is.
        size: S, the side of the network's input in pixels.
        name: what to call the picture in an error.

    Returns:
        uint8 (S, S, 3), RGB, possibly read-only.

    Raises:
        ImageRejected: it cannot be read or decoded, or is of another type.
    """
    if isinstance(image, np.ndarray):
        if image.dtype == np.uint8 and image.shape == (size, size, 3):
            return image
        return decode(_picture_of(image, name), size, name)
    if isinstance(image, Image.Image):
        return decode(image, size, name)
    if isinstance(image, bytes | bytearray | memoryview):
        return decode(bytes(image), size, name)
    if isinstance(image, str | os.PathLike):
        return decode(read_file(Path(image), name), size, name)
    raise ImageRejected(
        name, f"is a {type(image).__name__}; give a path, bytes, a PIL image or a uint8 array (H, W, 3)"
    )


def default_name(image: Any, position: int) -> str:
    """What to call a picture that has no name of its own: its path, or its position from 0."""
    return os.fspath(image) if isinstance(image, str | os.PathLike) else f"image {position}"


def read_file(path: Path, name: str) -> bytes:
    """The bytes of an image file.

    Raises:
        ImageRejected: it is missing, no regular file, larger than MAX_FILE_BYTES, or cannot be read.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageRejected(name, "is a folder, not an image file")
        if not stat.S_ISREG(status.st_mode):
            raise ImageRejected(name, "is not a regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise ImageRejected(
                name, f"has {status.st_size:,} bytes, the limit is {MAX_FILE_BYTES:,}; scale it down first"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageRejected(name, "there is no such file") from None
    except (OSError, ValueError) as exc:  # ValueError: a null character in the path
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise ImageRejected(name, f"cannot be read ({reason})") from exc


def _picture_of(array: NDArray[Any], name: str) -> Image.Image:
    if array.dtype != np.uint8:
        raise ImageRejected(
            name, f"is an array of {array.dtype}, arrays must be uint8 from 0 to 255; scale and convert it first"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))) or 0 in array.shape:
        raise ImageRejected(name, f"is an array of shape {array.shape}, must be (H, W), (H, W, 3) or (H, W, 4)")
    return Image.fromarray(np.ascontiguousarray(array))

"""How a picture becomes the network's input: the one definition that training and serving share.

If the two differ by as little as a resampling filter, accuracy is lost and nothing reports it. So it stands here,
beside the other contracts, and is the only module of `codes` that needs Pillow (import it where you need it).

A picture is turned upright by its EXIF orientation, converted to RGB (transparency laid over white), and resized to
the square input by antialiased bilinear resampling; the aspect ratio is not kept, so that nothing is cut off. Of an
animation the first frame counts.
"""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from hashgrain.codes.errors import ImageRejected

MAX_PIXELS = 89_478_485
"""Pictures of more pixels are refused before they are decoded: a decompression bomb fits in a few kilobytes.

It is the number above which Pillow itself warns, so that no picture which is taken ever sets off that warning.
"""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2"})
"""Files of a folder with these endings, in any case, are taken for pictures; the others are passed over."""

_ORIENTATION = 0x0112
_UPRIGHT = 1
_TILE = 1024

_loading = threading.Lock()


def prepare(picture: Image.Image, size: int) -> NDArray[np.uint8]:
    """Make the network's input from an open picture of any mode.

    Args:
        picture: a PIL image.
        size: S, the side of the input in pixels.

    Returns:
        uint8 (S, S, 3), RGB; possibly read-only.

    Raises:
        OSError, ValueError, SyntaxError: Pillow cannot decode it (`decode` turns these into ImageRejected).
    """
    picture.load()
    rgb = _to_rgb(_upright(picture))
    if rgb.size != (size, size):
        rgb = rgb.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(rgb)


def decode(data: bytes | Image.Image, size: int, name: str) -> NDArray[np.uint8]:
    """Decode an image file's bytes (or take an open picture) and prepare it; see `prepare`.

    Safe to call from several threads, also with one open picture.

    Raises:
        ImageRejected: it is empty, not an image, cut short, damaged, PostScript, or larger than MAX_PIXELS.
    """
    if isinstance(data, bytes) and not data:
        raise ImageRejected(name, "the file is empty")
    try:
        if isinstance(data, bytes):
            return prepare(_allowed(Image.open(io.BytesIO(data)), name), size)
        with _loading:  # Pillow reads the pixels on first use; two threads must not both be the first
            _allowed(data, name).load()
        return prepare(data, size)
    except ImageRejected:
        raise
    except UnidentifiedImageError:
        raise ImageRejected(name, "not an image in a format that Pillow reads") from None
    except Image.DecompressionBombError as exc:
        raise ImageRejected(name, f"too many pixels, the limit is {MAX_PIXELS:,}; scale it down first") from exc
    except Exception as exc:  # Pillow's decoders raise nearly anything on damaged files
        raise ImageRejected(name, f"cannot be decoded ({type(exc).__name__}: {exc})") from exc


def _allowed(picture: Image.Image, name: str) -> Image.Image:
    if picture.format == "EPS":  # Pillow would run Ghostscript on what a stranger wrote
        raise ImageRejected(name, "PostScript is a program; convert it to PNG or JPEG first")
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise ImageRejected(name, f"{width} x {height} pixels, the limit is {MAX_PIXELS:,} in all; scale it down first")
    return picture


def _upright(picture: Image.Image) -> Image.Image:
    """Turn a loaded picture by its EXIF orientation; damaged EXIF data say nothing about the pixels."""
    try:
        if picture.getexif().get(_ORIENTATION, _UPRIGHT) == _UPRIGHT:  # exif_transpose would copy it for nothing
            return picture
        return ImageOps.exif_transpose(picture)
    except Exception:  # Pillow raises SyntaxError, struct.error, KeyError, ...
        return picture


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "I" or picture.mode.startswith("I;16") or picture.mode == "F":
        return _by_tiles(picture, _eight_bits(picture))
    if picture.mode in ("RGBA", "LA", "La", "PA", "RGBa") or "transparency" in picture.info:
        return _by_tiles(picture, _over_white)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _by_tiles(picture: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert a picture pixel by pixel, in tiles: the steps between would take the largest some gigabytes at once."""
    width, height = picture.size
    if width <= _TILE and height <= _TILE:
        return convert(picture)
    rgb = Image.new("RGB", picture.size)
    for left, top in product(range(0, width, _TILE), range(0, height, _TILE)):
        box = (left, top, min(left + _TILE, width), min(top + _TILE, height))
        rgb.paste(convert(picture.crop(box)), box)
    return rgb


def _over_white(tile: Image.Image) -> Image.Image:
    rgba = (tile.convert("LA") if tile.mode == "La" else tile).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _eight_bits(picture: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Of 16-bit, 32-bit and float greyscale: Pillow's own conversion clips at 255, which turns an X-ray white."""
    if picture.mode.startswith("I;16"):
        return lambda tile: _grey(_values(tile) / 257.0)
    low, high = _finite_range(picture)
    if not high > low:
        return lambda tile: Image.new("RGB", tile.size)
    scale = 255.0 / (high - low)

    def stretched(tile: Image.Image) -> Image.Image:
        values = _values(tile)
        return _grey((np.where(np.isfinite(values), values, low) - low) * scale)

    return stretched


def _finite_range(picture: Image.Image) -> tuple[float, float]:
    """The least and the largest of the values that are numbers; (inf, -inf) where there is none."""
    low, high = math.inf, -math.inf
    rows = max(1, _TILE * _TILE // picture.width)
    for top in range(0, picture.height, rows):
        values = _values(picture.crop((0, top, picture.width, min(top + rows, picture.height))))
        finite = values[np.isfinite(values)]
        low, high = min(low, float(finite.min(initial=low))), max(high, float(finite.max(initial=high)))
    return low, high


def _values(picture: Image.Image) -> NDArray[np.float64]:
    return np.asarray(picture).astype(np.float64)


def _grey(values: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.rint(values).astype(np.uint8)).convert("RGB")

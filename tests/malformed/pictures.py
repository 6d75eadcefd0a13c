"""Image files that are damaged, unusual, or bombs: a few kilobytes that are gigabytes when they are unpacked."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from PIL import Image

Verdict = Literal["answered", "refused", "either"]

KINDS = (
    "PNG",
    "JPEG",
    "WEBP",
    "GIF",
    "TIFF",
    "BMP",
    "AVIF",
    "JPEG2000",
    "ICO",
    "PPM",
    "TGA",
    "PCX",
    "SGI",
    "QOI",
    "DDS",
)
ENDS_IN_PIXELS = ("PNG", "JPEG", "WEBP", "BMP", "PPM")
"""Of these, half a file is refused; other formats may hold the pixels in front of something else."""


@dataclass(frozen=True)
class Picture:
    """An image file.

    Attributes:
        what: what it is.
        content: its bytes.
        verdict: whether it is answered, as a picture that can be read, or refused.
    """

    what: str
    content: bytes
    verdict: Verdict


def picture(rng: np.random.Generator) -> Picture:
    """One at random; one in fifty is a bomb, since those take longer."""
    if rng.random() < 0.02:
        return BOMBS[int(rng.integers(len(BOMBS)))]()
    return (_truncated, _damaged, _garbage, _unusual)[int(rng.integers(4))](rng)


@cache
def whole(kind: str, side: int = 40) -> bytes:
    """A file that is as it should be."""
    cells = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    return _saved(Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC), kind)


def _truncated(rng: np.random.Generator) -> Picture:
    kind = str(rng.choice(KINDS))
    content = whole(kind)
    cut = content[: int(rng.integers(1, len(content) // 2))]
    return Picture(
        f"{kind} cut to {len(cut)} of {len(content)} bytes", cut, "refused" if kind in ENDS_IN_PIXELS else "either"
    )


def _damaged(rng: np.random.Generator) -> Picture:
    kind = str(rng.choice(KINDS))
    content = bytearray(whole(kind))
    places = rng.integers(0, len(content), int(rng.integers(1, 20)))
    for place in places:
        content[place] = int(rng.integers(256))
    return Picture(f"{kind} with other bytes at {sorted(places.tolist())}", bytes(content), "either")


def _garbage(rng: np.random.Generator) -> Picture:
    noise = rng.bytes(int(rng.integers(1, 3000)))
    head = whole(str(rng.choice(KINDS)))[: int(rng.integers(4, 30))]
    contents = {
        "nothing": b"",
        "one zero": b"\0",
        "noise": noise,
        "a head and noise": head + noise,
        "HTML": b"<html><body>404 Not Found</body></html>",
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>',
        "PDF": b"%PDF-1.4\n%%EOF",
        "a data URL without base64": b"data:image/png,%89PNG",
        "a data URL of blanks": b"data:image/png;base64,    ",
        "a data URL within a data URL": b"data:;base64,ZGF0YTo7YmFzZTY0LA==",
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n0 0 9 9 rectfill\n%%EOF\n",
    }
    what = str(rng.choice(list(contents)))
    return Picture(what, contents[what], "either" if what == "a head and noise" else "refused")


def _unusual(rng: np.random.Generator) -> Picture:
    what = str(rng.choice(list(UNUSUAL)))
    return Picture(what, _unusual_file(what), "answered")


@cache
def _unusual_file(what: str) -> bytes:
    return UNUSUAL[what]()


def _frames() -> list[Image.Image]:
    return [Image.new("RGB", (30, 20), colour) for colour in ("red", "green", "blue")]


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _animated(kind: str) -> Callable[[], bytes]:
    return lambda: _saved(_frames()[0], kind, save_all=True, append_images=_frames()[1:], duration=50)


def _of(mode: str, kind: str, **options: Any) -> Callable[[], bytes]:
    return lambda: _saved(Image.new("RGB", (30, 20), "teal").convert(mode), kind, **options)


UNUSUAL: dict[str, Callable[[], bytes]] = {
    "animated GIF": _animated("GIF"),
    "animated WebP": _animated("WEBP"),
    "animated PNG": _animated("PNG"),
    "TIFF of three pages": _animated("TIFF"),
    "16-bit PNG": lambda: _saved(Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100), "PNG"),
    "32-bit TIFF": _of("I", "TIFF"),
    "float TIFF with NaN": lambda: _saved(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF"),
    "CMYK JPEG": _of("CMYK", "JPEG"),
    "CMYK TIFF": _of("CMYK", "TIFF"),
    "Lab TIFF": _of("LAB", "TIFF"),
    "grey JPEG": _of("L", "JPEG"),
    "progressive JPEG": _of("RGB", "JPEG", progressive=True),
    "1-bit PNG": _of("1", "PNG"),
    "palette PNG with transparency": _of("P", "PNG", transparency=0),
    "grey PNG with alpha": _of("LA", "PNG"),
    "RGBA WebP": _of("RGBA", "WEBP"),
    "one pixel": lambda: _saved(Image.new("RGB", (1, 1)), "PNG"),
    "20,000 x 1": lambda: _saved(Image.new("RGB", (20_000, 1)), "PNG"),
    "JPEG with odd EXIF": _of("RGB", "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12"),
}


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(width: int, height: int, depth: int, colour: int, rows: bytes, *chunks: bytes) -> bytes:
    """A PNG with these pixels, packed already; further chunks come before them."""
    header = _png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _png_chunk(b"IDAT", rows) + _png_chunk(b"IEND", b"")


@cache
def zeros(count: int) -> bytes:
    """So many zero bytes, deflated."""
    packer = zlib.compressobj(9)
    packed = [packer.compress(bytes(min(1 << 20, count - start))) for start in range(0, count, 1 << 20)]
    return b"".join(packed) + packer.flush()


def _bomb(what: str, make: Callable[[], bytes], verdict: Verdict = "refused") -> Callable[[], Picture]:
    return cache(lambda: Picture(what, make(), verdict))


def _tiff_bomb() -> bytes:
    """One strip of zeros, which Pillow would unpack to 30,000 x 30,000 pixels."""
    rows = zeros(10_000_000)
    tags = (
        (256, 30_000),
        (257, 30_000),
        (258, 8),
        (259, 8),
        (262, 1),
        (273, 122),
        (277, 1),
        (278, 30_000),
        (279, len(rows)),
    )
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0" + rows


def _with_size(kind: str, place: int, form: str, width: int, height: int) -> bytes:
    """A small file that says it is large."""
    content = whole(kind)
    size = struct.pack(form, width, height)
    return content[:place] + size + content[place + len(size) :]


def _jpeg_bomb() -> bytes:
    content = whole("JPEG")
    return _with_size("JPEG", content.index(b"\xff\xc0") + 5, ">HH", 65_500, 65_500)


def _ico_bomb() -> bytes:
    """It promises 16 x 16 pixels and holds a PNG of 12,000 x 12,000."""
    inner = png_of(12_000, 12_000, 1, 0, zeros(1501 * 12_000))
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22) + inner


BOMBS: tuple[Callable[[], Picture], ...] = (
    _bomb("PNG of 30,000 x 30,000", lambda: png_of(30_000, 30_000, 1, 0, zeros(3751 * 30_000))),
    _bomb("PNG of 2^31-1 x 2^31-1", lambda: png_of(2**31 - 1, 2**31 - 1, 16, 6, zeros(1000))),
    _bomb("PNG of 9,400 x 9,500", lambda: png_of(9400, 9500, 1, 0, zeros(1176 * 9500)), "answered"),
    _bomb("16-bit PNG of 9,400 x 9,500", lambda: png_of(9400, 9500, 16, 0, zeros(18_801 * 9500)), "answered"),
    _bomb(
        "PNG with 200 MB of text",
        lambda: png_of(9, 9, 8, 0, zeros(90), _png_chunk(b"zTXt", b"a\0\0" + zeros(200_000_000))),
        "either",
    ),
    _bomb("TIFF of 30,000 x 30,000", _tiff_bomb),
    _bomb("GIF of 65,535 x 65,535", lambda: _with_size("GIF", 6, "<HH", 65_535, 65_535), "either"),
    _bomb("BMP of 100,000 x 100,000", lambda: _with_size("BMP", 18, "<ii", 100_000, 100_000)),
    _bomb("TGA of 65,535 x 65,535", lambda: _with_size("TGA", 12, "<HH", 65_535, 65_535)),
    _bomb("JPEG of 65,500 x 65,500", _jpeg_bomb),
    _bomb("WebP of 16,383 x 16,383", lambda: _with_size("WEBP", 26, "<HH", 16_383, 16_383)),
    _bomb("PPM of 10^9 x 10^9", lambda: b"P6 1000000000 1000000000 255\n"),
    _bomb("ICO with a PNG of 12,000 x 12,000", _ico_bomb),
)

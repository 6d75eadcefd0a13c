"""How a picture becomes the network's input."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hashgrain.codes import images
from hashgrain.codes.errors import ImageRejected
from hashgrain.codes.images import MAX_PIXELS, decode, prepare

SIZE = 16
RED, WHITE = (255, 0, 0), (255, 255, 255)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a file that holds the picture."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height: int = 24, width: int = 40, channels: int = 3) -> np.ndarray:
    """A seeded random picture."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def png_header(width: int, height: int) -> bytes:
    """The start of a PNG that claims to have any number of pixels, in a few bytes."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (header, b"IDAT" + zlib.compress(b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


def test_a_picture_of_the_right_size_goes_through_untouched() -> None:
    pixels = noise(SIZE, SIZE)
    assert np.array_equal(decode(encoded(Image.fromarray(pixels), "PNG"), SIZE, "x"), pixels)


def test_bytes_and_an_open_picture_give_the_same_input() -> None:
    data = encoded(Image.fromarray(noise()), "JPEG", quality=80)
    assert np.array_equal(decode(data, SIZE, "x"), decode(Image.open(io.BytesIO(data)), SIZE, "x"))


def test_resizing_is_antialiased() -> None:
    stripes = np.zeros((160, 160, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(decode(Image.fromarray(stripes), SIZE, "x").astype(int) - 127)[:, 1:-1].max() <= 2


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB"]
)
def test_every_mode_becomes_rgb(mode: str) -> None:
    picture = Image.fromarray(noise())
    if mode in ("La", "RGBa", "PA"):
        picture = picture.convert({"La": "LA", "RGBa": "RGBA", "PA": "P"}[mode])
    if mode == "LAB":
        picture = Image.new("LAB", (40, 24), (120, 10, 20))
    prepared = prepare(picture.convert(mode), SIZE)
    assert prepared.dtype == np.uint8
    assert prepared.shape == (SIZE, SIZE, 3)


def test_grey_becomes_three_equal_channels() -> None:
    grey = noise(SIZE, SIZE, channels=1)
    assert np.array_equal(prepare(Image.fromarray(grey), SIZE), np.repeat(grey[:, :, None], 3, axis=2))


def test_cmyk_keeps_its_colours() -> None:
    prepared = prepare(Image.new("RGB", (8, 8), RED).convert("CMYK"), SIZE)
    assert np.abs(prepared.astype(int) - RED).max() <= 1


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGBA", (8, 8), (255, 0, 0, 0)),
        Image.new("LA", (8, 8), (0, 0)),
        Image.new("LA", (8, 8), (0, 0)).convert("La"),
        Image.new("RGBA", (8, 8), (255, 0, 0, 0)).convert("RGBa"),
    ],
    ids=lambda picture: picture.mode,
)
def test_what_is_transparent_becomes_white(picture: Image.Image) -> None:
    assert (prepare(picture, SIZE) == 255).all()


@pytest.mark.parametrize("mode", ["P", "RGB", "L"])
def test_a_colour_that_stands_for_transparent_becomes_white(mode: str) -> None:
    picture = Image.new(mode, (8, 8), 0)
    data = encoded(picture, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert (decode(data, SIZE, "x") == 255).all()


def test_half_transparent_red_over_white_is_pink() -> None:
    prepared = prepare(Image.new("RGBA", (8, 8), (255, 0, 0, 128)), SIZE)
    assert np.abs(prepared.astype(int) - (255, 127, 127)).max() <= 1


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    values = np.array([[0, 257 * 100], [257 * 200, 65535]], np.uint16)
    prepared = decode(encoded(Image.fromarray(values), "PNG"), 2, "x")
    assert prepared[:, :, 0].tolist() == [[0, 100], [200, 255]]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_wide_grey_is_stretched_over_its_own_range(dtype: type) -> None:
    values = np.array([[-1000, 0], [500, 1000]], dtype)
    assert prepare(Image.fromarray(values), 2)[:, :, 0].tolist() == [[0, 128], [191, 255]]


def test_wide_grey_of_one_value_or_without_a_finite_one_is_black() -> None:
    assert (prepare(Image.fromarray(np.full((4, 4), 7.0, np.float32)), SIZE) == 0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (prepare(Image.fromarray(np.full((4, 4), np.nan, np.float32)), SIZE) == 0).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "La", "RGBa", "P", "I;16", "I", "F"])
def test_large_pictures_are_converted_in_tiles_to_the_same(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 x 24 pixels in tiles of 7 x 7, so that the last are narrower."""
    grey = noise(channels=1).astype(np.float32) * 100
    grey[2, 3], grey[20, 33] = np.nan, np.inf
    clear = Image.fromarray(noise(channels=4))
    coloured = clear.convert("RGB").convert("P")
    coloured.info["transparency"] = bytes(range(250))
    picture = {
        "P": coloured,
        "I;16": Image.fromarray(noise(channels=1).astype(np.uint16) * 200),
        "I": Image.fromarray(noise(channels=1).astype(np.int32) * 1000 - 9),
        "F": Image.fromarray(grey),
        "La": clear.convert("LA").convert("La"),
    }.get(mode) or clear.convert(mode)
    whole = prepare(picture, 40)
    monkeypatch.setattr(images, "_TILE", 7)
    assert np.array_equal(prepare(picture, 40), whole)


def test_a_large_16_bit_picture_takes_memory_for_its_pixels_and_not_for_numbers_beside_them() -> None:
    """NumPy's arrays alone; eight bytes for each of four million pixels would be 32 MB."""
    picture = Image.fromarray(np.zeros((2000, 2000), np.uint16))
    tracemalloc.start()
    prepare(picture, SIZE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 28_000_000


def test_postscript_is_not_run() -> None:
    with pytest.raises(ImageRejected, match="PostScript is a program"):
        decode(encoded(Image.new("RGB", (8, 8)), "EPS"), SIZE, "x")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_picture_upright(orientation: int) -> None:
    turns = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],  # the camera was turned the other way
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    upright = Image.fromarray(noise(SIZE, SIZE))
    stored = upright
    for turn in turns[orientation]:
        stored = stored.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(decode(encoded(stored, "PNG", exif=exif), SIZE, "x"), np.asarray(upright))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_data_do_not_cost_the_picture(kind: str) -> None:
    for exif in (b"garbage", b"II*\0\x08\0\0\0\xff\xff"):
        data = encoded(Image.new("RGB", (8, 8), RED), kind, exif=b"Exif\0\0" + exif)
        assert np.abs(decode(data, SIZE, "x").astype(int) - RED).max() <= 2


def test_an_open_picture_is_left_as_it_was() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.open(io.BytesIO(encoded(Image.fromarray(noise(24, 40)), "PNG", exif=exif)))
    decode(picture, SIZE, "x")
    assert (picture.size, picture.mode, picture.getexif()[0x0112]) == ((40, 24), "RGB", 6)


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, (0, 0, 255))]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decode(data, SIZE, "x") == RED).all()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"It was a dark and stormy night.\n" * 9, "not an image in a format that Pillow reads"),
        (encoded(Image.fromarray(noise(200, 200)), "JPEG")[:-2000], "cannot be decoded.*truncated"),
        (encoded(Image.fromarray(noise(200, 200)), "JPEG")[:100], "not an image|cannot be decoded"),
        (encoded(Image.fromarray(noise(200, 200)), "PNG")[:4000], "cannot be decoded"),
        (png_header(60_000, 60_000), "too many pixels, the limit is 89,478,485"),
        (png_header(9_460, 9_460), "9460 x 9460 pixels, the limit is 89,478,485"),
    ],
    ids=["empty", "text", "truncated", "header cut", "png cut", "bomb", "large"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_cannot_be_decoded_is_rejected_by_name(data: bytes, reason: str) -> None:
    with pytest.raises(ImageRejected, match=reason) as caught:
        decode(data, SIZE, "holiday.jpg")
    assert caught.value.name == "holiday.jpg"


def test_an_open_picture_that_is_damaged_or_too_large_is_rejected_too() -> None:
    whole = encoded(Image.fromarray(noise(200, 200)), "JPEG")
    with pytest.raises(ImageRejected, match="truncated"):
        decode(Image.open(io.BytesIO(whole[:-2000])), SIZE, "x")
    with pytest.raises(ImageRejected, match="the limit"):
        decode(Image.new("1", (9_460, 9_460)), SIZE, "x")


def test_a_picture_at_the_limit_sets_off_no_warning() -> None:
    assert MAX_PIXELS == Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Image.open(io.BytesIO(png_header(8_945, 10_000)))


def test_threads_may_decode_one_open_picture_at_once() -> None:
    data = encoded(Image.fromarray(noise(300, 300)), "PNG")
    expected = decode(data, SIZE, "x")
    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            picture = Image.open(io.BytesIO(data))
            results = list(threads.map(lambda _, shared=picture: decode(shared, SIZE, "x"), range(16)))
            assert all(np.array_equal(result, expected) for result in results)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_anywhere_is_decoded_or_rejected_and_never_another_error(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"]))
    file = bytearray(encoded(Image.fromarray(noise(20, 20)), kind))
    for position in data.draw(st.lists(st.integers(0, len(file) - 1), min_size=1, max_size=8)):
        file[position] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageRejected):
        assert decode(bytes(file), SIZE, "x").shape == (SIZE, SIZE, 3)

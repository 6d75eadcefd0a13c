"""Whatever a caller has for a picture becomes the network's input."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hashgrain.client.sources import images
from hashgrain.client.sources.images import default_name, load
from hashgrain.codes.errors import ImageRejected
from pictures import arrays, file_bytes

SIZE = 32


def test_paths_bytes_pictures_and_arrays_give_the_same_input(tmp_path: Path) -> None:
    array = arrays(1, height=50, width=70)[0]
    data = file_bytes(array)
    path = tmp_path / "a.png"
    path.write_bytes(data)
    ways = [str(path), path, data, bytearray(data), memoryview(data), Image.open(io.BytesIO(data)), array]
    inputs = [load(way, SIZE, "x") for way in ways]
    assert all(each.dtype == np.uint8 and each.shape == (SIZE, SIZE, 3) for each in inputs)
    assert all(np.array_equal(each, inputs[0]) for each in inputs)


def test_an_array_of_the_inputs_size_is_not_even_copied() -> None:
    array = arrays(1)[0]
    assert load(array, SIZE, "x") is array


def test_grey_and_transparent_arrays() -> None:
    grey = arrays(1)[0, :, :, 0]
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    assert np.array_equal(load(grey, SIZE, "x"), expected)
    assert np.array_equal(load(grey[:, :, None], SIZE, "x"), expected)
    assert (load(np.zeros((SIZE, SIZE, 4), np.uint8), SIZE, "x") == 255).all()


def test_an_array_need_not_be_contiguous() -> None:
    array = arrays(1, height=60, width=60)[0]
    assert np.array_equal(load(array[::-1, ::-1], SIZE, "x"), load(array[::-1, ::-1].copy(), SIZE, "x"))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((9, 9, 3), np.float32), "array of float32, arrays must be uint8"),
        (np.zeros((32, 32, 3), np.int64), "array of int64, arrays must be uint8"),
        (np.zeros((9, 9, 2), np.uint8), r"shape \(9, 9, 2\), must be \(H, W\)"),
        (np.zeros((3, 9, 9), np.uint8), r"shape \(3, 9, 9\)"),
        (np.zeros((0, 9, 3), np.uint8), r"shape \(0, 9, 3\)"),
        (np.zeros((1, 9, 9, 3), np.uint8), r"shape \(1, 9, 9, 3\)"),
        (np.zeros(9, np.uint8), r"shape \(9,\)"),
        (b"", "the file is empty"),
        (3, "is a int; give a path"),
        (None, "is a NoneType; give a path"),
        ("no/such.jpg", "there is no such file"),
        ("nul\0.jpg", "cannot be read"),
        ("x" * 5000, "cannot be read"),
    ],
)
def test_what_is_no_picture_is_rejected_by_name(image: object, reason: str) -> None:
    with pytest.raises(ImageRejected, match=reason) as caught:
        load(image, SIZE, "image 3")  # type: ignore[arg-type]
    assert caught.value.name == "image 3"


def test_folders_pipes_and_huge_files_are_rejected_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageRejected, match="is a folder"):
        load(tmp_path, SIZE, "x")
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageRejected, match="not a regular file"):
        load(tmp_path / "pipe.jpg", SIZE, "x")
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 10)
    (tmp_path / "big.png").write_bytes(bytes(11))
    with pytest.raises(ImageRejected, match="has 11 bytes, the limit is 10"):
        load(tmp_path / "big.png", SIZE, "x")


@pytest.mark.parametrize(
    ("image", "name"), [("a/b.jpg", "a/b.jpg"), (Path("a/b.jpg"), "a/b.jpg"), (b"..", "image 7"), (None, "image 7")]
)
def test_a_picture_is_called_by_its_path_or_its_position(image: object, name: str) -> None:
    assert default_name(image, 7) == name

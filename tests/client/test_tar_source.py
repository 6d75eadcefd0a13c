"""Tar shards in WebDataset's layout: pictures, what belongs to them, and what is wrong with an archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashgrain.client.sources import tar_source
from hashgrain.client.sources.items import Item
from hashgrain.client.sources.location import Location
from hashgrain.client.sources.open_source import open_sources
from hashgrain.client.sources.tar_source import Refused, TarSource
from hashgrain.codes.errors import DataError, ImageRejected
from tar_files import write_tar


@pytest.mark.parametrize(("ending", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz")])
def test_files_of_one_key_belong_together(tmp_path: Path, ending: str, mode: str) -> None:
    files = {
        "0.jpg": b"a",
        "0.json": b'{"price": 9}',
        "0.cls": b"7\n",
        "1.left.PNG": b"b",
        "1.right.png": b"c",
        "1.txt": "a cät".encode(),
        "sub/2.cls": b"cats",
        "sub/2.webp": b"d",
        "3.jpg": b"e",
        "3.pyd": b"passed over",
        "._3.jpg": b"passed over",
        "readme": b"passed over",
    }
    path = write_tar(tmp_path / f"train{ending}", files, mode)
    assert list(open_sources((str(path),))) == [
        Item("train/0.jpg", b"a", {"price": 9, "label": 7}),
        Item("train/1.left.PNG", b"b", {"text": "a cät"}),
        Item("train/1.right.png", b"c", {"text": "a cät"}),
        Item("train/sub/2.webp", b"d", {"label": "cats"}),
        Item("train/3.jpg", b"e", {"path": str(path), "member": "3.jpg"}),
    ]


def test_shards_named_by_a_pattern_stay_apart(tmp_path: Path) -> None:
    for shard in (1, 0):
        write_tar(tmp_path / f"train-{shard}.tar", {"0.jpg": b"%d" % shard})
    items = list(open_sources((f"{tmp_path}/train-*.tar",)))
    assert [(item.id, item.image) for item in items] == [
        (f"{tmp_path}/train-0/0.jpg", b"0"),
        (f"{tmp_path}/train-1/0.jpg", b"1"),
    ]


@pytest.mark.parametrize(("payload", "says"), [(b"{", "cannot be read"), (b"[1]", "a list and no object")])
def test_a_payload_that_cannot_be_read_costs_its_picture_only(tmp_path: Path, payload: bytes, says: str) -> None:
    path = write_tar(tmp_path / "t.tar", {"0.jpg": b"a", "0.json": payload, "1.jpg": b"b"})
    first, second = TarSource(Location(str(path)))
    assert isinstance(first.image, Refused)
    with pytest.raises(ImageRejected, match=says):
        first.image.read("0")
    assert second.image == b"b"


def test_a_picture_that_is_too_large_is_left_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_source, "MAX_FILE_BYTES", 2)
    path = write_tar(tmp_path / "t.tar", {"0.jpg": b"abc", "1.jpg": b"b"})
    assert [item.image for item in TarSource(Location(str(path)))] == [Refused("has 3 bytes, the limit is 2"), b"b"]


@pytest.mark.parametrize("left", [700, 2560 * 7, 2560 * 7 + 480, 2560 * 7 + 600])
def test_an_archive_that_is_cut_off(tmp_path: Path, left: int) -> None:
    path = write_tar(tmp_path / "t.tar", {f"{n}.jpg": bytes(2000) for n in range(20)})
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(DataError, match=r"t.tar is damaged after \d+ pictures .*; fetch it again"):
        list(TarSource(Location(str(path))))


def test_archives_that_are_none_or_hold_no_pictures(tmp_path: Path) -> None:
    path = tmp_path / "t.tar"
    path.write_text("no archive")
    with pytest.raises(DataError, match="is damaged after 0 pictures"):
        list(TarSource(Location(str(path))))
    with pytest.raises(DataError, match="holds no images"):
        list(TarSource(Location(str(write_tar(path, {"a.txt": b""})))))

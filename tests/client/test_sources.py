"""Folders and lists: which pictures, in what order, under which ids."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from hashgrain.client.sources import open_source
from hashgrain.client.sources.files import Chain, FolderSource, ListSource
from hashgrain.client.sources.items import Item
from hashgrain.client.sources.open_source import ParquetColumns, open_sources
from hashgrain.codes.errors import DataError, InvalidInput
from pictures import arrays, write_tree


def test_a_folder_gives_its_images_sorted_with_path_and_label(tmp_path: Path) -> None:
    names = write_tree(tmp_path, arrays(5))
    (tmp_path / "a.JPEG").touch()
    for other in ("notes.txt", ".hidden.png", "cats/model.onnx", ".git/x.png"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).touch()
    source = FolderSource(tmp_path)
    items = list(source)
    assert [item.id for item in items] == ["a.JPEG", *names]
    assert list(source) == items
    assert source.count() == 6
    assert items[0].payload == {"path": str(tmp_path / "a.JPEG")}
    assert items[1] == Item(names[0], tmp_path / names[0], {"path": str(tmp_path / names[0]), "label": "cats"})


def test_a_label_is_the_whole_path_of_the_subfolder(tmp_path: Path) -> None:
    (tmp_path / "plants/flowers").mkdir(parents=True)
    (tmp_path / "plants/flowers/rose.png").touch()
    assert next(iter(FolderSource(tmp_path))).payload["label"] == "plants/flowers"


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "readme.md").touch()
    with pytest.raises(DataError, match=r"holds no images \(\.avif"):
        FolderSource(tmp_path)
    (tmp_path / "train.parquet").touch()
    with pytest.raises(DataError, match="holds Parquet files and no images; give the .parquet files"):
        FolderSource(tmp_path)
    with pytest.raises(DataError, match="is no folder"):
        FolderSource(tmp_path / "nowhere")


def test_a_file_name_that_is_not_utf8_is_spelled_out(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    odd.touch()
    (item,) = FolderSource(tmp_path)
    assert item.id == r"caf\udce9.png"
    assert item.image == odd
    item.payload["path"].encode()


def test_a_list_gives_its_lines_as_they_stand() -> None:
    lines = io.BytesIO(b"a.jpg\n\n  \r\n/b c.png\r\nlast.png")
    items = list(ListSource(lines, "standard input"))
    assert [item.id for item in items] == ["a.jpg", "/b c.png", "last.png"]
    assert items[1] == Item("/b c.png", Path("/b c.png"), {"path": "/b c.png"})


def test_an_empty_list() -> None:
    with pytest.raises(DataError, match="standard input names no images; give one path a line"):
        list(ListSource([b"\n"], "standard input"))


def test_what_a_user_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = write_tree(tmp_path / "set", arrays(3))
    (tmp_path / "list.txt").write_text("x.jpg\ny.jpg\n")
    assert [item.id for item in open_sources((str(tmp_path / "set"),))] == names
    assert [item.id for item in open_sources((str(tmp_path / "set" / names[0]),))] == [str(tmp_path / "set" / names[0])]
    assert [item.id for item in open_sources((str(tmp_path / "list.txt"),))] == ["x.jpg", "y.jpg"]
    monkeypatch.setattr(open_source.sys, "stdin", io.TextIOWrapper(io.BytesIO(b"z.jpg\n")))
    assert [item.id for item in open_sources(("-",))] == ["z.jpg"]


def test_ids_of_several_sources_stay_apart(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_tree(tmp_path / folder, arrays(2))
    source = open_sources((f"{tmp_path}/one/", f"{tmp_path}/two"))
    assert [item.id for item in source] == [
        f"{tmp_path}/{folder}/{name}" for folder in ("one", "two") for name in ("cats/001.png", "dogs/000.png")
    ]
    assert source.count() == 4


def test_a_count_that_is_partly_unknown_is_unknown(tmp_path: Path) -> None:
    write_tree(tmp_path, arrays(2))
    assert Chain([FolderSource(tmp_path), ListSource([b"a"], "list")]).count() is None


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no .*nowhere; give a folder"):
        open_sources((str(tmp_path / "nowhere"),))
    with pytest.raises(InvalidInput, match="name at least one"):
        open_sources(())


def test_columns_without_a_parquet_file_are_refused(tmp_path: Path) -> None:
    write_tree(tmp_path, arrays(1))
    with pytest.raises(InvalidInput, match=r"no \.parquet file is among"):
        open_sources((str(tmp_path),), ParquetColumns(id="id"))

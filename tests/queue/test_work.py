"""Work as it travels through Redis: references that another machine can follow, never bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hashgrain.client.sources.items import Item
from hashgrain.client.sources.location import Location
from hashgrain.client.sources.open_source import ParquetColumns, Part, named_parts
from hashgrain.codes.errors import DataError, InvalidInput
from hashgrain.queue.work import Work, pieces, references, shared_parts
from pictures import arrays, write_tree

ODD = Item("caf\\udce9.png", Path(os.fsdecode(b"/photos/caf\xe9.png")), {"path": "/photos", "label": "ü"})
REMOTE = Item(7, Location("memory://photos/rose.png").image(), {})
ARCHIVE = Part("/photos/a.parquet", "a.parquet", ParquetColumns("image", "id", ("label",)))


@pytest.mark.parametrize("work", [Work((ODD, REMOTE)), Work((ARCHIVE,))])
def test_work_comes_back_as_it_was(work: Work) -> None:
    assert Work.read(work.text().encode()) == work


def test_its_form_is_pinned() -> None:
    assert Work((ODD,)).text() == (
        '{"pictures": [{"id": "caf\\\\udce9.png", "path": "/photos/caf\\udce9.png", '
        '"payload": {"path": "/photos", "label": "\\u00fc"}}]}'
    )


def test_pictures_without_an_address_are_refused() -> None:
    with pytest.raises(DataError, match="a has no path or address by which another machine"):
        Work((Item("a", b"bytes"),)).text()


def test_pictures_go_together_and_archives_alone() -> None:
    first, second, third = (Item(name, Path(name)) for name in "abc")
    assert [piece.references for piece in pieces([first, second, third, ARCHIVE, first], 2)] == [
        (first, second),
        (third,),
        (ARCHIVE,),
        (first,),
    ]


def test_relative_names_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path / "photos", arrays(2))
    (tmp_path / "list.txt").write_text("photos/dogs/000.png\n")
    monkeypatch.chdir(tmp_path)
    parts = shared_parts(named_parts(("photos", "list.txt")))
    monkeypatch.chdir("/")
    found = list(references(parts))
    assert [item.id for item in found if isinstance(item, Item)] == [
        "photos/cats/001.png",
        "photos/dogs/000.png",
        "photos/dogs/000.png",
    ]
    assert all(tmp_path in item.image.parents for item in found[:2] if isinstance(item, Item))  # type: ignore[union-attr]


def test_standard_input_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"standard input cannot be a source.*\.txt file"):
        shared_parts([Part("-")])


def test_a_path_that_this_machine_lacks_is_told_before_the_work() -> None:
    with pytest.raises(DataError, match="there is no /nowhere"):
        shared_parts([Part("/nowhere")])

"""`hashgrain index dump` and `load`: what they print, and how they fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from called_here import Run, called_here
from hashgrain.indexer import Index, list_indexes
from listed_items import LAYOUT, versions_of, write


@pytest.fixture
def run(redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command against the test's Redis, where the index `photos` holds items 0 to 99."""
    monkeypatch.setenv("HASHGRAIN_REDIS", redis_url)
    with Index.create(redis_url, "photos", LAYOUT, fingerprint="abc") as index:
        write(index, range(100), range(100))
    return called_here(capsys)


def test_dump_and_load(run: Run, redis_url: str, tmp_path: Path) -> None:
    file = tmp_path / "photos.parquet"
    code, out, error = run("index", "dump", "photos", file)
    assert (code, error) == (0, "")
    assert out == f"dumped 100 items of index photos to {file}, {file.stat().st_size:,} bytes\n"
    told = run("index", "load", "copy", file, "--shards", 2)
    assert told == (0, "loaded 100 items into index copy, which was made\n", "")
    with Index.open(redis_url, "copy") as copy:
        assert versions_of(list(copy.items())) == {n: n for n in range(100)}
        assert copy.shards == 2


def test_they_print_json(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "photos.parquet"
    dumped = json.loads(run("index", "dump", "photos", file, "--json")[1])
    assert dumped == {"index": "photos", "file": str(file), "items": 100, "bytes": file.stat().st_size}
    loaded = json.loads(run("index", "load", "copy", file, "--json")[1])
    assert loaded == {"index": "copy", "file": str(file), "items": 100, "created": True}


def test_a_dump_that_was_cut_short_is_told_and_makes_nothing(run: Run, redis_url: str, tmp_path: Path) -> None:
    file = tmp_path / "photos.parquet"
    run("index", "dump", "photos", file)
    file.write_bytes(file.read_bytes()[:-100])
    code, out, error = run("index", "load", "copy", file)
    assert (code, out) == (1, "")
    assert error.startswith(f"error: {file} cannot be read as a dump")
    assert list_indexes(redis_url) == ["photos"]


def test_load_into_an_index_that_holds_items(run: Run, tmp_path: Path) -> None:
    run("index", "dump", "photos", tmp_path / "photos.parquet")
    code, _, error = run("index", "load", "photos", tmp_path / "photos.parquet")
    assert code == 1
    assert "index 'photos' holds 100 items already" in error


def test_dump_of_an_index_that_is_not_there(run: Run, tmp_path: Path) -> None:
    code, _, error = run("index", "dump", "nowhere", tmp_path / "x.parquet")
    assert code == 1
    assert "no index 'nowhere'" in error
    assert not list(tmp_path.iterdir())

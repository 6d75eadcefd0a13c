"""`hashgrain index rebuild`: what it prints, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from called_here import Run, called_here
from hashgrain.indexer import list_generations
from pictures import arrays, write_tree
from tiny_model import write_tiny_repository


@pytest.fixture
def run(redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command of the index, beside a folder of pictures that the index `photos` holds, and two models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HASHGRAIN_REDIS", redis_url)
    write_tree(Path("pictures"), arrays(6))
    for name, seed in (("old", 0), ("new", 1)):
        write_tiny_repository(Path(name), seed=seed)
    assert called_here(capsys, "encode")("pictures", "--index", "photos", "--triton", "old")[0] == 0
    return called_here(capsys, "index")


def test_it_is_built_and_switched_to(run: Run) -> None:
    code, out, err = run("rebuild", "photos", "pictures", "--model", "new")
    assert (code, err) == (0, "")
    said = re.sub(r"[\d,]+ images/s", "N images/s", out)
    assert said == (
        "built photos@1 with 6 items from photos@0: 6 pictures encoded (N images/s), 0 items caught up with in further "
        "passes\nindex photos is photos@1 now; photos@0 was before\n"
    )
    code, out, _ = run("rebuild", "photos", "pictures", "--model", "old", "--no-switch", "--shards", 2, "--json")
    told = json.loads(out)
    assert (code, told["generation"], told["switched"], told["items"], told["passes"]) == (0, "photos@2", False, 6, 2)


def test_missing_pictures_are_named_on_the_screen_and_in_a_file(run: Run, redis_url: str) -> None:
    Path("pictures/cats/001.png").unlink()
    code, out, err = run("rebuild", "photos", "pictures", "--model", "new")
    assert (code, out) == (1, "")
    assert "photos@1 is built, and was not switched to: of 1 items" in err
    more = ("--allow-missing", "--missing", "missing.txt")
    code, out, err = run("rebuild", "photos", "pictures", "--model", "new", *more)
    assert code == 0
    assert "index photos is photos@2 now" in out
    assert err == "1 items have no picture that can be read, and are not in it:\n  'cats/001.png'\n"
    assert Path("missing.txt").read_text() == "cats/001.png\n"
    assert [one.items for one in list_generations(redis_url, "photos")] == [6, 5, 5]


def test_what_cannot_be_done_is_told_before_anything_is_made(run: Run, redis_url: str) -> None:
    code, _, err = run("rebuild", "photos", "-", "--model", "new")
    assert code == 2
    assert "standard input can be read once only" in err
    for words in (("nowhere",), ("pictures", "--missing", "nowhere/missing.txt")):
        assert run("rebuild", "photos", *words, "--model", "new")[0] == 1
    assert run("rebuild", "photos", "pictures", "--model", "nowhere")[0] == 1
    assert [one.number for one in list_generations(redis_url, "photos")] == [0]


def test_the_same_command_again_has_nothing_to_do(run: Run, redis_url: str) -> None:
    words = ("rebuild", "photos", "pictures", "--model", "new", "--ledger", "next.ledger")
    assert "index photos is photos@1 now" in run(*words)[1]
    assert run(*words) == (0, "index photos is photos@1 already, built with this ledger: nothing to do\n", "")
    assert run(*words, "--json")[0] == 0
    assert [one.number for one in list_generations(redis_url, "photos")] == [0, 1]

"""`hashgrain index` and generations: what each command prints, from the first to the next and back."""

from __future__ import annotations

import json

import pytest

from called_here import Run, called_here


@pytest.fixture
def run(redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command against the test's Redis; gives exit code, standard output and standard error."""
    monkeypatch.setenv("HASHGRAIN_REDIS", redis_url)
    return called_here(capsys, "index")


def test_from_the_first_generation_to_the_next_and_back(run: Run) -> None:
    assert run("create", "photos", "--fingerprint", "a" * 32)[0] == 0
    made = run("create", "photos", "--generation", "--fingerprint", "b" * 32)
    assert made == (0, "created index photos@1 for 16-bit coarse and 64-bit fine codes, model bbbbbbbbbbbb\n", "")
    assert run("generations", "photos")[1].splitlines() == [
        "* photos@0  live, 0 items, model aaaaaaaaaaaa",
        "  photos@1  not live yet, 0 items, model bbbbbbbbbbbb",
    ]
    assert run("switch", "photos") == (0, "index photos is photos@1 now; photos@0 was before\n", "")
    assert run("generations", "photos")[1].splitlines() == [
        "  photos@0  past, 0 items, model aaaaaaaaaaaa",
        "* photos@1  live, 0 items, model bbbbbbbbbbbb",
    ]
    assert run("rollback", "photos")[1] == "index photos is photos@0 now; photos@1 was before\n"
    code, out, _ = run("switch", "photos", "--to", 1, "--json")
    assert (code, json.loads(out)) == (0, {"name": "photos", "live": 1, "past": [0], "newest": 1})
    assert run("list")[1] == "photos\n"
    assert run("drop", "photos@0", "--yes")[1] == "dropped index photos@0\n"
    code, out, _ = run("generations", "photos", "--json")
    assert [one["number"] for one in json.loads(out)] == [1]
    assert run("check", "photos")[0] == 0
    assert run("drop", "photos", "--yes")[0] == 0


def test_what_cannot_be_done_is_an_error_with_the_next_step(run: Run) -> None:
    assert run("create", "photos")[0] == 0
    code, out, err = run("switch", "photos")
    assert (code, out) == (1, "")
    assert "make the next with `hashgrain index create photos --generation`" in err
    assert run("create", "photos", "--generation")[0] == 0
    code, _, err = run("drop", "photos@0", "--yes")
    assert code == 1
    assert "is the live one; switch to another first" in err

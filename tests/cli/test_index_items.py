"""`hashgrain index get`, `ids` and `payload`: what they print, and how they fail."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from called_here import Run, called_here
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index


@pytest.fixture
def run(redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command against the test's Redis, where the index `photos` holds an item `a` and an item 5."""
    monkeypatch.setenv("HASHGRAIN_REDIS", redis_url)
    coarse, fine = np.array([[0xAB, 0xC0], [0, 0]], np.uint8), np.array([[1, 2, 3, 255], [0] * 4], np.uint8)
    with Index.create(redis_url, "photos", CodeLayout(12, 32)) as index:
        index.add(["a", 5], HashCodes(coarse, fine), [{"label": "ä"}, None])
    return called_here(capsys)


def test_get_shows_codes_and_payload(run: Run) -> None:
    assert run("index", "get", "photos", "a") == (0, 'a\tabc0\t010203ff\t{"label": "ä"}\n', "")
    assert run("index", "get", "photos", "--integers", 5) == (0, "5\t0000\t00000000\t-\n", "")


def test_get_prints_json(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a\n5\n"))
    code, out, _ = run("index", "get", "photos", "-", "--json")
    assert (code, json.loads(out)) == (
        1,
        {
            "index": "photos",
            "items": [{"id": "a", "coarse": "abc0", "fine": "010203ff", "payload": {"label": "ä"}}],
            "unknown": ["5"],
        },
    )


def test_get_exits_with_1_where_an_id_is_not_there(run: Run) -> None:
    code, out, error = run("index", "get", "photos", "b", "a")
    assert (code, out.split()[0], error) == (1, "a", "index photos has no item 'b'\n")


def test_ids_page_by_page(run: Run) -> None:
    code, out, error = run("index", "ids", "photos", "--limit", 1)
    assert code == 0
    assert error.startswith("more with --cursor ")
    rest = run("index", "ids", "photos", "--cursor", error.split()[-1])
    assert rest[0] == 0
    assert rest[2] == ""
    assert {out, rest[1]} == {"a\n", "5\n"}
    assert run("index", "ids", "photos", "--all", "--limit", 1) == (0, out + rest[1], "")


def test_ids_as_json_keep_their_kind(run: Run) -> None:
    page = json.loads(run("index", "ids", "photos", "--json")[1])
    assert page["index"] == "photos"
    assert page["cursor"] is None
    assert sorted(page["ids"], key=str) == [5, "a"]
    assert run("index", "ids", "photos", "--json", "--all")[0] == 2


def test_ids_after_a_cursor_of_another_index(run: Run) -> None:
    code, out, error = run("index", "ids", "photos", "--cursor", "0000000000:5")
    assert (code, out) == (1, "")
    assert "begin again without a cursor" in error


def test_payload_is_written_and_taken_away(run: Run) -> None:
    told = run("index", "payload", "photos", "a", json.dumps({"price": 9}))
    assert told == (0, "wrote 1 payloads of index photos\n", "")
    assert run("index", "get", "photos", "a")[1] == 'a\tabc0\t010203ff\t{"price": 9}\n'
    assert run("index", "payload", "photos", 5, "null", "--integers")[0] == 0
    assert run("index", "payload", "photos", "a", "null")[0] == 0
    assert run("index", "get", "photos", "a")[1] == "a\tabc0\t010203ff\t-\n"


def test_payloads_of_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [{"id": "a", "payload": {"n": 1}}, {"id": 5, "payload": {"n": 2}}, {"id": "5", "payload": {}}]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(map(json.dumps, lines)) + "\n\n"))
    code, out, _ = run("index", "payload", "photos", "-", "--json")
    assert (code, json.loads(out)) == (1, {"index": "photos", "written": 2, "unknown": ["5"]})
    assert run("index", "get", "photos", "5", "--integers")[1].endswith('{"n": 2}\n')


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("a",), 2, "give an ID and its PAYLOAD"),
        (("-", "{}"), 2, "give an ID and its PAYLOAD"),
        (("a", "{"), 1, "is no JSON"),
        (("a", "[1]"), 1, "give a dict or None"),
        (("a", '{"x": NaN}'), 1, "cannot be written as JSON"),
        (("b", "{}"), 1, "index photos has no item 'b'"),
    ],
)
def test_payloads_that_cannot_be_written(run: Run, words: tuple[str, ...], code: int, says: str) -> None:
    told = run("index", "payload", "photos", *words)
    assert told[0] == code
    assert says in told[2]


def test_lines_that_are_no_payloads(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in ('["a", {}]', '{"id": "a"}', '{"id": "a", "payload": {}, "more": 1}'):
        monkeypatch.setattr("sys.stdin", io.StringIO(line))
        code, _, error = run("index", "payload", "photos", "-")
        assert code == 1
        assert "is no object of an id and a payload" in error

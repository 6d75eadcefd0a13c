"""`hashgrain index`: what each command prints, and how it fails."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from called_here import Run, called_here
from hashgrain.client.sinks.codes_file import CodesFile
from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index, list_indexes
from random_codes import random_codes
from tiny_model import write_tiny_repository

LAYOUT = CodeLayout(12, 64)


@pytest.fixture
def run(redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command against the test's Redis; gives exit code, standard output and standard error."""
    monkeypatch.setenv("HASHGRAIN_REDIS", redis_url)
    return called_here(capsys)


@pytest.fixture
def codes_file(tmp_path: Path) -> Path:
    """Five codes of the model `abc`, every second with a payload."""
    path = tmp_path / "codes.parquet"
    with CodesFile(path, LAYOUT, "abc") as sink:
        sink.write([f"i{n}" for n in range(5)], random_codes(5, LAYOUT), [{"n": n} if n % 2 else {} for n in range(5)])
    return path


def test_create_takes_lengths_fingerprint_and_shards(run: Run, redis_url: str) -> None:
    arguments = ("--coarse-bits", 12, "--fine-bits", 128, "--fingerprint", "abcdef0123456789", "--shards", 2)
    assert run("index", "create", "photos", *arguments) == (
        0,
        "created index photos for 12-bit coarse and 128-bit fine codes, model abcdef012345\n",
        "",
    )
    with Index.open(redis_url, "photos") as index:
        assert (index.layout, index.fingerprint) == (CodeLayout(12, 128), "abcdef0123456789")
        assert index.stats().shards == 2


def test_create_has_defaults_and_prints_json(run: Run) -> None:
    code, out, _ = run("index", "create", "photos", "--json")
    figures = json.loads(out)
    assert code == 0
    assert figures.pop("memory") == sum(figures.pop("memory_of").values()) > 0
    assert figures == {
        "name": "photos",
        "coarse_bits": 16,
        "fine_bits": 64,
        "fingerprint": None,
        "shards": 1,
        "items": 0,
        "buckets": 1,
        "largest_bucket": 0,
        "holes": 0,
        "payloads": 0,
        "fields": {},
    }


def test_create_declares_fields(run: Run, redis_url: str) -> None:
    assert run("index", "create", "photos", "--field", "price:number", "--field", "tenant:keyword")[0] == 0
    with Index.open(redis_url, "photos") as index:
        assert index.fields == {"price": "number", "tenant": "keyword"}
    assert "fields           price (number), tenant (keyword)\n" in run("index", "stats", "photos")[1]
    told = json.loads(run("index", "stats", "photos", "--json")[1])
    assert (told["fields"], told["coarse_bits"]) == ({"price": "number", "tenant": "keyword"}, 16)
    for wrong, said in (("price", "must be NAME:KIND"), ("price:float", "it can be keyword, number")):
        code, _, err = run("index", "create", "other", "--field", wrong)
        assert code > 0
        assert said in err
    assert run("index", "create", "other", "--field", "a:number", "--field", "a:keyword")[0] == 2


def test_create_takes_everything_from_the_encoder(run: Run, redis_url: str, tmp_path: Path) -> None:
    contract = write_tiny_repository(tmp_path / "models", LAYOUT)
    assert run("index", "create", "photos", "--from-encoder", "--triton", tmp_path / "models")[0] == 0
    with Index.open(redis_url, "photos") as index:
        assert (index.layout, index.fingerprint) == (LAYOUT, contract.fingerprint)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("photos", "--coarse-bits", 30), 1, "coarse codes have 8 to 24 bits, got 30"),
        (("photos", "--shards", 0), 1, "1 to 1024 shards, got 0"),
        (("a b",), 1, "'a b' cannot name an index"),
        (("photos", "--from-encoder", "--fine-bits", 64), 2, "--from-encoder goes without"),
        (("photos", "--redis", "redis://127.0.0.1:1/0"), 1, "no Redis at redis://127.0.0.1:1/0"),
        ((), 2, "Missing argument 'NAME'"),
    ],
)
def test_create_refuses(run: Run, redis_url: str, arguments: tuple[object, ...], code: int, message: str) -> None:
    exit_code, out, err = run("index", "create", *arguments)
    assert (exit_code, out) == (code, "")
    assert message in err
    assert list_indexes(redis_url) == []


def test_creating_twice_fails(run: Run) -> None:
    run("index", "create", "photos")
    code, _, err = run("index", "create", "photos")
    assert code == 1
    assert "an index 'photos' is in Redis" in err


def test_add_puts_a_file_of_codes_into_the_index(run: Run, redis_url: str, codes_file: Path) -> None:
    Index.create(redis_url, "photos", LAYOUT, fingerprint="abc").close()
    assert run("index", "add", "photos", codes_file) == (0, "added 5 items to index photos, replaced 0\n", "")
    code, out, _ = run("index", "add", "photos", codes_file, "--json")
    assert (code, json.loads(out)) == (0, {"index": "photos", "added": 0, "replaced": 5})
    with Index.open(redis_url, "photos") as index:
        hit = index.search(random_codes(5, LAYOUT)[1:2], exact=True, payloads=True)[0]
        assert hit.payloads is not None
        payloads = dict(zip(hit.ids, hit.payloads, strict=True))
        assert payloads == {"i0": None, "i1": {"n": 1}, "i2": None, "i3": {"n": 3}, "i4": None}


def test_add_refuses_codes_of_another_model_and_files_that_are_none(run: Run, redis_url: str, codes_file: Path) -> None:
    Index.create(redis_url, "photos", LAYOUT, fingerprint="other").close()
    code, _, err = run("index", "add", "photos", codes_file)
    assert code == 1
    assert "holds codes of model other, got codes of model abc" in err
    code, _, err = run("index", "add", "photos", codes_file.with_name("nothing.parquet"))
    assert code == 1
    assert "nothing.parquet" in err
    with Index.open(redis_url, "photos") as index:
        assert len(index) == 0


def test_delete_takes_strings_or_integers(run: Run, redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT) as index:
        index.add(["5", 5, "a", -6], random_codes(4, LAYOUT))
        assert run("index", "delete", "photos", "5", "nope") == (
            0,
            "deleted 1 items of index photos, 1 ids were not there\n",
            "",
        )
        code, out, _ = run("index", "delete", "photos", "--integers", "--json", "--", "5", "-6", "-6")
        assert (code, json.loads(out)) == (0, {"index": "photos", "deleted": 2, "unknown": 0})
        assert index.search(random_codes(1, LAYOUT))[0].ids == ["a"]
        code, _, err = run("index", "delete", "photos", "--integers", "a")
        assert code == 1
        assert "'a' is no integer" in err


def test_delete_reads_ids_from_standard_input(run: Run, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Index.create(redis_url, "photos", LAYOUT) as index:
        index.add(["a b", "c", "d"], random_codes(3, LAYOUT))
        monkeypatch.setattr("sys.stdin", io.StringIO("a b\n\nc\r\n"))
        assert run("index", "delete", "photos", "-")[0] == 0
        assert index.search(random_codes(1, LAYOUT))[0].ids == ["d"]


def test_stats_prints_a_table(run: Run, redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT, fingerprint="abc") as index:
        index.add(range(1000), random_codes(1000, LAYOUT, centres=1, flips=0.01), [{}] * 1000)
        index.delete(range(1, 1000, 50))
        found = index.stats()
    spent = ", ".join(f"{part} {size / 980:.1f}" for part, size in found.memory_of.items())
    assert run("index", "stats", "photos") == (
        0,
        "index            photos\n"
        "codes            12-bit coarse and 64-bit fine codes, model abc\n"
        "items            980, 980 with a payload\n"
        "shards           1\n"
        f"buckets          {found.buckets}, the largest of {found.largest_bucket} records\n"
        "holes            20\n"
        "fields           none\n"
        f"memory           {found.memory:,} bytes, {found.memory / 980:.1f} per item: {spent}\n",
        "",
    )
    assert found.buckets > 1
    assert found.largest_bucket <= 512


def test_stats_of_a_missing_index_fail_with_the_next_step(run: Run) -> None:
    code, out, err = run("index", "stats", "photos")
    assert (code, out) == (1, "")
    assert "hashgrain index create photos" in err


def test_list_prints_names(run: Run) -> None:
    assert run("index", "list") == (0, "", "no index yet; make one with `hashgrain index create NAME`\n")
    assert run("index", "list", "--json") == (0, "[]\n", "")
    run("index", "create", "b")
    run("index", "create", "a")
    assert run("index", "list") == (0, "a\nb\n", "")
    assert json.loads(run("index", "list", "--json")[1]) == ["a", "b"]


def test_drop_asks_unless_told_yes(run: Run, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("index", "create", "photos")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run("index", "drop", "photos")[0] == 1
    assert list_indexes(redis_url) == ["photos"]
    assert run("index", "drop", "photos", "--yes") == (0, "dropped index photos\n", "")
    assert list_indexes(redis_url) == []
    code, _, err = run("index", "drop", "photos", "--yes")
    assert code == 1
    assert "no index 'photos'" in err

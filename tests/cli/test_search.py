"""`hashgrain search`: images through a real model into a real index."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from called_here import Run, called_here
from hashgrain.client import HashEncoder
from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index
from hashgrain.indexer.wire.deadline import Deadline
from tiny_model import SIZE, write_tiny_repository


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Twelve pictures of noise."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{n}.png" for n in range(12)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)).save(path)
    return paths


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_tiny_repository(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def index(redis_url: str, models: Path, pictures: list[Path]) -> Index:
    """The first ten pictures, indexed under integers, in a few buckets."""
    with HashEncoder(models) as encoder:
        index = Index.create(redis_url, "photos", encoder.layout, fingerprint=encoder.fingerprint, bucket_items=4)
        index.add(range(10), encoder.encode(pictures[:10]), [{"file": path.name} for path in pictures[:10]])
    return index


@pytest.fixture
def run(redis_url: str, models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command on the test's servers; gives exit code, standard output and standard error."""
    monkeypatch.setenv("HASHGRAIN_REDIS", redis_url)
    monkeypatch.setenv("HASHGRAIN_TRITON", str(models))
    return called_here(capsys, "search")


def test_a_picture_finds_itself_first(run: Run, index: Index, pictures: list[Path]) -> None:
    code, out, err = run("photos", pictures[3], "--k", 1, "--exact", "--payloads")
    buckets = index.stats().buckets
    assert (code, err) == (0, "")
    assert out == (
        f'{pictures[3]}  (10 candidates in {buckets} buckets, exact)\n    1     0 bits  3  {{"file": "3.png"}}\n'
    )


def test_json_says_all_that_the_index_answers(run: Run, index: Index, models: Path, pictures: list[Path]) -> None:
    code, out, _ = run("photos", pictures[0], pictures[11], "--k", 3, "--probes", 2, "--rank", "fine", "--json")
    with HashEncoder(models) as encoder:
        hits = index.search(encoder.encode(pictures[::11]), 3, probes=2, rank="fine")
    assert code == 0
    assert json.loads(out) == {
        "queries": [
            {
                "image": str(path),
                "neighbours": [
                    {"id": item, "distance": int(distance)}
                    for item, distance in zip(hit.ids, hit.distances, strict=True)
                ],
                "candidates": hit.candidates,
                "buckets": 2,
                "complete_radius": hit.complete_radius,
                "exact": hit.exact,
                "partial": False,
            }
            for path, hit in zip(pictures[::11], hits, strict=True)
        ],
        "rejected": [],
    }


def test_refining_orders_by_the_logits_of_the_picture(
    run: Run, index: Index, models: Path, pictures: list[Path]
) -> None:
    code, out, _ = run("photos", pictures[11], "--k", 5, "--refine", 10, "--deadline", 60, "--json")
    with HashEncoder(models) as encoder:
        hit = index.search(encoder.encode(pictures[11:], logits=True), 5, refine=10)[0]
    assert code == 0
    assert [row["id"] for row in json.loads(out)["queries"][0]["neighbours"]] == hit.ids


def test_collapsing_shows_one_of_like_pictures(run: Run, index: Index, models: Path, pictures: list[Path]) -> None:
    code, out, _ = run("photos", pictures[3], "--k", 20, "--collapse", 38, "--json")
    with HashEncoder(models) as encoder:
        query = encoder.encode(pictures[3:4])
    every, apart = (index.search(query, 20, collapse=collapse)[0].ids for collapse in (None, 38))
    assert code == 0
    assert [row["id"] for row in json.loads(out)["queries"][0]["neighbours"]] == apart
    assert len(apart) < len(every), "the case must leave something out"


def test_within_shows_no_item_that_is_farther(run: Run, index: Index, pictures: list[Path]) -> None:
    code, out, _ = run("photos", pictures[3], "--within", 0)
    assert code == 0
    assert ", exact)" in out
    assert [line.split()[1:] for line in out.splitlines()[1:]] == [["0", "bits", "3"]]


def test_an_answer_that_the_deadline_cut_short_says_so(
    run: Run, index: Index, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first reading takes two buckets, and the deadline is made to pass in it."""
    monkeypatch.setattr("hashgrain.indexer.searching.search.reach_of", lambda *_: 2)
    monkeypatch.setattr(Deadline, "passed", property(lambda _: True))
    code, out, _ = run("photos", pictures[3], "--exact", "--deadline", 60)
    assert code == 0
    assert re.search(r"\(\d+ candidates in 2 buckets, complete within .+, stopped at the deadline\)", out)


def test_filtered_it_shows_what_matches(run: Run, redis_url: str, models: Path, pictures: list[Path]) -> None:
    with (
        HashEncoder(models) as encoder,
        Index.create(
            redis_url, "shop", encoder.layout, fingerprint=encoder.fingerprint, fields={"price": "integer"}
        ) as index,
    ):
        index.add(range(10), encoder.encode(pictures[:10]), [{"price": n} for n in range(10)])
    code, out, _ = run("shop", pictures[0], "--filter", '{"price": {"gte": 7}}', "--json")
    assert code == 0
    assert sorted(row["id"] for row in json.loads(out)["queries"][0]["neighbours"]) == [7, 8, 9]
    for wrong, said in (("{", "no JSON"), ('{"prize": 1}', "has no field 'prize'"), ('{"price": "x"}', "integers")):
        code, _, err = run("shop", pictures[0], "--filter", wrong)
        assert code == 1
        assert said in err


def test_explained_it_tells_each_bucket_and_the_proof(run: Run, index: Index, pictures: list[Path]) -> None:
    code, out, _ = run("photos", pictures[0], "--k", 1, "--probes", 2, "--explain")
    assert code == 0
    told = out[out.index("budget") :].splitlines()
    assert told[0] == "budget probes=2"
    assert re.fullmatch(r" +step 1: 2 buckets, 2 of them from Redis, the others kept; plan .* ms: answered", told[1])
    assert [line.split()[-1] for line in told[3:5]] == ["1", "0"], "the one neighbour is in the nearest bucket"
    assert re.fullmatch(r" +(not proven )?exact: the last neighbour is at 0, \d+ buckets were not read, .*", told[-1])
    code, out, _ = run("photos", pictures[0], "--explain", "--json")
    (query,) = json.loads(out)["queries"]
    assert len(query["explanation"]["probes"]) == query["buckets"]


def test_pictures_that_cannot_be_read_do_not_hide_the_others(
    run: Run, index: Index, pictures: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    code, out, err = run("photos", broken, pictures[2], "--k", 1, "--json")
    answer: dict[str, Any] = json.loads(out)
    assert code == 1
    assert [query["image"] for query in answer["queries"]] == [str(pictures[2])]
    assert answer["queries"][0]["neighbours"][0]["id"] == 2
    assert [image["image"] for image in answer["rejected"]] == [str(broken)]
    assert str(broken) in err


def test_an_empty_index_finds_nothing(run: Run, redis_url: str, pictures: list[Path]) -> None:
    Index.create(redis_url, "photos", CodeLayout(16, 64)).close()
    assert run("photos", pictures[0]) == (
        0,
        f"{pictures[0]}  (0 candidates in 1 bucket, exact)\n     nothing found\n",
        "",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--k", 0), 1, "k must be an integer of 1 or more, got 0"),
        (("--probes", 3, "--exact"), 1, "probes and exact each say how far to look"),
        (("--k", 9, "--refine", 5), 1, "refine orders the best 5 again, but k is 9"),
        (("--deadline", 0), 1, "deadline must be a positive number of seconds, got 0.0"),
        (("--rank", "best"), 2, "Invalid value for '--rank'"),
        (("--redis", "redis://127.0.0.1:1/0"), 1, "no Redis at redis://127.0.0.1:1/0"),
        (("--triton", "/nowhere/models"), 1, "/nowhere/models"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    run: Run, index: Index, pictures: list[Path], arguments: tuple[object, ...], code: int, message: str
) -> None:
    exit_code, out, err = run("photos", pictures[0], *arguments)
    assert (exit_code, out) == (code, "")
    assert message in err


def test_an_index_of_another_model_is_refused(run: Run, redis_url: str, pictures: list[Path]) -> None:
    Index.create(redis_url, "other", CodeLayout(16, 64), fingerprint="someone").close()
    code, _, err = run("other", pictures[0])
    assert code == 1
    assert "holds codes of model someone, got codes of model" in err
    Index.create(redis_url, "short", CodeLayout(16, 32)).close()
    code, _, err = run("short", pictures[0])
    assert code == 1
    assert "index 'short' holds 16-bit coarse and 32-bit fine codes, got 16-bit coarse and 64-bit fine codes" in err

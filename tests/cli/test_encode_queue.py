"""`hashgrain encode --queue`: what it prints, and what it refuses before the work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import hashgrain_here
from hashgrain.indexer import Index
from hashgrain.queue import Job, JobQueue
from pictures import arrays, write_tree
from tar_files import write_tar


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_tree(tmp_path / "photos", arrays(6))
    (tmp_path / "photos" / "broken.png").write_bytes(b"broken")
    return tmp_path / "photos"


def options(model: Path, redis_url: str) -> list[str]:
    return ["--queue", redis_url, "--index", "photos", "--redis", redis_url, "--triton", str(model), "--chunk", "4"]


def test_a_job_of_one_process_says_what_came_of_it(photos: Path, model: Path, redis_url: str, tmp_path: Path) -> None:
    rejected = tmp_path / "rejected.jsonl"
    done = hashgrain_here("encode", photos, *options(model, redis_url), "--rejected", rejected)
    assert done.returncode == 0, done.stderr
    assert "the job photos encoded 6 images into the index photos (16-bit coarse" in done.stdout
    assert "2 of 2 chunks" in done.stdout
    assert "left out 1 that cannot be read:\n  broken.png: " in done.stderr
    assert [json.loads(line)["id"] for line in rejected.read_text().splitlines()] == ["broken.png"]
    with Index.open(redis_url, "photos") as index:
        assert len(index) == 6


def test_json_for_programs_and_a_job_that_begins_anew_after_its_end(photos: Path, model: Path, redis_url: str) -> None:
    for _ in range(2):
        done = hashgrain_here("encode", photos, *options(model, redis_url), "--job", "mine", "--json")
        found = json.loads(done.stdout)
        assert (found["job"], found["state"], found["encoded"], found["aside"]) == ("mine", "ended", 6, 0)
        assert [image["id"] for image in found["rejected"]] == ["broken.png"]


def test_what_was_set_aside_is_told_and_fails_the_command(tmp_path: Path, model: Path, redis_url: str) -> None:
    archive = write_tar(tmp_path / "cut.tar", {"a.png": b"broken"})
    archive.write_bytes(archive.read_bytes()[:100])
    done = hashgrain_here("encode", archive, *options(model, redis_url))
    assert done.returncode == 1
    assert f"set aside {archive}: {archive} is damaged after 0 pictures" in done.stderr
    assert "error: 1 of 1 chunks could not be done; mend what is wrong" in done.stderr


@pytest.mark.parametrize(
    "wrong", [("--out", "codes.parquet"), ("--ledger", "ledger"), ("--report", "page.html")], ids=lambda wrong: wrong[0]
)
def test_what_does_not_go_with_a_queue(photos: Path, wrong: tuple[str, str], redis_url: str) -> None:
    index = () if wrong[0] == "--out" else ("--index", "photos")
    done = hashgrain_here("encode", photos, "--queue", redis_url, *index, *wrong)
    assert done.returncode == 2
    assert not Path(wrong[1]).exists()


def test_options_of_a_queue_without_one(photos: Path) -> None:
    done = hashgrain_here("encode", photos, "--index", "photos", "--chunk", "4")
    assert done.returncode == 2


def test_an_index_that_was_dropped_under_a_job_is_told(photos: Path, model: Path, redis_url: str) -> None:
    done = hashgrain_here("encode", photos, *options(model, redis_url), "--json")
    with Index.open(redis_url, "photos") as index:
        fingerprint = str(index.fingerprint)
    sources = json.dumps([str(photos)])
    with JobQueue(redis_url, Job("photos", fingerprint, "photos@1", sources)):  # a life that is over
        done = hashgrain_here("encode", photos, *options(model, redis_url))
        assert done.returncode == 1
        assert "error: the job photos is under way with another index: photos@1, not photos@" in done.stderr
        assert hashgrain_here("encode", photos, *options(model, redis_url), "--anew").returncode == 0

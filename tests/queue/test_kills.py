"""Processes of one job are killed at random moments: nothing is lost or twice in the index, the totals hold."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import redis

from encoding_forks import EncodingForks
from hashgrain.client import HashEncoder
from hashgrain.client.bulk.job import encode_collection
from hashgrain.client.sources.files import FolderSource
from hashgrain.indexer import Index
from pictures import arrays, file_bytes
from plain_sink import AddTo
from stored_codes import stored_codes

IMAGES, CHUNK = 600, 2
CHUNKS = IMAGES // CHUNK


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, some of which cannot be read."""
    root = tmp_path_factory.mktemp("collection") / "photos"
    for position, picture in enumerate(arrays(IMAGES)):
        path = root / f"{position % 7}/{position:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file_bytes(picture) if position % 101 else b"broken %d" % position)
    return root


class Process(EncodingForks):
    """One of those that share a job."""

    def __init__(self, photos: Path, index: str, model: Path, redis_url: str) -> None:
        options = ("--queue", redis_url, "--index", index, "--redis", redis_url, "--triton", model)
        super().__init__(photos, *options, "--chunk", CHUNK, "--claim-after", "2")


class Watched:
    """What a job says of itself, read as anybody can."""

    def __init__(self, redis_url: str, job: str) -> None:
        self._client = redis.Redis.from_url(redis_url, decode_responses=True)
        self._name = f"hgjob:{{{job}}}"

    def wait_for(self, field: str, count: int) -> None:
        while int(self.get(field) or 0) < count:
            time.sleep(0.0005)

    def get(self, field: str) -> str | None:
        return self._client.hget(f"{self._name}:job", field)  # type: ignore[return-value]

    def rejected(self) -> dict[str, str]:
        return self._client.hgetall(f"{self._name}:rejected")  # type: ignore[return-value]


def kill_again_and_again(photos: Path, model: Path, redis_url: str, kills: int, seed: int) -> None:
    """Kill the one that hands out in the midst of it, then others while they encode; new ones come, one stays."""
    rng, job = np.random.default_rng(seed), Watched(redis_url, f"broken{seed}")
    with ExitStack() as stack:
        processes = [stack.enter_context(Process(photos, f"broken{seed}", model, redis_url)) for _ in range(3)]
        first, second, _ = processes
        first.begin()
        job.wait_for("handed_out", int(rng.integers(1, CHUNKS // 3)))
        assert first.kill() == -9
        assert job.get("state") == "feeding", "the kill must hit the handing out"
        for process in processes:
            process.begin()
        for kill in range(kills):
            job.wait_for("done", int(CHUNKS * 0.7 * kill / kills) + int(rng.integers(1, CHUNKS * 0.3 / kills)))
            time.sleep(rng.uniform(0, 0.01))
            process = (first, second)[kill % 2]
            assert process.kill() == -9
            process.begin()
        assert [process.end() for process in processes] == [0, 0, 0]
    check(photos, model, redis_url, job, seed)


def check(photos: Path, model: Path, redis_url: str, job: Watched, seed: int) -> None:
    with (
        HashEncoder(model) as encoder,
        Index.create(redis_url, f"unbroken{seed}", encoder.layout, fingerprint=encoder.fingerprint) as unbroken,
        Index.open(redis_url, f"broken{seed}") as broken,
    ):
        receipt = encode_collection(encoder, FolderSource(photos), AddTo(unbroken))
        assert job.rejected() == {image.name: image.reason for image in receipt.rejected}
        assert stored_codes(broken) == stored_codes(unbroken)
        assert len(broken) == receipt.encoded
    assert job.get("state") == "ended"
    found = tuple(int(job.get(field) or 0) for field in ("encoded", "rejected", "bytes_read", "aside", "done"))
    assert found == (receipt.encoded, len(receipt.rejected), receipt.bytes_read, 0, int(job.get("handed_out") or 0))


def test_kills_at_random_moments_leave_the_index_of_an_unbroken_run(photos: Path, model: Path, redis_url: str) -> None:
    kill_again_and_again(photos, model, redis_url, kills=2, seed=0)


@pytest.mark.long
def test_a_hundred_kills(photos: Path, model: Path, redis_url: str) -> None:
    for seed in range(1, 11):
        kill_again_and_again(photos, model, redis_url, kills=9, seed=seed)

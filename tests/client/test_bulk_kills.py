"""A bulk job is killed at random moments, again and again: in the end the index is that of an unbroken run."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from bulk_into_index import require_kept
from embedded_servers import EmbeddedServers
from encoding_forks import EncodingForks
from hashgrain.client import HashEncoder
from hashgrain.client.bulk.job import encode_collection
from hashgrain.client.bulk.ledger import Ledger
from hashgrain.client.sources.files import FolderSource
from hashgrain.indexer import Index
from pictures import arrays, file_bytes
from plain_sink import AddTo
from stored_codes import stored_codes

IMAGES, DISTINCT = 900, 700


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of which many occur more than once, and some that cannot be read."""
    root = tmp_path_factory.mktemp("collection") / "photos"
    contents = [file_bytes(picture) for picture in arrays(DISTINCT)]
    order = np.random.default_rng(1).integers(0, DISTINCT, IMAGES)
    for position, content in enumerate(order.tolist()):
        path = root / f"{position % 7}/{position:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[content] if position % 101 else b"broken %d" % (position % 3))
        os.utime(path, (1e9, 1e9))
    return root


class Job(EncodingForks):
    """A job with a ledger."""

    def __init__(self, photos: Path, index: str, ledger: Path, encoder: str | Path, redis_url: str) -> None:
        options = ("--index", index, "--ledger", ledger, "--triton", encoder, "--redis", redis_url, "--batch", "16")
        super().__init__(photos, *options)
        self._ledger = ledger

    def run(self, rows: int | None = None, pause: float = 0.0) -> int:
        """The exit status, -9 where the run was killed `pause` seconds after the ledger had so many rows more."""
        before = self.noted()
        child = self.begin()
        if rows is None:
            return self.end()
        while self.noted() < before + rows and not _ended(child):
            time.sleep(0.0005)
        time.sleep(pause)
        return self.kill()

    def noted(self) -> int:
        """Rows of the ledger, read as anybody can."""
        if not self._ledger.exists():
            return 0
        with closing(sqlite3.connect(self._ledger)) as connection:
            try:
                return int(connection.execute("SELECT count(*) FROM items").fetchone()[0])
            except sqlite3.OperationalError:  # killed, or looked into, before there was a table
                return 0


def _ended(child: int) -> bool:
    return Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"


def kill_again_and_again(
    photos: Path, folder: Path, encoder: str | Path, redis_url: str, kills: int, seed: int = 0
) -> None:
    rng, killed = np.random.default_rng(seed), 0
    with Job(photos, f"broken{seed}", folder / "ledger", encoder, redis_url) as job:
        job.run(0, rng.uniform(0, 0.2))  # before there is anything
        for _ in range(kills):
            killed += job.run(int(rng.integers(1, IMAGES // kills)), rng.uniform(0, 0.004)) == -9
        assert killed > kills // 2, "hardly any run was killed: make the collection larger"
        assert 0 < job.noted() < IMAGES, "the kills must hit the work itself"
        with HashEncoder(encoder) as opened:
            require_kept(redis_url, folder / "ledger", opened, f"broken{seed}")
        assert job.run() == 0
    with (
        HashEncoder(encoder) as opened,
        Ledger(folder / "ledger", opened.fingerprint, opened.layout) as ledger,
        Index.create(redis_url, f"unbroken{seed}", opened.layout, fingerprint=opened.fingerprint) as unbroken,
        Index.open(redis_url, f"broken{seed}") as broken,
    ):
        receipt = encode_collection(opened, FolderSource(photos), AddTo(unbroken))
        rejected = {str(name): reason for name, reason in ledger.rejected(IMAGES)}
        assert rejected == {image.name: image.reason for image in receipt.rejected}
        assert len(broken) == receipt.encoded == IMAGES - len(rejected)
        assert stored_codes(broken) == stored_codes(unbroken)


def test_kills_at_random_moments_leave_the_index_of_an_unbroken_run(
    photos: Path, model: Path, redis_url: str, tmp_path: Path
) -> None:
    kill_again_and_again(photos, tmp_path, model, redis_url, kills=4)


@pytest.mark.slow
def test_kills_while_triton_encodes(photos: Path, triton: EmbeddedServers, redis_url: str, tmp_path: Path) -> None:
    kill_again_and_again(photos, tmp_path, triton.grpc, redis_url, kills=2)


@pytest.mark.long
def test_a_hundred_kills(photos: Path, model: Path, redis_url: str, tmp_path: Path) -> None:
    for seed in range(1, 11):
        (tmp_path / str(seed)).mkdir()
        kill_again_and_again(photos, tmp_path / str(seed), model, redis_url, kills=10, seed=seed)

"""Writers in other processes beside readers that keep buckets: no acknowledged write is ever missed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer import Hit, Index
from hashgrain.indexer.searching import patience
from random_codes import random_codes

LAYOUT = CodeLayout(12, 64)
WRITERS = 3
STEPS = 250
QUERIES = random_codes(6, LAYOUT, 5, flips=0.2, logits=True)

TESTS = Path(__file__).parents[1]

# What a writer does follows from its number alone, so that the reader knows it without being told.
HISTORY = """
import numpy as np

def history(writer, steps):
    rng = np.random.default_rng(writer)
    for step in range(steps):
        items = sorted({f"{writer}-{n}" for n in rng.integers(0, 60, rng.integers(1, 8))})
        yield step, items, bool(rng.random() < 0.3)
"""

WRITER = (
    HISTORY
    + """
import sys
import time
from random_codes import random_codes
from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index

layout, writer = CodeLayout(12, 64), int(sys.argv[2])
index = Index.open(sys.argv[1], "x")
for step, items, deleting in history(writer, int(sys.argv[3])):
    if deleting:
        index.delete(items)
    else:
        codes = random_codes(len(items), layout, 1000 * writer + step, flips=0.2)
        index.add(items, codes, [{"step": step}] * len(items))
    print(step, flush=True)
    time.sleep(0.004)  # a reader, whether it keeps buckets or not, gives up where writers leave it no moment at all
"""
)


class Writer:
    """A process that writes, and the number of its last acknowledged step."""

    def __init__(self, url: str, number: int) -> None:
        command = [sys.executable, "-c", WRITER, url, str(number), str(STEPS)]
        self.number, self.acknowledged = number, -1
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TESTS)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        space: dict[str, object] = {}
        exec(HISTORY, space)
        self.steps: dict[str, list[tuple[int, bool]]] = {}
        for step, items, deleting in space["history"](number, STEPS):  # type: ignore[operator]
            for item in items:
                self.steps.setdefault(item, []).append((step, deleting))

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.acknowledged = int(line)

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        self._thread.join()
        assert self._process.wait() == 0

    def check(self, found: dict[str, int], acknowledged: int) -> None:
        """That what was found of each item is as its last acknowledged step left it, or a later one."""
        for item, steps in self.steps.items():
            last = max((n for n, (step, _) in enumerate(steps) if step <= acknowledged), default=None)
            allowed = steps if last is None else steps[last:]
            if item in found:
                assert (found[item], False) in allowed, (item, found[item], acknowledged)
            else:
                assert last is None or any(deleting for _, deleting in allowed), (item, "absent", acknowledged)


@pytest.mark.parametrize(
    ("cache_bytes", "shards", "most_skipped"),
    [
        pytest.param(2000, 1, 0, marks=pytest.mark.long),
        (2000, 3, patience.MOST_SKIPPED),
        pytest.param(1 << 20, 1, patience.MOST_SKIPPED, marks=pytest.mark.long),
        (1 << 20, 3, 0),
    ],
)
def test_no_acknowledged_write_is_missed(
    redis_url: str, cache_bytes: int, shards: int, most_skipped: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "MOST_SKIPPED", most_skipped)
    with (
        Index.create(redis_url, "x", LAYOUT, shards=shards, bucket_items=8) as fresh,
        Index.open(redis_url, "x", cache_bytes=cache_bytes) as keeping,
    ):
        writers = [Writer(redis_url, number) for number in range(WRITERS)]
        searches = 0
        while any(writer.running for writer in writers):
            before = [writer.acknowledged for writer in writers]
            hit = patiently(lambda: keeping.search(QUERIES[:1], 1000, exact=True, payloads=True))[0]
            for writer, acknowledged in zip(writers, before, strict=True):
                writer.check(stamps(hit), acknowledged)
            patiently(lambda: keeping.search(QUERIES, 5, probes=3))
            searches += 1
        for writer in writers:
            writer.join()
            writer.check(stamps(keeping.search(QUERIES[:1], 1000, exact=True, payloads=True)[0]), STEPS)
        assert searches >= 5, "the reader must have searched beside the writers"
        rng = np.random.default_rng(0)
        for _ in range(20):
            k, probes = (int(number) for number in rng.integers(1, 20, 2))
            for asked in ({"probes": probes}, {"candidates": 5 * probes}, {"radius": probes % 6}, {"exact": True}):
                found, wanted = (reader.search(QUERIES, k, payloads=True, **asked) for reader in (keeping, fresh))  # type: ignore[arg-type]
                for mine, its in zip(found, wanted, strict=True):
                    assert (mine.ids, mine.payloads, mine.candidates) == (its.ids, its.payloads, its.candidates)
                    assert mine.distances.tolist() == its.distances.tolist()


def patiently(search: Callable[[], list[Hit]]) -> list[Hit]:
    """Search again where writers left no moment to read in: that is told, and no write was missed by it."""
    for _ in range(20):
        with contextlib.suppress(StoreUnavailable):
            return search()
    return search()


def stamps(hit: Hit) -> dict[str, int]:
    """The step that each item was written by."""
    assert hit.payloads is not None
    return {str(item): payload["step"] for item, payload in zip(hit.ids, hit.payloads, strict=True) if payload}

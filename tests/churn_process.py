"""A writer or a reader of one index in a process of its own; run as `python churn_process.py`, see `main`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from hashgrain.codes import HashCodes
from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer import Index
from hashgrain.indexer.keeping.tracking import Tracking
from hashgrain.indexer.stored.shard import Shard
from random_codes import random_codes
from seen_by_readers import Owner, Rivals, require_orderly
from write_history import LAYOUT, NAME, Progress, Workload, history

MANY = 10**6

GIVEN_UP = ("the index changed under", "nothing could be read within the deadline")


@dataclass
class Read:
    """What a reader did: searches; those that gave up, as nobody left it a moment; how often it saw a change."""

    searches: int = 0
    lost: int = 0
    moves: int = 0


@dataclass
class Wrote:
    """What a writer did: how often it split a bucket, and how often it took one away."""

    splits: int = 0
    merges: int = 0


def write(url: str, workload: Workload, progress: Progress, writer: int) -> Wrote:
    """Do what the history says, and tell of each step before and after."""
    rng, report, script = np.random.default_rng(writer), Wrote(), Shard.write

    def counted(self: Shard, name: str, *arguments: Any) -> list[Any]:
        done = script(self, name, *arguments)
        report.splits += name == "split" and done == [1]
        report.merges += name == "vacate" and done == [1]
        return done

    with Index.open(url, NAME) as index, patch.object(Shard, "write", counted):
        for step in history(workload, writer):
            progress.wait_for_readers(step.step)
            progress.begun[writer] = step.step
            if step.codes is None:
                index.delete(step.ids)
            else:
                index.add(step.ids, step.codes, step.payloads)
            progress.done[writer] = step.step
            time.sleep(rng.uniform(0, workload.pause_ms / 1000))
    return report


def read(url: str, workload: Workload, progress: Progress, reader: int, cache_bytes: int) -> Read:
    """Search until every writer is done, and once more; check every answer."""
    rng, seen, report = np.random.default_rng([workload.seed, 1000 + reader]), _Seen(workload), Read()
    with Index.open(url, NAME, cache_bytes=cache_bytes or None) as index:
        finished = False
        while not finished:
            done = progress.done.tolist()
            finished = min(done) == workload.steps - 1
            queries = random_codes(
                int(rng.integers(1, 4)),
                LAYOUT,
                int(rng.integers(2**32)),
                centres=workload.centres,
                logits=True,
                era=workload.era(max(0, *done)),
            )
            question = {"k": MANY, "rank": "total", "payloads": True, "exact": True} if finished else ask(rng)
            if workload.overlapping:
                question["payloads"] = True
            try:
                hits = index.search(queries, **question)
            except StoreUnavailable as exc:
                if finished or not any(told in str(exc) for told in GIVEN_UP):
                    raise
                report.lost += 1
                continue
            seen.require(hits, queries, question, done, progress.begun.tolist())
            report.searches += 1
            progress.searches[reader] = report.searches
    report.moves = seen.moves
    return report


def ask(rng: np.random.Generator) -> dict[str, Any]:
    """A random question; often one that lets nothing pass."""
    rank = str(rng.choice(["total", "fine", "coarse"]))
    how: list[dict[str, Any]] = [
        {"exact": True},
        {"radius": int(rng.integers(0, 8))},
        {"probes": int(rng.integers(1, 12))},
        {"candidates": int(rng.integers(1, 60))},
        {"within": int(rng.integers(0, 50))},
        {},
    ]
    chosen = how[rng.choice(len(how), p=[0.3, 0.2, 0.1, 0.15, 0.15, 0.1])]
    k = MANY if rng.random() < 0.6 else int(rng.integers(1, 30))
    if rng.random() < 0.1:
        chosen["deadline"] = float(rng.choice([0.001, 0.005, 0.05]))
    return {"k": k, "rank": rank, "payloads": bool(rng.random() < 0.8), **chosen}


class _Seen:
    """What one reader holds every answer against."""

    def __init__(self, workload: Workload) -> None:
        self._rivals = Rivals(workload) if workload.overlapping else None
        self._owners = [] if workload.overlapping else [Owner(workload, n) for n in range(workload.writers)]
        self._last: dict[Any, Any] = {}
        self._moves = 0

    @property
    def moves(self) -> int:
        return self._moves + sum(owner.moves for owner in self._owners)

    def require(
        self, hits: Sequence[Any], queries: HashCodes, question: dict[str, Any], done: list[int], begun: list[int]
    ) -> None:
        asked = [(hit, queries[row : row + 1]) for row, hit in enumerate(hits)]
        for hit, query in asked:
            require_orderly(hit, question)
            if question.get("exact") and question["k"] == MANY and not hit.partial:
                assert hit.candidates == len(hit.ids), "every live record is compared, and found"
            if self._rivals:
                self._rivals.require(hit, query, question, done, begun)
                self._moves += any(self._last.get(n) != said for n, said in zip(hit.ids, hit.payloads, strict=True))
                self._last |= dict(zip(hit.ids, hit.payloads, strict=True))
            else:
                strangers = [n for n in hit.ids if not any(owner.owns(n) for owner in self._owners)]
                assert not strangers, strangers
        for owner, last, latest in zip(self._owners, done, begun, strict=False):
            owner.require(asked, question, last, latest)


def main(role: str, url: str, workload: str, progress: str, number: str, cache_bytes: str = "0") -> None:
    """Be writer or reader `number`, and print what it did, as JSON.

    A `late` reader never finds that it was told of a change before it begins to search: that comes while it does.
    """
    load = Workload.from_json(workload)
    ledger = Progress(Path(progress), load)
    if role == "write":
        print(json.dumps(asdict(write(url, load, ledger, int(number)))))
    else:
        with patch.object(Tracking, "drain", Tracking.open) if role == "late" else nullcontext():
            print(json.dumps(asdict(read(url, load, ledger, int(number), int(cache_bytes)))))


if __name__ == "__main__":
    main(*sys.argv[1:])

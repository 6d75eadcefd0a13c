"""What writers in several processes do to one index: all of it follows from a seed, so that readers know it, too."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hashgrain.codes import CodeLayout, HashCodes
from random_codes import random_codes

LAYOUT = CodeLayout(12, 64)

NAME = "x"

PACE, PATIENCE_S = 4, 120


@dataclass(frozen=True)
class Workload:
    """How much is written, and how crowded it is.

    Attributes:
        seed: of everything.
        writers, steps: how many writers, and how many writes each does.
        items: ids of each writer; of all together, where they overlap.
        shards, bucket_items: of the index; small buckets split often.
        centres, flips: see `random_codes`; few of both make items that are alike, and buckets that are written all the
            time.
        era_steps: after so many steps codes lie elsewhere, so that buckets there fill up and split again; 0 for never.
        pause_ms: the longest pause of a writer between two writes; readers need some moment to read in.
        readers: how many search meanwhile. However slow these are, writers do not run away from them: each must have
            searched once in `PACE` steps.
        overlapping: whether all writers write the same ids.
        growing: whether a writer adds only what is not there, until all is, and then deletes it all: readers who
            missed an addition find nothing else to be wrong.
    """

    seed: int
    writers: int = 3
    steps: int = 150
    items: int = 25
    shards: int = 1
    bucket_items: int = 6
    centres: int = 6
    flips: float = 0.1
    era_steps: int = 0
    pause_ms: float = 12
    readers: int = 4
    overlapping: bool = False
    growing: bool = False

    def ids(self, writer: int) -> list[str | int]:
        """A writer's ids, integers and strings."""
        owner = 0 if self.overlapping else writer
        return [f"{owner}-{n}" if n % 2 else 1000 * owner + n for n in range(self.items)]

    def era(self, step: int) -> int:
        """Where codes lie at a step; see `random_codes`."""
        return step // self.era_steps if self.era_steps else 0

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Workload:
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Row:
    """One item as one write left it; codes as numbers, which are plain to compare."""

    coarse: int
    fine: int
    payload: dict[str, Any] | None

    def distances(self, query: HashCodes) -> dict[str, int]:
        """By ranking, the distance from a single query."""
        coarse = (self.coarse ^ int.from_bytes(query.coarse[0].tobytes())).bit_count()
        fine = (self.fine ^ int.from_bytes(query.fine[0].tobytes())).bit_count()
        return {"total": coarse + fine, "fine": fine, "coarse": coarse}


@dataclass(frozen=True)
class Write:
    """One call of a writer: an `add` of codes, or a `delete` where there are none."""

    step: int
    ids: list[str | int]
    codes: HashCodes | None
    payloads: list[dict[str, Any] | None]

    def rows(self) -> dict[str | int, Row | None]:
        """What it leaves of every id: a row, or None where it is deleted."""
        if self.codes is None:
            return dict.fromkeys(self.ids)
        packed = zip(self.codes.coarse, self.codes.fine, strict=True)
        numbers = [(int.from_bytes(coarse.tobytes()), int.from_bytes(fine.tobytes())) for coarse, fine in packed]
        return {
            item: Row(*codes, payload) for item, codes, payload in zip(self.ids, numbers, self.payloads, strict=True)
        }


def history(workload: Workload, writer: int) -> Iterator[Write]:
    """The writes of one writer: mostly small ones, now and then all of its items at once, or the end of all of them.

    Many are deleted, so that others come anew: what a reader that missed it would not notice by itself.
    """
    rng = np.random.default_rng([workload.seed, writer])
    every, absent = workload.ids(writer), list(workload.ids(writer))
    for step in range(workload.steps):
        deleting, whole = rng.random() < 0.45, rng.random() < 0.06
        chosen = range(len(every)) if whole else np.unique(rng.integers(0, len(every), rng.geometric(0.35)))
        ids = [every[n] for n in chosen]
        if workload.growing:
            ids, absent = (absent[: len(ids)], absent[len(ids) :]) if absent else (every, list(every))
            deleting = ids is every
        seed = int(rng.integers(2**32))
        stamp = {"by": writer, "step": step}
        # Where writers overlap, the payload is what tells whose write an item shows.
        bare = not workload.overlapping and step % 4 == 3
        codes = random_codes(
            len(ids), LAYOUT, seed, centres=workload.centres, flips=workload.flips, era=workload.era(step)
        )
        yield Write(step, ids, None if deleting else codes, [None if bare else stamp] * len(ids))


class Progress:
    """How far each process is, in a file that all of them share.

    Attributes:
        begun, done: int64 (writers,), the last step that was begun, and the last that was acknowledged; -1 at first.
        searches: int64 (readers,), how many have returned; -1 at first.
    """

    def __init__(self, path: Path, workload: Workload, *, fresh: bool = False) -> None:
        parts = [workload.writers, workload.writers, workload.readers]
        if fresh:
            path.write_bytes(np.full(sum(parts), -1, np.int64).tobytes())
        shared = np.memmap(path, np.int64, "r+")
        self.begun, self.done, self.searches = np.split(shared, np.cumsum(parts)[:-1])

    def wait_for_readers(self, step: int) -> None:
        """Return when every reader has searched often enough for a writer to go on with a step."""
        for _ in range(PATIENCE_S * 1000):
            if (self.searches >= step // PACE).all():
                return
            time.sleep(0.001)
        raise TimeoutError(f"a reader does not get on: {self.searches} searches at step {step}")

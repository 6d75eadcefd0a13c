"""Several processes on one index: a write that has returned in one is seen in the others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer import Index
from hashgrain.indexer.searching import search as search_module
from hashgrain.indexer.stored.shard import Shard
from random_codes import random_codes

LAYOUT = CodeLayout(16, 64)

TESTS = Path(__file__).parents[1]

OTHER = """
import sys
from random_codes import random_codes
from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index

index, layout = Index.open(sys.argv[1], "x", cache_bytes=int(sys.argv[2]) or None), CodeLayout(16, 64)
print("open", flush=True)
for line in sys.stdin:
    verb, item, seed = line.split()
    codes = random_codes(1, layout, int(seed))
    if verb == "add":
        index.add([item], codes)
        print("done", flush=True)
    elif verb == "delete":
        print(index.delete([item]), flush=True)
    else:
        print(*index.search(codes, 50, exact=verb == "all")[0].ids, flush=True)
"""


@pytest.mark.parametrize("cache_bytes", [0, 600, 1 << 20])
@pytest.mark.parametrize("shards", [1, 3])
def test_an_acknowledged_write_is_seen_at_once_on_both_sides(redis_url: str, shards: int, cache_bytes: int) -> None:
    with Index.create(redis_url, "x", LAYOUT, shards=shards, bucket_items=4, cache_bytes=cache_bytes or None) as index:
        command = [sys.executable, "-c", OTHER, redis_url, str(cache_bytes)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TESTS) as other:

            def ask(line: str) -> str:
                assert other.stdin is not None
                assert other.stdout is not None
                other.stdin.write(line + "\n")
                other.stdin.flush()
                return other.stdout.readline().strip()

            assert other.stdout is not None
            other.stdout.readline()
            alive: set[str] = set()
            for step in range(60):
                item, codes = f"i{step % 11}", random_codes(1, LAYOUT, step, flips=0.2)
                if step % 5 == 4:
                    assert index.delete([item]) == (item in alive)
                    alive.discard(item)
                else:
                    index.add([item], codes)
                    alive.add(item)
                assert set(ask(f"{'all' if step % 2 else 'some'} - {step}").split()) == alive
                item = f"i{(7 * step) % 11}"
                assert ask(f"add {item} {step + 1000}") == "done"
                alive.add(item)
                assert set(index.search(codes, 50)[0].ids) == alive
            assert other.stdin is not None
            other.stdin.close()


@pytest.mark.parametrize("payloads", [True, False])
def test_a_search_that_writers_never_leave_in_peace_gives_up_with_an_error(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, payloads: bool
) -> None:
    monkeypatch.setattr(search_module, "ATTEMPTS", 5)
    with Index.create(redis_url, "x", LAYOUT) as index, Index.open(redis_url, "x") as writer:
        tries: list[int] = []

        def replaced_first() -> None:
            tries.append(1)
            writer.delete([f"i{len(tries) - 1}"])
            writer.add([f"i{len(tries)}"], random_codes(1, LAYOUT))

        replaced_first()
        before_names(index, replaced_first, monkeypatch)
        with pytest.raises(StoreUnavailable, match="the index changed under 5 attempts"):
            index.search(random_codes(1, LAYOUT), payloads=payloads)
        assert len(tries) == 6


def test_a_search_that_does_not_find_the_stamp_it_knows_gives_up_with_an_error(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "ATTEMPTS", 5)
    with Index.create(redis_url, "x", LAYOUT) as index, Index.open(redis_url, "x") as writer:
        shard, read, tries = index._shards[0], index._shards[0].read, []

        def farther_first(*arguments: Any) -> Any:
            tries.append(1)
            writer.add([len(tries)], farther_codes(len(tries)))
            return read(*arguments)

        monkeypatch.setattr(shard, "read", farther_first)
        with pytest.raises(StoreUnavailable, match="the index changed under 5 attempts"):
            index.search(random_codes(1, LAYOUT))
        assert len(tries) == 5


@pytest.mark.parametrize("shards", [1, 3])
def test_a_winner_that_is_deleted_while_its_id_is_looked_up_is_searched_again(
    redis_url: str, shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"i{n}" for n in range(20)]
    with Index.create(redis_url, "x", LAYOUT, shards=shards) as index, Index.open(redis_url, "x") as writer:
        writer.add(ids, random_codes(20, LAYOUT))
        tries: list[int] = []

        def deleted_first() -> None:
            if not tries:
                writer.delete(ids[::2])
            tries.append(1)

        before_names(index, deleted_first, monkeypatch)
        hit = index.search(random_codes(1, LAYOUT), 20)[0]
        assert set(hit.ids) == set(ids[1::2])
        assert hit.candidates == 10
        assert len(tries) == 2 * shards


def test_a_winner_whose_id_needs_no_name_is_as_it_was_when_it_was_read(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is of the moment when the bucket was read, so nothing that comes after belongs to it."""
    with Index.create(redis_url, "x", LAYOUT) as index, Index.open(redis_url, "x") as writer:
        writer.add([*range(4), "named"], random_codes(5, LAYOUT))
        wanted = index.search(random_codes(1, LAYOUT), 20)[0]
        before_names(index, lambda: writer.delete([1, 2]), monkeypatch)
        hit = index.search(random_codes(1, LAYOUT), 20)[0]
        assert (hit.ids, hit.distances.tolist()) == (wanted.ids, wanted.distances.tolist())


@pytest.mark.parametrize("cache_bytes", [None, 1 << 20])
@pytest.mark.parametrize("change", ["code", "payload", "gone"])
def test_a_payload_belongs_to_the_code_that_was_compared(
    redis_url: str, change: str, cache_bytes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Item 0 is replaced or deleted between the reading of its record and that of its payload."""
    query = random_codes(1, LAYOUT)
    with (
        Index.create(redis_url, "x", LAYOUT, cache_bytes=cache_bytes) as index,
        Index.open(redis_url, "x") as writer,
    ):
        writer.add([0, "one"], HashCodes.concatenate([query, query]), [{"old": True}] * 2)
        tries: list[int] = []

        def changed_first() -> None:
            if not tries and change == "gone":
                writer.delete([0])
            elif not tries:
                code = query if change == "payload" else random_codes(1, LAYOUT, 3, flips=0.3)
                writer.add([0], code, [{"new": True}])
            tries.append(1)

        before_names(index, changed_first, monkeypatch)
        hit = index.search(query, payloads=True)[0]
        assert hit.payloads is not None
        found = {
            item: (distance, payload)
            for item, distance, payload in zip(hit.ids, hit.distances, hit.payloads, strict=True)
        }
        assert found["one"] == (0, {"old": True})
        if change == "gone":
            assert 0 not in found
        elif change == "payload":
            assert found[0] == (0, {"new": True})
        else:
            assert found[0][0] > 0
            assert found[0][1] == {"new": True}


def before_names(index: Index, call: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something each time when the records are read, and the names and payloads are not."""
    naming = Shard.naming

    def later(self: Shard, *arguments: Any) -> Any:
        if self in index._shards:
            call()
        return naming(self, *arguments)

    monkeypatch.setattr(Shard, "naming", later)


def farther_codes(step: int) -> HashCodes:
    """A code that lies five bits farther from zero with every step, so that a radius grows, by four bits more."""
    bits = np.arange(LAYOUT.fine_bits)[None] < 5 * step
    return HashCodes(np.zeros((1, LAYOUT.coarse_bytes), np.uint8), np.packbits(bits, axis=1))

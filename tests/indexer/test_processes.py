"""Several processes on one index: a write that has returned in one is seen in the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer import Index
from hashgrain.indexer import search as search_module
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
    with Index.create(redis_url, "x", LAYOUT, shards=shards, cache_bytes=cache_bytes or None) as index:
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


def test_a_search_that_writers_never_leave_in_peace_gives_up_with_an_error(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "ATTEMPTS", 5)
    with Index.create(redis_url, "x", LAYOUT) as index, Index.open(redis_url, "x") as writer:
        writer.add([0], random_codes(1, LAYOUT))
        shard, names, tries = index._shards[0], index._shards[0].names, []

        def replaced_first(*arguments: object) -> object:
            tries.append(1)
            writer.add([0], random_codes(1, LAYOUT))
            return names(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(shard, "names", replaced_first)
        with pytest.raises(StoreUnavailable, match="the index changed under 5 attempts"):
            index.search(random_codes(1, LAYOUT))
        assert len(tries) == 5


def test_a_winner_that_is_replaced_while_its_id_is_looked_up_is_searched_again(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.create(redis_url, "x", LAYOUT) as index, Index.open(redis_url, "x") as writer:
        writer.add(range(20), random_codes(20, LAYOUT))
        shard, names, tries = index._shards[0], index._shards[0].names, []

        def deleted_first(*arguments: object) -> object:
            if not tries:
                writer.delete(range(0, 20, 2))
            tries.append(1)
            return names(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(shard, "names", deleted_first)
        hit = index.search(random_codes(1, LAYOUT), 20)[0]
        assert sorted(hit.ids) == list(range(1, 20, 2))  # type: ignore[type-var]
        assert hit.candidates == 10
        assert len(tries) == 2

"""Kept buckets against a plain dictionary of them, whatever is put in, dropped and moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashgrain.codes import CodeLayout
from hashgrain.indexer.keeping.arena import Arena
from hashgrain.indexer.searching.spans import Span
from hashgrain.indexer.stored.records import Records
from made_records import records_of

LAYOUT = CodeLayout(12, 64)
BUCKETS = 24
PLACE_BYTES = 28
"""What a place for a bucket takes, whether it is held or not."""
ROW_BYTES = 14
EVERYWHERE = [np.arange(1000, 1000 + size) for size in range(BUCKETS + 1)]
"""Positions of all buckets of a shard that is not the first, by how many they are."""

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.sets(st.integers(0, BUCKETS - 1), min_size=1)),
        st.tuples(st.just("drop"), st.sets(st.integers(0, BUCKETS + 3), min_size=1)),
        st.tuples(st.just("align"), st.integers(1, BUCKETS)),
        st.tuples(st.just("tidy"), st.none()),
    ),
    max_size=25,
)


def some_records(buckets: int, rng: np.random.Generator, wide: bool = False) -> tuple[Records, list[list[int]]]:
    """New records for so many buckets, and the handles in each."""
    low, high = (-(1 << 63), 1 << 62) if wide else (0, 0xFFFF_FFFF)
    handles = [rng.integers(low, high, rng.integers(0, 9)).tolist() for _ in range(buckets)]
    bucket = np.repeat(np.arange(buckets, dtype=np.int64), [len(some) for some in handles])
    return of_handles(bucket, np.array([handle for some in handles for handle in some], np.int64), buckets), handles


def of_handles(bucket: NDArray[np.int64], handles: NDArray[np.int64], buckets: int = 1) -> Records:
    """Records whose codes tell the handle that they belong to."""
    fine = handles[:, None].view(np.uint8).reshape(-1, 8)
    return records_of(bucket, handles, (handles & 0xFFF).astype(np.uint32), fine, buckets)


def listed(span: Span) -> dict[int, list[int]]:
    """Handles by position, once it is sure that every one has the codes that belong to it."""
    found: dict[int, list[int]] = {}
    for position, start, count in zip(span.buckets.tolist(), span.start.tolist(), span.count.tolist(), strict=True):
        rows = slice(start, start + count)
        wanted = of_handles(np.zeros(count, np.int64), span.handle[rows].astype(np.int64))
        assert np.array_equal(span.fine[rows], wanted.fine)
        assert np.array_equal(span.coarse[rows], wanted.coarse)
        found[position] = wanted.handle.tolist()
    return found


@settings(max_examples=300, deadline=None)
@given(steps=STEPS, seed=st.integers(0, 2**32), budget=st.sampled_from([1, 900, 1400, 10**6]), wide=st.booleans())
def test_what_is_held_is_what_was_put_in(steps: list[tuple[str, Any]], seed: int, budget: int, wide: bool) -> None:
    rng = np.random.default_rng(seed)
    arena, size, twin, spans = Arena(LAYOUT, budget), BUCKETS // 2, {}, []
    arena.align(size)
    for verb, what in steps:
        if verb == "align":
            size = max(size, what)
            arena.align(what)
        elif verb == "drop":
            held = what & twin.keys()
            assert arena.drop(np.array(sorted(what))) == len(held)
            twin = {number: handles for number, handles in twin.items() if number not in what}
        elif verb == "tidy":
            arena.tidy()
            assert arena.nbytes <= PLACE_BYTES * size + arena.held * arena.row_bytes * 13 / 12
        else:
            wanted = np.array(sorted(number for number in what if number < size), np.int64)
            missing = arena.missing(wanted)
            assert missing.tolist() == [number for number in wanted.tolist() if number not in twin]
            records, handles = some_records(len(missing), rng, wide and bool(rng.integers(2)))
            if len(missing):
                arena.put(missing, records)
            twin |= dict(zip(missing.tolist(), handles, strict=True))
            span = arena.span(wanted, wanted + 1000, EVERYWHERE[size], len(spans))
            spans.append((span, {1000 + number: twin[number] for number in wanted.tolist()}))
            evicted = arena.trim()
            left = set(range(size)) - set(arena.missing(np.arange(size)).tolist())
            assert len(twin) - len(left) == evicted
            twin = {number: twin[number] for number in left}
            assert arena.nbytes <= max(budget, PLACE_BYTES * size)
        assert (arena.size, arena.kept, arena.held) == (size, len(twin), sum(map(len, twin.values())))
    for span, held in spans:  # also those of long ago: what they point to never changes
        found = listed(span)
        assert {position: found[position] for position in held} == held


def test_the_buckets_not_used_for_longest_go_first() -> None:
    arena, every = Arena(LAYOUT, 99 * ROW_BYTES + 10 * PLACE_BYTES), np.arange(10)
    arena.align(10)
    arena.put(every, of_handles(np.repeat(every, 9), np.arange(90)))
    for tick, number in enumerate([4, 0, 9, 2, 7]):
        arena.span(np.array([number]), np.array([number]), every, tick + 1)
    assert arena.trim() == 0
    arena.drop(np.array([0]))
    arena.put(np.array([0]), of_handles(np.zeros(40, np.int64), np.arange(40)))
    arena.span(np.array([0]), np.array([0]), every, 9)
    assert arena.trim() == 5
    assert arena.missing(every).tolist() == [1, 3, 5, 6, 8]


@pytest.mark.parametrize("layout", [CodeLayout(16, 64), CodeLayout(8, 64), CodeLayout(16, 256), CodeLayout(24, 64)])
def test_arrays_take_little_more_than_the_stored_bytes(layout: CodeLayout) -> None:
    rng = np.random.default_rng(0)
    arena, every = Arena(layout, 1 << 30), np.arange(1000)
    arena.align(1000)
    stored = layout.fine_bytes + layout.coarse_bytes + 4
    for number in rng.permutation(1000):
        fine = rng.integers(0, 256, (350, layout.fine_bytes), np.uint8)
        numbers, handles = np.array([number]), np.arange(350)
        arena.put(numbers, records_of(np.zeros(350, np.int64), handles, handles.astype(np.uint32) & 0xFF, fine))
        arena.span(numbers, numbers, every, 1)
        assert arena.trim() == 0
        if arena.kept >= 100:
            assert arena.nbytes <= 1.2 * arena.held * stored + PLACE_BYTES * (1000 - arena.kept)
    arena.drop(rng.permutation(1000)[:500])
    arena.tidy()
    assert arena.nbytes <= 1.2 * arena.held * stored + PLACE_BYTES * 500


def test_a_wide_handle_widens_the_others_until_it_is_gone() -> None:
    arena, every = Arena(LAYOUT, 1 << 30), np.arange(20)
    arena.align(20)
    arena.put(every, of_handles(np.repeat(every, 50), np.arange(1000)))
    assert arena.row_bytes == ROW_BYTES
    arena.drop(np.array([3]))
    arena.put(np.array([3]), of_handles(np.zeros(2, np.int64), np.array([7, -1])))
    assert arena.row_bytes == ROW_BYTES + 4
    wanted = {n: [7, -1] if n == 3 else list(range(50 * n, 50 * n + 50)) for n in range(20)}
    assert listed(arena.span(every, every, every, 1)) == wanted
    arena.drop(np.array([3, 4, 5, 6]))
    arena.tidy()
    assert arena.row_bytes == ROW_BYTES
    arena.put(np.arange(3, 7), some_records(4, np.random.default_rng(0))[0])
    assert listed(arena.span(every, every, every, 1))[19] == wanted[19]


def test_all_buckets_are_one_run_however_they_came() -> None:
    rng = np.random.default_rng(0)
    arena, every = Arena(LAYOUT, 1 << 30), np.arange(100)
    arena.align(100)
    for numbers in np.split(rng.permutation(100), 20):
        numbers = np.sort(numbers)
        arena.put(numbers, of_handles(np.repeat(np.arange(5), 9), rng.integers(0, 99, 45)))
        arena.span(numbers, numbers, every, 1)
    span = arena.span(every, every, every, 2)
    assert span.start.tolist() == list(range(0, 900, 9))
    assert arena.span(every, every, every, 3) is span
    few = np.array([3, 70])
    assert arena.span(few, few, every, 4) is span, "what is ready is not made again"


def test_a_few_buckets_that_changed_do_not_have_all_moved() -> None:
    arena, every = Arena(LAYOUT, 1 << 30), np.arange(100)
    arena.align(100)
    arena.put(every, of_handles(np.repeat(every, 9), np.arange(900)))
    before = arena.span(every, every, every, 1)
    arena.drop(np.array([50]))
    arena.put(np.array([50]), of_handles(np.zeros(9, np.int64), np.arange(9)))
    after = arena.span(every, every, every, 2)
    assert listed(after) == {n: list(range(9)) if n == 50 else list(range(9 * n, 9 * n + 9)) for n in range(100)}
    assert after.fine is arena.span(every, every, every, 3).fine
    moved = np.flatnonzero(after.start != before.start)
    assert moved.tolist() == [50]


def test_where_much_is_written_a_few_buckets_are_not_looked_up_among_all() -> None:
    arena, every, few = Arena(LAYOUT, 1 << 30), np.arange(100), np.array([3, 70])
    arena.align(100)
    arena.put(every, of_handles(np.repeat(every, 9), np.arange(900)))
    for _ in range(3):
        arena.drop(np.array([50]))
        arena.put(np.array([50]), of_handles(np.zeros(9, np.int64), np.arange(9)))
        assert arena.span(few, few, every, 1).buckets is few
    assert arena.span(few, few, every, 2).buckets is every

"""Kept buckets against a plain dictionary of them, whatever is put in, dropped and moved."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashgrain.indexer.arena import Arena
from hashgrain.indexer.records import Records
from hashgrain.indexer.spans import Span

FINE_BYTES = 8
CODES = 24
PLACE_BYTES = 12
"""What a place for a bucket takes, whether it is held or not."""

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.sets(st.integers(0, CODES - 1), min_size=1)),
        st.tuples(st.just("drop"), st.sets(st.integers(0, CODES + 3), min_size=1)),
        st.tuples(st.just("align"), st.sets(st.integers(0, CODES - 1))),
    ),
    max_size=25,
)


def some_records(buckets: int, rng: np.random.Generator) -> tuple[Records, list[list[int]]]:
    """New records for so many buckets, and the numbers in each."""
    numbers = [rng.integers(0, 1 << 31, rng.integers(1, 9)).tolist() for _ in range(buckets)]
    flat = np.array([number for bucket in numbers for number in bucket], np.int64)
    bucket = np.repeat(np.arange(buckets, dtype=np.int64), [len(bucket) for bucket in numbers])
    return Records(bucket, flat, as_fine(flat)), numbers


def as_fine(numbers: NDArray[np.integer]) -> NDArray[np.uint8]:
    """A fine code that tells the number it belongs to."""
    return numbers.astype(np.int64)[:, None].view(np.uint8).reshape(-1, FINE_BYTES)


def listed(span: Span) -> dict[int, list[int]]:
    """Numbers by bucket, once it is sure that every one has the fine code that belongs to it."""
    found: dict[int, list[int]] = {}
    for bucket, start, count in zip(span.buckets.tolist(), span.start.tolist(), span.count.tolist(), strict=True):
        numbers = span.number[start : start + count]
        assert np.array_equal(span.fine[start : start + count], as_fine(numbers))
        found[bucket] = numbers.tolist()
    return found


@settings(max_examples=300, deadline=None)
@given(steps=STEPS, seed=st.integers(0, 2**32), budget=st.sampled_from([1, 400, 900, 10**6]))
def test_what_is_held_is_what_was_put_in(steps: list[tuple[Any, ...]], seed: int, budget: int) -> None:
    rng = np.random.default_rng(seed)
    arena, twin, spans = Arena(FINE_BYTES, budget), {}, []
    occupied = list(range(0, CODES, 2))
    arena.align(np.array(occupied, np.uint32))
    for verb, codes in steps:
        if verb == "align":
            occupied = sorted(codes)
            arena.align(np.array(occupied, np.uint32))
            twin = {code: numbers for code, numbers in twin.items() if code in codes}
        elif verb == "drop":
            held = codes & twin.keys()
            assert arena.drop(np.array(sorted(codes), np.uint32)) == len(held)
            twin = {code: numbers for code, numbers in twin.items() if code not in codes}
        else:
            places = np.flatnonzero(np.isin(occupied, list(codes)))
            missing = arena.missing(places)
            assert [occupied[place] for place in missing] == [occupied[p] for p in places if occupied[p] not in twin]
            records, numbers = some_records(len(missing), rng)
            arena.put(missing, records)
            twin |= {occupied[place]: mine for place, mine in zip(missing.tolist(), numbers, strict=True)}
            span = arena.span(places, places, len(spans))
            wanted = {place: twin[occupied[place]] for place in places.tolist()}
            spans.append((span, wanted))
            evicted = arena.trim()
            left = {code for place, code in enumerate(occupied) if place not in arena.missing(np.arange(len(occupied)))}
            assert len(twin) - len(left) == evicted
            twin = {code: twin[code] for code in left}
            assert arena.nbytes <= max(budget, PLACE_BYTES * len(occupied))
        assert arena.buckets == len(twin)
        assert arena.held == sum(map(len, twin.values()))
    for span, wanted in spans:  # also those of long ago: what they point to never changes
        assert listed(span) == wanted


def test_the_buckets_not_used_for_longest_go_first() -> None:
    arena = Arena(FINE_BYTES, 99 * 12 + 10 * PLACE_BYTES)
    arena.align(np.arange(10, dtype=np.uint32))
    every = np.arange(10)
    numbers = np.arange(90)
    arena.put(every, Records(np.repeat(every, 9), numbers, as_fine(numbers)))
    for tick, place in enumerate([4, 0, 9, 2, 7]):
        arena.span(np.array([place]), np.array([place]), tick + 1)
    assert arena.trim() == 0
    arena.drop(np.array([0], np.uint32))
    numbers = np.arange(40)
    arena.put(np.array([0]), Records(np.zeros(40, np.int64), numbers, as_fine(numbers)))
    arena.span(np.array([0]), np.array([0]), 9)
    assert arena.trim() == 5
    assert arena.missing(every).tolist() == [1, 3, 5, 6, 8]


def test_arrays_take_little_more_than_what_they_hold() -> None:
    arena = Arena(FINE_BYTES, 1 << 30)
    arena.align(np.arange(1000, dtype=np.uint32))
    for place in range(1000):
        numbers = np.arange(50)
        arena.put(np.array([place]), Records(np.zeros(50, np.int64), numbers, as_fine(numbers)))
        arena.trim()
    assert arena.nbytes <= 1.2 * arena.held * arena.row_bytes

"""Where the rows of buckets lie, and how far a budget goes in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgrain.indexer.searching.spans import Candidates, Span


def span_of(buckets: list[int], counts: list[int]) -> Span:
    count = np.array(counts, np.int64)
    nothing = np.zeros(count.sum(), np.uint32)
    return Span(np.array(buckets, np.int64), np.cumsum(count) - count, count, nothing, nothing, nothing[:, None])


@settings(deadline=None)
@given(st.sets(st.integers(0, 30), max_size=12), st.lists(st.integers(0, 35), max_size=20, unique=True))
def test_the_rows_of_buckets_are_found_in_any_order_and_none_of_those_that_are_not_there(
    there: set[int], wanted: list[int]
) -> None:
    held = sorted(there)
    span = span_of(held, [bucket + 1 for bucket in held])
    start, count = span.locate(np.array(wanted, np.int64))
    assert count.tolist() == [bucket + 1 if bucket in there else 0 for bucket in wanted]
    for bucket, first in zip(wanted, start.tolist(), strict=True):
        if bucket in there:
            assert first == sum(other + 1 for other in held if other < bucket)


@pytest.mark.parametrize(
    ("budget", "end", "records"),
    [
        (None, [3, 1, 5], [7, 0, 9]),
        (1, [1, 1, 3], [2, 0, 5]),
        (2, [1, 1, 3], [2, 0, 5]),
        (3, [3, 1, 3], [7, 0, 5]),
        (7, [3, 1, 4], [7, 0, 9]),
        (99, [3, 1, 5], [7, 0, 9]),
    ],
)
def test_a_budget_takes_the_first_buckets_that_hold_as_many_records(
    budget: int | None, end: list[int], records: list[int]
) -> None:
    """Of the buckets with 2, 0, 5, 4 and 0 records, in two shards, the queries take 0-2, none, and 2-4."""
    spans = [span_of([0, 1], [2, 0]), span_of([2, 3, 4], [5, 4, 0])]
    begin = np.array([0, 1, 2])
    found = Candidates.of(np.arange(5), begin, np.array([3, 1, 5]), spans, budget)
    assert (found.begin.tolist(), found.end.tolist(), found.records.tolist()) == ([0, 1, 2], end, records)
    some = found[np.array([2, 0])]
    assert (some.begin.tolist(), some.end.tolist(), some.records.tolist()) == (
        [2, 0],
        [end[2], end[0]],
        [records[2], records[0]],
    )

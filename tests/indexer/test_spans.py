"""What is kept of records: the same numbers in fewer bytes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hashgrain.codes import CodeLayout
from hashgrain.indexer.searching.spans import Span, narrow
from hashgrain.indexer.stored.records import needs_wide
from made_records import records_of


@pytest.mark.parametrize(
    "handles", [[], [0], [0, 2**32 - 2], [2**32 - 1], [3, 2**32], [5, -1], [-(2**61)], [2**62 - 1, 0]], ids=str
)
def test_handles_take_four_bytes_where_they_all_fit_a_narrow_record(handles: list[int]) -> None:
    given = np.array(handles, np.int64)
    found = narrow(given)
    assert found.dtype == (np.int64 if needs_wide(given).any() else np.uint32)
    assert found.tolist() == handles


@pytest.mark.parametrize(("coarse_bits", "dtype"), [(8, np.uint16), (16, np.uint16), (17, np.uint32), (24, np.uint32)])
def test_rows_are_cut_where_buckets_end(coarse_bits: int, dtype: type) -> None:
    coarse = np.array([1, 2, 3, (1 << coarse_bits) - 1], np.uint32)
    records = records_of(np.array([1, 1, 3, 3]), np.arange(4), coarse, np.arange(16, dtype=np.uint8).reshape(4, 4), 5)
    span = Span.of(np.array([10, 11, 12, 15, 16]), records, CodeLayout(coarse_bits, 32))
    assert span.start.tolist() == [0, 0, 2, 2, 4]
    assert span.count.tolist() == [0, 2, 0, 2, 0]
    assert span.coarse.dtype == dtype
    assert span.coarse.tolist() == coarse.tolist()
    assert span.words.tolist() == records.fine.view(np.uint32).ravel().tolist()


@pytest.mark.parametrize("wanted", [[], [2], [0, 3], [0, 1, 2, 3, 9]])
@pytest.mark.parametrize("fine_bytes", [4, 8, 10, 32])
def test_a_filter_leaves_of_each_bucket_what_plain_indexing_does(wanted: list[int], fine_bytes: int) -> None:
    """Buckets lie anywhere among rows that belong to none, as they do where they are kept."""
    rng = np.random.default_rng(0)
    start, count = np.array([40, 0, 20, 10]), np.array([9, 7, 0, 8])
    fine = rng.integers(0, 256, (50, fine_bytes), np.uint8)
    attributes = rng.integers(0, 4, (50, 9), np.uint8)
    coarse, handle = rng.integers(0, 99, 50).astype(np.uint16), rng.permutation(50).astype(np.uint32)
    span = Span(np.arange(4), start, count, handle, coarse, fine, attributes)

    def keep(rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
        kept: NDArray[np.bool_] = rows[:, 3] == 1
        return kept

    left = span.filtered(np.array(wanted, np.int64), keep)
    at = 0
    for bucket, first, size in zip(wanted, left.start, left.count, strict=True):
        assert first == at
        rows = np.arange(start[bucket], start[bucket] + count[bucket]) if bucket < 4 else np.empty(0, np.intp)
        rows = rows[attributes[rows, 3] == 1]
        mine = slice(first, first + size)
        assert left.origin is not None
        assert left.origin[mine].tolist() == rows.tolist()
        assert left.handle[mine].tolist() == handle[rows].tolist()
        assert left.coarse[mine].tolist() == coarse[rows].tolist()
        assert left.fine[mine].tolist() == fine[rows].tolist()
        at += size
    assert len(left.handle) == len(left.fine) == at

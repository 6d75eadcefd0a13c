"""What is kept of records: the same numbers in fewer bytes."""

from __future__ import annotations

import numpy as np
import pytest

from hashgrain.codes import CodeLayout
from hashgrain.indexer.records import needs_wide
from hashgrain.indexer.spans import Span, narrow
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

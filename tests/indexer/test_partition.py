"""The partition: read back as it was packed, refused where it cannot be one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import IndexCorrupt
from hashgrain.codes.packing import coarse_keys
from hashgrain.indexer.stored.partition import Partition, entry_bytes, pack_entries
from random_codes import random_codes

LAYOUT = CodeLayout(12, 32)
FINE = np.array([[1, 2, 3, 4], [255, 0, 255, 0]], np.uint8)
COARSE = np.array([[0xAB, 0xC0], [0x00, 0x10]], np.uint8)
KEY = "hg:{photos:0}:partition"


@given(
    st.builds(CodeLayout, st.integers(8, 24), st.integers(4, 32).map(lambda n: 8 * n)),
    st.lists(st.tuples(st.integers(0, 256), st.integers(0, 24), st.sampled_from([4, 8])), min_size=1, max_size=9),
)
def test_entries_read_back_as_they_were_packed(layout: CodeLayout, entries: list[tuple[int, int, int]]) -> None:
    fine_radius, coarse_radius, handle_bytes = (list(column) for column in zip(*entries, strict=True))
    codes = random_codes(len(entries), layout)
    stored = pack_entries(codes.fine, codes.coarse, fine_radius, coarse_radius, handle_bytes)
    assert len(stored) == len(entries) * entry_bytes(layout)
    found = Partition.parse(b"77", stored, layout, KEY)
    assert len(found) == len(entries)
    assert found.stamp == b"77"
    for mine, theirs in (
        (found.fine, codes.fine),
        (found.packed_coarse, codes.coarse),
        (found.coarse, coarse_keys(codes.coarse, layout.coarse_bits)),
        (found.fine_radius, np.array(fine_radius, np.int64)),
        (found.coarse_radius, np.array(coarse_radius, np.int64)),
        (found.handle_bytes, np.array(handle_bytes, np.uint8)),
    ):
        assert mine.dtype == theirs.dtype
        assert mine.tolist() == theirs.tolist()


def test_the_bytes_of_an_entry_are_pinned() -> None:
    stored = pack_entries(FINE, COARSE, [259, 0], [12, 1], [8, 4])
    assert stored.hex(" ", 10) == "01020304abc003010c08 ff00ff00001000000104"
    assert Partition.parse(b"1", stored, LAYOUT, KEY).coarse.tolist() == [0xABC, 0x001]


@pytest.mark.parametrize("cut", range(1, 11))
def test_a_partition_that_is_cut_off_is_told_with_key_and_numbers(cut: int) -> None:
    stored = pack_entries(FINE, COARSE, [2, 0], [1, 1], [8, 4])[:-cut]
    if cut == entry_bytes(LAYOUT):
        assert len(Partition.parse(b"1", stored, LAYOUT, KEY)) == 1
        return
    with pytest.raises(IndexCorrupt, match=f"partition holds {20 - cut} bytes, not one or more entries of 10 bytes"):
        Partition.parse(b"1", stored, LAYOUT, KEY)


def test_a_partition_of_no_bucket_is_refused() -> None:
    with pytest.raises(IndexCorrupt, match="partition holds 0 bytes"):
        Partition.parse(b"1", b"", LAYOUT, KEY)


@pytest.mark.parametrize("width", [0, 3, 5, 7, 9, 255])
def test_a_width_of_handles_that_cannot_be_is_told_with_its_bucket(width: int) -> None:
    stored = pack_entries(FINE, COARSE, [2, 0], [1, 1], [8, width])
    with pytest.raises(IndexCorrupt, match=f"handles take {width} bytes in bucket 1, which can be 4 or 8 only"):
        Partition.parse(b"1", stored, LAYOUT, KEY)

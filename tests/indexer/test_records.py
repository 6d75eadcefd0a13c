"""Records: read back as they were packed whatever the width of their handles, holes left out, broken buckets told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import IndexCorrupt
from hashgrain.codes.packing import coarse_keys
from hashgrain.indexer.stored.keys import HOLES, NARROW, WIDE, ShardKeys
from hashgrain.indexer.stored.records import Records, code_bytes, needs_wide, pack_records
from random_codes import random_codes

LAYOUT = CodeLayout(12, 32)
KEYS = ShardKeys("photos", 0)
NARROW_HANDLES = st.integers(0, HOLES[NARROW] - 1)
WIDE_HANDLES = st.integers(-(2**61), 2**62 - 1)


def pack(handles: list[int], handle_bytes: int, seed: int = 0) -> bytes:
    """A bucket of random codes under some handles."""
    codes = random_codes(len(handles), LAYOUT, seed)
    return pack_records(codes.fine, codes.coarse, np.array(handles, np.int64), handle_bytes).tobytes()


def parse(buckets: list[bytes], widths: list[int], numbers: list[int] | None = None) -> Records:
    given_numbers = np.arange(len(buckets)) if numbers is None else np.array(numbers)
    return Records.parse(buckets, np.array(widths, np.uint8), given_numbers, LAYOUT, KEYS)


@settings(deadline=None)  # the first time, what is compiled is loaded
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just(NARROW), st.lists(NARROW_HANDLES | st.just(HOLES[NARROW]), max_size=6)),
            st.tuples(st.just(WIDE), st.lists(WIDE_HANDLES | st.just(HOLES[WIDE]), max_size=6)),
        ),
        max_size=6,
    )
)
def test_records_read_back_in_order_without_their_holes(buckets: list[tuple[int, list[int]]]) -> None:
    found = parse([pack(handles, width, n) for n, (width, handles) in enumerate(buckets)], [w for w, _ in buckets])
    wanted = []
    for n, (width, handles) in enumerate(buckets):
        codes = random_codes(len(handles), LAYOUT, n)
        coarse = coarse_keys(codes.coarse, LAYOUT.coarse_bits).tolist()
        rows = zip([n] * len(handles), handles, coarse, codes.fine.tolist(), strict=True)
        wanted += [row for row in rows if row[1] != HOLES[width]]
    columns = (found.bucket.tolist(), found.handle.tolist(), found.coarse.tolist(), found.fine.tolist())
    assert list(zip(*columns, strict=True)) == wanted
    assert len(found) == len(wanted)
    arrays = (found.bucket, found.handle, found.coarse, found.fine)
    wide = any(width == WIDE for width, _ in buckets)
    assert [array.dtype for array in arrays] == [np.int64, np.int64 if wide else np.uint32, np.uint16, np.uint8]
    assert len(found.count) == len(buckets)
    assert found.fine.shape == (len(wanted), LAYOUT.fine_bytes)


def test_the_bytes_of_records_are_pinned() -> None:
    fine, coarse = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8), np.array([[0xAB, 0xC0], [0, 0x10]], np.uint8)
    assert pack_records(fine, coarse, np.array([1, 258]), 4).tobytes().hex(" ", 10) == (
        "01020304abc001000000 05060708001002010000"
    )
    assert pack_records(fine, coarse, np.array([-2, 2**61]), 8).tobytes().hex(" ", 14) == (
        "01020304abc0feffffffffffffff 0506070800100000000000000020"
    )


@pytest.mark.parametrize(
    ("handle", "wide"),
    [(0, False), (2**32 - 2, False), (2**32 - 1, True), (2**32, True), (-1, True), (2**62 - 1, True), (-(2**61), True)],
)
def test_four_bytes_hold_what_has_no_sign_and_is_no_hole(handle: int, wide: bool) -> None:
    assert needs_wide(np.array([handle])).tolist() == [wide]
    if not wide:
        assert parse([pack([handle], NARROW)], [NARROW]).handle.tolist() == [handle]


def test_a_hole_of_one_width_is_a_handle_of_the_other() -> None:
    assert parse([pack([HOLES[NARROW]], WIDE)], [WIDE]).handle.tolist() == [HOLES[NARROW]]


def test_nothing_is_read_from_no_buckets_and_from_empty_ones() -> None:
    for found in (parse([], []), parse([b"", b""], [NARROW, WIDE])):
        assert len(found) == 0
        assert found.fine.shape == (0, LAYOUT.fine_bytes)
        assert len(found.bucket) == 0


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_a_length_that_is_no_multiple_of_the_width_is_told_with_key_and_numbers(width: int) -> None:
    record = code_bytes(LAYOUT) + width
    for cut in range(1, record):
        with pytest.raises(
            IndexCorrupt, match=f"b:00000c holds {2 * record - cut} bytes, no multiple of the {record} bytes"
        ):
            parse([pack([1], NARROW), pack([1, 2], width)[:-cut]], [NARROW, width], [3, 12])

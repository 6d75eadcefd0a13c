"""Records: live ones are found, dead ones left out, broken buckets told."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import IndexCorrupt
from hashgrain.indexer.keys import TOMBSTONE, ShardKeys
from hashgrain.indexer.records import Records, record_width

LAYOUT = CodeLayout(8, 32)


def record(number: int, fine: bytes = b"fine") -> bytes:
    return struct.pack(">I", number) + fine


def tombstone(number: int) -> bytes:
    return record(number + TOMBSTONE, bytes(4))


def parse(*logs: bytes) -> Records:
    places = np.arange(len(logs))
    return Records.parse(logs, places + 10, LAYOUT, ShardKeys("photos", 0), places.astype(np.uint32))


def test_records_carry_their_bucket_number_and_code() -> None:
    records = parse(record(0) + record(TOMBSTONE - 1, b"\0\1\2\xff"), b"", record(7))
    assert records.bucket.tolist() == [10, 10, 12]
    assert records.number.tolist() == [0, TOMBSTONE - 1, 7]
    assert records.fine.tolist() == [list(b"fine"), [0, 1, 2, 255], list(b"fine")]


def test_a_tombstone_buries_its_record_wherever_it_stands_in_the_bucket() -> None:
    records = parse(tombstone(1) + record(0) + record(1) + record(2), record(3) + tombstone(3))
    assert records.number.tolist() == [0, 2]


def test_nothing_is_read_from_no_buckets() -> None:
    records = parse()
    assert len(records) == 0
    assert records.fine.shape == (0, LAYOUT.fine_bytes)


@pytest.mark.parametrize("cut", range(1, record_width(LAYOUT)))
def test_a_length_that_is_no_multiple_of_the_width_is_told_with_key_and_numbers(cut: int) -> None:
    with pytest.raises(IndexCorrupt, match=f"b:000001 holds {16 - cut} bytes, no multiple of the 8 bytes"):
        parse(record(0), (record(1) + record(2))[:-cut])

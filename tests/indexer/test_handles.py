"""Handles: what an id alone decides, held against the same rules in plain Python; stored data depends on each."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashgrain.indexer.stored.handles import (
    FIRST_HASHED,
    handle_of,
    handles_of,
    hashes_of,
    is_hashed,
    page_of,
    shards_of,
)
from hashgrain.indexer.stored.identifiers import encode_ids

HANDLES = st.integers(-FIRST_HASHED, 2 * FIRST_HASHED - 1)


def splitmix64(handle: int) -> int:
    """The finaliser of SplitMix64."""
    mixed, ones = handle % 2**64, 2**64 - 1
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & ones
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & ones
    return mixed ^ (mixed >> 31)


@given(st.integers(-FIRST_HASHED, FIRST_HASHED - 1))
def test_an_integer_within_61_bits_and_a_sign_is_its_own_handle(item: int) -> None:
    assert handle_of(encode_ids([item])[0]) == item


@given(
    st.one_of(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
        st.integers(FIRST_HASHED, 2**63 - 1),
        st.integers(-(2**63), -FIRST_HASHED - 1),
    )
)
def test_every_other_id_has_a_hash_that_says_it_is_one(item: str | int) -> None:
    encoded = encode_ids([item])[0]
    handle = handle_of(encoded)
    assert FIRST_HASHED <= handle < 2 * FIRST_HASHED
    digest = hashlib.blake2b(encoded, digest_size=8, person=b"hashgrain").digest()
    assert handle % FIRST_HASHED == int.from_bytes(digest, "little") % FIRST_HASHED


def test_an_integer_and_its_text_have_two_handles() -> None:
    assert len({handle_of(encoded) for encoded in encode_ids([5, "5", "i5"])}) == 3


def test_handles_are_pinned() -> None:
    """Other values need another schema version."""
    handles = handles_of(encode_ids([12, -1, 2**61 - 1, -(2**61), 2**61, "a", "ключ"]))
    assert handles.dtype == np.int64
    hashed = [4545448421829616229, 3884424266271205459, 4258069167055751169]
    assert handles.tolist() == [12, -1, 2**61 - 1, -(2**61), *hashed]
    assert is_hashed(handles).tolist() == [False] * 4 + [True] * 3
    of_integers, of_others = [3609279420, 4073438587, 2688233487, 1908981734], [3221463653, 604022867, 3815163905]
    assert hashes_of(handles).tolist() == of_integers + of_others
    assert shards_of(handles, 7).tolist() == [4, 5, 4, 3, 4, 4, 1]


@given(st.lists(HANDLES, min_size=1, max_size=20), st.integers(1, 1024))
def test_hashes_and_shards_follow_the_finaliser_of_splitmix64(handles: list[int], shards: int) -> None:
    array = np.array(handles, np.int64)
    before = array.copy()
    lower = [(handle if handle >= FIRST_HASHED else splitmix64(handle)) % 2**32 for handle in handles]
    assert hashes_of(array).tolist() == lower
    assert hashes_of(array).dtype == np.uint32
    assert shards_of(array, shards).tolist() == [(splitmix64(handle) >> 32) % shards for handle in handles]
    assert (array == before).all()


@pytest.mark.parametrize("handles", [np.arange(30_000), np.arange(30_000) * 1024, -np.arange(30_000)])
def test_numbered_items_spread_evenly_over_shards_and_pages(handles: np.ndarray) -> None:
    for parts in (shards_of(handles, 3), page_of(hashes_of(handles), 100)):
        counts = np.bincount(parts)
        # Pages 36 to 63 of 100 are not split yet, and hold twice as many as the others.
        expected = len(handles) / 128 * np.where((np.arange(100) >= 36) & (np.arange(100) < 64), 2, 1)
        if len(counts) == 3:
            expected = np.full(3, len(handles) / 3)
        assert (np.abs(counts - expected) < 6 * np.sqrt(expected)).all()


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50), st.integers(1, 5000))
def test_one_more_page_takes_hashes_from_one_page_alone(hashes: list[int], pages: int) -> None:
    array = np.array(hashes, np.uint32)
    before, after = page_of(array, pages), page_of(array, pages + 1)
    assert before.dtype == np.int64
    assert ((before >= 0) & (before < pages)).all()
    level = 2 ** (pages.bit_length() - 1)
    moved = before != after
    assert (after[moved] == pages).all()
    assert (before[moved] == pages - level).all()


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50), st.integers(0, 12))
def test_of_a_power_of_two_pages_the_lowest_bits_decide(hashes: list[int], bits: int) -> None:
    assert page_of(np.array(hashes, np.uint32), 1 << bits).tolist() == [value % (1 << bits) for value in hashes]

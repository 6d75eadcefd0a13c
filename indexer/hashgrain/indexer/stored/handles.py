"""Handles: the numbers by which the stored layout knows items, and what follows from them.

An item's handle is a signed number of 64 bits that its id alone decides. An integer id from -2**61 to 2**61 - 1 is its
own handle, so its name need not be stored. Every other id has a handle from 2**61 to 2**62 - 1: 61 bits of the BLAKE2b
hash (RFC 7693) of the encoded id. Two ids with one handle cannot both be in an index; among a million ids that happens
by chance once in five million indexes.

Handles also decide ties: of items at equal distances the one with the smaller handle comes first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.stored.identifiers import INTEGER

FIRST_HASHED = 1 << 61
"""Handles from here on are hashes; those below are integer ids."""

_HASH_MASK = FIRST_HASHED - 1


def handle_of(encoded: bytes) -> int:
    """The handle of an encoded id (see `identifiers`)."""
    if encoded[:1] == INTEGER:
        number = int(encoded[1:])
        if -FIRST_HASHED <= number < FIRST_HASHED:
            return number
    digest = hashlib.blake2b(encoded, digest_size=8, person=b"hashgrain").digest()
    return FIRST_HASHED | (int.from_bytes(digest, "little") & _HASH_MASK)


def handles_of(encoded: Sequence[bytes]) -> NDArray[np.int64]:
    """The handles of many encoded ids, int64 (N,)."""
    return np.fromiter(map(handle_of, encoded), np.int64, len(encoded))


def is_hashed(handles: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which handles are hashes, so that their ids are stored by name."""
    hashed: NDArray[np.bool_] = handles >= FIRST_HASHED
    return hashed


def hashes_of(handles: NDArray[np.int64]) -> NDArray[np.uint32]:
    """The 32-bit hash of each handle, by which its place is found.

    Of an integer id: the lower half of what the finaliser of SplitMix64 makes of it (Steele, Lea and Flood, OOPSLA
    2014). A hashed handle is as good as random itself: its lower half.
    """
    mixed = _mixed(handles)
    chosen = np.where(is_hashed(handles), handles.view(np.uint64), mixed)
    return (chosen & np.uint64(0xFFFFFFFF)).astype(np.uint32)


def shards_of(handles: NDArray[np.int64], shards: int) -> NDArray[np.int64]:
    """The shard that each item belongs to, 0 to shards - 1. It depends on the id alone, and never changes."""
    return ((_mixed(handles) >> np.uint64(32)) % np.uint64(shards)).astype(np.int64)


def page_of(hashes: NDArray[np.uint32], pages: int) -> NDArray[np.int64]:
    """The page of each hash, where there are so many pages.

    By linear hashing: of `pages` from 2**n to 2**(n+1) - 1, the first pages - 2**n have been split. So the next page
    to be made, number `pages`, takes what belongs there from page `pages - 2**n` and from no other.
    """
    level = 1 << (pages.bit_length() - 1)
    page = hashes.astype(np.int64) & (2 * level - 1)
    return np.where(page < pages, page, page & (level - 1))


def handle_fields(handles: NDArray[np.int64]) -> list[bytes]:
    """Handles as the fields of a hash: 8 bytes each, little-endian."""
    fields: list[bytes] = np.ascontiguousarray(handles, "<i8").view("V8").tolist()
    return fields


def _mixed(handles: NDArray[np.int64]) -> NDArray[np.uint64]:
    mixed = handles.astype(np.int64).view(np.uint64).copy()
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed

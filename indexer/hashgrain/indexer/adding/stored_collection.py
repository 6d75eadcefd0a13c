"""What a collection that is divided into buckets is stored as: bucket by bucket, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.adding.collection import Collection
from hashgrain.indexer.stored.handles import handle_fields, hashes_of, is_hashed, page_of
from hashgrain.indexer.stored.keys import (
    BUCKET_BYTES,
    HASH_BYTES,
    HINT_BYTES,
    HINT_RECORDS,
    NARROW,
    PAGE_ITEMS,
    PLACE_BYTES,
    WIDE,
)
from hashgrain.indexer.stored.partition import pack_entries
from hashgrain.indexer.stored.records import body_bytes, needs_wide, pack_records

if TYPE_CHECKING:
    from hashgrain.indexer.adding.grouping import Grouping

_AT_ONCE = 1 << 16  # items whose bytes are made at once, more or less: they stay in the second-level cache


def pages_of(items: int) -> int:
    """How many pages an index of so many items has."""
    return max(1, -(-items // PAGE_ITEMS))


def handle_widths(handles: NDArray[np.int64], groups: Grouping) -> NDArray[np.int64]:
    """What a handle takes in each bucket, int64 (B,): 4 bytes or 8."""
    wide = np.logical_or.reduceat(needs_wide(handles)[groups.order], groups.bounds[:-1])
    return np.where(wide, WIDE, NARROW)


def partition_of(groups: Grouping, widths: NDArray[np.int64]) -> bytes:
    """The partition as it is stored."""
    return pack_entries(
        groups.fine, groups.packed_coarse, groups.fine_radius, groups.coarse_radius, widths.astype(np.uint8)
    )


def buckets_of(items: Collection, groups: Grouping, widths: NDArray[np.int64], layout: CodeLayout) -> Iterator[bytes]:
    """The records of every bucket, in order."""
    rows = {
        width: _as_rows(pack_records(items.fine, items.packed_coarse, items.handles, width, items.attributes))
        for width in np.unique(widths).tolist()
    }
    for first, last in _runs(groups.bounds):
        members = groups.order[groups.bounds[first] : groups.bounds[last]]
        stored = {width: rows[width][members].tobytes() for width in np.unique(widths[first:last]).tolist()}
        bounds = (groups.bounds[first : last + 1] - groups.bounds[first]).tolist()
        for (low, high), width in zip(pairwise(bounds), widths[first:last].tolist(), strict=True):
            record = body_bytes(layout) + width
            yield stored[width][low * record : high * record]


def places_of(handles: NDArray[np.int64], groups: Grouping) -> Iterator[bytes]:
    """The places of every page, in order; some may be empty."""
    sizes, hashes = np.diff(groups.bounds), hashes_of(handles)
    position = np.arange(len(handles)) - np.repeat(groups.bounds[:-1], sizes)
    hint = np.minimum(position // HINT_RECORDS, (1 << 8 * HINT_BYTES) - 1)
    where = np.repeat(np.arange(len(groups)), sizes) | hint << 8 * BUCKET_BYTES
    places = np.empty(len(handles), "<u8")
    places[groups.order] = where.view(np.uint64) << np.uint64(8 * HASH_BYTES)
    places |= hashes
    order, bounds = _by_page(hashes, pages_of(len(handles)))
    for first, last in _runs(bounds):
        stored = places[order[bounds[first] : bounds[last]]].tobytes()
        ends = ((bounds[first : last + 1] - bounds[first]) * PLACE_BYTES).tolist()
        for low, high in pairwise(ends):
            yield stored[low:high]


def names_of(items: Collection) -> Iterator[tuple[int, list[bytes]]]:
    """Every page of names that is not empty: its number, and handles and encoded ids in turn."""
    hashed = np.flatnonzero(is_hashed(items.handles))
    if not len(hashed) or items.encoded is None:
        return
    handles = items.handles[hashed]
    order, bounds = _by_page(hashes_of(handles), pages_of(len(items)))
    fields, members = handle_fields(handles[order]), hashed[order].tolist()
    for page in np.flatnonzero(np.diff(bounds)).tolist():
        low, high = int(bounds[page]), int(bounds[page + 1])
        pairs = zip(fields[low:high], members[low:high], strict=True)
        yield page, [part for field, member in pairs for part in (field, items.encoded[member])]


def payloads_of(items: Collection) -> Iterator[tuple[bytes, bytes]]:
    """Handle and payload of every item that has one."""
    if items.payloads is not None:
        for field, payload in zip(handle_fields(items.handles), items.payloads, strict=True):
            if payload:
                yield field, payload


def _as_rows(array: NDArray[np.uint8]) -> NDArray[np.void]:
    """Each row of bytes as one element, which is faster to pick."""
    return array.view(f"V{array.shape[1]}").ravel()


def _by_page(hashes: NDArray[np.uint32], pages: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions page by page, int64 (N,), and the bounds of the pages among them, int64 (pages + 1,)."""
    from hashgrain.indexer.loops.halving import sort_by_number  # loads the compiler: only for those who load

    page = page_of(hashes, pages)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(page, minlength=pages))])
    order = np.empty(len(page), np.int64)
    sort_by_number(page, bounds.copy(), order)
    return order, bounds


def _runs(bounds: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of neighbouring parts that hold about `_AT_ONCE` items each."""
    first = 0
    while first < len(bounds) - 1:
        last = int(np.searchsorted(bounds, bounds[first] + _AT_ONCE, "right")) - 1
        last = min(max(last, first + 1), len(bounds) - 1)
        yield first, last
        first = last

"""The order in which items are listed: by the reversed bits of their handles' hashes.

A page of places holds the items whose hashes end in the same bits (see `handles.page_of`). By the reversed bits these
are neighbours, and they stay so however many pages there are: where a page is divided in two, so is its range. A
position in this order is therefore a mark that growth, splits, merges and replacements do not move. (Redis' own SCAN
counts its buckets in this order, for the same reason.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.stored.handles import page_of

END = 1 << 32
"""Behind the last position."""

_REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little"), axis=1)[:, 0]


def positions_of(hashes: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The position of each hash, int64 (N,), 0 to END - 1."""
    parts = _REVERSED[np.ascontiguousarray(hashes, "<u4").view(np.uint8).reshape(-1, 4)]
    return np.ascontiguousarray(parts).view(">u4")[:, 0].astype(np.int64)


def hash_at(position: int) -> int:
    """The hash at a position: the other way round, bits are reversed as well."""
    return int(positions_of(np.array([position], np.uint32))[0])


def end_of_page(position: int, pages: int) -> int:
    """The end of the range of the page on which a position lies, where there are so many pages."""
    level = 1 << (pages.bit_length() - 1)
    page = int(page_of(np.array([hash_at(position)], np.uint32), pages)[0])
    divided = page >= level or page < pages - level
    size = END // (2 * level if divided else level)
    return position // size * size + size

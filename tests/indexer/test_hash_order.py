"""The order in which items are listed, beside pages of places."""

from __future__ import annotations

import numpy as np
import pytest

from hashgrain.indexer.stored.handles import page_of
from hashgrain.indexer.stored.hash_order import END, end_of_page, hash_at, positions_of


def test_positions_are_reversed_bits_and_come_back() -> None:
    hashes = np.random.default_rng(0).integers(END, size=200, dtype=np.uint32)
    assert positions_of(hashes).tolist() == [int(f"{hash_:032b}"[::-1], 2) for hash_ in hashes.tolist()]
    assert [hash_at(position) for position in positions_of(hashes).tolist()] == hashes.tolist()
    assert len(positions_of(hashes[:0])) == 0


@pytest.mark.parametrize("pages", [1, 2, 3, 4, 5, 7, 8, 13, 100, 1000])
def test_pages_are_ranges_that_follow_one_another(pages: int) -> None:
    """Every page once, and each has what lies between its bounds."""
    bounds = [0]
    while bounds[-1] < END:
        bounds.append(end_of_page(bounds[-1], pages))
    assert bounds[-1] == END
    first = page_of(np.array([hash_at(low) for low in bounds[:-1]], np.uint32), pages)
    assert sorted(first.tolist()) == list(range(pages))
    hashes = np.random.default_rng(pages).integers(END, size=500, dtype=np.uint32)
    within = np.searchsorted(bounds, positions_of(hashes), "right") - 1
    assert np.array_equal(first[within], page_of(hashes, pages))

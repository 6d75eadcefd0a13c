"""Names that are kept: of hashed handles alone, and not more than there is room for."""

from __future__ import annotations

import pytest

from hashgrain.indexer.keeping import kept_names
from hashgrain.indexer.keeping.kept_names import KeptNames
from hashgrain.indexer.searching.reading import Names
from hashgrain.indexer.stored.handles import FIRST_HASHED

PLENTY = 1 << 20


def names(*numbers: int) -> Names:
    return {FIRST_HASHED + number: (f"item {number}", {"n": number}) for number in numbers}


def test_what_was_added_is_found_without_its_payload() -> None:
    kept = KeptNames(PLENTY)
    kept.add(names(1, 2, 3))
    assert kept.find([FIRST_HASHED + 3, FIRST_HASHED + 1]) == {
        FIRST_HASHED + 3: ("item 3", None),
        FIRST_HASHED + 1: ("item 1", None),
    }
    assert kept.find([FIRST_HASHED + 3, FIRST_HASHED + 4]) is None
    assert kept.find([]) == {}


def test_ids_that_are_their_own_handles_and_items_that_are_gone_are_not_kept() -> None:
    kept = KeptNames(PLENTY)
    kept.add({7: (7, None), FIRST_HASHED + 1: (None, None)})
    assert len(kept) == 0
    assert kept.find([FIRST_HASHED + 1]) is None


def test_a_full_map_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_names, "MOST_NAMES", 4)
    kept = KeptNames(PLENTY)
    kept.add(names(1, 2, 3))
    kept.add(names(4, 5))
    assert len(kept) == 2
    assert kept.find([FIRST_HASHED + 5]) is not None
    kept.add(names(*range(6)))
    assert len(kept) == 0


def test_names_take_no_more_than_a_share_of_what_buckets_may() -> None:
    kept = KeptNames(3 << 10)
    kept.add(names(1, 2, 3, 4))
    assert len(kept) == 0
    kept.add(names(1, 2, 3))
    assert len(kept) == 3

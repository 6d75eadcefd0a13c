"""Ids, page by page."""

from __future__ import annotations

import pytest

from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer import Index, ItemId, create_generation, switch_generation
from listed_items import LAYOUT, write

MIXED: list[ItemId] = [*range(60), *(f"item {n}" for n in range(40))]


def all_pages(index: Index, limit: int) -> list[list[ItemId]]:
    pages = [index.ids(limit)]
    while pages[-1].cursor is not None:
        pages.append(index.ids(limit, pages[-1].cursor))
    return [page.ids for page in pages]


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("limit", [3, 100, 101])
def test_all_ids_come_once_on_pages_of_the_length_that_was_asked_for(redis_url: str, shards: int, limit: int) -> None:
    with Index.create(redis_url, "photos", LAYOUT, shards=shards) as index:
        write(index, MIXED, range(len(MIXED)))
        pages = all_pages(index, limit)
        assert sorted(map(str, (id_ for page in pages for id_ in page))) == sorted(map(str, MIXED))
        assert {len(page) for page in pages[:-1]} <= {limit}
        assert 0 < len(pages[-1]) <= limit


def test_an_empty_index_has_one_page_without_ids(redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT, shards=2) as index:
        assert all_pages(index, 5) == [[]]


def test_what_stays_comes_once_though_the_index_grows_and_loses_what_the_cursor_named(redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT, shards=2, bucket_items=8) as index:
        write(index, range(200), range(200))
        page = index.ids(90)
        seen = list(page.ids)
        gone = page.ids[-1]
        index.delete([gone])
        write(index, range(1000, 2000), range(1000))
        while page.cursor is not None:
            page = index.ids(90, page.cursor)
            seen += page.ids
        assert len(set(seen)) == len(seen)
        assert set(range(200)) <= set(seen)


def test_a_cursor_of_another_index_or_none_at_all_is_refused(redis_url: str) -> None:
    with Index.create(redis_url, "photos", LAYOUT) as index:
        write(index, range(10), range(10))
        cursor = index.ids(3).cursor
        for broken in ("", "x", "0123456789:", f"{cursor}9" * 3, f"{index.incarnation}:{1 << 63}"):
            with pytest.raises(InvalidInput, match="is no cursor"):
                index.ids(3, broken)
        create_generation(redis_url, "photos", LAYOUT)
        switch_generation(redis_url, "photos")
        with pytest.raises(InvalidInput, match="begin again without a cursor"):
            index.ids(3, cursor)


@pytest.mark.parametrize("limit", [0, -1, 100_001, True, 2.5])
def test_limits(redis_url: str, limit: int) -> None:
    with Index.create(redis_url, "photos", LAYOUT) as index, pytest.raises(InvalidInput, match=r"1 to 100,000 ids"):
        index.ids(limit)

"""How much a searcher may keep is checked before anything is connected or created."""

from __future__ import annotations

import pytest
import redis

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer import Index


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "1GB"])
def test_what_is_no_size_is_refused_and_nothing_is_created(redis_url: str, size: object) -> None:
    for call in (
        lambda: Index.create(redis_url, "x", CodeLayout(), cache_bytes=size),  # type: ignore[arg-type]
        lambda: Index.open(redis_url, "x", cache_bytes=size),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidInput, match=f"cache_bytes must be a positive integer, or None.*got {size!r}"):
            call()
    assert redis.Redis.from_url(redis_url).keys() == []


def test_an_index_without_a_size_keeps_nothing_and_opens_no_further_connection(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    with Index.create(redis_url, "x", CodeLayout()) as index:
        assert index.cache_stats() is None
        before = len(client.client_list())
        with Index.open(redis_url, "x", cache_bytes=1 << 20) as keeping:
            assert keeping.cache_stats() is not None
            assert len(client.client_list()) == before + 2

"""image_search asks Redis for changes with every request, unless its setting says how late an answer may be."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from hashgrain.codes import CodeLayout, EncoderContract
from hashgrain.indexer import Index, SearchRequest
from random_codes import random_codes
from tiny_model import IMAGE_SEARCH

LAYOUT = CodeLayout(12, 64)
CONTRACT = EncoderContract(LAYOUT, 32, "ab" * 16)


@pytest.mark.parametrize(("seconds", "asked"), [(0.0, 10), (600.0, 0)])
def test_redis_is_asked_unless_answers_may_be_late(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, seconds: float, asked: int
) -> None:
    monkeypatch.syspath_prepend(IMAGE_SEARCH / "1")
    from image_search.indexes import OpenIndexes
    from image_search.question import Question
    from image_search.settings import Settings

    items = random_codes(200, LAYOUT)
    with Index.create(redis_url, "x", LAYOUT, fingerprint=CONTRACT.fingerprint) as index:
        index.add(range(200), items)
    question = Question("x", None, SearchRequest(5), ("ids",))
    indexes = OpenIndexes(Settings(redis=redis_url, max_staleness_s=seconds), {1: CONTRACT})
    client: Any = redis.Redis.from_url(redis_url)
    try:
        assert indexes.version_for(question) == 1
        for _ in range(2):  # reads what is to be kept, and has it confirmed
            indexes.search(question, items[:1], 1)
        client.config_resetstat()
        for row in range(10):
            assert indexes.search(question, items[row : row + 1], 1)[0].ids[0] == row
        told = client.info("commandstats")
        assert sum(of["calls"] for name, of in told.items() if name == "cmdstat_ping") == asked
    finally:
        client.close()
        indexes.close()

"""What image_search reports as its readiness, on a real Redis that comes and goes."""

from __future__ import annotations

from types import ModuleType

import pytest

from hashgrain.codes import CodeLayout, EncoderContract
from tiny_model import IMAGE_SEARCH

CONTRACTS = {1: EncoderContract(CodeLayout(16, 64), 32, "cafe")}


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, imported as Triton imports it: with the version's folder on the path."""
    monkeypatch.syspath_prepend(IMAGE_SEARCH / "1")
    from image_search import indexes

    return indexes


def test_it_is_ready_while_redis_answers(parts: ModuleType, redis_url: str) -> None:
    from image_search.settings import Settings  # type: ignore[import-not-found, unused-ignore]

    here, nowhere = (parts.OpenIndexes(Settings(redis=url), CONTRACTS) for url in (redis_url, "redis://127.0.0.1:1/0"))
    assert here.ready()
    assert not nowhere.ready()
    here.close()
    assert here.ready(), "a closed connection opens again: the next answer counts"
    here.close()

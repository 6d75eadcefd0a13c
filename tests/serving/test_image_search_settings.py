"""The settings of image_search: config.pbtxt, the environment over it, and nothing unknown."""

from __future__ import annotations

from types import ModuleType

import pytest

from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.pbtxt import parse
from tiny_model import IMAGE_SEARCH


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, imported as Triton imports it: with the version's folder on the path."""
    monkeypatch.syspath_prepend(IMAGE_SEARCH / "1")
    from image_search import settings

    return settings


def config(**parameters: str) -> dict[str, object]:
    return {"parameters": {name: {"string_value": value} for name, value in parameters.items()}}


def test_defaults_are_those_of_the_committed_config(settings: ModuleType) -> None:
    """Both places can be read; they must not tell different things."""
    rows = parse((IMAGE_SEARCH / "config.pbtxt").read_text(), "config.pbtxt")["parameters"]
    committed = {row["key"][0]: row["value"][0]["string_value"][0] for row in rows}
    assert settings.read_settings(config(**committed), {}) == settings.Settings()
    assert len(committed) == len(settings.fields(settings.Settings))


def test_the_environment_comes_before_the_config(settings: ModuleType) -> None:
    given = config(redis="redis://config:1/0", index="config")
    found = settings.read_settings(given, {"HASHGRAIN_REDIS": "redis://environment:1/0", "HASHGRAIN_INDEX": ""})
    assert (found.redis, found.index) == ("redis://environment:1/0", "config")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_k", "many", "sets max_k to 'many'; it must be an integer"),
        ("max_k", "0", "max_k must be 1 or more, got 0"),
        ("redis_read_s", "soon", "sets redis_read_s to 'soon'; it must be a number"),
        ("redis_read_s", "0", "must be a positive number of seconds, got 0.0"),
        ("redis_connect_s", "inf", "must be a positive number of seconds, got inf"),
        ("cache_bytes", "-1", "cache_bytes must be 0 or more, got -1"),
        ("max_staleness_s", "-1", "max_staleness must be a number of seconds, 0 or more, got -1.0"),
        ("max_staleness_s", "late", "sets max_staleness_s to 'late'; it must be a number"),
        ("redis", "localhost:6379", "a Redis address begins with redis://"),
        ("index", "my photos", "'my photos' cannot name an index"),
        ("k", "5", "unknown parameter k; it can have redis, index, redis_connect_s, redis_read_s, max_k"),
        ("shadow", "1.5", "shadow must be 0 to 1, the share of searches to sample, got 1.5"),
    ],
)
def test_a_wrong_setting_is_refused(settings: ModuleType, name: str, value: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        settings.read_settings(config(**{name: value}), {})


def test_answers_cannot_be_late_where_nothing_is_kept(settings: ModuleType) -> None:
    with pytest.raises(InvalidInput, match="nothing is kept that could be stale; give cache_bytes"):
        settings.read_settings(config(cache_bytes="0", max_staleness_s="0.05"), {})

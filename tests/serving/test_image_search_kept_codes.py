"""Codes that image_search keeps: by picture and version, the last ones asked for."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from hashgrain.codes import HashCodes
from tiny_model import IMAGE_SEARCH


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Imported as Triton imports it: with the version's folder on the path."""
    monkeypatch.syspath_prepend(IMAGE_SEARCH / "1")
    from image_search import kept_codes

    return kept_codes


def codes(value: int, logits: bool = False) -> HashCodes:
    plain = np.full((1, 2), value, np.uint8), np.full((1, 8), value, np.uint8)
    return HashCodes(*plain, *((np.ones((1, 16), np.float32), np.ones((1, 64), np.float32)) if logits else ()))


def test_the_last_ones_asked_for_are_kept(module: ModuleType) -> None:
    kept = module.KeptCodes(2)
    kept.keep(b"a", 1, codes(1))
    kept.keep(b"b", 1, codes(2))
    assert kept.find(b"a", 1, logits=False).fine[0, 0] == 1
    kept.keep(b"c", 1, codes(3))
    assert [kept.find(key, 1, logits=False) is not None for key in (b"a", b"b", b"c")] == [True, False, True]


def test_another_version_and_codes_without_logits_are_not_found(module: ModuleType) -> None:
    kept = module.KeptCodes(2)
    kept.keep(b"a", 1, codes(1))
    assert kept.find(b"a", 2, logits=False) is None
    assert kept.find(b"a", 1, logits=True) is None
    kept.keep(b"a", 1, codes(1, logits=True))
    assert kept.find(b"a", 1, logits=True) is not None


def test_none_are_kept_of_several_pictures_or_where_none_shall_be(module: ModuleType) -> None:
    kept = module.KeptCodes(0)
    kept.keep(b"a", 1, codes(1))
    kept.keep(None, 1, codes(1))
    assert kept.find(b"a", 1, logits=False) is None
    assert kept.find(None, 1, logits=False) is None


def test_what_is_kept_holds_no_larger_array(module: ModuleType) -> None:
    many = HashCodes(np.zeros((32, 2), np.uint8), np.zeros((32, 8), np.uint8))
    kept = module.KeptCodes(1)
    kept.keep(b"a", 1, many[3:4])
    assert kept.find(b"a", 1, logits=False).fine.base is None


def test_a_key_tells_pictures_apart(module: ModuleType) -> None:
    flat = np.zeros((1, 2, 6, 3), np.uint8)
    files = [np.array([[content]], object) for content in (b"one", b"two")]
    given = [(flat, None), (flat.reshape(1, 6, 2, 3), None), (flat + 1, None), *((None, file) for file in files)]
    keys = [module.key_of(*pair) for pair in given]
    assert len(set(keys)) == 5
    assert keys == [module.key_of(*pair) for pair in given]
    several = np.zeros((2, 2, 6, 3), np.uint8), np.array([[b"one"], [b"two"]], object)
    assert [module.key_of(several[0], None), module.key_of(None, several[1])] == [None, None]
    assert module.key_of(flat, files[0]) is None
    assert module.key_of(None, None) is None

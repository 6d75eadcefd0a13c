"""An index's health: the figures are those that plain sums over what is stored give."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.packing import unpack_bits
from hashgrain.indexer import Index, request
from hashgrain.indexer.managing.health import BitHealth
from random_codes import random_codes
from stored_buckets import stored_buckets

LAYOUT = CodeLayout(12, 64)
ITEMS = 500
CODES = random_codes(ITEMS, LAYOUT, flips=0.2)


@pytest.fixture(params=[1, 3])
def index(redis_url: str, request: pytest.FixtureRequest) -> Iterator[Index]:
    with Index.create(redis_url, "x", LAYOUT, bucket_items=12, shards=request.param) as created:
        created.add(list(range(ITEMS)), CODES)
        yield created


def test_of_everything_the_figures_are_exact(redis_url: str, index: Index) -> None:
    found = index.health(items=ITEMS, queries=20)
    buckets = stored_buckets(redis_url, "x")
    sizes = np.array([len(bucket.members) for bucket in buckets])
    assert found.sizes.tolist() == sorted(sizes.tolist(), reverse=True)
    share = sizes[sizes > 0] / ITEMS
    assert found.entropy == pytest.approx(-(share * np.log2(share)).sum())
    assert (found.items, found.sampled, found.queries) == (ITEMS, ITEMS, 20)
    radii = [bucket.fine_radius + bucket.coarse_radius for bucket in buckets if bucket.members]
    assert found.radius == pytest.approx(np.mean(radii))
    for bits, packed, length in ((found.coarse, CODES.coarse, 12), (found.fine, CODES.fine, 64)):
        plain = unpack_bits(packed, length).astype(float)
        assert bits.ones == pytest.approx(plain.mean(axis=0))
        assert bits.correlation == pytest.approx(np.corrcoef(plain.T))
    assert found.coarse_codes == len(np.unique(CODES.coarse, axis=0))
    assert (found.recall, found.compared) == (1, 1), "4,096 candidates are all"


def test_the_default_search_is_held_against_an_exhaustive_one(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "DEFAULT_CANDIDATES", 10)
    found = index.health(items=ITEMS, queries=ITEMS, k=10)
    hits, best = index.search(CODES, 10), index.search(CODES, 10, exact=True)
    near = [(a.distances <= b.distances.max()).mean() for a, b in zip(hits, best, strict=True)]
    assert found.recall == pytest.approx(np.mean(near))
    assert 0.1 < found.recall < 1
    assert found.compared == pytest.approx(np.mean([hit.candidates for hit in hits]) / ITEMS)
    assert found.proven == pytest.approx(np.mean([hit.exact for hit in hits]))


def test_codes_that_say_little_show(redis_url: str) -> None:
    coarse, fine = np.zeros((100, 2), np.uint8), np.zeros((100, 8), np.uint8)
    fine[50:, 0] = 0b1100_0000  # two bits that say the same; all others are always 0
    with Index.create(redis_url, "x", LAYOUT) as index:
        index.add(list(range(100)), HashCodes(coarse, fine))
        found = index.health()
    assert (found.repeated, found.coarse_codes, found.coarse_entropy) == (1, 1, 0)
    assert found.coarse.imbalance == 0.5
    assert found.fine.ones[:3].tolist() == [0.5, 0.5, 0]
    assert found.fine.correlation[0, :3].tolist() == pytest.approx([1, 1, 0])


def test_independent_bits_are_nearly_uncorrelated() -> None:
    bits = BitHealth.of(np.random.default_rng(0).integers(0, 2, (4000, 16), np.uint8))
    assert bits.imbalance < 0.02
    assert bits.mean_correlation < 0.03


def test_what_cannot_be_measured_is_refused(redis_url: str) -> None:
    with Index.create(redis_url, "x", LAYOUT) as index:
        with pytest.raises(InvalidInput, match="'x' is empty"):
            index.health()
        for wrong in ({"items": 0}, {"queries": -1}, {"k": 0}, {"items": True}):
            with pytest.raises(InvalidInput, match="must be an integer of 1 or more"):
                index.health(**wrong)

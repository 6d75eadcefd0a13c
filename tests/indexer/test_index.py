"""`Index`: what a user sees of adding, replacing, deleting, searching, and of bad input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import redis

import hashgrain.indexer as package
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import FingerprintMismatch, IndexMissing, InvalidInput, LayoutMismatch
from hashgrain.indexer import Index, IndexStats, Written
from hashgrain.indexer.adding import collection, writing
from hashgrain.indexer.stored.handles import FIRST_HASHED, handle_of
from hashgrain.indexer.stored.identifiers import encode_ids
from random_codes import random_codes
from stored_buckets import stored_buckets

LAYOUT = CodeLayout(12, 64)
EMPTY = {b"hg:{x:0}:meta", b"hg:{x:0}:stamp", b"hg:{x:0}:partition", b"hg:{x:0}:b:000000"}
"""The keys of an index that never held an item."""


@pytest.fixture
def index(redis_url: str) -> Iterator[Index]:
    with Index.create(redis_url, "x", LAYOUT, fingerprint="model-a", bucket_items=16) as created:
        yield created


@pytest.fixture
def keys(redis_url: str) -> Any:
    """The keys that are in the database now."""
    client = redis.Redis.from_url(redis_url)
    return lambda: set(client.keys())


def codes(rows: int, seed: int = 0) -> HashCodes:
    return random_codes(rows, LAYOUT, seed)


def test_the_package_exports_what_a_user_needs_and_no_more() -> None:
    assert package.__all__ == [
        "AsyncIndex",
        "BitHealth",
        "CacheStats",
        "CheckReport",
        "DuplicateGroup",
        "Explanation",
        "Filter",
        "Finding",
        "Generation",
        "Generations",
        "Hit",
        "IdPage",
        "Index",
        "IndexHealth",
        "IndexStats",
        "ItemId",
        "Kind",
        "NearPairs",
        "Probe",
        "Rank",
        "ReferenceIndex",
        "SearchOptions",
        "SearchRequest",
        "ShadowStats",
        "Step",
        "StoredItems",
        "Timeouts",
        "Written",
        "check_index",
        "create_generation",
        "drop_index",
        "list_generations",
        "list_indexes",
        "roll_back",
        "switch_generation",
    ]


def test_an_item_finds_itself_with_its_payload(index: Index) -> None:
    some = codes(20)
    assert index.add([f"img-{n}" for n in range(20)], some, [{"n": n} for n in range(20)]) == Written(20, 0)
    hit = index.search(some[3:4], k=1, rank="fine", exact=True, payloads=True)[0]
    assert hit.distances.tolist() == [0]
    assert hit.payloads == [{"n": int(str(hit.ids[0]).removeprefix("img-"))}]
    assert index.search(some[3:4], k=1)[0].payloads is None


def test_an_empty_index_answers_with_nothing_exactly(index: Index) -> None:
    hit = index.search(codes(1))[0]
    assert (hit.ids, len(hit), hit.candidates, hit.buckets, hit.complete_radius, hit.exact) == ([], 0, 0, 1, 12, True)
    assert hit.distances.dtype == np.uint16


def test_nothing_asked_or_given_is_nothing_done(index: Index) -> None:
    assert index.search(codes(0)) == []
    assert index.add([], codes(0)) == Written(0, 0)
    assert index.delete([]) == 0


def test_the_same_id_replaces_codes_and_payload(index: Index) -> None:
    old, new = codes(1, 1), codes(1, 2)
    index.add(["a"], old, [{"old": True}])
    assert index.add(["a"], new) == Written(0, 1)
    hit = index.search(new, exact=True, payloads=True)[0]
    assert (hit.ids, hit.distances.tolist(), hit.payloads) == (["a"], [0], [None])
    assert len(index) == 1


def test_of_equal_ids_in_one_call_the_last_counts(index: Index) -> None:
    some = codes(3)
    assert index.add(["a", "b", "a"], some) == Written(2, 0)
    assert index.search(some[2:3], k=1, rank="fine", exact=True)[0].distances.tolist() == [0]
    assert len(index) == 2


def test_a_number_and_its_text_are_two_items(index: Index) -> None:
    index.add([5, "5"], codes(2))
    assert index.delete(["5"]) == 1
    assert index.search(codes(1), exact=True)[0].ids == [5]


def test_deleting_counts_what_was_there_once(index: Index) -> None:
    index.add(range(10), codes(10))
    assert index.delete([1, 2, 2, 99]) == 2
    assert index.delete([1, 2]) == 0
    assert len(index) == 8


def test_nothing_but_an_empty_bucket_is_left_when_all_is_deleted(index: Index, keys: Any, redis_url: str) -> None:
    ids = [n if n % 2 else f"i{n}" for n in range(200)]
    index.add(ids, codes(200), [{"n": n} for n in range(200)])
    index.add(ids[::3], codes(67, 1))
    assert len([key for key in keys() if b":b:" in key]) > 10
    assert index.delete(ids) == 200
    assert keys() - {b"hg:{x:0}:holes"} == EMPTY
    assert [bucket.members for bucket in stored_buckets(redis_url, "x")] == [[]]
    assert index.stats().largest_bucket <= 15, "so many holes may wait to be filled, and no more"
    assert index.add([1], codes(1)) == Written(1, 0), "and it can be filled again"
    assert index.search(codes(1))[0].ids == [1]


def test_nothing_is_left_when_it_is_dropped(index: Index, keys: Any) -> None:
    index.add(range(200), codes(200), [{"n": n} for n in range(200)])
    index.drop()
    assert keys() == set()
    with pytest.raises(IndexMissing):
        index.drop()


def test_stats_tell_what_is_there(index: Index) -> None:
    index.add(range(8), codes(8), [{}] * 3 + [None] * 5)
    index.delete([0])
    found = index.stats()
    assert found == IndexStats("x", LAYOUT, "model-a", 1, 7, 1, 8, 1, 2, found.memory, found.memory_of, {})
    assert sum(found.memory_of.values()) == found.memory
    assert {part for part, size in found.memory_of.items() if size} == {"buckets", "places", "payloads", "rest"}
    assert found.memory > 7 * 12


def test_one_bucket_holds_ids_of_every_kind(index: Index) -> None:
    ids = [0, 7, 2**32 - 2, 2**32 - 1, 2**32, -1, -(2**61), 2**61, 2**63 - 1, -(2**63), "7", "ключ"]
    for item in ids:
        index.add([item], codes(1))
    assert index.stats().buckets == 1
    by_handle = sorted(ids, key=lambda item: handle_of(encode_ids([item])[0]))
    hit = index.search(codes(1), 20)[0]
    assert [(type(item), item) for item in hit.ids] == [(type(item), item) for item in by_handle]
    assert index.delete(ids[::2]) == 6
    assert set(index.search(codes(1), 20)[0].ids) == set(ids[1::2])


@pytest.mark.parametrize("together", [True, False])
def test_an_id_with_the_hash_of_another_is_refused_with_both(
    index: Index, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it happens by chance once in five million indexes of a million string ids."""
    for module in (collection, writing):
        monkeypatch.setattr(module, "handles_of", lambda encoded: np.full(len(encoded), FIRST_HASHED + 5))
    index.add(["a"], codes(1), [{"n": 1}])
    with pytest.raises(InvalidInput, match=r"the ids '\w' and '\w' have the same 61-bit hash"):
        index.add(["b", "c"] if together else ["b"], codes(2 if together else 1, 1))
    assert index.delete(["b"]) == 0
    hit = index.search(codes(1), payloads=True)[0]
    assert (hit.ids, hit.distances.tolist(), hit.payloads) == (["a"], [0], [{"n": 1}])


def test_an_index_is_true_even_when_empty_and_its_repr_has_no_password(redis_url: str) -> None:
    with Index.create(redis_url.replace("unix://", "unix://default:geheim@"), "x", LAYOUT) as index:
        assert index
        assert repr(index) == f"Index('x', 12-bit coarse and 64-bit fine codes, at {redis_url})"


def test_codes_of_another_model_are_refused_with_both_fingerprints(index: Index) -> None:
    for call in (
        lambda: index.add(["a"], codes(1), fingerprint="model-b"),
        lambda: index.search(codes(1), fingerprint="model-b"),
        lambda: index.require_fingerprint("model-b"),
    ):
        with pytest.raises(FingerprintMismatch, match=r"codes of model model-a, got codes of model model-b"):
            call()
    index.add(["a"], codes(1), fingerprint="model-a")
    index.require_fingerprint(None)
    assert len(index) == 1


def test_an_index_without_a_fingerprint_takes_any(redis_url: str) -> None:
    with Index.create(redis_url, "any", LAYOUT) as index:
        index.add(["a"], codes(1), fingerprint="model-b")
        assert index.fingerprint is None


@pytest.mark.parametrize("other", [CodeLayout(20, 64), CodeLayout(12, 48)])
def test_codes_of_another_length_are_refused(index: Index, other: CodeLayout) -> None:
    with pytest.raises(LayoutMismatch, match="index 'x' holds"):
        index.add(["a"], random_codes(1, other))
    with pytest.raises(LayoutMismatch, match="index 'x' holds"):
        index.search(random_codes(1, other))


@pytest.mark.parametrize(
    ("ids", "payloads", "message"),
    [
        (["a"], None, "got 1 ids and 2 codes"),
        (["a", "b", "c"], None, "got 3 ids and 2 codes"),
        (["a", "b"], [{}], "got 2 ids and 1 payloads"),
        ("ab", None, "ids must be a list"),
        (["a", ""], None, "id 1 is an empty string"),
        (["a", "b"], [{}, {"x": b"raw"}], "item 'b' cannot be written as JSON"),
    ],
)
def test_bad_input_is_refused_and_nothing_of_it_written(
    index: Index, keys: Any, ids: Any, payloads: Any, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        index.add(ids, codes(2), payloads)
    assert keys() == EMPTY


@pytest.mark.parametrize("wrong", [None, np.zeros((1, 2), np.uint8), [1, 2]])
def test_codes_must_be_hash_codes(index: Index, wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="codes must be HashCodes"):
        index.add(["a"], wrong)
    with pytest.raises(InvalidInput, match="codes must be HashCodes"):
        index.search(wrong)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused_with_the_query_where_they_count(index: Index, bad: float) -> None:
    queries = random_codes(3, LAYOUT, logits=True)
    assert queries.coarse_logits is not None
    queries.coarse_logits[2, 4] = bad
    with pytest.raises(InvalidInput, match="coarse logits of query 2 are not finite"):
        index.search(queries, 3, refine=5)
    assert len(index.search(queries)) == 3


def test_an_unknown_setting_is_an_error(index: Index) -> None:
    with pytest.raises(InvalidInput, match="rank must be one of"):
        index.search(codes(1), rank="best")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        index.search(codes(1), nprobe=3)  # type: ignore[call-arg]


def test_other_indexes_are_left_alone(index: Index, redis_url: str) -> None:
    with Index.create(redis_url, "xx", LAYOUT) as other:
        other.add(["a"], codes(1))
        index.add(["b"], codes(1))
        index.drop()
        assert other.search(codes(1))[0].ids == ["a"]

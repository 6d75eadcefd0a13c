"""The index on a real server answers exactly as `ReferenceIndex` does, whatever was done to both before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

import hashgrain.indexer.adding.writing as writing_module
import hashgrain.indexer.searching.planning as planning_module
import hashgrain.indexer.searching.search as search_module
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index, ReferenceIndex
from hashgrain.indexer.reference import ReferenceBucket
from plain_answers import as_plain
from random_codes import random_codes
from stored_buckets import stored_buckets

LAYOUTS = st.builds(
    CodeLayout, st.sampled_from([8, 12, 16, 20, 24]), st.sampled_from([32, 40, 48, 64, 96, 128, 200, 256])
)

# Integers and strings that look like them, few enough that many writes replace; some need handles of 8 bytes.
IDS = st.one_of(
    st.integers(0, 40),
    st.integers(-3, 12).map(str),
    st.sampled_from([-1, 2**32 - 1, 2**32, 2**61, 2**63 - 1, -(2**63), "é", "a b"]),
)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(IDS, min_size=1, max_size=25), st.integers(0, 2**32), st.booleans()),
        st.tuples(st.just("delete"), st.lists(IDS, max_size=12)),
    ),
    min_size=1,
    max_size=12,
)

BUDGETS = st.one_of(
    st.just({}),
    st.just({"exact": True}),
    st.fixed_dictionaries({"candidates": st.integers(1, 50)}),
    st.fixed_dictionaries({"probes": st.integers(1, 12)}),
    st.fixed_dictionaries({"radius": st.integers(0, 8)}),
    st.fixed_dictionaries({"within": st.integers(0, 60)}),
)


def question(
    k: int,
    rank: str,
    budget: dict[str, Any],
    payloads: bool,
    more: int | None,
    deadline: float | None,
    collapse: int | None,
) -> dict[str, Any]:
    """One question; `refine` is asked for where it may be, for `more` items than k."""
    refine = None if more is None else k + more
    asked = {"k": k, "rank": rank, "payloads": payloads, "refine": refine, "deadline": deadline, "collapse": collapse}
    return {**asked, **budget}


QUESTIONS = st.builds(
    question,
    st.integers(1, 12),
    st.sampled_from(["total", "fine", "coarse"]),
    BUDGETS,
    st.booleans(),
    st.none() | st.integers(0, 8),
    st.none() | st.just(3600.0),
    st.none() | st.integers(0, 60),
)


@pytest.fixture(scope="module", autouse=True)
def small_steps() -> Any:
    """Cut batches, query groups and first readings so small that every example crosses their borders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing_module, "BATCH_ITEMS", 5)
        patch.setattr(search_module, "GROUP", 2)
        patch.setattr(search_module, "KEPT_GROUP", 3)
        patch.setattr(planning_module, "_PREFETCH", 0.0)
        yield


@settings(max_examples=30, deadline=None)
@given(
    layout=LAYOUTS,
    shards=st.sampled_from([1, 3]),
    bucket_items=st.sampled_from([4, 8, 512]),
    items=st.sampled_from([60, 20, 0]),
    flips=st.sampled_from([0.0, 0.05, 0.3]),
    steps=STEPS,
    questions=st.lists(QUESTIONS, min_size=2, max_size=6),
    logits=st.booleans(),
    seed=st.integers(0, 2**32),
    cache_bytes=st.sampled_from([1, 300, 1000, 10**6]),
)
def test_every_answer_equals_the_reference(
    redis_server: str,
    layout: CodeLayout,
    shards: int,
    bucket_items: int,
    items: int,
    flips: float,
    steps: list[tuple[Any, ...]],
    questions: list[dict[str, Any]],
    logits: bool,
    seed: int,
    cache_bytes: int,
) -> None:
    """Of the two readers one keeps buckets all along, from a few bytes of them to all, and never writes."""
    redis.Redis.from_url(redis_server).flushall()
    twin = ReferenceIndex(layout)
    with (
        Index.create(redis_server, "twin", layout, shards=shards, bucket_items=bucket_items) as index,
        Index.open(redis_server, "twin", cache_bytes=cache_bytes) as keeping,
    ):
        for step in [("add", list(range(100, 100 + items)), seed, False), *steps]:
            if step[0] == "delete":
                assert index.delete(step[1]) == twin.delete(step[1])
            else:
                _, ids, codes_seed, with_payloads = step
                codes = random_codes(len(ids), layout, codes_seed, flips=flips)
                payloads = [{"n": n} if n % 3 else None for n in range(len(ids))] if with_payloads else None
                assert index.add(ids, codes, payloads) == twin.add(ids, codes, payloads)
            assert len(index) == len(twin)
            # One question between the steps, so that the searcher's directory is old when the next step is done.
            between = random_codes(1, layout, seed, flips=0.05)
            check((index, keeping), twin, stored_buckets(redis_server, "twin"), between, questions[0])
        buckets = stored_buckets(redis_server, "twin")
        for question in questions:
            queries = random_codes(5, layout, seed, flips=flips, logits=logits)
            check((index, keeping, keeping), twin, buckets, queries, question)


def check(
    readers: Iterable[Index],
    twin: ReferenceIndex,
    buckets: Sequence[ReferenceBucket],
    queries: HashCodes,
    question: dict[str, Any],
) -> None:
    """Ask all. A deadline that is far away may change nothing, so the twin does not hear of it."""
    if queries.fine_logits is None:
        question = {**question, "refine": None}
    plain = {name: value for name, value in question.items() if name != "deadline"}
    wanted = [as_plain(hit) for hit in twin.search(queries, buckets=buckets, **plain)]
    for reader in readers:
        assert [as_plain(hit) for hit in reader.search(queries, **question)] == wanted


@pytest.mark.parametrize("shards", [1, 4])
def test_logits_change_nothing_but_what_refine_orders(redis_url: str, shards: int) -> None:
    layout = CodeLayout(12, 64)
    with Index.create(redis_url, "flat", layout, shards=shards, bucket_items=16) as index:
        index.add(range(300), random_codes(300, layout, centres=20))
        queries = random_codes(9, layout, 1, centres=20, logits=True)
        bare = HashCodes(queries.coarse, queries.fine)
        for budget in ({"candidates": 30}, {"probes": 2}, {"radius": 1}):
            wanted = [as_plain(hit) for hit in index.search(bare, 7, **budget)]  # type: ignore[arg-type]
            assert [as_plain(hit) for hit in index.search(queries, 7, **budget)] == wanted  # type: ignore[arg-type]
        refined = index.search(queries, 7, refine=30)
        assert [hit.ids for hit in refined] != [hit.ids for hit in index.search(bare, 7)]


def test_the_answer_does_not_depend_on_the_batch(redis_url: str) -> None:
    layout = CodeLayout(16, 256)
    codes, queries = random_codes(400, layout, centres=12), random_codes(9, layout, 5, centres=12, logits=True)
    with Index.create(redis_url, "x", layout, shards=3, bucket_items=16) as index:
        index.add(range(400), codes)
        for rank in ("total", "fine", "coarse"):
            for budget in ({"candidates": 50}, {"probes": 3}, {"within": 30}, {"exact": True}):
                asked: dict[str, Any] = {"rank": rank, **budget}
                together = [as_plain(hit) for hit in index.search(queries, 3, **asked)]
                assert [as_plain(index.search(query, 3, **asked)[0]) for query in queries] == together


def test_what_does_not_depend_on_the_partition_depends_on_nothing_but_the_items(redis_url: str) -> None:
    """Neither on the number of shards, nor on the size of buckets, nor on the order of writing."""
    layout = CodeLayout(16, 64)
    codes, queries = random_codes(400, layout, centres=12), random_codes(9, layout, 5, centres=12, logits=True)
    ids = [n if n % 2 else f"i{n}" for n in range(400)]
    questions: list[dict[str, Any]] = [{"exact": True}, {"within": 20}, {"within": 20, "rank": "fine"}, {"refine": 40}]
    answers = []
    for number, (shards, bucket_items, turn) in enumerate([(1, 512, 1), (1, 8, 1), (5, 8, 1), (3, 20, -1)]):
        with Index.create(redis_url, f"of-{number}", layout, shards=shards, bucket_items=bucket_items) as index:
            order = np.arange(400)[::turn]
            index.add([ids[n] for n in order], codes[order])
            hits = [index.search(queries, 10, **question) for question in questions]
            answers.append([(hit.ids, hit.distances.tolist(), hit.exact) for found in hits for hit in found])
    assert answers == [answers[0]] * 4


def test_an_answer_that_calls_itself_exact_equals_the_exhaustive_one(redis_url: str) -> None:
    layout = CodeLayout(16, 64)
    codes, queries = (random_codes(rows, layout, seed, centres=12, flips=0.04) for rows, seed in ((500, 0), (40, 9)))
    with Index.create(redis_url, "proof", layout, bucket_items=16) as index:
        index.add(range(500), codes)
        for rank in ("total", "fine", "coarse"):
            asked: dict[str, Any] = {"k": 3, "rank": rank}
            some, every = index.search(queries, candidates=80, **asked), index.search(queries, exact=True, **asked)
            proven = [(hit.ids, whole.ids) for hit, whole in zip(some, every, strict=True) if hit.exact]
            assert all(whole.exact for whole in every)
            assert max(hit.candidates for hit in some) < 200
            assert 5 < len(proven) < len(queries), "the case must prove some answers without reading everything"
            assert all(mine == exhaustive for mine, exhaustive in proven)

"""The index on a real server answers exactly as `ReferenceIndex` does, whatever was done to both before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

import hashgrain.indexer.planning as planning_module
import hashgrain.indexer.search as search_module
import hashgrain.indexer.writing as writing_module
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index, ReferenceIndex
from plain_answers import as_plain
from random_codes import random_codes

LAYOUTS = st.builds(
    CodeLayout, st.sampled_from([8, 12, 16, 20, 24]), st.sampled_from([32, 40, 48, 64, 96, 128, 200, 256])
)

# Integers and strings that look like them, few enough that most writes replace.
IDS = st.one_of(st.integers(-3, 12), st.integers(-3, 12).map(str), st.sampled_from([2**63 - 1, -(2**63), "é", "a b"]))

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(IDS, min_size=1, max_size=12), st.integers(0, 2**32), st.booleans()),
        st.tuples(st.just("delete"), st.lists(IDS, max_size=8)),
    ),
    min_size=1,
    max_size=12,
)

BUDGETS = st.one_of(
    st.just({}),
    st.just({"exact": True}),
    st.fixed_dictionaries({"candidates": st.integers(1, 20)}),
    st.fixed_dictionaries({"probes": st.integers(1, 6)}),
    st.fixed_dictionaries({"radius": st.integers(0, 6)}),
    st.fixed_dictionaries({"within": st.integers(0, 40)}),
)


def question(
    k: int, rank: str, budget: dict[str, Any], payloads: bool, more: int | None, deadline: float | None
) -> dict[str, Any]:
    """One question; `refine` is asked for where it may be, for `more` items than k."""
    rank = "coarse" if "within" in budget and rank == "fine" else rank
    refine = None if more is None else k + more
    return {"k": k, "rank": rank, "payloads": payloads, "refine": refine, "deadline": deadline, **budget}


QUESTIONS = st.builds(
    question,
    st.integers(1, 12),
    st.sampled_from(["total", "fine", "coarse"]),
    BUDGETS,
    st.booleans(),
    st.none() | st.integers(0, 8),
    st.none() | st.just(3600.0),
)


@pytest.fixture(scope="module", autouse=True)
def small_steps() -> Any:
    """Cut batches, query groups and first readings so small that every example crosses their borders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing_module, "BATCH_ITEMS", 5)
        patch.setattr(search_module, "GROUP", 2)
        patch.setattr(planning_module, "_PREFETCH", 0.0)
        yield


@settings(max_examples=80, deadline=None)
@given(
    layout=LAYOUTS,
    shards=st.sampled_from([1, 3]),
    steps=STEPS,
    questions=st.lists(QUESTIONS, min_size=1, max_size=4),
    logits=st.booleans(),
    seed=st.integers(0, 2**32),
    cache_bytes=st.sampled_from([1, 300, 1000, 10**6]),
)
def test_every_answer_equals_the_reference(
    redis_server: str,
    layout: CodeLayout,
    shards: int,
    steps: list[tuple[Any, ...]],
    questions: list[dict[str, Any]],
    logits: bool,
    seed: int,
    cache_bytes: int,
) -> None:
    """Of the two readers one keeps buckets all along, from a few bytes of them to all, and never writes."""
    redis.Redis.from_url(redis_server).flushall()
    twin = ReferenceIndex(layout, shards)
    with (
        Index.create(redis_server, "twin", layout, shards=shards) as index,
        Index.open(redis_server, "twin", cache_bytes=cache_bytes) as keeping,
    ):
        for step in steps:
            if step[0] == "delete":
                assert index.delete(step[1]) == twin.delete(step[1])
            else:
                _, ids, codes_seed, with_payloads = step
                codes = random_codes(len(ids), layout, codes_seed, flips=0.05)
                payloads = [{"n": n} if n % 3 else None for n in range(len(ids))] if with_payloads else None
                assert index.add(ids, codes, payloads) == twin.add(ids, codes, payloads)
            assert len(index) == len(twin)
            # One question between the steps, so that the searcher's directory is old when the next step is done.
            for reader in (index, keeping):
                check(reader, twin, random_codes(1, layout, seed, flips=0.05), questions[0])
        for question in questions:
            for reader in (index, keeping, keeping):
                check(reader, twin, random_codes(5, layout, seed, flips=0.05, logits=logits), question)


def check(index: Index, twin: ReferenceIndex, queries: HashCodes, question: dict[str, Any]) -> None:
    """Ask both. A deadline that is far away may change nothing, so the twin does not hear of it."""
    if queries.fine_logits is None:
        question = {**question, "refine": None}
    plain = {name: value for name, value in question.items() if name != "deadline"}
    wanted = [as_plain(hit) for hit in twin.search(queries, **plain)]
    assert [as_plain(hit) for hit in index.search(queries, **question)] == wanted


@pytest.mark.parametrize("shards", [1, 4])
def test_equal_logits_and_zero_logits_fall_back_to_hamming_order(redis_url: str, shards: int) -> None:
    layout = CodeLayout(12, 64)
    codes, twin = random_codes(300, layout, centres=20), ReferenceIndex(layout, shards)
    twin.add(range(300), codes)
    with Index.create(redis_url, "flat", layout, shards=shards) as index:
        index.add(range(300), codes)
        plain = random_codes(3, layout, 1)
        for margin in (0.0, 2.5):
            flat = HashCodes(plain.coarse, plain.fine, np.full((3, 12), margin, np.float32))
            check(index, twin, flat, {"k": 7, "candidates": 30})
            wanted = [as_plain(hit) for hit in index.search(plain, 7, candidates=30)]
            assert [as_plain(hit) for hit in index.search(flat, 7, candidates=30)] == wanted


def test_the_answer_depends_neither_on_the_batch_nor_but_for_ties_on_the_number_of_shards(redis_url: str) -> None:
    layout = CodeLayout(16, 256)
    codes, queries = random_codes(400, layout, centres=12), random_codes(9, layout, 5, centres=12, logits=True)
    answers = []
    for shards in (1, 5):
        with Index.create(redis_url, f"of-{shards}", layout, shards=shards) as index:
            index.add(range(400), codes)
            together = [as_plain(hit) for hit in index.search(queries, 3, candidates=50)]
            assert [as_plain(index.search(query, 3, candidates=50)[0]) for query in queries] == together
            answers.append([{key: value for key, value in hit.items() if key != "ids"} for hit in together])
    assert answers[0] == answers[1]


def test_an_answer_that_calls_itself_exact_equals_the_exhaustive_one(redis_url: str) -> None:
    layout = CodeLayout(16, 32)
    codes, queries = random_codes(500, layout, flips=0.04), random_codes(40, layout, 9, flips=0.04, logits=True)
    with Index.create(redis_url, "proof", layout) as index:
        index.add(range(500), codes)
        proven = 0
        for rank in ("total", "coarse"):
            some = index.search(queries, 3, rank=rank, candidates=150)
            for query, hit, whole in zip(queries, some, index.search(queries, 3, rank=rank, exact=True), strict=True):
                assert whole.exact
                if hit.exact and hit.candidates < 500:
                    proven += 1
                    assert as_plain(hit)["ids"] == as_plain(whole)["ids"], query
        assert proven > 5, "the case must prove some answers without reading everything"

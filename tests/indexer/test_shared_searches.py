"""Who waits for the same is answered together; who asks for something else keeps nobody from an answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import IndexCorrupt, StoreUnavailable
from hashgrain.indexer import Hit, SearchRequest
from hashgrain.indexer.searching.shared_searches import SharedSearches
from random_codes import random_codes

LAYOUT = CodeLayout(16, 64)
BROKEN = random_codes(1, LAYOUT, 9999)


class Answering:
    """Answers each query by its own fine code, once it is let; notes what it was asked.

    Attributes:
        asked: rows and k of each group, in order.
        gate: closed, nobody is answered.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.gate = threading.Event()

    def __call__(self, codes: HashCodes, request: SearchRequest, fingerprint: str | None) -> list[Hit]:
        self.asked.append((len(codes), request.k))
        assert self.gate.wait(10)
        if (codes.fine == BROKEN.fine).all(axis=1).any():
            raise IndexCorrupt("a bucket is broken")
        return [Hit([code.fine.tobytes().hex()], np.zeros(1, np.uint16), None, 1, 1, 0, True) for code in codes]


def run(work: Callable[[SharedSearches, Answering], Coroutine[Any, Any, None]], threads: int = 1) -> None:
    async def all_of_it() -> None:
        answering = Answering()
        with ThreadPoolExecutor(threads) as pool:
            await work(SharedSearches(answering, pool, threads), answering)

    asyncio.run(all_of_it())


async def ask(shared: SharedSearches, rows: int, seed: int, request: SearchRequest) -> None:
    codes = random_codes(rows, LAYOUT, seed)
    hits = await shared.search(codes, request, None)
    assert [hit.ids for hit in hits] == [[code.fine.tobytes().hex()] for code in codes], "each its own"


def test_those_who_wait_for_the_same_are_answered_at_once_and_others_in_turn() -> None:
    async def work(shared: SharedSearches, answering: Answering) -> None:
        first = [asyncio.create_task(ask(shared, 1, seed, SearchRequest(1))) for seed in range(130)]
        await asyncio.sleep(0.01)
        rest = [asyncio.create_task(ask(shared, 3, seed, SearchRequest(2))) for seed in range(30)]
        rest += [asyncio.create_task(ask(shared, rows, rows, SearchRequest(3))) for rows in (0, 100, 2)]
        await asyncio.sleep(0.01)
        answering.gate.set()
        await asyncio.gather(*first, *rest)
        # 64 queries at most, unless one caller has more; who has waited for longest goes first, then the next ones
        assert answering.asked == [(64, 1), (64, 1), (63, 2), (0, 3), (2, 1), (27, 2), (100, 3), (2, 3)]

    run(work)


def test_with_a_deadline_each_is_answered_by_itself_and_given_up_in_time() -> None:
    async def work(shared: SharedSearches, answering: Answering) -> None:
        asked = [asyncio.create_task(ask(shared, 1, seed, SearchRequest(1, deadline=0.05))) for seed in range(3)]
        asked += [asyncio.create_task(ask(shared, 1, seed, SearchRequest(1, deadline=60.0))) for seed in range(3)]
        found = await asyncio.wait(asked, timeout=1, return_when=asyncio.ALL_COMPLETED)
        assert sum(isinstance(one.exception(), StoreUnavailable) for one in found[0]) == 2
        answering.gate.set()
        await asyncio.gather(*asked, return_exceptions=True)
        assert answering.asked == [(1, 1)] * 4

    run(work)


def test_a_broken_bucket_fails_those_who_look_into_it() -> None:
    async def work(shared: SharedSearches, answering: Answering) -> None:
        answering.gate.set()
        good = [ask(shared, 2, seed, SearchRequest(1)) for seed in range(5)]
        found = await asyncio.gather(*good, shared.search(BROKEN, SearchRequest(1), None), return_exceptions=True)
        assert [type(one) for one in found] == [type(None)] * 5 + [IndexCorrupt]

    run(work)


def test_closing_refuses_those_without_a_turn_and_answers_the_others() -> None:
    async def work(shared: SharedSearches, answering: Answering) -> None:
        first = asyncio.create_task(ask(shared, 1, 1, SearchRequest(1)))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(ask(shared, 1, 2, SearchRequest(1)))
        await asyncio.sleep(0.01)
        shared.close()
        answering.gate.set()
        await first
        with pytest.raises(StoreUnavailable, match="closed"):
            await second

    run(work)

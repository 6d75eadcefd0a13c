"""Searches of many tasks of an event loop, answered by a few threads: who waits for the same is answered at once.

A batch of queries takes far less than as many single ones, and but for a deadline an answer does not depend on the
others of its batch. So while all threads are at work, searches that ask the same of the index wait together, and the
next free thread answers up to `GROUP` queries of them in one reading.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

from hashgrain.codes.errors import IndexCorrupt, StoreUnavailable
from hashgrain.codes.layout import HashCodes
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.results import Hit
from hashgrain.indexer.searching.search import GROUP

Answer = Callable[[HashCodes, SearchRequest, str | None], list[Hit]]

Asked = tuple[SearchRequest, str | None, tuple[int, int]]
"""What is asked of the index, the fingerprint of the model that made the queries, and the bytes of their codes."""


@dataclass(eq=False)
class _Call:
    """A search that waits for its answer, or for its turn.

    Attributes:
        codes: its queries, checked.
        answer: what its caller awaits; cancelled where the caller was.
        asked: when, on the loop's clock.
        begun: whether a thread has taken it.
    """

    codes: HashCodes
    answer: asyncio.Future[list[Hit]]
    asked: float
    begun: bool = False


class SharedSearches:
    """The searches of one event loop on one index.

    Args:
        answer: answers queries, all of which ask the same; called in threads.
        pool: where it is called.
        threads: how many may call it at a time.
    """

    def __init__(self, answer: Answer, pool: Executor, threads: int) -> None:
        self._answer = answer
        self._pool = pool
        self._free = threads
        self._waiting: dict[Asked, deque[_Call]] = {}

    async def search(self, codes: HashCodes, request: SearchRequest, fingerprint: str | None) -> list[Hit]:
        """Answer every query, in order. Where the caller is cancelled, the answer is dropped, and nobody else's is.

        Args:
            codes: queries that have been checked.
            request: what is asked; a deadline counts from now, and such a search is answered by itself.
            fingerprint: of the model that made the queries.

        Raises:
            StoreError: see `Searcher.search`. StoreUnavailable also where the deadline passed, or `close` was called,
                before the search had its turn.
        """
        loop = asyncio.get_running_loop()
        call = _Call(codes, loop.create_future(), loop.time())
        asked = request, fingerprint, (codes.coarse.shape[1], codes.fine.shape[1])
        self._waiting.setdefault(asked, deque()).append(call)
        if request.deadline is not None:
            late = loop.call_later(request.deadline, _give_up, call, request.deadline)
            call.answer.add_done_callback(lambda _: late.cancel())
        loop.call_soon(self._begin)  # those who ask in the same turn of the loop wait together
        return await call.answer

    def close(self) -> None:
        """Refuse those who still wait for their turn; those whose turn has come are answered. Nobody may ask after."""
        waiting, self._waiting = self._waiting, {}
        for calls in waiting.values():
            for call in calls:
                if not call.answer.done():
                    call.answer.set_exception(StoreUnavailable("the index was closed before the search had its turn"))

    def _begin(self) -> None:
        """Hand groups of searches to threads, as long as there are both."""
        loop = asyncio.get_running_loop()
        while self._free and self._waiting:
            request, fingerprint, _ = asked = next(iter(self._waiting))
            calls = self._take(asked)
            if not calls:
                continue
            if request.deadline is not None:
                left = request.deadline - (loop.time() - calls[0].asked)
                if left <= 0:
                    _give_up(calls[0], request.deadline)
                    continue
                request = replace(request, deadline=left)
            for call in calls:
                call.begun = True
            self._free -= 1
            queries = [call.codes for call in calls]
            answered = loop.run_in_executor(self._pool, self._answer_all, queries, request, fingerprint)
            answered.add_done_callback(lambda done, calls=calls: self._deliver(calls, done))  # type: ignore[misc]

    def _take(self, asked: Asked) -> list[_Call]:
        """Some of those who wait for the same, the longest first; whoever else waits for it lets others pass."""
        waiting = self._waiting.pop(asked)
        calls: list[_Call] = []
        rows = 0
        while waiting and (not calls or rows + len(waiting[0].codes) <= GROUP):
            call = waiting.popleft()
            if call.answer.done():
                continue
            calls.append(call)
            rows += len(call.codes)
            if asked[0].deadline is not None:
                break
        if waiting:
            self._waiting[asked] = waiting
        return calls

    def _answer_all(self, queries: list[HashCodes], *asked: Any) -> list[list[Hit] | Exception]:
        """What to tell each of some callers who asked the same; runs in a thread."""
        if len(queries) == 1:
            return [self._answer(queries[0], *asked)]
        try:
            hits = iter(self._answer(HashCodes.concatenate(queries), *asked))
        except IndexCorrupt:  # perhaps where only one of them looks
            return [self._answer_or_error(codes, *asked) for codes in queries]
        return [[next(hits) for _ in range(len(codes))] for codes in queries]

    def _answer_or_error(self, codes: HashCodes, *asked: Any) -> list[Hit] | Exception:
        try:
            return self._answer(codes, *asked)
        except Exception as exc:
            return exc

    def _deliver(self, calls: list[_Call], done: asyncio.Future[list[list[Hit] | Exception]]) -> None:
        self._free += 1
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        told = [error] * len(calls) if error else done.result()
        for call, said in zip(calls, told, strict=True):
            if call.answer.done():
                continue
            if isinstance(said, BaseException):
                call.answer.set_exception(said)
            else:
                call.answer.set_result(said)
        self._begin()


def _give_up(call: _Call, deadline: float) -> None:
    if not call.begun and not call.answer.done():
        call.answer.set_exception(
            StoreUnavailable(
                f"the search had not had its turn when its deadline of {deadline} s passed; allow more, or open the "
                "index with more threads"
            )
        )

"""`AsyncIndex`: an index for programs that run on asyncio. The work is `Index`'s, in a few threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, TypeVar, Unpack

from hashgrain.codes.errors import FingerprintMismatch, InvalidInput, LayoutMismatch
from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.indexer.duplicates import DuplicateGroup, NearPairs
from hashgrain.indexer.index import Index
from hashgrain.indexer.keeping.cache_size import CacheStats
from hashgrain.indexer.managing.health import IndexHealth
from hashgrain.indexer.managing.paging import IdPage
from hashgrain.indexer.managing.shadow import ShadowStats
from hashgrain.indexer.managing.stored_items import StoredItems
from hashgrain.indexer.request import Rank, SearchOptions, SearchRequest
from hashgrain.indexer.results import Hit, IndexStats, Written
from hashgrain.indexer.searching.shared_searches import SharedSearches
from hashgrain.indexer.stored.fields import Kind
from hashgrain.indexer.stored.identifiers import ItemId
from hashgrain.indexer.wire.connection import DEFAULT_TIMEOUTS, Timeouts

Made = TypeVar("Made")

THREADS = 4
"""Threads that search, unless told otherwise: while one waits for Redis, another compares codes."""


class AsyncIndex:
    """An index that is awaited; make one with `AsyncIndex.open`.

    It belongs to the event loop that it was made in. Any number of tasks may use it at once: searches that ask the same
    are answered together (see `shared_searches`), by `threads` threads with a connection each, and at most as many
    other calls go on beside them. A search whose task is cancelled disturbs no other; a write whose task is cancelled
    goes on, and may have been done wholly, in part or not at all: repeat it to be sure.

    Args:
        index: the index; it is closed with this object.
        threads: 1 or more.

    Raises:
        InvalidInput: `threads` is something else.
    """

    def __init__(self, index: Index, threads: int = THREADS) -> None:
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
            raise InvalidInput(f"threads must be an integer of 1 or more, got {threads!r}")
        self._index = index
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(2 * threads, thread_name_prefix=f"hashgrain-{index.name}")
        self._searches = SharedSearches(index.answer, self._pool, threads)
        self._others = asyncio.Semaphore(threads)
        self._closed = False

    @classmethod
    async def open(
        cls,
        redis_url: str,
        name: str,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        cache_bytes: int | None = None,
        max_staleness: float = 0.0,
        shadow: float | None = None,
        threads: int = THREADS,
    ) -> AsyncIndex:
        """Open an index that is there; arguments and errors are those of `Index.open`, and of this class."""
        opening = partial(
            Index.open,
            redis_url,
            name,
            timeouts=timeouts,
            cache_bytes=cache_bytes,
            max_staleness=max_staleness,
            shadow=shadow,
        )
        index = await asyncio.to_thread(opening)
        try:
            return cls(index, threads)
        except BaseException:
            index.close()
            raise

    @property
    def name(self) -> str:
        """The index's name."""
        return self._index.name

    @property
    def layout(self) -> CodeLayout:
        """The lengths of the codes that it holds."""
        return self._index.layout

    @property
    def fields(self) -> Mapping[str, Kind]:
        """The fields that searches may filter by, and their kinds."""
        return self._index.fields

    @property
    def fingerprint(self) -> str | None:
        """Of the model whose codes it holds, or None where it was created without."""
        return self._index.fingerprint

    async def search(
        self, codes: HashCodes, k: int = 10, *, fingerprint: str | None = None, **options: Unpack[SearchOptions]
    ) -> list[Hit]:
        """Find the k nearest items of every query; arguments, answers and errors are those of `Index.search`.

        A deadline counts from the call, and a search that has one is answered by itself.
        """
        self._require_usable()
        request = SearchRequest(k, **options)
        try:
            self._index.require_queries(codes, request, fingerprint)
        except (LayoutMismatch, FingerprintMismatch):  # of the generation that was live when it was last asked
            return await self._run(partial(self._index.answer, codes, request, fingerprint))
        return await self._searches.search(codes, request, fingerprint)

    async def add(
        self,
        ids: Iterable[ItemId],
        codes: HashCodes,
        payloads: Sequence[Mapping[str, Any] | None] | None = None,
        fingerprint: str | None = None,
    ) -> Written:
        """Write items; see `Index.add`."""
        return await self._run(partial(self._index.add, ids, codes, payloads, fingerprint))

    async def load(
        self,
        ids: Iterable[ItemId],
        codes: HashCodes,
        payloads: Sequence[Mapping[str, Any] | None] | None = None,
        fingerprint: str | None = None,
    ) -> int:
        """Load a whole collection into this index, which must be empty; see `Index.load`."""
        return await self._run(partial(self._index.load, ids, codes, payloads, fingerprint))

    async def delete(self, ids: Iterable[ItemId]) -> int:
        """Delete items; see `Index.delete`."""
        return await self._run(partial(self._index.delete, ids))

    async def get(self, ids: Iterable[ItemId]) -> StoredItems:
        """Read items by their ids; see `Index.get`."""
        return await self._run(partial(self._index.get, ids))

    async def ids(self, limit: int = 1000, cursor: str | None = None) -> IdPage:
        """List ids, page by page; see `Index.ids`."""
        return await self._run(partial(self._index.ids, limit, cursor))

    async def items(self) -> AsyncIterator[StoredItems]:
        """All items, some hundreds at a time; see `Index.items`."""
        async for some in self._each(self._index.items):
            yield some

    async def duplicates(
        self, radius: int, rank: Rank = "total", *, progress: Callable[[int, int], None] | None = None
    ) -> AsyncIterator[DuplicateGroup]:
        """Find the groups of near duplicates; see `Index.duplicates`. `progress` is called in threads."""
        async for group in self._each(partial(self._index.duplicates, radius, rank, progress=progress)):
            yield group

    async def duplicate_pairs(
        self, radius: int, rank: Rank = "total", *, progress: Callable[[int, int], None] | None = None
    ) -> AsyncIterator[NearPairs]:
        """Find all pairs of near items; see `Index.duplicate_pairs`. `progress` is called in threads."""
        async for pairs in self._each(partial(self._index.duplicate_pairs, radius, rank, progress=progress)):
            yield pairs

    async def set_payloads(self, ids: Iterable[ItemId], payloads: Sequence[Mapping[str, Any] | None]) -> list[ItemId]:
        """Give items other payloads; see `Index.set_payloads`."""
        return await self._run(partial(self._index.set_payloads, ids, payloads))

    async def health(self, items: int = 20_000, queries: int = 100, k: int = 10, seed: int = 0) -> IndexHealth:
        """How well buckets, codes and the default budget do; see `Index.health`."""
        return await self._run(partial(self._index.health, items, queries, k, seed))

    async def count(self) -> int:
        """How many items the index holds."""
        return await self._run(self._index.__len__)

    async def stats(self) -> IndexStats:
        """The index in figures; see `Index.stats`."""
        return await self._run(self._index.stats)

    async def drop(self) -> None:
        """Delete the index with all its items; see `Index.drop`."""
        await self._run(self._index.drop)

    def cache_stats(self) -> CacheStats | None:
        """What this object keeps of the index, in figures; None where it was opened without `cache_bytes`."""
        return self._index.cache_stats()

    def shadow_stats(self) -> ShadowStats | None:
        """The recall of a sample of the searches; None where the index was opened without `shadow`."""
        return self._index.shadow_stats()

    async def close(self) -> None:
        """Wait for what is going on, refuse searches that have not had their turn, and close the connections."""
        self._closed = True
        self._searches.close()
        await asyncio.to_thread(self._pool.shutdown)
        await asyncio.to_thread(self._index.close)

    async def __aenter__(self) -> AsyncIndex:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Async{self._index!r}"

    async def _each(self, begin: Callable[[], Iterator[Made]]) -> AsyncIterator[Made]:
        """What an iterator gives, each piece had in a thread."""
        parts = await self._run(begin)
        while (some := await self._run(partial(next, parts, None))) is not None:
            yield some

    async def _run(self, work: Callable[[], Made]) -> Made:
        self._require_usable()
        async with self._others:
            self._require_usable()
            return await self._loop.run_in_executor(self._pool, work)

    def _require_usable(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            raise InvalidInput("an AsyncIndex belongs to the event loop that it was opened in; open another one here")
        if self._closed:
            raise InvalidInput("this index was closed; open it anew")

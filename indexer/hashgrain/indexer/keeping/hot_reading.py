"""A reading of buckets that the searcher kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.keeping.changes import Changes
from hashgrain.indexer.keeping.kept_names import KeptNames
from hashgrain.indexer.keeping.tracking import Command, Question
from hashgrain.indexer.searching.reading import Asked, Names
from hashgrain.indexer.searching.spans import Span
from hashgrain.indexer.stored.directories import Directories
from hashgrain.indexer.stored.shard import Shard


class Source(Protocol):
    """Where a hot reading asks; see `HotBuckets`."""

    def confirm(self, asked: Question) -> bool:
        """Wait for what was asked; False where the connection was lost."""

    def answers(self, commands: Sequence[Command], *, together: bool) -> list[Any] | None:
        """Ask, and wait for the answers; None where the connection was lost."""


class HotReading:
    """Buckets that were kept, some of them read just now. They are of one moment if none changes until `names`.

    Args:
        shards: of the index.
        whole: the directories that the reading goes by.
        numbers: by shard, the buckets that it gives.
        spans: one per shard, in order.
        source: where they were kept.
        changes: what is told of all buckets.
        kept: names that earlier searches looked up; those of this reading are added.
        asked: what has been answered when all is told of that was acknowledged before the reading; None where what
            Redis has told so far is recent enough to answer by.
        fetched: how many of the buckets were read just now.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        whole: Directories,
        numbers: Sequence[NDArray[np.int64]],
        spans: Sequence[Span],
        source: Source,
        changes: Changes,
        kept: KeptNames,
        asked: Question | None,
        fetched: int,
    ) -> None:
        self._shards = shards
        self._whole = whole
        self._numbers = numbers
        self.spans = spans
        self._source = source
        self._changes = changes
        self._moment = changes.moment
        self._kept = kept
        self._asked = asked
        self.fetched = fetched

    @property
    def holds(self) -> bool:
        """Whether nothing that was read has changed since, as far as is known."""
        return not self._changes.since(self._moment, self._numbers)

    def known(self, handles: Sequence[int]) -> Names | None:
        """See `Reading`."""
        return self._kept.find(handles)

    def names(self, asked: Mapping[int, Asked], payloads: bool) -> Names | None:
        """See `Reading`. The way to Redis is the one on which changes are told, so the answer proves the reading."""
        if not asked:
            told = self._asked is None or self._source.confirm(self._asked)
            return {} if told and self.holds else None
        commands = {
            number: self._shards[number].naming(mine.handle, self._pages(number), payloads)
            for number, mine in asked.items()
        }
        answers = self._source.answers([one for some in commands.values() for one in some], together=payloads)
        if answers is None or not self.holds:
            return None
        found: Names = {}
        rest = iter(answers)
        for number, mine in asked.items():
            replies = [next(rest) for _ in commands[number]]
            named = self._shards[number].named(mine.handle, replies, self._pages(number), payloads)
            for handle, item, payload in zip(mine.handle.tolist(), *named, strict=True):
                found[handle] = (item, payload)
        self._kept.add(found)
        return found

    def _pages(self, number: int) -> int:
        return self._whole.shards[number].pages

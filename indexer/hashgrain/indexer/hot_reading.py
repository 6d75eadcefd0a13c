"""A reading of buckets that the searcher kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.changes import Changes
from hashgrain.indexer.directories import Directories
from hashgrain.indexer.kept_names import KeptNames
from hashgrain.indexer.reading import Asked, Names
from hashgrain.indexer.shard import Shard
from hashgrain.indexer.spans import Span
from hashgrain.indexer.tracking import Command


class HotReading:
    """Buckets that were kept, some of them read just now. They are of one moment if none changes until `names`.

    Args:
        shards: of the index.
        whole: the directories that the reading goes by.
        numbers: by shard, the buckets that it gives.
        spans: one per shard, in order.
        changes: what is told of all buckets.
        confirm: sends commands on the tracked connection, and gives their answers once all is told of that was
            acknowledged before (see `HotBuckets.confirm`); None where it was lost.
        kept: names that earlier searches looked up; those of this reading are added.
        may_ask_nothing: whether what Redis has told so far is recent enough to answer by.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        whole: Directories,
        numbers: Sequence[NDArray[np.int64]],
        spans: Sequence[Span],
        changes: Changes,
        confirm: Callable[[Sequence[Command], bool], list[Any] | None],
        kept: KeptNames,
        *,
        may_ask_nothing: bool,
    ) -> None:
        self._shards = shards
        self._whole = whole
        self._numbers = numbers
        self.spans = spans
        self._changes = changes
        self._moment = changes.moment
        self._confirm = confirm
        self._kept = kept
        self._may_ask_nothing = may_ask_nothing

    @property
    def holds(self) -> bool:
        """Whether nothing that was read has changed since, as far as is known."""
        return not self._changes.since(self._moment, self._numbers)

    def names(self, asked: Mapping[int, Asked], payloads: bool) -> Names | None:
        """See `Reading`. The way to Redis is the one on which changes are told, so the answer proves the reading."""
        if not payloads:
            known = self._kept.find(handle for mine in asked.values() for handle in mine.handle.tolist())
            if known is not None:
                told = self._may_ask_nothing or self._confirm([], False) is not None
                return known if told and self.holds else None
        commands = {
            number: self._shards[number].naming(mine.handle, self._pages(number), payloads)
            for number, mine in asked.items()
        }
        answers = self._confirm([command for some in commands.values() for command in some], payloads)
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

"""The ids of an index, page by page: each page can be asked for by another process, at any later time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer.managing.listing import Position, listed, position_of
from hashgrain.indexer.managing.stored_items import StoredItems
from hashgrain.indexer.stored.identifiers import ItemId
from hashgrain.indexer.stored.shard import Shard

MOST_IDS = 100_000
"""Ids of one page."""

_CURSOR = re.compile(r"([0-9a-f]{10}):(-?[0-9]{1,19})")


@dataclass(frozen=True)
class IdPage:
    """Some ids of an index.

    Attributes:
        ids: in the order of the list, which is none that a reader would know.
        cursor: to ask for the next page with; None at the end.
    """

    ids: list[ItemId]
    cursor: str | None


def page_of_ids(shards: Sequence[Shard], limit: int, cursor: str | None) -> IdPage:
    """Some ids, from the first or from where an earlier page ended.

    Raises:
        InvalidInput: the limit is not from 1 to MOST_IDS, or the cursor is none, or of another index.
        StoreError: see `listed`.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST_IDS:
        raise InvalidInput(f"a page holds 1 to {MOST_IDS:,} ids, got a limit of {limit!r}")
    incarnation = f"{shards[0].header.incarnation:010x}"
    found: list[tuple[int, ItemId]] = []
    for items in listed(shards, _after(shards, incarnation, cursor), gathered=limit):
        found += zip(items.handles.tolist(), StoredItems(items).ids, strict=True)
        if len(found) > limit:
            break
    more = len(found) > limit
    last = found[limit - 1][0] if more else None
    return IdPage([id_ for _, id_ in found[:limit]], None if last is None else f"{incarnation}:{last}")


def _after(shards: Sequence[Shard], incarnation: str, cursor: str | None) -> Position:
    if cursor is None:
        return Position()
    read = _CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    name = shards[0].keys.name
    if read is None or not -(1 << 63) <= int(read[2]) < 1 << 63:
        raise InvalidInput(f"{cursor!r} is no cursor; give one that a page of ids of index {name!r} has ended with")
    if read[1] != incarnation:
        raise InvalidInput(
            f"the cursor {cursor!r} is of another index than {name!r} is now: it was dropped and made anew, or "
            "switched to another generation; begin again without a cursor"
        )
    return position_of(int(read[2]), len(shards))

"""The names on a page: each lies where its id belongs, and is put there where it does not."""

from __future__ import annotations

import operator
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.check import kinds
from hashgrain.indexer.check.examination import WRONG_TYPE, Change, Examination, Look, Value
from hashgrain.indexer.check.page import handle_field, handle_named, readable_id
from hashgrain.indexer.stored.handles import hashes_of, page_of


def sound_names(shard: Examination, page: int, names: Mapping[bytes, bytes]) -> NDArray[np.int64]:
    """The handles of the names that lie where they belong, int64 (N,); the others are told, and put there."""
    if not names:
        return np.empty(0, np.int64)
    handles = np.fromiter((handle_named(encoded) or 0 for encoded in names.values()), np.int64, len(names))
    sound = (page_of(hashes_of(handles), shard.pages) == page) & (handles != 0)
    sound &= np.fromiter(map(operator.eq, map(handle_field, handles.tolist()), names), bool, len(names))
    for wrong in np.flatnonzero(~sound).tolist():
        _settle(shard, page, *list(names.items())[wrong])
    chosen: NDArray[np.int64] = handles[sound]
    return chosen


def _belongs(shard: Examination, page: int, field: bytes, encoded: bytes) -> bool:
    handle = handle_named(encoded)
    return handle is not None and handle_field(handle) == field and _page_of(shard, handle) == page


def _settle(shard: Examination, page: int, field: bytes, encoded: bytes) -> None:
    """A name that seems to lie where it does not belong."""
    keys = shard.keys
    source, count = Look("field", keys.names(page), field), Look("field", keys.meta, b"pages")
    for _ in shard.attempts():
        pages, now = shard.peek([count, source])
        if now != encoded or not isinstance(pages, bytes):
            return  # deleted or moved meanwhile
        shard.pages = int(pages)
        if _belongs(shard, page, field, encoded):
            return
        if not shard.repair:
            break
        expect, changes = _moves(shard, source, encoded)
        if shard.mend({count: pages, **expect}, changes):
            break
    handle = handle_named(encoded)
    shard.misfiled |= set() if handle is None else {handle}
    kind = kinds.ORPHAN_NAME if handle is None else kinds.MISFILED_NAME
    shard.tell(kind, keys.names(page), f"{encoded[:40]!r} as the name of {field.hex()}", readable_id(encoded))


def _moves(shard: Examination, source: Look, encoded: bytes) -> tuple[dict[Look, Value], list[Change]]:
    """What puts a name where its id belongs, and the name that lay there by mistake where it belongs, and so on."""
    expect: dict[Look, Value] = {source: encoded}
    changes: list[Change] = [("HDEL", source.key, source.field)]
    moving: Value = encoded
    moved: set[Look] = set()
    while (handle := handle_named(moving)) is not None:
        target = Look("field", shard.keys.names(_page_of(shard, handle)), handle_field(handle))
        held = expect[target] if target in expect else shard.peek([target])[0]
        expect[target] = held
        if target in moved or held in (WRONG_TYPE, moving):
            break
        changes.append(("HSET", target.key, target.field, moving if isinstance(moving, bytes) else b""))
        moved.add(target)
        moving = held
    return expect, changes


def _page_of(shard: Examination, handle: int) -> int:
    return int(page_of(hashes_of(np.array([handle])), shard.pages)[0])

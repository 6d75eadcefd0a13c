"""`check_index` on headers that disagree, and on indexes that are half there."""

from __future__ import annotations

import pytest
import redis

import hashgrain.indexer.managing.lifecycle as lifecycle
from damaged_index import CODES, IDS, LAYOUT, NAME, build, handle, hash_bytes, record, require_equal
from hashgrain.codes.errors import IndexMissing
from hashgrain.indexer import Index, check_index


@pytest.mark.parametrize("damage", ["missing", "foreign", "state", "fingerprint", "shard", "bucket_items"])
def test_headers_that_disagree_are_told(redis_url: str, damage: str) -> None:
    index, twin, stored = build(redis_url, shards=3)
    with index:
        meta = "hg:{x:1}:meta"
        if damage == "missing":
            stored.client.delete(meta)
        else:
            field = {"foreign": "incarnation"}.get(damage, damage)
            stored.client.hset(meta, field, "dropping" if damage == "state" else "2")
        mendable = damage in ("fingerprint", "shard", "bucket_items")
        report = check_index(redis_url, NAME)
        assert [(finding.kind, finding.key) for finding in report.findings] == [
            ("header-field" if mendable else "header", meta)
        ]
        assert report.examined.shards == (3 if mendable else 2)
        assert check_index(redis_url, NAME, repair=True).clean == mendable
        if mendable:
            require_equal(index, twin)


def test_an_item_in_a_shard_that_is_not_its_own_is_told(redis_url: str) -> None:
    index, _, stored = build(redis_url, shards=2)
    with index:
        here = {number for bucket in range(stored.count()) for number in stored.handles(bucket)}
        away = next(item for item in IDS if isinstance(item, int) and handle(item) not in here)
        number = handle(away)
        stored.set_entry(0, lambda entry: entry.__setitem__(slice(CODES, CODES + 3), b"\x40\x00\x0c"))
        stored.client.append(stored.keys.bucket(0), record(stored, 0, number))
        stored.client.append(stored.keys.places(stored.page(number)), hash_bytes(away) + bytes(4))
        stored.client.hincrby(stored.keys.meta, "live", 1)
        report = check_index(redis_url, NAME, repair=True)
    assert [(finding.kind, finding.item) for finding in report.findings] == [("foreign-item", away)]
    assert "belongs to shard 1" in report.findings[0].found


@pytest.mark.parametrize("state", ["creating", "loading", "dropping"])
def test_half_made_and_half_dropped_indexes_are_told_with_the_next_step(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if state == "dropping":
            Index.create(redis_url, NAME, LAYOUT, shards=3).close()
            patch.setattr(lifecycle, "_unlink_items", die)
            with pytest.raises(KeyboardInterrupt):
                lifecycle.drop_index(redis_url, NAME)
        elif state == "loading":
            Index.create(redis_url, NAME, LAYOUT, shards=3).close()
            redis.Redis.from_url(redis_url).hset("hg:{x:0}:meta", "state", state)
        else:
            script = lifecycle.script
            patch.setattr(lifecycle, "script", lambda name: die() if name == "commit" else script(name))
            with pytest.raises(KeyboardInterrupt):
                Index.create(redis_url, NAME, LAYOUT, shards=3)
    report = check_index(redis_url, NAME, repair=True)
    kind = {"creating": "half-made", "loading": "half-loaded", "dropping": "half-dropped"}[state]
    assert [finding.kind for finding in report.findings] == [kind]
    assert "hashgrain index drop x --yes" in report.findings[0].remedy
    lifecycle.drop_index(redis_url, NAME)
    with pytest.raises(IndexMissing, match="no index 'x'"):
        check_index(redis_url, NAME)

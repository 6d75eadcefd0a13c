"""`check_index` on indexes that are damaged at random: what is sound stays, and a repair is what it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

import hashgrain.indexer.check.buckets as buckets_module
import hashgrain.indexer.check.snapshot as snapshot_module
from damaged_index import LAYOUT, NAME, Stored, build, record, tombstone
from hashgrain.indexer import check_index
from random_codes import random_codes


@pytest.fixture(autouse=True, scope="module")
def small_pages() -> Iterator[None]:
    """Pages so small that every example crosses their borders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot_module, "AT_ONCE", 7)
        patch.setattr(buckets_module, "AT_ONCE", 7)
        patch.setattr(buckets_module, "GROUP_BYTES", 100)
        yield


def sound_items(stored: Stored) -> dict[bytes, bytes]:
    """Items whose place, name and record agree, with their records; of these, no repair may take one away."""
    found: dict[bytes, bytes] = {}
    names: Any = stored.client.hgetall(stored.keys.ids)
    for encoded, place in stored.client.hgetall(stored.keys.nums).items():  # type: ignore[union-attr]
        number, _, bucket = place.partition(b":")
        key = stored.keys.bucket_prefix.encode() + bucket
        if names.get(number) != encoded or not number.isdigit() or stored.client.type(key) != b"string":
            continue
        log: bytes = stored.client.get(key) or b""  # type: ignore[assignment]
        records = [log[at : at + 12] for at in range(0, len(log) - 11, 12)]
        mine = {r for r in records if r[:4] == record(int(number))[:4]}
        if len(mine) == 1 and tombstone(int(number)) not in records:
            found[encoded] = mine.pop()
    return found


BLOWS = st.lists(
    st.tuples(
        st.sampled_from(["hdel", "rename", "hset", "append", "cut", "overwrite", "setbit", "delete", "swap"]),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=4,
)


def strike(stored: Stored, blow: str, first: int, second: int) -> None:
    """Damage that is picked by two numbers; may be none where there is nothing to hit."""
    client, keys = stored.client, stored.keys
    hashes = [keys.nums, keys.ids, keys.payloads, keys.dead]
    key = hashes[first % 4]
    fields: list[bytes] = sorted(client.hkeys(key))  # type: ignore[arg-type]
    buckets = stored.buckets()
    bucket = buckets[first % len(buckets)] if buckets else keys.bucket(0)
    log = stored.log(bucket)
    if blow in ("hdel", "rename", "swap") and fields:
        field, other = fields[second % len(fields)], fields[first % len(fields)]
        value: Any = client.hget(key, field)
        if blow == "swap":
            client.hset(key, field, client.hget(key, other))  # type: ignore[arg-type]
        else:
            client.hdel(key, field)
            if blow == "rename":
                client.hset(key, str(second % 80), value)
    elif blow == "hset" and key != keys.payloads:
        client.hset(key, [b"i9", b"7", b"000001", b"i20"][second % 4], [b"7:000001", b"i7", b"2"][first % 3])
    elif blow == "append":
        client.append(bucket, [b"!", record(second % 90), tombstone(second % 90), log[:12]][second % 4])
    elif blow == "cut" and log:
        client.set(bucket, log[: second % len(log)])
    elif blow == "overwrite" and log:
        client.setrange(bucket, second % len(log), b"\x01")
    elif blow == "setbit":
        client.setbit(keys.occupied, second % 5000, first % 2)
    elif blow == "delete":
        client.delete([bucket, keys.occupied, keys.version, keys.dead][second % 4])


@settings(max_examples=60, deadline=None)
@given(blows=BLOWS)
def test_whatever_is_damaged_a_repair_takes_no_sound_item_and_leaves_nothing_that_it_said_it_mended(
    redis_server: str, blows: list[tuple[str, int, int]]
) -> None:
    redis.Redis.from_url(redis_server).flushall()
    index, _, stored = build(redis_server)
    with index:
        for blow in blows:
            strike(stored, *blow)
        sound = sound_items(stored)
        report = check_index(redis_server, NAME, repair=True)
        assert sound.items() <= sound_items(stored).items()
        again = check_index(redis_server, NAME)
        assert set(again.findings) == set(report.remaining)
        if report.clean:
            hit = index.search(random_codes(1, LAYOUT), 100, exact=True)[0]
            assert len(hit.ids) == len(set(hit.ids)) == len(index)
            assert set(sound) <= {f"i{item}".encode() for item in hit.ids}
            assert index.delete(hit.ids) == len(hit.ids)
            assert check_index(redis_server, NAME).findings == ()

"""`check_index` on indexes that are damaged at random: what is sound stays, and a repair is what it says."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from damaged_index import CODES, ENTRY, NAME, UNKNOWN, Stored, build, record
from hashgrain.indexer import Index, check_index
from hashgrain.indexer.stored.handles import FIRST_HASHED, handle_of, hashes_of, page_of
from hashgrain.indexer.stored.keys import HOLES, ShardKeys
from random_codes import random_codes

pytestmark = pytest.mark.usefixtures("small_groups")


def sound_items(stored: Stored) -> dict[int, bytes]:
    """Items whose place, name and only record agree, with their codes; of these, no repair may take one away."""
    client, keys = stored.client, stored.keys
    entries, found = stored.text(keys.partition), Counter[int]()
    codes: dict[int, tuple[int, bytes]] = {}
    for bucket in range(len(entries) // ENTRY):
        key = keys.bucket(bucket)
        if client.type(key) != b"string" or entries[bucket * ENTRY + ENTRY - 1] not in HOLES:
            continue
        for number, one in zip(stored.handles(bucket), stored.records(bucket), strict=True):
            found[number] += 1
            codes[number] = bucket, one[: CODES - 1] + bytes([one[CODES - 1] & 0xF0])  # what stands after its 12 bits
    pages: Any = client.hget(keys.meta, "pages")
    if not pages or int(pages) == 0:
        return {}
    places = [stored.places(page) for page in range(int(pages))]
    names: list[Any] = [client.hgetall(keys.names(page)) for page in range(int(pages))]
    sound = {}
    for number, (bucket, stored_codes) in codes.items():
        hashes = hashes_of(np.array([number]))
        page, hash_ = int(page_of(hashes, int(pages))[0]), int(hashes[0]).to_bytes(4, "little")
        buckets = [place[4:7] for place in places[page] if place[:4] == hash_]
        name = names[page].get(number.to_bytes(8, "little", signed=True))
        named = number < FIRST_HASHED or (name is not None and handle_of(name) == number)
        alone = found[number] == 1 and buckets == [bucket.to_bytes(3, "little")]
        if alone and named and number not in HOLES.values():
            sound[number] = stored_codes
    return sound


BLOWS = st.lists(
    st.tuples(
        st.sampled_from(["hdel", "rename", "swap", "append", "cut", "overwrite", "delete", "entry", "meta"]),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=4,
)


def strike(stored: Stored, blow: str, first: int, second: int) -> None:
    """Damage that is picked by two numbers; may be none where there is nothing to hit."""
    client, keys = stored.client, stored.keys
    every = sorted(client.scan_iter())
    hashes = [key.decode() for key in every if client.type(key) == b"hash" and key.decode() != keys.meta]
    strings = [key.decode() for key in every if b":b:" in key or b":p:" in key]
    key, string = hashes[first % len(hashes)], strings[first % len(strings)]
    fields: list[bytes] = sorted(client.hkeys(key))  # type: ignore[arg-type]
    text = stored.text(string)
    if blow in ("hdel", "rename", "swap"):
        one, other = fields[second % len(fields)], fields[first % len(fields)]
        value: Any = client.hget(key, one)
        if blow == "swap":
            client.hset(key, one, client.hget(key, other))  # type: ignore[arg-type]
        else:
            client.hdel(key, one)
            if blow == "rename":
                client.hset(hashes[second % len(hashes)], [b"x", one][second % 2], value)  # type: ignore[arg-type]
    elif blow == "append":
        there = second % stored.count()
        string = keys.bucket(there) if second % 3 else string
        client.append(
            string, [b"!", text[-8:], record(stored, there, UNKNOWN), record(stored, there, second)][second % 4]
        )
    elif blow == "cut" and text:
        client.set(string, text[: second % len(text)])
    elif blow == "overwrite" and text:
        client.setrange(string, second % len(text), b"\x01")  # type: ignore[arg-type]
    elif blow == "delete":
        client.delete([string, key, keys.stamp, keys.holes][second % 4])
    elif blow == "entry":
        client.setrange(keys.partition, second % (stored.count() * ENTRY), b"\x04")  # type: ignore[arg-type]
    elif blow == "meta":
        client.hset(keys.meta, ["live", "pages"][first % 2], second % 12)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def undamaged(redis_server: str) -> dict[bytes, Any]:
    """All keys of a sound index."""
    client = redis.Redis.from_url(redis_server)
    client.flushall()
    build(redis_server)[0].close()
    return {key: client.dump(key) for key in client.scan_iter()}


@settings(max_examples=40, deadline=None)
@given(blows=BLOWS)
def test_whatever_is_damaged_a_repair_takes_no_sound_item_and_leaves_nothing_that_it_said_it_mended(
    redis_server: str, undamaged: dict[bytes, Any], blows: list[tuple[str, int, int]]
) -> None:
    stored = Stored(redis.Redis.from_url(redis_server), ShardKeys(NAME, 0))
    stored.client.flushall()
    for key, dump in undamaged.items():
        stored.client.restore(key, 0, dump)
    with Index.open(redis_server, NAME) as index:
        for blow in blows:
            strike(stored, *blow)
        sound = sound_items(stored)
        report = check_index(redis_server, NAME, repair=True)
        assert sound.items() <= sound_items(stored).items()
        again = check_index(redis_server, NAME)
        assert set(again.findings) == set(report.remaining)
        if report.clean:
            require_whole(index, sound)
            assert check_index(redis_server, NAME).findings == ()


def require_whole(index: Index, sound: dict[int, bytes]) -> None:
    """That a search of everything finds everything, and all of it can be deleted."""
    hit = index.search(random_codes(1, index.layout), 1000, exact=True, payloads=True)[0]
    assert len(hit.ids) == len(set(hit.ids)) == len(index)
    assert len(sound) <= len(index)
    assert index.delete(hit.ids) == len(hit.ids)
    assert len(index) == 0

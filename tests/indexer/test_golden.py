"""The stored bytes of a small index, pinned: a change of the layout needs a new schema version.

A change of how buckets are split changes them, too, and needs none: then the file is written anew, after the code was
seen to read the one before.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import redis

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index, ItemId
from hashgrain.indexer.stored.keys import SCHEMA_VERSION
from hashgrain.indexer.stored.partition import Partition

GOLDEN = Path(__file__).parents[1] / "golden" / f"index_v{SCHEMA_VERSION}.json"
LAYOUT = CodeLayout(8, 32)
SMALL: list[ItemId] = list(range(1, 13))
OTHERS: list[ItemId] = ["a", "ключ", "8", "i9", -5, 2**61]
DELETED: list[ItemId] = [2, 5, 6, "8"]


def codes(ids: list[ItemId]) -> HashCodes:
    """Of small integers in turn near one code and near another, of other ids near the first."""
    place = np.arange(len(ids), dtype=np.uint8)[:, None]
    far = np.array([[0xFF if item in SMALL and int(item) % 3 == 0 else 0] for item in ids], np.uint8)
    return HashCodes(far ^ (place & 1), np.hstack([far ^ place, far, far, far ^ (place << 4)]))


def build(redis_url: str) -> None:
    """Two shards with all that the layout has: a bucket that was split, handles of both widths, names, a hole."""
    with Index.create(redis_url, "golden", LAYOUT, fingerprint="f00d", shards=2, bucket_items=4) as index:
        index.add(SMALL, codes(SMALL), [{"n": 1}, None, {"é": [1, None]}] + [None] * 9)
        index.add(OTHERS, codes(OTHERS), [{"n": 2}] + [None] * 5)
        index.add([1], codes([1]))
        index.delete(DELETED)


def stored(redis_url: str) -> dict[str, Any]:
    """Every key with its type and content: the header as text, other bytes in hexadecimal, random numbers as such."""
    client = redis.Redis.from_url(redis_url)
    incarnation = client.hget("hg:{golden:0}:meta", "incarnation") or b""
    content: dict[str, Any] = {}
    for key in sorted(client.keys()):
        if key.endswith(b":meta"):
            fields = {field.decode(): value.decode() for field, value in sorted(client.hgetall(key).items())}
            content[key.decode()] = {**fields, "incarnation": "<random>"}
            assert fields["incarnation"] == incarnation.decode()
        elif client.type(key) == b"hash":
            content[key.decode()] = {field.hex(): value.hex() for field, value in sorted(client.hgetall(key).items())}
        elif key.endswith(b":stamp"):
            content[key.decode()] = f"<random> + {int(client.get(key) or 0) - int(incarnation)}"
        else:
            content[key.decode()] = (client.get(key) or b"").hex()
    return content


def restore(redis_url: str) -> None:
    """Store the golden bytes themselves."""
    client = redis.Redis.from_url(redis_url)
    for key, content in json.loads(GOLDEN.read_text(encoding="utf-8")).items():
        if key.endswith(":meta"):
            client.hset(key, mapping={**content, "incarnation": "77"})
        elif isinstance(content, dict):
            client.hset(key, mapping={bytes.fromhex(field): bytes.fromhex(value) for field, value in content.items()})
        else:
            client.set(key, b"77" if key.endswith(":stamp") else bytes.fromhex(content))


def test_the_stored_bytes_are_those_of_the_golden_file(redis_url: str) -> None:
    build(redis_url)
    found = json.dumps(stored(redis_url), indent=1, ensure_ascii=False) + "\n"
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_the_golden_index_shows_what_the_layout_is_made_of() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    kinds = {key.split(":", 3)[3].partition(":")[0] for key in golden}
    assert kinds == {"meta", "stamp", "partition", "holes", "payloads", "b", "p", "n"}
    assert {key.split(":")[2].rstrip("}") for key in golden} == {"0", "1"}
    widths = {
        Partition.parse(
            b"", bytes.fromhex(golden[f"hg:{{golden:{shard}}}:partition"]), LAYOUT, ""
        ).handle_bytes.tobytes()
        for shard in (0, 1)
    }
    assert set(b"".join(widths)) == {4, 8}


def test_the_golden_index_is_read_by_this_code(redis_url: str) -> None:
    """The golden bytes, not what today's code writes."""
    restore(redis_url)
    with Index.open(redis_url, "golden") as index:
        assert (index.layout, index.fingerprint) == (LAYOUT, "f00d")
        hit = index.search(codes(OTHERS)[1:2], k=20, exact=True, payloads=True)[0]
        assert ("ключ", 0) in zip(hit.ids, hit.distances, strict=True)
        assert hit.payloads is not None
        assert dict(zip(hit.ids, hit.payloads, strict=True)) == {
            **{item: None for item in SMALL + OTHERS if item not in DELETED},
            "a": {"n": 2},
            3: {"é": [1, None]},
        }
        assert index.delete(SMALL + OTHERS) == 14

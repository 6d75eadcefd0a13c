"""The stored bytes of a small index, pinned: a change of the layout needs a new schema version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import redis

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index, ItemId
from hashgrain.indexer.keys import SCHEMA_VERSION

GOLDEN = Path(__file__).parents[1] / "golden" / f"index_v{SCHEMA_VERSION}.json"
LAYOUT = CodeLayout(8, 32)
IDS: list[ItemId] = ["a", "b", "c", 4, -5, "ключ", 7, "8", "i9", 10, 11, 12, 13]


def build(redis_url: str) -> None:
    """Two shards with all that the layout has: a tombstone that waits, a bucket compacted, a bucket that is gone."""
    coarse = np.array([[0xAB]] * 10 + [[0x01]] * 2 + [[0xFF]], np.uint8)
    fine = np.arange(4 * len(IDS), dtype=np.uint8).reshape(-1, 4)
    with Index.create(redis_url, "golden", LAYOUT, fingerprint="f00d", shards=2) as index:
        index.add(IDS, HashCodes(coarse, fine), [{"n": 1}, None, {"é": [1, None]}] + [None] * 10)
        index.add(["a"], HashCodes(coarse[10:11], fine[:1]), [{"n": 2}])
        index.delete(["b", 10, 11, 13])


def stored(redis_url: str) -> dict[str, Any]:
    """Every key with its type and content: bytes of strings in hexadecimal, hashes as text, random numbers as such."""
    client = redis.Redis.from_url(redis_url)
    incarnation = client.hget("hg:{golden:0}:meta", "incarnation") or b""
    content: dict[str, Any] = {}
    for key in sorted(client.keys()):
        if client.type(key) == b"hash":
            fields = sorted((field.decode(), value.decode()) for field, value in client.hgetall(key).items())
            content[key.decode()] = {
                field: "<random>" if value == incarnation.decode() else value for field, value in fields
            }
        elif key.endswith(b":version"):
            content[key.decode()] = f"<random> + {int(client.get(key) or 0) - int(incarnation)}"
        else:
            content[key.decode()] = (client.get(key) or b"").hex()
    return content


def test_the_stored_bytes_are_those_of_the_golden_file(redis_url: str) -> None:
    build(redis_url)
    found = json.dumps(stored(redis_url), indent=1, ensure_ascii=False) + "\n"
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_the_golden_index_shows_what_the_layout_is_made_of() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    kinds = {key.split(":", 3)[3].partition(":")[0] for key in golden}
    assert kinds == {"meta", "version", "occupied", "dead", "nums", "ids", "payloads", "b"}
    assert {key.split(":")[2].rstrip("}") for key in golden} == {"0", "1"}


def test_the_golden_index_is_read_by_this_code(redis_url: str) -> None:
    """Loads the golden bytes themselves, not what today's code writes."""
    client = redis.Redis.from_url(redis_url)
    for key, content in json.loads(GOLDEN.read_text(encoding="utf-8")).items():
        if isinstance(content, dict):
            client.hset(key, mapping={field: value.replace("<random>", "77") for field, value in content.items()})
        else:
            client.set(key, b"77" if key.endswith(":version") else bytes.fromhex(content))
    query = HashCodes(np.array([[0xAB]], np.uint8), np.array([[8, 9, 10, 11]], np.uint8))
    with Index.open(redis_url, "golden") as index:
        assert (index.layout, index.fingerprint) == (LAYOUT, "f00d")
        hit = index.search(query, k=20, exact=True, payloads=True)[0]
        assert (hit.ids[0], hit.distances[0]) == ("c", 0)
        assert hit.payloads is not None
        assert dict(zip(hit.ids, hit.payloads, strict=True)) == {
            **{item: None for item in IDS if item not in ("b", 10, 11, 13)},
            "a": {"n": 2},
            "c": {"é": [1, None]},
        }
        assert index.delete(IDS) == 9

"""What commands cost that a script on the server runs: `python -m benchmarks.script_costs`.

Prints us of the server's thread for each command that replacing an item needs, run from Lua on 200,000 items,
and how many of the replacements that `lookup` makes move the item to another bucket.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import redis

from benchmarks.codes import GeneratedCodes
from benchmarks.server import own_redis
from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index
from hashgrain.indexer.adding.clustering import nearest_centroids
from hashgrain.indexer.stored.partition import Partition

LAYOUT, ITEMS, OTHERS = CodeLayout(16, 64), 200_000, 100_000
TIMES, ROUNDS = 5000, 5

KEYS_OF = "local p, b = 'hg:{index:0}:p:%06x', 'hg:{index:0}:b:%06x'"
COMMANDS = {
    "nothing": "",
    "spell a key": "local key = string.format(p, i % 1500)",
    "read a page of places": "redis.call('GET', string.format(p, i % 1500))",
    "read 4 records": "redis.call('GETRANGE', string.format(b, i % 700), 1400, 1455)",
    "write a record": "redis.call('SETRANGE', string.format(b, i % 700), 0, redis.call('GETRANGE', "
    "string.format(b, i % 700), 0, 13))",
    "read the partition": "redis.call('GET', 'hg:{index:0}:partition')",
    "read one entry of it": "redis.call('GETRANGE', 'hg:{index:0}:partition', 1400, 1413)",
}


def main() -> None:
    """Load, run, print."""
    made = GeneratedCodes(LAYOUT, ITEMS, seed=1)
    codes = made.codes()
    with own_redis() as url, redis.Redis.from_url(url) as server, Index.create(url, "index", LAYOUT) as index:
        index.load(np.arange(ITEMS), codes)
        stamp, stored = server.mget(["hg:{index:0}:stamp", "hg:{index:0}:partition"])  # type: ignore[misc]
        partition = Partition.parse(stamp, stored, LAYOUT, "partition")
        for what, command in COMMANDS.items():
            script = f"{KEYS_OF} for i = 1, {TIMES} do {command} end"
            print(f"{what:30}{min(_busy(server, script) for _ in range(ROUNDS)) / TIMES:8.2f} us")
    other, rng = GeneratedCodes(LAYOUT, OTHERS, seed=2).codes(), np.random.default_rng(4)
    old, new = codes[rng.integers(ITEMS, size=20_000)], other[rng.integers(OTHERS, size=20_000)]
    before, after = (nearest_centroids(some.fine, some.coarse, partition)[0] for some in (old, new))
    print(f"replacements that move the item: {float((before != after).mean()):.1%}")


def _busy(server: redis.Redis, script: str) -> int:
    before: Any = server.info("commandstats")
    server.eval(script, 0)
    after: Any = server.info("commandstats")
    return int(after["cmdstat_eval"]["usec"]) - int(before.get("cmdstat_eval", {}).get("usec", 0))


if __name__ == "__main__":
    main()

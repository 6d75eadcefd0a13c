"""The stored layout, schema version 1: the only place that spells a Redis key.

An index has S shards. All keys of shard s carry the hash tag `{name:s}`, so they live on one Redis Cluster node and
one script changes them atomically. An item belongs to shard crc32(encoded id) mod S. In a shard:

    hg:{name:s}:meta      HASH    the header: schema, coarse_bits, fine_bits, fingerprint ("" where none was given),
                                  shards, shard, incarnation (one random number per creation), state (creating, live,
                                  dropping), next (the next item number), live (how many items)
    hg:{name:s}:version   STRING  counts the changes of the occupancy map; starts at the incarnation, so that two
                                  indexes that bear one name after another never show the same version
    hg:{name:s}:occupied  STRING  the occupancy map: bit c (as SETBIT counts) is 1 where bucket c holds a live record;
                                  absent in an empty shard
    hg:{name:s}:b:cccccc  STRING  the bucket of coarse code c (six hexadecimal digits): a log of fixed-width records,
                                  only appended to between compactions
    hg:{name:s}:dead      HASH    c → how many tombstones bucket c holds; no field where none
    hg:{name:s}:nums      HASH    encoded id → "number:cccccc", the way to an item's record for update and delete
    hg:{name:s}:ids       HASH    number → encoded id
    hg:{name:s}:payloads  HASH    number → payload as JSON; no field where the item has none

A record is the item's number (unsigned 32 bits, big-endian) followed by the packed fine code. The number's top bit
marks a tombstone (its fine code is zeros): every record of that number in the bucket is dead. A bucket is rewritten
without its dead records as soon as they and their tombstones are half of it or more, and deleted when nothing is left.

Every write of an id takes the shard's next number, and numbers are never used again: what a reader found under a
number stays true or vanishes, and ties are ordered by recency of writing. An id is encoded as "s" + UTF-8 for a
string, "i" + decimal digits for an integer.

The index exists while shard 0's header says `live`: that is written last by a creation over several shards, and is
the first thing that a drop takes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SCHEMA_VERSION = 1

NUMBER_BYTES = 4
TOMBSTONE = 1 << 31
"""The bit of a record's number that marks a tombstone; numbers run from 0 to TOMBSTONE - 1."""


@dataclass(frozen=True)
class ShardKeys:
    """The keys of one shard of an index."""

    name: str
    shard: int

    @property
    def _prefix(self) -> str:
        return f"hg:{{{self.name}:{self.shard}}}:"

    @property
    def meta(self) -> str:
        """The header."""
        return self._prefix + "meta"

    @property
    def version(self) -> str:
        """The version of the occupancy map."""
        return self._prefix + "version"

    @property
    def occupied(self) -> str:
        """The occupancy map."""
        return self._prefix + "occupied"

    @property
    def dead(self) -> str:
        """Tombstones by bucket."""
        return self._prefix + "dead"

    @property
    def nums(self) -> str:
        """Encoded id → number and bucket."""
        return self._prefix + "nums"

    @property
    def ids(self) -> str:
        """Number → encoded id."""
        return self._prefix + "ids"

    @property
    def payloads(self) -> str:
        """Number → payload."""
        return self._prefix + "payloads"

    @property
    def bucket_prefix(self) -> str:
        """What every bucket's key begins with."""
        return self._prefix + "b:"

    def bucket(self, coarse: int) -> str:
        """The bucket of a coarse code, given as a number."""
        return self.bucket_prefix + bucket_name(coarse)

    def buckets(self, coarse: Iterable[int]) -> list[bytes]:
        """The buckets of many coarse codes, as bytes: a search names thousands, and should not spell each anew."""
        prefix = self.bucket_prefix.encode()
        return [prefix + b"%06x" % code for code in coarse]

    def fixed(self) -> list[str]:
        """Every key but the buckets, in the order in which the scripts take them as KEYS."""
        return [self.meta, self.version, self.occupied, self.dead, self.nums, self.ids, self.payloads]


HEADERS = "hg:{*:0}:meta"
"""Pattern of the headers that stand for a whole index: those of its shard 0."""


def index_prefix(name: str) -> str:
    """What all keys of an index, and of no other, begin with."""
    return f"hg:{{{name}:"


def index_keys(name: str) -> str:
    """Pattern of all keys of an index; a name holds no character that is special in patterns."""
    return index_prefix(name) + "*"


def bucket_name(coarse: int) -> str:
    """The last part of a bucket's key: six hexadecimal digits."""
    return f"{coarse:06x}"


def index_name(header_key: str) -> str:
    """The index's name in the key of shard 0's header."""
    return header_key.removeprefix("hg:{").removesuffix(":0}:meta")

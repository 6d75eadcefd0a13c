"""The stored layout, schema versions 3 and 4: the only place that spells a Redis key.

An index has S shards. All keys of shard s carry the hash tag `{name:s}`, so they live on one Redis Cluster node and
one script changes them atomically. An item belongs to one shard, by its id (see `handles`). In a shard:

    hg:{name:s}:meta      HASH    the header: schema, coarse_bits, fine_bits, fingerprint ("" where none was given),
                                  shards, shard, incarnation (one random number per creation), state (creating, live,
                                  loading, dropping, past), bucket_items (the size at which buckets are split), live
                                  (how many items), pages (how many pages of places), merged (how often a bucket was
                                  merged into others; no field where none was)
    hg:{name:s}:stamp     STRING  counts the changes of the partition; starts at the incarnation, so that two indexes
                                  that bear one name after another never show the same stamp
    hg:{name:s}:partition STRING  one entry of fixed width per bucket, that of bucket n at n times the width
    hg:{name:s}:b:xxxxxx  STRING  bucket n (six hexadecimal digits): records of fixed width, in any order; an empty
                                  bucket is an empty string
    hg:{name:s}:holes     HASH    bucket (decimal digits) → its holes, 16 bits each; no field where none
    hg:{name:s}:p:xxxxxx  STRING  page n of places: where each item lies; absent where there is none
    hg:{name:s}:n:xxxxxx  HASH    page n of names: handle (8 bytes) → encoded id, of the items whose handle is a hash
    hg:{name:s}:payloads  HASH    handle (8 bytes) → payload as JSON; no field where the item has none

Where an index has generations (see `generations`), these are indexes of their own, named `name@1`, `name@2` and so on,
and one more key tells them apart:

    hg:{name}:generations HASH    numbers of generations: live; past, those that were before and the last one of them
                                  last, with commas between; newest, the highest that was given out

A *bucket* holds items whose codes lie near its *centroid*, a code of both lengths. An entry of the partition is
the centroid's packed fine code, its packed coarse code, and in four bytes the bucket's radii and the width of its
handles: every record's fine code lies within `fine radius` bits (unsigned 16 bits, little-endian) of the centroid's,
its coarse code within `coarse radius` bits (unsigned 8 bits), and its handle takes 4 or 8 bytes (unsigned 8 bits).
There is at least one bucket. A bucket that outgrows `bucket_items` is split in two: one half keeps the number, with
a new centroid, the other takes the next number. A bucket of few items gives them to the nearest others, and the last
bucket takes its number.

A record is the packed fine code, the packed coarse code, in schema 4 the item's *attributes* (see `fields`; the header
then has `fields`, a list of names and kinds as JSON), and the item's *handle* (see `handles`), a signed number of
64 bits, little-endian; in a bucket of 4-byte handles, its lower half (the upper half is zero then). Where an item was
taken away the record's handle is that of a *hole*, a value that no item has; its codes mean nothing. The next item
that comes takes the place of a hole. `holes` says where they are, counting records from 0 (little-endian, in any
order; those from 65,536 on are not listed). A bucket is rewritten without them as soon as they are 16 or more and
half of it, and when it is split.

A place is eight bytes: the hash of the handle (32 bits, little-endian), the number of the item's bucket (24 bits,
little-endian), and a hint (8 bits): a quarter of the record's position in its bucket, 255 from position 1,020 on. A
hint may be out of date: the record is looked for there first. Two items may have the same hash: the handle in the
bucket decides. Pages become more one by one, by linear hashing (Litwin, VLDB 1980; see `handles.page_of`), and fewer in
the same way where they are half empty; a name lies on the page of names with the number of its place's.

The index exists while shard 0's header says `live`: that is written last by a creation over several shards, and is
the first thing that a drop takes back. `loading` marks an index whose first items are being loaded in bulk: nobody
reads or writes it until that is done, and if it was cut short the index is dropped and built again. `past` marks a
generation that was live before: it can be read by its number, and nobody writes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SCHEMA_VERSION = 3

FIELDED_VERSION = 4
"""Of an index whose records carry attributes; all else is as in version 3."""

HASH_BYTES = 4
BUCKET_BYTES = 3
HINT_BYTES = 1
PLACE_BYTES = HASH_BYTES + BUCKET_BYTES + HINT_BYTES
"""Bytes of one place: the hash of a handle, the number of a bucket, and where in the bucket to look first."""

HINT_RECORDS = 4
"""Records that one hint stands for."""

RADII_BYTES = 4
"""Bytes that follow the centroid in an entry of the partition: fine radius (2), coarse radius (1), handle bytes (1)."""

NARROW, WIDE = 4, 8
"""Bytes that a handle takes in a record."""

HOLES = {NARROW: 0xFFFF_FFFF, WIDE: -(1 << 63)}
"""By the bytes of a handle, the one that marks a hole."""

MOST_BUCKETS = 1 << (8 * BUCKET_BYTES)

PAGE_ITEMS = 96
"""Mean number of places on a page: one more page is made where there are more."""


@dataclass(frozen=True)
class ShardKeys:
    """The keys of one shard of an index."""

    name: str
    shard: int

    @property
    def prefix(self) -> str:
        """What every key of the shard begins with."""
        return f"hg:{{{self.name}:{self.shard}}}:"

    @property
    def meta(self) -> str:
        """The header."""
        return self.prefix + "meta"

    @property
    def stamp(self) -> str:
        """The stamp of the partition."""
        return self.prefix + "stamp"

    @property
    def partition(self) -> str:
        """The partition."""
        return self.prefix + "partition"

    @property
    def holes(self) -> str:
        """Bucket → holes."""
        return self.prefix + "holes"

    @property
    def payloads(self) -> str:
        """Handle → payload."""
        return self.prefix + "payloads"

    @property
    def bucket_prefix(self) -> str:
        """What every bucket's key begins with."""
        return self.prefix + "b:"

    def bucket(self, number: int) -> str:
        """The bucket of a number."""
        return self.bucket_prefix + six_digits(number)

    def buckets(self, numbers: Iterable[int]) -> list[bytes]:
        """The buckets of many numbers, as bytes: a search names hundreds, and should not spell each anew."""
        prefix = self.bucket_prefix.encode()
        return [prefix + b"%06x" % number for number in numbers]

    def places(self, page: int) -> str:
        """A page of places."""
        return self.prefix + "p:" + six_digits(page)

    def names(self, page: int) -> str:
        """A page of names."""
        return self.prefix + "n:" + six_digits(page)

    def fixed(self) -> list[str]:
        """Every key but buckets and pages, in the order in which the scripts take them as KEYS."""
        return [self.meta, self.stamp, self.partition, self.holes, self.payloads]


def generations_key(name: str) -> str:
    """Which generation of an index is live."""
    return f"hg:{{{name}}}:generations"


HEADERS = "hg:{*:0}:meta"
"""Pattern of the headers that stand for a whole index: those of its shard 0."""


def index_prefix(name: str) -> str:
    """What all keys of an index, and of no other, begin with."""
    return f"hg:{{{name}:"


def index_keys(name: str) -> str:
    """Pattern of all keys of an index; a name holds no character that is special in patterns."""
    return index_prefix(name) + "*"


def six_digits(number: int) -> str:
    """The last part of the key of a bucket or page."""
    return f"{number:06x}"


def index_name(header_key: str) -> str:
    """The index's name in the key of shard 0's header."""
    return header_key.removeprefix("hg:{").removesuffix(":0}:meta")

"""Everything that can be wrong with a stored index: what follows for its user, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

_REPAIR = "`hashgrain index check {name} --repair` mends it"
_REBUILD = "drop the index with `hashgrain index drop {name} --yes` and build it again"
_ADD_AGAIN = "add this id again with its code, then check with --repair"


@dataclass(frozen=True)
class Kind:
    """One way in which the layout of `keys` can be broken.

    Attributes:
        name: as reports show it.
        consequence: what follows for the user.
        remedy: the next step; `{name}` stands for the index's name.
    """

    name: str
    consequence: str
    remedy: str = _REPAIR


ONCE_REPAIRED = {"lost-record": "add this id again with its code"}
"""What is left to do after a repair, by the kind's name; nothing for all others."""

# Of the whole index.
HALF_MADE = Kind(
    "half-made",
    "the index cannot be opened",
    "wait if somebody is creating it right now; else clear it away with `hashgrain index drop {name} --yes`",
)
HALF_DROPPED = Kind(
    "half-dropped",
    "the index cannot be opened",
    "wait if somebody is dropping it right now; else finish that with `hashgrain index drop {name} --yes`",
)
HEADER = Kind(
    "header", "the index cannot be opened, and this shard was not examined", f"restore a backup, or {_REBUILD}"
)
FIRST_HEADER = Kind(
    "header",
    "the index can neither be opened nor dropped, and nothing of it was examined",
    "restore a backup, or delete all keys that begin with hg:{{{name}: and build the index again",
)
HEADER_FIELD = Kind("header-field", "shards contradict each other in what they say of the index")
TAKEN_KEY = Kind(
    "taken-key",
    "another service uses this key: reading or writing here fails, and what stood there is lost",
    f"stop what wrote it, then {_REBUILD}",
)
STRANGE_KEY = Kind(
    "strange-key",
    "nobody reads it, and dropping the index leaves it behind",
    "delete this key if no other service needs it",
)

# Of a shard as a whole.
VERSION = Kind("version", "every search fails, or may go by an old directory")
OCCUPANCY = Kind("occupancy", "searches fail or pass over a bucket")
LIVE_COUNT = Kind("live-count", "the index counts its items wrongly")
NEXT_NUMBER = Kind("next-number", "new items may take numbers that are in use, or none are left")

# Of a bucket.
TORN_BUCKET = Kind("torn-bucket", "every search and write that meets this bucket fails")
SHIFTED_BUCKET = Kind(
    "shifted-bucket",
    "every search and write that meets this bucket fails; its records cannot be told apart with certainty",
    f"restore a backup, or {_REBUILD}",
)
EMPTY_BUCKET = Kind("empty-bucket", "searches read it for nothing")
UNCOMPACTED = Kind("uncompacted", "searches read more dead records than they should")
DEAD_COUNT = Kind("dead-count", "the bucket is compacted too early or too late")
STRAY_TOMBSTONE = Kind("stray-tombstone", "searches read it for nothing")

# Of a record.
ORPHAN_RECORD = Kind("orphan-record", "a search that finds this record never ends well: it belongs to no id")
STALE_RECORD = Kind("stale-record", "searches find this item twice, once by an old code")
DUPLICATE_RECORD = Kind("duplicate-record", "searches find this item twice")
RECORD_CONFLICT = Kind(
    "record-conflict", "searches find this item by two codes, and nothing says which is right", _ADD_AGAIN
)

# Of an item.
LOST_RECORD = Kind(
    "lost-record",
    "the code of this item is gone: no search finds it",
    "take its remains away with `hashgrain index check {name} --repair --forget-lost`, then add this id again",
)
UNPLACED = Kind("unplaced", "this item is found, but cannot be deleted or replaced")
UNNAMED = Kind("unnamed", "a search that finds this item cannot name it rightly")
NAME_CONFLICT = Kind(
    "name-conflict",
    "two ids claim one record, so one of them is named wrongly",
    "add both ids again with their codes, then check with --repair",
)
FOREIGN_ID = Kind("foreign-id", "this item is found or not by chance, and cannot be deleted or replaced", _REBUILD)
ORPHAN_NAME = Kind("orphan-name", "it takes memory for nothing")
ORPHAN_PAYLOAD = Kind("orphan-payload", "it takes memory for nothing")
UNREADABLE_PAYLOAD = Kind(
    "unreadable-payload", "a search that wants this item's payload fails", "add this id again with its code and payload"
)

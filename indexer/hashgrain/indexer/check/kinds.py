"""Everything that can be wrong with a stored index: what follows for its user, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

_REPAIR = "`hashgrain index check {name} --repair` mends it"
_REBUILD = "drop the index with `hashgrain index drop {name} --yes` and build it again"
_FORGET = "take its remains away with `hashgrain index check {name} --repair --forget-lost`"


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


ONCE_REPAIRED = {
    "lost-record": "add this id again with its code",
    "unnamed": "add the ids again whose items may be this one",
    "doubtful-record": "add the ids again whose items may be this one",
    "record-conflict": "add this id again with its code: of two different ones, one was kept",
}
"""What is left to do after a repair, by the kind's name; nothing for all others."""

# Of the whole index.
HALF_MADE = Kind(
    "half-made",
    "the index cannot be opened",
    "wait if somebody is creating it right now; else clear it away with `hashgrain index drop {name} --yes`",
)
HALF_LOADED = Kind(
    "half-loaded",
    "the index cannot be opened",
    "wait if somebody is loading it right now; else clear it away with `hashgrain index drop {name} --yes`, and load "
    "it again",
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
STRANGE_KEY = Kind("strange-key", "nobody reads it", "delete this key if no other service needs it")

# Of a shard as a whole.
STAMP = Kind("stamp", "every search fails, or may go by an old partition")
PARTITION = Kind(
    "partition", "searches fail, and this shard was not examined further", f"restore a backup, or {_REBUILD}"
)
TORN_PARTITION = Kind("torn-partition", "every search fails")
LIVE_COUNT = Kind("live-count", "the index counts its items wrongly")
PAGE_COUNT = Kind("page-count", "most items are not found where they should be written, deleted or named")

# Of a bucket or its entry of the partition.
MISSING_BUCKET = Kind("missing-bucket", "searches and writes that meet this bucket fail")
TORN_BUCKET = Kind("torn-bucket", "every search and write that meets this bucket fails")
SHIFTED_BUCKET = Kind(
    "shifted-bucket",
    "every search and write that meets this bucket fails; its records cannot be told apart with certainty",
    f"restore a backup, or {_REBUILD}",
)
STRAY_BUCKET = Kind(
    "stray-bucket",
    "the partition does not have this bucket: no search finds what lies in it",
    f"restore a backup, or {_REBUILD}",
)
EMPTY_STRAY = Kind("stray-bucket", "nobody reads it")
HOLE_LIST = Kind("hole-list", "items that are written to this bucket may overwrite others, or holes stay for ever")
PADDING = Kind("padding", "two coarse codes stand for one")
CENTROID = Kind("centroid", "a coarse code that no query can have")
RADIUS = Kind("radius", "answers that are said to be exact may not be")
HANDLE_BYTES = Kind("handle-bytes", "every search and write that meets this bucket fails")
OF_ENTRIES = (CENTROID, RADIUS, HANDLE_BYTES)

# Of a record.
DUPLICATE_RECORD = Kind("duplicate-record", "searches find this item twice")
RECORD_CONFLICT = Kind("record-conflict", "searches find this item by two codes, and nothing says which is right")
ORPHAN_RECORD = Kind("orphan-record", "a search that finds this record never ends well: it belongs to no id")
DOUBTFUL_RECORD = Kind(
    "doubtful-record",
    "it may be the damaged record of an item that its bucket lacks",
    f"restore a backup, or {_FORGET} and add the lost items again",
)
UNPLACED = Kind("unplaced", "this item is found, but cannot be deleted or replaced")
FOREIGN_ITEM = Kind("foreign-item", "this item is found, but cannot be deleted or replaced", _REBUILD)
UNNAMED = Kind(
    "unnamed",
    "a search that finds this record fails: the id is gone",
    f"add the ids again whose items may be this one, which names it; else {_FORGET}",
)

# Of what is said of items elsewhere.
LOST_RECORD = Kind(
    "lost-record",
    "the code of this item is gone: no search finds it",
    f"{_FORGET}, then add this id again; where no id is told it is an integer: add your items again",
)
STRAY_PLACE = Kind("stray-place", "it takes memory for nothing")
TORN_PAGE = Kind("torn-page", "every write that meets this page fails")
MISFILED_NAME = Kind("misfiled-name", "a search that finds this item cannot name it")
ORPHAN_NAME = Kind("orphan-name", "it takes memory for nothing")
ORPHAN_PAYLOAD = Kind("orphan-payload", "it takes memory for nothing")
UNREADABLE_PAYLOAD = Kind(
    "unreadable-payload", "a search that wants this item's payload fails", "add this id again with its code and payload"
)

"""The header of a shard: what an index says of itself."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from hashgrain.codes.errors import IndexCorrupt, InvalidInput, SchemaMismatch
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.stored.fields import NO_FIELDS, Fields, fields_of, with_fields
from hashgrain.indexer.stored.keys import FIELDED_VERSION, SCHEMA_VERSION

CREATING, LOADING, LIVE, DROPPING, PAST = "creating", "loading", "live", "dropping", "past"

MOST_SHARDS = 1024
LONGEST_NAME = 200

BUCKET_ITEMS = 512
"""Items of a bucket before it is split, unless an index is created with another number."""

_LEAST_BUCKET, _LARGEST_BUCKET = 4, 65_536

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_NUMBERED = re.compile(r"(.*)@(0|[1-9][0-9]{0,8})", re.DOTALL)


@dataclass(frozen=True)
class Header:
    """One shard's header.

    Attributes:
        layout: the code lengths, and the fields of records that carry attributes (see `fields`).
        fingerprint: of the model whose codes the index holds, or None where none was given.
        shards: how many shards the index has.
        shard: which of them this is.
        incarnation: a random number drawn at creation; tells two indexes apart that bear one name after another.
        state: `creating`, `loading`, `live`, `dropping` or `past`.
        bucket_items: how many items a bucket may hold before it is split.
        live: how many items the shard holds.
        pages: how many pages its places are divided among.
        merged: how often a bucket's items were moved to others, so that the bucket could go.
    """

    layout: CodeLayout
    fingerprint: str | None
    shards: int
    shard: int
    incarnation: int
    state: str
    bucket_items: int = BUCKET_ITEMS
    live: int = 0
    pages: int = 1
    merged: int = 0

    def to_fields(self) -> dict[str, str]:
        """The header as the fields of its hash."""
        fields = fields_of(self.layout)
        return {
            "schema": str(FIELDED_VERSION if fields else SCHEMA_VERSION),
            "coarse_bits": str(self.layout.coarse_bits),
            "fine_bits": str(self.layout.fine_bits),
            "fingerprint": self.fingerprint or "",
            "shards": str(self.shards),
            "shard": str(self.shard),
            "incarnation": str(self.incarnation),
            "state": self.state,
            "bucket_items": str(self.bucket_items),
            "live": str(self.live),
            "pages": str(self.pages),
            **({"fields": json.dumps(fields.declared)} if fields else {}),
        }

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes], key: str) -> Header:
        """Read a header back.

        Args:
            fields: what the hash `key` holds.
            key: its name, for the messages.

        Raises:
            SchemaMismatch: it has a schema version that this code does not know.
            IndexCorrupt: a field is missing or cannot be read.
        """

        def get(field: str) -> str:
            try:
                return fields[field.encode()].decode()
            except KeyError:
                raise IndexCorrupt(
                    f"{key} has no field {field}: it is damaged, or not an index of hashgrain; "
                    "drop it or use another name, and build the index again"
                ) from None

        schema = get("schema")
        if schema not in (str(SCHEMA_VERSION), str(FIELDED_VERSION)):
            raise SchemaMismatch(
                f"{key} has schema version {schema}, this code knows {SCHEMA_VERSION} and {FIELDED_VERSION}; "
                "use the hashgrain release that built the index, or build it again under another name"
            )
        try:
            return cls(
                layout=with_fields(
                    CodeLayout(int(get("coarse_bits")), int(get("fine_bits"))),
                    _read_fields(get("fields")) if schema == str(FIELDED_VERSION) else NO_FIELDS,
                ),
                fingerprint=get("fingerprint") or None,
                shards=int(get("shards")),
                shard=int(get("shard")),
                incarnation=int(get("incarnation")),
                state=get("state"),
                bucket_items=int(get("bucket_items")),
                live=int(get("live")),
                pages=int(get("pages")),
                merged=int(fields.get(b"merged", b"0")),
            )
        except ValueError as exc:
            raise IndexCorrupt(f"{key} cannot be read ({exc}); drop the index and build it again") from exc

    def same_index(self, other: Header) -> bool:
        """Whether both headers belong to one index."""
        return (self.incarnation, self.layout, self.shards) == (other.incarnation, other.layout, other.shards)


def _read_fields(stored: str) -> Fields:
    """Fields as a header says them.

    Raises:
        ValueError: they cannot be read.
    """
    declared = json.loads(stored)
    if (
        not isinstance(declared, list)
        or not declared
        or any(not isinstance(one, list) or len(one) != 2 for one in declared)
    ):
        raise ValueError(f"fields {stored:.200}")
    return Fields(tuple((name, kind) for name, kind in declared))


def new_incarnation() -> int:
    """Draw an index's random number, 40 bits: it also starts a counter, which must stay exact for long."""
    return secrets.randbits(40)


def require_name(name: str) -> str:
    """The name itself.

    Raises:
        InvalidInput: it holds anything but letters, digits, dot, underscore and hyphen, or is too long.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise InvalidInput(
            f"{name!r} cannot name an index: use 1 to {LONGEST_NAME} letters (a to z), digits, '.', '_' and '-'"
        )
    return name


def split_name(name: str) -> tuple[str, int | None]:
    """The name of an index, and the number of the generation that is meant: "photos@2" is ("photos", 2).

    The number is None where the name says none: whichever is live.

    Raises:
        InvalidInput: it cannot name an index, or a generation of one.
    """
    numbered = _NUMBERED.fullmatch(name) if isinstance(name, str) else None
    if numbered is None:
        return require_name(name), None
    return require_name(numbered[1]), int(numbered[2])


def require_shards(shards: int) -> int:
    """The number itself.

    Raises:
        InvalidInput: it is no integer from 1 to MOST_SHARDS.
    """
    if isinstance(shards, bool) or not isinstance(shards, int) or not 1 <= shards <= MOST_SHARDS:
        raise InvalidInput(f"an index has 1 to {MOST_SHARDS} shards, got {shards!r}")
    return shards


def require_bucket_items(bucket_items: int) -> int:
    """The number itself.

    Raises:
        InvalidInput: it is no integer from 4 to 65,536.
    """
    if (
        isinstance(bucket_items, bool)
        or not isinstance(bucket_items, int)
        or not _LEAST_BUCKET <= bucket_items <= _LARGEST_BUCKET
    ):
        raise InvalidInput(
            f"a bucket is split when it holds more than bucket_items, {_LEAST_BUCKET} to {_LARGEST_BUCKET} items, got "
            f"{bucket_items!r}"
        )
    return bucket_items

"""Items as an index holds them, on their way out of it or into another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from hashgrain.codes.layout import HashCodes
from hashgrain.indexer.adding.collection import Collection
from hashgrain.indexer.managing.fetching import encoded_of
from hashgrain.indexer.stored.identifiers import ItemId, decode_id
from hashgrain.indexer.stored.payloads import Payload, decode_payload


@dataclass(frozen=True, eq=False)
class StoredItems:
    """Some items; entry n of `ids`, `codes` and `payloads` belongs to item n.

    Attributes:
        stored: the same as the index keeps it: encoded ids, payloads as JSON.
    """

    stored: Collection

    def __len__(self) -> int:
        return len(self.stored)

    @cached_property
    def ids(self) -> list[ItemId]:
        """Their ids."""
        if self.stored.encoded is None:
            return list(self.stored.handles.tolist())
        return list(map(decode_id, self.stored.encoded))

    @property
    def codes(self) -> HashCodes:
        """Their codes, without logits."""
        return HashCodes(self.stored.packed_coarse, self.stored.fine)

    @cached_property
    def payloads(self) -> list[Payload | None]:
        """Their payloads, None for an item without.

        Raises:
            IndexCorrupt: one is no JSON object.
        """
        if self.stored.payloads is None:
            return [None] * len(self)
        return [
            decode_payload(payload or None, f"item {decode_id(name)!r}")
            for name, payload in zip(encoded_of(self.stored), self.stored.payloads, strict=True)
        ]

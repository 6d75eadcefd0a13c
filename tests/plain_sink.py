"""An index as the plainest sink of a bulk job."""

from __future__ import annotations

from typing import Any

from hashgrain.client.sources.items import ItemId
from hashgrain.codes import HashCodes
from hashgrain.indexer import Index


class AddTo:
    """Adds whatever comes; keeps nothing for a ledger."""

    target = None

    def __init__(self, index: Index) -> None:
        self._index = index

    def write(self, ids: list[ItemId], codes: HashCodes, payloads: list[dict[str, Any]]) -> None:
        self._index.add(ids, codes, payloads)

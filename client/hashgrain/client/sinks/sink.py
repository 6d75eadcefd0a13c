"""`Sink`: where the codes of a collection go."""

from __future__ import annotations

from typing import Any, Protocol

from hashgrain.client.sources.items import ItemId
from hashgrain.codes import HashCodes


class Sink(Protocol):
    """Takes codes batch by batch, in order. `codes_file.CodesFile` is one; an index is easily made into another."""

    def write(self, ids: list[ItemId], codes: HashCodes, payloads: list[dict[str, Any]]) -> None:
        """Take one batch: `ids[n]` and `payloads[n]` belong to row n of `codes`. When it returns, they are stored.

        Raises:
            HashgrainError: it cannot be stored.
        """

    @property
    def target(self) -> str | None:
        """What holds the codes for later runs, and nothing else bears that name: an index in one of its lives.

        None where the sink begins empty, as a file does: it then gets everything, also what the ledger knows. Asked
        for only where there is a ledger.
        """

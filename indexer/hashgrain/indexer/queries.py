"""Queries: the logits that a search needs of them, and one query prepared for both stages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.layout import HashCodes
from hashgrain.codes.packing import coarse_keys
from hashgrain.indexer.occupancy import Occupancy
from hashgrain.indexer.probing import Probing, margin_weights, unit_weights
from hashgrain.indexer.request import SearchRequest

REFINED_BY = {"total": ("coarse", "fine"), "fine": ("fine",), "coarse": ("coarse",)}
"""By ranking, the codes whose margins `refine` adds up: those that the ranking counts."""


def require_logits(codes: HashCodes, request: SearchRequest) -> None:
    """Refuse queries whose margins cannot be used, before anything is read.

    Raises:
        InvalidInput: logits that `refine` needs are missing, or logits that the search would use are not finite.
    """
    needed = REFINED_BY[request.rank] if request.refine is not None else ()
    for kind in ("coarse", "fine"):
        logits = codes.coarse_logits if kind == "coarse" else codes.fine_logits
        if logits is None and kind in needed:
            raise InvalidInput(
                f"refine with rank={request.rank!r} adds up the query's {' and '.join(needed)} logits, but the codes "
                f"carry no {kind} logits; encode the queries with logits=True, or leave refine out"
            )
        used = kind == "coarse" or kind in needed  # stage one weighs its probes by the coarse logits
        if logits is not None and used and not np.isfinite(logits).all():
            row = int((~np.isfinite(logits)).any(axis=1).argmax())
            raise InvalidInput(f"the {kind} logits of query {row} are not finite; check the model, or leave them out")


@dataclass(frozen=True, eq=False)
class Query:
    """One query over the buckets of one reading.

    Attributes:
        codes: of several queries.
        row: which of them it is.
        coarse: its coarse code, as a number.
        probing: the order in which it reads the buckets.
    """

    codes: HashCodes
    row: int
    coarse: int
    probing: Probing

    @classmethod
    def each(cls, codes: HashCodes, rows: Iterable[int], occupancy: Occupancy) -> dict[int, Query]:
        """Prepare some of the queries for the occupied buckets; by row."""
        keys = coarse_keys(codes.coarse, occupancy.bits).tolist()
        logits = codes.coarse_logits
        weights = [unit_weights(occupancy.bits)] * len(keys) if logits is None else margin_weights(logits)
        return {row: cls(codes, row, keys[row], Probing(occupancy, keys[row], weights[row])) for row in rows}

    @property
    def fine(self) -> NDArray[np.uint8]:
        """uint8 (fine bytes,), its packed fine code."""
        fine: NDArray[np.uint8] = self.codes.fine[self.row]
        return fine

    @property
    def alone(self) -> HashCodes:
        """Its codes, and logits, as a single row."""
        return self.codes[self.row : self.row + 1]

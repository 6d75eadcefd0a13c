"""Queries: the logits that a search needs of them, and several queries prepared for both stages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.hamming import word_type
from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.codes.packing import coarse_keys
from hashgrain.indexer.request import Rank, SearchRequest
from hashgrain.indexer.stored.records import coarse_type

REFINED_BY = {"total": ("coarse", "fine"), "fine": ("fine",), "coarse": ("coarse",)}
"""By ranking, the codes whose margins `refine` adds up: those that the ranking counts."""

_COUNTS = {"total": (1, 1), "fine": (1, 0), "coarse": (0, 1)}
"""By ranking, how often the fine and the coarse distance count in the distance."""


def require_logits(codes: HashCodes, request: SearchRequest) -> None:
    """Refuse queries whose margins cannot be used, before anything is read.

    Raises:
        InvalidInput: logits that `refine` needs are missing or not finite.
    """
    for kind in () if request.refine is None else REFINED_BY[request.rank]:
        logits = codes.coarse_logits if kind == "coarse" else codes.fine_logits
        if logits is None:
            needed = " and ".join(REFINED_BY[request.rank])
            raise InvalidInput(
                f"refine with rank={request.rank!r} adds up the query's {needed} logits, but the codes carry no {kind} "
                "logits; encode the queries with logits=True, or leave refine out"
            )
        if not np.isfinite(logits).all():
            row = int((~np.isfinite(logits)).any(axis=1).argmax())
            raise InvalidInput(f"the {kind} logits of query {row} are not finite; check the model, or leave refine out")


@dataclass(eq=False)
class Queries:
    """Some queries, as both stages compare them.

    Attributes:
        codes: their Q codes.
        words: (Q, W), the packed fine codes as the words of `Span.words`.
        coarse: uint16 or uint32 (Q,), the coarse codes as numbers; see `coarse_type`.
        times: 0 or 1 each, how often the fine and the coarse distance count in the distance of the ranking.
    """

    codes: HashCodes
    words: NDArray[np.unsignedinteger]
    coarse: NDArray[np.unsignedinteger]
    times: tuple[int, int]

    @classmethod
    def of(cls, codes: HashCodes, layout: CodeLayout, rank: Rank) -> Queries:
        """Prepare codes of the layout."""
        words = np.array(codes.fine, order="C").view(word_type(layout.fine_bytes))  # Numba compiles anew for a view
        coarse = coarse_keys(codes.coarse, layout.coarse_bits).astype(coarse_type(layout))
        return cls(codes, words, coarse, _COUNTS[rank])

    def __len__(self) -> int:
        return len(self.coarse)

    def __getitem__(self, rows: NDArray[np.intp]) -> Queries:
        """Some of the queries, in that order."""
        return Queries(self.codes[rows], self.words[rows], self.coarse[rows], self.times)

"""The last step, where it is asked for: order the best again by the query's own margins.

The distance is asymmetric: the query keeps its logits, the items their bits, and a bit that differs costs the query's
margin |logit| in it (Gordo, Perronnin, Gong, Lazebnik: Asymmetric distances for binary embeddings, TPAMI 2014).
Margins count as integers, floor(|logit| / largest * 2**28), on one scale over all bits that are counted, so that their
sum does not depend on the order of addition. Items of equal sum keep the order of stage two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.indexer.request import Rank, SearchRequest
from hashgrain.indexer.searching.queries import REFINED_BY, Queries
from hashgrain.indexer.searching.ranking import Winners
from hashgrain.indexer.searching.spans import Candidates

_MARGIN_SCALE = float(1 << 28)  # 280 of them add up far below 2**63

_BITS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.int64)
"""int64 (256, 8): row b holds the bits of byte b, the most significant first."""


def refine(
    winners: Winners, candidates: Candidates, queries: Queries, request: SearchRequest, layout: CodeLayout
) -> Winners:
    """The k best of every query's winners by its margins, nearest first; the distances stay what they are.

    Args:
        winners: the `refine` best of stage two.
        candidates: where they were found.
        queries: with the logits that `require_logits` asks for.
        request: its `k` and `rank`.
        layout: the code lengths.
    """
    order = np.zeros((len(winners), min(request.k, winners.row.shape[1])), np.intp)
    for q, held in enumerate(winners.held.tolist()):
        margins = Margins.of(queries.codes[q : q + 1], request.rank, layout)
        cost = np.zeros(held, np.int64)
        for shard, span in enumerate(candidates.spans):
            mine = np.flatnonzero(winners.shard[q, :held] == shard)
            rows = winners.row[q, mine]
            cost[mine] = _weigh(span.fine[rows] ^ queries.codes.fine[q], margins.fine)
            cost[mine] += _weigh(_bytes_of(span.coarse[rows] ^ queries.coarse[q]), margins.coarse)
        best = np.argsort(cost, kind="stable")[: request.k]
        order[q, : len(best)] = best
    parts = ("distances", "handle", "shard", "row", "bucket")
    reordered = {name: np.take_along_axis(getattr(winners, name), order, axis=1) for name in parts}
    return replace(winners, held=np.minimum(winners.held, request.k), **reordered)


@dataclass(frozen=True, eq=False)
class Margins:
    """What it costs to differ from the query in each bit; zero where the ranking does not count it.

    Attributes:
        coarse: int64 (32,), of the bits of the coarse code as a number, the highest first; at most 2**28 each.
        fine: int64 (fine bits,), on the same scale.
    """

    coarse: NDArray[np.int64]
    fine: NDArray[np.int64]

    @classmethod
    def of(cls, query: HashCodes, rank: Rank, layout: CodeLayout) -> Margins:
        """The margins of a query, a single row with the logits that the ranking needs."""
        margins = np.zeros(32 + layout.fine_bits)
        if "coarse" in REFINED_BY[rank] and query.coarse_logits is not None:
            margins[32 - layout.coarse_bits : 32] = np.abs(query.coarse_logits[0])
        if "fine" in REFINED_BY[rank] and query.fine_logits is not None:
            margins[32:] = np.abs(query.fine_logits[0])
        weights = (margins / (margins.max() or 1.0) * _MARGIN_SCALE).astype(np.int64)  # which rounds down
        return cls(weights[:32], weights[32:])


def _bytes_of(codes: NDArray[np.unsignedinteger]) -> NDArray[np.uint8]:
    """The four bytes of each coarse code, uint8 (N, 4), the highest first."""
    return codes.astype(">u4").view(np.uint8).reshape(-1, 4)


def _weigh(differing: NDArray[np.uint8], weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum of the weights, int64 (8 * bytes,), of the set bits of each row, uint8 (N, bytes); one table per byte."""
    total = np.zeros(len(differing), np.int64)
    for byte in range(differing.shape[1]):
        total += (_BITS_OF_BYTE @ weights[8 * byte : 8 * byte + 8])[differing[:, byte]]
    return total

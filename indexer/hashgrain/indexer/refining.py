"""The last step, where it is asked for: order the best again by the query's own margins.

The distance is asymmetric: the query keeps its logits, the items their bits, and a bit that differs costs the query's
margin |logit| in it (Gordo, Perronnin, Gong, Lazebnik: Asymmetric distances for binary embeddings, TPAMI 2014).
Margins count as integers on one scale over all bits that are counted (see `probing.margin_weights`), so that their
sum does not depend on the order of addition. Items of equal sum keep the order of stage two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.indexer.probing import BITS_OF_BYTE, margin_weights, weigh
from hashgrain.indexer.queries import REFINED_BY, Query
from hashgrain.indexer.ranking import Winners
from hashgrain.indexer.request import Rank, SearchRequest
from hashgrain.indexer.spans import Candidates


def refine(
    winners: Winners,
    candidates: Candidates,
    occupied: NDArray[np.uint32],
    query: Query,
    request: SearchRequest,
    layout: CodeLayout,
) -> Winners:
    """The k best of the winners by the query's margins, nearest first; the distances stay what they are.

    Args:
        winners: the `refine` best of stage two.
        candidates: where they were found.
        occupied: uint32 (B,), the coarse codes that the candidates' buckets point to.
        query: with the logits that `require_logits` asks for.
        request: its `k` and `rank`.
        layout: the code lengths.
    """
    margins = Margins.of(query.alone, request.rank, layout)
    cost = weigh(occupied[candidates.buckets[winners.bucket]] ^ np.uint32(query.coarse), margins.coarse)
    for shard, span in enumerate(candidates.spans):
        mine = winners.shard == shard
        cost[mine] += _weigh_fine(span.fine[winners.row[mine]] ^ query.fine, margins.fine)
    return winners[np.argsort(cost, kind="stable")[: request.k]]


@dataclass(frozen=True, eq=False)
class Margins:
    """What it costs to differ from the query in each bit; zero where the ranking does not count it.

    Attributes:
        coarse: int64 (coarse bits,), at most 2**28 each.
        fine: int64 (fine bits,), on the same scale.
    """

    coarse: NDArray[np.int64]
    fine: NDArray[np.int64]

    @classmethod
    def of(cls, query: HashCodes, rank: Rank, layout: CodeLayout) -> Margins:
        """The margins of a query, a single row with the logits that the ranking needs."""
        logits = np.zeros(layout.coarse_bits + layout.fine_bits, np.float32)
        if "coarse" in REFINED_BY[rank] and query.coarse_logits is not None:
            logits[: layout.coarse_bits] = query.coarse_logits[0]
        if "fine" in REFINED_BY[rank] and query.fine_logits is not None:
            logits[layout.coarse_bits :] = query.fine_logits[0]
        weights = margin_weights(logits)
        return cls(weights[: layout.coarse_bits], weights[layout.coarse_bits :])


def _weigh_fine(differing: NDArray[np.uint8], weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum of the weights, int64 (8 * bytes,), of the set bits of each row, uint8 (N, bytes); one table per byte."""
    total = np.zeros(len(differing), np.int64)
    for byte in range(differing.shape[1]):
        total += (BITS_OF_BYTE @ weights[8 * byte : 8 * byte + 8])[differing[:, byte]]
    return total

"""The margins by which a refined answer is ordered."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.packing import coarse_keys
from hashgrain.indexer import SearchRequest
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.searching.ranking import Winners
from hashgrain.indexer.searching.refining import Margins, refine
from hashgrain.indexer.searching.spans import Candidates, Span
from made_records import records_of

LAYOUT = CodeLayout(8, 32)
LOGIT = st.floats(-100, 100, width=32)


def query(coarse: np.ndarray, fine: np.ndarray) -> HashCodes:
    return HashCodes.from_logits(coarse[None, :], fine[None, :])


def refined(codes: HashCodes, items: HashCodes, request: SearchRequest, layout: CodeLayout) -> list[int]:
    """Refine the items of `items`, of two shards, as if stage two had given them in this order; their positions."""
    rows, coarse = np.arange(len(items)), coarse_keys(items.coarse, layout.coarse_bits)
    shard, row = rows % 2, rows // 2
    spans = [
        Span.of(np.array([n]), records_of(np.zeros(len(mine), np.int64), mine, coarse[mine], items.fine[mine]), layout)
        for n, mine in enumerate((rows[0::2], rows[1::2]))
    ]
    candidates = Candidates.of(np.arange(2), np.zeros(1, np.int64), np.full(1, 2), spans)
    columns = (rows, shard, row, shard)
    nothing = np.zeros(1, np.int64), np.zeros((1, len(items)), np.uint16)
    winners = Winners(np.array([len(items)]), *nothing, *(column[None] for column in columns))
    found = refine(winners, candidates, Queries.of(codes, layout, request.rank), request, layout)
    assert found.distances.shape == found.handle.shape == found.row.shape
    return found.handle[0, : found.held[0]].tolist()


def test_both_codes_are_measured_on_one_scale() -> None:
    margins = Margins.of(query(np.full(8, -2.0, np.float32), np.full(32, 4.0, np.float32)), "total", LAYOUT)
    assert margins.coarse.tolist() == [0] * 24 + [2**27] * 8
    assert margins.fine.tolist() == [2**28] * 32


def test_a_code_that_the_ranking_does_not_count_weighs_nothing() -> None:
    codes = query(np.full(8, -2.0, np.float32), np.full(32, 4.0, np.float32))
    assert Margins.of(codes, "fine", LAYOUT).coarse.tolist() == [0] * 32
    coarse = Margins.of(codes, "coarse", LAYOUT)
    assert (coarse.coarse.tolist(), coarse.fine.tolist()) == ([0] * 24 + [2**28] * 8, [0] * 32)


@settings(deadline=None)
@given(st.integers(8, 24), st.sampled_from([32, 72, 256]), st.integers(0, 2**32), st.data())
def test_items_come_by_the_plain_sum_of_the_margins_and_keep_their_order_in_ties(
    coarse_bits: int, fine_bits: int, seed: int, data: st.DataObject
) -> None:
    layout = CodeLayout(coarse_bits, fine_bits)
    asked = query(
        data.draw(arrays(np.float32, coarse_bits, elements=LOGIT)),
        data.draw(arrays(np.float32, fine_bits, elements=LOGIT)),
    )
    bits = np.random.default_rng(seed).random((12, coarse_bits + fine_bits)) < 0.5
    bits[6:] = bits[:6]  # every item twice, so that there are ties
    items = HashCodes(np.packbits(bits[:, :coarse_bits], axis=1), np.packbits(bits[:, coarse_bits:], axis=1))
    margins = Margins.of(asked, "total", layout)
    weights = [*margins.coarse.tolist()[32 - coarse_bits :], *margins.fine.tolist()]
    assert asked.coarse_logits is not None
    assert asked.fine_logits is not None
    mine = [*(asked.coarse_logits[0] > 0).tolist(), *(asked.fine_logits[0] > 0).tolist()]

    def cost(item: int) -> int:
        return sum(weight for weight, a, b in zip(weights, bits[item].tolist(), mine, strict=True) if a != b)

    wanted = sorted(range(12), key=cost)[:7]
    assert refined(asked, items, SearchRequest(7, refine=12), layout) == wanted


def test_the_largest_margins_do_not_overflow() -> None:
    layout = CodeLayout(24, 256)
    asked = query(np.full(24, 3e38, np.float32), np.full(256, 3e38, np.float32))
    items = HashCodes(np.array([[0] * 3, [255] * 3], np.uint8), np.array([[0] * 32, [255] * 32], np.uint8))
    assert refined(asked, items, SearchRequest(2, refine=2), layout) == [1, 0]


def test_nothing_to_refine_is_nothing() -> None:
    asked = query(np.zeros(8, np.float32), np.zeros(32, np.float32))
    empty = HashCodes(np.zeros((0, 1), np.uint8), np.zeros((0, 4), np.uint8))
    assert refined(asked, empty, SearchRequest(2, refine=2), LAYOUT) == []


def test_every_query_is_refined_by_its_own_margins() -> None:
    """The second query has fewer winners than the first, and other margins."""
    logits = np.ones((2, 40), np.float32)
    logits[0, 8:24], logits[1, 24:] = 9, 9
    asked = HashCodes.from_logits(logits[:, :8], logits[:, 8:])
    fine = np.array([[0, 0, 255, 255], [255, 255, 0, 0], [255, 255, 255, 255]], np.uint8)
    records = records_of(np.zeros(3, np.int64), np.arange(3), np.full(3, 255, np.uint32), fine)
    span = Span.of(np.zeros(1, np.int64), records, LAYOUT)
    candidates = Candidates.of(span.buckets, np.zeros(2, np.int64), np.ones(2, np.int64), [span])
    rows = np.array([[0, 1, 2], [0, 1, 2]])
    winners = Winners(np.array([3, 2]), np.zeros(2, np.int64), rows.astype(np.uint16), rows, rows * 0, rows, rows * 0)
    request = SearchRequest(2, refine=3)
    found = refine(winners, candidates, Queries.of(asked, LAYOUT, "total"), request, LAYOUT)
    assert found.held.tolist() == [2, 2]
    assert found.handle.tolist() == [[2, 1], [0, 1]]
    assert found.distances.tolist() == found.handle.tolist()

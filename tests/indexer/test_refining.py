"""The margins by which a refined answer is ordered."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.packing import coarse_keys
from hashgrain.indexer import SearchRequest
from hashgrain.indexer.occupancy import Occupancy
from hashgrain.indexer.queries import Query
from hashgrain.indexer.ranking import Winners
from hashgrain.indexer.records import Records
from hashgrain.indexer.refining import Margins, refine
from hashgrain.indexer.spans import Candidates, Span

LAYOUT = CodeLayout(8, 32)
LOGIT = st.floats(-100, 100, width=32)


def query(coarse: np.ndarray, fine: np.ndarray) -> HashCodes:
    return HashCodes.from_logits(coarse[None, :], fine[None, :])


def refined(codes: HashCodes, items: HashCodes, request: SearchRequest, layout: CodeLayout) -> list[int]:
    """Refine the items of `items` as if stage two had given them in this order."""
    buckets, bucket = np.unique(coarse_keys(items.coarse, layout.coarse_bits), return_inverse=True)
    rows = np.arange(len(items))
    order = np.argsort(bucket, kind="stable")
    span = Span.of(np.arange(len(buckets)), Records(bucket[order], rows[order], items.fine[order]))
    winners = Winners(np.zeros(len(items), np.uint16), np.zeros_like(rows), rows, np.argsort(order), bucket)
    asked = Query.each(codes, [0], Occupancy(buckets, layout.coarse_bits))[0]
    candidates = Candidates.of(span.buckets, [span])
    return refine(winners, candidates, buckets, asked, request, layout).number.tolist()


def test_both_codes_are_measured_on_one_scale() -> None:
    margins = Margins.of(query(np.full(8, -2.0, np.float32), np.full(32, 4.0, np.float32)), "total", LAYOUT)
    assert margins.coarse.tolist() == [2**27] * 8
    assert margins.fine.tolist() == [2**28] * 32


def test_a_code_that_the_ranking_does_not_count_weighs_nothing() -> None:
    codes = query(np.full(8, -2.0, np.float32), np.full(32, 4.0, np.float32))
    assert Margins.of(codes, "fine", LAYOUT).coarse.tolist() == [0] * 8
    coarse = Margins.of(codes, "coarse", LAYOUT)
    assert (coarse.coarse.tolist(), coarse.fine.tolist()) == ([2**28] * 8, [0] * 32)


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
    weights = [*margins.coarse.tolist(), *margins.fine.tolist()]
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

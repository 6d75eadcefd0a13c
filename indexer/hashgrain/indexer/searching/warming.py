"""Compile, or load from where compiled code is kept, all that a search calls: once for each process and layout."""

from __future__ import annotations

from functools import cache

import numpy as np

from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.indexer.request import SearchRequest
from hashgrain.indexer.searching.planning import Plan
from hashgrain.indexer.searching.probing import Probing
from hashgrain.indexer.searching.queries import Queries
from hashgrain.indexer.searching.selection import Selection
from hashgrain.indexer.searching.spans import Candidates, Span
from hashgrain.indexer.stored.directories import Directories
from hashgrain.indexer.stored.fields import fields_of
from hashgrain.indexer.stored.keys import HOLES, NARROW, WIDE, ShardKeys
from hashgrain.indexer.stored.partition import Partition, pack_entries
from hashgrain.indexer.stored.records import Records, pack_records
from hashgrain.indexer.stored.shard import Directory


@cache
def warm_up(layout: CodeLayout, collapse: bool = False) -> None:
    """Answer a query by hand from two buckets, so that no later one of this layout has to wait for the compiler.

    Args:
        layout: the code lengths.
        collapse: whether the query asks for that.
    """
    apart = 0 if collapse else None
    codes = HashCodes(np.zeros((2, layout.coarse_bytes), np.uint8), np.zeros((2, layout.fine_bytes), np.uint8))
    entries = pack_entries(codes.fine, codes.coarse, [0, 0], [0, 0], [NARROW, NARROW])
    whole = Directories([Directory(Partition.parse(b"", entries, layout, ""), live=2, pages=1)], layout)
    queries = Queries.of(codes[:1], layout, "total")
    for width in (NARROW, WIDE):
        handles = np.array([0, HOLES[width] + 1 if width == WIDE else 1])  # kept as uint32, and as int64
        stored = pack_records(codes.fine, codes.coarse, handles, width, np.zeros((2, fields_of(layout).size), np.uint8))
        records = Records.parse(
            [row.tobytes() for row in stored], np.full(2, width, np.uint8), np.arange(2), layout, ShardKeys("", 0)
        )
        spans = [Span.of(whole.everywhere, records, layout)]
        if records.attributes is not None:
            for wanted in (whole.everywhere[:0], whole.everywhere):  # a filter copies the rows of few buckets
                left = spans[0].filtered(wanted, lambda rows: np.ones(len(rows), np.bool_))
            spans = [left]
        for request in (SearchRequest(1, probes=1, collapse=apart), SearchRequest(1, within=0, collapse=apart)):
            probing = Probing(whole, queries)
            plan = Plan.of(probing, 1, request)
            candidates = Candidates.of(plan.buckets, plan.begin, plan.end, spans)
            Selection.of(candidates, probing, queries, request, layout)

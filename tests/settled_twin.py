"""A `ReferenceIndex` that equals an index whose writers have come to rest, budgets and ties and all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hashgrain.codes import HashCodes
from hashgrain.indexer import Index, ReferenceIndex
from hashgrain.indexer.reference import ReferenceBucket
from plain_answers import as_plain
from random_codes import random_codes
from write_history import LAYOUT, Row, Workload

RANKS = ("total", "fine", "coarse")
QUESTIONS: list[dict[str, Any]] = [
    *({"exact": True, "rank": rank} for rank in RANKS),
    *({"candidates": count, "rank": rank} for count in (5, 40) for rank in RANKS),
    *({"probes": count, "rank": rank} for count in (1, 4, 15) for rank in RANKS),
    *({"radius": radius, "rank": "fine"} for radius in (0, 3, 6)),
    *({"within": within} for within in (2, 20, 40)),
    {"within": 15, "rank": "fine"},
    {"within": 2, "rank": "coarse"},
    {},
]


def settled_twin(state: Mapping[str | int, Row]) -> ReferenceIndex:
    """A twin of these items; neither when they were written nor by whom shows in any answer."""
    twin = ReferenceIndex(LAYOUT)
    for item, row in state.items():
        packed = (row.coarse.to_bytes(LAYOUT.coarse_bytes), row.fine.to_bytes(LAYOUT.fine_bytes))
        twin.add([item], HashCodes(*(np.frombuffer(code, np.uint8)[None] for code in packed)), [row.payload])
    return twin


def require_same_answers(
    index: Index, twin: ReferenceIndex, buckets: Sequence[ReferenceBucket], workload: Workload
) -> None:
    """Equal answers to all kinds of questions, with everything that an answer says, over the stored buckets."""
    assert len(index) == len(twin)
    eras = {0, workload.era(workload.steps - 1)}
    queries = HashCodes.concatenate(
        [random_codes(3, LAYOUT, 77, centres=workload.centres, logits=True, era=era) for era in sorted(eras)]
    )
    for question in QUESTIONS:
        for k in (3, 1000):
            wanted = [as_plain(hit) for hit in twin.search(queries, k, payloads=True, buckets=buckets, **question)]
            assert [as_plain(hit) for hit in index.search(queries, k, payloads=True, **question)] == wanted, question

"""After `warm_up` no search waits for the compiler, whatever it asks for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index
from hashgrain.indexer.loops import bounding, centroids, locating, scanning
from hashgrain.indexer.searching.warming import warm_up

ASKED = (
    {"candidates": 5},
    {"probes": 3},
    {"radius": 2},
    {"within": 20},
    {"exact": True},
    {"rank": "fine", "exact": True},
    {"rank": "coarse"},
    {"refine": 20},
    {"deadline": 5.0},
)


def compiled_for() -> dict[str, int]:
    """For how many kinds of arguments each compiled loop is there."""
    loops: list[Any] = [loop for module in (bounding, centroids, locating, scanning) for loop in vars(module).values()]
    return {loop.__name__: len(loop.signatures) for loop in loops if hasattr(loop, "signatures")}


@pytest.mark.parametrize(("coarse_bits", "fine_bits"), [(9, 32), (16, 40), (17, 64), (24, 128)])
@pytest.mark.parametrize("cache_bytes", [None, 1 << 20])
@pytest.mark.parametrize("named", [False, True])
def test_no_search_compiles_anything(
    redis_url: str, coarse_bits: int, fine_bits: int, cache_bytes: int | None, named: bool
) -> None:
    """Neither where handles are kept in four bytes, nor where names need eight."""
    layout = CodeLayout(coarse_bits, fine_bits)
    rng = np.random.default_rng(fine_bits)
    codes = HashCodes.from_logits(
        *(rng.normal(size=(300, bits)).astype(np.float32) for bits in (coarse_bits, fine_bits))
    )
    with Index.create(redis_url, "warmed", layout, shards=2, cache_bytes=cache_bytes, bucket_items=40) as index:
        index.add([f"item-{n}" for n in range(300)] if named else range(300), codes)
        warm_up(layout)
        before = compiled_for()
        assert {
            "scan_each",
            "settle_each",
            "nearest_each",
            "locate",
            "spend_each",
            "unread_bounds_each",
            "bounds_of",
        } <= before.keys()
        for asked in ASKED:
            index.search(codes[:3], 2, **asked)  # type: ignore[arg-type]
        for array in (queries := HashCodes(codes.coarse[:3].copy(), codes.fine[:3].copy())).coarse, queries.fine:
            array.flags.writeable = False
        index.search(queries)
        assert compiled_for() == before
        index.drop()


SCRIPT = """
import sys, numpy as np
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.indexer import Index
with Index.create(sys.argv[1], "cold", CodeLayout(8, 32)) as index:
    codes = HashCodes(np.zeros((1, 1), np.uint8), np.zeros((1, 4), np.uint8))
    index.add(["a"], codes)
    print(index.search(codes, deadline=0.5)[0].ids)
    index.drop()
"""


def test_the_deadline_of_the_first_search_does_not_count_the_compiler_s_time(redis_url: str, tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", SCRIPT, redis_url]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "['a']"

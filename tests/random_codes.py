"""Seeded random codes that crowd around a few centres, so that buckets hold several records and distances tie."""

from __future__ import annotations

import numpy as np

from hashgrain.codes import CodeLayout, HashCodes


def random_codes(
    rows: int,
    layout: CodeLayout,
    seed: int = 0,
    *,
    centres: int = 3,
    flips: float = 0.1,
    logits: bool = False,
    era: int = 0,
) -> HashCodes:
    """`rows` codes, each a centre with a share `flips` of its bits turned over; with logits if asked."""
    # The centres depend on layout and era alone, so that batches of several seeds meet in the same buckets.
    around = np.random.default_rng(7 + era).random((centres, layout.coarse_bits + layout.fine_bits)) < 0.5
    rng = np.random.default_rng(seed)
    bits = around[rng.integers(centres, size=rows)] ^ (rng.random((rows, around.shape[1])) < flips)
    coarse, fine = bits[:, : layout.coarse_bits], bits[:, layout.coarse_bits :]
    signed = [np.where(part, 1, -1) * (rng.exponential(size=part.shape) + 1e-3) for part in (coarse, fine)]
    left, right = (part.astype(np.float32) if logits else None for part in signed)
    return HashCodes(np.packbits(coarse, axis=1), np.packbits(fine, axis=1), left, right)

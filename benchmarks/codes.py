"""Seeded codes that cluster as those of a trained network do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes import CodeLayout, HashCodes


def clustered_codes(count: int, layout: CodeLayout, seed: int, classes: int = 1000) -> HashCodes:
    """Codes of `count` items: class centres, of which each item flips some bits; class sizes follow a power law.

    A bit's logit is its centre's sign times a margin, plus normal noise; the margins differ by bit and class, so that
    some bits are sure and some are not. With logits, as queries need them.
    """
    centres = np.random.default_rng(0)  # the same centres for every seed: queries come from the same classes
    shares = 1 / np.arange(1, classes + 1)
    parts: list[NDArray[np.float32]] = []
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, count, p=shares / shares.sum())
    for bits in (layout.coarse_bits, layout.fine_bits):
        signs = centres.choice(np.array([-1, 1], np.float32), (classes, bits))
        margins = centres.uniform(0.2, 2.2, (classes, bits)).astype(np.float32)
        noise = rng.standard_normal((count, bits), np.float32)
        parts.append((signs * margins)[labels] + 0.8 * noise)
    return HashCodes.from_logits(parts[0], parts[1])

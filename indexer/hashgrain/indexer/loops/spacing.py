"""The compiled loop that leaves out what lies near to something better."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.loops.compiled import bit_count, compiled


@compiled
def keep_apart(words: NDArray[np.uint64], radius: int, kept: NDArray[np.int64]) -> Any:
    """Go through codes, and keep each that is farther than a radius from all that were kept before.

    Args:
        words: uint64 (N, W), the codes, the best first.
        radius: in bits.
        kept: int64 (n,), takes the positions of those that are kept, up to n of them.

    Returns:
        How many are kept.
    """
    held = 0
    for one in range(len(words)):
        if held == len(kept):
            break
        apart = True
        for n in range(held):
            away = np.int64(0)
            for word in range(words.shape[1]):
                away += np.int64(bit_count(words[one, word] ^ words[kept[n], word]))
            if away <= radius:
                apart = False
                break
        if apart:
            kept[held] = one
            held += 1
    return held

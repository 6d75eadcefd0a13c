"""The compiled loops over whole blocks of rows, without branches, that the compiler turns into vector instructions.

Rows are compared with one query. What comes before what is the *place* of a row: the distance of the ranking, and below
it, in `FINE_BITS` bits, the fine distance. Where the ranking is by fine distance, that alone says the same: such rows
are *ranked* by 16 bits instead of 32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.loops import FINE_BITS
from hashgrain.indexer.loops.compiled import bit_count, compiled_part

_COUNTED = 1 << 15  # at once, by 16 bits
_FEW = 2  # times as many as are wanted are few enough


@compiled_part
def distances(
    words: NDArray[np.unsignedinteger], query: NDArray[np.unsignedinteger], distances: NDArray[np.uint16]
) -> None:
    """Hamming distance of every row, written to `distances`."""
    if len(query) == 1:
        only = query[0]
        for n in range(len(distances)):
            distances[n] = bit_count(words[n] ^ only)
    elif len(query) == 2:
        one, two = query[0], query[1]
        for n in range(len(distances)):
            distances[n] = bit_count(words[2 * n] ^ one) + bit_count(words[2 * n + 1] ^ two)
    elif len(query) == 4:
        one, two, three, four = query[0], query[1], query[2], query[3]
        for n in range(len(distances)):
            left = bit_count(words[4 * n] ^ one) + bit_count(words[4 * n + 1] ^ two)
            distances[n] = left + bit_count(words[4 * n + 2] ^ three) + bit_count(words[4 * n + 3] ^ four)
    else:
        for n in range(len(distances)):
            total = np.uint64(0)
            for word in range(len(query)):
                total += np.uint64(bit_count(words[n * len(query) + word] ^ query[word]))
            distances[n] = total


@compiled_part
def places(
    far: NDArray[np.uint16],
    coarse: NDArray[np.unsignedinteger],
    query_coarse: np.unsignedinteger,
    times_fine: int,
    found: NDArray[np.uint32],
) -> None:
    """Place of every row by its fine distance and coarse code, where the coarse distance counts, written to `found`."""
    one, both = np.uint32(1 << FINE_BITS), np.uint32((1 << FINE_BITS) + 1)
    if times_fine:
        for n in range(len(found)):
            found[n] = np.uint32(bit_count(coarse[n] ^ query_coarse)) * one + np.uint32(far[n]) * both
    else:
        for n in range(len(found)):
            found[n] = np.uint32(bit_count(coarse[n] ^ query_coarse)) * one + np.uint32(far[n])


@compiled_part
def least_of(some: NDArray[np.unsignedinteger]) -> Any:
    """The smallest of one or more numbers."""
    least = some[0]
    for n in range(len(some)):
        least = min(least, some[n])
    return least


@compiled_part
def enough(some: NDArray[np.unsignedinteger], wanted: int, most: int, step: int) -> int:
    """A limit that so many of some do not exceed and few more, as far as it can be told; `most` where that is smaller.

    To count those within a limit takes a fraction of the time in which they were computed, so the limit is searched
    for: in doubling steps from the smallest upwards, then by halves.

    Args:
        some: one or more.
        wanted: one or more.
        most: 0 or more, of as many bits as `some` have at most.
        step: the first one.
    """
    if len(some) < wanted:
        return most
    low = int(least_of(some))
    high = min(low, most)
    held = _within(some, high)
    while held < wanted and high < most:
        low, high, step = high + 1, min(high + step, most), 2 * step
        held = _within(some, high)
    while low < high and held > _FEW * wanted:
        middle = (low + high) // 2
        fewer = _within(some, middle)
        if fewer < wanted:
            low = middle + 1
        else:
            high, held = middle, fewer
    return high


@compiled_part
def _within(some: NDArray[np.unsignedinteger], limit: int) -> int:
    """How many do not exceed the limit."""
    total, most = 0, some.dtype.type(limit)
    for low in range(0, len(some), _COUNTED):
        held, part = np.uint16(0), some[low : low + _COUNTED]
        for n in range(len(part)):
            held = np.uint16(held + np.uint16(part[n] <= most))
        total += int(held)
    return total

"""The compiled loops that find all pairs of near codes, and put what they connect together.

By the triangle inequality two codes within r bits of each other are as far from any third one, give or take r. So of
two segments (see `segments`) nothing is compared unless their centroids are as near as both radii and r; of one segment
only codes that are far enough out; and such a code only with those of the other segment that are as far from the other
centroid as it is itself, which are neighbours there: a segment's codes are sorted by that distance. (Pivots rule out
pairs in this way since Burkhard and Keller, CACM 1973.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.indexer.loops.compiled import bit_count, compiled, compiled_part
from hashgrain.indexer.loops.distances import least_of


@compiled
def near_segments(
    centroids: NDArray[np.uint64], radii: NDArray[np.int64], one: int, radius: int, found: NDArray[np.int64]
) -> int:
    """The segments from `one` on that can hold a code within `radius` bits of one of its codes.

    Args:
        centroids: uint64 (W, S), word by word.
        radii: int64 (S,), below 0 where a segment is empty.
        one: number of a segment.
        radius: in bits.
        found: int64 (S,), takes their numbers, ascending.

    Returns:
        How many there are.
    """
    size = centroids.shape[1]
    away = np.zeros(size - one, np.uint16)
    for word in range(len(centroids)):
        mine, others = centroids[word, one], centroids[word, one:]
        for n in range(size - one):
            away[n] += bit_count(others[n] ^ mine)
    held = 0
    for n in range(size - one):
        if radii[one + n] >= 0 and np.int64(away[n]) <= radii[one] + radii[one + n] + radius:
            found[held] = one + n
            held += 1
    return held


@compiled
def join(
    words: NDArray[np.uint64],
    nearer: NDArray[np.int32],
    rung: NDArray[np.int64],
    start: NDArray[np.int64],
    count: NDArray[np.int64],
    centroids: NDArray[np.uint64],
    radii: NDArray[np.int64],
    one: int,
    others: NDArray[np.int64],
    radius: int,
    parent: NDArray[np.uint32],
    at: NDArray[np.int64],
    pairs: NDArray[np.uint32],
    distance: NDArray[np.uint16],
) -> int:
    """Find the pairs of different codes within `radius` bits of each other, one in a segment, the other in some others.

    Args:
        words: uint64 (codes * W,), those of a segment word by word, from W times its first code on.
        nearer, rung: int32 (n,) and int64 (S,): how many codes of segment s are nearer to its centroid than d stands at
            rung[s] + d, for d from 0 to its radius; the codes of a segment are sorted by that distance.
        start, count: int64 (S,), each segment's first code, and how many it has.
        centroids, radii: see `near_segments`.
        one: number of a segment.
        others: int64 (n,), see `near_segments`; may begin with `one`.
        radius: in bits.
        parent: uint32 (codes,), see `unite`: pairs of codes that are connected already are left out. Others may unite
            codes meanwhile. Empty where all pairs are wanted.
        at: int64 (2,), which of the others, and which code of the first, to go on with; takes where it ended.
        pairs, distance: uint32 (n, 2) and uint16 (n,), take pairs, and how far apart they are: room for as many as
            there are codes in the largest segment, or more.

    Returns:
        How many pairs were found. All there are once `at[0]` is the number of the others.
    """
    width, held = len(centroids), 0
    reached, outside = np.empty((2, _largest(count, one, others)), np.uint16)
    middle, code = np.empty((2, width), np.uint64)
    connected = len(parent) > 0
    while at[0] < len(others):
        other = others[at[0]]
        first, second = one, other
        if one != other:
            between = np.int64(0)
            for word in range(width):
                between += np.int64(bit_count(centroids[word, one] ^ centroids[word, other]))
            begin_one = _nearer(nearer, rung, radii, count, one, between - radii[other] - radius)
            begin_other = _nearer(nearer, rung, radii, count, other, between - radii[one] - radius)
            begin = begin_one
            if count[other] - begin_other < count[one] - begin_one:
                first, second, begin = other, one, begin_other
        else:
            begin = 0
        low_of, base, size = start[second], width * start[second], count[second]
        mine, length = width * start[first], count[first]
        begin = max(begin, at[1])
        if begin < length:
            middle[:] = centroids[:, second]
            nearest = _distances(middle, words, mine + begin, length, outside[begin:length])
            if nearest > radii[second] + radius:
                begin = length
        for n in range(begin, length):
            if held + size > len(pairs):
                at[1] = n
                return held
            away = np.int64(outside[n])
            if away > radii[second] + radius:
                continue
            low = n + 1 if one == other else _nearer(nearer, rung, radii, count, second, away - radius)
            high = _nearer(nearer, rung, radii, count, second, away + radius + 1)
            if high <= low:
                continue
            for word in range(width):
                code[word] = words[mine + word * length + n]
            least = _distances(code, words, base + low, size, reached[: high - low])
            if least > radius:
                continue
            root = _root(parent, start[first] + n) if connected else np.uint32(0)
            for m in range(high - low):
                if reached[m] <= radius:
                    if connected and _root(parent, low_of + low + m) == root:
                        continue
                    pairs[held, 0], pairs[held, 1] = start[first] + n, low_of + low + m
                    distance[held] = reached[m]
                    held += 1
        at[0] += 1
        at[1] = 0
    return held


@compiled
def unite(parent: NDArray[np.uint32], following: NDArray[np.uint32], pairs: NDArray[np.uint32]) -> None:
    """Connect pairs of codes.

    A code's `parent` is a code of its component that is not above it; the lowest of a component is its own. (Tarjan,
    JACM 1975; paths are halved, so the parents of other codes may be read meanwhile.)

    Args:
        parent: uint32 (codes,).
        following: uint32 (codes,), the next code of the same component, in a circle.
        pairs: uint32 (n, 2).
    """
    for n in range(len(pairs)):
        one, two = _halved(parent, pairs[n, 0]), _halved(parent, pairs[n, 1])
        if one == two:
            continue
        if one > two:
            one, two = two, one
        parent[two] = one
        following[one], following[two] = following[two], following[one]


@compiled_part
def _halved(parent: NDArray[np.uint32], code: np.uint32) -> Any:
    while parent[code] != code:
        parent[code] = parent[parent[code]]
        code = parent[code]
    return code


@compiled_part
def _root(parent: NDArray[np.uint32], code: int) -> Any:
    found = parent[code]
    while parent[found] != found:
        found = parent[found]
    return found


@compiled_part
def _largest(count: NDArray[np.int64], one: int, others: NDArray[np.int64]) -> Any:
    most = count[one]
    for other in others:
        most = max(most, count[other])
    return most


@compiled_part
def _nearer(
    nearer: NDArray[np.int32],
    rung: NDArray[np.int64],
    radii: NDArray[np.int64],
    count: NDArray[np.int64],
    segment: int,
    distance: np.int64,
) -> Any:
    """How many codes of a segment are nearer to its centroid than that."""
    if distance <= 0:
        return np.int64(0)
    if distance > radii[segment]:
        return count[segment]
    return np.int64(nearer[rung[segment] + distance])


@compiled_part
def _distances(
    code: NDArray[np.uint64], words: NDArray[np.uint64], base: int, size: int, reached: NDArray[np.uint16]
) -> np.int64:
    """Distances of some neighbouring codes of a segment from a code; returns the smallest. One code or more.

    Args:
        code: uint64 (W,).
        words: see `join`.
        base, size: where the first word of the first of them stands, and how far its next word is from it.
        reached: uint16 (n,), takes the distances.
    """
    many = len(reached)
    one, ones = code[0], words[base : base + many]
    if len(code) == 1:
        for n in range(many):
            reached[n] = bit_count(ones[n] ^ one)
    else:
        two, twos = code[1], words[base + size : base + size + many]
        for n in range(many):
            reached[n] = bit_count(ones[n] ^ one) + bit_count(twos[n] ^ two)
    for word in range(2, len(code)):
        more, rest = code[word], words[base + word * size : base + word * size + many]
        for n in range(many):
            reached[n] += bit_count(rest[n] ^ more)
    return np.int64(least_of(reached))

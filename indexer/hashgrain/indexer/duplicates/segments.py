"""Codes in a temporary file, segment by segment, as the loops of `loops.joining` take them.

A segment is what was read of one bucket: items near a centroid. Equal codes of a segment are kept once, as a *code*
with the handles of its items; codes are sorted by their distance from the centroid. Of each item the file holds its
handle (8 bytes) and at most a code (8 bytes for each 64 bits, and 14 more). Memory holds what is said of segments.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import HashgrainError, InvalidInput
from hashgrain.indexer.searching.ranked_codes import Words, distances

MOST_CODES = 1 << 32
"""Codes that a 32-bit number tells apart."""

_AT_ONCE = 1 << 20


class SegmentFile:
    """Where segments are written to, one after another; `finished` gives them all. Close it to have the files gone.

    Args:
        width: 64-bit words of a code.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._columns: dict[str, IO[bytes]] = {}
        with _on_disk():
            for name in ("handle", "words", "far", "first", "size"):
                self._columns[name] = tempfile.TemporaryFile(prefix="hashgrain-")  # noqa: SIM115  # see `close`
        self._codes: list[int] = []
        self._centroids: list[Words] = []
        self._radii: list[int] = []
        self._items = 0

    def append(self, centroids: Words, segment: NDArray[np.int64], words: Words, handle: NDArray[np.int64]) -> None:
        """Write some segments.

        Args:
            centroids: uint64 (S, W).
            segment: int64 (N,), in which of them each item lies.
            words: uint64 (N, W), their codes.
            handle: int64 (N,).

        Raises:
            InvalidInput: these are more codes than can be told apart.
        """
        far = distances(words, centroids[segment])
        order = np.lexsort((handle, *words.T, far, segment))
        segment, words, far, handle = segment[order], words[order], far[order], handle[order]
        new = np.ones(len(order), np.bool_)
        new[1:] = (segment[1:] != segment[:-1]) | (words[1:] != words[:-1]).any(axis=1)
        first = np.flatnonzero(new)
        sizes = np.diff(first, append=len(order))
        codes = np.bincount(segment[first], minlength=len(centroids))
        if sum(self._codes) + len(first) >= MOST_CODES:
            raise InvalidInput(f"duplicates are looked for among fewer than {MOST_CODES:,} codes; this index has more")
        self._write("handle", handle, np.int64)
        self._write("far", far[first], np.uint16)
        self._write("first", first + self._items, np.int64)
        self._write("size", sizes, np.uint32)
        ends = np.cumsum(codes)
        for begin, end in zip((ends - codes).tolist(), ends.tolist(), strict=True):
            self._write("words", words[first[begin:end]].T, np.uint64)
            self._radii.append(int(far[first[end - 1]]) if end > begin else -1)
        self._items += len(order)
        self._codes += codes.tolist()
        self._centroids.append(centroids)

    def finished(self) -> Segments:
        """All that was written."""
        count = np.array(self._codes, np.int64)
        centroids = np.concatenate([np.empty((0, self._width), np.uint64), *self._centroids])
        return Segments(
            self._mapped("handle", np.int64),
            self._mapped("words", np.uint64),
            self._mapped("far", np.uint16),
            self._mapped("first", np.int64),
            self._mapped("size", np.uint32),
            np.cumsum(count) - count,
            count,
            np.ascontiguousarray(centroids.T),
            np.array(self._radii, np.int64),
        )

    def close(self) -> None:
        """Give the disk back; segments that were finished are of no use then."""
        for file in self._columns.values():
            with suppress(OSError):  # where the disk is full, what was not written yet cannot be either
                file.close()

    def _write(self, column: str, values: NDArray[Any], kind: type[np.generic]) -> None:
        with _on_disk():
            self._columns[column].write(np.ascontiguousarray(values, kind).tobytes())

    def _mapped(self, column: str, kind: type[np.generic]) -> NDArray[Any]:
        file = self._columns[column]
        with _on_disk():
            file.flush()
        if not file.tell():
            return np.empty(0, kind)
        return np.asarray(np.memmap(file, kind, "r+"))


@dataclass(frozen=True, eq=False)
class Segments:
    """Segments; S of them, with C codes of N items.

    Attributes:
        handle: int64 (N,), of each item.
        words: uint64 (C * W,), the codes of a segment word by word, from W times its first code on.
        far: uint16 (C,), each code's distance from its segment's centroid; ascends within a segment.
        first, size: int64 (C,) and uint32 (C,), the first item of each code, and how many it has: 0 where it is none.
        start, count: int64 (S,), the first code of each segment, and how many it has.
        centroids: uint64 (W, S), word by word.
        radii: int64 (S,), no code of the segment is farther from its centroid; -1 where there is none.
    """

    handle: NDArray[np.int64]
    words: Words
    far: NDArray[np.uint16]
    first: NDArray[np.int64]
    size: NDArray[np.uint32]
    start: NDArray[np.int64]
    count: NDArray[np.int64]
    centroids: Words
    radii: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)

    def segment_of(self, codes: NDArray[np.integer]) -> NDArray[np.int64]:
        """In which segment each of some codes lies."""
        ends = self.start + self.count
        return np.searchsorted(ends, codes, side="right").astype(np.int64)

    def words_of(self, codes: NDArray[np.integer]) -> Words:
        """Some codes, uint64 (n, W)."""
        at = self.segment_of(codes)
        width = len(self.centroids)
        base = width * self.start[at] + (codes.astype(np.int64) - self.start[at])
        found: Words = self.words[base[:, None] + np.arange(width) * self.count[at][:, None]]
        return found

    def rungs(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """How many codes are nearer to their centroid than each distance up to the radius; see `joining.join`."""
        steps = np.maximum(self.radii + 1, 0)
        rung = np.cumsum(steps) - steps
        nearer = np.empty(int(steps.sum()), np.int32)
        for first, size, at, radius in zip(
            *(a.tolist() for a in (self.start, self.count, rung, self.radii)), strict=True
        ):
            far = self.far[first : first + size]
            nearer[at : at + radius + 1] = np.searchsorted(far, np.arange(radius + 1, dtype=np.uint16))
        return nearer, rung

    def without_doubles(self) -> Segments:
        """The same segments with each item once, as it was read last.

        An item is read twice where it was moved, or given another code, while the index was read. Takes 9 bytes of
        memory for each item while it lasts.
        """
        handles = np.sort(self.handle)
        doubled = np.unique(handles[1:][handles[1:] == handles[:-1]])
        if not len(doubled):
            return self
        parts = range(0, len(self.handle), _AT_ONCE)
        rows = np.concatenate(
            [low + np.flatnonzero(np.isin(self.handle[low : low + _AT_ONCE], doubled)) for low in parts]
        )
        _, from_behind = np.unique(self.handle[rows][::-1], return_index=True)
        outdated = np.delete(rows, len(rows) - 1 - from_behind)
        codes = np.searchsorted(self.first, outdated, side="right") - 1
        for segment in np.unique(self.segment_of(codes)).tolist():
            self._take_out(segment, outdated, codes)
        return self

    def _take_out(self, segment: int, items: NDArray[np.int64], codes: NDArray[np.int64]) -> None:
        """Take items out of a segment; its codes move up, and those that are left without an item are gone."""
        begin, width, held = int(self.start[segment]), len(self.centroids), int(self.count[segment])
        some = slice(begin, begin + held)
        mine = (codes >= begin) & (codes < begin + held)
        for item, code in zip(items[mine][::-1].tolist(), codes[mine][::-1].tolist(), strict=True):
            end = int(self.first[code]) + int(self.size[code])
            self.handle[item : end - 1] = self.handle[item + 1 : end].copy()
            self.size[code] -= 1
        kept = np.flatnonzero(self.size[some])
        left = slice(begin, begin + len(kept))
        base = width * begin
        words = self.words[base : base + width * held].reshape(width, held)[:, kept].copy()
        self.words[base : base + words.size] = words.ravel()
        for column in (self.far, self.first, self.size):
            column[left] = column[some][kept].copy()
        self.size[begin + len(kept) : begin + held] = 0
        self.count[segment] = len(kept)
        self.radii[segment] = int(self.far[left][-1]) if len(kept) else -1


@contextmanager
def _on_disk() -> Iterator[None]:
    """Translate the system's errors."""
    try:
        yield
    except OSError as exc:
        raise HashgrainError(
            f"codes could not be kept in a temporary file ({exc}); looking for duplicates takes about 40 bytes of disk "
            "per item: set TMPDIR to a folder with as much room"
        ) from exc


def joined_ranges(first: NDArray[np.int64], size: NDArray[np.integer]) -> NDArray[np.int64]:
    """The numbers of some ranges, one after another."""
    sizes = size.astype(np.int64)
    before = np.cumsum(sizes) - sizes
    return np.repeat(first - before, sizes) + np.arange(int(sizes.sum()))

"""One bucket with what is said of it elsewhere: what is wrong with it, and what it should be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.hamming import hamming
from hashgrain.codes.layout import CodeLayout
from hashgrain.indexer.check import kinds
from hashgrain.indexer.check.kinds import Kind
from hashgrain.indexer.stored.keys import HOLES, NARROW
from hashgrain.indexer.stored.partition import pack_entries
from hashgrain.indexer.stored.records import body_bytes, code_bytes

MOST_LISTED = 1 << 16
"""Positions of holes from here on are not listed."""


@dataclass(frozen=True, eq=False)
class Bucket:
    """One bucket.

    Attributes:
        number: of it.
        entry: its entry of the partition.
        text: its bytes.
        holes: the list of its holes.
        layout: the code lengths.
    """

    number: int
    entry: bytes
    text: bytes
    holes: bytes | None
    layout: CodeLayout

    @property
    def width(self) -> int:
        """Bytes of a record."""
        return body_bytes(self.layout) + self.entry[-1]

    @property
    def torn(self) -> int:
        """Bytes that stand after the last whole record."""
        return len(self.text) % self.width

    @cached_property
    def rows(self) -> NDArray[np.uint8]:
        """The whole records, holes too, uint8 (N, width)."""
        whole = len(self.text) // self.width
        return np.frombuffer(self.text, np.uint8, whole * self.width).reshape(whole, self.width)

    @cached_property
    def live(self) -> NDArray[np.uint8]:
        """The whole records that are no holes, uint8 (N, width)."""
        live: NDArray[np.uint8] = self.rows[self._is_live]
        return live

    @cached_property
    def handles(self) -> NDArray[np.int64]:
        """The handles of those."""
        handles: NDArray[np.int64] = self._stored[self._is_live]
        return handles

    @cached_property
    def _is_live(self) -> NDArray[np.bool_]:
        live: NDArray[np.bool_] = self._stored != HOLES[self.entry[-1]]
        return live

    @cached_property
    def _stored(self) -> NDArray[np.int64]:
        handles = np.ascontiguousarray(self.rows[:, body_bytes(self.layout) :])
        return handles.view("<u4" if self.entry[-1] == NARROW else "<i8").ravel().astype(np.int64)

    def problems(self) -> list[tuple[Kind, str]]:
        """What is wrong with it, by itself and its entry; it must be readable."""
        found: list[tuple[Kind, str]] = []
        codes, mended = code_bytes(self.layout), self.mended()
        if mended.holes != self.holes:
            words = f"{len(self.rows) - len(self.live)} holes, but {len(self.holes or b'') / 2:g} are listed, or others"
            found.append((kinds.HOLE_LIST, words))
        if len(self.live) and (self.live[:, codes - 1] & self._padding).any():
            found.append((kinds.PADDING, "a record with bits after the end of its coarse code"))
        if self.entry[codes - 1] & self._padding:
            found.append((kinds.CENTROID, f"a centroid of bucket {self.number} with bits after its coarse code"))
        if mended.entry[codes:] != self.entry[codes:]:
            found.append((kinds.RADIUS, f"a record of bucket {self.number} lies farther from its centroid"))
        return found

    def mended(self) -> Bucket:
        """The bucket as it should be."""
        codes, fine_bytes = code_bytes(self.layout), self.layout.fine_bytes
        rows = self.rows.copy()
        rows[:, codes - 1] &= 0xFF ^ self._padding
        live = rows[self._is_live]
        entry = np.frombuffer(self.entry, np.uint8)[None].copy()
        entry[:, codes - 1] &= 0xFF ^ self._padding
        fine, coarse = entry[:, :fine_bytes], entry[:, fine_bytes:codes]
        radii = [int.from_bytes(self.entry[codes : codes + 2], "little"), self.entry[codes + 2]]
        if len(live):
            radii[0] = max(radii[0], int(hamming(fine, live[:, :fine_bytes]).max()))
            radii[1] = max(radii[1], int(hamming(coarse, live[:, fine_bytes:codes]).max()))
        raised = pack_entries(fine, coarse, radii[:1], radii[1:], [self.entry[-1]])
        return replace(self, entry=raised, text=rows.tobytes(), holes=self._hole_list())

    def _hole_list(self) -> bytes | None:
        """The list of its holes; the one that is there where it names the same, None where there are none."""
        holes = np.flatnonzero(~self._is_live)
        listed = holes[holes < MOST_LISTED].astype("<u2").tobytes()
        if self.holes is not None and sorted(_numbers(self.holes)) == _numbers(listed) and listed:
            return self.holes
        return listed or None

    def with_handles_of(self, handle_bytes: int) -> Bucket:
        """The same bytes read with handles of another width."""
        return replace(self, entry=self.entry[:-1] + bytes([handle_bytes]))

    @property
    def _padding(self) -> int:
        """The bits of the last byte of a coarse code that stand after its end."""
        return (1 << (8 * self.layout.coarse_bytes - self.layout.coarse_bits)) - 1


def _numbers(listed: bytes) -> list[int]:
    whole = len(listed) // 2
    numbers: list[int] = np.frombuffer(listed, "<u2", whole).tolist()
    return numbers if len(listed) == 2 * whole else [-1]

"""A whole collection of items, checked, on its way into an empty index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.layout import CodeLayout, HashCodes
from hashgrain.indexer.handles import FIRST_HASHED
from hashgrain.indexer.identifiers import ItemId
from hashgrain.indexer.payloads import encode_payloads
from hashgrain.indexer.writing import items_of


@dataclass(frozen=True, eq=False)
class Collection:
    """Items of different ids; element n of everything belongs to item n.

    Attributes:
        handles: int64 (N,).
        fine: uint8 (N, fine bytes), packed.
        packed_coarse: uint8 (N, coarse bytes).
        encoded: their encoded ids, or None where all handles are integer ids.
        payloads: JSON, or empty; None where no item has any.
    """

    handles: NDArray[np.int64]
    fine: NDArray[np.uint8]
    packed_coarse: NDArray[np.uint8]
    encoded: Sequence[bytes] | None
    payloads: Sequence[bytes] | None

    def __len__(self) -> int:
        return len(self.handles)

    @classmethod
    def of(
        cls,
        ids: Iterable[ItemId],
        codes: HashCodes,
        payloads: Sequence[Mapping[str, Any] | None] | None,
        layout: CodeLayout,
    ) -> Collection:
        """Check ids and payloads; of several items of one id the last counts.

        Integers, as an array or a list, stay numbers: nothing is done to each of them by itself.

        Args:
            ids: one per row of `codes`.
            codes: checked against `layout` before.
            payloads: None, or one (or None) per id.
            layout: the index's code lengths.

        Raises:
            InvalidInput: an id or payload cannot be stored, or there are not as many of each.
        """
        if not isinstance(ids, np.ndarray | list | tuple | range | str | bytes) and isinstance(ids, Iterable):
            ids = list(ids)
        handles = integer_handles(ids)
        if handles is None:
            items = items_of(ids, codes, payloads, layout)
            stored = None if payloads is None else items.payloads
            return cls(items.handles, items.fine, items.packed_coarse, items.encoded, stored)
        if len(handles) != len(codes):
            raise InvalidInput(f"got {len(handles)} ids and {len(codes)} codes; give one id per row of codes")
        stored = None if payloads is None else encode_payloads(payloads, handles.tolist())
        return cls(handles, codes.fine, codes.coarse, None, stored)._last_of_each()

    def __getitem__(self, rows: NDArray[np.intp]) -> Collection:
        """The items at some places, in that order."""
        return Collection(
            self.handles[rows],
            self.fine[rows],
            self.packed_coarse[rows],
            None if self.encoded is None else [self.encoded[n] for n in rows.tolist()],
            None if self.payloads is None else [self.payloads[n] for n in rows.tolist()],
        )

    def _last_of_each(self) -> Collection:
        in_order = self.handles
        if not (in_order[1:] > in_order[:-1]).all():
            in_order = np.sort(in_order)
        if not (in_order[1:] == in_order[:-1]).any():
            return self
        _, from_behind = np.unique(self.handles[::-1], return_index=True)
        return self[np.sort(len(self) - 1 - from_behind)]


def integer_handles(ids: Iterable[ItemId]) -> NDArray[np.int64] | None:
    """The handles, int64 (N,), where all ids are integers that are their own handles; else None."""
    if isinstance(ids, np.ndarray):
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            return None
        numbers = ids
    elif isinstance(ids, list | tuple | range) and set(map(type, ids)) <= {int}:
        try:
            numbers = np.fromiter(ids, np.int64, len(ids))
        except OverflowError:
            return None
    else:
        return None
    if len(numbers) and not -FIRST_HASHED <= int(numbers.min()) <= int(numbers.max()) < FIRST_HASHED:
        return None
    return numbers.astype(np.int64, copy=False)

"""Items on their way into an index, checked as a whole, each id once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.layout import HashCodes
from hashgrain.indexer.stored.fields import Fields
from hashgrain.indexer.stored.handles import FIRST_HASHED, handles_of
from hashgrain.indexer.stored.identifiers import ItemId, decode_id, encode_ids, last_of_each
from hashgrain.indexer.stored.payloads import encode_payloads


@dataclass(frozen=True, eq=False)
class Collection:
    """Items of different ids; element n of everything belongs to item n.

    Attributes:
        handles: int64 (N,).
        fine: uint8 (N, fine bytes), packed.
        packed_coarse: uint8 (N, coarse bytes).
        encoded: their encoded ids, or None where all handles are integer ids.
        payloads: JSON, or empty; None where no item has any.
        attributes: uint8 (N, bytes), of an index with fields; None before `with_fields`, and without fields.
    """

    handles: NDArray[np.int64]
    fine: NDArray[np.uint8]
    packed_coarse: NDArray[np.uint8]
    encoded: Sequence[bytes] | None
    payloads: Sequence[bytes] | None
    attributes: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.handles)

    @classmethod
    def of(
        cls,
        ids: Iterable[ItemId],
        codes: HashCodes,
        payloads: Sequence[Mapping[str, Any] | None] | None,
    ) -> Collection:
        """Check ids and payloads; of several items of one id the last counts.

        Integers, as an array or a list, stay numbers: nothing is done to each of them by itself.

        Args:
            ids: one per row of `codes`.
            codes: checked against the index's layout before.
            payloads: None, or one (or None) per id.

        Raises:
            InvalidInput: an id or payload cannot be stored, there are not as many of each, or two ids have one handle.
        """
        if not isinstance(ids, np.ndarray | list | tuple | range | str | bytes) and isinstance(ids, Iterable):
            ids = list(ids)
        handles = integer_handles(ids)
        if handles is None:
            return cls.named(ids, codes, payloads)
        _require_as_many(len(handles), codes)
        stored = None if payloads is None else encode_payloads(payloads, handles.tolist())
        return cls(handles, codes.fine, codes.coarse, None, stored)._last_of_each()

    @classmethod
    def named(
        cls, ids: Iterable[ItemId], codes: HashCodes, payloads: Sequence[Mapping[str, Any] | None] | None
    ) -> Collection:
        """The same, whatever the ids are: each is looked at by itself, and kept as it is encoded."""
        encoded = encode_ids(ids)
        _require_as_many(len(encoded), codes)
        stored = None if payloads is None else encode_payloads(payloads, list(map(decode_id, encoded)))
        items = cls(handles_of(encoded), codes.fine, codes.coarse, encoded, stored)
        kept = last_of_each(encoded)
        if len(kept) < len(items):
            items = items[np.array(kept)]
        _require_no_collision(items.handles, [encoded[row] for row in kept])
        return items

    def __getitem__(self, rows: NDArray[np.intp]) -> Collection:
        """The items at some places, in that order."""
        return Collection(
            self.handles[rows],
            self.fine[rows],
            self.packed_coarse[rows],
            None if self.encoded is None else [self.encoded[n] for n in rows.tolist()],
            None if self.payloads is None else [self.payloads[n] for n in rows.tolist()],
            None if self.attributes is None else self.attributes[rows],
        )

    def with_fields(self, fields: Fields) -> Collection:
        """The same items as an index with such fields takes them.

        Raises:
            InvalidInput: a payload has a value of another kind than its field.
        """
        if not fields:
            return self
        names = self.handles.tolist() if self.encoded is None else list(map(decode_id, self.encoded))
        return replace(self, attributes=fields.pack(self.payloads, names))

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


def _require_as_many(ids: int, codes: HashCodes) -> None:
    if ids != len(codes):
        raise InvalidInput(f"got {ids} ids and {len(codes)} codes; give one id per row of codes")


def _require_no_collision(handles: NDArray[np.int64], encoded: Sequence[bytes]) -> None:
    order = np.argsort(handles, kind="stable")
    same = np.flatnonzero(np.diff(handles[order]) == 0)
    if len(same):
        one, two = (decode_id(encoded[order[n]]) for n in (same[0], same[0] + 1))
        raise InvalidInput(
            f"the ids {one!r} and {two!r} have the same 61-bit hash, so an index cannot hold both; give one of them "
            "another id"
        )

"""External ids: how they are encoded.

A string is its UTF-8 bytes. An integer is the byte 0xff, which no UTF-8 text has in it, and its decimal digits.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hashgrain.codes.errors import IndexCorrupt, InvalidInput

ItemId = str | int

LONGEST_ID = 511
"""Bytes that a string may take."""

INTEGER = b"\xff"
"""What the encoded id of an integer begins with."""

_INT64 = (-(1 << 63), (1 << 63) - 1)


def encode_ids(ids: Iterable[ItemId]) -> list[bytes]:
    """Encode ids, in order.

    Args:
        ids: strings and integers, Python's or NumPy's; "5" and 5 are two different ids.

    Raises:
        InvalidInput: `ids` is one string instead of a list, or an id is empty, too long, or of another type.
    """
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise InvalidInput(
            f"ids must be a list of strings or integers, got {type(ids).__name__}; put a single id in []"
        )
    # Most collections are numbered by small integers: these are not worth a call each.
    return [
        b"\xff%d" % item if type(item) is int and 0 <= item <= _INT64[1] else _encode(position, item)
        for position, item in enumerate(ids)
    ]


def decode_id(encoded: bytes) -> ItemId:
    """The id that `encode_ids` encoded, with its own type.

    Raises:
        IndexCorrupt: these bytes are no encoded id.
    """
    try:
        if encoded[:1] == INTEGER:
            return int(encoded[1:])
        if encoded:
            return encoded.decode()
    except ValueError:
        pass
    raise IndexCorrupt(f"{encoded[:40]!r} is stored as an item's id, but is none; drop the index and build it again")


def last_of_each(encoded: list[bytes]) -> list[int]:
    """Positions that remain when of each id only the last stays, ascending."""
    return sorted({item: position for position, item in enumerate(encoded)}.values())


def _encode(position: int, item: object) -> bytes:
    if isinstance(item, bool | np.bool_):
        raise InvalidInput(f"id {position} is the boolean {item}; an id is a string or an integer")
    if isinstance(item, str):
        if not item:
            raise InvalidInput(f"id {position} is an empty string; give every item a name or a number")
        return _encode_string(position, item)
    if isinstance(item, int | np.integer):
        low, high = _INT64
        if not low <= item <= high:
            raise InvalidInput(f"id {position} is {item}, integer ids have 64 bits ({low} to {high}); use a string")
        return b"\xff%d" % int(item)
    raise InvalidInput(f"id {position} is of type {type(item).__name__}; an id is a string or an integer")


def _encode_string(position: int, item: str) -> bytes:
    try:
        encoded = item.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            f"id {position}, {item[:40]!r}, cannot be written as UTF-8; take out its surrogates"
        ) from None
    if len(encoded) > LONGEST_ID:
        raise InvalidInput(
            f"id {position}, {item[:40]!r}..., takes {len(encoded)} bytes, at most {LONGEST_ID} are allowed; "
            "use a shorter name and keep the long one in the payload"
        )
    return encoded

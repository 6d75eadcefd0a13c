"""Fields: values of payloads that an index keeps beside the codes, so that searches can filter by them.

They are declared when an index is created. Each takes a fixed number of bytes in every record, its *attributes*,
between the codes and the handle, so that a reading of buckets has all that a filter asks about:

    keyword   8 bytes  a string: the BLAKE2b hash (RFC 7693) of its UTF-8 bytes, 64 bits, never 0; 0 where missing
    number    8 bytes  a floating-point number; NaN where missing
    integer   8 bytes  signed; the smallest of all where missing
    boolean   1 byte   0 or 1; 255 where missing

All little-endian, in the order of declaration. A field is missing where the payload has no such key, or null under it.
Two strings whose hashes agree are one to a filter; of a million different ones some two do by chance once in 37 million
indexes.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput
from hashgrain.codes.layout import CodeLayout

Kind = Literal["keyword", "number", "integer", "boolean"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MOST_FIELDS = 32

NO_INTEGER, NO_BOOLEAN = -(1 << 63), 255
"""What stands for a missing integer and a missing boolean."""

_STORED = {"keyword": "<u8", "number": "<f8", "integer": "<i8", "boolean": "u1"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_TAKEN = ("and", "or", "not")


@dataclass(frozen=True)
class Fields:
    """The fields of an index, name and kind of each in order; falsy where there is none.

    Raises:
        InvalidInput: a name or kind cannot be one, a name comes twice, or they are too many.
    """

    declared: tuple[tuple[str, Kind], ...] = ()

    def __post_init__(self) -> None:
        for name, kind in self.declared:
            if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN:
                raise InvalidInput(
                    f"{name!r} cannot name a field: use 1 to 64 letters (a to z), digits, '_' and '-', a letter or '_' "
                    f"first, and none of {', '.join(_TAKEN)}"
                )
            if kind not in KINDS:
                raise InvalidInput(f"field {name!r} is to be of the kind {kind!r}; it can be {', '.join(KINDS)}")
        if len(dict(self.declared)) < len(self.declared):
            raise InvalidInput("a field is declared twice; name each once")
        if len(self.declared) > MOST_FIELDS:
            raise InvalidInput(f"{len(self.declared)} fields are declared, an index has {MOST_FIELDS} at most")

    @classmethod
    def of(cls, declared: Mapping[str, Kind] | None) -> Fields:
        """Fields as a user declares them.

        Raises:
            InvalidInput: see above.
        """
        if declared is not None and not isinstance(declared, Mapping):
            raise InvalidInput(f'fields are a dict such as {{"price": "number"}}, got {type(declared).__name__}')
        return cls(tuple((declared or {}).items()))

    def __len__(self) -> int:
        return len(self.declared)

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Kind by name."""
        return dict(self.declared)

    @cached_property
    def type(self) -> np.dtype[np.void]:
        """The attributes of a record as NumPy sees them."""
        return np.dtype([(name, _STORED[kind]) for name, kind in self.declared])

    @property
    def size(self) -> int:
        """Bytes of a record's attributes."""
        return self.type.itemsize if self.declared else 0

    def pack(self, payloads: Sequence[bytes] | None, names: Sequence[object]) -> NDArray[np.uint8]:
        """The attributes of some items, uint8 (N, bytes).

        Args:
            payloads: JSON of each, or empty; None where no item has any.
            names: their ids, for messages.

        Raises:
            InvalidInput: a value is of another kind than its field.
        """
        if not self.declared:
            return np.empty((len(names), 0), np.uint8)
        rows = np.zeros(len(names), self.type)
        decoded = [json.loads(stored) if stored else {} for stored in payloads or [b""] * len(names)]
        for field, kind in self.declared:
            for row, (payload, name) in enumerate(zip(decoded, names, strict=True)):
                try:
                    rows[field][row] = stored_value(kind, payload.get(field))
                except ValueError as exc:
                    raise InvalidInput(
                        f"item {name!r} has {payload[field]!r:.80} in the field {field!r}, which holds {exc}"
                    ) from None
        return rows.view(np.uint8).reshape(len(rows), self.size)


NO_FIELDS = Fields()


@dataclass(frozen=True)
class FieldedLayout(CodeLayout):
    """The lengths of the codes of an index whose records carry attributes.

    Attributes:
        fields: which.
    """

    fields: Fields = NO_FIELDS


def with_fields(layout: CodeLayout, fields: Fields) -> CodeLayout:
    """The layout of the records of an index; without fields it is that of the codes."""
    return FieldedLayout(layout.coarse_bits, layout.fine_bits, fields) if fields else layout


def fields_of(layout: CodeLayout) -> Fields:
    """The fields of records of a layout."""
    return layout.fields if isinstance(layout, FieldedLayout) else NO_FIELDS


def stored_value(kind: Kind, value: Any) -> int | float:
    """A value as it is stored and compared.

    Raises:
        ValueError: it is of another kind; the message says what the kind holds.
    """
    if kind == "keyword":
        if value is None:
            return 0
        if not isinstance(value, str):
            raise ValueError("strings")
        return (
            int.from_bytes(hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
            or 1
        )
    if kind == "boolean":
        if value is None:
            return NO_BOOLEAN
        if not isinstance(value, bool):
            raise ValueError("true or false")
        return int(value)
    if kind == "integer":
        if value is None:
            return NO_INTEGER
        if isinstance(value, bool) or not isinstance(value, int) or not NO_INTEGER < value < 1 << 63:
            raise ValueError("integers of 64 bits")
        return value
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("numbers")
    try:
        return float(value)
    except OverflowError:
        raise ValueError("numbers") from None

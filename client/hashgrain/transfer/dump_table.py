"""The rows of a dump: what is known of an item, and nothing of how an index stores it.

id       string or null     the id, where that is a string
number   int64 or null      the id, where that is an integer
coarse   fixed_size_binary[ceil(nc / 8)]      packed, most significant bit first
fine     fixed_size_binary[nf / 8]
payload  string or null     JSON
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashgrain.client.sinks.codes_table import binary_array, bytes_matrix
from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import DataError, IndexCorrupt
from hashgrain.indexer.adding.collection import Collection, integer_handles
from hashgrain.indexer.managing.fetching import encoded_of
from hashgrain.indexer.stored.handles import handles_of
from hashgrain.indexer.stored.identifiers import INTEGER, encode_ids
from hashgrain.indexer.stored.payloads import decode_payload


def schema_of(layout: CodeLayout) -> pa.Schema:
    """The columns."""
    return pa.schema(
        {
            "id": pa.string(),
            "number": pa.int64(),
            "coarse": pa.binary(layout.coarse_bytes),
            "fine": pa.binary(layout.fine_bytes),
            "payload": pa.string(),
        }
    )


def table_of(items: Collection, layout: CodeLayout) -> pa.Table:
    """Items as rows, in order."""
    if items.encoded is None:
        ids, numbers = pa.nulls(len(items), pa.string()), pa.array(items.handles, pa.int64())
    else:
        ids = pa.array([None if name[:1] == INTEGER else name.decode() for name in items.encoded], pa.string())
        numbers = pa.array([int(name[1:]) if name[:1] == INTEGER else None for name in items.encoded], pa.int64())
    payloads = pa.nulls(len(items), pa.string())
    if items.payloads is not None:
        payloads = pa.array([payload.decode() or None for payload in items.payloads], pa.string())
    columns = [ids, numbers, binary_array(items.packed_coarse), binary_array(items.fine), payloads]
    return pa.table(columns, schema=schema_of(layout))


def items_of(table: pa.Table, layout: CodeLayout, source: str) -> Collection:
    """Rows as items, in order; `source` is where they come from, for the messages.

    Raises:
        DataError: a row has no id or two, or a payload is no JSON object.
        InvalidInput: an id cannot be one.
    """
    handles, encoded = _ids(table, source)
    payloads = None
    if table["payload"].null_count < len(table):
        payloads = [(payload or "").encode() for payload in table["payload"].to_pylist()]
        try:
            for payload in payloads:
                decode_payload(payload or None, source)
        except IndexCorrupt:
            raise DataError(f"{source} has a payload that is no JSON object; dump the index again") from None
    fine, coarse = bytes_matrix(table["fine"], layout.fine_bytes), bytes_matrix(table["coarse"], layout.coarse_bytes)
    return Collection(handles, fine, coarse, encoded, payloads)


def content_of(items: Collection) -> Sequence[bytes]:
    """The bytes that stand for items in a dump's checksum, whatever the file spends on them."""
    encoded = encoded_of(items)
    payloads = items.payloads or [b""] * len(items)
    return (
        b"%d" % len(items),
        _lengths(encoded),
        b"".join(encoded),
        items.packed_coarse.tobytes(),
        items.fine.tobytes(),
        _lengths(payloads),
        b"".join(payloads),
    )


def _ids(table: pa.Table, source: str) -> tuple[NDArray[np.int64], Sequence[bytes] | None]:
    if table["number"].null_count == 0 and table["id"].null_count == len(table):
        numbers = table["number"].to_numpy()
        handles = integer_handles(numbers)
        if handles is not None:
            return handles, None
    pairs = zip(table["id"].to_pylist(), table["number"].to_pylist(), strict=True)
    ids: list[Any] = []
    for text, number in pairs:
        if (text is None) == (number is None):
            raise DataError(f"{source} has a row with no id, or with two; dump the index again")
        ids.append(number if text is None else text)
    encoded = encode_ids(ids)
    return handles_of(encoded), encoded


def _lengths(parts: Sequence[bytes]) -> bytes:
    return np.fromiter(map(len, parts), "<u4", len(parts)).tobytes()

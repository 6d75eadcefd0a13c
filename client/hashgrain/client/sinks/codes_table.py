"""Codes as a table, the same in Parquet and in Arrow's IPC files.

    id             string or int64
    coarse         fixed_size_binary[ceil(nc / 8)]      packed, most significant bit first
    fine           fixed_size_binary[nf / 8]
    payload        string                               JSON, null where there is none
    coarse_logits  fixed_size_list<float32>[nc]         only where asked for
    fine_logits    fixed_size_list<float32>[nf]         only where asked for

The schema's metadata carries hashgrain.codes_version, .coarse_bits, .fine_bits and .fingerprint. The format is pinned
by tests/golden/codes_v1.parquet: a change needs a new version.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashgrain.client.sources.items import ItemId
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import DataError, InvalidInput

CODES_VERSION = 1


@dataclass(frozen=True, eq=False)
class StoredCodes:
    """What a file of codes holds.

    Attributes:
        ids: strings or integers, one per row.
        codes: the codes, with the logits that the file has.
        layout: the code lengths.
        fingerprint: of the model that made them.
        payloads: one per row, {} where there is none.
    """

    ids: list[ItemId]
    codes: HashCodes
    layout: CodeLayout
    fingerprint: str
    payloads: list[dict[str, Any]]


def columns_of(ids: list[ItemId], codes: HashCodes, payloads: list[dict[str, Any]]) -> dict[str, pa.Array]:
    """The columns of some rows, by name.

    Raises:
        DataError: strings and integers are mixed as ids.
    """
    columns = {
        "id": _id_array(ids),
        "coarse": binary_array(codes.coarse),
        "fine": binary_array(codes.fine),
        "payload": pa.array([json.dumps(payload) if payload else None for payload in payloads], pa.string()),
    }
    for name, logits in (("coarse_logits", codes.coarse_logits), ("fine_logits", codes.fine_logits)):
        if logits is not None:
            columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(logits.ravel()), logits.shape[1])
    return columns


def schema_of(columns: dict[str, pa.Array], layout: CodeLayout, fingerprint: str) -> pa.Schema:
    """The schema of such columns, with the metadata."""
    fields = [pa.field(name, column.type) for name, column in columns.items()]
    return pa.schema(fields, _metadata(layout, fingerprint))


def stored_codes(table: pa.Table, source: str) -> StoredCodes:
    """What a table holds; `source` is where it comes from, for the messages.

    Raises:
        DataError: it holds no codes, or has a version that this code does not know.
        KeyError, ValueError, pyarrow.ArrowException: it is damaged.
    """
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    layout, fingerprint = _read_metadata(metadata, source)
    codes = HashCodes(
        bytes_matrix(table["coarse"], layout.coarse_bytes),
        bytes_matrix(table["fine"], layout.fine_bytes),
        _float_matrix(table, "coarse_logits", layout.coarse_bits),
        _float_matrix(table, "fine_logits", layout.fine_bits),
    )
    codes.check(layout, source)
    payloads = [json.loads(text) if text else {} for text in table["payload"].to_pylist()]
    return StoredCodes(table["id"].to_pylist(), codes, layout, fingerprint, payloads)


def _metadata(layout: CodeLayout, fingerprint: str) -> dict[str, str]:
    return {
        "hashgrain.codes_version": str(CODES_VERSION),
        "hashgrain.coarse_bits": str(layout.coarse_bits),
        "hashgrain.fine_bits": str(layout.fine_bits),
        "hashgrain.fingerprint": fingerprint,
    }


def _read_metadata(metadata: dict[str, str], path: str) -> tuple[CodeLayout, str]:
    version = metadata.get("hashgrain.codes_version")
    if version is None:
        raise DataError(f"{path} holds a table, but none of codes; write one with `hashgrain encode`")
    if version != str(CODES_VERSION):
        raise DataError(
            f"{path} has version {version} of the format, this code reads {CODES_VERSION}; use the release that wrote "
            "it, or encode again"
        )
    try:
        layout = CodeLayout(int(metadata["hashgrain.coarse_bits"]), int(metadata["hashgrain.fine_bits"]))
        return layout, metadata["hashgrain.fingerprint"]
    except (KeyError, ValueError, InvalidInput) as exc:
        raise DataError(f"{path} carries metadata that cannot be read ({exc}); encode again") from exc


def _id_array(ids: list[ItemId]) -> pa.Array:
    try:
        return pa.array(ids, pa.int64() if isinstance(ids[0], int) else pa.string())
    except (pa.ArrowException, OverflowError, TypeError) as exc:
        raise DataError(f"ids must be all strings or all integers of 64 bits ({exc})") from exc


def binary_array(codes: NDArray[np.uint8]) -> pa.Array:
    """Packed codes, uint8 (N, bytes), as a column of binary values of fixed size."""
    rows, width = codes.shape
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(codes.tobytes())])


def bytes_matrix(column: pa.ChunkedArray, width: int) -> NDArray[np.uint8]:
    """Such a column as an array again, uint8 (N, width).

    Raises:
        ValueError: its values have another size.
    """
    return np.frombuffer(b"".join(column.to_pylist()), np.uint8).reshape(len(column), width)


def _float_matrix(table: pa.Table, name: str, bits: int) -> NDArray[np.float32] | None:
    if name not in table.schema.names:
        return None
    flat: NDArray[np.float32] = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, bits)

"""`NpyWriter`: codes as one structured array for `numpy.load`.

    id             int64, or text of fixed width (the longest id's)
    coarse, fine   uint8, packed: array["fine"] has the shape (N, nf / 8)
    coarse_logits, fine_logits   float32, where asked for

The ids stand beside their codes, in one file, so that the two cannot be parted. Payloads and the model's fingerprint
have no place in it.
"""

from __future__ import annotations

import tempfile
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


class NpyWriter:
    """Writes tables of codes (see `codes_table`) into an open file when it is closed.

    Until then they lie in a temporary file: how wide the ids are is known only in the end, and comes first in the file.
    """

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._file = file
        self._schema = schema
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._stream = pa.ipc.new_stream(self._spool, schema)
        self._rows = 0
        self._width = 1

    def write_table(self, table: pa.Table) -> None:
        """Take some rows."""
        self._stream.write_table(table)
        self._rows += len(table)
        if pa.types.is_string(table.schema.field("id").type):
            self._width = max(self._width, pc.max(pc.utf8_length(table["id"])).as_py())

    def close(self) -> None:
        """Write the file."""
        self._stream.close()
        dtype = self._dtype()
        header = {"descr": dtype.descr, "fortran_order": False, "shape": (self._rows,)}
        np.lib.format.write_array_header_2_0(self._file, header)
        self._spool.seek(0)
        with self._spool, pa.ipc.open_stream(self._spool) as stream:
            for batch in stream:
                self._file.write(_rows(batch, dtype).tobytes())

    def _dtype(self) -> np.dtype[Any]:
        fields: list[Any] = []
        for field in self._schema:
            if field.name == "id":
                fields.append(("id", f"<U{self._width}" if pa.types.is_string(field.type) else "<i8"))
            elif pa.types.is_fixed_size_binary(field.type):
                fields.append((field.name, "u1", (field.type.byte_width,)))
            elif pa.types.is_fixed_size_list(field.type):
                fields.append((field.name, "<f4", (field.type.list_size,)))
        return np.dtype(fields)


def _rows(batch: pa.RecordBatch, dtype: np.dtype[Any]) -> NDArray[Any]:
    rows = np.empty(len(batch), dtype)
    for name in dtype.names or ():
        column = batch.column(name)
        if name == "id":
            rows[name] = column.to_pylist()
        elif pa.types.is_fixed_size_binary(column.type):
            rows[name] = np.frombuffer(b"".join(column.to_pylist()), np.uint8).reshape(rows[name].shape)
        else:
            rows[name] = column.flatten().to_numpy(zero_copy_only=False).reshape(rows[name].shape)
    return rows

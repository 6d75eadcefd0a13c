"""Pictures in a Parquet file: a column of image files' bytes, plain or as Hugging Face's struct {bytes, path}, or one
of paths and addresses. Or vectors: a column of lists of floats, for a model that takes embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hashgrain.client.sources.items import Item, ItemId, Readable, joined, printable
from hashgrain.client.sources.location import Location
from hashgrain.client.sources.remote_file import BrokenOff
from hashgrain.client.sources.vectors import vector_bytes
from hashgrain.codes.errors import DataError
from hashgrain.codes.first_line import first_line

ROWS_AT_A_TIME = 256


class ParquetSource:
    """The rows of a Parquet file.

    Args:
        path: the file, here or at an address.
        image_column: the column of images; by default the only one that holds bytes, or else the only one of
            vectors. One of strings holds paths,
            relative to the file, or addresses.
        id_column: a column of unique strings or integers; by default ids are the file's stem and the row.
        payload_columns: columns to keep as payload; without any it is the file and the row.
        prefix: begins the ids that are made of the row, instead of the file's stem.

    Raises:
        DataError: the file is no Parquet file or empty, or a column is missing or has a type that does not serve.
    """

    def __init__(
        self,
        path: Path | Location,
        *,
        image_column: str | None = None,
        id_column: str | None = None,
        payload_columns: tuple[str, ...] = (),
        prefix: str = "",
    ) -> None:
        self._path = path = path if isinstance(path, Location) else Location(str(path))
        try:
            with path.open() as file:
                self._schema = pq.read_schema(file)
                self._rows = pq.read_metadata(file).num_rows
        except BrokenOff as exc:
            raise exc.told(path, "its beginning") from exc
        except (OSError, pa.ArrowException) as exc:
            raise DataError(f"{path} cannot be read as Parquet ({first_line(exc)}); give a .parquet file") from exc
        if not self._rows:
            raise DataError(f"{path} has no rows; give a file with images in it")
        self._image = self._image_column(image_column)
        self._id = self._checked(id_column, _is_id, "an id: a string or an integer") if id_column else None
        self._payload = [
            self._checked(name, _is_payload, "a payload: a string, number, boolean or list of these")
            for name in payload_columns
        ]
        self._prefix = prefix or printable(path.stem)

    def __iter__(self) -> Iterator[Item]:
        """See `Source`."""
        columns = [self._image, *([self._id] if self._id else []), *self._payload]
        row = 0
        try:
            with self._path.open() as opened, pq.ParquetFile(opened) as file:
                for batch in file.iter_batches(ROWS_AT_A_TIME, columns=list(dict.fromkeys(columns))):
                    for values in batch.to_pylist():
                        yield self._item(row, values)
                        row += 1
        except BrokenOff as exc:
            raise exc.told(self._path, f"row {row}") from exc
        except (OSError, pa.ArrowException) as exc:
            raise DataError(f"{self._path} is damaged after row {row} ({first_line(exc)}); fetch it again") from exc

    def count(self) -> int:
        """See `Source`."""
        return int(self._rows)

    def _item(self, row: int, values: dict[str, Any]) -> Item:
        payload = {name: values[name] for name in self._payload}
        return Item(
            self._item_id(row, values),
            self._picture(values[self._image]),
            payload or self._origin(row, values[self._image]),
        )

    def _origin(self, row: int, cell: object) -> dict[str, Any]:
        """The payload where no column is named for it."""
        if isinstance(cell, str):
            return {"path": str(self._path.beside(cell))}
        return {"path": printable(str(self._path)), "row": row}

    def _item_id(self, row: int, values: dict[str, Any]) -> ItemId:
        if self._id is None:
            return joined(self._prefix, str(row))
        value: ItemId | None = values[self._id]
        if value is None:
            raise DataError(f"{self._path}: row {row} has no value in the id column {self._id}; give every row an id")
        return value

    def _picture(self, cell: dict[str, Any] | list[float] | bytes | str | None) -> Path | bytes | Readable:
        """Hugging Face leaves the bytes out where the file lies beside; an empty cell is rejected as an empty file."""
        if isinstance(cell, str) and cell:
            return self._path.beside(cell).image()
        if isinstance(cell, list):
            return vector_bytes(cell)
        if not isinstance(cell, dict):
            return cell if isinstance(cell, bytes) else b""
        if cell["bytes"] is None and cell.get("path"):
            return self._path.beside(str(cell["path"])).image()
        return bytes(cell["bytes"] or b"")

    def _image_column(self, name: str | None) -> str:
        if name is not None:
            wanted = "images or vectors: bytes, a struct with a field bytes, paths, or lists of floats"
            return self._checked(name, lambda kind: _is_named_image(kind) or _is_vector(kind), wanted)
        images, vectors = ([f.name for f in self._schema if fits(f.type)] for fits in (_is_image, _is_vector))
        found = images or vectors
        if len(found) != 1:
            what = "images" if images else "vectors"
            several = (
                f"{len(found)} columns that could hold {what} ({', '.join(found)})"
                if found
                else "no image column, and none of vectors"
            )
            raise DataError(f"{self._path} has {several}, its columns are {self._columns()}; name one: --image-column")
        return str(found[0])

    def _checked(self, name: str, fits: Any, what: str) -> str:
        if name not in self._schema.names:
            raise DataError(f"{self._path} has no column {name}, its columns are {self._columns()}")
        found = self._schema.field(name).type
        if not fits(found):
            raise DataError(f"{self._path}: the column {name} is of type {found} and cannot be {what}")
        return name

    def _columns(self) -> str:
        return ", ".join(self._schema.names)


def _is_image(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _is_bytes(kind.field(index).type)
    return _is_bytes(kind)


def _is_named_image(kind: pa.DataType) -> bool:
    return _is_image(kind) or _is_text(kind)


def _is_vector(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return lists and bool(pa.types.is_floating(kind.value_type))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_id(kind: pa.DataType) -> bool:
    return _is_text(kind) or bool(pa.types.is_integer(kind))


def _is_payload(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_dictionary(kind):
        return _is_payload(kind.value_type)
    return _is_id(kind) or bool(pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind))

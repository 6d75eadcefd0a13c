"""The Parquet layout of Hugging Face's image data sets.

One row per picture: `img` or `image`, a struct of the file's bytes (and a path), and the labels, either `label` or
`fine_label` + `coarse_label`. The class names stand in the schema's metadata under `huggingface`, or are the labels
themselves where these are strings.

A file without pictures may hold vectors that another network has made: `vector` or `embedding`, or its only column of
lists of floats.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hashgrain.codes.cores import usable_cores
from hashgrain.codes.errors import DataError, ImageRejected
from hashgrain.codes.images import decode
from hashgrain.export.dataset import LabelledImages
from hashgrain.export.readers.vectors import checked_vectors, numbered, parents

IMAGE_COLUMNS = ("img", "image")
VECTOR_COLUMNS = ("vector", "embedding")


def read(folder: Path, split: str, size: int) -> LabelledImages:
    """Read the files of one split, `folder`/`split`-*.parquet, in the order of their names.

    Raises:
        DataError: there is no file of that split, or one cannot be read.
    """
    return read_files(files_of(folder, split), size, f"{folder} ({split})")


def read_files(files: Sequence[Path], size: int, source: str) -> LabelledImages:
    """Read Parquet files as one data set.

    Raises:
        DataError: a file, a column or a picture cannot be read; a damaged training picture is an error, not a gap.
    """
    table = _read_tables(files, source)
    fine_column, coarse_column = _label_columns(table.column_names, source)
    fine, fine_names = _labels(table, fine_column)
    if coarse_column is None:
        parent, coarse_names = np.arange(len(fine_names)), fine_names
    else:
        coarse, coarse_names = _labels(table, coarse_column)
        parent = parents(fine, coarse, len(fine_names), source)
    vectors = _vector_column(table.schema, source)
    images = _decode_column(table, size, source) if vectors is None else _vectors(table[vectors], source)
    return LabelledImages(images, fine, parent, fine_names, coarse_names, source)


def files_of(path: Path, split: str) -> list[Path]:
    """The files of one split: `path` itself where it is a file.

    Raises:
        DataError: a folder has none.
    """
    if path.is_file():
        return [path]
    files = sorted(path.glob(f"{split}*.parquet"))
    if not files:
        there = sorted(file.name for file in path.glob("*.parquet"))
        raise DataError(f"{path} holds no {split}*.parquet, only {there}; name the files by split")
    return files


def holds_vectors(files: Sequence[Path]) -> bool:
    """Whether files hold vectors in place of pictures.

    Raises:
        DataError: the first cannot be read, or has several columns of vectors.
    """
    try:
        schema = pq.read_schema(files[0])
    except (OSError, pa.ArrowException) as exc:
        raise DataError(f"cannot read {files[0]}: {exc}; is the file whole?") from exc
    return _vector_column(schema, str(files[0])) is not None


def read_vectors(files: Sequence[Path], source: str) -> NDArray[np.float32]:
    """The vectors of files that hold some, float32 (N, D), without a look at labels.

    Raises:
        DataError: a file cannot be read, or the vectors differ in length.
    """
    table = _read_tables(files, source)
    column = _vector_column(table.schema, source)
    assert column is not None  # `holds_vectors`
    return _vectors(table[column], source)


def _read_tables(files: Sequence[Path], source: str) -> pa.Table:
    try:
        return pa.concat_tables([pq.read_table(path) for path in files])
    except (OSError, pa.ArrowException) as exc:
        raise DataError(f"cannot read {source}: {exc}; is the file whole?") from exc


def _labels(table: pa.Table, column: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The labels of a column as numbers, int64 (N,), and what they are called."""
    values = table[column].to_numpy()
    if values.dtype == object:
        return numbered(values.astype(str))
    numbers = values.astype(np.int64)
    names = _class_names(table.schema.metadata or {}).get(column)
    return numbers, names or tuple(map(str, range(int(numbers.max(initial=-1)) + 1)))


def _vector_column(schema: pa.Schema, source: str) -> str | None:
    """The column of vectors of a file without pictures; None where there is none."""
    if any(name in schema.names for name in IMAGE_COLUMNS):
        return None
    found = [field.name for field in schema if _is_vector(field.type)]
    named = [name for name in VECTOR_COLUMNS if name in found] or found
    if len(named) > 1:
        raise DataError(f"{source} has several columns of vectors, {found}; call one of them vector")
    return named[0] if named else None


def _is_vector(kind: pa.DataType) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return lists and bool(pa.types.is_floating(kind.value_type))


def _vectors(column: pa.ChunkedArray, source: str) -> NDArray[np.float32]:
    lengths = pc.list_value_length(column).to_numpy()
    if column.null_count or len(lengths) == 0 or lengths.min() != lengths.max():
        what = f"{column.null_count} empty rows" if column.null_count else f"vectors of {len(set(lengths))} lengths"
        raise DataError(f"{source} holds {what}; every row needs a vector of the same length")
    flat = pc.list_flatten(column).to_numpy()
    return checked_vectors(flat.reshape(len(column), int(lengths[0])), source)


def _label_columns(columns: Sequence[str], source: str) -> tuple[str, str | None]:
    if "fine_label" in columns and "coarse_label" in columns:
        return "fine_label", "coarse_label"
    if "label" in columns:
        return "label", None
    raise DataError(f"{source} has columns {list(columns)}; it needs label, or fine_label and coarse_label")


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """Class names by column, from Hugging Face's `features`; empty where the metadata carry none."""
    try:
        features: dict[str, Any] = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {column: tuple(kind["names"]) for column, kind in features.items() if "names" in kind}
    except (KeyError, ValueError, TypeError):
        return {}


def _decode_column(table: pa.Table, size: int, source: str) -> NDArray[np.uint8]:
    column = next((name for name in IMAGE_COLUMNS if name in table.column_names), None)
    if column is None:
        raise DataError(f"{source} has columns {table.column_names}; it needs img or image")
    images = np.empty((table.num_rows, size, size, 3), np.uint8)
    chunks = (chunk.field("bytes") if pa.types.is_struct(chunk.type) else chunk for chunk in table[column].chunks)
    files = (value.as_py() or b"" for chunk in chunks for value in chunk)

    def read_row(row: int, file: bytes) -> None:
        try:
            images[row] = decode(file, size, f"{source} row {row}")
        except ImageRejected as exc:
            raise DataError(f"{exc}; repair or remove it") from exc

    with ThreadPoolExecutor(usable_cores()) as pool:  # Pillow decodes and resizes without the interpreter's lock
        for _ in pool.map(read_row, range(table.num_rows), files):
            pass  # the first damaged picture in the order of the rows is the one that is told
    return images

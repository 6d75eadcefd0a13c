"""The Parquet layout of Hugging Face's image data sets.

One row per picture: `img` or `image`, a struct of the file's bytes (and a path), and the labels, either `label` or
`fine_label` + `coarse_label`. The class names stand in the schema's metadata under `huggingface`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hashgrain.codes.errors import DataError, ImageRejected
from hashgrain.codes.images import decode
from hashgrain.export.dataset import LabelledImages

IMAGE_COLUMNS = ("img", "image")


def read(folder: Path, split: str, size: int) -> LabelledImages:
    """Read the files of one split, `folder`/`split`-*.parquet, in the order of their names.

    Raises:
        DataError: there is no file of that split, or one cannot be read.
    """
    files = sorted(folder.glob(f"{split}*.parquet"))
    if not files:
        there = sorted(path.name for path in folder.glob("*.parquet"))
        raise DataError(f"{folder} holds no {split}*.parquet, only {there}; name the files by split")
    return read_files(files, size, f"{folder} ({split})")


def read_files(files: Sequence[Path], size: int, source: str) -> LabelledImages:
    """Read Parquet files as one data set.

    Raises:
        DataError: a file, a column or a picture cannot be read; a damaged training picture is an error, not a gap.
    """
    try:
        table = pa.concat_tables([pq.read_table(path) for path in files])
    except (OSError, pa.ArrowException) as exc:
        raise DataError(f"cannot read {source}: {exc}; is the file whole?") from exc
    fine_column, coarse_column = _label_columns(table.column_names, source)
    fine = table[fine_column].to_numpy().astype(np.int64)
    names = _class_names(table.schema.metadata or {})
    fine_names = names.get(fine_column) or tuple(map(str, range(int(fine.max(initial=-1)) + 1)))
    if coarse_column is None:
        parent, coarse_names = np.arange(len(fine_names)), fine_names
    else:
        coarse = table[coarse_column].to_numpy().astype(np.int64)
        coarse_names = names.get(coarse_column) or tuple(map(str, range(int(coarse.max(initial=-1)) + 1)))
        parent = _parents(fine, coarse, len(fine_names), source)
    images = _decode_column(table, size, source)
    return LabelledImages(images, fine, parent, fine_names, coarse_names, source)


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


def _parents(fine: NDArray[np.int64], coarse: NDArray[np.int64], classes: int, source: str) -> NDArray[np.int64]:
    parent = np.zeros(classes, np.int64)
    parent[fine] = coarse
    if not np.array_equal(parent[fine], coarse):
        row = int(np.flatnonzero(parent[fine] != coarse)[0])
        raise DataError(f"{source}: class {fine[row]} stands under two superclasses (row {row}); labels must nest")
    return parent


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

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes and resizes without the interpreter's lock
        for _ in pool.map(read_row, range(table.num_rows), files):
            pass  # the first damaged picture in the order of the rows is the one that is told
    return images

"""Pictures in Parquet files, plain or as Hugging Face writes them."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashgrain.client.sources.items import Item
from hashgrain.client.sources.open_source import ParquetColumns, open_sources
from hashgrain.client.sources.parquet_source import ROWS_AT_A_TIME, ParquetSource
from hashgrain.client.sources.remote import RemoteImage
from hashgrain.codes.errors import DataError


def write(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    """Write columns as a Parquet file."""
    pq.write_table(pa.table(columns), path, **options)
    return path


def test_plain_bytes_under_ids_made_of_the_row(tmp_path: Path) -> None:
    path = write(tmp_path / "train.parquet", {"picture": [b"a", b"b"], "label": [3, 4]})
    source = ParquetSource(path)
    assert source.count() == 2
    assert list(source) == [
        Item("train/0", b"a", {"path": str(path), "row": 0}),
        Item("train/1", b"b", {"path": str(path), "row": 1}),
    ]


def test_hugging_faces_struct(tmp_path: Path) -> None:
    cells = [{"bytes": b"a", "path": "x.png"}, {"bytes": None, "path": "y.png"}, {"bytes": None, "path": None}, None]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    path = write(tmp_path / "t.parquet", {"img": pa.array(cells, kind)})
    assert [item.image for item in ParquetSource(path)] == [b"a", tmp_path / "y.png", b"", b""]


def test_a_column_of_paths_and_addresses(tmp_path: Path) -> None:
    values = ["x.png", "/data/y.png", "memory://store/z.png", "", None]
    path = write(tmp_path / "t.parquet", {"file": values, "thumbnail": [b""] * 5})
    items = list(ParquetSource(path, image_column="file"))
    expected = [tmp_path / "x.png", Path("/data/y.png"), RemoteImage("memory://store/z.png"), b"", b""]
    assert [item.image for item in items] == expected
    assert [item.id for item in items] == [f"t/{row}" for row in range(5)]
    assert items[2].payload == {"path": "memory://store/z.png"}


def test_ids_and_payloads_from_columns(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.parquet",
        {"image": [b"a", b"b"], "sku": [71, 72], "price": [1.5, None], "tags": [["x"], []], "blob": [b"1", b"2"]},
    )
    source = ParquetSource(path, image_column="image", id_column="sku", payload_columns=("price", "tags"))
    assert list(source) == [
        Item(71, b"a", {"price": 1.5, "tags": ["x"]}),
        Item(72, b"b", {"price": None, "tags": []}),
    ]


def test_a_column_may_be_id_and_payload_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", {"image": [b"a"], "sku": ["s1"]})
    assert list(ParquetSource(path, id_column="sku", payload_columns=("sku",))) == [Item("s1", b"a", {"sku": "s1"})]


def test_rows_are_numbered_through_all_groups_and_batches(tmp_path: Path) -> None:
    rows = 2 * ROWS_AT_A_TIME + 10
    path = write(tmp_path / "t.parquet", {"image": [str(n).encode() for n in range(rows)]}, row_group_size=100)
    items = list(ParquetSource(path))
    assert [(item.id, item.image) for item in items] == [(f"t/{n}", str(n).encode()) for n in range(rows)]


def test_several_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "t.parquet", {"image": [b"x"]})
    source = open_sources((f"{tmp_path}/a/t.parquet", f"{tmp_path}/b/t.parquet"))
    assert [item.id for item in source] == [f"{tmp_path}/a/t/0", f"{tmp_path}/b/t/0"]


def test_columns_reach_the_file_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", {"front": [b"f"], "back": [b"b"], "sku": ["s"], "price": [2]})
    (item,) = open_sources((str(path),), ParquetColumns("back", "sku", ("price",)))
    assert item == Item("s", b"b", {"price": 2})


@pytest.mark.parametrize(
    ("columns", "options", "says"),
    [
        ({"text": ["a"]}, {}, "has no image column, and none of vectors, its columns are text"),
        ({"a": [b"1"], "b": [b"2"]}, {}, r"2 columns that could hold images \(a, b\).*--image-column"),
        ({"a": [b"1"]}, {"image_column": "b"}, "has no column b, its columns are a"),
        ({"a": [b"1"], "t": [1]}, {"image_column": "t"}, "column t is of type int64 and cannot be images"),
        ({"a": [b"1"], "f": [1.5]}, {"id_column": "f"}, "column f is of type double and cannot be an id"),
        ({"a": [b"1"]}, {"payload_columns": ("a",)}, "column a is of type binary and cannot be a payload"),
        ({"a": [b"1"], "d": [datetime.date(2020, 1, 1)]}, {"payload_columns": ("d",)}, "cannot be a payload"),
        ({"a": pa.array([], pa.binary())}, {}, "has no rows"),
    ],
)
def test_columns_that_do_not_serve(tmp_path: Path, columns: Any, options: Any, says: str) -> None:
    path = write(tmp_path / "t.parquet", columns)
    with pytest.raises(DataError, match=says):
        ParquetSource(path, **options)


def test_a_row_without_an_id(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", {"a": [b"1", b"2"], "id": ["x", None]})
    with pytest.raises(DataError, match="row 1 has no value in the id column id"):
        list(ParquetSource(path, id_column="id"))


def test_files_that_are_no_parquet_or_damaged(tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    other.write_bytes(b"PAR1 but no more")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        ParquetSource(other)
    path = write(tmp_path / "t.parquet", {"a": [bytes(5000)] * 50}, compression="zstd")
    data = bytearray(path.read_bytes())
    data[20:60] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(DataError, match="is damaged after row 0"):
        list(ParquetSource(path))

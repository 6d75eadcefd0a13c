"""Files of codes: read back as written, pinned, and never half-written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashgrain.client.sinks import codes_file
from hashgrain.client.sinks.codes_file import CodesFile, read_codes
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import DataError, LayoutMismatch

GOLDEN = Path(__file__).parent.parent / "golden" / "codes_v1.parquet"
LAYOUT = CodeLayout(12, 40)


def codes(rows: int, layout: CodeLayout = LAYOUT, seed: int = 0) -> HashCodes:
    """Random codes with logits."""
    rng = np.random.default_rng(seed)
    return HashCodes.from_logits(rng.normal(size=(rows, layout.coarse_bits)), rng.normal(size=(rows, layout.fine_bits)))


def write_golden(path: Path) -> None:
    """The golden file's content: run it by hand for a new version of the format, never to make the test pass."""
    logits = np.linspace(-1, 1, 3 * 52, dtype=np.float32).reshape(3, 52)
    rows = HashCodes.from_logits(logits[:, :12], logits[:, 12:])
    with CodesFile(path, LAYOUT, "0123456789abcdef0123456789abcdef") as file:
        file.write(["a/1.png", "ü.png", "c"], rows, [{"path": "/x", "label": "a"}, {}, {"n": 1}])


def test_the_golden_file_reads_as_it_always_did(tmp_path: Path) -> None:
    stored = read_codes(GOLDEN)
    logits = np.linspace(-1, 1, 3 * 52, dtype=np.float32).reshape(3, 52)
    assert stored.ids == ["a/1.png", "ü.png", "c"]
    assert stored.payloads == [{"path": "/x", "label": "a"}, {}, {"n": 1}]
    assert (stored.layout, stored.fingerprint) == (LAYOUT, "0123456789abcdef0123456789abcdef")
    assert stored.codes.coarse.tolist() == [[0, 0], [0, 0], [255, 240]]
    assert stored.codes.fine.tolist() == [[0] * 5, [0, 3, 255, 255, 255], [255] * 5]
    assert np.array_equal(stored.codes.coarse_logits, logits[:, :12])
    assert np.array_equal(stored.codes.fine_logits, logits[:, 12:])
    write_golden(tmp_path / "new.parquet")
    assert pq.read_schema(tmp_path / "new.parquet").equals(pq.read_schema(GOLDEN), check_metadata=True)


@settings(max_examples=25, deadline=None)
@given(
    layout=st.builds(CodeLayout, st.integers(8, 24), st.integers(4, 32).map(lambda n: 8 * n)),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    numbers=st.booleans(),
    logits=st.booleans(),
    suffix=st.sampled_from([".parquet", ".arrow", ".feather"]),
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    layout: CodeLayout,
    sizes: list[int],
    numbers: bool,
    logits: bool,
    suffix: str,
) -> None:
    path = tmp_path_factory.mktemp("codes") / f"c{suffix}"
    written = codes(sum(sizes), layout)
    if not logits:
        written = HashCodes(written.coarse, written.fine)
    ids: list[Any] = list(range(-2, sum(sizes) - 2)) if numbers else [f"é{n}" for n in range(sum(sizes))]
    with CodesFile(path, layout, "f" * 32) as file:
        start = 0
        for size in sizes:
            rows = slice(start, start + size)
            file.write(ids[rows], written[rows], [{"n": n} for n in range(start, start + size)])
            start += size
    stored = read_codes(path)
    assert (stored.ids, stored.layout, stored.fingerprint) == (ids, layout, "f" * 32)
    assert stored.payloads == [{"n": n} for n in range(sum(sizes))]
    for name in ("coarse", "fine", "coarse_logits", "fine_logits"):
        assert np.array_equal(getattr(stored.codes, name), getattr(written, name))


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("logits", [False, True])
def test_an_npy_file_is_read_with_numpy_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: bool, logits: bool
) -> None:
    monkeypatch.setattr(codes_file, "ROWS_PER_GROUP", 4)
    written = codes(10)
    if not logits:
        written = HashCodes(written.coarse, written.fine)
    ids: list[Any] = list(range(10)) if numbers else [f"é{'x' * n}" for n in range(10)]
    with CodesFile(tmp_path / "c.npy", LAYOUT, "f") as file:
        for start in range(0, 10, 3):
            file.write(ids[start : start + 3], written[start : start + 3], [{"n": 1}] * len(ids[start : start + 3]))
    array = np.load(tmp_path / "c.npy", mmap_mode="r")
    assert array["id"].tolist() == ids
    for name in array.dtype.names[1:]:
        assert np.array_equal(array[name], getattr(written, name))
    assert len(array.dtype.names) == (5 if logits else 3)
    with pytest.raises(DataError, match="tells neither model nor payloads; give a Parquet or Arrow file"):
        read_codes(tmp_path / "c.npy")


def test_a_suffix_without_a_format_is_refused(tmp_path: Path) -> None:
    for name in ("c.csv", "c"):
        with pytest.raises(DataError, match=r"give one of \.parquet, \.arrow, \.feather, \.npy"):
            CodesFile(tmp_path / name, LAYOUT, "f")


def test_rows_go_to_disk_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes_file, "ROWS_PER_GROUP", 10)
    with CodesFile(tmp_path / "c.parquet", LAYOUT, "f") as file:
        for start in range(0, 28, 4):
            file.write(list(range(start, start + 4)), codes(4), [{}] * 4)
    metadata = pq.read_metadata(tmp_path / "c.parquet")
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [12, 12, 4]
    assert read_codes(tmp_path / "c.parquet").ids == list(range(28))


def test_after_an_error_the_old_file_stands_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    path.write_text("old")

    def fails() -> None:
        with CodesFile(path, LAYOUT, "f") as file:
            file.write([1], codes(1), [{}])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    with pytest.raises(DataError, match="no codes were written"), CodesFile(path, LAYOUT, "f"):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["c.parquet"]
    assert path.read_text() == "old"


WITHOUT_LOGITS = HashCodes(codes(1).coarse, codes(1).fine)


@pytest.mark.parametrize(
    ("batches", "error", "says"),
    [
        ([([1], codes(1, CodeLayout(12, 48)))], LayoutMismatch, "holds 40-bit fine codes"),
        ([([1], codes(1)), (["a"], codes(1))], DataError, "does not fit the ones before"),
        ([([1], codes(1)), ([2], WITHOUT_LOGITS)], DataError, "does not fit the ones before"),
        ([([1, "a"], codes(2))], DataError, "all strings or all integers"),
        ([([2**63], codes(1))], DataError, "all strings or all integers"),
    ],
)
def test_batches_that_do_not_fit(tmp_path: Path, batches: Any, error: type[Exception], says: str) -> None:
    def write() -> None:
        with CodesFile(tmp_path / "c.parquet", LAYOUT, "f") as file:
            for ids, rows in batches:
                file.write(ids, rows, [{}] * len(ids))

    with pytest.raises(error, match=says):
        write()
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written .*give a folder that exists"):
        CodesFile(tmp_path / "no" / "c.parquet", LAYOUT, "f")
    with pytest.raises(DataError, match="is a folder"):
        CodesFile(tmp_path, LAYOUT, "f")


def doctored(path: Path, **metadata: str | None) -> Path:
    """The golden file with other metadata."""
    table = pq.read_table(GOLDEN)
    known = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    for key, value in metadata.items():
        known["hashgrain." + key] = value  # type: ignore[assignment]
    pq.write_table(table.replace_schema_metadata({k: v for k, v in known.items() if v is not None}), path)
    return path


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"codes_version": "2"}, "has version 2 of the format, this code reads 1"),
        ({"codes_version": None}, "but none of codes"),
        ({"fine_bits": None}, "carries metadata that cannot be read"),
        ({"fine_bits": "41"}, "carries metadata that cannot be read"),
        ({"fine_bits": "48"}, "cannot be read as a file of codes"),
        ({"coarse_bits": "11"}, "cannot be read as a file of codes"),
    ],
)
def test_files_of_another_version_or_against_themselves(tmp_path: Path, metadata: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_codes(doctored(tmp_path / "c.parquet", **metadata))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a file of codes"):
        read_codes(tmp_path / "nowhere.parquet")
    (tmp_path / "text").write_text("text")
    with pytest.raises(DataError, match="cannot be read as a file of codes"):
        read_codes(tmp_path / "text")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="but none of codes"):
        read_codes(tmp_path / "other.parquet")


def test_other_programs_read_it_with_parquet_alone(tmp_path: Path) -> None:
    rows = pq.read_table(GOLDEN).to_pylist()
    assert json.loads(rows[0]["payload"]) == {"path": "/x", "label": "a"}
    assert rows[1]["payload"] is None
    assert rows[2]["coarse"] == b"\xff\xf0"
    assert len(rows[2]["fine_logits"]) == 40

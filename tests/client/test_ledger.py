"""The ledger by itself: what is recorded is found again, wholly or not at all, and nothing else is taken for one."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hashgrain.client.bulk.ledger import Answer, Entry, Ledger
from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import DataError, FingerprintMismatch

LAYOUT = CodeLayout(16, 64)
MODEL = "0123456789abcdef0123456789abcdef"


def entry(item: str | int, content: bytes | None = b"c" * 16, **values: Any) -> Entry:
    known = {"stamp": None, "payload": b"", "codes": b"1234567890", "reason": None, "target": None, **values}
    return Entry(item, content, **known)


def test_what_is_recorded_is_found_again_by_id_and_by_content(tmp_path: Path) -> None:
    entries = [
        entry("5", b"a" * 16, stamp=b"s" * 16, payload=b"p" * 8, target="photos@1"),
        entry(5, b"b" * 16, codes=None, reason="broken"),
        entry("gone", None, codes=None, reason="there is no such file"),
    ]
    with Ledger(tmp_path / "l", MODEL, LAYOUT) as ledger:
        ledger.record(entries)
    with Ledger(tmp_path / "l", MODEL, LAYOUT) as ledger:
        assert ledger.entries(["5", 5, "gone", "new"]) == {each.id: each for each in entries}
        assert ledger.answer(b"a" * 16) == Answer(b"1234567890", None)
        assert ledger.answer(b"b" * 16) == Answer(None, "broken")
        assert ledger.answer(b"d" * 16) is None
        assert ledger.rejected(10) == [(5, "broken"), ("gone", "there is no such file")]
        assert (ledger.count_rejected(), len(ledger.rejected(1))) == (2, 1)
        ledger.record([entry(5, b"b" * 16)])
        assert ledger.entries([5])[5].reason is None


def test_it_can_be_looked_into_with_sqlite_alone(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", MODEL, LAYOUT) as ledger:
        ledger.record([entry("a", target="photos@1"), entry("b", codes=None, reason="broken")])
    with sqlite3.connect(tmp_path / "l") as connection:
        rows = connection.execute("SELECT id, state, reason, target, fingerprint FROM items, job").fetchall()
    connection.close()
    assert rows == [("a", "encoded", None, "photos@1", MODEL), ("b", "rejected", "broken", None, MODEL)]


def test_what_a_target_has_lost_is_forgotten_and_the_codes_are_not(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", MODEL, LAYOUT) as ledger:
        ledger.record([entry("a", target="x@1"), entry("b", target="x@2"), entry("c", target="x@1")])
        assert ledger.kept_in("x@1") == 2
        ledger.forget_target("x@1")
        assert (ledger.kept_in("x@1"), ledger.kept_in("x@2")) == (0, 1)
        assert ledger.entries(["a"])["a"].codes == b"1234567890"


def test_rejected_ones_can_be_forgotten(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", MODEL, LAYOUT) as ledger:
        ledger.record([entry("a"), entry("b", b"b" * 16, codes=None, reason="broken")])
        ledger.forget_rejected()
        assert ledger.answer(b"b" * 16) is None
        assert list(ledger.entries(["a", "b"])) == ["a"]


def test_a_batch_is_recorded_wholly_or_not_at_all(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", MODEL, LAYOUT) as ledger:
        with pytest.raises(DataError, match="cannot be used"):
            ledger.record([entry("a"), entry(2**63)])
        assert ledger.entries(["a"]) == {}
        ledger.record([entry("a")])  # and it is of use afterwards


def test_two_at_a_time_see_what_each_other_records(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", MODEL, LAYOUT) as one, Ledger(tmp_path / "l", MODEL, LAYOUT) as two:
        one.record([entry("a")])
        two.record([entry("b")])
        assert set(one.entries(["a", "b"])) == set(two.entries(["a", "b"])) == {"a", "b"}


def test_another_model_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path / "l", MODEL, LAYOUT).close()
    for fingerprint, layout in (("f" * 32, LAYOUT), (MODEL, CodeLayout(16, 128))):
        with pytest.raises(FingerprintMismatch, match=r"holds codes of model 0123456789ab.*give another --ledger FILE"):
            Ledger(tmp_path / "l", fingerprint, layout)


def test_files_that_are_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a ledger" * 1000)
    with pytest.raises(DataError, match=r"text cannot be used \(file is not a database\)"):
        Ledger(tmp_path / "text", MODEL, LAYOUT)
    with sqlite3.connect(tmp_path / "other") as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    with pytest.raises(DataError, match="is a SQLite file, but no ledger"):
        Ledger(tmp_path / "other", MODEL, LAYOUT)
    with pytest.raises(DataError, match="there is no folder .*no; create it first"):
        Ledger(tmp_path / "no" / "l", MODEL, LAYOUT)


def test_a_version_of_another_release(tmp_path: Path) -> None:
    Ledger(tmp_path / "l", MODEL, LAYOUT).close()
    with sqlite3.connect(tmp_path / "l") as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(DataError, match="has version 2, this code reads 1"):
        Ledger(tmp_path / "l", MODEL, LAYOUT)


def test_a_disk_that_is_full_loses_nothing_that_was_recorded(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l", MODEL, LAYOUT) as ledger:
        ledger.record([entry("a")])
        ledger._connection.execute("PRAGMA max_page_count = 10")
        with pytest.raises(DataError, match=r"database or disk is full.*see to space"):
            ledger.record([entry(f"long {n} " * 50) for n in range(1000)])
    with Ledger(tmp_path / "l", MODEL, LAYOUT) as ledger:
        assert set(ledger.entries(["a", "long 0 " * 50])) == {"a"}

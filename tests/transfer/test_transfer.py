"""An index through a file: nothing is lost, and nothing is half-done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis

from durable_server import DurableServer
from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import (
    DataError,
    FingerprintMismatch,
    IndexCorrupt,
    IndexExists,
    IndexMissing,
    InvalidInput,
    LayoutMismatch,
    StoreFull,
    StoreUnavailable,
)
from hashgrain.indexer import Index, ItemId, Kind, check_index, list_indexes
from hashgrain.indexer.managing.roles import acl_rules
from hashgrain.transfer import dump_file, dump_index, load, load_index
from hashgrain.transfer.dump_file import DumpReader
from listed_items import LAYOUT, versions_of, write, writers
from random_codes import random_codes

GOLDEN = Path(__file__).parent.parent / "golden" / "dump_v1.parquet"

MIXED: list[ItemId] = [*range(-20, 300), *(f"é {n}" for n in range(200)), -(1 << 63), (1 << 63) - 1, "5"]


@pytest.fixture
def dump(redis_url: str, tmp_path: Path) -> Path:
    """A dump of an index of items with ids of both kinds."""
    with Index.create(redis_url, "photos", LAYOUT, fingerprint="abc", shards=2, bucket_items=16) as index:
        write(index, MIXED, range(len(MIXED)))
    dump_index(redis_url, "photos", tmp_path / "photos.parquet")
    return tmp_path / "photos.parquet"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of 100 items, of which the first two are loaded in bulk."""
    monkeypatch.setattr(dump_file, "GROUP_ROWS", 100)
    monkeypatch.setattr(load, "BULK_ITEMS", 200)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("shards", [None, 1, 3])
def test_an_index_comes_back_whole_with_as_many_shards_as_wanted(
    redis_url: str, dump: Path, shards: int | None
) -> None:
    loaded = load_index(redis_url, "copy", dump, shards=shards)
    assert (loaded.items, loaded.created) == (len(MIXED), True)
    with Index.open(redis_url, "copy") as copy:
        assert versions_of(list(copy.items())) == {id_: n for n, id_ in enumerate(MIXED)}
        assert (copy.fingerprint, copy.layout, copy.shards) == ("abc", LAYOUT, shards or 2)
    assert check_index(redis_url, "copy").clean


@pytest.mark.parametrize("layout", [CodeLayout(8, 64), CodeLayout(16, 256), CodeLayout(13, 40)])
@pytest.mark.parametrize("items", [0, 1, 300])
def test_layouts_and_sizes(redis_url: str, tmp_path: Path, layout: CodeLayout, items: int) -> None:
    codes = random_codes(items, layout)
    payloads: list[Any] = [None if n % 3 else {"n": n, "ü": ["x" * n]} for n in range(items)]
    with Index.create(redis_url, "photos", layout) as index:
        index.load(np.arange(items), codes, payloads)
        found = dump_index(redis_url, "photos", tmp_path / "d.parquet")
        assert (found.items, found.bytes) == (items, (tmp_path / "d.parquet").stat().st_size)
        index.drop()
    load_index(redis_url, "photos", tmp_path / "d.parquet")
    with Index.open(redis_url, "photos") as index:
        assert (index.fingerprint, len(index)) == (None, items)
        got = index.get(range(items))
        assert got.ids == list(range(items))
        assert np.array_equal(got.codes.fine, codes.fine)
        assert np.array_equal(got.codes.coarse, codes.coarse)
        assert got.payloads == payloads


def test_fields_go_with_the_dump(redis_url: str, tmp_path: Path) -> None:
    fields: dict[str, Kind] = {"price": "number", "tenant": "keyword"}
    payloads = [{"price": n, "tenant": f"t{n % 2}"} for n in range(50)]
    with Index.create(redis_url, "photos", LAYOUT, fields=fields) as index:
        index.add(range(50), random_codes(50, LAYOUT), payloads)
    dump_index(redis_url, "photos", tmp_path / "d.parquet")
    load_index(redis_url, "copy", tmp_path / "d.parquet")
    with Index.open(redis_url, "copy") as copy:
        assert copy.fields == fields
        found = copy.search(random_codes(1, LAYOUT), 50, exact=True, filter={"price": {"lt": 10}, "tenant": "t1"})[0]
        assert sorted(found.ids) == [1, 3, 5, 7, 9]
    assert check_index(redis_url, "copy").clean


def test_into_an_index_of_other_fields_it_goes_where_the_values_fit_and_else_nothing_does(
    redis_url: str, tmp_path: Path
) -> None:
    """So fields are added to what is stored already."""
    payloads: list[Any] = [{"price": n, "tenant": f"t{n % 2}"} for n in range(50)]
    with Index.create(redis_url, "photos", LAYOUT, fields={"price": "number"}) as index:
        index.add(range(50), random_codes(50, LAYOUT), payloads)
    dump_index(redis_url, "photos", tmp_path / "d.parquet")
    with Index.create(redis_url, "more", LAYOUT, fields={"tenant": "keyword", "price": "integer"}) as more:
        load_index(redis_url, "more", tmp_path / "d.parquet")
        found = more.search(random_codes(1, LAYOUT), 50, exact=True, filter={"price": {"lt": 10}, "tenant": "t1"})[0]
        assert sorted(found.ids) == [1, 3, 5, 7, 9]
    with Index.create(redis_url, "other", LAYOUT, fields={"price": "keyword"}) as other:
        with pytest.raises(InvalidInput, match=r"has \d+ in the field 'price', which holds strings"):
            load_index(redis_url, "other", tmp_path / "d.parquet")
        assert len(other) == 0
        other.add([1], random_codes(1, LAYOUT), [{"price": "dear"}])
    for name in ("more", "other"):
        assert check_index(redis_url, name).clean


def test_a_dump_by_a_user_who_may_not_leaves_no_file(redis_url: str, dump: Path, tmp_path: Path) -> None:
    client = redis.Redis.from_url(redis_url)
    client.execute_command("ACL", "SETUSER", "looks", "reset", "on", ">secret", *acl_rules("photos", "reader"))
    try:
        as_reader = redis_url.replace("unix://", "unix://looks:secret@")
        with pytest.raises(StoreUnavailable, match="does not allow this user"):
            dump_index(as_reader, "photos", tmp_path / "mine.parquet")
        with pytest.raises(StoreUnavailable, match="does not allow this user"):
            load_index(as_reader, "photos2", dump)
    finally:
        client.execute_command("ACL", "DELUSER", "looks")
    assert [path.name for path in tmp_path.iterdir()] == ["photos.parquet"]
    assert list_indexes(redis_url) == ["photos"]


def test_a_dump_of_an_index_in_use_holds_what_stays_once_and_nothing_torn(redis_url: str, tmp_path: Path) -> None:
    still: list[ItemId] = [*range(300), *(f"still {n}" for n in range(100))]
    with Index.create(redis_url, "photos", LAYOUT, shards=2, bucket_items=16) as index:
        write(index, still, range(len(still)))
        write(index, range(1000, 1100), [10_000] * 100)
        with writers(redis_url, list(range(1000, 1100))):
            dump_index(redis_url, "photos", tmp_path / "d.parquet")
    load_index(redis_url, "copy", tmp_path / "d.parquet")
    with Index.open(redis_url, "copy") as copy:
        found = versions_of(list(copy.items()))
    assert {id_: found.get(id_) for id_ in still} == {id_: n for n, id_ in enumerate(still)}
    assert set(range(1000, 1100)) <= set(found)


def test_an_empty_index_that_is_there_is_filled(redis_url: str, dump: Path) -> None:
    with Index.create(redis_url, "copy", LAYOUT, shards=3) as copy:
        assert load_index(redis_url, "copy", dump).created is False
        assert versions_of(list(copy.items())) == {id_: n for n, id_ in enumerate(MIXED)}


def test_an_index_that_cannot_take_the_dump_is_left_alone(redis_url: str, dump: Path) -> None:
    Index.create(redis_url, "longer", CodeLayout(16, 128)).close()
    Index.create(redis_url, "other", LAYOUT, fingerprint="def").close()
    Index.create(redis_url, "empty", LAYOUT).close()
    with pytest.raises(LayoutMismatch, match="128-bit fine codes, the dump has .*64-bit"):
        load_index(redis_url, "longer", dump)
    with pytest.raises(FingerprintMismatch, match="codes of model def, got codes of model abc"):
        load_index(redis_url, "other", dump)
    with pytest.raises(InvalidInput, match="holds 523 items already"):
        load_index(redis_url, "photos", dump)
    with pytest.raises(InvalidInput, match="1 shards and not 4"):
        load_index(redis_url, "empty", dump, shards=4)
    assert [len(Index.open(redis_url, name)) for name in ("longer", "other", "empty", "photos")] == [0, 0, 0, 523]


def test_a_dump_that_was_cut_short_or_altered_anywhere_is_refused_and_leaves_no_index(
    redis_url: str, dump: Path, tmp_path: Path
) -> None:
    """Of an altered byte that means nothing (of padding, or of who wrote the file) the items must be the same."""
    whole, rng = dump.read_bytes(), np.random.default_rng(0)
    broken = tmp_path / "broken.parquet"
    for length in [0, 1, 4, *rng.integers(len(whole), size=10).tolist(), len(whole) - 1]:
        broken.write_bytes(whole[:length])
        with pytest.raises(DataError, match="index dump"):
            load_index(redis_url, "copy", broken)
    content = checksums(dump)
    refused = 0
    for at in [*rng.integers(len(whole), size=300).tolist(), *range(len(whole) - 60, len(whole))]:
        broken.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        try:
            assert checksums(broken) == content, f"byte {at}"
        except DataError:
            refused += 1
    assert refused > 250
    assert list_indexes(redis_url) == ["photos"]


def checksums(path: Path) -> list[tuple[bytes, ...]]:
    """All that a dump holds, and what it says of its index."""
    with DumpReader(path) as reader:
        content = [tuple(dump_file.content_of(group)) for group in reader.groups()]
        return [*content, (repr(reader.header).encode(), b"%d" % reader.items)]


def test_rows_that_are_not_what_was_dumped_are_told_by_the_checksum(dump: Path) -> None:
    """Each changed by a program that writes sound Parquet."""
    table, metadata = pq.read_table(dump), pq.read_metadata(dump).metadata
    other = table.column("payload").to_pylist()
    other[3] = '{"v":0}'
    changes = [
        table.slice(0, len(table) - 1),
        pa.concat_tables([table, table.slice(0, 1)]),
        table.take([1, 0, *range(2, len(table))]),
        table.set_column(4, "payload", pa.array(other)),
        table.set_column(2, "coarse", table.column("coarse").take([1, 0, *range(2, len(table))])),
    ]
    for changed in changes:
        pq.write_table(changed.replace_schema_metadata(metadata), dump)
        with pytest.raises(DataError, match="is not what was dumped"), DumpReader(dump) as reader:
            reader.verify()


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"dump_version": "2"}, "has version 2 of the format, this code reads 1"),
        ({"dump_version": None}, "is no dump of an index"),
        ({"fine_bits": "128"}, "other columns"),
        ({"fine_bits": None}, "metadata that cannot be read"),
        ({"checksum": None}, "metadata that cannot be read"),
        ({"index": "cats"}, "is not what was dumped"),
        ({"fingerprint": None}, "is not what was dumped"),
        ({"items": "7"}, "should hold 7 items"),
    ],
)
def test_metadata_of_another_version_or_altered(dump: Path, metadata: dict[str, str | None], says: str) -> None:
    table, known = pq.read_table(dump), {k.decode(): v.decode() for k, v in pq.read_metadata(dump).metadata.items()}
    known.update({f"hashgrain.{key}": value for key, value in metadata.items()})  # type: ignore[misc]
    pq.write_table(table.replace_schema_metadata({k: v for k, v in known.items() if v is not None}), dump)
    with pytest.raises(DataError, match=says), DumpReader(dump) as reader:
        reader.verify()


def test_files_that_are_no_dump(redis_url: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a dump"):
        load_index(redis_url, "copy", tmp_path / "nowhere.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="no dump of an index"):
        load_index(redis_url, "copy", tmp_path / "other.parquet")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("stage", ["load_stored", "add_stored"])
@pytest.mark.parametrize("there", [False, True])
def test_a_load_that_fails_leaves_nothing(
    redis_url: str, dump: Path, monkeypatch: pytest.MonkeyPatch, stage: str, there: bool
) -> None:
    if there:
        Index.create(redis_url, "copy", LAYOUT).close()
    written = getattr(Index, stage)

    def fails(self: Index, items: Any) -> None:
        written(self, items)
        raise ZeroDivisionError

    monkeypatch.setattr(Index, stage, fails)
    with pytest.raises(ZeroDivisionError):
        load_index(redis_url, "copy", dump)
    assert list_indexes(redis_url) == (["copy", "photos"] if there else ["photos"])
    left = list(redis.Redis.from_url(redis_url).scan_iter("hg:{copy:*"))
    assert not there or len(Index.open(redis_url, "copy")) == 0
    assert there or left == []


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DurableServer]:
    """A real server of the test's own."""
    server = DurableServer(tmp_path_factory.mktemp("durable"))
    server.start()
    yield server
    server.kill()


def test_a_full_store_leaves_no_index(server: DurableServer, dump: Path) -> None:
    client = redis.Redis.from_url(server.url)
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 20_000)
    with pytest.raises(StoreFull):
        load_index(server.url, "copy", dump)
    assert list_indexes(server.url) == []
    client.config_set("maxmemory", 0)
    load_index(server.url, "copy", dump)  # also on another server than the one that it is of
    assert len(Index.open(server.url, "copy")) == len(MIXED)


def test_a_dump_that_fails_leaves_the_old_file(redis_url: str, dump: Path, tmp_path: Path) -> None:
    before = dump.read_bytes()
    client = redis.Redis.from_url(redis_url)
    client.delete("hg:{photos:1}:b:000000")
    with pytest.raises(IndexCorrupt, match="index check --repair"):
        dump_index(redis_url, "photos", dump)
    with pytest.raises(IndexMissing):
        dump_index(redis_url, "nowhere", tmp_path / "x.parquet")
    with pytest.raises(DataError, match="give a folder that exists"):
        dump_index(redis_url, "photos", tmp_path / "no" / "x.parquet")
    assert dump.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["photos.parquet"]


def test_a_half_made_index_of_the_name_is_told(redis_url: str, dump: Path) -> None:
    Index.create(redis_url, "copy", LAYOUT).close()
    redis.Redis.from_url(redis_url).hset("hg:{copy:0}:meta", "state", "loading")
    with pytest.raises(IndexExists, match="index drop copy --yes"):
        load_index(redis_url, "copy", dump)


def test_the_format_is_pinned(redis_url: str) -> None:
    """A dump that an earlier release has written must be read by this one."""
    assert load_index(redis_url, "golden", GOLDEN).items == 4
    with Index.open(redis_url, "golden") as index:
        assert (index.layout, index.fingerprint, index.shards) == (CodeLayout(12, 40), "0123abcd", 2)
        got = index.get(["a", 7, -1, 1 << 62])
        assert got.ids == ["a", 7, -1, 1 << 62]
        assert got.payloads == [{"label": "ä"}, None, {"n": [1, None, 2.5]}, None]
        assert got.codes.fine.tobytes().hex() == "00ff00ff0000ff00ff0100ff00ff0200ff00ff03"
        assert got.codes.coarse.tobytes().hex() == "0010002000300040"


def test_other_programs_read_it_with_parquet_alone(dump: Path) -> None:
    rows = pq.read_table(dump).to_pylist()
    assert {row["id"] if row["number"] is None else row["number"] for row in rows} == set(MIXED)
    assert all(len(row["coarse"]) == 2 and len(row["fine"]) == 8 for row in rows)

"""The header: read back as written, refused where it cannot be understood."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hashgrain.codes import CodeLayout
from hashgrain.codes.errors import IndexCorrupt, InvalidInput, SchemaMismatch
from hashgrain.indexer.stored.header import Header, require_bucket_items, require_name, require_shards

HEADER = Header(CodeLayout(12, 128), "abc", 3, 1, 12345, "live", bucket_items=64, live=17, pages=5)


def stored(header: Header, **changes: str | None) -> dict[bytes, bytes]:
    """The fields as Redis returns them, some changed or (None) missing."""
    fields = {**header.to_fields(), **changes}
    return {key.encode(): value.encode() for key, value in fields.items() if value is not None}


@pytest.mark.parametrize("header", [HEADER, replace(HEADER, fingerprint=None)])
def test_a_header_reads_back(header: Header) -> None:
    assert Header.from_fields(stored(header), "key") == header


@pytest.mark.parametrize("field", sorted(HEADER.to_fields()))
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(IndexCorrupt, match=f"the-key has no field {field}:"):
        Header.from_fields(stored(HEADER, **{field: None}), "the-key")


@pytest.mark.parametrize("version", ["1", "0", "x"])
def test_another_schema_is_refused_with_both_numbers_whatever_else_it_holds(version: str) -> None:
    with pytest.raises(SchemaMismatch, match=f"schema version {version}, this code knows 3"):
        Header.from_fields(stored(HEADER, schema=version, coarse_bits=None), "the-key")


@pytest.mark.parametrize(
    ("field", "value"),
    [("coarse_bits", "40"), ("pages", "many"), ("live", ""), ("bucket_items", "8.0"), ("shards", "1.5")],
)
def test_a_value_that_cannot_be_read_is_told_with_the_key(field: str, value: str) -> None:
    with pytest.raises(IndexCorrupt, match="the-key cannot be read"):
        Header.from_fields(stored(HEADER, **{field: value}), "the-key")


@pytest.mark.parametrize("other", [{"incarnation": 1}, {"shards": 4}, {"layout": CodeLayout(12, 64)}])
def test_headers_of_two_indexes_are_told_apart(other: dict[str, object]) -> None:
    assert HEADER.same_index(replace(HEADER, shard=2, live=0, pages=1))
    assert not HEADER.same_index(replace(HEADER, **other))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "{a}", "a*", "é", "a\n", "x" * 201, None, 5])
def test_names_that_could_break_a_key_are_refused(name: object) -> None:
    with pytest.raises(InvalidInput, match="cannot name an index"):
        require_name(name)  # type: ignore[arg-type]


def test_names_of_letters_digits_and_a_few_signs_pass() -> None:
    assert require_name("Photos-2024_v1.2") == "Photos-2024_v1.2"


@pytest.mark.parametrize("shards", [0, -1, 1025, 1.0, True, "2"])
def test_a_number_of_shards_out_of_range_is_refused(shards: object) -> None:
    with pytest.raises(InvalidInput, match="1 to 1024 shards, got"):
        require_shards(shards)  # type: ignore[arg-type]


@pytest.mark.parametrize("bucket_items", [3, 0, -1, 65_537, 8.0, True, None, "512"])
def test_a_size_of_buckets_out_of_range_is_refused(bucket_items: object) -> None:
    with pytest.raises(InvalidInput, match="more than bucket_items, 4 to 65536 items, got"):
        require_bucket_items(bucket_items)  # type: ignore[arg-type]


@pytest.mark.parametrize("bucket_items", [4, 512, 65_536])
def test_sizes_of_buckets_in_range_pass(bucket_items: int) -> None:
    assert require_bucket_items(bucket_items) == bucket_items

"""Keys: all of a shard share one hash tag, none stands for two things, and the docstring names each."""

from __future__ import annotations

from fnmatch import fnmatchcase

from hashgrain.indexer.stored import keys
from hashgrain.indexer.stored.keys import HEADERS, ShardKeys, index_keys, index_name, six_digits

KEYS = ShardKeys("photos", 2)
NUMBERED = (KEYS.bucket, KEYS.places, KEYS.names)


def test_all_keys_of_a_shard_carry_its_hash_tag() -> None:
    every = [*KEYS.fixed(), *(key(number) for key in NUMBERED for number in (0, 0xABCDEF))]
    assert all(key.startswith(KEYS.prefix) for key in every)
    assert KEYS.prefix == "hg:{photos:2}:"
    assert len(set(every)) == len(every)


def test_the_docstring_names_every_kind_of_key() -> None:
    kinds = [key.removeprefix(KEYS.prefix) for key in KEYS.fixed()]
    kinds += [key(0).removeprefix(KEYS.prefix).replace("0", "x") for key in NUMBERED]
    assert [kind for kind in kinds if f"hg:{{name:s}}:{kind} " not in (keys.__doc__ or "")] == []


def test_buckets_and_pages_are_named_by_six_digits() -> None:
    assert KEYS.bucket(0xFF) == "hg:{photos:2}:b:0000ff"
    assert KEYS.places(1) == "hg:{photos:2}:p:000001"
    assert KEYS.names(2**24 - 1) == "hg:{photos:2}:n:ffffff"
    assert six_digits(keys.MOST_BUCKETS - 1) == "ffffff"


def test_the_name_is_read_from_the_header_of_shard_0() -> None:
    header = ShardKeys("a.b-c_d", 0).meta
    assert index_name(header) == "a.b-c_d"
    assert fnmatchcase(header, HEADERS)
    assert not fnmatchcase(ShardKeys("a.b-c_d", 1).meta, HEADERS)


def test_many_buckets_are_spelled_as_each_is_alone() -> None:
    numbers = [0, 0xFF, 0xABCDEF]
    assert KEYS.buckets(numbers) == [KEYS.bucket(number).encode() for number in numbers]


def test_the_keys_of_an_index_are_found_by_a_pattern_that_fits_no_other_index() -> None:
    every = [*KEYS.fixed(), KEYS.bucket(7), *ShardKeys("photos", 31).fixed()]
    assert all(fnmatchcase(key, index_keys("photos")) for key in every)
    assert not any(fnmatchcase(key, index_keys(other)) for key in every for other in ("photo", "photos2", "hotos"))

"""Keys: all of a shard share one hash tag, none stands for two things, and the docstring names each."""

from __future__ import annotations

from hashgrain.indexer import keys
from hashgrain.indexer.keys import ShardKeys, bucket_name, index_name

KEYS = ShardKeys("photos", 2)


def test_all_keys_of_a_shard_carry_its_hash_tag() -> None:
    every = [*KEYS.fixed(), KEYS.bucket(0), KEYS.bucket(0xABCDEF)]
    assert all(key.startswith("hg:{photos:2}:") for key in every)
    assert len(set(every)) == len(every)


def test_the_docstring_names_every_kind_of_key() -> None:
    kinds = [key.removeprefix("hg:{photos:2}:") for key in KEYS.fixed()] + ["b:cccccc"]
    assert [kind for kind in kinds if f"hg:{{name:s}}:{kind} " not in (keys.__doc__ or "")] == []


def test_a_bucket_is_named_by_six_digits() -> None:
    assert KEYS.bucket(0xFF) == "hg:{photos:2}:b:0000ff"
    assert bucket_name(2**24 - 1) == "ffffff"


def test_the_name_is_read_from_the_header_of_shard_0() -> None:
    assert index_name(ShardKeys("a.b-c_d", 0).meta) == "a.b-c_d"


def test_many_buckets_are_spelled_as_each_is_alone() -> None:
    codes = [0, 0xFF, 0xABCDEF]
    assert KEYS.buckets(codes) == [KEYS.bucket(code).encode() for code in codes]

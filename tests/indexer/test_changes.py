"""What has changed since a moment, against a plain list of all that was told."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hashgrain.indexer.keeping.changes import Changes
from hashgrain.indexer.stored.keys import ShardKeys

KEYS = [ShardKeys("x", shard) for shard in range(2)]
PLACES = (6, 3)
ALL = b"everything"

BUCKETS = st.tuples(st.integers(0, 1), st.integers(0, 5)).map(lambda one: KEYS[one[0]].bucket(one[1]).encode())
STAMPS = st.sampled_from([shard.stamp.encode() for shard in KEYS])
OTHERS = st.sampled_from([b"hg:{x:0}:b:", b"hg:{x:0}:b:00000g", b"hg:{x:0}:b:0000000", b"hg:{y:0}:b:000000", b"000000"])
TOLD = st.one_of(st.lists(BUCKETS | OTHERS, unique=True), st.just([ALL]), STAMPS.map(lambda key: [key]))
WANTED = st.tuples(st.sets(st.integers(0, 5)), st.sets(st.integers(0, 2)))


def changes() -> Changes:
    made = Changes(KEYS)
    for shard, places in enumerate(PLACES):
        made.align(shard, places)
    return made


@given(before=st.lists(TOLD, max_size=4), after=st.lists(TOLD, max_size=4), wanted=WANTED)
def test_what_has_changed_since_a_moment(
    before: list[list[bytes]], after: list[list[bytes]], wanted: tuple[set[int], set[int]]
) -> None:
    made, moment = changes(), 0
    for keys in [*before, None, *after]:
        if keys is None:
            moment = made.moment
        elif keys == [ALL]:
            made.note_all()
        else:
            made.note(keys)
    told = {key for keys in after for key in keys}
    mine = {KEYS[shard].bucket(n).encode() for shard, numbers in enumerate(wanted) for n in numbers}
    changed = bool(told & mine) or ALL in told or bool(told & {shard.stamp.encode() for shard in KEYS})
    assert made.since(moment, [np.array(sorted(some), np.int64) for some in wanted]) is changed


def test_keys_are_sorted_by_shard_and_what_is_no_bucket_is_left_out() -> None:
    keys = [KEYS[1].bucket(0xABCDEF), KEYS[0].bucket(2), KEYS[1].stamp, "hg:{x:0}:b:00000g", KEYS[0].bucket(1)]
    buckets, stamped = changes().note([key.encode() for key in keys])
    assert {shard: numbers.tolist() for shard, numbers in buckets.items()} == {1: [0xABCDEF], 0: [2, 1]}
    assert stamped == {1}


def test_places_for_more_buckets_keep_what_is_known_of_the_others() -> None:
    made = changes()
    moment = made.moment
    made.note([KEYS[1].bucket(2).encode()])
    made.align(1, 5)
    made.align(1, 4)
    wanted = [np.empty(0, np.int64), np.array([4])]
    assert not made.since(moment, wanted)
    made.note([KEYS[1].bucket(4).encode()])
    assert made.since(moment, wanted)
    assert made.since(moment, [np.empty(0, np.int64), np.array([2])])


def test_all_keys_that_a_reading_depends_on_are_asked_for() -> None:
    assert changes().prefixes == ["hg:{x:0}:b:", "hg:{x:0}:stamp", "hg:{x:1}:b:", "hg:{x:1}:stamp"]

"""Near duplicates: equal to the plain twin and to brute force, bounded, and true beside writers."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

import hashgrain.indexer.adding.writing as writing_module
import hashgrain.indexer.duplicates.gathering as gathering_module
import hashgrain.indexer.duplicates.groups as groups_module
import hashgrain.indexer.duplicates.naming as naming_module
import hashgrain.indexer.duplicates.pairs as pairs_module
import hashgrain.indexer.duplicates.sweeping as sweeping_module
from hashgrain.codes import CodeLayout, HashCodes, hamming
from hashgrain.codes.errors import HashgrainError, IndexMissing, InvalidInput, StoreUnavailable
from hashgrain.indexer import Index, ItemId, Rank, ReferenceIndex, create_generation, switch_generation
from hashgrain.indexer.reference import ReferenceBucket
from hashgrain.indexer.stored.shard import Shard
from random_codes import random_codes
from stored_buckets import stored_buckets

LAYOUT = CodeLayout(16, 64)
RANKS: tuple[Rank, ...] = ("total", "fine", "coarse")


@pytest.fixture(scope="module")
def small_steps() -> Any:
    """Read, hand over and name in portions so small that every example crosses their borders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering_module, "AT_ONCE", 3)
        patch.setattr(groups_module, "NAMES", 4)
        patch.setattr(naming_module, "NAMES", 3)
        patch.setattr(pairs_module, "AT_ONCE", 5)
        patch.setattr(sweeping_module, "PAIRS", 8)
        yield


def groups_of(index: Index, radius: int, rank: Rank = "total") -> list[tuple[list[ItemId], list[int]]]:
    return in_order((group.ids, group.distances.tolist()) for group in index.duplicates(radius, rank))


def in_order(groups: Iterable[tuple[list[ItemId], list[int]]]) -> list[tuple[list[ItemId], list[int]]]:
    return sorted(groups, key=lambda group: str(group[0]))


def pairs_of(index: Index, radius: int, rank: Rank = "total") -> list[tuple[ItemId, ItemId, int]]:
    return [
        pair
        for pairs in index.duplicate_pairs(radius, rank)
        for pair in zip(pairs.one, pairs.other, pairs.distances.tolist(), strict=True)
    ]


@settings(max_examples=20, deadline=None)
@given(
    layout=st.builds(CodeLayout, st.sampled_from([8, 12, 24]), st.sampled_from([32, 40, 64, 128, 200, 256])),
    shards=st.sampled_from([1, 3]),
    bucket_items=st.sampled_from([4, 16, 512]),
    items=st.integers(0, 90),
    flips=st.sampled_from([0.0, 0.02, 0.1]),
    centres=st.sampled_from([1, 4, 30]),
    radius=st.integers(0, 7),
    rank=st.sampled_from(RANKS),
    seed=st.integers(0, 2**32),
)
def test_groups_and_pairs_are_those_of_the_reference(
    redis_server: str,
    small_steps: None,
    layout: CodeLayout,
    shards: int,
    bucket_items: int,
    items: int,
    flips: float,
    centres: int,
    radius: int,
    rank: Rank,
    seed: int,
) -> None:
    redis.Redis.from_url(redis_server).flushall()
    twin = ReferenceIndex(layout)
    codes = random_codes(items, layout, seed, flips=flips, centres=centres)
    ids: list[ItemId] = [n - 3 if n % 2 else f"i{n}" for n in range(items)]
    with Index.create(redis_server, "twin", layout, shards=shards, bucket_items=bucket_items) as index:
        for one in (index, twin):
            one.add(ids, codes)
            one.delete(ids[: items // 3])
        pairs = pairs_of(index, radius, rank)
        assert len(pairs) == len(set(pairs)), "each pair comes once"
        assert set(pairs) == twin.duplicate_pairs(radius, rank)
        assert groups_of(index, radius, rank) == in_order(twin.duplicates(radius, rank))


def brute_force(codes: HashCodes, radius: int, rank: Rank) -> tuple[set[tuple[int, ...]], int]:
    """The groups, and how many pairs there are, by comparing every item with every other."""
    parent = list(range(len(codes)))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = item = parent[parent[item]]
        return item

    found = 0
    for low in range(0, len(codes), 500):
        rows = slice(low, low + 500)
        away = np.zeros((len(codes.fine[rows]), len(codes) - low), np.uint16)
        if rank != "coarse":
            away += hamming(codes.fine[rows], codes.fine[low:])
        if rank != "fine":
            away += hamming(codes.coarse[rows], codes.coarse[low:])
        one, other = np.nonzero(away <= radius)
        later = other > one
        found += int(later.sum())
        for left, right in zip((one[later] + low).tolist(), (other[later] + low).tolist(), strict=True):
            parent[root(right)] = root(left)
    members: dict[int, list[int]] = {}
    for item in range(len(codes)):
        members.setdefault(root(item), []).append(item)
    return {tuple(some) for some in members.values() if len(some) > 1}, found


def crowded(items: int, layout: CodeLayout = LAYOUT) -> HashCodes:
    """Codes of which most have few near ones, some many, and some are the same."""
    return random_codes(items, layout, 3, centres=items // 20, flips=0.04)


def compare_with_brute_force(redis_url: str, items: int, radii: Iterable[int], rank: Rank) -> None:
    codes = crowded(items)
    with Index.create(redis_url, "all", LAYOUT, shards=2) as index:
        index.load(np.arange(items), codes)
        for radius in radii:
            wanted, pairs = brute_force(codes, radius, rank)
            assert len(wanted) > 10
            assert {tuple(group.ids) for group in index.duplicates(radius, rank)} == wanted
            assert sum(map(len, index.duplicate_pairs(radius, rank))) == pairs


@pytest.mark.parametrize("rank", RANKS[:2])
def test_nothing_is_missed_among_thousands(redis_url: str, rank: Rank) -> None:
    compare_with_brute_force(redis_url, 4000, (0, 3, 6), rank)


@pytest.mark.long
def test_nothing_is_missed_among_200_000(redis_url: str) -> None:
    compare_with_brute_force(redis_url, 200_000, (3,), "total")


def test_a_group_is_what_steps_of_the_radius_connect(redis_url: str) -> None:
    """A chain of codes, each 2 bits from the next: its ends are 6 bits apart."""
    fine = np.zeros((5, 8), np.uint8)
    fine[1:4, 0] = (0b11, 0b1111, 0b111111)
    fine[4] = 255
    with Index.create(redis_url, "chain", LAYOUT) as index:
        index.add([3, 2, 1, 0, 9], HashCodes(np.zeros((5, 2), np.uint8), fine))
        assert groups_of(index, 2) == [([0, 1, 2, 3], [0, 2, 4, 6])]
        assert groups_of(index, 1) == []
        assert sorted(pairs_of(index, 4)) == [(0, 1, 2), (0, 2, 4), (1, 2, 2), (1, 3, 4), (2, 3, 2)]


def test_many_items_of_one_code_come_as_one_group_and_all_their_pairs(redis_url: str) -> None:
    codes = HashCodes(np.ones((90, 2), np.uint8), np.ones((90, 8), np.uint8))
    with Index.create(redis_url, "same", LAYOUT, bucket_items=16) as index:
        index.add(range(90), codes)
        assert groups_of(index, 0) == [(list(range(90)), [0] * 90)]
        assert len(set(pairs_of(index, 0))) == len(pairs_of(index, 0)) == 90 * 89 // 2


def test_an_empty_index_has_none(redis_url: str) -> None:
    with Index.create(redis_url, "empty", LAYOUT, shards=3) as index:
        assert groups_of(index, 5) == []
        assert pairs_of(index, 5) == []


@pytest.mark.parametrize(
    ("radius", "rank", "message"),
    [
        (
            -1,
            "total",
            "radius must be an integer of 0 or more, and less than the 80 bits of the total distance, got -1",
        ),
        (80, "total", "less than the 80 bits"),
        (64, "fine", "less than the 64 bits of the fine distance"),
        (16, "coarse", "less than the 16 bits"),
        (1.5, "total", "got 1.5"),
        (True, "total", "got True"),
        (1, "both", "rank must be one of total, fine, coarse, got 'both'"),
    ],
)
def test_what_cannot_be_looked_for_is_refused_at_once(redis_url: str, radius: Any, rank: Any, message: str) -> None:
    with Index.create(redis_url, "x", LAYOUT) as index:
        for look in (index.duplicates, index.duplicate_pairs):
            with pytest.raises(InvalidInput, match=message):
                look(radius, rank)


def test_progress_ascends_to_the_end(redis_url: str) -> None:
    told: list[tuple[int, int]] = []
    with Index.create(redis_url, "x", LAYOUT, bucket_items=32) as index:
        index.add(range(500), random_codes(500, LAYOUT))
        list(index.duplicates(2, progress=lambda done, total: told.append((done, total))))
    shares = [done / total for done, total in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_files_are_gone_where_the_reader_stops_early(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    make = tempfile.TemporaryFile

    def remembered(*args: Any, **kwargs: Any) -> Any:
        file = make(*args, **kwargs)
        if "prefix" in kwargs:  # Numba makes some, too
            made.append(file)
        return file

    monkeypatch.setattr(tempfile, "TemporaryFile", remembered)
    with Index.create(redis_url, "x", LAYOUT) as index:
        index.add(range(300), random_codes(300, LAYOUT, flips=0.01))
        found = index.duplicates(3)
        assert len(next(found)) > 1
        assert made
        assert not any(file.closed for file in made)
        found.close()  # type: ignore[attr-defined]
        assert all(file.closed for file in made)


def test_a_disk_without_room_is_told(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with Index.create(redis_url, "x", LAYOUT) as index:
        index.add(range(5000), random_codes(5000, LAYOUT))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        try:
            with pytest.raises(HashgrainError, match="set TMPDIR to a folder with as much room"):
                list(index.duplicates(1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        with pytest.raises(HashgrainError, match="could not be kept in a temporary file"):
            list(index.duplicates(1))


class Writing:
    """Does something each time when a shard's buckets have been read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, work: Any) -> None:
        self._read = Shard.read
        self.times = 0
        self._busy = False

        def read(shard: Shard, *args: Any) -> Any:
            found = self._read(shard, *args)
            if not self._busy:
                self._busy = True
                work(self.times)
                self.times += 1
                self._busy = False
            return found

        monkeypatch.setattr(Shard, "read", read)


def test_no_pair_of_items_that_stay_is_missed_while_buckets_split(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, small_steps: None
) -> None:
    """Between any two reads of buckets others write: buckets split, are emptied and filled by splits, items change."""
    stay = crowded(600)
    with (
        Index.create(redis_url, "busy", LAYOUT, bucket_items=8, shards=2) as index,
        Index.open(redis_url, "busy") as writer,
    ):
        index.add([f"s{n}" if n % 2 else n for n in range(600)], stay)
        wanted = {frozenset(pair[:2]) for pair in pairs_of(index, 3)}
        assert len(wanted) > 200
        index.add(range(10_000, 10_400), random_codes(400, LAYOUT, 5, centres=30, flips=0.04))
        before = index.stats().buckets

        def work(time: int) -> None:
            if time < 35:
                writer.delete(range(10_000 + 7 * time, 10_000 + 7 * time + 7))
                writer.add(range(20_000 + 20 * time, 20_020 + 20 * time), random_codes(20, LAYOUT, time, centres=30))
                writer.add(range(30_000, 30_020), random_codes(20, LAYOUT, time, centres=30))  # the same ids again

        writing = Writing(monkeypatch, work)
        found = pairs_of(index, 3)
        assert writing.times > 35
        assert index.stats().buckets > before
        assert wanted <= {frozenset(pair[:2]) for pair in found}
        assert all(one != other for one, other, _ in found), "no item is a duplicate of itself"
        assert len({pair[:2] for pair in found}) == len(found), "each pair comes once"
        writing.times = 0
        names = [item for group in index.duplicates(3) for item in group.ids]
        assert len(names) == len(set(names)), "each item is in one group"


def test_items_that_a_split_moves_into_a_bucket_that_was_read_are_not_missed(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, small_steps: None
) -> None:
    """The first bucket is read when it is empty; then the last one is split, and half of its items go there."""
    codes = random_codes(200, LAYOUT, 1, centres=10, flips=0.04)
    with (
        Index.create(redis_url, "x", LAYOUT, bucket_items=24) as index,
        Index.open(redis_url, "x") as writer,
    ):
        index.add(range(200), codes)
        with monkeypatch.context() as cut_short:
            cut_short.setattr(writing_module, "merge_sparse", lambda *_: None)  # which leaves the empty bucket behind
            index.delete(stored_buckets(redis_url, "x")[0].members)
        last = [int(item) for item in stored_buckets(redis_url, "x")[-1].members]
        wanted = {pair[:2] for pair in pairs_of(index, 10)}

        def work(time: int) -> None:
            more = 1000
            while time == 0 and not stored_buckets(redis_url, "x")[0].members:
                writer.add([more], codes[last[more % len(last)] :][:1])
                more += 1

        writing = Writing(monkeypatch, work)
        found = {pair[:2] for pair in pairs_of(index, 10)}
        assert writing.times > 2
        assert set(stored_buckets(redis_url, "x")[0].members) & set(last), "the case must move items there"
        assert wanted <= found


def unread_beside_read(buckets: list[ReferenceBucket], codes: HashCodes) -> tuple[list[int], list[int]]:
    """Of a bucket that is read late its members, and two of them that a merge takes to one of the first three."""
    bits = np.unpackbits(np.hstack([codes.fine, codes.coarse]), axis=1)
    centroids = np.array([[*bucket.fine, *bucket.coarse] for bucket in buckets], np.uint8)
    for number in range(len(buckets) - 1, 2, -1):
        members = [int(item) for item in buckets[number].members]
        away = (bits[members][:, None] != centroids[None]).sum(axis=2)
        away[:, number] = 1000
        nearest = away.argmin(axis=1).tolist()
        kept = [item for item, to in zip(members, nearest, strict=True) if to < 3 and len(buckets[to].members) < 16][:2]
        if len(kept) == 2:
            return members, kept
    raise AssertionError("the case must have items whose next bucket is one of the first")


def test_items_that_a_merge_moves_into_a_bucket_that_was_read_are_not_missed(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, small_steps: None
) -> None:
    codes = random_codes(200, LAYOUT, 1, centres=10, flips=0.04)
    with Index.create(redis_url, "x", LAYOUT, bucket_items=24) as index, Index.open(redis_url, "x") as writer:
        index.add(range(200), codes)
        for bucket in stored_buckets(redis_url, "x")[:3]:
            index.delete(bucket.members[::2])  # so that they have room
        members, kept = unread_beside_read(stored_buckets(redis_url, "x"), codes)
        gone = [item for item in members if item not in kept]
        before = {pair[:2] for pair in pairs_of(index, 10)}
        wanted = {pair for pair in before if not set(pair) & set(gone)}
        assert any(set(pair) & set(kept) for pair in wanted), "the case must have pairs with items that move"

        def work(time: int) -> None:
            if time == 0:  # the first buckets were read
                writer.delete(gone)
                moved = {item for bucket in stored_buckets(redis_url, "x")[:3] for item in bucket.members}
                assert moved & set(kept), "the case must move items into a bucket that was read"

        writing = Writing(monkeypatch, work)
        found = {pair[:2] for pair in pairs_of(index, 10)}
        assert writing.times > 2
        assert found == wanted


def test_deleted_string_ids_are_left_out_of_what_comes_later(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = HashCodes(np.zeros((3, 2), np.uint8), np.zeros((3, 8), np.uint8))
    with Index.create(redis_url, "x", LAYOUT) as index, Index.open(redis_url, "x") as writer:
        index.add(["a", "b", "c"], codes)
        Writing(monkeypatch, lambda time: writer.delete(["b"]))
        assert [sorted(map(str, group.ids)) for group in index.duplicates(0)] == [["a", "c"]]
        assert [{*pairs.one, *pairs.other} for pairs in index.duplicate_pairs(0)] == [{"a", "c"}]
        writer.delete(["c"])
        assert list(index.duplicates(0)) == []


def test_pages_of_names_may_divide_meanwhile(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = HashCodes(np.zeros((40, 2), np.uint8), np.zeros((40, 8), np.uint8))
    with Index.create(redis_url, "x", LAYOUT) as index, Index.open(redis_url, "x") as writer:
        index.add([f"a{n}" for n in range(40)], codes)
        found = index.duplicates(0)
        monkeypatch.setattr(naming_module.Names, "of", divided(naming_module.Names.of, writer))
        assert [len(group) for group in found] == [40]


def divided(look: Any, writer: Index) -> Any:
    """Looks up names, then makes pages divide, and looks them up again by what it knew."""

    def of(names: Any, handles: Any) -> Any:
        look(names, handles)
        writer.add([f"b{n}" for n in range(2000)], random_codes(2000, LAYOUT, 1))
        return look(names, handles)

    return of


def test_a_switch_does_not_disturb_and_a_drop_is_told(redis_url: str) -> None:
    codes = random_codes(200, LAYOUT, flips=0.01)
    with Index.create(redis_url, "x", LAYOUT) as index:
        index.add([f"a{n}" for n in range(200)], codes)
        wanted = groups_of(index, 2)
        create_generation(redis_url, "x", LAYOUT).close()
        found = index.duplicates(2)
        switch_generation(redis_url, "x")
        assert in_order((group.ids, group.distances.tolist()) for group in found) == wanted
        assert list(index.duplicates(2)) == []
        found = index.duplicates(2)
        index.drop()
        with pytest.raises(IndexMissing, match="was dropped"):
            next(found)


def test_a_partition_that_never_rests_is_told(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Index.create(redis_url, "x", LAYOUT) as index:
        index.add(range(10), random_codes(10, LAYOUT))
        monkeypatch.setattr(Shard, "read", lambda *args: None)
        with pytest.raises(StoreUnavailable, match="look for duplicates while fewer write"):
            list(index.duplicates(0))

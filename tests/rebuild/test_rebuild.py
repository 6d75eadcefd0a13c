"""An index is rebuilt from its pictures with another encoder, while it is read and written, on a real server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from durable_server import DurableServer
from hashgrain.client import HashEncoder
from hashgrain.client.sources.files import FolderSource
from hashgrain.client.sources.items import Item
from hashgrain.codes import hamming
from hashgrain.codes.errors import (
    DataError,
    FingerprintMismatch,
    IndexMissing,
    InvalidInput,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from hashgrain.indexer import (
    Index,
    check_index,
    create_generation,
    list_generations,
    roll_back,
    switch_generation,
)
from hashgrain.indexer.managing.roles import acl_rules
from hashgrain.rebuild import Late, rebuild, rebuild_index
from pictures import arrays, file_bytes, write_tree
from tiny_model import write_tiny_repository

COUNT = 30
PICTURES = arrays(60)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HashEncoder, HashEncoder]]:
    """The encoder of the index, and another one."""
    folder = tmp_path_factory.mktemp("models")
    for name, seed in (("old", 0), ("new", 1)):
        write_tiny_repository(folder / name, seed=seed)
    with HashEncoder(folder / "old", batch_size=4) as old, HashEncoder(folder / "new", batch_size=4) as new:
        yield old, new


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_tree(tmp_path / "photos", PICTURES[:COUNT])
    return tmp_path / "photos"


@pytest.fixture
def live(redis_url: str, photos: Path, encoders: tuple[HashEncoder, HashEncoder]) -> Iterator[Index]:
    """An index of the pictures, with payloads that only it knows."""
    old, _ = encoders
    with Index.create(
        redis_url, "x", old.layout, fingerprint=old.fingerprint, shards=2, fields={"n": "integer"}
    ) as index:
        names = [str(item.id) for item in FolderSource(photos)]
        index.add(names, old.encode([photos / name for name in names]), [{"n": n} for n in range(COUNT)])
        yield index


def source(photos: Path) -> Callable[[], FolderSource]:
    return lambda: FolderSource(photos)


def require_built(index: Index, encoder: HashEncoder, photos: Path, expected: dict[str, Any]) -> None:
    """It holds the encoder's codes of just these pictures, with these payloads."""
    held = index.get(list(expected))
    assert len(index) == len(held) == len(expected)
    assert dict(zip(held.ids, held.payloads, strict=True)) == expected
    codes = encoder.encode([photos / str(id_) for id_ in held.ids])
    assert np.array_equal(held.codes.fine, codes.fine)
    assert np.array_equal(held.codes.coarse, codes.coarse)
    assert index.fingerprint == encoder.fingerprint


def payloads_of(index: Index) -> dict[str, Any]:
    return {str(id_): payload for part in index.items() for id_, payload in zip(part.ids, part.payloads, strict=True)}


def test_the_next_generation_holds_the_same_items_by_the_other_encoder(
    redis_url: str, live: Index, photos: Path, encoders: tuple[HashEncoder, HashEncoder]
) -> None:
    old, new = encoders
    (photos / "cats" / "unknown.png").write_bytes(file_bytes(PICTURES[50]))
    expected = payloads_of(live)
    built = rebuild_index(redis_url, "x", new, source(photos), shards=3)
    assert (built.name, built.before, built.items, built.switched) == ("x@1", "x@0", COUNT, True)
    assert (built.passed_over, built.missing, built.late) == (1, (), Late())
    assert [receipt.encoded for receipt in built.receipts] == [COUNT, 0]
    require_built(live, new, photos, expected)
    assert (live.shards, live.fields) == (3, {"n": "integer"})
    assert len(live.search(new.encode([PICTURES[3]]), 30, filter={"n": {"lt": 7}}, fingerprint=new.fingerprint)[0]) == 7
    assert check_index(redis_url, "x").clean
    roll_back(redis_url, "x")
    require_built(live, old, photos, expected)


def test_what_is_written_meanwhile_is_caught_up_with_and_what_comes_too_late_is_named(
    redis_url: str,
    live: Index,
    photos: Path,
    encoders: tuple[HashEncoder, HashEncoder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = encoders
    names = sorted(payloads_of(live))
    passes: list[int] = []

    def put(name: str, picture: int, payload: dict[str, Any] | None) -> None:
        (photos / name).write_bytes(file_bytes(PICTURES[picture]))
        live.add([name], old.encode([photos / name]), [payload])

    def pictures() -> Iterator[Item]:
        """The second pass begins after others have written; it has not been seen by the first."""
        passes.append(1)
        if len(passes) == 2:
            put("dogs/added.png", 40, {"n": 100})
            put(names[0], 41, {"n": 101})  # another picture under the same id
            live.set_payloads(names[1:3], [{"n": 102}, None])
            live.delete([names[3]])
        if len(passes) == 3:
            put(names[3], 42, {"n": 3})  # as it was in the ledger, but for the picture
        return iter(FolderSource(photos))

    switch = rebuild.switch_generation

    def late(*arguments: Any, **more: Any) -> Any:
        assert (live.delete([names[4]]), len(passes)) == (1, 4)
        put("dogs/late.png", 43, None)
        put(names[5], 44, {"n": 5})
        live.set_payloads([names[6]], [{"n": 106}])
        expected.update(payloads_of(live))
        return switch(*arguments, **more)

    expected: dict[str, Any] = {}
    monkeypatch.setattr(rebuild, "switch_generation", late)
    built = rebuild_index(redis_url, "x", new, pictures)
    assert sorted(built.late.written) == sorted([names[5], names[6], "dogs/late.png"])
    assert built.late.deleted == (names[4],)
    assert built.missing == ()
    del expected["dogs/late.png"]
    with Index.open(redis_url, "x") as now:
        now.delete([names[4], names[5], names[6]])
        del expected[names[5]], expected[names[6]]
        require_built(now, new, photos, expected)


def test_readers_and_writers_run_throughout_and_see_no_mixture(
    redis_url: str, live: Index, photos: Path, encoders: tuple[HashEncoder, HashEncoder]
) -> None:
    """A picture's codes by one encoder are far from its codes by the other: an answer of both would show it."""
    steady = sorted(payloads_of(live))[: COUNT // 2]
    asked = {encoder.fingerprint: encoder.encode([photos / steady[0]]) for encoder in encoders}
    right = {}
    for encoder in encoders:
        query, codes = asked[encoder.fingerprint], encoder.encode([photos / name for name in steady])
        far = hamming(query.coarse, codes.coarse)[0] + hamming(query.fine, codes.fine)[0]
        right[encoder.fingerprint] = dict(zip(steady, far.tolist(), strict=True))
    assert right[encoders[0].fingerprint] != right[encoders[1].fingerprint]
    over, gone_over, read_by = threading.Event(), threading.Barrier(3), set()
    expected = payloads_of(live)

    def read(settings: dict[str, Any]) -> None:
        model, mine = encoders[0].fingerprint, set()
        with Index.open(redis_url, "x", **settings) as reader:
            while not over.is_set():
                try:
                    hit = reader.search(asked[model], 100, exact=True, fingerprint=model)[0]
                except FingerprintMismatch:
                    assert model == encoders[0].fingerprint, "it goes back"
                    model = encoders[1].fingerprint
                    continue
                found = dict(zip(hit.ids, hit.distances.tolist(), strict=True))
                assert {name: found[name] for name in steady} == right[model]
                if model == encoders[1].fingerprint and model not in mine:
                    gone_over.wait(60)
                mine.add(model)
        read_by.update(mine)

    def write() -> None:
        """Changes the other half of the items, until the index holds codes of another model."""
        rng = np.random.default_rng(0)
        with Index.open(redis_url, "x") as writer:
            for n in range(10_000):
                name = f"dogs/w{rng.integers(12)}.png"
                (photos / name).write_bytes(file_bytes(PICTURES[rng.integers(30, 60)]))
                try:
                    if name in expected and rng.random() < 0.4:
                        writer.delete([name])
                        expected.pop(name)
                    else:
                        codes = encoders[0].encode([photos / name])
                        writer.add([name], codes, [{"n": n}], fingerprint=encoders[0].fingerprint)
                        expected[name] = {"n": n}
                except FingerprintMismatch:
                    return

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read, settings) for settings in ({}, {"cache_bytes": 1 << 20})]
        writer = pool.submit(write)
        built = rebuild_index(redis_url, "x", encoders[1], source(photos))
        writer.result(60)
        gone_over.wait(60)
        over.set()
        for one in readers:
            one.result(60)
    assert read_by == set(asked)
    late = {*built.late.written, *built.late.deleted, *built.missing}
    found = payloads_of(live)
    assert {name: found.get(name) for name in (*found, *expected) if name not in late} == {
        name: expected.get(name) for name in (*found, *expected) if name not in late
    }
    for name in ("x@0", "x@1"):
        assert check_index(redis_url, name).clean


def test_one_that_was_cut_short_goes_on_by_its_ledger_and_one_without_leaves_nothing(
    redis_url: str, live: Index, photos: Path, encoders: tuple[HashEncoder, HashEncoder], tmp_path: Path
) -> None:
    _, new = encoders
    expected = payloads_of(live)

    def breaks() -> Iterator[Item]:
        for n, item in enumerate(FolderSource(photos)):
            if n == 20:
                raise DataError("the disk is gone")
            yield item

    with pytest.raises(DataError, match="the disk is gone"):
        rebuild_index(redis_url, "x", new, breaks)
    assert [one.name for one in list_generations(redis_url, "x")] == ["x@0"]
    ledger = tmp_path / "ledger"
    done = 0

    def killed(count: int) -> None:
        nonlocal done
        done += count
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild_index(redis_url, "x", new, source(photos), ledger=ledger, progress=killed)
    half = {one.name: one.items for one in list_generations(redis_url, "x")}
    assert 0 < half["x@2"] < COUNT
    assert live.name == "x"
    built = rebuild_index(redis_url, "x", new, source(photos), ledger=ledger)
    assert built.name == "x@2"
    assert built.receipts[0].encoded == COUNT - half["x@2"]
    require_built(live, new, photos, expected)


def test_a_generation_that_lost_items_since_gets_them_by_the_codes_that_the_ledger_knows(
    redis_url: str, live: Index, photos: Path, encoders: tuple[HashEncoder, HashEncoder], tmp_path: Path
) -> None:
    expected = payloads_of(live)
    ledger = tmp_path / "ledger"
    rebuild_index(redis_url, "x", encoders[1], source(photos), ledger=ledger, switch=False)
    with Index.open(redis_url, "x@1") as half:
        half.delete(list(expected)[:10])
    built = rebuild_index(redis_url, "x", encoders[1], source(photos), ledger=ledger)
    assert (built.name, sum(receipt.encoded for receipt in built.receipts)) == ("x@1", 0)
    require_built(live, encoders[1], photos, expected)


def test_items_without_a_picture_are_named_and_hold_the_switch_up(
    redis_url: str, live: Index, photos: Path, encoders: tuple[HashEncoder, HashEncoder]
) -> None:
    old, new = encoders
    names = sorted(payloads_of(live))
    (photos / names[0]).unlink()
    (photos / names[1]).write_bytes(b"no picture")
    with pytest.raises(DataError, match=rf"of 2 items .*'{names[0]}', '{names[1]}'.*switch x --to 1"):
        rebuild_index(redis_url, "x", new, source(photos))
    assert live.fingerprint == old.fingerprint
    assert len(live) == COUNT
    unswitched = rebuild_index(redis_url, "x", new, source(photos), switch=False)
    assert (unswitched.switched, unswitched.missing, len(live)) == (False, (names[0], names[1]), COUNT)
    assert [str(image.name) for image in unswitched.rejected] == [names[1]]
    built = rebuild_index(redis_url, "x", new, source(photos), allow_missing=True)
    assert (built.missing, built.late, built.items) == ((names[0], names[1]), Late(), COUNT - 2)
    assert len(live) == COUNT - 2


def test_it_does_not_switch_where_somebody_else_has(
    redis_url: str, live: Index, photos: Path, encoders: tuple[HashEncoder, HashEncoder]
) -> None:
    old, new = encoders
    create_generation(redis_url, "x", old.layout, fingerprint=old.fingerprint).close()

    def pictures() -> FolderSource:
        switch_generation(redis_url, "x", 1)
        return FolderSource(photos)

    with pytest.raises(StoreError, match="switched to x@1 by somebody else while x@2 was built from x@0"):
        rebuild_index(redis_url, "x", new, pictures)
    assert [one.name for one in list_generations(redis_url, "x") if one.live] == ["x@1"]


def test_what_cannot_be_rebuilt_is_refused_and_leaves_nothing(
    redis_url: str, live: Index, photos: Path, encoders: tuple[HashEncoder, HashEncoder]
) -> None:
    old, new = encoders
    with pytest.raises(InvalidInput, match="'x@0' is one generation"):
        rebuild_index(redis_url, "x@0", new, source(photos))
    with pytest.raises(IndexMissing, match="no index 'y'"):
        rebuild_index(redis_url, "y", new, source(photos))
    with Index.create(redis_url, "y", old.layout), pytest.raises(InvalidInput, match="'y' is empty"):
        rebuild_index(redis_url, "y", new, source(photos))
    with pytest.raises(DataError, match=r"of 15 pictures, none has an id that index 'x' holds \(one has '029.png'"):
        rebuild_index(redis_url, "x", new, source(photos / "cats"))
    assert [one.name for one in list_generations(redis_url, "x")] == ["x@0"]


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DurableServer]:
    """A real server of the test's own, which keeps what it acknowledged when it is killed."""
    server = DurableServer(tmp_path_factory.mktemp("durable"))
    server.start()
    yield server
    server.kill()


def test_a_server_that_dies_or_is_full_in_the_middle_costs_neither_the_live_one_nor_the_work(
    server: DurableServer, photos: Path, encoders: tuple[HashEncoder, HashEncoder], tmp_path: Path
) -> None:
    old, new = encoders
    names = [str(item.id) for item in FolderSource(photos)]
    with Index.create(server.url, "x", old.layout, fingerprint=old.fingerprint) as index:
        index.add(names, old.encode([photos / name for name in names]), [{"n": "x" * 2000}] * COUNT)
    expected, done = {name: {"n": "x" * 2000} for name in names}, 0
    client = redis.Redis.from_url(server.url)

    def dies(count: int) -> None:
        nonlocal done
        done += count
        if done == 12:
            server.kill()

    with pytest.raises(StoreUnavailable):
        rebuild_index(server.url, "x", new, source(photos), ledger=tmp_path / "ledger", progress=dies)
    server.start()
    with Index.open(server.url, "x") as live:
        require_built(live, old, photos, expected)
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 10_000)
    with pytest.raises(StoreFull):
        rebuild_index(server.url, "x", new, source(photos))
    client.config_set("maxmemory", 0)
    assert [one.name for one in list_generations(server.url, "x")] == ["x@0", "x@1"], "the half one is gone"
    built = rebuild_index(server.url, "x", new, source(photos), ledger=tmp_path / "ledger")
    assert built.name == "x@1"
    assert built.receipts[0].encoded < COUNT, "what the ledger knows is not encoded again"
    with Index.open(server.url, "x") as live:
        require_built(live, new, photos, expected)


def test_a_user_who_may_not_make_generations_makes_none(
    redis_url: str, live: Index, photos: Path, encoders: tuple[HashEncoder, HashEncoder]
) -> None:
    client = redis.Redis.from_url(redis_url)
    try:
        for role in ("reader", "writer"):
            client.execute_command("ACL", "SETUSER", role, "reset", "on", ">secret", *acl_rules("x", role))
            with pytest.raises(StoreUnavailable, match="does not allow this user"):
                rebuild_index(redis_url.replace("unix://", f"unix://{role}:secret@"), "x", encoders[1], source(photos))
    finally:
        client.execute_command("ACL", "DELUSER", "reader", "writer")
    assert [one.name for one in list_generations(redis_url, "x")] == ["x@0"]
    assert list(client.scan_iter("hg:{x@*")) == []

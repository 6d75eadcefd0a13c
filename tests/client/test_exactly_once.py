"""A bulk job with a ledger: nothing is encoded twice, nothing is left out, whatever changed between two runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashgrain.client import HashEncoder
from hashgrain.client.bulk import reading
from hashgrain.client.bulk.job import encode_collection
from hashgrain.client.bulk.ledger import Ledger
from hashgrain.client.bulk.plan import packed
from hashgrain.client.bulk.receipt import Receipt
from hashgrain.client.encoding.decoding import Named
from hashgrain.client.encoding.encoded import Encoded
from hashgrain.client.sources.files import FolderSource
from hashgrain.client.sources.items import Item, ItemId
from hashgrain.codes import HashCodes
from hashgrain.codes.errors import DataError, InvalidInput, StoreUnavailable
from pictures import arrays, file_bytes, write_tree


class Counting(HashEncoder):
    """Knows which pictures have gone to the network."""

    sent: list[str]

    def encode_batches(self, batches: Iterable[list[Named]], **options: Any) -> Iterator[Encoded]:
        def noted() -> Iterator[list[Named]]:
            for batch in batches:
                self.sent += [name for name, _ in batch]
                yield batch

        return super().encode_batches(noted(), **options)


@pytest.fixture
def encoder(model: Path) -> Iterator[Counting]:
    with Counting(model, batch_size=4) as encoder:
        encoder.sent = []
        yield encoder


class Kept:
    """A sink like an index: what it has got stays."""

    def __init__(self, target: str | None = "kept@1", fails_after: int = 10**9) -> None:
        self.target = target
        self.rows: dict[ItemId, tuple[bytes, dict[str, Any]]] = {}
        self.written: list[ItemId] = []
        self._left = fails_after

    def write(self, ids: list[ItemId], codes: HashCodes, payloads: list[dict[str, Any]]) -> None:
        self._left -= 1
        if self._left < 0:
            raise StoreUnavailable("the store is gone")
        self.written += ids
        self.rows |= {item: row for item, *row in zip(ids, packed(codes), payloads, strict=True)}  # type: ignore[misc]


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def job(encoder: Counting, items: Iterable[Item], sink: Kept, ledger: Path, **options: Any) -> Receipt:
    encoder.sent, sink.written = [], []
    with Ledger(ledger, encoder.fingerprint, encoder.layout) as opened:
        return encode_collection(encoder, items, sink, ledger=opened, **options)


def counts(receipt: Receipt) -> tuple[int, int, int, int, int]:
    return receipt.encoded, receipt.reused, receipt.unchanged, len(receipt.rejected), receipt.quarantined


def long_ago(*paths: Path) -> None:
    """Files as old as those of a collection are."""
    for path in paths:
        os.utime(path, (1e9, 1e9))


def expected(encoder: HashEncoder, items: Iterable[Item]) -> dict[ItemId, tuple[bytes, dict[str, Any]]]:
    """What a sink holds in the end, of readable items."""
    each = list(items)
    codes = packed(encoder.encode([item.image for item in each]))  # type: ignore[misc]
    return {item.id: [code, item.payload] for item, code in zip(each, codes, strict=True)}  # type: ignore[misc]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    long_ago(*(root / name for name in write_tree(root, arrays(11))))
    return root


def test_a_second_run_does_nothing_and_reads_nothing(
    encoder: Counting, folder: Path, ledger_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Kept()
    first = job(encoder, FolderSource(folder), sink, ledger_file)
    assert counts(first) == (11, 0, 0, 0, 0)
    assert first.bytes_read == sum(path.stat().st_size for path in folder.rglob("*.png"))
    monkeypatch.setattr(reading, "read_file", lambda *_: pytest.fail("a file was read"))
    second = job(encoder, FolderSource(folder), sink, ledger_file)
    assert counts(second) == (0, 0, 11, 0, 0)
    assert (second.bytes_read, encoder.sent, sink.written) == (0, [], [])
    assert sink.rows == expected(encoder, FolderSource(folder))


def test_changed_and_new_files_are_encoded_and_touched_ones_are_not(
    encoder: Counting, folder: Path, ledger_file: Path
) -> None:
    sink = Kept()
    job(encoder, FolderSource(folder), sink, ledger_file)
    changed, new, touched = folder / "cats/001.png", folder / "cats/new.png", folder / "dogs/000.png"
    changed.write_bytes(file_bytes(arrays(1, seed=7)[0]))
    new.write_bytes(file_bytes(arrays(1, seed=8)[0]))
    os.utime(touched, (2e9 - 1e9, 1e9 + 5))
    assert counts(job(encoder, FolderSource(folder), sink, ledger_file)) == (2, 0, 10, 0, 0)
    assert encoder.sent == sink.written == ["cats/001.png", "cats/new.png"]
    assert sink.rows == expected(encoder, FolderSource(folder))


def test_a_folder_that_was_moved_is_read_again_and_not_encoded(
    encoder: Counting, folder: Path, ledger_file: Path, tmp_path: Path
) -> None:
    sink = Kept()
    items = [Item(item.id, item.image) for item in FolderSource(folder)]
    job(encoder, items, sink, ledger_file)
    folder.rename(tmp_path / "elsewhere")
    moved = [Item(item.id, item.image) for item in FolderSource(tmp_path / "elsewhere")]
    receipt = job(encoder, moved, sink, ledger_file)
    assert counts(receipt) == (0, 0, 11, 0, 0)
    assert (receipt.bytes_read > 0, sink.written) == (True, [])


def test_verify_finds_a_change_that_size_and_time_do_not_show(
    encoder: Counting, tmp_path: Path, ledger_file: Path
) -> None:
    (tmp_path / "p").mkdir()
    path = tmp_path / "p" / "a.bmp"
    path.write_bytes(file_bytes(arrays(1, seed=1)[0], "BMP"))
    long_ago(path)
    sink = Kept()
    job(encoder, FolderSource(tmp_path / "p"), sink, ledger_file)
    path.write_bytes(file_bytes(arrays(1, seed=2)[0], "BMP"))
    long_ago(path)
    assert counts(job(encoder, FolderSource(tmp_path / "p"), sink, ledger_file)) == (0, 0, 1, 0, 0)
    assert counts(job(encoder, FolderSource(tmp_path / "p"), sink, ledger_file, verify=True)) == (1, 0, 0, 0, 0)
    assert sink.rows == expected(encoder, FolderSource(tmp_path / "p"))


def test_a_file_that_was_changed_just_now_is_not_trusted_on_its_time(
    encoder: Counting, tmp_path: Path, ledger_file: Path
) -> None:
    """The second change may fall into the same tick of the file system's clock as the first."""
    (tmp_path / "p").mkdir()
    path, now = tmp_path / "p" / "a.bmp", time.time()
    sink = Kept()
    for seed in (1, 2):
        path.write_bytes(file_bytes(arrays(1, seed=seed)[0], "BMP"))
        os.utime(path, (now, now))
        assert counts(job(encoder, FolderSource(tmp_path / "p"), sink, ledger_file)) == (1, 0, 0, 0, 0)
    assert sink.rows == expected(encoder, FolderSource(tmp_path / "p"))


def test_identical_pictures_are_encoded_once_within_a_run_and_across_runs(encoder: Counting, ledger_file: Path) -> None:
    images = [file_bytes(picture) for picture in arrays(5)]
    sink = Kept()
    items = [Item(f"{n}", images[n % 5]) for n in range(23)]
    assert counts(job(encoder, items, sink, ledger_file)) == (5, 18, 0, 0, 0)
    assert encoder.sent == ["0", "1", "2", "3", "4"]
    assert sink.written == [item.id for item in items]
    assert sink.rows == expected(encoder, items)
    others = [Item(f"other {n}", images[n % 5]) for n in range(7)]
    assert counts(job(encoder, others, sink, ledger_file)) == (0, 7, 0, 0, 0)
    assert encoder.sent == []
    assert sink.rows == expected(encoder, items + others)


def test_a_payload_that_changed_is_written_and_the_picture_not_encoded(encoder: Counting, ledger_file: Path) -> None:
    images = [file_bytes(picture) for picture in arrays(6)]
    sink = Kept()
    job(encoder, [Item(n, image, {"price": 1}) for n, image in enumerate(images)], sink, ledger_file)
    items = [Item(n, image, {"price": 1 + n // 3}) for n, image in enumerate(images)]
    assert counts(job(encoder, items, sink, ledger_file)) == (0, 3, 3, 0, 0)
    assert (encoder.sent, sink.written) == ([], [3, 4, 5])
    assert sink.rows == expected(encoder, items)


def test_unreadable_ones_are_tried_again_only_when_they_changed(
    encoder: Counting, folder: Path, ledger_file: Path, tmp_path: Path
) -> None:
    for name in ("a.jpg", "b.jpg", "copy of a.jpg"):
        (folder / name).write_bytes(b"broken " + name[-5:].encode())
        long_ago(folder / name)
    sink = Kept()
    items = [*FolderSource(folder), Item("missing", tmp_path / "missing.png")]
    first = job(encoder, items, sink, ledger_file)
    assert counts(first) == (11, 0, 0, 4, 0)
    assert [image.name for image in first.rejected] == ["a.jpg", "b.jpg", "copy of a.jpg", "missing"]
    assert [name for name in encoder.sent if name.endswith(".jpg")] == ["a.jpg", "b.jpg"]
    (folder / "b.jpg").write_bytes(file_bytes(arrays(1, seed=9)[0]))
    (tmp_path / "missing.png").write_bytes(file_bytes(arrays(1, seed=10)[0]))
    assert counts(job(encoder, items, sink, ledger_file)) == (2, 0, 11, 0, 2)
    assert encoder.sent == ["b.jpg", "missing"]
    with Ledger(ledger_file, encoder.fingerprint, encoder.layout) as ledger:
        assert [name for name, _ in ledger.rejected(10)] == ["a.jpg", "copy of a.jpg"]
        ledger.forget_rejected()
    assert counts(job(encoder, items, sink, ledger_file)) == (0, 0, 13, 2, 0)


@pytest.mark.parametrize("batches", range(4))
def test_what_a_sink_did_not_acknowledge_is_sent_again(encoder: Counting, ledger_file: Path, batches: int) -> None:
    items = [Item(n, file_bytes(picture)) for n, picture in enumerate(arrays(14))]
    sink = Kept(fails_after=batches)
    with pytest.raises(StoreUnavailable):
        job(encoder, items, sink, ledger_file)
    whole = Kept()
    whole.rows = sink.rows
    receipt = job(encoder, items, whole, ledger_file)
    assert counts(receipt) == (14 - 4 * batches, 0, 4 * batches, 0, 0)
    assert whole.rows == expected(encoder, items)


def test_another_target_gets_everything_by_the_codes_that_are_known(encoder: Counting, ledger_file: Path) -> None:
    items = [Item(n, file_bytes(picture)) for n, picture in enumerate(arrays(6))]
    job(encoder, items, Kept("kept@1"), ledger_file)
    for sink in (Kept("kept@2"), Kept(None), Kept(None)):
        assert counts(job(encoder, items, sink, ledger_file)) == (0, 6, 0, 0, 0)
        assert (encoder.sent, sink.rows) == ([], expected(encoder, items))


def test_an_id_that_comes_twice_ends_with_the_last_picture(encoder: Counting, ledger_file: Path) -> None:
    one, two = (file_bytes(picture) for picture in arrays(2))
    sink = Kept()
    for between in (0, 1, 30, 300):
        others = [Item(f"{between}/{n}", one) for n in range(between)]
        items = [Item("x", one), *others, Item("x", two)]
        for _ in range(2):
            job(encoder, items, sink, ledger_file)
            assert sink.rows.items() >= expected(encoder, items).items()


def test_a_long_stretch_of_known_items_is_handed_on_before_the_next_new_one(
    encoder: Counting, ledger_file: Path
) -> None:
    """Else memory would grow with it."""
    image, other = (file_bytes(picture) for picture in arrays(2))
    done: list[int] = []
    items = [Item(n, image) for n in range(1000)] + [Item("last", other)]
    assert counts(job(encoder, items, Kept(), ledger_file, progress=done.append)) == (2, 999, 0, 0, 0)
    assert max(done) == 16 * 4
    assert sum(done) == 1001


def test_logits_are_not_kept_in_a_ledger(encoder: Counting, ledger_file: Path) -> None:
    with pytest.raises(InvalidInput, match="a ledger keeps codes and no logits"):
        job(encoder, [Item(1, b"")], Kept(), ledger_file, logits=True)


def test_a_source_that_breaks_off_leaves_what_was_done_in_the_ledger(encoder: Counting, ledger_file: Path) -> None:
    items = [Item(n, file_bytes(picture)) for n, picture in enumerate(arrays(20))]

    def cut_short() -> Iterator[Item]:
        yield from items
        raise DataError("cut short")

    sink = Kept()
    with pytest.raises(DataError, match="cut short"):
        job(encoder, cut_short(), sink, ledger_file)
    job(encoder, items, sink, ledger_file)
    assert sink.rows == expected(encoder, items)


def test_the_receipt_says_how_long_every_stage_was_at_work(encoder: Counting, folder: Path, ledger_file: Path) -> None:
    receipt = job(encoder, FolderSource(folder), Kept(), ledger_file)
    assert [time.stage for time in receipt.stages] == ["read", "decode", "infer", "write"]
    for stage in receipt.stages:
        assert 0 < stage.busy_seconds <= min(stage.thread_seconds, receipt.seconds)


def test_random_changes_between_interrupted_runs(encoder: Counting, tmp_path: Path, ledger_file: Path) -> None:
    """Against the plain rule: in the end the sink holds what the files hold."""
    rng = np.random.default_rng(3)
    root, contents = tmp_path / "p", [file_bytes(picture) for picture in arrays(12)] + [b"broken"]
    root.mkdir()
    rows: dict[ItemId, Any] = {}
    for round_number in range(12):
        for name in rng.integers(0, 30, 8):
            (root / f"{name:02}.png").write_bytes(contents[int(rng.integers(len(contents)))])
            os.utime(root / f"{name:02}.png", (1e9, 1e9 + round_number))
        for fails_after in (int(rng.integers(0, 4)), 10**9):
            sink = Kept(fails_after=fails_after)
            sink.rows = rows
            try:
                job(encoder, FolderSource(root), sink, ledger_file)
            except StoreUnavailable:
                assert fails_after < 10**9
        readable = [item for item in FolderSource(root) if item.image.read_bytes() != b"broken"]  # type: ignore[union-attr]
        for item, row in expected(encoder, readable).items():
            assert rows[item] == row

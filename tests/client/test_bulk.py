"""Whole collections: order, ids and payloads kept together, unreadable pictures left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashgrain.client import HashEncoder
from hashgrain.client.bulk.job import encode_collection
from hashgrain.client.bulk.reading import ITEMS_AHEAD, ITEMS_OF_A_TASK
from hashgrain.client.sinks.codes_file import CodesFile, read_codes
from hashgrain.client.sources.files import FolderSource
from hashgrain.client.sources.items import Item, ItemId
from hashgrain.client.sources.parquet_source import ParquetSource
from hashgrain.codes import HashCodes
from hashgrain.codes.errors import DataError
from pictures import arrays, file_bytes, write_tree
from tiny_model import write_tiny_repository


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HashEncoder]:
    """The tiny model in process, in batches small enough to have many."""
    repository = tmp_path_factory.mktemp("models")
    write_tiny_repository(repository)
    with HashEncoder(repository, batch_size=4) as encoder:
        yield encoder


class Memory:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.ids: list[ItemId] = []
        self.codes: list[HashCodes] = []
        self.payloads: list[dict[str, Any]] = []

    def write(self, ids: list[ItemId], codes: HashCodes, payloads: list[dict[str, Any]]) -> None:
        assert len(ids) == len(codes) == len(payloads) > 0
        self.ids += ids
        self.codes.append(codes)
        self.payloads += payloads


def test_a_folder_into_a_file(encoder: HashEncoder, tmp_path: Path) -> None:
    pictures = arrays(11)
    names = write_tree(tmp_path / "set", pictures)
    with CodesFile(tmp_path / "c.parquet", encoder.layout, encoder.fingerprint) as file:
        report = encode_collection(encoder, FolderSource(tmp_path / "set"), file)
    stored = read_codes(tmp_path / "c.parquet")
    assert (report.encoded, report.rejected) == (11, ())
    assert stored.ids == names
    assert [payload["label"] for payload in stored.payloads] == [name.partition("/")[0] for name in names]
    expected = encoder.encode(pictures[[int(Path(name).stem) for name in names]])
    assert np.array_equal(stored.codes.fine, expected.fine)
    assert np.array_equal(stored.codes.coarse, expected.coarse)


@pytest.mark.parametrize("bad", [[0], [3, 4], [4, 5, 6, 7], [0, 9, 10], list(range(10))])
def test_ids_codes_and_payloads_stay_together_around_unreadable_pictures(encoder: HashEncoder, bad: list[int]) -> None:
    pictures = arrays(11)
    items = [Item(n, b"broken" if n in bad else file_bytes(picture), {"n": n}) for n, picture in enumerate(pictures)]
    sink, seen = Memory(), []
    report = encode_collection(encoder, items, sink, logits=True, progress=seen.append)
    good = [n for n in range(11) if n not in bad]
    assert sink.ids == good
    assert sink.payloads == [{"n": n} for n in good]
    assert np.array_equal(HashCodes.concatenate(sink.codes).fine, encoder.encode(pictures[good]).fine)
    assert sink.codes[0].fine_logits is not None
    assert (report.encoded, [image.name for image in report.rejected]) == (len(good), [str(n) for n in bad])
    assert sum(seen) == 11


def test_nothing_readable_is_a_report_and_nothing_at_all_an_error(encoder: HashEncoder) -> None:
    sink = Memory()
    report = encode_collection(encoder, [Item("a", b""), Item("b", Path("no/such.png"))], sink)
    assert (report.encoded, len(report.rejected), sink.ids) == (0, 2, [])
    with pytest.raises(DataError, match="the collection is empty"):
        encode_collection(encoder, [], sink)


def test_only_a_few_batches_are_taken_ahead_of_the_sink(encoder: HashEncoder) -> None:
    taken = 0
    image = file_bytes(arrays(1)[0])

    def items() -> Iterator[Item]:
        nonlocal taken
        for taken in range(1, 401):
            yield Item(taken, image)

    class Checking(Memory):
        def write(self, ids: list[ItemId], codes: HashCodes, payloads: list[dict[str, Any]]) -> None:
            super().write(ids, codes, payloads)
            assert taken - len(self.ids) <= ITEMS_AHEAD + ITEMS_OF_A_TASK + batches * 4

    sink = Checking()
    batches = 1 + 6  # in flight and around, as the module says
    assert encode_collection(encoder, items(), sink).encoded == 400
    assert sink.ids == list(range(1, 401))


def test_an_error_of_the_sink_ends_the_work(encoder: HashEncoder) -> None:
    class Full(Memory):
        def write(self, ids: list[ItemId], codes: HashCodes, payloads: list[dict[str, Any]]) -> None:
            super().write(ids, codes, payloads)
            raise DataError("full")

    sink = Full()
    with pytest.raises(DataError, match="full"):
        encode_collection(encoder, [Item(n, file_bytes(arrays(1)[0])) for n in range(50)], sink)
    assert len(sink.ids) == 4


def test_real_pictures_in_hugging_faces_layout(encoder: HashEncoder, cifar100: Path) -> None:
    path = min(cifar100.rglob("*test*.parquet"))
    source = ParquetSource(path, payload_columns=("fine_label", "coarse_label"))
    sink = Memory()
    report = encode_collection(encoder, (item for item, _ in zip(source, range(200), strict=False)), sink)
    assert (report.encoded, report.rejected) == (200, ())
    assert len({codes.fine.tobytes() for codes in sink.codes}) == 50
    assert set(sink.payloads[0]) == {"fine_label", "coarse_label"}

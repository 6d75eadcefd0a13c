"""A bulk job whose servers are killed or whose disk is full: an error that says so, or a pause, and nothing is lost."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from bulk_into_index import into_index, require_kept, require_whole
from durable_server import DurableServer
from hashgrain.cli.index_sink import IndexSink
from hashgrain.client import HashEncoder
from hashgrain.client.bulk.job import encode_collection
from hashgrain.client.bulk.ledger import Ledger
from hashgrain.client.bulk.receipt import Receipt
from hashgrain.client.sinks.codes_file import CodesFile, read_codes
from hashgrain.client.sources.files import FolderSource
from hashgrain.codes.errors import DataError, ServerUnavailable, StoreUnavailable
from hashgrain.runtime import servers
from pictures import arrays, write_tree
from process_state import wait_until_group_is_gone

IMAGES = 400


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("collection") / "photos"
    write_tree(root, arrays(IMAGES))
    return root


def test_redis_killed_in_the_middle(photos: Path, model: Path, tmp_path: Path) -> None:
    server, done = DurableServer(tmp_path), 0
    server.start()

    def kill_halfway(images: int) -> None:
        nonlocal done
        done += images
        if done == 160:
            server.kill()

    with HashEncoder(model, batch_size=16) as encoder:
        with pytest.raises(StoreUnavailable):
            into_index(photos, server.url, encoder, tmp_path / "ledger", kill_halfway)
        assert done == 160
        server.start()
        require_kept(server.url, tmp_path / "ledger", encoder)
        receipt = into_index(photos, server.url, encoder, tmp_path / "ledger")
        assert (receipt.encoded, receipt.unchanged) == (IMAGES - 160, 160)
        require_whole(server.url, photos, encoder)
    server.kill()


@pytest.mark.parametrize(("fsync", "says"), [("always", "no Redis at"), ("everysec", "File too large")])
def test_the_disk_of_redis_is_full_in_the_middle(
    photos: Path, model: Path, tmp_path: Path, fsync: str, says: str
) -> None:
    """A Redis that promises every write ends there; one that promises a second refuses further writes."""
    server, ledger, done = DurableServer(tmp_path, fsync), tmp_path / "ledger", 0
    server.start()

    def fill_halfway(images: int) -> None:
        nonlocal done
        done += images
        if done == 160:
            server.fill_disk()

    with HashEncoder(model, batch_size=16) as encoder:
        with pytest.raises(StoreUnavailable, match=says):
            into_index(photos, server.url, encoder, ledger, fill_halfway)
        server.free_disk()
        require_kept(server.url, ledger, encoder)
        receipt = into_index(photos, server.url, encoder, ledger)
        assert (receipt.encoded, receipt.unchanged) == (IMAGES - done, done)
        server.kill()
        server.start()
        require_whole(server.url, photos, encoder)
    server.kill()


@contextmanager
def triton_killed(home: Path, repository: Path) -> Iterator[tuple[servers.RunningServers, Callable[[int], None]]]:
    """A Triton, and a progress callback that kills it at the 96th picture and starts it again beside the work."""
    started = servers.start(servers.StartSettings(home=home, model_repository=repository))
    assert started.triton is not None, started.no_triton
    triton, restarts, done = started.triton, [], 0

    def restart() -> None:
        wait_until_group_is_gone(triton.process.pid)
        servers.start(servers.StartSettings(home=home, model_repository=repository))

    def halfway(images: int) -> None:
        nonlocal done
        done += images
        if done == 96:
            os.killpg(triton.process.pid, signal.SIGKILL)
            restarts.append(threading.Thread(target=restart))
            restarts[0].start()

    try:
        yield started, halfway
        assert restarts, "the server was never killed"
    finally:
        for thread in restarts:
            thread.join()
        servers.stop(home)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["grpc", pytest.param("http", marks=pytest.mark.long)])
def test_triton_restarted_in_the_middle_costs_time_and_no_pictures(
    photos: Path, model: Path, redis_url: str, tmp_path: Path, scheme: str
) -> None:
    with triton_killed(tmp_path / "home", model) as (started, halfway):
        assert started.triton is not None
        address = started.triton.address if scheme == "grpc" else started.triton.http
        with HashEncoder(address, batch_size=16) as encoder:
            receipt = into_index(photos, redis_url, encoder, tmp_path / "ledger", halfway)
            assert (receipt.encoded, receipt.rejected) == (IMAGES, ())
        with HashEncoder(model) as encoder:
            require_kept(redis_url, tmp_path / "ledger", encoder)
            require_whole(redis_url, photos, encoder)


def test_a_server_that_stays_away_ends_the_work_in_an_error_and_the_ledger_goes_on(
    photos: Path, model: Path, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = 0
    with HashEncoder(model, batch_size=16) as encoder:
        transport = encoder._pipeline._transport
        infer = transport.infer

        def gone(*_: object, **__: object) -> None:
            raise ServerUnavailable("no Triton server answers at grpc://host:8001")

        def halfway(images: int) -> None:
            nonlocal done
            done += images
            if done == 64:
                monkeypatch.setattr(transport, "infer", gone)

        monkeypatch.setattr("hashgrain.client.encoding.encoder.require_same_model", gone)
        with (
            IndexSink(redis_url, "photos", encoder) as sink,
            Ledger(tmp_path / "ledger", encoder.fingerprint, encoder.layout) as ledger,
            pytest.raises(ServerUnavailable, match=r"waited 0\.2 s for the server to come back: no Triton"),
        ):
            encode_collection(encoder, FolderSource(photos), sink, ledger=ledger, patience=0.2, progress=halfway)
        require_kept(redis_url, tmp_path / "ledger", encoder)
        monkeypatch.setattr(transport, "infer", infer)
        receipt = into_index(photos, redis_url, encoder, tmp_path / "ledger")
        assert receipt.encoded == IMAGES - done < IMAGES
        require_whole(redis_url, photos, encoder)


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file of this process can grow beyond so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("size", "noted", "says"), [(1000, False, "parquet cannot be written"), (60_000, True, "ledger .* cannot be used")]
)
def test_a_full_disk(photos: Path, model: Path, tmp_path: Path, size: int, noted: bool, says: str) -> None:
    path = tmp_path / "codes.parquet"

    def into_file() -> Receipt:
        with CodesFile(path, encoder.layout, encoder.fingerprint) as file:
            return encode_collection(encoder, FolderSource(photos), file, ledger=ledger if noted else None)

    with (
        HashEncoder(model, batch_size=16) as encoder,
        Ledger(tmp_path / "ledger", encoder.fingerprint, encoder.layout) as ledger,
    ):
        with disk_of(size), pytest.raises(DataError, match=says):
            into_file()
        assert not path.exists()
        assert into_file().images == IMAGES
        names = [item.id for item in FolderSource(photos)]
        stored = read_codes(path)
        assert stored.ids == names
        assert np.array_equal(stored.codes.fine, encoder.encode([photos / str(name) for name in names]).fine)


def test_a_ledger_on_a_full_disk_notes_nothing_that_the_index_lacks(
    photos: Path, model: Path, redis_url: str, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    with HashEncoder(model, batch_size=16) as encoder:
        with disk_of(60_000), pytest.raises(DataError, match="ledger .* cannot be used"):
            into_index(photos, redis_url, encoder, ledger)
        require_kept(redis_url, ledger, encoder)
        receipt = into_index(photos, redis_url, encoder, ledger)
        assert 0 < receipt.unchanged < IMAGES
        require_whole(redis_url, photos, encoder)

"""`hashgrain encode --queue --processes`: the same index as by one process, and nobody is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis

from command import COMMAND, environment, hashgrain
from hashgrain.client import HashEncoder
from hashgrain.client.bulk.job import encode_collection
from hashgrain.client.sources.files import FolderSource
from hashgrain.indexer import Index
from pictures import arrays, write_tree
from plain_sink import AddTo
from stored_codes import stored_codes

IMAGES = 240


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos") / "photos"
    write_tree(folder, arrays(IMAGES))
    return folder


def options(photos: Path, model: Path, redis_url: str) -> list[str]:
    servers = ["--queue", redis_url, "--redis", redis_url, "--triton", str(model)]
    return ["encode", str(photos), "--index", "photos", *servers, "--chunk", "2", "--claim-after", "3"]


def children(pid: int) -> list[int]:
    """The processes that take part beside `pid`; multiprocessing has one more, which watches over resources."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == pid and b"spawn_main" in command:
            found.append(int(status.parent.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def require_all(photos: Path, model: Path, redis_url: str) -> None:
    """The index holds what an unbroken run of one process alone leaves."""
    with (
        HashEncoder(model) as encoder,
        Index.create(redis_url, "alone", encoder.layout, fingerprint=encoder.fingerprint) as alone,
        Index.open(redis_url, "photos") as index,
    ):
        encode_collection(encoder, FolderSource(photos), AddTo(alone))
        assert len(index) == IMAGES
        assert stored_codes(index) == stored_codes(alone)


def test_processes_share_the_work_and_the_index_is_that_of_one(photos: Path, model: Path, redis_url: str) -> None:
    done = hashgrain(*options(photos, model, redis_url), "--processes", "3", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["encoded"], found["done"], found["state"]) == (IMAGES, IMAGES // 2, "ended")
    require_all(photos, model, redis_url)


def test_children_of_a_killed_command_end_with_it_and_the_next_run_goes_on(
    photos: Path, model: Path, redis_url: str
) -> None:
    command = [*COMMAND, *options(photos, model, redis_url), "--processes", "2"]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (begun := children(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert begun
    while any(map(is_alive, begun)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    done = hashgrain(*options(photos, model, redis_url), "--processes", "2")
    assert done.returncode == 0, done.stderr
    require_all(photos, model, redis_url)


def test_a_child_that_is_killed_loses_nothing(photos: Path, model: Path, redis_url: str) -> None:
    command = [*COMMAND, *options(photos, model, redis_url), "--processes", "2"]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    job = redis.Redis.from_url(redis_url, decode_responses=True)
    while not int(job.hget("hgjob:{photos}:job", "done") or 0):  # type: ignore[arg-type]
        assert process.poll() is None
        time.sleep(0.001)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "a process ended with exit code -9; others took over its work" in errors
    require_all(photos, model, redis_url)


def test_processes_go_with_a_queue(photos: Path) -> None:
    assert hashgrain("encode", str(photos), "--index", "photos", "--processes", "2").returncode == 2

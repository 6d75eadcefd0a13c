"""Servers and writers are killed, over and over: nothing acknowledged is lost, and the check has nothing to say.

What is found after a kill must be what the victim had written after its last acknowledged step, or after the one that
it had begun (see `seen_by_readers`).
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import redis

from command import hashgrain
from durable_server import DurableServer
from hashgrain.codes.errors import IndexMissing
from hashgrain.indexer import Index, check_index
from hashgrain.indexer.managing.lifecycle import drop_index
from random_codes import random_codes
from seen_by_readers import Owner
from write_history import LAYOUT, NAME, Progress, Workload

TESTS = Path(__file__).parents[1]
QUESTION = {"k": 10**6, "rank": "total", "exact": True, "payloads": True}
PATIENCE_S = 30


@pytest.mark.parametrize("victim", ["server", "writer"])
def test_kills_at_random_moments_lose_nothing(server: DurableServer, tmp_path: Path, victim: str) -> None:
    kill_again_and_again(server, tmp_path, victim, rounds=4)


@pytest.mark.long
@pytest.mark.parametrize("victim", ["server", "writer"])
def test_a_hundred_kills_at_random_moments_lose_nothing(server: DurableServer, tmp_path: Path, victim: str) -> None:
    kill_again_and_again(server, tmp_path, victim, rounds=100)


def kill_again_and_again(server: DurableServer, folder: Path, victim: str, rounds: int) -> None:
    """Every round has a writer of its own, so that what earlier ones left is held against later kills, too."""
    workload = Workload(seed=5, writers=rounds, steps=10**4, shards=2, pause_ms=0, readers=0)
    progress = Progress(folder / "progress", workload, fresh=True)
    rng, owners = np.random.default_rng(5), []
    Index.create(server.url, NAME, LAYOUT, shards=workload.shards).close()
    for number in range(rounds):
        arguments = ("write", server.url, workload.to_json(), folder / "progress", number)
        command = [sys.executable, TESTS / "churn_process.py", *map(str, arguments)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as writer:
            _wait_for_step(writer, progress, number, int(rng.integers(1, 80)))
            time.sleep(rng.uniform(0, 0.003))
            if victim == "server":
                server.kill()
            else:
                writer.kill()
            errors = writer.communicate()[1]
        if victim == "server":
            assert "StoreUnavailable" in errors, errors
            server.start()
        assert check_index(server.url, NAME).findings == (), f"after kill {number}"
        owners.append(Owner(workload, number))
        with Index.open(server.url, NAME) as index:
            query = random_codes(1, LAYOUT, number)
            hit = index.search(query, **QUESTION)[0]  # type: ignore[arg-type]
            assert len(index) == len(hit.ids)
        for owner, done, begun in zip(owners, progress.done.tolist(), progress.begun.tolist(), strict=False):
            owner.require([(hit, query)], QUESTION, done, begun)
    checked = hashgrain("index", "check", NAME, HASHGRAIN_REDIS=server.url)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.endswith("\nnothing is wrong\n")


def _wait_for_step(writer: subprocess.Popen[str], progress: Progress, number: int, step: int) -> None:
    for _ in range(PATIENCE_S * 1000):
        if progress.done[number] >= step:
            return
        assert writer.poll() is None, writer.communicate()[1]
        time.sleep(0.001)
    pytest.fail(f"writer {number} did not come to step {step}")


# One process is forked for every kill, so that only the first has to import anything.
VICTIM = """
import os
import signal
import sys

from redis.connection import AbstractConnection

from hashgrain.indexer import Index
from hashgrain.indexer.adding import writing
from random_codes import random_codes
from write_history import LAYOUT, NAME

writing.BATCH_ITEMS = 6
send = AbstractConnection.send_packed_command
left = 0

def send_or_die(*arguments, **options):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return send(*arguments, **options)

def live(url):
    index = Index.create(url, NAME, LAYOUT, shards=2)
    for stamp in (0, 1):
        index.add(range(20 * stamp, 20 * stamp + 30), random_codes(30, LAYOUT, stamp), [{"n": stamp}] * 30)
    index.delete(range(25))
    index.drop()

for line in sys.stdin:
    left = int(line)
    child = os.fork()
    if not child:
        AbstractConnection.send_packed_command = send_or_die
        live(sys.argv[1])
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_a_process_killed_before_any_command_of_its_life_leaves_what_can_be_gone_on_from(redis_url: str) -> None:
    """It creates an index of two shards, adds, replaces, deletes, and drops it, and dies a command later every time."""
    client, states = redis.Redis.from_url(redis_url), []
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, redis_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TESTS
    ) as victims:
        assert victims.stdin is not None
        assert victims.stdout is not None
        for commands in range(1000):
            victims.stdin.write(f"{commands}\n")
            victims.stdin.flush()
            code = int(victims.stdout.readline())
            state = _state(redis_url)
            if state not in states:
                _check_by_command(redis_url, state)
            states.append(state)
            if state == "live":
                _go_on(redis_url)
            elif state != "missing":
                drop_index(redis_url, NAME)  # as the remedy says
            assert client.keys() == []
            if code == 0:
                break
            assert code == -9
        victims.stdin.close()
    assert list(dict.fromkeys(states)) == ["missing", "half-made", "live", "half-dropped"]
    assert states[-1] == "missing"
    assert states.count("live") > 10


def _state(url: str) -> str:
    try:
        report = check_index(url, NAME)
    except IndexMissing:
        return "missing"
    assert len(report.findings) <= 1, report.findings
    return report.findings[0].kind if report.findings else "live"


def _check_by_command(url: str, state: str) -> None:
    """The command says the same as the check, and what to do."""
    checked = hashgrain("index", "check", NAME, HASHGRAIN_REDIS=url)
    assert checked.returncode == (0 if state == "live" else 1)
    if state == "missing":
        assert "no index 'x' in Redis" in checked.stderr
        assert "`hashgrain index list`" in checked.stderr
    elif state == "live":
        assert checked.stdout.endswith("\nnothing is wrong\n")
    else:
        assert f"\n{state}: 1 found\n" in checked.stdout
        assert "`hashgrain index drop x --yes`" in checked.stdout
        assert checked.stdout.endswith("\n0 repaired, 1 left\n")


def _go_on(url: str) -> None:
    """What is there was written; whoever goes on finds an index like any other."""
    query = random_codes(1, LAYOUT)
    with Index.open(url, NAME) as index:
        before = index.search(query, **QUESTION)[0]  # type: ignore[arg-type]
        assert len(index) == len(before.ids) == len(set(before.ids))
        for item, payload in zip(before.ids, before.payloads or (), strict=True):
            assert payload in ({"n": 0}, {"n": 1})
            assert isinstance(item, int)
            assert 0 <= item - 20 * payload["n"] < 30
        codes = random_codes(50, LAYOUT, 9)
        index.add(range(50), codes)
        assert check_index(url, NAME).findings == ()
        assert len(index) == 50
        for item, code in enumerate(codes):
            assert item in index.search(code, 50, within=0)[0].ids
        index.drop()

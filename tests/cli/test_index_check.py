"""`hashgrain index check`: what it prints, and with which code it exits."""

from __future__ import annotations

import json

import pytest

from called_here import Run, called_here
from damaged_index import DELETED, IDS, build

ITEMS = len(IDS) - len(DELETED)
NAMES = sum(isinstance(item, str) for item in IDS) - sum(isinstance(item, str) for item in DELETED)


@pytest.fixture
def run(redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `index check` against the test's Redis; gives exit code, standard output and standard error."""
    monkeypatch.setenv("HASHGRAIN_REDIS", redis_url)
    return called_here(capsys, "index", "check")


def test_a_sound_index_exits_with_0(run: Run, redis_url: str) -> None:
    index, _, stored = build(redis_url)
    with index:
        buckets, payloads = stored.count(), index.stats().payloads
    assert run("x") == (
        0,
        f"examined index x: 1 shard, {buckets} buckets, {ITEMS} items, {NAMES} names, {payloads} payloads\n"
        "nothing is wrong\n",
        "",
    )
    code, out, _ = run("x", "--json")
    assert code == 0
    assert json.loads(out) == {
        "index": "x",
        "clean": True,
        "examined": {"shards": 1, "buckets": buckets, "items": ITEMS, "names": NAMES, "payloads": payloads},
        "findings": [],
    }


def test_a_finding_is_told_with_its_key_its_consequence_and_the_next_step(run: Run, redis_url: str) -> None:
    index, _, stored = build(redis_url)
    with index:
        stored.client.hincrby(stored.keys.meta, "live", 1)
    code, out, _ = run("x")
    assert code == 1
    assert out.split("\n", 1)[1] == (
        "\n"
        "live-count: 1 found\n"
        f"  hg:{{x:0}}:meta: {ITEMS + 1} items counted, {ITEMS} there\n"
        "  so     the index counts its items wrongly\n"
        "  next   `hashgrain index check x --repair` mends it\n"
        "\n"
        "0 repaired, 1 left\n"
    )
    code, out, _ = run("x", "--repair")
    assert code == 0
    assert out.split("\n", 1)[1] == (
        f"\nlive-count: 1 repaired\n  hg:{{x:0}}:meta: {ITEMS + 1} items counted, {ITEMS} there\n\n1 repaired, 0 left\n"
    )
    assert run("x")[0] == 0


def test_json_names_every_item_and_text_the_first_of_them(
    run: Run, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hashgrain.cli.index_check.SHOWN", 2)
    index, _, stored = build(redis_url)
    with index:
        stored.client.delete(*(stored.keys.bucket(bucket) for bucket in range(stored.count())))
    code, out, _ = run("x", "--repair")
    assert code == 1
    assert f"lost-record: {ITEMS} found\n" in out
    assert f"  and {ITEMS - 2} more, which --json prints\n" in out
    assert "hashgrain index check x --repair --forget-lost" in out
    code, out, _ = run("x", "--json")
    assert code == 1
    report = json.loads(out)
    assert report["clean"] is False
    told = {finding["item"] for finding in report["findings"] if finding["kind"] == "lost-record"}
    # What has a name or a payload; an integer id is stored with its record alone.
    assert told - {None} == {item for n, item in enumerate(IDS) if item not in DELETED and (n == 6 or n % 6)}
    code, out, _ = run("x", "--repair", "--forget-lost")
    assert code == 0
    assert f"lost-record: {ITEMS} repaired\n" in out
    assert "  next   add this id again with its code\n" in out


def test_wrong_use_and_missing_indexes_are_told(run: Run) -> None:
    code, _, err = run("x", "--forget-lost")
    assert code == 2
    assert "--forget-lost goes with --repair" in err
    code, _, err = run("nothing")
    assert code == 1
    assert "no index 'nothing' in Redis" in err
    assert "hashgrain index list" in err

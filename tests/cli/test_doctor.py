"""`hashgrain doctor` shows every part, and fails where one must be mended."""

from __future__ import annotations

import json
from pathlib import Path

from command import hashgrain
from embedded_servers import EmbeddedServers


def test_everything_is_well_where_the_servers_run(triton: EmbeddedServers) -> None:
    result = hashgrain("doctor", "--home", triton.home)
    assert result.returncode == 0, result.stdout
    assert f"served model           {triton.grpc}: 16-bit coarse and 64-bit fine codes" in result.stdout
    assert result.stdout.splitlines()[-1].split(", ")[0].endswith(" ok")


def test_json_holds_every_finding(triton: EmbeddedServers) -> None:
    facts = json.loads(hashgrain("doctor", "--json", HASHGRAIN_HOME=triton.home).stdout)
    assert facts["ok"] is True
    verdicts = {check["name"]: check["verdict"] for check in facts["checks"]}
    assert verdicts["triton server"] == verdicts["Redis"] == verdicts["fingerprint"] == "ok"
    assert set(verdicts.values()) <= {"ok", "warn", "skipped"}


def test_what_fails_is_named_with_the_way_to_mend_it(tmp_path: Path, triton: EmbeddedServers) -> None:
    (tmp_path / "empty").mkdir()
    result = hashgrain(
        "doctor",
        "--home",
        tmp_path / "home",
        "--redis",
        "redis://127.0.0.1:1/0",
        HASHGRAIN_MODEL_REPOSITORY=tmp_path / "empty",
    )
    assert result.returncode == 1
    failed = [line.split() for line in result.stdout.splitlines() if line.startswith("fail")]
    assert [words[1] for words in failed] == ["model", "Redis"]
    assert f"no {tmp_path / 'empty' / 'hash_encoder'}" in result.stdout
    assert "→ train a model and write it with `hashgrain export`" in result.stdout
    assert "→ `hashgrain up`, or check --redis and $HASHGRAIN_REDIS" in result.stdout

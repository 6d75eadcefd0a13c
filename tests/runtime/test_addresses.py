"""Every command finds its servers in one way: the option, else the embedded server, else an error with what to do."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from embedded_servers import EmbeddedServers
from hashgrain.codes.errors import InvalidInput, ServerUnavailable, StoreUnavailable
from hashgrain.runtime.addresses import model_repository, resolve_redis, resolve_triton


def test_what_the_user_gives_is_taken_as_it_is(tmp_path: Path) -> None:
    assert resolve_triton("grpc://far:8001", tmp_path) == "grpc://far:8001"
    assert resolve_redis("redis://far:6379/2", tmp_path) == "redis://far:6379/2"


def test_the_embedded_servers_are_found(triton: EmbeddedServers, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_triton(None, triton.home) == triton.grpc
    monkeypatch.setenv("HASHGRAIN_HOME", str(triton.home))
    assert resolve_redis(None) == triton.redis


def test_without_servers_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailable, match="`hashgrain up`, or pass --triton"):
        resolve_triton(None, tmp_path)
    with pytest.raises(StoreUnavailable, match="`hashgrain up`, or pass --redis"):
        resolve_redis(None, tmp_path)


def test_where_triton_cannot_run_the_models_are_encoded_with_in_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.31"))
    monkeypatch.setenv("HASHGRAIN_MODEL_REPOSITORY", str(tmp_path))
    assert resolve_triton(None, tmp_path / "home") == str(tmp_path)


def test_a_model_repository_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASHGRAIN_MODEL_REPOSITORY", str(tmp_path / "none"))
    with pytest.raises(InvalidInput, match="which is not a folder"):
        model_repository()


def test_the_checkout_s_model_repository_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HASHGRAIN_MODEL_REPOSITORY", raising=False)
    assert model_repository() == Path(__file__).parents[2] / "model_repository"

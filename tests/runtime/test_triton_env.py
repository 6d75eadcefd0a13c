"""The embedded Triton's environment is installed whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hashgrain.codes.errors import EmbeddedServerError
from hashgrain.runtime import triton_env
from hashgrain.runtime.stub_python import StubPython
from hashgrain.runtime.triton_env import ensure_environment, environment

PYTHON = StubPython("3.12", Path("/usr/bin/python3.12"), Path("/usr/lib/libpython3.12.so.1.0"))


def test_a_failed_installation_leaves_nothing_and_shows_pip_s_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASHGRAIN_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    said: list[str] = []
    with pytest.raises(EmbeddedServerError, match=r"No matching distribution found for nvidia-pytriton==0\.7\.0"):
        ensure_environment(said.append)
    assert "installing the embedded Triton" in said[0]
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_what_a_killed_installation_left_is_not_taken_for_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HASHGRAIN_CACHE", str(tmp_path))
    (environment(PYTHON).root / "bin").mkdir(parents=True)
    assert not environment(PYTHON).complete


def test_other_packages_and_pythons_take_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    before = environment(PYTHON).root
    assert environment(StubPython("3.11", PYTHON.program, PYTHON.library)).root != before
    monkeypatch.setattr(triton_env, "PACKAGES", (*triton_env.PACKAGES, "another"))
    assert environment(PYTHON).root != before


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HASHGRAIN_CACHE", str(tmp_path / "file"))
    with pytest.raises(EmbeddedServerError, match=r"cannot be installed into .* \$HASHGRAIN_CACHE"):
        ensure_environment(lambda line: None)

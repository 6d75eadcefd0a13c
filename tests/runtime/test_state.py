"""What `up` remembers comes back as it was, and a damaged file is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashgrain.codes.errors import EmbeddedServerError
from hashgrain.runtime import state
from hashgrain.runtime.home import Home, find_home
from hashgrain.runtime.ports import Ports
from hashgrain.runtime.processes import ProcessId
from hashgrain.runtime.state import RedisRecord, State, TritonRecord

DEAD = ProcessId(2**22 + 1, 5, "a boot")  # beyond the largest process id
REDIS = RedisRecord(DEAD, 1.5, 6379, "Valkey 9.1.2")
TRITON = TritonRecord(DEAD, 2.5, 8001, 8000, 8002, "/models", "redis://127.0.0.1:6379/0", "Triton 2.51.0")


def test_the_state_comes_back(tmp_path: Path) -> None:
    written = State(REDIS, TRITON, Ports(8001, 8000, 8002, 6379), "/models")
    state.save(Home(tmp_path), written)
    assert state.load(Home(tmp_path)) == written
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_nothing_started_is_an_empty_state(tmp_path: Path) -> None:
    assert state.load(Home(tmp_path / "nowhere")) == State()


def test_dead_servers_are_left_out(tmp_path: Path) -> None:
    assert state.without_dead(State(REDIS, TRITON, Ports(redis=6379))) == State(ports=Ports(redis=6379))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}', '{"format": 1, "redis": {"port": 1}}'])
def test_a_damaged_file_is_told_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(EmbeddedServerError, match=r"state\.json cannot be read .*remove the file"):
        state.load(Home(tmp_path))


def test_another_format_is_refused_with_both_numbers(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"format": 2}')
    with pytest.raises(EmbeddedServerError, match="has format 2, this release knows 1"):
        state.load(Home(tmp_path))


def test_the_home_is_the_one_named_else_the_variable_s_else_the_current_folder_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HASHGRAIN_HOME", raising=False)
    assert find_home().root == tmp_path / ".hashgrain"
    monkeypatch.setenv("HASHGRAIN_HOME", "elsewhere")
    assert find_home().root == tmp_path / "elsewhere"
    assert find_home(Path("here")).root == tmp_path / "here"

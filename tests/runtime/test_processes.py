"""A server process outlives its starter, and is never mistaken for another."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import pytest

from hashgrain.codes.errors import EmbeddedServerError
from hashgrain.runtime.processes import ProcessId, alive, ended, launch, terminate


def shell(script: str, folder: Path) -> ProcessId:
    return launch(["/bin/sh", "-c", script], os.environ, folder, folder / "server.log")


def wait_for_log(folder: Path, text: str) -> None:
    for _ in range(1000):
        if text in (folder / "server.log").read_text():
            return
        time.sleep(0.01)
    pytest.fail(f"{text} never came")


def test_a_process_runs_in_a_session_of_its_own(tmp_path: Path) -> None:
    """Closing the terminal or pressing Ctrl-C in it does not reach the server."""
    process = shell("exec sleep 60", tmp_path)
    try:
        assert alive(process)
        assert os.getsid(process.pid) == process.pid
    finally:
        assert terminate(process, 10)
    assert not alive(process)


def test_another_process_under_the_same_id_is_not_it(tmp_path: Path) -> None:
    process = shell("exec sleep 60", tmp_path)
    try:
        assert not alive(dataclasses.replace(process, start_ticks=process.start_ticks - 1, pid=os.getpid()))
        assert not alive(dataclasses.replace(process, boot_id="another boot", pid=os.getppid()))
    finally:
        terminate(process, 10)


def test_terminate_leaves_a_stranger_under_the_same_id_alone() -> None:
    stranger = ProcessId(os.getpid(), 1, "another boot")
    assert terminate(stranger, 0)


def test_a_dead_child_counts_as_dead(tmp_path: Path) -> None:
    """The program that started it is its parent still, so the process table keeps its remains."""
    process = shell("exit 3", tmp_path)
    assert ended(process, 10)
    assert not alive(process)


def test_a_process_that_will_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    process = shell("trap '' TERM; sleep 61 & echo child $!; wait; wait; sleep 62", tmp_path)
    wait_for_log(tmp_path, "child")
    child = int((tmp_path / "server.log").read_text().split()[1])
    assert not terminate(process, 0.2)
    assert not alive(process)
    status = Path(f"/proc/{child}/stat")
    for _ in range(500):
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.01)
    pytest.fail("the child lives on")


def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    assert ended(shell("echo first", tmp_path), 10)
    assert ended(shell("echo second", tmp_path), 10)
    assert (tmp_path / "server.log").read_text() == "second\n"
    assert (tmp_path / "server.previous.log").read_text() == "first\n"


def test_a_program_that_is_missing_is_an_error_of_the_tree(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="/no/such/program cannot be run"):
        launch(["/no/such/program"], {}, tmp_path, tmp_path / "server.log")

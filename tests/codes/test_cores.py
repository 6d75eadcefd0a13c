"""The cores that a process may use are no more than its affinity and its control groups allow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hashgrain.codes import cores
from hashgrain.codes.cores import usable_cores


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)))


def groups(own: str, files: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process belong to some control groups, of which there are these files."""
    (folder / "own").write_text(own)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(cores, "OWN_GROUPS", folder / "own")
    monkeypatch.setattr(cores, "GROUPS", folder)


@pytest.mark.usefixtures("many_cores")
@pytest.mark.parametrize(
    ("own", "files", "wanted"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 16),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 16),
        ("0::/pod/box\n", {"cpu.max": "max 9\n", "pod/cpu.max": "300000 100000\n", "pod/box/cpu.max": "max 9\n"}, 3),
        ("0::/not/shown\n", {"cpu.max": "400000 100000\n"}, 4),
        ("2:cpu,cpuacct:/box\n", {"cpu/box/cpu.cfs_quota_us": "200000", "cpu/box/cpu.cfs_period_us": "50000"}, 4),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 16),
        ("1:memory:/\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 16),
        ("0::/\n", {"cpu.max": "what no kernel says\n"}, 16),
        ("", {}, 16),
    ],
)  # fmt: skip
def test_a_quota_of_any_group_around_the_process_counts(
    own: str, files: dict[str, str], wanted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups(own, files, tmp_path, monkeypatch)
    assert usable_cores() == wanted


def test_a_system_without_control_groups_has_its_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "OWN_GROUPS", tmp_path / "none")
    assert usable_cores() == len(os.sched_getaffinity(0))


def test_a_system_without_affinity_has_its_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "OWN_GROUPS", tmp_path / "none")
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


def test_a_process_that_was_bound_to_one_core_uses_one() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from hashgrain.codes.cores import usable_cores; print(usable_cores())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"

"""The embedded Triton's models run under this Python, or under another one on the PATH that serves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hashgrain.runtime import stub_python
from hashgrain.runtime.stub_python import VERSIONS, StubPython, find_library, find_stub_python, why_no_python

OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def newer_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """This Python made one that has no NumPy 1, and an empty folder as the PATH."""
    monkeypatch.setattr(stub_python, "_own_version", lambda: "3.14")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(OWN not in VERSIONS, reason="this Python has no NumPy 1")
def test_this_python_is_taken_first() -> None:
    found = find_stub_python()
    assert found is not None
    assert (found.version, found.library.name) == (OWN, f"libpython{OWN}.so.1.0")
    assert found.library.is_file()


def test_another_python_on_the_path_serves(newer_python: Path) -> None:
    found = StubPython(OWN, Path(sys.executable), Path("/ignored"))
    (newer_python / f"python{VERSIONS[1]}").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (newer_python / f"python{VERSIONS[1]}").chmod(0o755)
    answer = find_stub_python()
    assert answer is not None
    assert (answer.version, answer.program) == (found.version, found.program)
    assert answer.library.name == f"libpython{OWN}.so.1.0"


@pytest.mark.parametrize("script", ["exit 127", "echo no JSON", "echo '[1]'"])
def test_a_program_that_is_no_python_is_passed_over(newer_python: Path, script: str) -> None:
    """A shim of a version that is not installed, for one."""
    for version in VERSIONS:
        (newer_python / f"python{version}").write_text(f"#!/bin/sh\n{script}\n")
        (newer_python / f"python{version}").chmod(0o755)
    assert find_stub_python() is None
    assert "apt-get install python3.12 libpython3.12" in why_no_python()
    assert "neither this Python 3.14 nor one on the PATH" in why_no_python()


def test_the_library_is_the_python_s_own_before_the_system_s(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    library = tmp_path / "lib" / "libpython3.99.so.1.0"
    assert find_library("3.99", str(tmp_path), None, None) is None
    library.write_bytes(b"")
    assert find_library("3.99", str(tmp_path), "/usr/lib", "x86_64-linux-gnu") == library

"""Where the embedded Triton cannot run, the reason says what it needs and what is there."""

from __future__ import annotations

import platform
import sys

import pytest

from hashgrain.runtime import support


def test_this_machine_s_libpython_is_found_where_triton_can_run() -> None:
    """The tests that ask for the fixture `triton` need it; this one says what is missing."""
    assert support.why_no_triton() is None
    library = support.find_libpython()
    assert library is not None
    assert library.name == f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"


def test_another_processor_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert support.why_no_triton() == "its program is built for Linux on x86_64, this is Linux on aarch64"


@pytest.mark.parametrize(("found", "words"), [(("glibc", "2.31"), "glibc 2.31"), (("", ""), "another C library")])
def test_an_old_or_other_c_library_is_named(
    monkeypatch: pytest.MonkeyPatch, found: tuple[str, str], words: str
) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: found)
    assert support.why_no_triton() == f"its program needs glibc 2.35 or later, this system has {words}"


def test_a_python_without_a_stub_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 14, 0, "final", 0))
    assert "runs models under Python 3.8 to 3.13" in str(support.why_no_triton())


def test_a_missing_libpython_is_named_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "find_libpython", lambda: None)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"apt-get install libpython{version}" in str(support.why_no_triton())

"""Where the embedded Triton cannot run, the reason says what it needs and what is there."""

from __future__ import annotations

import platform

import pytest

from hashgrain.runtime import support


def test_triton_can_run_here() -> None:
    """The tests that ask for the fixture `triton` need it; this one says what is missing."""
    assert support.why_no_triton() is None


def test_another_processor_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert support.why_no_triton() == "its program is built for Linux on x86_64, this is Linux on aarch64"


@pytest.mark.parametrize(("found", "words"), [(("glibc", "2.31"), "glibc 2.31"), (("", ""), "another C library")])
def test_an_old_or_other_c_library_is_named(
    monkeypatch: pytest.MonkeyPatch, found: tuple[str, str], words: str
) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: found)
    assert support.why_no_triton() == f"its program needs glibc 2.35 or later, this system has {words}"


def test_a_missing_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "find_stub_python", lambda: None)
    assert "it runs models under Python 3.11 or 3.12 with the shared library" in str(support.why_no_triton())

"""Which folder keeps what is installed or downloaded once."""

from pathlib import Path

from hashgrain.codes.cache_folder import cache_folder


def test_own_variable_comes_before_the_desktops(monkeypatch, tmp_path):
    monkeypatch.setenv("HASHGRAIN_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "desktop"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.setenv("HASHGRAIN_CACHE", "")
    assert cache_folder() == tmp_path / "desktop" / "hashgrain"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "hashgrain"

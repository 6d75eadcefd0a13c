"""Compiling where the machine code cannot be kept, and only where a search needs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
from hashgrain.indexer.compiled import bit_count, compiled

@compiled
def bits(word):
    return bit_count(word)

import numpy as np
print(bits(np.uint64(2**64 - 1)), bits._cache.cache_path if hasattr(bits._cache, "cache_path") else None)
"""


def run(where: Path, cache: Path) -> list[str]:
    """Run the script from `where`, with `cache` for the only folder outside in which anything may be kept."""
    source = where / "script.py"
    source.write_text(SCRIPT)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run([sys.executable, source], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.split()


def test_machine_code_is_kept_where_it_can_be(tmp_path: Path) -> None:
    found, path = run(tmp_path, tmp_path / "cache")
    assert found == "64"
    assert list(Path(path).glob("script.bits*.nbc"))


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "__pycache__").write_text("a file, so that no folder can be made, even by root")
    found, path = run(tmp_path, tmp_path / "file" / "cache")
    assert (found, path) == ("64", "None")

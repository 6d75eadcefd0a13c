"""Compiling where the machine code cannot be kept, and only where a search needs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
from hashgrain.indexer.loops.compiled import bit_count, compiled

@compiled
def bits(word):
    return bit_count(word)

import numpy as np
print(bits(np.uint64(2**64 - 1)), bits._cache.cache_path if hasattr(bits._cache, "cache_path") else None)
"""


PARTS = """
import sys
from hashgrain.indexer.loops import compiled
import numpy as np

compiled._stamp_of_all = lambda: (float(sys.argv[1]), 0)

@compiled.compiled_part
def one_more(number):
    return number + 1

@compiled.compiled
def two_more(number):
    return one_more(one_more(number))

print(two_more(np.int64(1)), sum(two_more.stats.cache_hits.values()), two_more._cache.cache_path)
"""
"""A function and a part of it; says how often its machine code was found, and where that is kept."""


MEET = """
import sys, time
from pathlib import Path
from numba.core.caching import IndexDataCacheFile as File
from hashgrain.indexer.loops.compiled import compiled
import numpy as np

here, load, save, save_index, save_data = Path.cwd(), File._load_index, File.save, File._save_index, File._save_data

def wait(event):
    until = time.monotonic() + 1  # it never comes where one waits for the other anyway
    while not (here / event).exists() and time.monotonic() < until:
        time.sleep(0.005)

def numbered(file, found):
    (here / "one looked for a number").touch()
    wait("the other has noted one")
    return found

def first_saves(file, *entry):
    File._load_index = lambda file: numbered(file, load(file))
    save(file, *entry)
    (here / "one is done").touch()

def second_notes(file, index):
    save_index(file, index)
    (here / "the other has noted one").touch()

def second_writes(file, *code):
    wait("one is done")
    save_data(file, *code)

if sys.argv[1] == "one":
    File.save = first_saves
elif sys.argv[1] == "other":
    wait("one looked for a number")
    File._save_index, File._save_data = second_notes, second_writes

@compiled
def total(numbers):
    found = 0
    for place in range(len(numbers)):
        found += numbers[place]
    return found

print(total(np.arange(8, dtype=sys.argv[2])))
"""
"""Two processes that compile one function for different numbers, each in the other's worst moment."""


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


def test_machine_code_is_kept_whole_until_a_module_of_the_loops_changes(tmp_path: Path) -> None:
    """Code that is kept by itself cannot become a part of what is compiled later, nor does Numba see it change."""
    source = tmp_path / "script.py"
    source.write_text(PARTS)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    hits = []
    for changed in ("1", "1", "2"):
        command = [sys.executable, source, changed]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        found, hit, path = done.stdout.split()
        assert found == "3"
        hits.append(hit)
    assert hits == ["0", "1", "0"]
    assert [file.name.split("-")[0] for file in Path(path).glob("*.nbi")] == ["script.two_more"]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "__pycache__").write_text("a file, so that no folder can be made, even by root")
    found, path = run(tmp_path, tmp_path / "file" / "cache")
    assert (found, path) == ("64", "None")


def test_processes_that_compile_one_function_at_a_time_never_find_each_other_s_code(tmp_path: Path) -> None:
    """The index of one would lead to the machine code of the other, in this process and in every later one."""
    (tmp_path / "meet.py").write_text(MEET)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def begin(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "meet.py", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path)

    both = [begin("one", "uint8"), begin("other", "uint64")]
    assert [process.communicate()[0] for process in both] == ["28\n", "28\n"]
    assert begin("later", "uint8").communicate()[0] == "28\n"

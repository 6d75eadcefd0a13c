"""An index through a file: `python -m benchmarks.transfer [--items N]`.

Generated codes of 16 + 64 bits, under integer ids without payloads and under string ids with payloads: how fast
`hashgrain index dump` and `load` are, how large the file is, and how much memory each command takes at most, beside
what it takes for 1,000 items.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.codes import GeneratedCodes
from benchmarks.lookup import say
from benchmarks.server import own_redis
from hashgrain.codes import CodeLayout
from hashgrain.indexer import Index

LAYOUT = CodeLayout(16, 64)
FEW = 1000


@dataclass(frozen=True)
class Run:
    """One command: seconds, and the most memory that it had, in MB."""

    seconds: float
    memory: float


def main() -> None:
    """Measure both kinds of items, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    items = parser.parse_args().items
    print(f"{'':32}{'dump items/s':>14}{'MB':>8}{'load items/s':>14}{'MB':>8}{'file B/item':>13}")
    with own_redis() as url, tempfile.TemporaryDirectory() as folder:
        for named in (False, True):
            there_and_back(url, FEW, named, Path(folder))  # what is compiled is loaded
            for count in (FEW, items):
                dump, load, size = there_and_back(url, count, named, Path(folder))
                what = f"{count:,} {'strings, payloads' if named else 'integers'}"
                print(
                    f"{what:32}{count / dump.seconds:14,.0f}{dump.memory:8.0f}{count / load.seconds:14,.0f}"
                    f"{load.memory:8.0f}{size / count:13.1f}",
                    flush=True,
                )


def there_and_back(url: str, items: int, named: bool, folder: Path) -> tuple[Run, Run, int]:
    """Fill an index, dump it and load the dump; nothing is left behind. Also gives the bytes of the file."""
    say(f"loading {items:,} items")
    ids: Any = [f"photos/{n:09}" for n in range(items)] if named else np.arange(items)
    payloads = [{"label": n % 100, "path": f"photos/{n:09}.jpg"} for n in range(items)] if named else None
    file = folder / "dump.parquet"
    with Index.create(url, "before", LAYOUT) as before:
        before.load(ids, GeneratedCodes(LAYOUT, items, seed=1).codes(), payloads)
        say("dumping")
        dump = run("index", "dump", "before", file, "--redis", url)
        before.drop()
    say("loading the dump")
    load = run("index", "load", "after", file, "--redis", url)
    with Index.open(url, "after") as after:
        assert len(after) == items
        after.drop()
    return dump, load, file.stat().st_size


def run(*words: object) -> Run:
    """Run the command in a process of its own."""
    begin = time.perf_counter()
    ended = subprocess.run([sys.executable, "-c", _COMMAND, *map(str, words)], capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    return Run(time.perf_counter() - begin, int(ended.stderr.split()[-2]) / 1000)


# (What `wait4` says of a child's memory begins with that of its parent.)
_COMMAND = """
import atexit, sys
from hashgrain.cli.main import main
atexit.register(lambda: print(*(line for line in open("/proc/self/status") if "VmHWM" in line), file=sys.stderr))
main()
"""


if __name__ == "__main__":
    main()

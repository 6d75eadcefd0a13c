"""Runs `hashgrain encode` again and again, each time in a fork of its own, for others to kill.

For every line on standard input one run: the number of its process on standard output, and at its end the exit status,
-9 where it was killed. Forks have all modules loaded, so that a kill does not only ever hit imports.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import onnxruntime  # noqa: F401
import pyarrow.parquet  # noqa: F401

import hashgrain.client.bulk.job
import hashgrain.client.bulk.ledger
import hashgrain.client.sources.open_source
import hashgrain.indexer
import hashgrain.indexer.loops.compiled
import hashgrain.queue  # noqa: F401
from hashgrain.cli.main import main
from hashgrain.queue import feeder

PAUSE_S = 0.002


def slow_pieces(*given: Any) -> Iterator[Any]:
    """What is handed out, so slowly that a kill meets the handing out on a busy machine, too."""
    for piece in feeder_pieces(*given):
        time.sleep(PAUSE_S)
        yield piece


feeder_pieces = feeder.pieces
feeder.pieces = slow_pieces


def start(arguments: list[str]) -> int:
    child = os.fork()
    if child:
        return child
    os.dup2(2, 1)  # standard output is for the numbers
    try:
        main(["encode", *arguments])
    except SystemExit as end:
        os._exit(int(end.code or 0))
    os._exit(0)


if __name__ == "__main__":
    for _ in sys.stdin:
        child = start(sys.argv[1:])
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)

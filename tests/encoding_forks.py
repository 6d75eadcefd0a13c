"""`hashgrain encode`, run again and again in forks that can be killed; see `encode_process`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self


class EncodingForks:
    """One command; a run at a time. Use it in a `with`.

    Args:
        arguments: of `hashgrain encode`.
    """

    def __init__(self, *arguments: object) -> None:
        script = Path(__file__).with_name("encode_process.py")
        self._process = subprocess.Popen(
            [str(part) for part in (sys.executable, script, *arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def begin(self) -> int:
        """Begin a run; returns the number of its process."""
        print(file=self._process.stdin, flush=True)
        self._child = self._number()
        return self._child

    def kill(self) -> int:
        """Kill the run, one that has ended just now too; returns its exit status, -9 where it was killed."""
        os.kill(self._child, signal.SIGKILL)  # one that has ended is not collected before its status is read
        return self.end()

    def end(self) -> int:
        """The exit status of the run, once it has ended."""
        return self._number()

    def _number(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

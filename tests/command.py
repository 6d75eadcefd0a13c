"""Run the `hashgrain` command as a user does, in a process of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-c", "from hashgrain.cli.main import main; main()"]


def environment(**variables: str | Path) -> dict[str, str]:
    """This process' environment without hashgrain's own variables, and with the given ones."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HASHGRAIN_")}
    if cache := os.environ.get("HASHGRAIN_CACHE"):
        inherited["HASHGRAIN_CACHE"] = cache
    return {**inherited, **{name: str(value) for name, value in variables.items()}}


def hashgrain(
    *arguments: str | Path, timeout_s: float = 120, **variables: str | Path
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; keywords are environment variables."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def hashgrain_here(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, where importing torch anew each time would take longer than the command."""
    from hashgrain.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    code: int | str | None = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(arguments, int(code or 0), out.getvalue(), err.getvalue())

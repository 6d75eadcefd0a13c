"""The command, called in the test's own process: quick, and exact about what it prints."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hashgrain.cli.main import main

Run = Callable[..., tuple[int, str, str]]
"""Takes the words of a command; gives exit code, standard output and standard error."""


def called_here(capsys: pytest.CaptureFixture[str], *first: str) -> Run:
    """What runs a command, of which the first words are given here."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main([*first, *map(str, arguments)])
        output = capsys.readouterr()
        return int(exited.value.code or 0), output.out, output.err

    return call

"""The commands beside the figures of docs/ and of the model card exist as they stand there."""

import re
import subprocess
import tempfile
from pathlib import Path

import click
import pytest

from hashgrain.cli.main import cli

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "model_repository" / "hash_encoder" / "MODEL_CARD.md"]
SEPARATOR = "\x1f"
STUBS = r"""
hashgrain() { printf '%s\x1f' "$@"; printf '\n'; }
for name in python python3 cp mkdir timeout curl echo; do eval "$name() { :; }"; done
"""


def commands(page: Path) -> list[list[str]]:
    """The arguments of each hashgrain command of a page, its loops and variables expanded by the shell.

    The shell finds no other program: what else stands on the page is not done.
    """
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    script = STUBS + "\n".join(block for block in blocks if "hashgrain " in block)
    with tempfile.TemporaryDirectory() as folder:
        told = subprocess.run(
            ["/bin/bash", "-c", script],
            capture_output=True,
            text=True,
            timeout=20,
            cwd=folder,
            env={"PATH": "/nonexistent"},
        )
    return [line.split(SEPARATOR)[:-1] for line in told.stdout.splitlines() if SEPARATOR in line]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_a_page_are_known_with_all_their_options(page):
    context = click.Context(cli)
    for arguments in commands(page):
        command: click.Command = cli
        while isinstance(command, click.Group):
            name, arguments = arguments[0], arguments[1:]
            found = command.get_command(context, name)
            assert found is not None, f"{page.name}: there is no command {name}"
            command = found
        command.make_parser(click.Context(command)).parse_args(list(arguments))


def test_the_page_of_figures_is_read_whole():
    """Two loops, over seeds and lengths and over seeds of frozen features, hold six trainings each."""
    found = commands(ROOT / "docs" / "accuracy.md")
    assert sum(arguments[0] == "train" and "p1" in arguments for arguments in found) == 13

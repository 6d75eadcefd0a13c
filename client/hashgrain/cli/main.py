"""The `hashgrain` command: a table of commands, each loaded only when it is called."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import click

from hashgrain.codes.errors import HashgrainError

COMMANDS = {
    "demo": "hashgrain.cli.demo:demo",
    "up": "hashgrain.cli.servers:up",
    "down": "hashgrain.cli.servers:down",
    "status": "hashgrain.cli.servers:status",
    "doctor": "hashgrain.cli.doctor:doctor",
    "train": "hashgrain.cli.training:train",
    "refit": "hashgrain.cli.training:refit",
    "evaluate": "hashgrain.cli.evaluation:evaluate",
    "compare": "hashgrain.cli.compare:compare",
    "unseen": "hashgrain.cli.unseen:unseen",
    "features": "hashgrain.cli.features:features",
    "export": "hashgrain.cli.export:export",
    "backbones": "hashgrain.cli.backbones:backbones",
    "encode": "hashgrain.cli.encode:encode",
    "index": "hashgrain.cli.index:index",
    "search": "hashgrain.cli.search:search",
}

EXTRA_OF_MODULE = {
    "torch": "export",
    "onnx": "export",
    "onnxscript": "export",
    "efficientnet_lite_pytorch": "export",
    "onnxruntime": "cpu (or gpu)",
    "tritonclient": "client",
    "PIL": "client",
    "pyarrow": "client",
    "redis": "indexer",
    "tqdm": "cli",
}


class LazyGroup(click.Group):
    """Imports a command's module only when it is called, so that no command waits for another's packages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import and return a command, or None where there is none of that name."""
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="hashgrain")
def cli() -> None:
    """Image retrieval by deep hashing: train, serve on Triton, index in Redis, search."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit code 0, 1 (failed) or 2 (usage)."""
    try:
        exit_code = cli.main(args=arguments, prog_name="hashgrain", standalone_mode=False)
        # Outside of its standalone mode click returns the code of an Exit that a command raised.
        sys.exit(exit_code if isinstance(exit_code, int) else 0)
    except click.Abort:
        fail("interrupted")
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except HashgrainError as error:
        fail(str(error))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = EXTRA_OF_MODULE.get(package)
        if extra is None:
            raise
        fail(f'{package} is not installed; install it with: pip install "hashgrain[{extra}]"')


def fail(message: str) -> None:
    """Say what went wrong on standard error and exit with 1."""
    click.echo(f"error: {message}", err=True)
    sys.exit(1)


def echo_json(value: Any) -> None:
    """Print a value as JSON on standard output, for programs to read."""
    click.echo(json.dumps(value, indent=2))

"""Options that several commands share."""

from __future__ import annotations

import click

triton_option = click.option(
    "--triton",
    envvar="HASHGRAIN_TRITON",
    metavar="URL",
    help="Triton's address, grpc://host:8001 or http://host:8000, or a model repository's path to encode in process. "
    "[default: $HASHGRAIN_TRITON, else the embedded server that `hashgrain up` started]",
)

redis_option = click.option(
    "--redis",
    envvar="HASHGRAIN_REDIS",
    metavar="URL",
    help="Redis' address, redis://host:6379/0, or that of a cluster or of Sentinels: docs/cluster.md. "
    "[default: $HASHGRAIN_REDIS, else the embedded server that `hashgrain up` started]",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for programs.")


def numbers(_: click.Context, option: click.Parameter, text: str) -> tuple[int, ...]:
    """The callback of an option that takes whole numbers, separated by commas."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of numbers such as 16,32,64", param=option) from None

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
    help="Redis' address, redis://host:6379/0. "
    "[default: $HASHGRAIN_REDIS, else the embedded server that `hashgrain up` started]",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for programs.")

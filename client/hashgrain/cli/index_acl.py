"""`hashgrain index acl`: what a Redis user must be allowed to do with an index."""

from __future__ import annotations

import click


@click.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["reader", "writer", "admin"]),
    required=True,
    help="reader searches; writer adds, loads and deletes, too; admin also creates, drops, checks and switches.",
)
@click.option("--user", help="Of Redis. [default: NAME-ROLE]")
def acl(name: str, role: str, user: str | None) -> None:
    """Print the command that makes a Redis user for the index NAME ('*' for all), who may do no more than its role.

    Put a password in the place of PASSWORD, and give the command to redis-cli as a user who may change users.
    """
    from hashgrain.indexer.managing.roles import acl_rules

    rules = acl_rules(name, role)
    who = user or f"{'hashgrain' if name == '*' else name}-{role}"
    click.echo(" ".join(["ACL", "SETUSER", who, "reset", "on", ">PASSWORD", *rules]))

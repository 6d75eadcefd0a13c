"""`hashgrain doctor`: look at every part, and say how to mend what is wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option, redis_option, triton_option
from hashgrain.cli.servers import home_option

if TYPE_CHECKING:
    from hashgrain.runtime.doctor import Check

_COLOUR = {"ok": "green", "warn": "yellow", "fail": "red", "skipped": "bright_black"}


@click.command()
@home_option
@triton_option
@redis_option
@json_option
def doctor(home: Path | None, triton: str | None, redis: str | None, as_json: bool) -> None:
    """Check every part: packages, servers, model, Redis, GPU; exit code 1 where something fails."""
    from hashgrain.runtime.doctor import examine

    checks = examine(home, triton, redis)
    failed = [check for check in checks if check.verdict == "fail"]
    if as_json:
        echo_json({"ok": not failed, "checks": [dataclasses.asdict(check) for check in checks]})
    else:
        _print(checks)
    if failed:
        raise click.exceptions.Exit(1)


def _print(checks: tuple[Check, ...]) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        verdict = click.style(f"{check.verdict:8}", fg=_COLOUR[check.verdict])
        click.echo(f"{verdict} {check.name:{width}}  {check.found}")
        if check.mend and check.verdict != "ok":
            click.echo(f"{'':8} {'':{width}}  → {check.mend}")
    counts = {verdict: sum(check.verdict == verdict for check in checks) for verdict in _COLOUR}
    click.echo(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count))

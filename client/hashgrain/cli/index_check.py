"""`hashgrain index check`: whether a stored index keeps to its layout, and repairs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option, redis_option
from hashgrain.cli.progress import steps_done

if TYPE_CHECKING:
    from hashgrain.indexer import CheckReport, Finding

SHOWN = 20
"""Findings of one kind that are printed for people; --json prints all."""


@click.command()
@click.argument("name")
@click.option("--repair", is_flag=True, help="Mend what can be mended with certainty, and check again.")
@click.option(
    "--forget-lost",
    is_flag=True,
    help="With --repair: take away, too, what is left of items whose code or name is gone; they can be added again.",
)
@redis_option
@json_option
@click.pass_context
def check(context: click.Context, name: str, repair: bool, forget_lost: bool, redis: str | None, as_json: bool) -> None:
    """Verify that the index NAME is stored as it should be.

    Every rule of the stored layout is checked while the index is in use; whatever is wrong is told with what follows
    from it and what to do. Exits with 0 where nothing is wrong or everything was repaired, else with 1.
    """
    from hashgrain.indexer import check_index
    from hashgrain.runtime.addresses import resolve_redis

    if forget_lost and not repair:
        raise click.UsageError("--forget-lost goes with --repair; look first without both")
    with steps_done(" entries") as progress:
        report = check_index(resolve_redis(redis), name, repair, forget_lost=forget_lost, progress=progress)
    if as_json:
        echo_json(_as_json(report))
    else:
        _print(report)
    if not report.clean:
        context.exit(1)


def _print(report: CheckReport) -> None:
    seen = report.examined
    click.echo(
        f"examined index {report.name}: {_count(seen.shards, 'shard')}, {_count(seen.buckets, 'bucket')}, "
        f"{_count(seen.items, 'item')}, {_count(seen.names, 'name')}, {_count(seen.payloads, 'payload')}"
    )
    groups: dict[tuple[str, bool], list[Finding]] = {}
    for finding in report.findings:
        groups.setdefault((finding.kind, finding.repaired), []).append(finding)
    for (kind, mended), findings in groups.items():
        click.echo(f"\n{kind}: {len(findings):,} {'repaired' if mended else 'found'}")
        for finding in findings[:SHOWN]:
            item = "" if finding.item is None else f", item {finding.item!r}"
            click.echo(f"  {finding.key}{item}: {finding.found}")
        if len(findings) > SHOWN:
            click.echo(f"  and {len(findings) - SHOWN:,} more, which --json prints")
        if not mended:
            click.echo(f"  so     {findings[0].consequence}")
        if findings[0].remedy:
            click.echo(f"  next   {findings[0].remedy}")
    repaired, left = len(report.findings) - len(report.remaining), len(report.remaining)
    if not report.findings:
        click.echo("nothing is wrong")
    else:
        click.echo(f"\n{repaired:,} repaired, {left:,} left")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _as_json(report: CheckReport) -> dict[str, object]:
    figures = dataclasses.asdict(report)
    return {
        "index": report.name,
        "clean": report.clean,
        "examined": figures["examined"],
        "findings": list(figures["findings"]),
    }

"""`hashgrain up`, `down` and `status`: the embedded Triton and Redis."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashgrain.cli.main import echo_json
from hashgrain.cli.options import json_option

if TYPE_CHECKING:
    from hashgrain.runtime.report import ServerReport, StatusReport
    from hashgrain.runtime.servers import RunningServers
    from hashgrain.runtime.state import TritonRecord

home_option = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="The state folder: data, logs, ports. [default: $HASHGRAIN_HOME, else .hashgrain in the current folder]",
)

port = click.IntRange(1, 65535)


@click.command()
@home_option
@click.option(
    "--model-repository",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of models that Triton serves. [default: $HASHGRAIN_MODEL_REPOSITORY, else hashgrain's own]",
)
@click.option("--triton-port", type=port, help="Triton's gRPC port. [default: the last run's, else a free one]")
@click.option("--http-port", type=port, help="Triton's HTTP port. [default: likewise]")
@click.option("--metrics-port", type=port, help="Triton's metrics port. [default: likewise]")
@click.option("--redis-port", type=port, help="Redis' port. [default: likewise]")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=180,
    show_default=True,
    help="Seconds until every server must be ready; the first installation does not count.",
)
@json_option
def up(
    home: Path | None,
    model_repository: Path | None,
    triton_port: int | None,
    http_port: int | None,
    metrics_port: int | None,
    redis_port: int | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Start Triton and Redis on this machine, without containers.

    Starts what does not run yet and waits until it is ready. The servers go on until `hashgrain down`; data and ports
    survive it. Triton is installed on first use into $HASHGRAIN_CACHE (default ~/.cache/hashgrain).
    """
    from hashgrain.runtime.ports import Ports
    from hashgrain.runtime.servers import StartSettings, start

    ports = Ports(triton_port, http_port, metrics_port, redis_port)
    settings = StartSettings(home, model_repository, ports, timeout)
    running = start(settings, announce=lambda line: click.echo(line, err=True))
    if as_json:
        echo_json(_running_as_json(running))
    else:
        _print_running(running)
    _tell_overrides(running)


@click.command()
@home_option
def down(home: Path | None) -> None:
    """Stop the servers that `hashgrain up` started; data and ports stay for the next time."""
    from hashgrain.runtime.home import find_home
    from hashgrain.runtime.servers import stop

    stopped = stop(home)
    if stopped:
        click.echo(f"stopped {' and '.join(stopped)}")
    else:
        click.echo(f"nothing runs in {find_home(home).root}")


@click.command()
@home_option
@json_option
def status(home: Path | None, as_json: bool) -> None:
    """Show the servers that `hashgrain up` started; exit code 1 where one is down."""
    from hashgrain.runtime.report import report

    found = report(home)
    if as_json:
        echo_json({"ok": found.ok, **dataclasses.asdict(found)})
    else:
        _print_status(found)
    if not found.ok:
        raise click.exceptions.Exit(1)


def _print_running(running: RunningServers) -> None:
    for name, record in (("redis", running.redis), ("triton", running.triton)):
        if record:
            verb = "started" if name in running.started else "runs already"
            click.echo(f"{name:7} {verb:13} {record.software:14} {record.address}")
    if running.triton:
        click.echo(f"        http {running.triton.http}  metrics {running.triton.metrics}")
        click.echo(f"models  {running.model_repository}")
    else:
        click.echo(f"triton  cannot run on this machine: {running.no_triton}")
        click.echo(f"        images are encoded in process instead, with the model in {running.model_repository}")
    click.echo(f"state   {running.home}")


def _running_as_json(running: RunningServers) -> dict[str, object]:
    return {
        "home": str(running.home),
        "started": list(running.started),
        "redis": {"address": running.redis.address, "software": running.redis.software},
        "triton": _triton_as_json(running.triton) if running.triton else None,
        "no_triton": running.no_triton,
        "model_repository": str(running.model_repository),
    }


def _triton_as_json(triton: TritonRecord) -> dict[str, str]:
    return {
        "address": triton.address,
        "http": triton.http,
        "metrics": triton.metrics,
        "software": triton.software,
    }


def _tell_overrides(running: RunningServers) -> None:
    for variable, address in (("HASHGRAIN_TRITON", running.triton_address), ("HASHGRAIN_REDIS", running.redis_address)):
        other = os.environ.get(variable)
        if other and other != address:
            click.echo(f"note: ${variable} is {other}; commands go there and not to {address}", err=True)


def _print_status(found: StatusReport) -> None:
    for server in (found.redis, found.triton):
        _print_server(server)
    if found.http:
        click.echo(f"        http {found.http}  metrics {found.metrics}")
    for model in found.models:
        readiness = "ready" if model.ready else f"not ready: {model.reason or 'no reason given'}"
        click.echo(f"model   {model.name} {model.version}  {readiness}")
    if found.fingerprint:
        click.echo(f"        hash_encoder's fingerprint {found.fingerprint}")
    if found.model_repository:
        click.echo(f"models  {found.model_repository}")
    click.echo(f"state   {found.home}")
    if not found.ok:
        click.echo("start what is down with `hashgrain up`")


def _print_server(server: ServerReport) -> None:
    if server.condition == "impossible":
        click.echo(f"{server.name:7} cannot run on this machine: {server.detail}; images are encoded in process")
        return
    words = [f"{server.name:7} {server.condition:13} {server.software:14} {server.address:28}"]
    if server.pid is not None:
        words.append(f"pid {server.pid}")
    if server.uptime_s is not None:
        words.append(f"up {_duration(server.uptime_s)}")
    click.echo("  ".join(words).rstrip())
    if server.condition == "died":
        click.echo(f"        its log {server.log} ends with\n{server.detail}")


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"

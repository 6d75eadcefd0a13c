"""Checks of the servers that `hashgrain up` started, and of the model that Triton serves."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from hashgrain.codes.errors import HashgrainError, ServerUnavailable
from hashgrain.runtime import state
from hashgrain.runtime.addresses import resolve_triton
from hashgrain.runtime.doctor.check import Check
from hashgrain.runtime.home import find_home
from hashgrain.runtime.ports import is_free
from hashgrain.runtime.report import ServerReport, report


def embedded(home: Path | None) -> tuple[Check, ...]:
    """Whether the embedded servers run."""
    try:
        found = report(home)
    except HashgrainError as exc:
        return (Check("servers", "fail", str(exc), "remove the state file"),)
    return tuple(_embedded(server, found.home) for server in (found.redis, found.triton))


def ports(home: Path | None) -> Check:
    """Whether the ports of the last run are the servers' own, or free for the next."""
    try:
        now = state.without_dead(state.load(find_home(home)))
    except HashgrainError:
        return Check("ports", "skipped", "the state cannot be read")
    remembered = now.ports.given()
    if not remembered:
        return Check("ports", "ok", "none used yet: `hashgrain up` takes free ones")
    own = {"redis"} if now.redis else set()
    own |= {"triton", "http", "metrics"} if now.triton else set()
    taken = [f"{name} {port}" for name, port in remembered.items() if name not in own and not is_free(port)]
    if taken:
        found = f"taken by another program since the last run: {', '.join(taken)}"
        return Check("ports", "warn", found, "`hashgrain up` takes free ones instead; give others by its options")
    return Check("ports", "ok", ", ".join(f"{name} {port}" for name, port in remembered.items()))


def served_model(home: Path | None, triton: str | None) -> Check:
    """Whether Triton serves a hash encoder that keeps the contract."""
    name = "served model"
    try:
        address = resolve_triton(triton, home)
    except ServerUnavailable:
        return Check(name, "skipped", "no Triton runs", "`hashgrain up`, or pass --triton")
    except HashgrainError as exc:
        return Check(name, "fail", str(exc))
    missing = [package for package in ("tritonclient", "PIL") if importlib.util.find_spec(package) is None]
    if missing:
        return Check(name, "skipped", f"{', '.join(missing)} not installed", 'pip install "hashgrain[client]"')
    from hashgrain.client import HashEncoder

    try:
        with HashEncoder(address) as encoder:
            return Check(name, "ok", f"{address}: {encoder.layout}, {encoder.fingerprint}")
    except HashgrainError as exc:
        return Check(name, "fail", str(exc), "`hashgrain status` shows the models, the server's log why one is missing")


def _embedded(server: ServerReport, home: str) -> Check:
    name = f"{server.name} server"
    running = f"{server.software} at {server.address}, pid {server.pid}"
    if server.condition == "ready":
        return Check(name, "ok", running)
    if server.condition == "stopped":
        return Check(name, "skipped", f"none was started in {home}", "`hashgrain up`")
    if server.condition == "impossible":
        return Check(name, "skipped", "cannot run on this machine", "images are encoded in process")
    if server.condition == "died":
        return Check(name, "fail", f"died; its log {server.log} ends with\n{server.detail}", "`hashgrain up`")
    return Check(name, "fail", f"{running}, is not ready", f"read {server.log}; `hashgrain down`, then `hashgrain up`")

"""Checks of the Redis server that holds the index, from what its INFO says."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hashgrain.codes.errors import HashgrainError, StoreUnavailable
from hashgrain.runtime.addresses import resolve_redis
from hashgrain.runtime.doctor.check import Check
from hashgrain.runtime.redis_server import ask_servers, redis_software

OLDEST = (6, 2)
FORK_SHARE = 0.5
"""A rewrite of the append-only files may need a copy of the data: beyond this share of the memory there is no room."""

FULL_SHARE = 0.9


def redis_server(home: Path | None, redis: str | None) -> tuple[Check, ...]:
    """Version, persistence, eviction and memory of the Redis server that commands would use."""
    if importlib.util.find_spec("redis") is None:
        return (Check("Redis", "skipped", "redis is not installed", 'pip install "hashgrain[indexer]"'),)
    try:
        address = resolve_redis(redis, home)
    except StoreUnavailable:
        return (Check("Redis", "skipped", "no Redis runs", "`hashgrain up`, or pass --redis"),)
    except HashgrainError as exc:
        return (Check("Redis", "fail", str(exc)),)
    try:
        infos = ask_servers(address)
    except HashgrainError as exc:
        return (Check("Redis", "fail", str(exc), "`hashgrain up`, or check --redis and $HASHGRAIN_REDIS"),)
    shown = without_password(address) + (f", {len(infos)} servers of a cluster" if len(infos) > 1 else "")
    return (
        _worst([version(info, shown) for info in infos]),
        *(_worst([check(info) for info in infos]) for check in (persistence, eviction, memory)),
    )


def _worst(checks: Sequence[Check]) -> Check:
    return max(checks, key=lambda check: ("ok", "skipped", "warn", "fail").index(check.verdict))


def version(info: dict[str, Any], address: str) -> Check:
    """At least what the scripts need."""
    found = f"{redis_software(info)} at {address}"
    numbers = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if numbers < OLDEST:
        least = ".".join(map(str, OLDEST))
        return Check("Redis", "fail", f"{found}, {least} or later is needed", f"install Redis {least} or Valkey")
    return Check("Redis", "ok", found)


def persistence(info: dict[str, Any]) -> Check:
    """Append-only files, and whether the last write succeeded."""
    name = "Redis persistence"
    if not info.get("aof_enabled"):
        mend = "CONFIG SET appendonly yes, and `appendonly yes` in redis.conf"
        return Check(name, "warn", "appendonly is no: a crash loses what came after the last snapshot", mend)
    if info.get("aof_last_write_status", "ok") != "ok":
        return Check(name, "fail", "the last write of the append-only file failed", "free disk space; read Redis' log")
    return Check(name, "ok", "appendonly yes")


def eviction(info: dict[str, Any]) -> Check:
    """Nothing may be evicted: an index that lost a bucket still answers, and answers wrong."""
    name, policy = "Redis eviction", info.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return Check(name, "ok", "maxmemory-policy noeviction")
    found = f"maxmemory-policy is {policy}: buckets vanish without a word once maxmemory is reached"
    mend = "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf"
    return Check(name, "fail" if info.get("maxmemory") else "warn", found, mend)


def memory(info: dict[str, Any]) -> Check:
    """Head-room for growth, and for the copy that a rewrite of the append-only files needs."""
    used, limit = int(info["used_memory"]), int(info.get("maxmemory") or 0)
    total, kind = (limit, "maxmemory") if limit else (int(info.get("total_system_memory") or 0), "the machine's memory")
    if not total:
        return Check("Redis memory", "skipped", f"{used / 1e6:.0f} MB used, the limit is unknown")
    found = f"{used / 1e6:.0f} of {total / 1e6:.0f} MB used ({kind})"
    if used > FULL_SHARE * total:
        return Check("Redis memory", "fail", f"{found}: nearly full", "raise maxmemory, add memory, or drop an index")
    if used > FORK_SHARE * total:
        return Check("Redis memory", "warn", f"{found}: no room for a whole copy", "add memory, or drop an index")
    return Check("Redis memory", "ok", found)


def without_password(address: str) -> str:
    """The address without user name and password, which belong in no output."""
    from hashgrain.indexer.wire.addresses import Address

    return Address.read(address).shown

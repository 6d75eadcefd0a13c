"""Addresses of Redis: of one server, of a cluster, of a service that Sentinels watch.

    redis://user:password@host:6379/0           a server; or any one server of a cluster, which is found out
    rediss://host:6379/0?ssl_ca_certs=ca.pem    the same over TLS
    unix:///path/to/socket                      a server of this machine
    redis+cluster://host1:6379,host2:6379       a cluster, of which some servers may be down when a program starts
    redis+sentinel://host1:26379,host2:26379/service/0    whichever server is the service's primary now

`rediss+cluster://` and `rediss+sentinel://` speak TLS. Beside the settings that redis-py knows, an address may carry

    read_from_replicas=true     searches ask replicas, which may be behind (a cluster, or Sentinels)
    wait_for_replicas=1         a write is acknowledged when so many replicas have it, too, or all that are connected
    sentinel_password=...       (and sentinel_username) of the Sentinels, which are else asked without
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

from hashgrain.codes.errors import InvalidInput

Kind = Literal["server", "cluster", "sentinel"]

_KINDS: dict[str, tuple[str, Kind]] = {
    "redis": ("redis", "server"),
    "rediss": ("rediss", "server"),
    "unix": ("unix", "server"),
    "redis+cluster": ("redis", "cluster"),
    "rediss+cluster": ("rediss", "cluster"),
    "redis+sentinel": ("redis", "sentinel"),
    "rediss+sentinel": ("rediss", "sentinel"),
}

_PORTS = {"server": 6379, "cluster": 6379, "sentinel": 26379}

_OWN = ("read_from_replicas", "wait_for_replicas", "sentinel_username", "sentinel_password")

_MOST_REPLICAS = 16


@dataclass(frozen=True)
class Address:
    """Where Redis is.

    Attributes:
        shown: the address without user and password.
        kind: `server` may turn out to be one of a cluster.
        url: as redis-py takes it, of the first host.
        hosts: host and port of each; none of a socket.
        service: that the Sentinels watch, or empty.
        read_from_replicas, wait_for_replicas, sentinel_username, sentinel_password: see the module.
    """

    shown: str
    kind: Kind
    url: str = field(repr=False)
    hosts: tuple[tuple[str, int], ...]
    service: str = ""
    read_from_replicas: bool = False
    wait_for_replicas: int = 0
    sentinel_username: str = field(default="", repr=False)
    sentinel_password: str = field(default="", repr=False)

    @classmethod
    def read(cls, url: object) -> Address:
        """Read an address.

        Raises:
            InvalidInput: it cannot be read; the message has no part of a password in it.
        """
        if not isinstance(url, str):
            raise InvalidInput(
                f"a Redis address is a string such as redis://localhost:6379/0, got {type(url).__name__}"
            )
        scheme, mark, rest = url.partition("://")
        if not mark or scheme not in _KINDS:
            raise InvalidInput(
                "a Redis address begins with redis://, rediss:// or unix://, redis+cluster:// or redis+sentinel:// "
                f"(rediss+ for TLS), got {scheme if mark else 'none'}"
            )
        plain, kind = _KINDS[scheme]
        try:
            parts = urlsplit(f"{plain}://{rest}")
            user, at, hosts = parts.netloc.rpartition("@")
            hosts_of: tuple[tuple[str, int], ...] = ()
            if kind == "server":
                if plain != "unix":
                    hosts_of = ((parts.hostname or "localhost", parts.port or _PORTS[kind]),)
                shown_hosts = _shown(parts.hostname, parts.port)
            else:
                hosts_of = tuple(_host(one, _PORTS[kind]) for one in hosts.split(","))
                shown_hosts = ",".join(_shown(*one) for one in hosts_of)
        except ValueError:
            raise unreadable(f"{scheme}://…") from None
        own, query = _settings(parts.query)
        service, path = "", parts.path
        if kind == "sentinel":
            service, _, database = parts.path.lstrip("/").partition("/")
            if not service:
                raise InvalidInput(
                    f"{scheme}://{shown_hosts} does not say which service is meant; write it as "
                    "redis+sentinel://host:26379/service/0"
                )
            path = f"/{database or 0}"
        shown = f"{scheme}://{shown_hosts}{parts.path}"
        if kind == "server" and not query and not own:
            for_redis = url
        else:
            first = hosts if kind == "server" else _shown(*hosts_of[0])
            for_redis = f"{plain}://{user}{at}{first}{path}" + (f"?{query}" if query else "")
        return cls(
            shown,
            kind,
            for_redis,
            hosts_of,
            unquote(service),
            _flag("read_from_replicas", own.get("read_from_replicas", "false")),
            _count("wait_for_replicas", own.get("wait_for_replicas", "0")),
            own.get("sentinel_username", ""),
            own.get("sentinel_password", ""),
        )


def unreadable(shown: str) -> InvalidInput:
    """The error of an address that redis-py cannot use."""
    return InvalidInput(
        f"cannot read the Redis address {shown}; write it as redis://user:password@host:6379/0, "
        "rediss:// for TLS, unix:///path/to/socket, redis+cluster://host:6379,host:6379 or "
        "redis+sentinel://host:26379/service/0; escape special characters of a password by %, "
        ""
        f"and use only settings that redis-py knows, {', '.join(_OWN)}"
    )


def _host(text: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.path:
        raise ValueError(text)
    return parts.hostname, parts.port or port


def _shown(host: str | None, port: int | None) -> str:
    name = f"[{host}]" if ":" in (host or "") else host or ""
    return f"{name}:{port}" if port else name


def _settings(query: str) -> tuple[dict[str, str], str]:
    """Settings of our own, and the rest of the query."""
    own, rest = {}, []
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        if name in _OWN:
            own[name] = unquote(value)
        else:
            rest.append(part)
    return own, "&".join(rest)


def _flag(name: str, text: str) -> bool:
    if text.lower() in ("true", "yes", "1"):
        return True
    if text.lower() in ("false", "no", "0"):
        return False
    raise InvalidInput(f"{name} of a Redis address is true or false, got {text!r}")


def _count(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) > _MOST_REPLICAS:
        raise InvalidInput(f"{name} of a Redis address is a number from 0 to {_MOST_REPLICAS}, got {text!r}")
    return int(text)

"""redis-py's exceptions, translated into hashgrain's: the only place that does it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import redis.exceptions as foreign

from hashgrain.codes.errors import IndexCorrupt, StoreError, StoreFull, StoreUnavailable

FOREIGN: tuple[type[Exception], ...] = tuple(
    item for item in vars(foreign).values() if isinstance(item, type) and issubclass(item, Exception)
)
"""Everything that redis-py raises on purpose; not all of it descends from RedisError."""


class _Rule(NamedTuple):
    codes: tuple[str, ...]
    classes: tuple[type[Exception], ...]
    becomes: type[StoreError]
    message: str


# The first rule that fits decides; subclasses stand before their bases.
_RULES = (
    _Rule(
        ("OOM",),
        (foreign.OutOfMemoryError,),
        StoreFull,
        "Redis at {address} has reached its `maxmemory`, nothing of this batch was written; "
        "raise maxmemory or delete items, then add the rest",
    ),
    _Rule(
        ("WRONGTYPE",),
        (),
        IndexCorrupt,
        "Redis at {address} holds another type under a key of this index ({exc}); another service uses that key: "
        "choose another name, or another database number",
    ),
    _Rule(
        ("NOAUTH", "WRONGPASS"),
        (foreign.AuthenticationError, foreign.AuthorizationError),
        StoreUnavailable,
        "Redis at {address} refuses the user or the password; put them into the address: redis://user:password@host:6379/0",
    ),
    _Rule(
        ("NOPERM",),
        (foreign.NoPermissionError,),
        StoreUnavailable,
        "Redis at {address} does not allow this user that much ({exc}); widen its ACL",
    ),
    _Rule(
        ("READONLY",),
        (foreign.ReadOnlyError,),
        StoreUnavailable,
        "Redis at {address} is a read-only replica; give the address of the primary",
    ),
    _Rule(
        ("LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "MISCONF", "TRYAGAIN"),
        (foreign.BusyLoadingError, foreign.ClusterDownError, foreign.MasterDownError, foreign.TryAgainError),
        StoreUnavailable,
        "Redis at {address} cannot answer now ({exc}); mend that, or try again later",
    ),
    _Rule(
        ("MOVED", "ASK"),
        (foreign.AskError,),
        StoreUnavailable,
        "Redis at {address} is one server of a cluster, and what was asked for is with another now ({exc}); try again",
    ),
    _Rule(
        ("CROSSSLOT",),
        (foreign.ClusterCrossSlotError,),
        StoreError,
        "Redis at {address} is a cluster, and keys that belong together lie on several of its servers ({exc})",
    ),
    _Rule(
        (),
        (foreign.TimeoutError,),
        StoreUnavailable,
        "Redis at {address} gave no answer in time ({exc}); a write may or may not have been done and can be repeated; "
        "see to the server's load, or allow longer `timeouts`",
    ),
    _Rule(
        (),
        (foreign.ConnectionError,),
        StoreUnavailable,
        "no Redis at {address} ({exc}); start one with `hashgrain up`, or give its address with --redis or "
        "$HASHGRAIN_REDIS",
    ),
    _Rule((), (Exception,), StoreError, "Redis at {address} answered with an error: {exc}"),
)

# Where a command fails inside a script, Redis 6.2 wraps its message: "Error running script (...): @user_script:12:
# WRONGTYPE Operation ...", or with a hyphen before the code.
_CODE = re.compile(r"(?:^|-|: )([A-Z]{3,}) ")


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Turn what redis-py raises inside into an error of hashgrain's tree.

    Args:
        address: the server's address without its password, for the messages.

    Raises:
        StoreFull, StoreUnavailable, IndexCorrupt, StoreError: see the tree in `codes/errors.py`.
    """
    try:
        yield
    except FOREIGN as exc:
        raise _translate(exc, address) from exc


def _translate(exc: Exception, address: str) -> StoreError:
    codes = set(_CODE.findall(str(exc)))
    rule = next(rule for rule in _RULES if codes.intersection(rule.codes) or isinstance(exc, rule.classes))
    return rule.becomes(rule.message.format(address=address, exc=exc))

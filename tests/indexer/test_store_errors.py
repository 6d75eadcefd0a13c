"""Every exception of redis-py becomes one of hashgrain's, with the server's address."""

from __future__ import annotations

import pytest
import redis.exceptions as foreign

from hashgrain.codes.errors import IndexCorrupt, StoreError, StoreFull, StoreUnavailable
from hashgrain.indexer.wire.store_errors import FOREIGN, translated


def translate(exc: Exception) -> StoreError:
    with pytest.raises(StoreError) as caught, translated("redis://h:1/0"):
        raise exc
    assert caught.value.__cause__ is exc
    assert "redis://h:1/0" in str(caught.value)
    return caught.value


def make(item: type[Exception]) -> Exception:
    if issubclass(item, foreign.AskError):
        return item("1 127.0.0.1:6379")
    return item("what the server said")


@pytest.mark.parametrize("item", FOREIGN, ids=lambda item: item.__name__)
def test_no_exception_of_redis_py_gets_through(item: type[Exception]) -> None:
    translate(make(item))


def test_the_list_holds_every_exception_that_redis_py_exports() -> None:
    exported = {item for item in vars(__import__("redis")).values() if isinstance(item, type)}
    assert {item for item in exported if issubclass(item, Exception)} <= set(FOREIGN)


@pytest.mark.parametrize(
    ("exc", "becomes", "says"),
    [
        (foreign.OutOfMemoryError("command not allowed"), StoreFull, "maxmemory"),
        (foreign.ResponseError("ERR Error running script (f): @user_script:3: -OOM command"), StoreFull, "maxmemory"),
        (foreign.ResponseError("WRONGTYPE Operation against a key"), IndexCorrupt, "another service"),
        (
            foreign.ResponseError("Error running script (f): @user_script:12: WRONGTYPE Operation"),
            IndexCorrupt,
            "another service",
        ),
        (foreign.ConnectionError("refused"), StoreUnavailable, "hashgrain up"),
        (foreign.TimeoutError("Timeout reading"), StoreUnavailable, "timeouts"),
        (foreign.AuthenticationError("invalid"), StoreUnavailable, "password"),
        (foreign.NoPermissionError("no permissions"), StoreUnavailable, "ACL"),
        (foreign.ReadOnlyError("You can't write"), StoreUnavailable, "primary"),
        (foreign.BusyLoadingError("loading"), StoreUnavailable, "later"),
        (foreign.ResponseError("MISCONF Redis is configured to save"), StoreUnavailable, "later"),
        (foreign.MovedError("1 127.0.0.1:6379"), StoreUnavailable, "one server of a cluster"),
        (foreign.ResponseError("ERR unknown command"), StoreError, "unknown command"),
    ],
)
def test_kinds_are_told_apart_and_name_the_next_step(exc: Exception, becomes: type[StoreError], says: str) -> None:
    error = translate(exc)
    assert type(error) is becomes
    assert says in str(error)


def test_other_exceptions_pass_untouched() -> None:
    with pytest.raises(KeyError), translated("redis://h"):
        raise KeyError("mine")

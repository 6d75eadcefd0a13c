"""A client of whichever server holds some keys now: it looks for the server anew where it has moved, failed or is not
ready, and repeats what it was asked.

Everything that is asked of it is repeated as a whole, be it a command or a pipeline. That must do no harm: of a write
whose answer was lost nobody knows whether it was done. (It does none here: what adds replaces by id, what deletes
deletes once, and what is to be done once says so by an argument that the script compares.) Answers that are merely late
are asked for again only where another server has taken over meanwhile: else the first may still be under way.

A key's server is never asked out of turn, by ASKING: while a slot is moved key by key, part of a shard is here and part
there, and a script that saw one part would take the other for missing. So its keys wait for the end of the move.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import redis
import redis.exceptions as foreign
from redis.client import Pipeline

from hashgrain.indexer.wire.deadline import seconds_left

Made = TypeVar("Made")

FIRST_WAIT_S = 0.002
LONGEST_WAIT_S = 0.2

_ASKED_AGAIN_S = 1.0  # how many replicas a server has is asked so often

_WRITES = frozenset({"EVAL", "EVALSHA", "UNLINK", "DEL", "SET", "HSET"})

_PASSING = (
    foreign.AskError,
    foreign.TryAgainError,
    foreign.ClusterDownError,
    foreign.MasterDownError,
    foreign.SlotNotCoveredError,
    foreign.ReadOnlyError,
    foreign.ConnectionError,  # BusyLoadingError is one
)
_LASTING = (foreign.AuthenticationError, foreign.AuthorizationError, foreign.MaxConnectionsError)

# What a script says that meets a key which has been moved already, and one that was begun before the cluster went down.
_PASSING_WORDS = ("non local key", "TRYAGAIN", "CLUSTERDOWN")


class Way(Protocol):
    """To the server that holds some keys.

    Attributes:
        recovery: seconds for which the server is looked for when it does not answer.
        what: that is looked for, for messages.
    """

    recovery: float
    what: str

    def now(self) -> Any:
        """The server that holds the keys, as far as is known."""

    def moved(self, exc: foreign.MovedError) -> None:
        """Take note of where the keys are."""

    def look_again(self, lost: Any) -> None:
        """Find out who holds the keys; one server has not answered."""

    def replicas_of(self, server: Any, anew: bool = False) -> int:
        """How many replicas a server has now, or had a moment ago unless it is to be asked anew."""


class ReplicaCounts:
    """How many replicas servers have, asked once in a second."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Any, tuple[int, float]] = WeakKeyDictionary()

    def of(self, server: Any, anew: bool = False) -> int:
        """How many a server has now, or had a moment ago unless it is to be asked anew."""
        known = self._known.get(server.connection_pool)
        if known is None or anew or known[1] < time.monotonic():
            known = len(server.execute_command("ROLE")[2]), time.monotonic() + _ASKED_AGAIN_S
            self._known[server.connection_pool] = known
        return known[0]


class OneWay:
    """To a server, or to one that redis-py looks for by itself; see `Way`."""

    def __init__(self, server: redis.Redis, recovery: float, what: str) -> None:
        self._server = server
        self.recovery = recovery
        self.what = what
        self.replicas_of = ReplicaCounts().of

    def now(self) -> Any:
        """See `Way`."""
        return self._server

    def moved(self, exc: foreign.MovedError) -> None:
        """See `Way`."""

    def look_again(self, lost: Any) -> None:
        """See `Way`."""


class Routed(redis.Redis):
    """See the module; safe to share between threads.

    Args:
        way: to the server.
        wait_for_replicas: a write is answered when so many replicas have it, or all that the server has.
        wait_s: how long to wait for them.
    """

    def __init__(self, way: Way, wait_for_replicas: int = 0, wait_s: float = 1.0) -> None:
        super().__init__(connection_pool=redis.ConnectionPool())  # it makes no connection
        self.way = way
        self._wait_for = wait_for_replicas
        self._wait_s = wait_s

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command on the server that holds the keys."""
        if self._wait_for and args[0] in _WRITES:
            return self.run(lambda server: self._written(server, args, options))
        return self.run(lambda server: server.execute_command(*args, **options))

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """A pipeline of reads whose commands all go to that server."""
        return _RoutedPipeline(self)

    def run(self, work: Callable[[Any], Made], failed: tuple[Any, Exception] | None = None) -> Made:
        """Do something with the server that holds the keys, and all of it again while it cannot be done.

        Args:
            work: is given the server.
            failed: a server (None if there was none) and how it has failed at this already.

        Raises:
            redis.exceptions.ClusterDownError: it could not be done for the time of recovery.
        """
        begun, wait, redirected = 0.0, 0.0, 0
        while True:
            server: Any = None
            try:
                if failed is not None:
                    (server, exc), failed = failed, None
                    raise exc
                server = self.way.now()
                return work(server)
            except _LASTING:
                raise
            except foreign.MovedError as exc:
                error: Exception = exc
                self.way.moved(exc)
                redirected += 1
                if redirected == 1:
                    continue
            except _PASSING as exc:
                error = exc
            except foreign.TimeoutError as exc:
                if seconds_left() <= 0 or server is None:
                    raise
                self.way.look_again(server)
                if self.way.now() is server:
                    raise
                error = exc
            except foreign.ResponseError as exc:
                if not any(word in str(exc) for word in _PASSING_WORDS):
                    raise
                error = exc
            begun = begun or time.monotonic()
            wait = min(2 * wait, LONGEST_WAIT_S) or FIRST_WAIT_S
            if time.monotonic() + wait - begun > self.way.recovery:
                raise foreign.ClusterDownError(
                    f"no server could answer for {self.way.what} within {self.way.recovery:g} s, at last: "
                    f"{_short(error)}"
                ) from error
            if wait >= seconds_left():
                time.sleep(seconds_left())
                raise foreign.TimeoutError("the deadline of the search passed") from error
            time.sleep(wait)
            self.way.look_again(server)

    def _written(self, server: Any, args: Sequence[Any], options: dict[str, Any]) -> Any:
        """Run a command that writes, and wait on the same connection until replicas have what it wrote."""
        wanted = min(self._wait_for, self.way.replicas_of(server))
        if not wanted:
            return server.execute_command(*args, **options)
        pipe = server.pipeline(transaction=False)
        pipe.execute_command(*args, **options)
        pipe.execute_command("WAIT", wanted, max(1, int(1000 * self._wait_s)))
        reply, reached = pipe.execute(raise_on_error=False)
        for one in (reply, reached):
            if isinstance(one, Exception):
                raise one
        if reached < wanted and reached < min(wanted, self.way.replicas_of(server, anew=True)):
            raise foreign.TimeoutError(f"{reached} replicas of {wanted} took the write within {self._wait_s:g} s")
        return reply


class _RoutedPipeline(Pipeline):
    def __init__(self, routed: Routed) -> None:
        super().__init__(routed.connection_pool, routed.response_callbacks, False, None)
        self._routed = routed

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack, scripts = list(self.command_stack), set(self.scripts)
        try:
            return self._routed.run(lambda server: _executed(server, stack, scripts, raise_on_error))
        finally:
            self.reset()


def _executed(server: Any, stack: Sequence[Any], scripts: set[Any], raise_on_error: bool) -> list[Any]:
    pipe: Any = server.pipeline(transaction=False)
    pipe.command_stack, pipe.scripts = list(stack), set(scripts)
    replies: list[Any] = pipe.execute(raise_on_error=False)
    for number, (reply, command) in enumerate(zip(replies, stack, strict=True), 1):
        if isinstance(reply, Exception) and (raise_on_error or is_passing(reply)):
            pipe.annotate_exception(reply, number, command[0])
            raise reply
    return replies


def _short(error: Exception) -> str:
    return str(error).partition(" : <")[0][:300]  # of Sentinels that do not answer, redis-py shows all settings


def is_passing(error: Exception) -> bool:
    """Whether another try may succeed by itself."""
    if isinstance(error, _LASTING):
        return False
    return isinstance(error, _PASSING) or any(word in str(error) for word in _PASSING_WORDS)

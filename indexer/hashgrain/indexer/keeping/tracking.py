"""A connection on which Redis tells which keys change: client tracking in broadcast mode, over RESP3.

The server tells of a change before it answers a command that it takes up in a later turn of its loop, and it answers
the writer at the end of the turn in which it wrote. So whoever sends a command here and has its answer has been told
of every write that was acknowledged before (and, of a write that fell between, perhaps only by the next answer).
Where the connection breaks, nobody knows what was missed: `on_loss` is called, and what was learnt is void.

See https://redis.io/docs/latest/develop/reference/client-side-caching/.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from hashgrain.codes.errors import StoreError
from hashgrain.indexer.wire.connection import Connection
from hashgrain.indexer.wire.store_errors import translated

Command = Sequence[Any]


class Tracking:
    """A tracked connection, which opens when it is first used; not safe to share between threads.

    Args:
        connection: to the same server, whose settings it takes.
        prefixes: of the keys to be told of; none may begin with another.
        on_change: called with keys that have changed.
        on_loss: called when anything may have changed.
        barrier: commands whose answers are awaited to be told of what was acknowledged before; PING unless given.

    Attributes:
        known_until: a moment on the monotonic clock: every write that was acknowledged before it has been told of.
    """

    def __init__(
        self,
        connection: Connection,
        prefixes: Sequence[str],
        on_change: Callable[[Sequence[bytes]], object],
        on_loss: Callable[[], object],
        barrier: Sequence[Command] = (),
    ) -> None:
        self._connection = connection
        self._prefixes = prefixes
        self._on_change = on_change
        self._on_loss = on_loss
        self._barrier = barrier
        self._link: Any = None  # redis-py's connection
        self._waiting: deque[Question] = deque()
        self.known_until = -math.inf
        self._owner = os.getpid()

    def open(self) -> None:
        """Connect, unless that is done.

        Raises:
            StoreUnavailable: no server there.
            StoreError: it cannot tell of changes.
        """
        if self._owner != os.getpid():  # a child process must not read what is meant for its parent
            self._owner = os.getpid()
            self.close()
        if self._link is None:
            with translated(self._connection.address):
                self._connect()

    @property
    def is_open(self) -> bool:
        """Whether it is connected, as far as is known."""
        return self._link is not None

    def drain(self) -> None:
        """Take note of what was told meanwhile, without waiting.

        Raises:
            StoreUnavailable: the connection is lost.
        """
        self.open()
        try:
            while self._link.can_read(0):
                self._read()
        except BaseException:
            self._raise_closed()

    def ask(self, commands: Sequence[Command], take: Callable[[Any], object]) -> None:
        """Send commands in one go, and hand each answer to `take`, in order with what is told between them.

        Raises:
            StoreUnavailable: the connection is lost.
            StoreError: the server answered with an error.
        """
        self.wait(self.send(commands, take))

    def send(self, commands: Sequence[Command], take: Callable[[Any], object]) -> Question:
        """Send commands in one go; the answers are for `wait`; errors as `ask`."""
        self.open()
        return self._send(self._link.pack_commands(commands), len(commands), take)

    def ping(self) -> Question:
        """Ask for an answer, to be waited for later: then all is told of that was acknowledged before now.

        Raises:
            StoreUnavailable: the connection is lost.
        """
        self.open()
        if self._barrier:
            return self._send(self._link.pack_commands(self._barrier), len(self._barrier), _ignore)
        return self._send(_PING, 1, _ignore)

    def wait(self, question: Question, left: int = 0) -> bool:
        """Wait for what was asked, but for so many of the answers; False where the connection was lost meanwhile.

        Raises:
            StoreUnavailable, StoreError: see `ask`.
        """
        try:
            while question.left > left and not question.lost:
                self._read()
        except BaseException:
            self._raise_closed()
        return not question.lost

    def close(self) -> None:
        """Disconnect; what was learnt is void."""
        link, self._link = self._link, None
        self.known_until = -math.inf
        for question in self._waiting:
            question.lost = True
        self._waiting.clear()
        self._on_loss()
        if link is not None:
            link.disconnect()

    def _send(self, packed: Sequence[bytes], answers: int, take: Callable[[Any], object]) -> Question:
        question = Question(take, answers, time.monotonic())
        try:
            self._link.send_packed_command(packed, check_health=False)
        except BaseException:
            self._raise_closed()
        if answers:
            self._waiting.append(question)
        return question

    def _raise_closed(self) -> None:
        """Disconnect, and raise the exception that is being handled: an answer may be left in the connection."""
        self.close()
        with translated(self._connection.address):
            raise

    def _connect(self) -> None:
        pool = self._connection.server().connection_pool
        link: Any = pool.connection_class(**{**pool.connection_kwargs, "protocol": 3})
        try:
            link.connect()
            link._parser.set_invalidation_push_handler(_Push)
            chosen = [word for prefix in self._prefixes for word in ("PREFIX", prefix)]
            link.send_command("CLIENT", "TRACKING", "ON", "BCAST", *chosen, check_health=False)
            link.read_response()
        except redis.ResponseError as exc:
            link.disconnect()
            if isinstance(exc, redis.exceptions.NoPermissionError):
                raise
            raise StoreError(
                f"Redis at {self._connection.address} cannot tell of changes ({exc}), which a cache of buckets needs "
                "(by RESP3 and CLIENT TRACKING); use Redis 6 or later, or Valkey, or open the index without cache_bytes"
            ) from exc
        except BaseException:
            link.disconnect()
            raise
        self._on_loss()
        self._link = link

    def _read(self) -> None:
        """Read one answer, or one push, and do with it what is to be done."""
        # One at a time: otherwise redis-py calls itself once for each push before an answer, until Python objects.
        found = self._link.read_response(push_request=True)
        if isinstance(found, _Push):
            if found.keys is None:  # FLUSHALL, FLUSHDB
                self._on_loss()
            else:
                self._on_change(found.keys)
            return
        question = self._waiting[0]
        question.take(found)
        question.left -= 1
        if not question.left:
            self._waiting.popleft()
            self.known_until = question.sent


@dataclass(eq=False)
class Question:
    """Commands that were sent in one go.

    Attributes:
        take: called with each answer.
        left: how many answers are still to come.
        sent: when, on the monotonic clock.
        lost: whether they will never come.
    """

    take: Callable[[Any], object]
    left: int
    sent: float
    lost: bool = False


class _Push:
    """What redis-py makes of a push; it is dealt with elsewhere, since redis-py hides errors of this step."""

    def __init__(self, push: Sequence[Any]) -> None:
        self.keys: Sequence[bytes] | None = push[1]


_PING = [b"*1\r\n$4\r\nPING\r\n"]


def _ignore(_: Any) -> None:
    pass

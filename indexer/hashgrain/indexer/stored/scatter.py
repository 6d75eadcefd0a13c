"""Questions to several shards at once: all are sent before the first answer is read, to each server in one go.

What one server cannot answer now is asked once more, alone and with patience (see `routed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import redis
import redis.exceptions as foreign
from numpy.typing import NDArray

from hashgrain.indexer.stored.shard import Command, Directory, Shard
from hashgrain.indexer.wire.connection import Connection
from hashgrain.indexer.wire.routed import Routed, is_passing
from hashgrain.indexer.wire.store_errors import translated


def read_directories(shards: Sequence[Shard]) -> list[Directory]:
    """The directories of all shards.

    Raises:
        IndexMissing, IndexCorrupt, StoreUnavailable: see `Shard.directory`.
    """
    if len(shards) == 1 and shards[0].reading is shards[0].connection:
        return [shards[0].directory()]
    replies = ask([(shard.reading, shard.asking_directory()) for shard in shards])
    return [shard.as_directory(*reply) for shard, reply in zip(shards, replies, strict=True)]


def read_buckets(
    shards: Sequence[Shard], directories: Sequence[Directory], numbers: Sequence[NDArray[Any]]
) -> list[list[bytes]] | None:
    """Some buckets of each shard, each shard's of one moment; None where a directory is out of date.

    Raises:
        IndexMissing, IndexCorrupt, StoreUnavailable: see `Shard.read`.
    """
    if len(shards) == 1 and shards[0].reading is shards[0].connection:
        alone = shards[0].read(directories[0], numbers[0])
        return None if alone is None else [alone]
    replies = ask([(shard.reading, [shard.asking(some)]) for shard, some in zip(shards, numbers, strict=True)])
    read = []
    for shard, directory, some, (reply,) in zip(shards, directories, numbers, replies, strict=True):
        buckets = shard.as_read(directory, some, reply)
        if buckets is None:
            return None
        read.append(buckets)
    return read


def ask(questions: Sequence[tuple[Connection, Sequence[Command]]]) -> list[list[Any]]:
    """What the servers answer to some commands that only read.

    Args:
        questions: commands, each some with the connection of the shard whose keys they name.

    Returns:
        For each question, an answer to each of its commands.

    Raises:
        StoreUnavailable, StoreError.
    """
    if not questions:
        return []
    with translated(questions[0][0].address):
        if not isinstance(questions[0][0].client, Routed):
            return _in_one_pipeline(questions)
        return _from_several(questions)


def _in_one_pipeline(questions: Sequence[tuple[Connection, Sequence[Command]]]) -> list[list[Any]]:
    pipe: Any = questions[0][0].client.pipeline(transaction=False)
    for _, commands in questions:
        for command in commands:
            pipe.execute_command(*command)
    replies = iter(pipe.execute())
    return [[next(replies) for _ in commands] for _, commands in questions]


def _from_several(questions: Sequence[tuple[Connection, Sequence[Command]]]) -> list[list[Any]]:
    lines: dict[int, _Line] = {}
    failed: dict[int, tuple[Any, Exception]] = {}
    for number, (connection, _) in enumerate(questions):
        try:
            server = _routed(connection).way.now()
        except foreign.RedisError as exc:
            failed[number] = (None, exc)
        else:
            lines.setdefault(id(server), _Line(server)).numbers.append(number)
    try:
        for line in lines.values():
            line.send([command for number in line.numbers for command in questions[number][1]])
        answers: dict[int, list[Any]] = {}
        for line in lines.values():
            for number in line.numbers:
                answers[number] = [line.receive(command[0]) for command in questions[number][1]]
    finally:
        for line in lines.values():
            line.release()
    for line in lines.values():
        for number in line.numbers:
            wrong = next((reply for reply in answers[number] if isinstance(reply, Exception)), None)
            if isinstance(wrong, foreign.TimeoutError) or (wrong is not None and is_passing(wrong)):
                failed[number] = (line.server, wrong)
            elif wrong is not None:
                raise wrong
    for number, (server, wrong) in failed.items():
        connection, commands = questions[number]
        answers[number] = _routed(connection).run(partial(_asked, commands), (server, wrong))
    return [answers[number] for number in range(len(questions))]


def _routed(connection: Connection) -> Routed:
    assert isinstance(connection.client, Routed)
    return connection.client


def _asked(commands: Sequence[Command], server: Any) -> list[Any]:
    pipe = server.pipeline(transaction=False)
    for command in commands:
        pipe.execute_command(*command)
    replies: list[Any] = pipe.execute()
    return replies


class _Line:
    """A connection to one server for one round trip; what goes wrong is its answer to all that is left.

    Attributes:
        server: the server.
        numbers: of the questions that are put to it.
    """

    def __init__(self, server: redis.Redis) -> None:
        self.server: Any = server
        self.numbers: list[int] = []
        self._link: Any = None
        self._error: Exception | None = None
        self._left = 0

    def send(self, commands: Sequence[Command]) -> None:
        """Send commands in one go."""
        try:
            self._link = self.server.connection_pool.get_connection()
            self._left = len(commands)
            self._link.send_packed_command(self._link.pack_commands(commands))
        except foreign.RedisError as exc:
            self._error = exc

    def receive(self, command: str) -> Any:
        """The next answer, or the error."""
        if self._error is not None:
            return self._error
        try:
            reply = self.server.parse_response(self._link, command)
        except foreign.ResponseError as exc:
            reply = exc
        except foreign.RedisError as exc:
            self._error = exc
            return exc
        self._left -= 1
        return reply

    def release(self) -> None:
        """Give the connection back; one in which answers are left is closed."""
        if self._link is not None:
            if self._left:
                self._link.disconnect()
            self.server.connection_pool.release(self._link)

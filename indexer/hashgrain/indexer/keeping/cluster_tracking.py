"""Client tracking in a cluster: a tracked connection to every server that holds shards.

Each server tells of its own keys only, and says nothing where a slot leaves it. So what is awaited there is not any
answer but one about each shard: a server that no longer holds it refuses. Then, or where a connection breaks, all
connections are made anew, to whoever holds the shards by then, and what was learnt is void.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hashgrain.codes.errors import StoreUnavailable
from hashgrain.indexer.keeping.tracking import Command, Question, Tracking
from hashgrain.indexer.stored.keys import ShardKeys
from hashgrain.indexer.wire.cluster import slot_of
from hashgrain.indexer.wire.connection import Connection
from hashgrain.indexer.wire.store_errors import translated


class ClusterTracking:
    """As `Tracking`, of the shards of an index in a cluster; not safe to share between threads.

    Args:
        connection: to the cluster.
        shards: keys of each shard.
        on_change, on_loss: see `Tracking`.
    """

    def __init__(
        self,
        connection: Connection,
        shards: Sequence[ShardKeys],
        on_change: Callable[[Sequence[bytes]], object],
        on_loss: Callable[[], object],
    ) -> None:
        self._connection = connection
        self._shards = shards
        self._on_change = on_change
        self._on_loss = on_loss
        self._links: dict[str, Tracking] = {}
        self._server_of: dict[int, str] = {}
        self._is_closing = False

    @property
    def known_until(self) -> float:
        """See `Tracking`."""
        return min((link.known_until for link in self._links.values()), default=-math.inf)

    @property
    def is_open(self) -> bool:
        """Whether all are connected, as far as is known."""
        return bool(self._links) and all(link.is_open for link in self._links.values())

    def open(self) -> None:
        """Connect to all servers, unless that is done; errors as `Tracking.open`."""
        if self.is_open:
            for link in self._links.values():
                link.open()  # in a child process, each is made anew
            return
        self.close()
        together: dict[str, list[ShardKeys]] = {}
        with translated(self._connection.address):
            for keys in self._shards:
                server = self._connection.server_of(keys.meta)
                together.setdefault(server, []).append(keys)
                self._server_of[slot_of(keys.meta)] = server
            clients = {server: self._connection.of(some[0].meta).server() for server, some in together.items()}
        for server, some in together.items():
            prefixes = [prefix for keys in some for prefix in (keys.bucket_prefix, keys.stamp)]
            barrier = [["GET", keys.stamp] for keys in some]
            alone = Connection(clients[server], self._connection.settings)
            self._links[server] = Tracking(alone, prefixes, self._on_change, self._lose, barrier)
        try:
            for link in self._links.values():
                link.open()
        except BaseException:
            self.close()
            raise

    def drain(self) -> None:
        """See `Tracking`."""
        self.open()
        for link in list(self._links.values()):
            link.drain()

    def ask(self, commands: Sequence[Command], take: Callable[[Any], object]) -> None:
        """See `Tracking`; a command has its first key in the first place."""
        self.open()
        links = [self._links[self._server_of[slot_of(command[1])]] for command in commands]
        questions: dict[int, tuple[Tracking, Question]] = {}
        for link in links:
            if id(link) not in questions:
                mine = [command for command, to in zip(commands, links, strict=True) if to is link]
                questions[id(link)] = (link, link.send(mine, take))
        for link in links:  # each answer in its turn
            _, question = questions[id(link)]
            if not link.wait(question, question.left - 1):
                raise StoreUnavailable(f"a connection to Redis at {self._connection.address} was lost")

    def ping(self) -> Questions:
        """See `Tracking`."""
        self.open()
        return Questions([(link, link.ping()) for link in list(self._links.values())])

    def wait(self, question: Questions) -> bool:
        """See `Tracking`."""
        answered = [link.wait(one) for link, one in question.parts]
        return all(answered)

    def close(self) -> None:
        """See `Tracking`."""
        links, self._links, self._server_of = self._links, {}, {}
        self._is_closing = True
        try:
            for link in links.values():
                link.close()
        finally:
            self._is_closing = False
        self._on_loss()

    def _lose(self) -> None:
        """One connection is lost, or made: what is known of its shards is void, and of the others for simplicity."""
        if not self._is_closing:
            self._on_loss()


@dataclass(frozen=True, eq=False)
class Questions:
    """What was asked on all connections."""

    parts: Sequence[tuple[Tracking, Question]]

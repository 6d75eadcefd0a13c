"""A real server that survives being killed."""

from __future__ import annotations

from pathlib import Path

from own_redis import OwnRedis

DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0")


class DurableServer(OwnRedis):
    """A real server whose acknowledged writes are on the disk, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, *DURABLE)

    def log(self) -> Path:
        """The file that commands are appended to."""
        return max(self.folder.glob("appendonlydir/*.incr.aof"))

"""A real server that survives being killed, and whose disk can be full."""

from __future__ import annotations

import resource
from pathlib import Path

from own_redis import OwnRedis


class DurableServer(OwnRedis):
    """A real server whose acknowledged writes are on the disk, that can be killed and started again.

    Args:
        folder: for its files.
        fsync: Redis' `appendfsync`: before it acknowledges ("always"), or once a second ("everysec").
    """

    def __init__(self, folder: Path, fsync: str = "always") -> None:
        super().__init__(folder, "--appendonly", "yes", "--appendfsync", fsync, "--auto-aof-rewrite-percentage", "0")

    def fill_disk(self) -> None:
        """No file of the server can grow any more."""
        assert self._process is not None
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (self.log().stat().st_size, resource.RLIM_INFINITY))

    def free_disk(self) -> None:
        """Take back `fill_disk`; the server is started again where it has ended."""
        assert self._process is not None
        if self._process.poll() is None:
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        else:
            self.start()

    def log(self) -> Path:
        """The file that commands are appended to."""
        return max(self.folder.glob("appendonlydir/*.incr.aof"))

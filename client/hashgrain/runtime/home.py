"""Where the embedded servers keep what they need: one state folder per project, one cache folder per user.

.hashgrain/              $HASHGRAIN_HOME, by default in the current folder
├── state.json           processes, ports, versions; see `state`
├── lock                 held while servers are started or stopped
├── triton.log, redis.log, and *.previous.log of the run before
├── redis/               Redis' append-only files: the data
└── triton/              backends and import paths of the embedded Triton, written anew at every start

~/.cache/hashgrain/      $HASHGRAIN_CACHE, else $XDG_CACHE_HOME/hashgrain; see `codes.cache_folder`
└── triton-env-…/        packages of the embedded Triton, shared by all projects; see `triton_env`
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hashgrain.codes.errors import EmbeddedServerError


@dataclass(frozen=True)
class Home:
    """The state folder and the paths in it. Attribute `root` is absolute; nothing need exist yet."""

    root: Path

    @property
    def state_file(self) -> Path:
        """Processes, ports and versions."""
        return self.root / "state.json"

    @property
    def lock(self) -> Path:
        """Held while servers are started or stopped."""
        return self.root / "lock"

    @property
    def redis_data(self) -> Path:
        """Redis' append-only files."""
        return self.root / "redis"

    @property
    def triton_files(self) -> Path:
        """Backends and import paths of the embedded Triton."""
        return self.root / "triton"

    def log(self, server: str) -> Path:
        """The log file of "triton" or "redis"."""
        return self.root / f"{server}.log"

    def create(self) -> None:
        """Make the folder, kept out of version control.

        Raises:
            EmbeddedServerError: it cannot be made or written to.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            (self.root / ".gitignore").write_text("*\n")
        except OSError as exc:
            raise EmbeddedServerError(
                f"the state folder {self.root} cannot be written ({exc.strerror}); "
                "go to another folder, or name one by --home or $HASHGRAIN_HOME"
            ) from exc


def find_home(path: Path | None = None) -> Home:
    """The state folder: `path` if given, else $HASHGRAIN_HOME, else .hashgrain in the current folder."""
    return Home(Path(path or os.environ.get("HASHGRAIN_HOME") or ".hashgrain").expanduser().absolute())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`, waiting while another process holds it; a process that dies lets it go."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

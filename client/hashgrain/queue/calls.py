"""One step of a job: a script on its keys, called by a process of one of its lives."""

from __future__ import annotations

import secrets
from importlib import resources
from typing import Any

from hashgrain.codes.errors import DataError, StoreError
from hashgrain.indexer.wire.connection import Connection
from hashgrain.indexer.wire.store_errors import translated
from hashgrain.queue.keys import JobKeys

SCRIPTS = ("begin", "lead", "hand_out", "again", "take", "settle", "give_up", "give_back", "beat")


class JobCalls:
    """Calls the scripts of a job by their names.

    Args:
        connection: to Redis.
        job: the job's name.

    Attributes:
        keys: of the job.
        run: the life of the job that this process takes part in, drawn at random; the script "begin" may answer with
            that of a life which is under way.
    """

    def __init__(self, connection: Connection, job: str) -> None:
        self.keys = JobKeys(job)
        self.run = secrets.token_hex(8)
        self._connection = connection
        self._scripts = {name: connection.client.register_script(_script(name)) for name in SCRIPTS}

    def __call__(self, name: str, *arguments: str | int) -> Any:
        """The answer of a script.

        Raises:
            DataError: this life of the job is over.
            StoreError: Redis cannot be used.
        """
        try:
            with translated(self._connection.address):
                reply = self._scripts[name](keys=self.keys.all(), args=[self.run, *arguments])
        except StoreError as exc:
            raise type(exc)(
                f"{exc} (queue of the job {self.keys.name}; run the same command again, and it goes on)"
            ) from exc
        if reply == b"gone" or reply == [b"gone"]:
            raise self.gone()
        return reply

    def gone(self) -> DataError:
        """The error where the job in Redis is none that this process takes part in."""
        return DataError(
            f"the job {self.keys.name} in Redis at {self._connection.address} is not the one that this process took "
            "part in: it was begun anew, or Redis has lost it; run the same command again to take part, or to begin "
            "it anew"
        )


def _script(name: str) -> str:
    folder = resources.files("hashgrain.queue") / "scripts"
    return "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in ("job", name))

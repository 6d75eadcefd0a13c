"""`JobQueue`: a job in Redis, each step one script, so that none is ever half done."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from hashgrain.client.bulk.receipt import Receipt
from hashgrain.client.sources.items import printable
from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer.wire.connection import Connection
from hashgrain.indexer.wire.store_errors import translated
from hashgrain.queue.calls import JobCalls
from hashgrain.queue.keys import LAYOUT_VERSION, JobKeys
from hashgrain.queue.report import JobReport, SetAside
from hashgrain.queue.work import Work

COUNTED = ("handed_out", "done", "aside", "encoded", "reused", "unchanged", "rejected", "bytes_read")
ROWS_AT_A_TIME = 1000


@dataclass(frozen=True)
class Job:
    """What a job is: processes take part in one only if all of this is the same.

    Attributes:
        name: by which processes find each other.
        fingerprint: of the model.
        index: the index's name, where it is, and its incarnation.
        sources: what is encoded, as JSON.
    """

    name: str
    fingerprint: str
    index: str
    sources: str


@dataclass(frozen=True)
class Chunk:
    """A piece of work in this worker's hands."""

    id: str
    work: Work


class JobQueue:
    """One process' place in a job, which is begun if need be; use it in a `with`.

    Args:
        url: Redis' address.
        job: which job.
        silence: seconds after which the chunk of a worker that does not show is taken over.
        tries: how often a chunk is handed to a worker before it is set aside.
        open_chunks: most chunks that may wait or be under way at a time; the handing out waits meanwhile.
        anew: begin the job anew, even where it is under way.

    Raises:
        InvalidInput: a job of that name is under way, with another model, index or source.
        StoreError: Redis cannot be used.
    """

    def __init__(
        self,
        url: str,
        job: Job,
        *,
        silence: float = 60.0,
        tries: int = 3,
        open_chunks: int = 1000,
        anew: bool = False,
    ) -> None:
        self.name = job.name
        self.silence = silence
        self.worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._tries = tries
        self._open_chunks = open_chunks
        self._connection = Connection.to(url)
        try:
            self._connection = self._connection.of(JobKeys(job.name).job)
            self._call = JobCalls(self._connection, job.name)
            self._begin(job, anew)
        except BaseException:
            self.close()
            raise

    def _begin(self, job: Job, anew: bool) -> None:
        mine = {
            "version": str(LAYOUT_VERSION),
            "fingerprint": job.fingerprint,
            "index": job.index,
            "sources": job.sources,
        }
        status, found = _texts(self._call("begin", "1" if anew else "0", *mine.values()))
        if status in mine:
            raise InvalidInput(
                f"the job {job.name} is under way with another {status}: {_short(found)}, not {_short(mine[status])}; "
                "give the same arguments as its other processes, another --job NAME, or --anew to begin it anew"
            )
        self._call.run = found

    def lead(self, seconds: float, stay: bool = False) -> tuple[Literal["fed", "other", "leads"], int, str]:
        """Become the one that hands out, for some seconds, or stay it.

        Args:
            seconds: how long.
            stay: only stay it: who has lost the lead in between does not know any more where it was.

        Returns:
            Whether all is handed out, another does it, or this one does; then also how many references have been
            handed out, and the name of the last one.
        """
        status, *place = _texts(self._call("lead", self.worker, int(seconds * 1000), int(stay)))
        position, last = place or (0, "")
        return status, int(position), last  # type: ignore[return-value]

    def hand_out(self, work: Work | None, position: int, last: str) -> Literal["taken", "full", "lost"]:
        """Hand out one more chunk, or say that there is none.

        Args:
            work: None when all is handed out.
            position: references handed out with it.
            last: name of the last of them.

        Returns:
            "full" where it must be tried again later, "lost" where another hands out now.
        """
        text = work.text() if work else ""
        return _text(self._call("hand_out", self.worker, self._open_chunks, text, position, last))  # type: ignore[return-value]

    def hand_out_again(self) -> Literal["taken", "lost"]:
        """Begin handing out from the start, and count anew."""
        return _text(self._call("again", self.worker))  # type: ignore[return-value]

    def take(self) -> Chunk | Literal["wait", "ended"]:
        """A chunk to be done, if there is one; it stays this worker's as long as it beats."""
        status, *chunk = self._call("take", self.worker, self._silence_ms, self._tries)
        if status == b"chunk":
            return Chunk(_text(chunk[0]), Work.read(chunk[1]))
        return _text(status)  # type: ignore[return-value]

    def beat(self, chunk: Chunk) -> None:
        """Show that this worker is still at it."""
        self._call("beat", chunk.id, self.worker)

    def settle(self, chunk: Chunk, receipt: Receipt) -> bool:
        """The chunk is done; False where another worker, which had taken it over, was faster."""
        rejected = (part for image in receipt.rejected for part in (image.name, printable(image.reason)))
        counts = (receipt.encoded, receipt.reused, receipt.unchanged, receipt.bytes_read)
        return _text(self._call("settle", chunk.id, *counts, *rejected)) == "settled"

    def give_up(self, chunk: Chunk, reason: str) -> None:
        """The chunk cannot be done, by anybody: it is set aside."""
        self._call("give_up", chunk.id, self.worker, printable(reason))

    def give_back(self, chunk: Chunk, blameless: bool) -> None:
        """Leave the chunk to others; where it is blameless, that does not count as a try."""
        self._call("give_back", chunk.id, self.worker, self._silence_ms, int(blameless))

    def release(self) -> None:
        """Hand out no more, so that another may at once."""
        self.lead(0.001, stay=True)

    def report(self) -> JobReport:
        """What has come of the job so far."""
        with translated(self._connection.address):
            found = self._fields(self._call.keys.job)
            seconds, micros = self._connection.client.time()
        fields = {name: _text(value) for name, value in found.items()}
        if fields.get("run") != self._call.run:
            raise self._call.gone()
        now = seconds * 1000 + micros // 1000
        counts = {name: int(fields.get(name, 0)) for name in COUNTED}
        duration = (int(fields.get("ended_ms", now)) - int(fields["begun_ms"])) / 1000
        return JobReport(fields["state"], seconds=duration, **counts)

    def rejected(self) -> Iterator[tuple[str, str]]:
        """Ids and reasons of the pictures that cannot be read, in no order."""
        with translated(self._connection.address):
            for name, reason in self._connection.client.hscan_iter(self._call.keys.rejected, count=ROWS_AT_A_TIME):
                yield _text(name), _text(reason)

    def set_aside(self) -> list[SetAside]:
        """The chunks that could not be done."""
        with translated(self._connection.address):
            found = self._fields(self._call.keys.aside)
        values = ((chunk, json.loads(value)) for chunk, value in sorted(found.items()))
        return [SetAside(chunk, str(Work.read(value["work"])), value["reason"]) for chunk, value in values]

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def _fields(self, key: str) -> dict[str, bytes]:
        found: dict[bytes, bytes] = self._connection.client.hgetall(key)  # type: ignore[assignment]
        return {_text(name): value for name, value in found.items()}

    @property
    def _silence_ms(self) -> int:
        return max(1, int(self.silence * 1000))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _texts(values: list[bytes]) -> list[str]:
    return [_text(value) for value in values]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."

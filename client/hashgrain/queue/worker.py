"""`take_part`: one process' share of a job, from the first chunk to the job's end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from hashgrain.client import HashEncoder
from hashgrain.client.bulk.job import PATIENCE_S, encode_collection
from hashgrain.client.bulk.receipt import Receipt
from hashgrain.client.sinks.sink import Sink
from hashgrain.client.sources.open_source import Part
from hashgrain.codes.errors import DataError, DeadlineExceeded, ServerUnavailable, SourceUnavailable, StoreError
from hashgrain.queue.feeder import Feeder
from hashgrain.queue.heartbeat import Heartbeat
from hashgrain.queue.job import Chunk, JobQueue
from hashgrain.queue.report import JobReport

PAUSE_S = 0.2
"""How long to wait where there is nothing to do, before looking again."""


_OUTAGES = (ServerUnavailable, DeadlineExceeded, SourceUnavailable, StoreError, KeyboardInterrupt)
"""What says nothing of the chunk that a worker had."""


@dataclass(frozen=True)
class Options:
    """How a process takes part.

    Attributes:
        chunk: pictures that are handed out together, where this process hands out.
        patience: seconds to wait for a server that goes away.
        progress: told the number of pictures that this process has done since the last call.
    """

    chunk: int = 512
    patience: float = PATIENCE_S
    progress: Callable[[int], object] | None = None


def take_part(
    queue: JobQueue, encoder: HashEncoder, parts: Iterable[Part], sink: Sink, options: Options | None = None
) -> JobReport:
    """Do chunks until the job has ended, and hand out the collection where nobody else does.

    Args:
        queue: the job.
        encoder: what encodes.
        parts: the collection, see `work.shared_parts`.
        sink: where the codes go; what it gets twice it must keep once.
        options: see there.

    Returns:
        What came of the whole job.

    Raises:
        DataError: the collection cannot be read, or the job is gone.
        SourceUnavailable: the service that holds the collection does not answer; another process takes over.
        EncoderError, StoreError: from encoder and sink; another process takes over what this one had begun.
    """
    options = options or Options()
    with Feeder(queue, parts, options.chunk, queue.silence) as feeder:
        while (taken := _next(queue, feeder)) != "ended":
            if isinstance(taken, Chunk):
                _do(queue, taken, encoder, sink, options)
            else:
                time.sleep(min(PAUSE_S, queue.silence / 4))
    return queue.report()


def _next(queue: JobQueue, feeder: Feeder) -> Chunk | Literal["wait", "ended"]:
    feeder.raise_error()  # before a chunk is taken that would have to be given back
    return queue.take()


def _do(queue: JobQueue, chunk: Chunk, encoder: HashEncoder, sink: Sink, options: Options) -> None:
    try:
        with Heartbeat(lambda: queue.beat(chunk), queue.silence / 4):
            try:
                receipt = _encoded(chunk, encoder, sink, options)
            except SourceUnavailable:
                raise  # the next chunk would come to the same: nothing is wrong with this one
            except DataError as exc:
                queue.give_up(chunk, str(exc))
                return
            queue.settle(chunk, receipt)
    except BaseException as exc:
        blameless = isinstance(exc, _OUTAGES)
        with contextlib.suppress(StoreError, DataError):
            queue.give_back(chunk, blameless)
        raise


def _encoded(chunk: Chunk, encoder: HashEncoder, sink: Sink, options: Options) -> Receipt:
    return encode_collection(encoder, chunk.work.items(), sink, patience=options.patience, progress=options.progress)

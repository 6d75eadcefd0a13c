"""One process' share of a job: what it needs, which another process can be given, and what it does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hashgrain.cli.index_sink import IndexSink

if TYPE_CHECKING:
    from hashgrain.client import HashEncoder
    from hashgrain.client.sources.open_source import ParquetColumns, Part
    from hashgrain.queue import JobQueue, JobReport

CLAIM_AFTER_S = 60.0
CHUNK = 512


@dataclass(frozen=True)
class ShareSettings:
    """What the options say.

    Attributes:
        triton, redis: addresses of the encoder and of the index.
        index: its name.
        batch: pictures of one request, None for the default.
        in_flight: requests under way at a time, None for the default.
        make_way: see `HashEncoder`.
        sources, columns: what is encoded.
        queue: address of the job's Redis.
        job: the job's name.
        claim_after: seconds of silence after which a process' work is taken over.
        chunk: pictures that are handed out together.
        anew: begin the job anew.
        patience: seconds to wait for a server that goes away.
    """

    triton: str
    redis: str
    index: str
    batch: int | None
    in_flight: int | None
    make_way: bool
    sources: tuple[str, ...]
    columns: ParquetColumns
    queue: str
    job: str
    claim_after: float
    chunk: int
    anew: bool
    patience: float


@dataclass(frozen=True)
class Share:
    """A place in the job; see `opened`."""

    settings: ShareSettings
    queue: JobQueue
    encoder: HashEncoder
    sink: IndexSink
    parts: list[Part]

    def do(self, progress: Callable[[int], object] | None = None) -> JobReport:
        """Take part until the job has ended; see `hashgrain.queue.take_part`."""
        from hashgrain.queue import Options, take_part

        options = Options(self.settings.chunk, self.settings.patience, progress)
        return take_part(self.queue, self.encoder, self.parts, self.sink, options)


@contextmanager
def opened(settings: ShareSettings) -> Iterator[Share]:
    """Connect to everything and take a place in the job, which is begun if need be.

    Raises:
        InvalidInput: the sources cannot be shared, or a job of that name is under way, with other arguments.
        EncoderError, StoreError: a server cannot be used.
    """
    from hashgrain.client import HashEncoder
    from hashgrain.client.sources.open_source import named_parts
    from hashgrain.queue import Job, JobQueue
    from hashgrain.queue.work import shared_parts

    parts = shared_parts(named_parts(settings.sources, settings.columns))
    with (
        HashEncoder(
            settings.triton, batch_size=settings.batch, in_flight=settings.in_flight, make_way=settings.make_way
        ) as encoder,
        IndexSink(settings.redis, settings.index, encoder) as sink,
    ):
        sink.require_index()  # first of all, since a job is bound to one index in one of its lives
        job = Job(settings.job, encoder.fingerprint, str(sink.target), _sources_text(settings))
        with JobQueue(settings.queue, job, silence=settings.claim_after, anew=settings.anew) as queue:
            yield Share(settings, queue, encoder, sink, parts)


def _sources_text(settings: ShareSettings) -> str:
    from hashgrain.client.sources.location import Location

    names = [name if Location(name).is_remote else str(Path(name).absolute()) for name in settings.sources]
    named = {key: value for key, value in asdict(settings.columns).items() if value}
    return json.dumps([*names, named] if named else names)

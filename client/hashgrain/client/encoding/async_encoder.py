"""`AsyncHashEncoder`: `HashEncoder` for asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from numpy.typing import NDArray

from hashgrain.client.encoding.async_pipeline import AsyncPipeline
from hashgrain.client.encoding.decoding import Named, Pictures, batches_of_pictures
from hashgrain.client.encoding.described import Described
from hashgrain.client.encoding.encoded import Encoded, Logits, outputs_for
from hashgrain.client.encoding.given import batches_of
from hashgrain.client.encoding.run import Run
from hashgrain.client.encoding.settings import Priority, Settings
from hashgrain.client.sources.images import ImageLike
from hashgrain.client.wire.address import parse_address, with_version
from hashgrain.client.wire.timeouts import Timeouts
from hashgrain.client.wire.transport import open_async_transport
from hashgrain.codes import HashCodes

_T = TypeVar("_T")


class AsyncHashEncoder(Described):
    """A hashing network, wherever it runs, for the tasks of one event loop: ``async with AsyncHashEncoder(...)``.

    Arguments, methods, results, errors, retries and deadlines are those of `HashEncoder`. The `async with` connects;
    before it, only the arguments are checked. Any number of tasks may call it at a time: requests share one connection
    over gRPC, and over HTTP there are as many as requests under way; a call that finds no place waits. A call that is
    cancelled takes its request back and leaves the others alone. In process a thread does the work.
    """

    def __init__(
        self,
        address: str | os.PathLike[str],
        *,
        timeouts: Timeouts | None = None,
        batch_size: int | None = None,
        in_flight: int | None = None,
        decode_threads: int | None = None,
        version: int | None = None,
        priority: Priority | None = None,
        make_way: bool = True,
    ) -> None:
        self._settings = Settings(timeouts or Timeouts(), batch_size, in_flight, decode_threads, priority, make_way)
        self._address = with_version(parse_address(address), version)
        self._opened: AsyncPipeline | None = None

    async def encode(self, images: Iterable[ImageLike] | NDArray[Any], *, logits: Logits = False) -> HashCodes:
        """See `HashEncoder.encode`."""
        return (await self.encode_readable(images, logits=logits)).all_or_nothing()

    async def encode_readable(self, images: Iterable[ImageLike] | NDArray[Any], *, logits: Logits = False) -> Encoded:
        """See `HashEncoder.encode_readable`."""
        run, pipeline = Run(outputs_for(logits), self._settings.level("online")), self._pipeline
        parts = pipeline.run(_at_hand(batches_of(images, self.contract, self.batch_size)), run)
        return Encoded.joined([part async for part in parts], self.layout, run.outputs)

    def encode_stream(
        self,
        pictures: Iterable[Named] | AsyncIterable[Named],
        *,
        logits: Logits = False,
        ordered: bool = True,
        strict: bool = False,
    ) -> AsyncIterator[Encoded]:
        """See `HashEncoder.encode_stream`; what is no asynchronous iterable is gone through in a thread.

        Whoever leaves the ``async for`` before its end does well to close the iterator (`contextlib.aclosing`):
        requests under way are then taken back at once.
        """
        run = Run(outputs_for(logits), self._settings.level("bulk"), ordered, strict)
        return self._pipeline.run(_batches(pictures, self.batch_size), run)

    async def close(self) -> None:
        """End calls under way with an error, and let go of threads and connections; calling it twice does no harm."""
        if self._opened is not None:
            await self._opened.close()

    @property
    def _pipeline(self) -> AsyncPipeline:
        if self._opened is None:
            raise self._not_connected()
        return self._opened

    async def __aenter__(self) -> Self:
        settings, transport = self._settings, open_async_transport(self._address)
        try:
            self._served = await transport.connect(settings.timeouts.connect)
            self._batch_size = settings.batch(self._served, str(self._address))
        except BaseException:
            await transport.close()
            raise
        self._in_flight = settings.requests(transport.first_in_flight, transport.most_in_flight)
        self._opened = AsyncPipeline(
            transport,
            self.contract,
            str(self._address),
            self._in_flight,
            settings.small_requests(self._served),
            settings.threads(),
            settings.timeouts.request,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


async def _at_hand(values: Iterator[_T]) -> AsyncIterator[_T]:
    for value in values:
        yield value


async def _batches(pictures: Iterable[Named] | AsyncIterable[Named], size: int) -> AsyncIterator[Pictures]:
    """As `batches_of_pictures`."""
    if not isinstance(pictures, AsyncIterable):
        batches = batches_of_pictures(pictures, size)
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            yield batch
        return
    start, named = 0, list[Named]()
    async for picture in pictures:
        named.append(picture)
        if len(named) == size:
            yield Pictures(start, named)
            start, named = start + size, []
    if named:
        yield Pictures(start, named)

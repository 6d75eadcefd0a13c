"""`Pipeline` for the tasks of one event loop: a batch is a task, which is decoded by threads and sent by the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from numpy.typing import NDArray

from hashgrain.client.encoding.decoding import Decoder, Pictures, Prepared
from hashgrain.client.encoding.encoded import Encoded, codes_from, no_codes
from hashgrain.client.encoding.run import Run
from hashgrain.client.encoding.slots import AsyncSlots
from hashgrain.client.encoding.small_requests import SmallRequests
from hashgrain.client.wire.in_flight import InFlight, ModelStatistics
from hashgrain.client.wire.retry import retry_unavailable_async
from hashgrain.client.wire.transport import STATISTICS_S, AsyncTransport
from hashgrain.codes import EncoderContract, HashCodes
from hashgrain.codes.errors import EncoderError

BATCHES_DECODED = 2
"""Batches that are decoded at a time, by the decoding threads together."""


class AsyncPipeline:
    """Runs batches through a transport; many tasks may use it at a time. See `Pipeline` for the arguments.

    However many they are, at most one batch more than requests may be under way is decoded and not yet answered.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        contract: EncoderContract,
        source: str,
        in_flight: InFlight,
        small_requests: SmallRequests | None,
        decode_threads: int,
        request_seconds: float,
    ) -> None:
        self._transport = transport
        self._layout = contract.layout
        self._source = source
        self._seconds = request_seconds
        self._slots = AsyncSlots(in_flight, small_requests)
        self._places = asyncio.Semaphore(in_flight.most + 1)
        self._workers = ThreadPoolExecutor(BATCHES_DECODED, "hashgrain-batch")
        self._decoder = Decoder(contract, decode_threads)
        self._tasks: set[asyncio.Task[Encoded]] = set()
        self._is_closed = False

    async def run(self, batches: AsyncIterable[Pictures | Prepared], run: Run) -> AsyncIterator[Encoded]:
        """See `Pipeline.run`."""
        window: deque[asyncio.Task[Encoded]] = deque()
        try:
            async for batch in batches:
                window.append(self._submit(batch, run))
                while window and (len(window) > self._slots.places(run.is_bulk) or _is_next_done(window, run.ordered)):
                    yield await self._next(window, run)
            while window:
                yield await self._next(window, run)
        finally:  # an error, the caller took no more, or was cancelled
            await _end(window)

    async def close(self) -> None:
        """End what is under way with an error, let go of the threads, and close the transport."""
        self._is_closed = True
        await _end(self._tasks)
        self._workers.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._decoder.close)
        await self._transport.close()

    def _submit(self, batch: Pictures | Prepared, run: Run) -> asyncio.Task[Encoded]:
        if self._is_closed:
            raise self._closed()
        task = asyncio.create_task(self._encode(batch, run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _next(self, window: deque[asyncio.Task[Encoded]], run: Run) -> Encoded:
        await asyncio.wait([window[0]] if run.ordered else window, return_when=asyncio.FIRST_COMPLETED)
        task = window[0] if run.ordered else next(task for task in window if task.done())
        window.remove(task)
        if task.cancelled():  # another task closed the encoder
            raise self._closed()
        return run.accepted(task.result())

    def _closed(self) -> EncoderError:
        return EncoderError(f"the encoder for {self._source} is closed; make another")

    async def _encode(self, batch: Pictures | Prepared, run: Run) -> Encoded:
        async with self._places:
            prepared = await self._prepared(batch, run)
            return prepared.encoded(await self._infer(prepared.images, run))

    async def _prepared(self, batch: Pictures | Prepared, run: Run) -> Prepared:
        if isinstance(batch, Prepared):
            return batch
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, self._decoder.prepare, batch, run.clock)

    async def _infer(self, images: NDArray[Any], run: Run) -> HashCodes:
        if not len(images):
            return no_codes(self._layout, run.outputs)
        send = partial(self._send, images, run)
        async with self._slots.taken(run.is_bulk):
            with run.clock.at("infer"):
                arrays = await retry_unavailable_async(send, self._seconds, f"{len(images)} images")
        await self._slots.adapt(self._statistics, run.is_bulk)
        return codes_from(arrays, run.outputs, self._layout, len(images), self._source)

    async def _send(self, images: NDArray[Any], run: Run, seconds: float) -> dict[str, NDArray[Any]]:
        with self._slots.measured(len(images), run.is_bulk):
            return await self._transport.infer(images, run.outputs, seconds, run.priority)

    async def _statistics(self) -> ModelStatistics | None:
        with contextlib.suppress(EncoderError):  # a server may refuse them
            return await self._transport.statistics(STATISTICS_S)
        return None


def _is_next_done(window: deque[asyncio.Task[Encoded]], ordered: bool) -> bool:
    return window[0].done() if ordered else any(task.done() for task in window)


async def _end(tasks: set[asyncio.Task[Encoded]] | deque[asyncio.Task[Encoded]]) -> None:
    """Cancel tasks and wait until they have let go of what they held."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

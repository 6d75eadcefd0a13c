"""Decoding and inference side by side, in bounded memory.

Pictures are taken from the caller one batch at a time. A batch is one job: its worker decodes it with the help of the
shared decoding threads, lets go of the files, waits for a place, and sends it. One job more than places is begun, so
that the next batch is decoded while the others are under way. No further batch is taken while so many exist, those
included that are done and wait for one before them.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any

from numpy.typing import NDArray

from hashgrain.client.encoding.decoding import Decoder, Pictures, Prepared
from hashgrain.client.encoding.encoded import Encoded, codes_from, no_codes
from hashgrain.client.encoding.run import Run
from hashgrain.client.encoding.slots import Slots
from hashgrain.client.encoding.small_requests import SmallRequests
from hashgrain.client.wire.in_flight import InFlight, ModelStatistics
from hashgrain.client.wire.outage import outlast
from hashgrain.client.wire.retry import retry_unavailable
from hashgrain.client.wire.transport import STATISTICS_S, Transport
from hashgrain.codes import EncoderContract, HashCodes
from hashgrain.codes.errors import EncoderError


class Pipeline:
    """Runs batches through a transport; several threads may use it at a time.

    Args:
        transport: connected.
        contract: of the model behind it.
        source: what to call it in errors.
        in_flight: requests under way at a time.
        small_requests: of others, for which bulk runs make way; None for runs that never do.
        decode_threads: threads that decode pictures.
        request_seconds: the deadline of a request, its retries included.
    """

    def __init__(
        self,
        transport: Transport,
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
        self._slots = Slots(in_flight, small_requests)
        self._workers = ThreadPoolExecutor(in_flight.most + 1, "hashgrain-infer")
        self._decoder = Decoder(contract, decode_threads)

    def run(self, batches: Iterable[Pictures | Prepared], run: Run) -> Iterator[Encoded]:
        """Encode batches, none of them larger than a request may be; yields one `Encoded` for each."""
        window: deque[Future[Encoded]] = deque()
        try:
            for batch in batches:
                window.append(self._submit(batch, run))
                while window and (len(window) > self._slots.places(run.is_bulk) or _is_next_done(window, run.ordered)):
                    yield self._next(window, run)
            while window:
                yield self._next(window, run)
        finally:  # an error, or the caller took no more
            run.over.set()
            for future in window:
                future.cancel()

    def close(self) -> None:
        """Drop what has not begun, wait for what has, and close the transport."""
        self._workers.shutdown(cancel_futures=True)
        self._decoder.close()
        self._transport.close()

    def _submit(self, batch: Pictures | Prepared, run: Run) -> Future[Encoded]:
        try:
            return self._workers.submit(self._encode, batch, run)
        except RuntimeError as exc:  # after shutdown
            raise self._closed() from exc

    def _next(self, window: deque[Future[Encoded]], run: Run) -> Encoded:
        if not run.ordered:
            wait(window, return_when=FIRST_COMPLETED)
        future = window[0] if run.ordered else next(future for future in window if future.done())
        window.remove(future)
        try:
            return run.accepted(future.result())
        except CancelledError as exc:  # another thread closed the encoder
            raise self._closed() from exc

    def _closed(self) -> EncoderError:
        return EncoderError(f"the encoder for {self._source} is closed; make another")

    def _encode(self, batch: Pictures | Prepared, run: Run) -> Encoded:
        prepared = self._decoder.prepare(batch, run.clock)
        return prepared.encoded(self._infer(prepared.images, run))

    def _infer(self, images: NDArray[Any], run: Run) -> HashCodes:
        if not len(images):
            return no_codes(self._layout, run.outputs)
        request = partial(retry_unavailable, partial(self._send, images, run), self._seconds, f"{len(images)} images")
        with self._slots.taken(run.is_bulk), run.clock.at("infer"):
            if run.over.is_set():
                raise CancelledError  # nobody waits for it
            arrays = outlast(request, run.require_back, run.patience, run.over)
        self._slots.adapt(self._statistics, run.is_bulk)
        return codes_from(arrays, run.outputs, self._layout, len(images), self._source)

    def _send(self, images: NDArray[Any], run: Run, seconds: float) -> dict[str, NDArray[Any]]:
        with self._slots.measured(len(images), run.is_bulk):
            return self._transport.infer(images, run.outputs, seconds, run.priority)

    def _statistics(self) -> ModelStatistics | None:
        with contextlib.suppress(EncoderError):  # a server may refuse them
            return self._transport.statistics(STATISTICS_S)
        return None


def _is_next_done(window: deque[Future[Encoded]], ordered: bool) -> bool:
    return window[0].done() if ordered else any(future.done() for future in window)

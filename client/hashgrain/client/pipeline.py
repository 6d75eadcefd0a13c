"""Decoding and inference side by side, in order, in bounded memory.

Pictures are taken from the caller one batch at a time. A batch is one job: its worker decodes it with the help of the
shared decoding threads, lets go of the files, waits for a slot, and sends it. There is one worker more than slots, so
that the next batch is decoded while the others are under way; no more batches than workers exist at a time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hashgrain.client.encoded import Encoded, codes_from, no_codes
from hashgrain.client.images import ImageLike, load
from hashgrain.client.outage import outlast
from hashgrain.client.retry import retry_unavailable
from hashgrain.client.stage_clock import StageClock
from hashgrain.client.transport import Served, Transport
from hashgrain.client.vectors import load_vector
from hashgrain.codes import EncoderContract, HashCodes
from hashgrain.codes.contract import ONLINE
from hashgrain.codes.errors import EncoderError, ImageRejected

Named: TypeAlias = tuple[str, ImageLike]
"""What a picture is called in an error, and the picture."""


@dataclass(frozen=True)
class Concurrency:
    """How much goes on at once.

    Attributes:
        batch_size: images of one request.
        in_flight: requests under way at a time.
        decode_threads: threads that decode pictures.
    """

    batch_size: int
    in_flight: int
    decode_threads: int


@dataclass(frozen=True)
class Run:
    """How one run of pictures is made.

    Attributes:
        outputs: names of the tensors wanted.
        priority: `contract.ONLINE` or `contract.BULK`.
        patience: seconds to wait for a server that goes away in the middle.
        require_back: raises where the server is not back, or is not what it was.
        clock: told what takes how long.
        over: set when the run has ended: whoever still waits for a server need not.
    """

    outputs: tuple[str, ...]
    priority: int = ONLINE
    patience: float = 0.0
    require_back: Callable[[], object] = lambda: None
    clock: StageClock = field(default_factory=StageClock)
    over: threading.Event = field(default_factory=threading.Event)


class Pipeline:
    """Runs pictures through a transport; several threads may use it at a time."""

    def __init__(
        self, transport: Transport, served: Served, source: str, concurrency: Concurrency, request_seconds: float
    ) -> None:
        self._transport = transport
        self._contract = served.contract
        self._source = source
        self._batch_size = concurrency.batch_size
        self._window = concurrency.in_flight + 1
        self._seconds = request_seconds
        self._slots = threading.BoundedSemaphore(concurrency.in_flight)
        self._workers = ThreadPoolExecutor(self._window, "hashgrain-infer")
        self._decoders = ThreadPoolExecutor(concurrency.decode_threads, "hashgrain-decode")

    def run(self, pictures: Iterable[Named], run: Run) -> Iterator[Encoded]:
        """Decode and encode pictures; yields one `Encoded` per batch, in order, positions counted from the first."""
        return self._in_order(
            run,
            (
                partial(self._decode_and_infer, start, batch, run)
                for start, batch in _batches(pictures, self._batch_size)
            ),
        )

    def run_batches(self, batches: Iterable[list[Named]], run: Run) -> Iterator[Encoded]:
        """Decode and encode ready-made batches, which are emptied; one `Encoded` for each, in order.

        Positions are counted from the first of the batch. None may be larger than the batch size; one may be empty.
        """
        return self._in_order(run, (partial(self._decode_and_infer, 0, batch, run) for batch in batches))

    def run_prepared(self, images: NDArray[Any], run: Run) -> Iterator[Encoded]:
        """Encode what is the network's input already: uint8 (N, S, S, 3), or float32 (N, D) for a model of vectors.

        Slices are sent without a copy in between.
        """
        return self._in_order(
            run,
            (
                partial(self._infer_prepared, start, images[start : start + self._batch_size], run)
                for start in range(0, len(images), self._batch_size)
            ),
        )

    def close(self) -> None:
        """Drop what has not begun, wait for what has, and close the transport."""
        self._workers.shutdown(cancel_futures=True)
        self._decoders.shutdown(cancel_futures=True)
        self._transport.close()

    def _in_order(self, run: Run, jobs: Iterable[Callable[[], Encoded]]) -> Iterator[Encoded]:
        window: deque[Future[Encoded]] = deque()
        try:
            for job in jobs:
                window.append(self._submit(job))
                while window and (len(window) == self._window or window[0].done()):
                    yield self._result(window.popleft())
            while window:
                yield self._result(window.popleft())
        finally:  # an error, or the caller took no more
            run.over.set()
            for future in window:
                future.cancel()

    def _submit(self, job: Callable[[], Encoded]) -> Future[Encoded]:
        try:
            return self._workers.submit(job)
        except RuntimeError as exc:  # after shutdown
            raise self._closed() from exc

    def _result(self, future: Future[Encoded]) -> Encoded:
        try:
            return future.result()
        except CancelledError as exc:  # another thread closed the encoder
            raise self._closed() from exc

    def _closed(self) -> EncoderError:
        return EncoderError(f"the encoder for {self._source} is closed; make another")

    def _decode_and_infer(self, start: int, batch: list[Named], run: Run) -> Encoded:
        images = _room_for(len(batch), self._contract)
        reasons = list(self._decoders.map(partial(_load_into, images, run.clock), range(len(batch)), batch))
        batch.clear()  # the files are not needed any more, while the pictures wait for a slot
        kept = np.array([row for row, reason in enumerate(reasons) if reason is None], np.int64)
        rejected = tuple(reason for reason in reasons if reason is not None)
        readable = images if not rejected else images[kept]
        return Encoded(self._infer(readable, run), kept + start, rejected)

    def _infer_prepared(self, start: int, images: NDArray[Any], run: Run) -> Encoded:
        codes = self._infer(np.ascontiguousarray(images), run)
        return Encoded(codes, np.arange(start, start + len(images), dtype=np.int64))

    def _infer(self, images: NDArray[Any], run: Run) -> HashCodes:
        layout = self._contract.layout
        if not len(images):
            return no_codes(layout, run.outputs)
        send = partial(self._transport.infer, images, run.outputs, priority=run.priority)
        request = partial(retry_unavailable, send, self._seconds, f"{len(images)} images")
        with self._slots, run.clock.at("infer"):
            if run.over.is_set():
                raise CancelledError  # nobody waits for it
            arrays = outlast(request, run.require_back, run.patience, run.over)
        return codes_from(arrays, layout, len(images), self._source)


def _batches(pictures: Iterable[Named], size: int) -> Iterator[tuple[int, list[Named]]]:
    """Lists of at most `size`, each with the position of its first."""
    remaining, start = iter(pictures), 0
    while batch := list(islice(remaining, size)):
        length = len(batch)  # whoever takes the batch may empty it
        yield start, batch
        start += length


def _room_for(count: int, contract: EncoderContract) -> NDArray[Any]:
    """The network's input for so many pictures or vectors, not yet filled."""
    if contract.takes_vectors:
        return np.empty((count, contract.vector_width), np.float32)
    return np.empty((count, contract.input_size, contract.input_size, 3), np.uint8)


def _load_into(images: NDArray[Any], clock: StageClock, row: int, named: Named) -> ImageRejected | None:
    """Fill one row; returns the reason where the picture or vector cannot be read."""
    name, image = named
    take = load_vector if images.ndim == 2 else load
    try:
        with clock.at("decode"):
            images[row] = take(image, images.shape[1], name)
    except ImageRejected as exc:
        # A new one: the traceback of the first would keep the picture's bytes in memory as long as the reason is kept.
        return ImageRejected(exc.name, exc.reason)
    return None

"""Decoding and inference side by side, in order, in bounded memory.

Pictures are taken from the caller one batch at a time. A batch is one job: its worker decodes it with the help of the
shared decoding threads, waits for a slot, and sends it. There is one worker more than slots, so that the next batch is
decoded while the others are under way; no more batches than workers exist at a time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hashgrain.client.encoded import Encoded, codes_from, no_codes
from hashgrain.client.images import ImageLike, load
from hashgrain.client.retry import retry_unavailable
from hashgrain.client.transport import Served, Transport
from hashgrain.client.vectors import load_vector
from hashgrain.codes import EncoderContract, HashCodes
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

    def run(self, pictures: Iterable[Named], outputs: tuple[str, ...]) -> Iterator[Encoded]:
        """Decode and encode pictures; yields one `Encoded` per batch, in order, positions counted from the first."""
        return self._in_order(
            partial(self._decode_and_infer, start, batch, outputs)
            for start, batch in _batches(pictures, self._batch_size)
        )

    def run_prepared(self, images: NDArray[Any], outputs: tuple[str, ...]) -> Iterator[Encoded]:
        """Encode what is the network's input already: uint8 (N, S, S, 3), or float32 (N, D) for a model of vectors.

        Slices are sent without a copy in between.
        """
        return self._in_order(
            partial(self._infer_prepared, start, images[start : start + self._batch_size], outputs)
            for start in range(0, len(images), self._batch_size)
        )

    def close(self) -> None:
        """Drop what has not begun, wait for what has, and close the transport."""
        self._workers.shutdown(cancel_futures=True)
        self._decoders.shutdown(cancel_futures=True)
        self._transport.close()

    def _in_order(self, jobs: Iterable[Callable[[], Encoded]]) -> Iterator[Encoded]:
        window: deque[Future[Encoded]] = deque()
        try:
            for job in jobs:
                window.append(self._submit(job))
                if len(window) == self._window:
                    yield self._result(window.popleft())
            while window:
                yield self._result(window.popleft())
        finally:  # an error, or the caller took no more
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

    def _decode_and_infer(self, start: int, batch: list[Named], outputs: tuple[str, ...]) -> Encoded:
        images = _room_for(len(batch), self._contract)
        reasons = list(self._decoders.map(partial(_load_into, images), range(len(batch)), batch))
        kept = np.array([row for row, reason in enumerate(reasons) if reason is None], np.int64)
        rejected = tuple(reason for reason in reasons if reason is not None)
        readable = images if not rejected else images[kept]
        return Encoded(self._infer(readable, outputs), kept + start, rejected)

    def _infer_prepared(self, start: int, images: NDArray[Any], outputs: tuple[str, ...]) -> Encoded:
        codes = self._infer(np.ascontiguousarray(images), outputs)
        return Encoded(codes, np.arange(start, start + len(images), dtype=np.int64))

    def _infer(self, images: NDArray[Any], outputs: tuple[str, ...]) -> HashCodes:
        layout = self._contract.layout
        if not len(images):
            return no_codes(layout, outputs)
        with self._slots:
            arrays = retry_unavailable(partial(self._transport.infer, images, outputs), self._seconds)
        return codes_from(arrays, layout, len(images), self._source)


def _batches(pictures: Iterable[Named], size: int) -> Iterator[tuple[int, list[Named]]]:
    """Lists of at most `size`, each with the position of its first."""
    remaining, start = iter(pictures), 0
    while batch := list(islice(remaining, size)):
        yield start, batch
        start += len(batch)


def _room_for(count: int, contract: EncoderContract) -> NDArray[Any]:
    """The network's input for so many pictures or vectors, not yet filled."""
    if contract.takes_vectors:
        return np.empty((count, contract.vector_width), np.float32)
    return np.empty((count, contract.input_size, contract.input_size, 3), np.uint8)


def _load_into(images: NDArray[Any], row: int, named: Named) -> ImageRejected | None:
    """Fill one row; returns the reason where the picture or vector cannot be read."""
    name, image = named
    take = load_vector if images.ndim == 2 else load
    try:
        images[row] = take(image, images.shape[1], name)
    except ImageRejected as exc:
        # A new one: the traceback of the first would keep the picture's bytes in memory as long as the reason is kept.
        return ImageRejected(exc.name, exc.reason)
    return None

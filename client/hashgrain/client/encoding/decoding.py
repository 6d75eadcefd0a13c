"""Batches on their way from what a caller has to what the network takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hashgrain.client.encoding.encoded import Encoded
from hashgrain.client.encoding.stage_clock import StageClock
from hashgrain.client.sources.images import ImageLike, load
from hashgrain.client.sources.vectors import load_vector
from hashgrain.codes import EncoderContract, HashCodes
from hashgrain.codes.errors import ImageRejected

Named: TypeAlias = tuple[str, ImageLike]
"""What a picture is called in an error, and the picture."""


@dataclass(frozen=True)
class Pictures:
    """A batch to be decoded.

    Attributes:
        start: position of its first picture among all.
        named: the pictures; the list is emptied when they are decoded.
    """

    start: int
    named: list[Named]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A batch as the network takes it.

    Attributes:
        images: uint8 (B, S, S, 3), or float32 (B, D) for a model of vectors; contiguous.
        kept, rejected, start, names: see `Encoded`.
    """

    images: NDArray[Any]
    kept: NDArray[np.int64]
    rejected: tuple[ImageRejected, ...] = ()
    start: int = 0
    names: tuple[str, ...] = ()

    def encoded(self, codes: HashCodes) -> Encoded:
        """With the network's answer."""
        return Encoded(codes, self.kept, self.rejected, self.start, self.names)


def batches_of_pictures(pictures: Iterable[Named], size: int) -> Iterator[Pictures]:
    """Batches of at most so many, taken one at a time."""
    remaining, start = iter(pictures), 0
    while named := list(islice(remaining, size)):
        length = len(named)  # whoever takes the batch may empty it
        yield Pictures(start, named)
        start += length


def batches_of_arrays(images: NDArray[Any], size: int) -> Iterator[Prepared]:
    """Slices of what is the network's input already, without a copy where it is contiguous."""
    for start in range(0, len(images), size):
        batch = np.ascontiguousarray(images[start : start + size])
        yield Prepared(batch, np.arange(start, start + len(batch), dtype=np.int64), start=start)


class Decoder:
    """Decodes batches by threads of its own, for a model of that contract; several callers may use it at a time."""

    def __init__(self, contract: EncoderContract, threads: int) -> None:
        self._contract = contract
        self._threads = ThreadPoolExecutor(threads, "hashgrain-decode")

    def prepare(self, batch: Pictures | Prepared, clock: StageClock) -> Prepared:
        """Decode a batch, and let go of what it was decoded from; pictures that cannot be read are rejected."""
        if isinstance(batch, Prepared):
            return batch
        images = _room_for(len(batch.named), self._contract)
        rows = range(len(batch.named))
        reasons = list(self._threads.map(partial(_load_into, images, clock), rows, batch.named))
        kept = np.array([row for row, reason in enumerate(reasons) if reason is None], np.int64)
        rejected = tuple(reason for reason in reasons if reason is not None)
        names = tuple(batch.named[row][0] for row in kept)
        batch.named.clear()  # the files are not needed any more, while the pictures wait for a place
        return Prepared(images if not rejected else images[kept], kept + batch.start, rejected, batch.start, names)

    def close(self) -> None:
        """Drop what has not begun and wait for what has."""
        self._threads.shutdown(cancel_futures=True)


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

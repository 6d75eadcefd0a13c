"""`HashEncoder`: pictures, or vectors of another network, in; hash codes out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from hashgrain.client.encoding.decoding import Named, Pictures, batches_of_pictures
from hashgrain.client.encoding.described import Described
from hashgrain.client.encoding.encoded import Encoded, Logits, outputs_for
from hashgrain.client.encoding.given import batches_of
from hashgrain.client.encoding.pipeline import Pipeline
from hashgrain.client.encoding.run import Run
from hashgrain.client.encoding.settings import Priority, Settings
from hashgrain.client.encoding.stage_clock import StageClock
from hashgrain.client.sources.images import ImageLike
from hashgrain.client.wire.address import parse_address, with_version
from hashgrain.client.wire.outage import require_same_model
from hashgrain.client.wire.timeouts import Timeouts
from hashgrain.client.wire.transport import open_transport
from hashgrain.codes import HashCodes


class HashEncoder(Described):
    """A hashing network, wherever it runs; the codes are the same over every way.

    It connects on construction and checks the model's contract. Threads may share it. Close it, or use it in a `with`.

    Args:
        address: ``grpc://host:8001`` (or bare ``host:8001``), ``http://host:8000``, with an s after the scheme for TLS;
            or a path to a model repository, to its folder ``hash_encoder`` or to an ONNX file, to run in process.
            ``?version=2`` behind a server's address pins a version of the model, as `version` does.
        timeouts: deadlines in seconds.
        batch_size: images of one request; by default the server's largest, 128 at most.
        in_flight: requests under way at a time. By default 1 in process; to a server between 1 and 16, as many as keep
            it busy and no more, by how long requests wait there (see `in_flight.InFlight`).
        decode_threads: threads that decode pictures; by default one per core, 8 at most.
        version: number of the model's version, where several are served side by side; by default the newest.
        priority: which of a server's queues requests wait in: "online" goes first, "bulk" when there is time. By
            default `encode_stream` and `encode_batches` are bulk and the others are online.
        make_way: while others send a server small requests, as those do who search, bulk keeps one request under way,
            so that they find an instance of the model free (see `small_requests`); not where `in_flight` is given.

    Raises:
        InvalidInput: the address or a number has the wrong form, or a path holds no model.
        ServerUnavailable: no server is there, or it or the model is not ready.
        DeadlineExceeded: it does not answer in time.
        ContractViolation: the model is not a hash encoder.
        MissingDependency: the packages that this kind of address needs are not installed.
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
        self._settings = settings = Settings(
            timeouts or Timeouts(), batch_size, in_flight, decode_threads, priority, make_way
        )
        self._address = with_version(parse_address(address), version)
        transport = open_transport(self._address)
        try:
            self._served = transport.connect(settings.timeouts.connect)
            self._batch_size = settings.batch(self._served, str(self._address))
        except BaseException:
            transport.close()
            raise
        self._in_flight = settings.requests(transport.first_in_flight, transport.most_in_flight)
        self._pipeline = Pipeline(
            transport,
            self.contract,
            str(self._address),
            self._in_flight,
            settings.small_requests(self._served),
            settings.threads(),
            settings.timeouts.request,
        )

    def encode(self, images: Iterable[ImageLike] | NDArray[Any], *, logits: Logits = False) -> HashCodes:
        """Codes of some pictures, all or nothing: row n belongs to image n.

        Where unreadable pictures are to be expected, call `encode_readable`, which leaves them out and says which.

        Args:
            images: paths, files' bytes, PIL images and uint8 arrays (H, W, 3), (H, W, 4) or (H, W), mixed as you like;
                or one uint8 array (N, H, W, 3). Pictures of S x S pixels are not resampled. A model of vectors takes
                one float array (N, D), or a list of vectors.
            logits: False for codes only, "coarse" for the coarse logits too (by which `refine` weighs the coarse bits),
                True for the fine logits as well.

        Raises:
            ImageRejected: pictures cannot be read; one is raised that names each of them with the reason.
            InvalidInput: `images` is a single picture, or not a collection.
            EncoderError: see `HashEncoder`; also InferenceFailed, where the server answers with an error.
        """
        return self.encode_readable(images, logits=logits).all_or_nothing()

    def encode_readable(self, images: Iterable[ImageLike] | NDArray[Any], *, logits: Logits = False) -> Encoded:
        """Codes of those pictures that can be read, with their positions, and the others with the reason; see `encode`.

        Raises:
            InvalidInput, EncoderError: as `encode` does; ImageRejected never.
        """
        run = Run(outputs_for(logits), self._settings.level("online"))
        parts = self._pipeline.run(batches_of(images, self.contract, self.batch_size), run)
        return Encoded.joined(list(parts), self.layout, run.outputs)

    def encode_stream(
        self, pictures: Iterable[Named], *, logits: Logits = False, ordered: bool = True, strict: bool = False
    ) -> Iterator[Encoded]:
        """Encode any number of pictures in bounded memory, at the lower priority.

        Args:
            pictures: pairs of a name and a picture; read as the work goes on, a few batches ahead. No more are read
                while (requests under way + 1) batches are at work or wait to be taken, whatever the order.
            logits: see `encode`.
            ordered: whether batches come in the order of the pictures; else each comes as soon as it is done.
            strict: whether the first picture that cannot be read ends the stream; else it is named in the `Encoded` of
                its batch, and the rest goes on.

        Yields:
            One `Encoded` per batch, with the pictures' names; positions are counted from the first picture of all.

        Raises:
            ImageRejected: the stream is strict; it names the pictures of the batch that cannot be read.
            EncoderError: as `encode` does.
        """
        run = Run(outputs_for(logits), self._settings.level("bulk"), ordered, strict)
        return self._pipeline.run(batches_of_pictures(pictures, self.batch_size), run)

    def encode_batches(
        self,
        batches: Iterable[list[Named]],
        *,
        logits: Logits = False,
        patience: float = 0.0,
        clock: StageClock | None = None,
    ) -> Iterator[Encoded]:
        """Encode batches as given, in bounded memory, at the lower priority; the server may go away and come back.

        Args:
            batches: each of at most `batch_size` pairs of a name and a picture, or empty; each is emptied when its
                pictures are decoded.
            logits: see `encode`.
            patience: seconds to wait for the server when it is gone, each time.
            clock: told how long decoding and inference take.

        Yields:
            One `Encoded` per batch, in order; positions are counted from the first picture of the batch.

        Raises:
            EncoderError: as `encode` does; ContractViolation where the server comes back with another model.
        """
        run = Run(
            outputs_for(logits),
            self._settings.level("bulk"),
            patience=patience,
            require_back=partial(require_same_model, self._address, self.contract, self._settings.timeouts.connect),
            clock=clock or StageClock(),
        )
        return self._pipeline.run((Pictures(0, batch) for batch in batches), run)

    def close(self) -> None:
        """Wait for requests under way and let go of threads and connections; calling it twice does no harm."""
        self._pipeline.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

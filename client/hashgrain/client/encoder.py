"""`HashEncoder`: pictures, or vectors of another network, in; hash codes out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hashgrain.client.address import parse_address, with_version
from hashgrain.client.encoded import Encoded, Logits, no_codes, outputs_for
from hashgrain.client.images import ImageLike, default_name
from hashgrain.client.outage import require_same_model
from hashgrain.client.pipeline import Concurrency, Named, Pipeline, Run
from hashgrain.client.stage_clock import StageClock
from hashgrain.client.timeouts import Timeouts
from hashgrain.client.transport import Served, open_transport
from hashgrain.client.vectors import prepare_vectors
from hashgrain.codes import CodeLayout, EncoderContract, HashCodes
from hashgrain.codes.contract import BULK, ONLINE
from hashgrain.codes.cores import usable_cores
from hashgrain.codes.errors import ImageRejected, InvalidInput

DEFAULT_BATCH_SIZE = 128

Priority: TypeAlias = Literal["online", "bulk"]

_LEVELS: dict[str, int] = {"online": ONLINE, "bulk": BULK}


class HashEncoder:
    """A hashing network, wherever it runs; the codes are the same over every way.

    It connects on construction and checks the model's contract. Threads may share it. Close it, or use it in a `with`.

    Args:
        address: ``grpc://host:8001`` (or bare ``host:8001``), ``http://host:8000``, with an s after the scheme for TLS;
            or a path to a model repository, to its folder ``hash_encoder`` or to an ONNX file, to run in process.
            ``?version=2`` behind a server's address pins a version of the model, as `version` does.
        timeouts: deadlines in seconds.
        batch_size: images of one request; by default the server's largest, 128 at most.
        in_flight: requests under way at a time; by default 4 to a server, 1 in process.
        decode_threads: threads that decode pictures; by default one per core, 8 at most.
        version: number of the model's version, where several are served side by side; by default the newest.
        priority: which of a server's queues requests wait in: "online" goes first, "bulk" when there is time. By
            default `encode_stream` and `encode_batches` are bulk and the others are online.

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
    ) -> None:
        timeouts = timeouts or Timeouts()
        if priority is not None and priority not in _LEVELS:
            raise InvalidInput(f'priority is "online" or "bulk", got {priority!r}')
        for name, number in (("batch_size", batch_size), ("in_flight", in_flight), ("decode_threads", decode_threads)):
            _require_positive(name, number)
        self._address = with_version(parse_address(address), version)
        self._online, self._bulk = (_LEVELS[priority or usual] for usual in ("online", "bulk"))
        self._timeouts = timeouts
        transport = open_transport(self._address)
        try:
            self._served = transport.connect(timeouts.connect)
            self._concurrency = concurrency = Concurrency(
                batch_size=_batch_size(batch_size, self._served, str(self._address)),
                in_flight=in_flight or transport.in_flight,
                decode_threads=decode_threads or min(8, usable_cores()),
            )
        except BaseException:
            transport.close()
            raise
        self._pipeline = Pipeline(transport, self._served, str(self._address), concurrency, timeouts.request)

    @property
    def contract(self) -> EncoderContract:
        """What the model says of itself."""
        return self._served.contract

    @property
    def layout(self) -> CodeLayout:
        """The code lengths."""
        return self.contract.layout

    @property
    def input_size(self) -> int:
        """S, the side of the network's square input in pixels; 0 for a model of vectors."""
        return self.contract.input_size

    @property
    def fingerprint(self) -> str:
        """Hex digest over graph and weights; codes are comparable only where it is equal."""
        return self.contract.fingerprint

    @property
    def served(self) -> Served:
        """Name and version of the server, version and largest batch of the model."""
        return self._served

    @property
    def batch_size(self) -> int:
        """Images of one request."""
        return self._concurrency.batch_size

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
        encoded = self.encode_readable(images, logits=logits)
        if encoded.rejected:
            raise _joined(encoded)
        return encoded.codes

    def encode_readable(self, images: Iterable[ImageLike] | NDArray[Any], *, logits: Logits = False) -> Encoded:
        """Codes of those pictures that can be read, with their positions, and the others with the reason; see `encode`.

        Raises:
            InvalidInput, EncoderError: as `encode` does; ImageRejected never.
        """
        outputs = outputs_for(logits)
        parts = list(self._run(images, Run(outputs, self._online)))
        if not parts:
            return Encoded(no_codes(self.layout, outputs), np.empty(0, np.int64))
        return Encoded(
            HashCodes.concatenate([part.codes for part in parts]),
            np.concatenate([part.kept for part in parts]),
            tuple(rejected for part in parts for rejected in part.rejected),
        )

    def encode_stream(self, pictures: Iterable[Named], *, logits: Logits = False) -> Iterator[Encoded]:
        """Encode any number of pictures in bounded memory, at the lower priority.

        Args:
            pictures: pairs of a name for the errors and a picture; read as the work goes on, a few batches ahead.
            logits: see `encode`.

        Yields:
            One `Encoded` per batch, in order; positions are counted from the first picture of all.

        Raises:
            EncoderError: as `encode` does.
        """
        return self._pipeline.run(pictures, Run(outputs_for(logits), self._bulk))

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
        require_back = partial(require_same_model, self._address, self.contract, self._timeouts.connect)
        run = Run(outputs_for(logits), self._bulk, patience, require_back, clock or StageClock())
        return self._pipeline.run_batches(batches, run)

    def close(self) -> None:
        """Wait for requests under way and let go of threads and connections; calling it twice does no harm."""
        self._pipeline.close()

    def _run(self, images: Iterable[ImageLike] | NDArray[Any], run: Run) -> Iterator[Encoded]:
        if self.contract.takes_vectors:
            return self._pipeline.run_prepared(prepare_vectors(images, self.contract.vector_width), run)
        if isinstance(images, np.ndarray) and images.dtype != object and images.dtype.kind != "U":
            _require_batch(images)
            if images.shape[1:] == (self.input_size, self.input_size, 3):
                return self._pipeline.run_prepared(images, run)
        elif isinstance(images, str | os.PathLike | bytes | bytearray | memoryview | Image.Image):
            raise InvalidInput(f"images is one {type(images).__name__}; give a list of them: encode([image])")
        elif not isinstance(images, Iterable):
            raise InvalidInput(
                f"images is a {type(images).__name__}; give a list of paths, bytes, PIL images or arrays"
            )
        return self._pipeline.run(
            ((default_name(image, position), image) for position, image in enumerate(images)), run
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"HashEncoder({str(self._address)!r}: {self.layout}, model {self.fingerprint[:12]})"


def _require_positive(name: str, number: int | None) -> None:
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
        raise InvalidInput(f"{name} must be a whole number of at least 1, got {number!r}")


def _batch_size(wanted: int | None, served: Served, source: str) -> int:
    limit = served.max_batch_size
    if wanted is None:
        return min(limit or DEFAULT_BATCH_SIZE, DEFAULT_BATCH_SIZE)
    if limit and wanted > limit:
        raise InvalidInput(
            f"batch_size {wanted} is more than {source} takes, {limit}; lower it, or raise max_batch_size in the "
            "model's config.pbtxt"
        )
    return wanted


def _require_batch(images: NDArray[Any]) -> None:
    if images.dtype != np.uint8:
        raise InvalidInput(f"arrays must be uint8 from 0 to 255, got {images.dtype}; scale and convert it first")
    if images.ndim != 4:
        raise InvalidInput(
            f"one array for many images has the shape (N, H, W, 3), got {images.shape}; for one image give [image]"
        )


def _joined(encoded: Encoded) -> ImageRejected:
    """One error that names every rejected picture."""
    if len(encoded.rejected) == 1:
        return encoded.rejected[0]
    return ImageRejected(
        f"{len(encoded.rejected)} of {encoded.total} images cannot be read", "; ".join(map(str, encoded.rejected))
    )

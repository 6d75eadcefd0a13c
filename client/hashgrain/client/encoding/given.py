"""What callers give to `encode` → batches, with an error for what is no collection of pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hashgrain.client.encoding.decoding import Pictures, Prepared, batches_of_arrays, batches_of_pictures
from hashgrain.client.sources.images import ImageLike, default_name
from hashgrain.client.sources.vectors import prepare_vectors
from hashgrain.codes import EncoderContract
from hashgrain.codes.errors import InvalidInput


def batches_of(
    images: Iterable[ImageLike] | NDArray[Any], contract: EncoderContract, size: int
) -> Iterator[Pictures] | Iterator[Prepared]:
    """Batches of at most `size`; see `HashEncoder.encode` for what `images` may be.

    Raises:
        InvalidInput: it is a single picture, or not a collection.
    """
    if contract.takes_vectors:
        return batches_of_arrays(prepare_vectors(images, contract.vector_width), size)
    if isinstance(images, np.ndarray) and images.dtype != object and images.dtype.kind != "U":
        _require_batch(images)
        if images.shape[1:] == (contract.input_size, contract.input_size, 3):
            return batches_of_arrays(images, size)
    elif isinstance(images, str | os.PathLike | bytes | bytearray | memoryview | Image.Image):
        raise InvalidInput(f"images is one {type(images).__name__}; give a list of them: encode([image])")
    elif not isinstance(images, Iterable):
        raise InvalidInput(f"images is a {type(images).__name__}; give a list of paths, bytes, PIL images or arrays")
    return batches_of_pictures(((default_name(image, position), image) for position, image in enumerate(images)), size)


def _require_batch(images: NDArray[Any]) -> None:
    if images.dtype != np.uint8:
        raise InvalidInput(f"arrays must be uint8 from 0 to 255, got {images.dtype}; scale and convert it first")
    if images.ndim != 4:
        raise InvalidInput(
            f"one array for many images has the shape (N, H, W, 3), got {images.shape}; for one image give [image]"
        )

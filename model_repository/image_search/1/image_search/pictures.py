"""A request's pictures, from pixels or from the bytes of image files, as the network takes them."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray
from PIL import Image

from hashgrain.codes.contract import IMAGE
from hashgrain.codes.errors import ImageRejected, InvalidInput
from hashgrain.codes.images import decode
from image_search.kept_codes import key_of

PIXELS, FILES = IMAGE, "image_bytes"


class Pictures:
    """The pictures of one request, which are decoded when somebody asks for them.

    Args:
        pixels, files: the tensors of the request's inputs, see `read_pictures`; None for what was not given.
        size: see `read_pictures`.

    Attributes:
        key: of the picture, see `key_of`.
    """

    def __init__(self, pixels: Any, files: Any, size: int) -> None:
        self._tensor = pixels
        self._pixels, self._files = (None if tensor is None else tensor.as_numpy() for tensor in (pixels, files))
        self._size = size
        self._decoded: NDArray[np.uint8] | None = None
        self.key = key_of(self._pixels, self._files)

    def decoded(self) -> NDArray[np.uint8]:
        """See `read_pictures`; done once."""
        if self._decoded is None:
            self._decoded = read_pictures(self._pixels, self._files, self._size)
        return self._decoded

    def tensor(self) -> Any:
        """The encoder's input: the request's own tensor, where its pixels are what the network takes."""
        decoded = self.decoded()
        return self._tensor if decoded is self._pixels else input_tensor(decoded)


def input_tensor(pictures: NDArray[np.uint8]) -> Any:
    """The encoder's input of some pictures, uint8 (B, S, S, 3)."""
    return pb_utils.Tensor(IMAGE, np.ascontiguousarray(pictures))


def read_pictures(pixels: NDArray[np.uint8] | None, files: NDArray[Any] | None, size: int) -> NDArray[np.uint8]:
    """Decode and resize the pictures of one request.

    Args:
        pixels: uint8 (B, H, W, 3), RGB, or None.
        files: object (B, 1), the bytes of image files or data URLs (`data:image/jpeg;base64,...`, for callers who
            can send text only), or None.
        size: S, the side of the network's input in pixels.

    Returns:
        uint8 (B, S, S, 3).

    Raises:
        InvalidInput: both inputs are given, or none, or one without its batch dimension.
        ImageRejected: a picture cannot be read; it is named by its position in the request.
    """
    if pixels is not None and files is not None:
        raise InvalidInput(f"both inputs were given; send either {PIXELS} or {FILES}")
    if pixels is not None:
        _require_batch(pixels, PIXELS, 4)
        return _from_pixels(pixels, size)
    if files is not None:
        _require_batch(files, FILES, 2)
        return np.stack([decode(_file(row[0], name), size, name) for name, row in _named(files)])
    raise InvalidInput(f"no input was given; send {PIXELS} (UINT8, height x width x 3) or {FILES} (a JPEG, PNG, ...)")


def _require_batch(tensor: NDArray[Any], name: str, dimensions: int) -> None:
    """Triton takes the shape [0, 32, 32, 3] for pictures without a batch: what comes is [32, 32, 3]."""
    if tensor.ndim != dimensions or len(tensor) == 0:
        raise InvalidInput(f"{name} has an empty batch; send 1 picture or more, in {dimensions} dimensions")


def _from_pixels(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    if pixels.shape[1:] == (size, size, 3):
        return pixels
    if 0 in pixels.shape[1:]:
        raise InvalidInput(f"{PIXELS} has the shape {list(pixels.shape)}; a picture needs at least one pixel")
    return np.stack([decode(Image.fromarray(picture), size, name) for name, picture in _named(pixels)])


def _named(batch: NDArray[Any]) -> list[tuple[str, Any]]:
    return [(f"image {position}", row) for position, row in enumerate(batch)]


def _file(content: bytes, name: str) -> bytes:
    """The bytes of the image file, out of a data URL (RFC 2397) where it is one."""
    if not content.startswith(b"data:"):
        return content
    kind, comma, data = content.partition(b",")
    if not comma or not kind.endswith(b";base64"):
        raise ImageRejected(name, "its data URL is not in base64; write it as data:image/jpeg;base64,...")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as exc:
        raise ImageRejected(name, f"its data URL cannot be read ({exc}); encode it in base64 without blanks") from None

"""Codes of pictures that were asked for lately: who asks for the same picture again waits for the index alone.

Triton's own response cache does not serve: it knows a request by its inputs, and gives the tensors that the first one
asked for to others that ask for more.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes import HashCodes


class KeptCodes:
    """The codes of so many pictures, those that were not asked for longest let go first. For one thread.

    Args:
        most: how many; 0 for none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._codes: OrderedDict[tuple[bytes, int], HashCodes] = OrderedDict()

    def find(self, picture: bytes | None, version: int, logits: bool) -> HashCodes | None:
        """The codes of a picture, if they are kept.

        Args:
            picture: see `key_of`; None is never kept.
            version: of the encoder.
            logits: whether codes without logits are of no use.
        """
        codes = self._codes.get((picture, version)) if picture else None
        if not picture or codes is None or (logits and codes.coarse_logits is None):
            return None
        self._codes.move_to_end((picture, version))
        return codes

    def keep(self, picture: bytes | None, version: int, codes: HashCodes) -> None:
        """Keep the codes of a picture."""
        if picture is None:
            return
        self._codes[picture, version] = _copy(codes)
        self._codes.move_to_end((picture, version))
        if len(self._codes) > self._most:
            self._codes.popitem(last=False)


def _copy(codes: HashCodes) -> HashCodes:
    """Without the codes of others that were encoded along with them, of which these are a view."""
    arrays = (codes.coarse, codes.fine, codes.coarse_logits, codes.fine_logits)
    return HashCodes(*(array if array is None else array.copy() for array in arrays))  # type: ignore[arg-type]


def key_of(pixels: NDArray[np.uint8] | None, files: NDArray[Any] | None) -> bytes | None:
    """What tells the picture of a request from others: a digest, 32 bytes; None where it has several, or none.

    By SHA-256, for which processors have instructions.

    Args:
        pixels, files: see `read_pictures`.
    """
    if pixels is not None and files is None and pixels.ndim == 4 and len(pixels) == 1:
        return hashlib.sha256(b"%dx%d" % pixels.shape[1:3] + pixels.tobytes()).digest()
    if files is not None and pixels is None and files.shape == (1, 1):
        return hashlib.sha256(b"file" + files[0, 0]).digest()
    return None

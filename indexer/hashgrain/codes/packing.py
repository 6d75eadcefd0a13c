"""Bits to bytes and back.

Bit = 1 where the logit is > 0, else 0: never ternary. Most significant bit first, as `numpy.packbits` packs; a
length that is no multiple of 8 is padded with zeros at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput

_BIG_ENDIAN: dict[int, Any] = {1: np.dtype(">u1"), 2: np.dtype(">u2")}


def packed_bytes(bits: int) -> int:
    """Bytes that a code of `bits` bits takes."""
    return (bits + 7) // 8


def pack_logits(logits: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Binarise and pack logits, float (N, bits) → uint8 (N, ceil(bits / 8)).

    Raises:
        InvalidInput: the array is not two-dimensional, or holds NaN (which has no sign).
    """
    if logits.ndim != 2:
        raise InvalidInput(f"logits must be two-dimensional, (images, bits), got shape {logits.shape}")
    if np.isnan(logits).any():
        row = int(np.isnan(logits).any(axis=1).argmax())
        raise InvalidInput(f"the logits of image {row} hold NaN, which is neither a 0 nor a 1 bit; check the model")
    return np.packbits(logits > 0, axis=1)


def unpack_bits(packed: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Packed codes, uint8 (N, ceil(bits / 8)) → 0/1 bits, uint8 (N, bits).

    Raises:
        InvalidInput: the width does not fit the number of bits.
    """
    if packed.ndim != 2 or packed.shape[1] != packed_bytes(bits):
        raise InvalidInput(f"{bits}-bit codes take {packed_bytes(bits)} bytes a row, got an array of {packed.shape}")
    return np.unpackbits(packed, axis=1, count=bits)


def coarse_keys(packed: NDArray[np.uint8], bits: int) -> NDArray[np.uint32]:
    """The coarse code of each row as one number, 0 to 2**bits - 1, the first bit the most significant.

    Args:
        packed: uint8 (N, ceil(bits / 8)); the padding bits must be zero.
        bits: 8 to 24.
    """
    width = packed_bytes(bits)
    if width == 3:
        high, middle, low = (packed[:, byte].astype(np.uint32) for byte in range(3))
        numbers = high << np.uint32(16) | middle << np.uint32(8) | low
    else:
        numbers = np.ascontiguousarray(packed).view(_BIG_ENDIAN[width])[:, 0].astype(np.uint32)
    padding = 8 * width - bits
    return numbers >> np.uint32(padding) if padding else numbers

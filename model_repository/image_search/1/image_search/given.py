"""What a request gives to search by: pictures, or codes that somebody has already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashgrain.codes import HashCodes
from hashgrain.codes.contract import COARSE_CODE, COARSE_LOGITS, FINE_CODE, FINE_LOGITS
from hashgrain.codes.errors import InvalidInput
from image_search.pictures import FILES, PIXELS, Pictures
from image_search.question import Question

CODES = (COARSE_CODE, FINE_CODE)
LOGITS = (COARSE_LOGITS, FINE_LOGITS)


@dataclass(frozen=True)
class Given:
    """A request, read.

    Attributes:
        question: what it asks.
        pictures: what it searches by, or None.
        codes: the same, or None.
    """

    question: Question
    pictures: Pictures | None
    codes: HashCodes | None


def read_given(question: Question, tensors: Mapping[str, Any], size: int) -> Given:
    """Read the inputs of a request.

    Args:
        question: what it asks.
        tensors: Triton's, by name: `image`, or `image_bytes`, or `coarse_code` and `fine_code`, uint8 (B, bytes) as
            in HashCodes, perhaps with `coarse_logits` and `fine_logits`, float32 (B, bits).
        size: S, the side of the network's input in pixels.

    Raises:
        InvalidInput: the inputs do not go together, or codes are none.
    """
    if tensors.keys().isdisjoint((*CODES, *LOGITS)):
        if question.fingerprint is not None:
            raise InvalidInput(
                "the parameter fingerprint says which model has made codes, but no codes were given; leave it out"
            )
        return Given(question, Pictures(tensors.get(PIXELS), tensors.get(FILES), size), None)
    if not tensors.keys().isdisjoint((PIXELS, FILES)):
        raise InvalidInput("pictures and codes were both given; send one of them")
    missing = [name for name in CODES if name not in tensors]
    if missing:
        raise InvalidInput(f"{' and '.join(missing)} was not given; codes are {' and '.join(CODES)} of hash_encoder")
    # Copies: a tensor's memory is given back with the response, and a search in the shadow of this one comes later.
    arrays = {name: np.array(tensor.as_numpy()) for name, tensor in tensors.items()}
    for name, array in arrays.items():
        if array.ndim != 2 or len(array) == 0:
            raise InvalidInput(f"{name} has an empty batch; send 1 row or more, in 2 dimensions")
    logits = arrays.get(COARSE_LOGITS), arrays.get(FINE_LOGITS)
    return Given(question, None, HashCodes(arrays[COARSE_CODE], arrays[FINE_CODE], *logits))

"""Hits as tensors, and errors as Triton's."""

from __future__ import annotations

import json
import traceback
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from hashgrain.codes.errors import EncoderError, HashgrainError, IndexMissing, InvalidInput, StoreUnavailable
from hashgrain.indexer import Hit

NO_DISTANCE = -1
HEAD, TAIL = 400, 200
"""Characters of an error's words that are kept where there are more: gRPC carries no more than 8 KiB, encoded."""


def answer_tensors(hits: list[Hit], k: int) -> dict[str, NDArray[Any]]:
    """The answer to one request of B pictures; see README.md beside config.pbtxt.

    Returns:
        ids (B, k) bytes, distances (B, k) int32, payloads (B, k) bytes, and candidates (B, 1) int32,
        complete_radius (B, 1) int32, exact and partial (B, 1) bool. Places beyond the last neighbour hold an empty
        id, distance -1 and an empty payload.
    """
    ids = np.full((len(hits), k), b"", np.object_)
    distances = np.full((len(hits), k), NO_DISTANCE, np.int32)
    payloads = np.full((len(hits), k), b"", np.object_)
    for row, hit in enumerate(hits):
        distances[row, : len(hit)] = hit.distances
        for place, item in enumerate(hit.ids):
            ids[row, place] = str(item).encode()
        for place, payload in enumerate(hit.payloads or []):
            if payload is not None:
                payloads[row, place] = json.dumps(payload, separators=(",", ":")).encode()
    return {
        "ids": ids,
        "distances": distances,
        "payloads": payloads,
        "candidates": np.array([[hit.candidates] for hit in hits], np.int32),
        "complete_radius": np.array([[hit.complete_radius] for hit in hits], np.int32),
        "exact": np.array([[hit.exact] for hit in hits], np.bool_),
        "partial": np.array([[hit.partial] for hit in hits], np.bool_),
    }


def respond(tensors: dict[str, NDArray[Any]]) -> Any:
    """The response that carries these tensors."""
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in tensors.items()])


def refuse(error: Exception) -> Any:
    """The response that carries an error, for the one who asked and nobody else."""
    if isinstance(error, HashgrainError):
        return pb_utils.InferenceResponse([], error=pb_utils.TritonError(_short(str(error)), _status(error)))
    pb_utils.Logger.log_error("".join(traceback.format_exception(error)))
    message = f"image_search failed ({type(error).__name__}: {error}); see the server's log"
    return pb_utils.InferenceResponse([], error=pb_utils.TritonError(_short(message), pb_utils.TritonError.INTERNAL))


def _short(message: str) -> str:
    """What is wrong stands in front and the next step at the end; between them may be all that the caller sent."""
    return message if len(message) <= HEAD + TAIL else f"{message[:HEAD]} ... {message[-TAIL:]}"


def _status(error: HashgrainError) -> Any:
    codes = pb_utils.TritonError
    table = (
        (InvalidInput, codes.INVALID_ARG),
        (IndexMissing, codes.NOT_FOUND),
        (StoreUnavailable, codes.UNAVAILABLE),
        (EncoderError, codes.INTERNAL),
    )
    return next((status for kind, status in table if isinstance(error, kind)), codes.INTERNAL)

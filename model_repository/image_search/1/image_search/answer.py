"""Hits as tensors, and errors as Triton's."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from hashgrain.codes.errors import EncoderError, HashgrainError, IndexMissing, InvalidInput, StoreUnavailable
from hashgrain.indexer import Hit

NO_DISTANCE = -1
HEAD, TAIL = 400, 200
"""Characters of an error's words that are kept where there are more: gRPC carries no more than 8 KiB, encoded."""


def answer_tensors(hits: list[Hit], k: int, wanted: Collection[str]) -> dict[str, NDArray[Any]]:
    """The answer to one request of B pictures; see README.md beside config.pbtxt.

    Args:
        hits: of each picture.
        k: neighbours asked for.
        wanted: names of the tensors to make, of those below.

    Returns:
        ids (B, k) bytes, distances (B, k) int32, payloads (B, k) bytes, and candidates (B, 1) int32,
        complete_radius (B, 1) int32, exact and partial (B, 1) bool. Places beyond the last neighbour hold an empty
        id, distance -1 and an empty payload.
    """
    makers: dict[str, Callable[[], NDArray[Any]]] = {
        "ids": lambda: _texts([[str(item) for item in hit.ids] for hit in hits], k),
        "distances": lambda: _distances(hits, k),
        "payloads": lambda: _texts([[_json(payload) for payload in hit.payloads or []] for hit in hits], k),
        "candidates": lambda: np.array([[hit.candidates] for hit in hits], np.int32),
        "complete_radius": lambda: np.array([[hit.complete_radius] for hit in hits], np.int32),
        "exact": lambda: np.array([[hit.exact] for hit in hits], np.bool_),
        "partial": lambda: np.array([[hit.partial] for hit in hits], np.bool_),
    }
    return {name: make() for name, make in makers.items() if name in wanted}


def respond(tensors: dict[str, NDArray[Any]]) -> Any:
    """The response that carries these tensors."""
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in tensors.items()])


def _texts(rows: list[list[str]], k: int) -> NDArray[np.object_]:
    padded = [[*(value.encode() for value in values), *[b""] * (k - len(values))] for values in rows]
    return np.array(padded, np.object_)


def _distances(hits: list[Hit], k: int) -> NDArray[np.int32]:
    padded = [[*hit.distances.tolist(), *[NO_DISTANCE] * (k - len(hit))] for hit in hits]
    return np.array(padded, np.int32)


def _json(payload: dict[str, Any] | None) -> str:
    return "" if payload is None else json.dumps(payload, separators=(",", ":"))


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

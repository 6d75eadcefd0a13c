"""Draws malformed requests: each is a right one to which one thing was done."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from malformed.changes import CHANGES_OF
from malformed.encodings import ENCODED
from malformed.pictures import Verdict
from malformed.right import ENCODINGS, FORMS, MODELS, Tensor, right, written
from malformed.wire import GrpcRequest, HttpRequest


@dataclass(frozen=True)
class Malformed:
    """A request on the wire, and what must become of it.

    Attributes:
        what: how it differs from one that is right.
        verdict: `refused`, or `answered` or `either` where it is well-formed after all, or may be.
    """

    what: str
    request: HttpRequest | GrpcRequest
    verdict: Verdict


def good(model: str, encoding: str, index: str, form: str = "pixels") -> HttpRequest | GrpcRequest:
    """A request that is right, the same every time."""
    return written(right(model, index, np.random.default_rng(0), form), encoding)


def malformed(rng: np.random.Generator, index: str) -> Malformed:
    """One at random.

    Args:
        rng: says which.
        index: name of an index that there is, for models that search.
    """
    model, encoding = str(rng.choice(MODELS)), str(rng.choice(ENCODINGS))
    request = right(model, index, rng, str(rng.choice(FORMS)))
    if rng.random() < 0.3:
        spoil = ENCODED[encoding][int(rng.integers(len(ENCODED[encoding])))]
        what, sent = spoil(request, rng)
        return Malformed(f"{model}, {encoding}: {what}", sent, "refused")
    changes = CHANGES_OF[model]
    what, request, verdict = changes[int(rng.integers(len(changes)))](request, rng)
    if model == "pixel_search" and any(tensor.shape[:1] <= (0,) for tensor in request.tensors):
        verdict = "either"  # Triton overlooks a batch of 0 or less before an ensemble: the picture is answered
    if encoding == "json" and any(_enormous(tensor) for tensor in request.tensors):
        encoding = "grpc"
    return Malformed(f"{model}, {encoding}: {what}", written(request, encoding), verdict)


def _enormous(tensor: Tensor) -> bool:
    """Triton allocates what the shape of a tensor in JSON says before it looks at anything, and dies of it."""
    return max(math.prod(map(abs, tensor.shape)), *map(abs, tensor.shape), 0) > 2**20

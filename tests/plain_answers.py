"""An answer as plain values, to compare and to print."""

from __future__ import annotations

from typing import Any

from hashgrain.indexer import Hit


def as_plain(hit: Hit) -> dict[str, Any]:
    """Everything that an answer says, with the types of its ids."""
    return {
        "ids": [(type(item), item) for item in hit.ids],
        "distances": (hit.distances.dtype, hit.distances.tolist()),
        "payloads": hit.payloads,
        "candidates": hit.candidates,
        "buckets": hit.buckets,
        "complete_radius": hit.complete_radius,
        "exact": hit.exact,
        "partial": hit.partial,
    }

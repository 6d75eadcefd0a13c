"""Float vectors → the network's input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import ImageRejected, InvalidInput


def prepare_vectors(vectors: Any, width: int) -> NDArray[np.float32]:
    """Vectors as a model takes them.

    Args:
        vectors: float (N, D) of any precision, or a list of N float vectors.
        width: D, as the model says.

    Returns:
        float32 (N, D), contiguous.

    Raises:
        InvalidInput: another shape or type, or a value that is not finite.
    """
    found = as_floats(vectors)
    if found is None or found.shape[1:] != (width,):
        what = f"{type(vectors).__name__}" if found is None else f"{found.dtype} {found.shape}"
        raise InvalidInput(f"the model takes float vectors (N, {width}), got {what}; give the embeddings that it knows")
    rows = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(rows):
        raise InvalidInput(f"{len(rows)} of {len(found)} vectors hold a value that is not finite, row {rows[0]} first")
    return np.ascontiguousarray(found, np.float32)


def vector_bytes(values: Any) -> bytes:
    """A vector as a collection's item carries it: its float32 values one after the other."""
    return np.ascontiguousarray(values, "<f4").tobytes()


def load_vector(vector: Any, width: int, name: str) -> NDArray[np.float32]:
    """One vector, float32 (D,), of an array, a list of floats, or the bytes that `vector_bytes` makes.

    Raises:
        ImageRejected: it is no such vector.
    """
    if isinstance(vector, bytes) and len(vector) == 4 * width:
        vector = np.frombuffer(vector, "<f4")
    found = as_floats(vector)
    if found is None:
        what = f"has {len(vector):,} bytes" if isinstance(vector, bytes) else f"is a {type(vector).__name__}"
        raise ImageRejected(name, f"{what}, but this model takes vectors of {width} floats")
    if found.shape != (width,):
        raise ImageRejected(name, f"is an array of shape {found.shape}, the model takes vectors of {width}")
    if not np.isfinite(found).all():
        raise ImageRejected(name, "holds a value that is not finite")
    return found.astype(np.float32)


def as_floats(values: Any) -> NDArray[np.floating] | None:
    """An array or a list of numbers as an array of floats; None for anything else."""
    if not isinstance(values, np.ndarray | list | tuple):
        return None
    try:
        found = np.asarray(values)
    except ValueError:  # rows of several lengths
        return None
    return found if found.dtype.kind == "f" else None

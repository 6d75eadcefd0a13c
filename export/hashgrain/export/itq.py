"""Codes without labels: principal axes of float features, turned so that signs lose least, cut at their medians.

Iterative quantisation (Gong and Lazebnik, CVPR 2011): rotation R and codes B = sign(V R) are improved in turn, R by the
orthogonal Procrustes problem, until |B - V R|^2 settles. Cutting every bit at its median keeps each of them balanced,
and with them the buckets of the coarse code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput

ROUNDS = 50


@dataclass(frozen=True, eq=False)
class LinearCode:
    """A code as a linear map: bit = 1 where weights @ feature > threshold.

    Attributes:
        weights: float32 (bits, D).
        thresholds: float32 (bits,), the medians over the features that it was fitted to.
        scales: float32 (bits,), the standard deviations there, so that logits of all bits compare.
    """

    weights: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    scales: NDArray[np.float32]

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Float32 features (N, D) → logits (N, bits)."""
        found: NDArray[np.float32] = (features @ self.weights.T - self.thresholds) / self.scales
        return found


def fit_itq(features: NDArray[np.float32], bits: int, seed: int = 0, rounds: int = ROUNDS) -> LinearCode:
    """Fit a code to float32 features (N, D).

    Args:
        features: as many as there are bits, or more; better some thousands.
        bits: length of the code, at most D.
        seed: decides the rotation that is started from.
        rounds: of improvement.

    Raises:
        InvalidInput: fewer features or dimensions than bits.
    """
    count, width = features.shape
    if min(count, width) < bits:
        raise InvalidInput(
            f"{bits} bits need as many pictures and dimensions, got {count} pictures of {width} dimensions"
        )
    centred = features - features.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred / count)
    axes = vectors[:, ::-1][:, :bits]  # eigenvalues ascend
    projected = centred @ axes
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(bits, bits)))
    for _ in range(rounds):
        codes = np.where(projected @ rotation > 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(codes.T @ projected)
        rotation = (left @ right).T
    weights = (axes @ rotation).T.astype(np.float32)
    values = features @ weights.T
    return LinearCode(weights, np.median(values, axis=0), np.maximum(values.std(axis=0), np.finfo(np.float32).tiny))

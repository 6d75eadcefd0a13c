"""`ClassCodes`: how the logits of each class spread, fitted to real ones and small enough to be committed.

The logits of an item of class c are modelled as mean[c] + spread[c] * r, where r is a few factors of the class's own
plus independent noise, and is then brought to a length drawn from the real ones: some items are sure in all bits, some
unsure in many. The factors (principal components of the class, values drawn from their real distribution) make the
bits of hard items turn over together, as they do where a network wavers between two classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput

FACTORS = 8
FILE = Path(__file__).with_name("class_codes.npz")

_QUANTILES = 65
_INT8 = 127


@dataclass(frozen=True, eq=False)
class ClassCodes:
    """The fit, for C classes, L logits (coarse first, then fine) and F factors.

    Attributes:
        mean, spread: float32 (C, L), mean and standard deviation of every logit in every class.
        loadings: float32 (C, L, F), how much a factor moves a logit, in spreads.
        factors: float32 (Q, F), quantiles of each factor's values over all items, evenly spaced from 0 to 1.
        lengths: float32 (Q,), the same of an item's root mean square distance from its class's mean, in spreads.
    """

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    loadings: NDArray[np.float32]
    factors: NDArray[np.float32]
    lengths: NDArray[np.float32]

    @classmethod
    def fit(cls, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> ClassCodes:
        """Fit logits, float32 (N, L), of the classes 0 to C - 1, int64 (N,).

        Raises:
            InvalidInput: a class has no more items than factors are fitted.
        """
        sizes = np.bincount(labels)
        if sizes.min() <= FACTORS:
            raise InvalidInput(
                f"class {int(sizes.argmin())} has {int(sizes.min())} items, but {FACTORS} factors are fitted to each; "
                f"give more than {FACTORS} of every class"
            )
        members = [logits[labels == label] for label in range(len(sizes))]
        mean = np.stack([rows.mean(0) for rows in members])
        spread = np.stack([rows.std(0) for rows in members])
        residuals = [(rows - mean[label]) / spread[label] for label, rows in enumerate(members)]
        loadings, values = zip(*map(_principal, residuals), strict=True)
        steps = np.linspace(0, 1, _QUANTILES)
        lengths = np.sqrt(np.mean(np.square(np.concatenate(residuals)), axis=1))
        return cls(
            mean, spread, np.stack(loadings), np.quantile(np.concatenate(values), steps, axis=0).astype(np.float32),
            np.quantile(lengths, steps).astype(np.float32),
        )  # fmt: skip

    @property
    def classes(self) -> int:
        """C."""
        return len(self.mean)

    def arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        """What `numpy.savez` is to write: 16-bit floats, loadings in 127ths, the names with a prefix."""
        small = {name: getattr(self, name).astype(np.float16) for name in ("mean", "spread", "factors", "lengths")}
        small["loadings"] = np.rint(self.loadings * _INT8).astype(np.int8)
        return {f"{prefix}_{name}": array for name, array in small.items()}

    @classmethod
    def load(cls, prefix: str, path: Path = FILE) -> ClassCodes:
        """Read what `fit_codes` wrote: `items` (pictures trained on) or `queries` (pictures the network never saw)."""
        with np.load(path) as file:
            names = ("mean", "spread", "loadings", "factors", "lengths")
            mean, spread, loadings, factors, lengths = (file[f"{prefix}_{name}"].astype(np.float32) for name in names)
        return cls(mean, spread, loadings / np.float32(_INT8), factors, lengths)

    def draw(self, label: int, count: int, repeats: slice, times: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Logits of `count` items of a class, float32 (count, L + (times - 1) * R).

        Args:
            label: the class.
            count: of items.
            repeats: the R logits that are perturbed `times` times over, each time with noise of its own around the
                same class mean and the same factors: a longer code of the same items.
            times: 1 for the logits as they were fitted.
            rng: where chance comes from.
        """
        loadings = self.loadings[label]
        columns = np.concatenate([np.arange(repeats.start), np.tile(np.arange(repeats.start, repeats.stop), times)])
        shares = rng.random((count, loadings.shape[1]), np.float32)
        values = np.stack([_from_quantiles(shares[:, f], self.factors[:, f]) for f in range(shares.shape[1])], axis=1)
        noise = np.sqrt(np.maximum(1 - np.square(loadings).sum(axis=1), 0.02))
        residual = rng.standard_normal((count, len(columns)), np.float32)
        residual *= noise[columns]
        residual += (values @ loadings.T)[:, columns]
        length = _from_quantiles(rng.random(count, np.float32), self.lengths)
        residual *= (length / np.sqrt(np.mean(np.square(residual), axis=1)))[:, None]
        residual *= self.spread[label][columns]
        residual += self.mean[label][columns]
        return residual


def _principal(residual: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Loadings (L, F), and every item's factor values (n, F), of mean square 1 and positive skew."""
    variances, vectors = np.linalg.eigh(residual.T @ residual / len(residual))
    vectors, scale = vectors[:, ::-1][:, :FACTORS], np.sqrt(variances[::-1][:FACTORS])
    values = residual @ vectors / scale
    turn = np.where(np.mean(values**3, axis=0) < 0, -1, 1)
    return (vectors * scale * turn).astype(np.float32), (values * turn).astype(np.float32)


def _from_quantiles(shares: NDArray[np.float32], quantiles: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.interp(shares, np.linspace(0, 1, len(quantiles)), quantiles).astype(np.float32)

"""Seeded codes in any number that look like a trained model's for CIFAR-100: perturbed class-conditional codes.

    made = GeneratedCodes(CodeLayout(16, 64), 10_000_000, seed=1)
    for codes in made.chunks(1_000_000): ...      # HashCodes without logits, the same whatever the chunks are
    made.queries(1000)                            # HashCodes with logits, of pictures the network never saw

Class sizes follow a power law; the classes themselves are the real ones. (More of them, put together from the logits of
two real classes, were tried: codes crowd far less then, and every partition looks worse than on real codes.) A fine
code of 64 * n bits is n perturbations of the 64 fitted ones, each with noise of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.class_codes import ClassCodes
from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.errors import InvalidInput

BLOCK = 1 << 16
"""Items that are drawn at once, each block from a seed of its own: so any part can be made without what precedes it."""

COARSE_BITS, FINE_BITS, CLASSES = 16, 64, 100
"""Of the default model and of the data set that the committed statistics are of."""

_QUERY_STREAM = 1 << 40  # no block of items has this number


@dataclass(frozen=True)
class GeneratedCodes:
    """`items` codes of a layout, a function of the seed alone.

    Attributes:
        layout: 16 coarse bits, and 64, 128, 192 or 256 fine bits.
        items: how many.
        seed: decides all items and queries; the classes themselves are the same for every seed.
        classes: how many of the fitted ones, the first of them.
        exponent: of the power law: the r-th largest class has a share proportional to r ** -exponent; 0 makes all
            classes equally large.

    Raises:
        InvalidInput: a length, a count or the exponent is out of its range.
    """

    layout: CodeLayout
    items: int
    seed: int = 0
    classes: int = CLASSES
    exponent: float = 0.7

    def __post_init__(self) -> None:
        if self.layout.coarse_bits != COARSE_BITS or self.layout.fine_bits % FINE_BITS:
            raise InvalidInput(
                f"codes are generated with {COARSE_BITS} coarse bits and a multiple of {FINE_BITS} fine bits, got "
                f"{self.layout}"
            )
        if self.items < 1:
            raise InvalidInput(f"items must be 1 or more, got {self.items}")
        if not 1 <= self.classes <= CLASSES:
            raise InvalidInput(f"classes must be 1 to {CLASSES}, got {self.classes}")
        if self.exponent < 0:
            raise InvalidInput(f"exponent must be 0 or more, got {self.exponent}")

    def codes(self, start: int = 0, stop: int | None = None) -> HashCodes:
        """The items from `start` to before `stop` (all, by default), without logits.

        Raises:
            InvalidInput: there are no such items.
        """
        stop = self.items if stop is None else stop
        if not 0 <= start < stop <= self.items:
            raise InvalidInput(f"there are {self.items} items, asked for {start} to {stop}")
        fit = ClassCodes.load("items")
        parts = []
        for block in range(start // BLOCK, (stop - 1) // BLOCK + 1):
            first = block * BLOCK
            drawn = self._draw(fit, BLOCK, block)
            parts.append(HashCodes(drawn.coarse, drawn.fine)[max(0, start - first) : stop - first])
        return HashCodes.concatenate(parts)

    def chunks(self, size: int = 16 * BLOCK) -> Iterator[HashCodes]:
        """All items in order, `size` at a time."""
        for start in range(0, self.items, size):
            yield self.codes(start, min(start + size, self.items))

    def queries(self, count: int) -> HashCodes:
        """Codes with logits, of other pictures of the same classes, drawn by the same shares."""
        return self._draw(ClassCodes.load("queries"), count, _QUERY_STREAM)

    def shares(self) -> NDArray[np.float64]:
        """Of each class, float64 (classes,); which class is how large does not depend on the seed."""
        sizes = np.arange(1, self.classes + 1, dtype=np.float64) ** -self.exponent
        shares: NDArray[np.float64] = np.random.default_rng(2).permutation(sizes / sizes.sum())
        return shares

    def _draw(self, fit: ClassCodes, count: int, stream: int) -> HashCodes:
        """Class by class, then in random order."""
        rng = np.random.default_rng([self.seed, stream])
        sizes = rng.multinomial(count, self.shares())
        fine, times = slice(COARSE_BITS, COARSE_BITS + FINE_BITS), self.layout.fine_bits // FINE_BITS
        logits = np.concatenate(
            [fit.draw(label, int(size), fine, times, rng) for label, size in enumerate(sizes) if size]
        )[rng.permutation(count)]
        return HashCodes.from_logits(logits[:, :COARSE_BITS], logits[:, COARSE_BITS:])

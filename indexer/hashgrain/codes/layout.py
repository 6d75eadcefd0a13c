"""`CodeLayout`, the two code lengths, and `HashCodes`, a batch of codes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes.errors import InvalidInput, LayoutMismatch
from hashgrain.codes.packing import pack_logits, packed_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

COARSE_RANGE = (8, 24)
FINE_RANGE = (32, 256)


@dataclass(frozen=True)
class CodeLayout:
    """The lengths of both codes, in bits.

    Args:
        coarse_bits: 8 to 24.
        fine_bits: 32 to 256, a multiple of 8.

    Raises:
        InvalidInput: a length is out of its range.
    """

    coarse_bits: int = 16
    fine_bits: int = 64

    def __post_init__(self) -> None:
        low, high = COARSE_RANGE
        if not low <= self.coarse_bits <= high:
            raise InvalidInput(f"coarse codes have {low} to {high} bits, got {self.coarse_bits}")
        low, high = FINE_RANGE
        if not low <= self.fine_bits <= high or self.fine_bits % 8:
            raise InvalidInput(f"fine codes have {low} to {high} bits, a multiple of 8, got {self.fine_bits}")

    @cached_property
    def coarse_bytes(self) -> int:
        """Bytes of one packed coarse code, ceil(coarse_bits / 8)."""
        return packed_bytes(self.coarse_bits)

    @cached_property
    def fine_bytes(self) -> int:
        """Bytes of one packed fine code, fine_bits / 8."""
        return packed_bytes(self.fine_bits)

    def __str__(self) -> str:
        return f"{self.coarse_bits}-bit coarse and {self.fine_bits}-bit fine codes"

    def require(self, other: CodeLayout, holder: str) -> None:
        """Raise LayoutMismatch unless `other` has the same lengths; `holder` names whose layout this is."""
        if self != other:
            raise LayoutMismatch(
                f"{holder} holds {self}, got {other}; encode with the model it was built with, or create another index"
            )


@dataclass(frozen=True, eq=False)
class HashCodes:
    """Codes of N images: row n of every array belongs to image n.

    Attributes:
        coarse: uint8 (N, ceil(coarse_bits / 8)), most significant bit first, zero padding at the end.
        fine: uint8 (N, fine_bits / 8), most significant bit first.
        coarse_logits: float32 (N, coarse_bits) or None; bit j is 1 where logit j > 0; a search
            weighs bits by |logit|.
        fine_logits: float32 (N, fine_bits) or None.

    Raises:
        InvalidInput: an array has another dtype or shape, or the rows do not agree.
    """

    coarse: NDArray[np.uint8]
    fine: NDArray[np.uint8]
    coarse_logits: NDArray[np.float32] | None = None
    fine_logits: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        for name in ("coarse", "fine"):
            _require_array(name, getattr(self, name), np.uint8)
        rows = len(self.coarse)
        for name in ("fine", "coarse_logits", "fine_logits"):
            array = getattr(self, name)
            if array is None:
                continue
            if name.endswith("logits"):
                _require_array(name, array, np.float32)
            if len(array) != rows:
                raise InvalidInput(f"coarse has {rows} rows, {name} has {len(array)}; give one row per image in each")

    @classmethod
    def from_logits(cls, coarse_logits: NDArray[np.float32], fine_logits: NDArray[np.float32]) -> HashCodes:
        """Binarise logits, float (N, coarse_bits) and (N, fine_bits): bit = 1 where the logit is > 0."""
        coarse_logits = np.asarray(coarse_logits, np.float32)
        fine_logits = np.asarray(fine_logits, np.float32)
        return cls(pack_logits(coarse_logits), pack_logits(fine_logits), coarse_logits, fine_logits)

    @classmethod
    def concatenate(cls, parts: list[HashCodes]) -> HashCodes:
        """Join batches in order; logits are kept where every part has them.

        Raises:
            InvalidInput: `parts` is empty.
        """
        if not parts:
            raise InvalidInput("nothing to concatenate: give at least one batch of codes")
        joined = [
            None if any(getattr(p, name) is None for p in parts) else np.concatenate([getattr(p, name) for p in parts])
            for name in ("coarse", "fine", "coarse_logits", "fine_logits")
        ]
        return cls(*joined)  # type: ignore[arg-type]  # coarse and fine are never None

    def check(self, layout: CodeLayout, holder: str = "the index") -> None:
        """Raise LayoutMismatch unless these are codes of `layout`; `holder` names who asks.

        Padding bits after the last coarse bit must be zero: two buckets must not stand for one code.
        """
        for kind, array, width, bits in (
            ("coarse", self.coarse, layout.coarse_bytes, layout.coarse_bits),
            ("fine", self.fine, layout.fine_bytes, layout.fine_bits),
        ):
            if array.shape[1] != width:
                raise LayoutMismatch(
                    f"{holder} holds {bits}-bit {kind} codes ({width} bytes), got {array.shape[1] * 8} bits "
                    f"({array.shape[1]} bytes); encode with the model it was built with"
                )
        padding = 8 * layout.coarse_bytes - layout.coarse_bits
        if padding and np.any(self.coarse[:, -1] & ((1 << padding) - 1)):
            raise LayoutMismatch(
                f"the last {padding} bits of a {layout.coarse_bits}-bit coarse code must be zero padding; "
                "pack bits most significant first, as numpy.packbits does"
            )
        for kind, logits, bits in (
            ("coarse", self.coarse_logits, layout.coarse_bits),
            ("fine", self.fine_logits, layout.fine_bits),
        ):
            if logits is not None and logits.shape[1] != bits:
                raise LayoutMismatch(f"{holder} holds {bits}-bit {kind} codes, got {logits.shape[1]} {kind} logits")

    def __len__(self) -> int:
        return len(self.coarse)

    def __getitem__(self, rows: slice | NDArray[np.integer] | NDArray[np.bool_]) -> HashCodes:
        """The codes of some rows (a slice, or an array of positions or booleans), in that order."""
        return HashCodes(
            self.coarse[rows],
            self.fine[rows],
            None if self.coarse_logits is None else self.coarse_logits[rows],
            None if self.fine_logits is None else self.fine_logits[rows],
        )

    def __iter__(self) -> Iterator[HashCodes]:
        """One batch of a single row per image."""
        return (self[n : n + 1] for n in range(len(self)))


def _require_array(name: str, array: object, dtype: type) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != 2:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise InvalidInput(f"{name} must be a two-dimensional {np.dtype(dtype)} array, one row per image, got {found}")

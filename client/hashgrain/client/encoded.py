"""`Encoded`: codes of the pictures that could be read, and why the others could not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hashgrain.codes import CodeLayout, HashCodes
from hashgrain.codes.contract import COARSE_CODE, COARSE_LOGITS, FINE_CODE, FINE_LOGITS
from hashgrain.codes.errors import ContractViolation, ImageRejected, InvalidInput

Logits: TypeAlias = bool | Literal["coarse"]
"""Which logits come beside the codes: False none, "coarse" those of the coarse code, True both."""

_OUTPUTS: dict[Logits, tuple[str, ...]] = {
    False: (COARSE_CODE, FINE_CODE),
    "coarse": (COARSE_CODE, FINE_CODE, COARSE_LOGITS),
    True: (COARSE_CODE, FINE_CODE, COARSE_LOGITS, FINE_LOGITS),
}


@dataclass(frozen=True, eq=False)
class Encoded:
    """What came of a run of pictures.

    Attributes:
        codes: one row per picture that could be read.
        kept: int64 (len(codes),), the position of each row's picture among all that were given, ascending.
        rejected: the others, in the order in which they were given.
    """

    codes: HashCodes
    kept: NDArray[np.int64]
    rejected: tuple[ImageRejected, ...] = ()

    @property
    def total(self) -> int:
        """Pictures given: kept and rejected."""
        return len(self.kept) + len(self.rejected)


def outputs_for(logits: Logits) -> tuple[str, ...]:
    """Names of the tensors that a request must ask for.

    Raises:
        InvalidInput: not one of the three choices.
    """
    if not isinstance(logits, bool | str) or logits not in _OUTPUTS:
        raise InvalidInput(f'logits is False, "coarse" or True, got {logits!r}')
    return _OUTPUTS[logits]


def codes_from(arrays: dict[str, NDArray[Any]], layout: CodeLayout, rows: int, source: str) -> HashCodes:
    """Make codes of a reply's tensors, after a check that the server kept to its contract.

    Raises:
        ContractViolation: a tensor has another type, width or number of rows.
    """
    try:
        codes = HashCodes(arrays[COARSE_CODE], arrays[FINE_CODE], arrays.get(COARSE_LOGITS), arrays.get(FINE_LOGITS))
        codes.check(layout, source)
    except InvalidInput as exc:
        raise ContractViolation(f"{source} answered against its contract: {exc}") from exc
    if len(codes) != rows:
        raise ContractViolation(f"{source} answered with {len(codes)} rows for {rows} images")
    return codes


def no_codes(layout: CodeLayout, outputs: tuple[str, ...]) -> HashCodes:
    """Codes of no picture, with the logits that `outputs` names."""
    return HashCodes(
        np.empty((0, layout.coarse_bytes), np.uint8),
        np.empty((0, layout.fine_bytes), np.uint8),
        np.empty((0, layout.coarse_bits), np.float32) if COARSE_LOGITS in outputs else None,
        np.empty((0, layout.fine_bits), np.float32) if FINE_LOGITS in outputs else None,
    )

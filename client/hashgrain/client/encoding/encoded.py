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
        start: position of the first picture of this run; other than 0 only in a stream.
        names: of each row's picture, where the caller gave names.
    """

    codes: HashCodes
    kept: NDArray[np.int64]
    rejected: tuple[ImageRejected, ...] = ()
    start: int = 0
    names: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Pictures given: kept and rejected."""
        return len(self.kept) + len(self.rejected)

    @property
    def left_out(self) -> NDArray[np.int64]:
        """int64 (len(rejected),), the position of each rejected picture."""
        return np.setdiff1d(np.arange(self.start, self.start + self.total, dtype=np.int64), self.kept)

    @classmethod
    def joined(cls, parts: list[Encoded], layout: CodeLayout, outputs: tuple[str, ...]) -> Encoded:
        """The parts of one run in their order, possibly none, as one."""
        if not parts:
            return cls(no_codes(layout, outputs), np.empty(0, np.int64))
        return cls(
            HashCodes.concatenate([part.codes for part in parts]),
            np.concatenate([part.kept for part in parts]),
            tuple(rejected for part in parts for rejected in part.rejected),
        )

    def all_or_nothing(self) -> HashCodes:
        """The codes, of every picture that was given.

        Raises:
            ImageRejected: pictures were rejected; it names each of them with the reason.
        """
        if len(self.rejected) == 1:
            raise self.rejected[0]
        if self.rejected:
            raise ImageRejected(
                f"{len(self.rejected)} of {self.total} images cannot be read", "; ".join(map(str, self.rejected))
            )
        return self.codes


def outputs_for(logits: Logits) -> tuple[str, ...]:
    """Names of the tensors that a request must ask for.

    Raises:
        InvalidInput: not one of the three choices.
    """
    if not isinstance(logits, bool | str) or logits not in _OUTPUTS:
        raise InvalidInput(f'logits is False, "coarse" or True, got {logits!r}')
    return _OUTPUTS[logits]


def codes_from(
    arrays: dict[str, NDArray[Any]], outputs: tuple[str, ...], layout: CodeLayout, rows: int, source: str
) -> HashCodes:
    """Make codes of a reply's tensors, after a check that the server kept to its contract.

    Args:
        arrays: the tensors by name.
        outputs: names of those that were asked for.
        layout: the code lengths.
        rows: how many images were sent.
        source: what to call the server in errors.

    Raises:
        ContractViolation: a tensor is missing, or has another type, width or number of rows.
    """
    if missing := [name for name in outputs if name not in arrays]:
        raise ContractViolation(
            f"{source} answered without {', '.join(missing)}; Triton does so where its response cache is on: it gives "
            "what an earlier request for the same images asked for. Take response_cache out of the model's config.pbtxt"
        )
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

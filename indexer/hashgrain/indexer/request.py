"""What a search is asked: how many neighbours, in which ranking, and how far to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from hashgrain.codes.errors import InvalidInput

Rank = Literal["total", "fine", "coarse"]
RANKS: tuple[Rank, ...] = get_args(Rank)

DEFAULT_CANDIDATES = 4096


@dataclass(frozen=True)
class SearchRequest:
    """One search, checked.

    Args:
        k: how many neighbours.
        rank: the distance that orders candidates: `total` (fine + coarse Hamming distance), `fine` or `coarse`.
        candidates: take buckets, nearest first, until they hold this many live records; 4096, or k if that is more,
            where nothing else says how far to look.
        probes: take this many buckets.
        radius: take every bucket whose coarse code differs from the query's in this many bits or less.
        exact: take every bucket.
        payloads: whether the answer carries the items' payloads.

    Raises:
        InvalidInput: a value is out of range, or two of candidates, probes, radius and exact are given.
    """

    k: int = 10
    rank: Rank = "total"
    candidates: int | None = None
    probes: int | None = None
    radius: int | None = None
    exact: bool = False
    payloads: bool = False

    def __post_init__(self) -> None:
        if self.rank not in RANKS:
            raise InvalidInput(f"rank must be one of {', '.join(RANKS)}, got {self.rank!r}")
        for name, least in (("k", 1), ("candidates", 1), ("probes", 1), ("radius", 0)):
            value = getattr(self, name)
            if value is None and name != "k":
                continue
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise InvalidInput(f"{name} must be an integer of {least} or more, got {value!r}")
            object.__setattr__(self, name, int(value))
        for name in ("exact", "payloads"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInput(f"{name} must be True or False, got {getattr(self, name)!r}")
        given = [name for name in ("candidates", "probes", "radius") if getattr(self, name) is not None]
        given += ["exact"] if self.exact else []
        if len(given) > 1:
            raise InvalidInput(f"{' and '.join(given)} each say how far to look; give only one of them")
        if not given:
            object.__setattr__(self, "candidates", max(DEFAULT_CANDIDATES, self.k))

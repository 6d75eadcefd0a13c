"""What a search is asked: how many neighbours, in which ranking, how far to look, and for how long."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypedDict, get_args

import numpy as np

from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer.stored.filters import Filter

Rank = Literal["total", "fine", "coarse"]
RANKS: tuple[Rank, ...] = get_args(Rank)

DEFAULT_CANDIDATES = 4096

DEFAULT_MATCHES = 512
"""The default budget of a search with a filter: items that match it."""

WIDENED = 4
"""By how much the budget `candidates` grows where `collapse` leaves fewer than k items."""

_INTEGERS = (
    ("k", 1), ("candidates", 1), ("probes", 1), ("radius", 0), ("within", 0), ("refine", 1), ("collapse", 0)
)  # fmt: skip
_INTEGER, _NUMBER = (int, np.integer), (int, float)
_HOW_FAR = ("candidates", "probes", "radius", "within")


class SearchOptions(TypedDict, total=False):
    """What may be said of a search beside `k`, by name; see `SearchRequest`."""

    rank: Rank
    candidates: int | None
    probes: int | None
    radius: int | None
    within: int | None
    exact: bool
    refine: int | None
    deadline: float | None
    payloads: bool
    explain: bool
    filter: Mapping[str, Any] | Filter | None
    collapse: int | None


@dataclass(frozen=True)
class SearchRequest:
    """One search, checked.

    `radius` says where to look (in which buckets, by coarse bits), `within` what to find (which items, by the
    distance of the ranking); either way no item is missed that is as near as that.

    Args:
        k: how many neighbours.
        rank: the distance that orders candidates: `total` (fine + coarse Hamming distance), `fine` or `coarse`.
        candidates: take buckets, nearest first, until they hold this many live records; 4096, or k or `refine` if
            that is more, where nothing else says how far to look.
        probes: take this many buckets.
        radius: take every bucket that can hold an item whose coarse code differs from the query's in this many bits or
            less; whatever they hold may be among the answers.
        exact: take every bucket.
        payloads: whether the answer carries the items' payloads.
        within: answer with items at this distance or less, none of which is missed (the k nearest, if they are
            more). Takes every bucket that can hold one.
        refine: order the best R of the ranking again by the query's margins, and answer with the k best of these.
        deadline: seconds after which the best so far is the answer.
        explain: whether the answer tells how it came about.
        filter: which items it is about, see `filters`; budgets count these only.
        collapse: of items within this many bits of each other, by the distance of the ranking, answer with the best
            only (see `collapsing`); where fewer than k are left, `candidates` grows.

    Raises:
        InvalidInput: a value is out of range, two of candidates, probes, radius, within and exact are given, or two
            values contradict each other.
    """

    k: int = 10
    rank: Rank = "total"
    candidates: int | None = None
    probes: int | None = None
    radius: int | None = None
    exact: bool = False
    payloads: bool = False
    within: int | None = None
    refine: int | None = None
    deadline: float | None = None
    explain: bool = False
    filter: Mapping[str, Any] | Filter | None = None
    collapse: int | None = None

    def __post_init__(self) -> None:
        if self.rank not in RANKS:
            raise InvalidInput(f"rank must be one of {', '.join(RANKS)}, got {self.rank!r}")
        self._check_types()
        given = [name for name in _HOW_FAR if getattr(self, name) is not None]
        given += ["exact"] if self.exact else []
        if len(given) > 1:
            raise InvalidInput(f"{' and '.join(given)} each say how far to look; give only one of them")
        if self.refine is not None and self.refine < self.k:
            raise InvalidInput(f"refine orders the best {self.refine} again, but k is {self.k}; refine k items or more")
        if self.filter is not None:
            object.__setattr__(self, "filter", Filter.of(self.filter))
        if not given:
            default = DEFAULT_CANDIDATES if self.filter is None else DEFAULT_MATCHES
            object.__setattr__(self, "candidates", max(default, self.depth))

    @cached_property
    def by(self) -> Filter | None:
        """The filter, checked."""
        return self.filter if isinstance(self.filter, Filter) else None

    @cached_property
    def depth(self) -> int:
        """How many items stage two passes on: k, or as many as are to be refined."""
        return self.k if self.refine is None else self.refine

    def _check_types(self) -> None:
        for name, least in _INTEGERS:
            value = getattr(self, name)
            if (type(value) is int and value >= least) or (value is None and name != "k"):
                continue
            if isinstance(value, bool) or not isinstance(value, _INTEGER) or value < least:
                raise InvalidInput(f"{name} must be an integer of {least} or more, got {value!r}")
            object.__setattr__(self, name, int(value))
        for name in ("exact", "payloads", "explain"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInput(f"{name} must be True or False, got {getattr(self, name)!r}")
        late = self.deadline
        if late is not None and (isinstance(late, bool) or not isinstance(late, _NUMBER) or not 0 < late < math.inf):
            raise InvalidInput(f"deadline must be a positive number of seconds, got {late!r}")

"""What a request asks: which index, and which search of it."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache, partial

from hashgrain.codes.errors import InvalidInput
from hashgrain.indexer import Filter, SearchRequest
from image_search.settings import Settings

PARAMETERS = (
    "k", "rank", "candidates", "probes", "radius", "within", "exact", "refine", "deadline", "filter", "collapse",
    "index", "fingerprint",
)  # fmt: skip
"""The request parameters; see README.md beside config.pbtxt."""

PAYLOADS = "payloads"
"""The output that has the index read payloads."""


KEPT = 256
"""Of so many requests that ask alike, the last ones, the parameters are checked once."""

_MOST_KEPT = 1024  # characters of the parameters of one, so that callers cannot fill the memory


@dataclass(frozen=True)
class Question:
    """A request's parameters, checked.

    Attributes:
        index: which index.
        fingerprint: of the model that made the codes which are given; None for that of the newest hash_encoder.
        search: which search of it.
        outputs: names of the tensors that the answer has.
    """

    index: str
    fingerprint: str | None
    search: SearchRequest
    outputs: Collection[str]


class Questions:
    """Reads what requests ask.

    Args:
        settings: defaults and limits.
    """

    def __init__(self, settings: Settings) -> None:
        self._read = partial(read_question, settings)
        self._kept = lru_cache(KEPT)(self._read)

    def read(self, parameters: str, outputs: Collection[str]) -> Question:
        """See `read_question`."""
        read = self._kept if len(parameters) <= _MOST_KEPT else self._read
        return read(parameters, tuple(outputs))


def read_question(settings: Settings, parameters: str, outputs: Collection[str]) -> Question:
    """Read the parameters of a request.

    Args:
        settings: defaults and limits.
        parameters: a JSON object, as Triton hands them over.
        outputs: names of the tensors that the request asks for; payloads are read only where they are among them.

    Raises:
        InvalidInput: a parameter is unknown, or has a value of the wrong type or out of range.
    """
    given = json.loads(parameters or "{}")
    unknown = sorted(set(given) - set(PARAMETERS))
    if unknown:
        raise InvalidInput(
            f"unknown request parameter {', '.join(unknown)}; image_search knows {', '.join(PARAMETERS)}"
        )
    index = given.pop("index", settings.index)
    if not isinstance(index, str):
        raise InvalidInput(f"index must be the name of an index, got {index!r}")
    fingerprint = given.pop("fingerprint", None)
    if not isinstance(fingerprint, str | None):
        raise InvalidInput(f"fingerprint must be that of a model, in hexadecimal, got {fingerprint!r}")
    if (by := given.pop("filter", None)) is not None:
        if not isinstance(by, str):
            raise InvalidInput(f"filter must be a JSON object in a string, got {by!r}")
        given["filter"] = Filter.parse(by)
    search = SearchRequest(**given, payloads=PAYLOADS in outputs)
    if search.k > settings.max_k:
        raise InvalidInput(
            f"k is {search.k}, at most {settings.max_k} neighbours are given; ask for fewer, "
            "or raise max_k in image_search's config.pbtxt"
        )
    return Question(index, fingerprint, search, outputs)
